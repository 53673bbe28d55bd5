"""What stations and queues show, and what they must not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey.tasks import next_moves
from stafett.journey.view import station


def test_the_receiver_is_blind(stage: Any) -> None:
    """Before the own scan, the view holds no identifier of the shipper or of the journey."""
    stage.walk_to("H1", "accept", "shipper")
    shown = msgspec.json.encode(stage.station("H1", "accept")).decode()
    for lot in stage.state.lots.values():
        for value in lot.identifiers.values():
            assert value not in shown
    assert stage.state.coi not in shown


def test_a_match_is_shown_by_its_tail(stage: Any) -> None:
    """After the own scan its last four characters can be read back."""
    stage.walk_to("H1", "accept", "seal")
    check = stage.station("H1", "accept").checks[0]
    assert check.result == "pass"
    assert check.tail == stage.state.lot("shipper").identifiers["sscc"][-4:]


def test_the_next_scan_is_named(stage: Any) -> None:
    """A station says what to scan now, of what, and what kind of symbol it is."""
    stage.walk_to("H1", "accept", "shipper")
    place = stage.station("H1", "accept")
    check = next(check for check in place.checks if check.id == place.next_scan)
    assert (check.material_title, check.identifier_title, check.structure) == (
        "Shipper",
        "Shipper number",
        "gs1-sscc",
    )


def test_after_the_work_comes_after_it(stage: Any) -> None:
    """While a check before the work is open, none after it is offered."""
    stage.walk_to("collect", "step", "begin")
    place = stage.station("collect")
    assert (place.next, place.next_scan) == ("begin", None)


def test_a_new_label_is_told_from_a_known_one(stage: Any) -> None:
    """The first scan binds; the second person's scan compares."""
    stage.walk_to("collect", "step", "label")
    label = next(check for check in stage.station("collect").checks if check.id == "label")
    assert label.binds
    stage.ok(stage.right("collect"))
    label = next(check for check in stage.station("collect").checks if check.id == "label")
    assert (label.binds, label.second) == (False, True)


def test_the_receiver_sees_that_documents_came(stage: Any) -> None:
    """By name, without what is written in them."""
    stage.walk_to("H1", "accept")
    (document,) = stage.station("H1", "accept").documents
    assert (document.id, document.attached, document.fields) == ("waybill", True, ())


def test_a_station_speaks_its_language(stage: Any) -> None:
    """Swedish where the protocol has it, English elsewhere."""
    place = station(stage.net, stage.state, "H0", "release", "sv")
    assert (place.object, place.role_title) == ("beställningen", "Klinik")


def test_what_does_not_exist_has_no_station(stage: Any) -> None:
    """A step has no giver, and H99 has nothing."""
    with pytest.raises(LookupError, match="no side"):
        stage.station("collect", "release")
    with pytest.raises(LookupError, match="H99"):
        stage.station("H99", "release")


def test_what_is_in_the_way_is_listed(stage: Any) -> None:
    """Every open check and document, as `decide` would refuse with."""
    stage.walk_to("H1", "release", "shipper")
    missing = [reason.field for reason in stage.station("H1", "release").missing]
    assert missing == ["shipper", "logger", "waybill"]


def test_decisions_come_first(stage: Any) -> None:
    """A pending decision heads the queue, with the deviation that led to it."""
    stage.walk_to("H1", "accept", "seal")
    stage.ok(stage.answer("H1", "accept", "seal", "broken"))
    first = next_moves(stage.net, stage.state)[0]
    assert (first.kind, first.activity, first.about, first.role) == ("decide", "judge", "H1", "qp")
    assert first.deviations == ("D1",)
    assert (
        first.due
        == stage.state.done["collect"]
        + stage.net.protocol.materials["bag"].shelf_life.at_most.timedelta
    )


def test_a_queue_knows_its_organisation(stage: Any) -> None:
    """Each task says which role and organisation is to act, and since when."""
    stage.walk_to("H1", "accept")
    task = next(task for task in next_moves(stage.net, stage.state) if task.activity == "H1")
    assert (task.kind, task.role, task.organisation) == ("receive", "courier", "org-courier")
    assert task.since == stage.state.begun["H1"]


def test_after_a_loss_the_queue_begins_anew(stage: Any) -> None:
    """The handoff that carried the lost bag is gone from the queue; collecting is back in it."""
    stage.walk_to("H2", "accept")
    stage.ok(
        c.ReportLost(
            occurred_at=stage.at, by=stage.by("courier"), material="bag", reason="taken out"
        )
    )
    (task,) = next_moves(stage.net, stage.state)
    assert task.activity == "collect"


def test_an_ended_journey_asks_nothing(stage: Any) -> None:
    """No tasks, and a command says how it ended."""
    by = stage.by("clinic")
    stage.ok(c.Interrupt(occurred_at=stage.at, by=by, interrupt="consent_withdrawn", reason="told"))
    assert next_moves(stage.net, stage.state) == []
    assert "not-treated" in str(
        stage.no(c.Start(occurred_at=stage.at, by=by, step="consent"), "ended")
    )
