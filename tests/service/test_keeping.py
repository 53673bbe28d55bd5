"""Retention is computed from the product's expiry; erasing destroys the key and leaves the tree."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg
from msgspec import structs

from site_ import Site
from stafett.journey.script import play
from stafett.ledger import bundle
from stafett.service.demo import PASSWORD
from stafett.service.keeping import retention, years_after

ADMIN, SECOND = "administrator", "records-officer"
NURSE = "treating-clinic-1"


def sealed_proof(site: Site, journey: str) -> bundle.Bundle:
    """Return the journey's proof once everything is under a checkpoint."""
    end = time.monotonic() + 20
    while True:
        standing = site.call(NURSE, "GET", "/api/record").json()
        if standing["signed"] == standing["size"]:
            answer = site.call(NURSE, "GET", f"/api/journeys/{journey}/proof")
            return bundle.parse(answer.content)
        assert time.monotonic() < end
        time.sleep(0.2)


def test_thirty_years_count_from_the_products_expiry(site: Site) -> None:
    """The latest expiry of any material of the journey, plus thirty calendar years."""
    pinned = site.tower.library.current()["autologous-car-t"]
    net = site.tower.library.net(pinned.sha256, None)
    story = play(net, datetime(2026, 3, 2, 7, 30, tzinfo=UTC), seed=1)
    found = retention(net, story.state)
    assert found.until is not None and found.since is not None and not found.assumed
    assert found.until == years_after(found.since, 30)
    assert found.since > story.state.opened_at
    assert years_after(datetime(2028, 2, 29, tzinfo=UTC), 30) == datetime(2058, 3, 1, tzinfo=UTC)


def test_a_product_that_was_to_be_made_anew_is_kept_for_as_long(site: Site) -> None:
    """What was made keeps its years, though its clock was stopped for another that never came."""
    pinned = site.tower.library.current()["autologous-car-t"]
    net = site.tower.library.net(pinned.sha256, None)
    state = play(net, datetime(2026, 3, 2, 7, 30, tzinfo=UTC), seed=1).state
    assert state is not None and state.ended_at is not None
    whole = retention(net, state)
    again = retention(net, structs.replace(state, done={}))
    assert again.assumed and again.since is not None and whole.since is not None
    assert again.since > state.ended_at
    assert whole.since - again.since < timedelta(days=14)  # from its making on, not its freezing


def test_an_open_journey_is_kept_without_an_end(site: Site) -> None:
    """While a product may still come, no date can be given."""
    journey = site.order()
    found = site.call(NURSE, "GET", f"/api/journeys/{journey}/retention").json()
    assert found["until"] is None and found["years"] == 30 and "1394/2007" in found["source"]


def test_erasing_a_patient_end_to_end(site: Site) -> None:
    """The key is gone, the tree verifies as before, and the record says who did it and why."""
    journey = site.order(wristband="19450508-1234")
    before = sealed_proof(site, journey)
    assert bundle.verify(before).sound
    path = f"/api/journeys/{journey}/erasure"
    assert (
        site.call(NURSE, "POST", path, json={"basis": "ordered", "reason": "x" * 9}).status_code
        == 403
    )
    for body, code in (
        ({"basis": "retention-ended", "reason": "the patient asks"}, "retention"),
        ({"basis": "no-product-given", "reason": "the patient asks"}, "retention"),
        ({"basis": "ordered", "reason": " "}, "reason-missing"),
    ):
        refused = site.call(ADMIN, "POST", path, json=body)
        assert refused.status_code in (409, 422) and refused.json()["type"].endswith(code)
    other = site.call(
        "courier-admin", "POST", path, json={"basis": "ordered", "reason": "no business"}
    )
    assert other.status_code == 404
    answer = site.call(
        ADMIN,
        "POST",
        path,
        json={"basis": "ordered", "reason": "court order 12/26", "password": PASSWORD},
    )
    assert answer.status_code == 200, answer.text
    pseudonym = answer.json()["pseudonym"]
    answer = site.call(SECOND, "POST", f"{path}/confirmation", json={"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    with psycopg.connect(site.tower.url) as connection:
        row = connection.execute(
            "SELECT wrapped_key, sealed, erased FROM vault.patient WHERE pseudonym = %s",
            [pseudonym],
        ).fetchone()
    assert row is not None and row[:2] == (None, None) and row[2] is not None
    after = sealed_proof(site, journey)
    assert [e.leaf for e in after.entries] == [e.leaf for e in before.entries]
    assert bundle.verify(after).sound
    trail = site.inside(site.tower.ledger.stream("administration/university-hospital"))
    (event,) = [e for e in trail if e.body["change"]["what"] == "patient-erased"]
    change = event.body["change"]
    assert change["reason"] == "court order 12/26" and change["person"] == SECOND
    assert change["after"]["asked"]["signature"]["person"] == ADMIN
    assert change["about"] == pseudonym and change["before"]["journey"] == journey
    assert event.signature is not None
    assert datetime.now(UTC) - event.recorded_at < timedelta(minutes=5)
