"""A site that both sides have signed to be ready is on the public list, whatever happened."""

from __future__ import annotations

import time
from typing import Any

import pytest

from drills_ import carry_out
from site_ import Site
from stafett.ledger import NotAcknowledged
from stafett.service import demo

SITE, ASKER = "administrator", "manufacturer-admin"
NAME = "university-hospital.malaren-cell-works"


def act(site: Site, login: str, what: str, topic: str = "", **more: Any) -> Any:
    """Carry out one act of an onboarding."""
    body = {"act": what, "topic": topic, "text": "see document", **more}
    return site.call(login, "POST", f"/api/onboardings/{NAME}/acts", json=body)


def entry(site: Site) -> Any:
    """Return the hospital's site as the public list has it."""
    return site.call(None, "GET", "/api/registry/site/university-hospital").json()[-1]["value"]


def listed(site: Site) -> bool:
    """Say whether the list says that the site is ready for this manufacturer."""
    return "malaren-cell-works" in {q["by"] for q in entry(site)["qualifications"]}


def test_a_site_is_listed_though_the_process_died_before_it_could_say_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second signature is in the record and counts; what was taken out later stays out."""
    body = {"site": "university-hospital", "list": "malaren-cell-works"}
    site.call(SITE, "POST", "/api/onboardings", json=body)
    state = site.call(SITE, "GET", f"/api/onboardings/{NAME}").json()
    for leg in state["run"]["dry-run.shipment"]:
        login = f"{leg['role'].replace('_', '-')}-1"
        carry_out(site, login, "autologous-car-t", leg["activity"], leg["side"])
    for topic in state["items"]:
        assert act(site, SITE, "show", topic).status_code == 200
        assert act(site, ASKER, "accept", topic).status_code == 200
    assert act(site, SITE, "sign", password=demo.PASSWORD).status_code == 200

    async def away(*_: object) -> None:
        raise NotAcknowledged("key", "the ledger is away")

    with monkeypatch.context() as patched:
        patched.setattr(site.tower.registry, "put_signed", away)
        done = act(site, ASKER, "sign", password=demo.PASSWORD)
        assert done.status_code == 200 and done.json()["ready"]
        assert not listed(site)
        assert site.inside(site.tower.onboardings.relay()) == 1
    end = time.monotonic() + 60
    while not listed(site):
        assert time.monotonic() < end
        time.sleep(0.2)
    plain = entry(site)
    change = {**plain, "qualifications": []}
    body = {"value": change, "reason": "found to be wrong"}
    taken = site.call(SITE, "PUT", "/api/registry/site/university-hospital", json=body)
    assert taken.status_code in (200, 201), taken.text
    assert site.inside(site.tower.onboardings.relay()) == 0
    assert not listed(site)


def test_an_act_whose_record_is_away_is_told_that_nobody_knows(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and to send it again: not that nothing was recorded."""

    async def away(*_: object) -> None:
        raise NotAcknowledged("key", "the ledger is away")

    monkeypatch.setattr(site.tower.onboardings, "_append", away)
    body = {"site": "university-hospital", "list": "boreal-gene"}
    answer = site.call(SITE, "POST", "/api/onboardings", json=body)
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert answer.json()["type"].endswith("not-acknowledged")
