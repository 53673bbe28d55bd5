"""Onboarding through the API: two organisations, the record, and the public list after it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from drills_ import carry_out
from site_ import Site
from stafett.service import demo

SITE, ASKER, OUTSIDER = "administrator", "manufacturer-admin", "courier-admin"
NAME = "university-hospital.malaren-cell-works"


def act(site: Site, login: str, what: str, topic: str = "", **more: Any) -> httpx.Response:
    body = {"act": what, "topic": topic, "text": more.pop("text", "see document"), **more}
    return site.call(login, "POST", f"/api/onboardings/{NAME}/acts", json=body)


def opened(site: Site) -> dict[str, Any]:
    body = {"site": "university-hospital", "list": "malaren-cell-works"}
    site.call(SITE, "POST", "/api/onboardings", json=body)
    found: dict[str, Any] = site.call(SITE, "GET", f"/api/onboardings/{NAME}").json()
    return found


def dry_run(site: Site) -> None:
    """Let the site's people carry a dummy shipment over each of their interfaces."""
    for leg in opened(site)["run"]["dry-run.shipment"]:
        login = f"{leg['role'].replace('_', '-')}-1"
        carry_out(site, login, "autologous-car-t", leg["activity"], leg["side"])


def test_everyone_may_compare_what_is_asked(site: Site) -> None:
    """The comparison is public; contradictions come first and say so."""
    found = site.call(None, "GET", "/api/readiness/comparison").json()
    verdicts = {line["topic"]: line["verdict"] for line in found["lines"]}
    assert verdicts["thaw.method"] == "contradictory" == found["lines"][0]["verdict"]
    assert verdicts["accreditation.fact-jacie"] == "same"
    assert found["lines"][0]["topic"] == "thaw.method"
    assert 0 < found["shared"] < found["several"]


def test_what_is_shown_can_be_opened_by_who_asks(site: Site) -> None:
    """The asker reads the document, nobody else does; what is not ours is not shown."""
    headers = {"Content-Type": "application/pdf"}
    ours = site.call(SITE, "POST", "/api/documents", content=b"%PDF a certificate", headers=headers)
    sha256 = ours.json()["sha256"]
    name = f"/api/documents/{sha256}"
    assert site.call(ASKER, "GET", name).status_code == 404
    topic = next(t for t, item in opened(site)["items"].items() if item["status"] == "missing")
    assert act(site, SITE, "show", topic, sha256=sha256).status_code == 200
    assert site.call(ASKER, "GET", name).content == b"%PDF a certificate"
    assert site.call(OUTSIDER, "GET", name).status_code == 404
    theirs = site.call(OUTSIDER, "POST", "/api/documents", content=b"another's", headers=headers)
    for foreign in (theirs.json()["sha256"], "0" * 64):
        assert act(site, SITE, "show", topic, sha256=foreign).status_code == 404


def test_a_dry_run_is_what_the_record_of_practice_says(site: Site) -> None:
    """Words alone show no dry run; who asks sees how each interface went, and nobody's name."""
    topic = "dry-run.shipment"
    legs = opened(site)["run"][topic]
    assert {leg["side"] for leg in legs} == {"release", "accept"} and len(legs) > 3
    answer = act(site, SITE, "show", topic, text="we did it, believe us")
    assert answer.status_code == 409 and answer.json()["reasons"][0]["field"] == "run"
    assert all(leg["activity"] in answer.json()["reasons"][0]["what"] for leg in legs)
    dry_run(site)
    assert site.call(ASKER, "GET", f"/api/onboardings/{NAME}").json()["run"] == {}
    shown = act(site, SITE, "show", topic).json()["items"][topic]
    assert {leg["verdict"] for leg in shown["run"]} <= {"recognised", "clean"}
    asked = site.call(ASKER, "GET", f"/api/onboardings/{NAME}").json()["items"][topic]
    assert asked["run"] == shown["run"] and len(asked["run"]) == len(legs)
    told = {name for leg in asked["run"] for name in leg}
    assert told <= {"activity", "side", "role", "fault", "verdict", "seconds", "at"}, "no person"


def test_a_site_becomes_ready_by_both_sides_and_the_public_list_says_so(site: Site) -> None:
    """Evidence, acceptance, two signatures; then the qualification stands in the registry."""
    state = opened(site)
    dry_run(site)
    for topic in state["items"]:
        assert act(site, SITE, "show", topic).status_code == 200
        assert act(site, ASKER, "accept", topic).status_code == 200
    assert act(site, SITE, "sign").status_code == 403
    assert act(site, SITE, "sign", password=demo.PASSWORD).status_code == 200
    done = act(site, ASKER, "sign", password=demo.PASSWORD).json()
    assert {s["method"] for s in done["signatures"].values()} == {"password"}
    assert all(s["wrong"] == "" for s in done["signatures"].values()), done["signatures"]
    assert done["ready"] and done["days"] is not None
    listed = site.call(None, "GET", "/api/registry/site/university-hospital").json()[-1]
    assert "malaren-cell-works" in {q["by"] for q in listed["value"]["qualifications"]}
    assert listed["reason"].startswith("onboarding")
    # The next one who asks finds most of it done: only the strictness differs.
    body = {"site": "university-hospital", "list": "meridian-therapeutics"}
    second = site.call(SITE, "POST", "/api/onboardings", json=body).json()
    carried = {t for t, i in second["items"].items() if i["carried"] == "malaren-cell-works"}
    assert "accreditation.fact-jacie" in carried and "dry-run.shipment" not in carried
    assert "thaw.method" not in carried


def test_either_side_withdraws_and_it_can_be_opened_anew(site: Site) -> None:
    """With a reason; then nothing more happens to it, until it is opened again from the start."""
    body = {"site": "university-hospital", "list": "boreal-gene"}
    assert site.call(SITE, "POST", "/api/onboardings", json=body).status_code == 201
    path = "/api/onboardings/university-hospital.boreal-gene"
    show = {"act": "show", "topic": "thaw.method", "text": "water bath"}
    assert site.call(SITE, "POST", f"{path}/acts", json=show).status_code == 200
    silent = site.call(SITE, "POST", f"{path}/acts", json={"act": "withdraw"})
    assert silent.status_code == 422, "it says why"
    gone = {"act": "withdraw", "text": "the product was withdrawn from the market"}
    done = site.call(SITE, "POST", f"{path}/acts", json=gone).json()
    assert done["withdrawn"]["side"] == "site" and not done["ready"]
    refused = site.call(SITE, "POST", f"{path}/acts", json=show)
    assert refused.status_code == 409 and "open it anew" in refused.text
    again = site.call(SITE, "POST", "/api/onboardings", json=body)
    assert again.status_code == 201 and again.json()["withdrawn"] is None
    assert again.json()["items"]["thaw.method"]["status"] == "missing"


def test_the_protocol_of_onboardings_is_public(site: Site) -> None:
    """Drawn in the reader's language, and as the very file that is proven."""
    from stafett.protocol.builtin import ONBOARDING, source

    assert site.call(None, "GET", "/registry/onboarding.yaml").content == source(ONBOARDING)
    drawn = site.call(None, "GET", "/registry/onboarding.svg", headers={"Accept-Language": "sv"})
    assert drawn.headers["content-type"].startswith("image/svg") and "redo" in drawn.text
    assert "onboarding.svg" in site.call(None, "GET", "/registry/requirements").text


def test_an_onboarding_is_seen_by_its_two_sides_only(site: Site) -> None:
    """Another organisation finds nothing there, and cannot open it either."""
    opened(site)
    assert site.call(OUTSIDER, "GET", f"/api/onboardings/{NAME}").status_code == 404
    assert act(site, OUTSIDER, "show", "thaw.method").status_code == 404
    assert site.call(OUTSIDER, "GET", "/api/onboardings").json() == []
    body = {"site": "umea", "list": "boreal-gene"}
    assert site.call(OUTSIDER, "POST", "/api/onboardings", json=body).status_code == 403


@pytest.mark.parametrize(
    ("login", "what", "topic", "status"),
    [
        (ASKER, "show", "thaw.method", 409),
        (SITE, "accept", "thaw.method", 409),
        (SITE, "show", "moon", 409),
        (ASKER, "refuse", "moon", 409),
    ],
)
def test_each_side_keeps_to_its_part(
    site: Site, login: str, what: str, topic: str, status: int
) -> None:
    """What is not its own to do is refused with the reason, and changes nothing."""
    before = opened(site)
    answer = act(site, login, what, topic)
    assert answer.status_code == status and answer.json()["reasons"][0]["what"]
    assert opened(site)["items"] == before["items"]


def test_what_is_unknown_or_open_already_is_said(site: Site) -> None:
    """No such site; no such list; opened twice."""
    opened(site)
    for body, status in (
        ({"site": "nowhere", "list": "boreal-gene"}, 404),
        ({"site": "university-hospital", "list": "nobody"}, 404),
        ({"site": "university-hospital", "list": "malaren-cell-works"}, 409),
    ):
        assert site.call(SITE, "POST", "/api/onboardings", json=body).status_code == status
