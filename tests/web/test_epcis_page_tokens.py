"""Page tokens: whose, for what list, how long, and how they are given up (EPCIS 2.0, REST)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from epcis_ import document, event, members
from stafett.exchange import page_tokens
from stafett.exchange.epcis_store import EpcisStore

pytestmark = pytest.mark.anyio
EVENTS = "/events?perPage=2"


@pytest.fixture(autouse=True)
async def captured(http: httpx.AsyncClient) -> None:
    """Capture five events of as many steps and bags, in five jobs."""
    steps = ("shipping", "receiving", "storing", "inspecting", "accepting")
    for n, step in enumerate(steps, 1):
        reply = await http.post("/capture", json=document(event(n, bizStep=step)))
        assert reply.status_code == 202
        await http.post("/queries", json={"name": f"q{n}", "query": {}})
        wish = {"dest": f"https://partner.example/{n}", "stream": True}
        assert (await http.post("/queries/q1/subscriptions", json=wish)).status_code == 201


def token_of(reply: httpx.Response) -> str:
    """Give the token of the next page, out of its Link."""
    return parse_qs(urlsplit(reply.links["next"]["url"]).query)["nextPageToken"][0]


@pytest.mark.parametrize(
    "path", ["/events", "/queries/q1/events", "/bizSteps", "/epcs", "/capture", "/queries",
             "/queries/q1/subscriptions", "/eventTypes/ObjectEvent/events"],
)  # fmt: skip
async def test_a_token_that_was_given_up_gives_no_page_of_any_list(
    http: httpx.AsyncClient, path: str
) -> None:
    """It gives its page as often as it is asked; after DELETE it is 400 and says why."""
    following = (await http.get(path, params={"perPage": 2})).links["next"]["url"]
    token = parse_qs(urlsplit(following).query)["nextPageToken"][0]
    first, again = await http.get(following), await http.get(following)
    assert first.status_code == 200
    assert _plain(first) == _plain(again)
    given_up = await http.delete(f"/nextPageToken/{token}")
    assert (given_up.status_code, given_up.content) == (204, b"")
    refused = await http.get(following)
    assert (refused.status_code, refused.json()["type"]) == (
        400, "epcisException:QueryParameterException",
    )  # fmt: skip
    assert refused.json()["errors"] == [
        {"pointer": "/nextPageToken", "detail": "was given up; begin again"}
    ]
    assert (await http.delete(f"/nextPageToken/{token}")).status_code == 204


def _plain(reply: httpx.Response) -> Any:
    # The same list and place; what surrounds an answer's events is made anew.
    return members(reply) if "epcisBody" in reply.text else reply.json()


async def test_giving_up_one_walk_ends_no_other(http: httpx.AsyncClient) -> None:
    """Two walks of one list have tokens of their own, and a walk's next token lives on."""
    one, other = await http.get(EVENTS), await http.get(EVENTS)
    assert token_of(one) != token_of(other)
    third = await http.get(one.links["next"]["url"])
    await http.delete(f"/nextPageToken/{token_of(one)}")
    assert len(members(await http.get(other.links["next"]["url"]))) == 2
    assert len(members(await http.get(third.links["next"]["url"]))) == 1


async def test_a_token_is_its_organisations(http: httpx.AsyncClient) -> None:
    """To another it gives no page, and another cannot end it."""
    reply = await http.get(EVENTS)
    other = {"x-organisation": "courier"}
    following = reply.links["next"]["url"]
    assert (await http.get(following, headers=other)).status_code == 400
    where = f"/nextPageToken/{token_of(reply)}"
    assert (await http.delete(where, headers=other)).status_code == 404
    assert (await http.delete(where, headers={"x-organisation": "nobody"})).status_code == 401
    assert (await http.get(following)).status_code == 200


async def test_a_token_belongs_to_its_list(http: httpx.AsyncClient) -> None:
    """A place among steps is none among read points, though both are texts."""
    token = token_of(await http.get("/bizSteps?perPage=2"))
    reply = await http.get("/readPoints", params={"nextPageToken": token})
    assert reply.status_code == 400 and "another list" in reply.json()["detail"]


async def test_a_token_says_when_it_runs_out_and_then_does(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GS1-Next-Page-Token-Expires holds; giving up what ran out is no error."""
    monkeypatch.setattr(page_tokens, "LIFE", timedelta(days=2))
    reply = await http.get(EVENTS)
    told = datetime.fromisoformat(reply.headers["gs1-next-page-token-expires"])
    assert abs(told - datetime.now(UTC) - timedelta(days=2)) < timedelta(seconds=30)
    monkeypatch.setattr(page_tokens, "LIFE", timedelta(seconds=-2))
    late = await http.get(EVENTS)
    refused = await http.get(late.links["next"]["url"])
    assert refused.status_code == 400 and "ran out" in refused.json()["detail"]
    assert (await http.delete(f"/nextPageToken/{token_of(late)}")).status_code == 204
    last = await http.get("/events?perPage=50")
    assert "gs1-next-page-token-expires" not in last.headers


async def test_what_was_given_up_is_forgotten_when_it_has_run_out(
    http: httpx.AsyncClient, store: EpcisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next DELETE sweeps, so the list of given-up tokens does not grow for ever."""
    monkeypatch.setattr(page_tokens, "LIFE", timedelta(seconds=-2))
    for _ in range(3):
        await http.delete(f"/nextPageToken/{token_of(await http.get(EVENTS))}")
    async with store.pool.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM exchange.page_token_given_up")
        assert await cursor.fetchone() == (1,)


async def test_a_mangled_token_is_none(http: httpx.AsyncClient) -> None:
    """Each character counts: changed, it is 400 as a page and 404 as what to give up."""
    token = token_of(await http.get(EVENTS))
    for n in range(0, len(token), 7):
        wrong = token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :]
        reply = await http.get("/events", params={"perPage": 2, "nextPageToken": wrong})
        assert reply.status_code == 400, n
        assert (await http.delete(f"/nextPageToken/{wrong}")).status_code == 404, n
    for wrong in ("x", "%00", "é", token[:20], token + "AAAA"):
        assert (await http.delete(f"/nextPageToken/{wrong}")).status_code == 404, wrong
