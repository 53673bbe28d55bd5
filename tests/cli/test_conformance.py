"""The conformance kit: a sound endpoint passes, and each wrong one is found for what it is.

A wrong endpoint (a mutant) is our own application with one thing broken between it and the kit, in
this process: what is proven is that the kit finds it, not how fast sockets are.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from site_ import Site
from stafett.cli.main import main
from stafett.client.conformance import NEEDS, OBLIGATIONS, Kit, Report, Unusable
from stafett.service.accounts import Organisation, Person
from stafett.service.demo import PASSWORD

Inner = Callable[[httpx.Request], Awaitable[httpx.Response]]


@pytest.fixture(scope="module", autouse=True)
def outsider(site: Site) -> str:
    """Return the sign-in of somebody whose organisation takes no part."""
    who = Person("stranger", "stranger", "Stranger", "elsewhere", ("courier",))
    site.inside(site.tower.accounts.add_organisation(Organisation("elsewhere", "Else", "courier")))
    site.inside(site.tower.accounts.add_person(who, PASSWORD))
    return who.login


def test_our_own_endpoint_keeps_every_obligation(site: Site, outsider: str) -> None:
    """Over the network, by the command: all are tried and all hold."""
    result = CliRunner().invoke(
        main, ["conformance", "run", site.base, "--json", "--outsider", outsider]
    )
    report = json.loads(result.output)
    found = {o["name"]: o["verdict"] for o in report["obligations"]}
    assert {n: v for n, v in found.items() if v != "holds"} == {}, report
    assert set(found) == set(OBLIGATIONS)
    assert result.exit_code == 0 and report["conforms"]


class Mutant(httpx.AsyncBaseTransport):
    """Our application with something wrong between it and who calls it. This one has nothing."""

    breaks: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ("blind",)

    def __init__(self, site: Site) -> None:
        self.site, self._inner = site, httpx.ASGITransport(app=site.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, wrongly where `answer` does."""
        await request.aread()
        return await self.answer(request)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Pass on; mutants do something else."""
        return await self.sound(request)

    async def sound(self, request: httpx.Request) -> httpx.Response:
        """Give what our application answers."""
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        return answer


def command_of(request: httpx.Request) -> dict[str, Any] | None:
    """Return the body of a command; None for any other request."""
    if request.method == "POST" and request.url.path.endswith("/commands"):
        body: dict[str, Any] = json.loads(request.content)
        return body
    return None


def changed(request: httpx.Request, body: Any = None, **headers: str) -> httpx.Request:
    """Return the request with another body, or with other headers."""
    kept = {k: v for k, v in request.headers.items() if k not in ("content-length", "host")}
    content = request.content if body is None else json.dumps(body).encode()
    return httpx.Request(request.method, request.url, headers=kept | headers, content=content)


def yes(request: httpx.Request) -> httpx.Response:
    """Return an acknowledgement that nothing stands behind."""
    return httpx.Response(200, json={
        "journey": request.url.path.split("/")[3], "position": 1, "version": 1,
        "recorded_at": "2026-11-01T08:00:00Z",
    })  # fmt: skip


class AcceptsAnything(Mutant):
    """Says yes to every acceptance, whatever was found before."""

    breaks = ("mismatch", "unknown", "incomplete")

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Say yes where our application said no to an acceptance."""
        body, answer = command_of(request), await self.sound(request)
        if body and body["command"].get("type") == "Receive" and answer.status_code in (409, 422):
            return yes(request)
        return answer


class ShowsTheLabel(Mutant):
    """Shows at the receiving station what the giver has read off the labels."""

    breaks = ("blind",)
    keeps = ("incomplete", "no-zone")

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.read: dict[str, str] = {}  # check -> what was scanned for it last

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Remember each scan; show it as known where the receiver is to scan the same."""
        body, answer = command_of(request), await self.sound(request)
        if body is not None and body["command"].get("method") == "scan":
            self.read[body["command"]["check"]] = body["command"]["value"]
        if re.search(r"/stations/[^/]+/accept$", request.url.path) and answer.status_code == 200:
            view = answer.json()
            for check in view["checks"]:
                check["known"] = self.read.get(check["id"], check["known"])
            return httpx.Response(200, json=view)
        return answer


class ForgetsKeys(Mutant):
    """Takes each sending as a new act."""

    breaks = ("replay",)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Replace the client's key by a new one."""
        body = command_of(request)
        if body is not None:
            request = changed(request, {**body, "key": uuid.uuid4().hex})
        return await self.sound(request)


class AnswersByKeyAlone(Mutant):
    """Gives the first act's answer to any act under its key."""

    breaks = ("key-reused",)
    keeps = ("replay",)

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.said: dict[str, httpx.Response] = {}

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Look at the key only."""
        body = command_of(request)
        if body is None:
            return await self.sound(request)
        if body["key"] not in self.said:
            answer = await self.sound(request)
            if answer.status_code != 200:
                return answer
            self.said[body["key"]] = answer
        kept = self.said[body["key"]]
        return httpx.Response(kept.status_code, json=kept.json())


class LosesTheLast(Mutant):
    """Acknowledges, and has not got it in the record."""

    breaks = ("recorded",)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Leave the last three events out of the record."""
        answer = await self.sound(request)
        if request.url.path.endswith("/events"):
            return httpx.Response(200, json=answer.json()[:-3])
        return answer


class SignsForYou(Mutant):
    """Signs what is sent without a signature."""

    breaks = ("unsigned",)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Fill in the password."""
        body = command_of(request)
        if body is not None:
            request = changed(request, {**body, "password": PASSWORD})
        return await self.sound(request)


class AnyRole(Mutant):
    """Lets everybody act in every role."""

    breaks = ("wrong-role",)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Say yes where our application said that it is not theirs to do."""
        answer = await self.sound(request)
        return yes(request) if command_of(request) and answer.status_code == 403 else answer


class KnowsBetter(Mutant):
    """Takes a time that cannot be right as now, silently."""

    breaks = ("future",)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Put now where the time is far off."""
        body = command_of(request)
        if body is not None and isinstance(body["command"].get("occurred_at"), str):
            now = datetime.now(UTC).isoformat()
            request = changed(request, {**body, "command": {**body["command"], "occurred_at": now}})
        return await self.sound(request)


class GuessesTheZone(Mutant):
    """Takes a time without a zone as UTC."""

    breaks = ("no-zone",)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Add the zone that is not there."""
        body = command_of(request)
        at = body["command"].get("occurred_at") if body else None
        if body and isinstance(at, str) and datetime.fromisoformat(at).tzinfo is None:
            zoned = {**body["command"], "occurred_at": at + "+00:00"}
            request = changed(request, {**body, "command": zoned})
        return await self.sound(request)


class Lenient(Mutant):
    """Overlooks what it does not know."""

    breaks = ("malformed",)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Take the fields away that no command has."""
        body = command_of(request)
        if body is not None and "colour" in body["command"]:
            del body["command"]["colour"]
            request = changed(request, body)
        return await self.sound(request)


class RemembersRefusals(Mutant):
    """Adds an event to the record when it refuses."""

    breaks = ("unchanged",)

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.refused = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Count refusals, and show as many events more."""
        answer = await self.sound(request)
        if command_of(request) and answer.status_code >= 400:
            self.refused += 1
        if request.url.path.endswith("/events") and answer.status_code == 200:
            events = answer.json()
            return httpx.Response(200, json=[*events, *events[:1] * self.refused])
        return answer


class RefusesWhatIsRight(Mutant):
    """Does not take an acceptance that was done right."""

    breaks = ("right",)

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.scanned: set[str] = set()  # handoffs at which the receiver scans a material

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Say no where our application said yes to an acceptance after a scan."""
        body, answer = command_of(request), await self.sound(request)
        station = re.search(r"/stations/([^/]+)/accept$", request.url.path)
        if station and any(
            c["kind"] == "scan" and c["critical"] and c.get("material") not in (None, "patient")
            for c in answer.json().get("checks", [])
        ):
            self.scanned.add(station[1])
        command = body["command"] if body and answer.status_code == 200 else {}
        if command.get("type") == "Receive" and command["handoff"] in self.scanned:
            return httpx.Response(409, json={"title": "No", "type": "/problems/no"})
        return answer


class OpenDoor(Mutant):
    """Reads for who is not signed in, and for who takes no part, as for an insider."""

    breaks = ("stranger", "outsider")

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.strangers = {""}

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Put an insider's sign-in where there is none, or another organisation's."""
        if request.method == "GET" and request.headers.get("authorization", "") in self.strangers:
            insider = f"Bearer {self.site.tokens['treating-clinic-1']}"
            request = changed(request, authorization=insider)
        answer = await self.sound(request)
        if request.url.path == "/api/session" and b'"stranger"' in request.content:
            self.strangers.add(f"Bearer {answer.json()['token']}")
        return answer


MUTANTS = (
    AcceptsAnything, ShowsTheLabel, ForgetsKeys, AnswersByKeyAlone, LosesTheLast, SignsForYou,
    AnyRole, KnowsBetter, GuessesTheZone, Lenient, RemembersRefusals, RefusesWhatIsRight, OpenDoor,
)  # fmt: skip


def tried(site: Site, mutant: Mutant) -> Report:
    """Run the kit against a mutant: what it should break, and what it should keep."""
    day = site.day()
    kit = Kit(
        site.base, day.nets, day.network, day.parties, day.people, PASSWORD, pace=0.0,
        outsider="stranger", transport=mutant, tokens=dict(site.tokens),
    )  # fmt: skip
    report: Report = site.inside(kit.check([*mutant.breaks, *mutant.keeps]))
    site.tokens |= kit.tokens  # signed in once for all mutants
    return report


def test_every_obligation_has_a_mutant() -> None:
    """None is on the list that was never seen to be found broken."""
    assert {name for mutant in MUTANTS for name in mutant.breaks} == set(OBLIGATIONS)


@pytest.mark.parametrize("kind", MUTANTS, ids=lambda kind: kind.__name__)
def test_a_wrong_endpoint_is_found_for_what_is_wrong(site: Site, kind: type[Mutant]) -> None:
    """What it breaks is found broken; what it keeps is found to hold, so that not all is blamed."""
    site.token("treating-clinic-1")
    report = tried(site, kind(site))
    found = {o.name: o.verdict for o in report.obligations}
    assert {n: found[n] for n in kind.breaks} == dict.fromkeys(kind.breaks, "broken"), report
    assert {n: found[n] for n in kind.keeps} == dict.fromkeys(kind.keeps, "holds"), report
    assert not report.conforms


class NobodyMay(Mutant):
    """Lets nobody act: as where a newer protocol came and nobody is trained on it."""

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Refuse each command."""
        if command_of(request):
            why = {"type": "/problems/no", "title": "No current competence", "status": 403}
            return httpx.Response(403, json=why)
        return await self.sound(request)


def test_where_no_handoff_is_reached_it_says_why_in_words(site: Site) -> None:
    """Where the journey stands, who would act, and what the endpoint answered last."""
    with pytest.raises(Unusable, match=r"H01 release .* 403 No current competence") as stuck:
        tried(site, NobodyMay(site))
    assert "(activity=" not in str(stuck.value)


def test_one_obligation_can_be_tried_by_itself(site: Site) -> None:
    """With what it needs before it, and nothing else; a name that is none is refused."""
    report = tried(site, Mutant(site))
    assert [o.name for o in report.obligations] == ["blind"] and report.conforms
    assert set(NEEDS) <= set(OBLIGATIONS)
    result = CliRunner().invoke(main, ["conformance", "run", site.base, "--only", "kindness"])
    assert result.exit_code == 2 and "kindness" in result.output


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "not a url"])
def test_where_there_is_no_endpoint_it_says_so(url: str) -> None:
    """Exit status 2 and one line."""
    result = CliRunner().invoke(main, ["conformance", "run", url])
    assert result.exit_code == 2 and "stafett conformance:" in result.output
