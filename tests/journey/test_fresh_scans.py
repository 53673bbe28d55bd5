"""A wristband or a bag is scanned within minutes of signing for it, and kept numbers are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import msgspec
import pytest

from stafett.journey import event as e
from stafett.journey.check import inherited
from stafett.journey.clock import FRESH, scans_keep
from stafett.journey.command import Answer
from stafett.journey.decide import decide
from stafett.journey.evolve import evolve
from stafett.journey.label import make
from stafett.journey.script import play
from stafett.protocol.duration import Duration
from stafett.protocol.model import Limit
from stafett.protocol.net import Net
from stafett.protocol.read import parse

replace = msgspec.structs.replace
START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize("side", ["release", "accept"])
def test_a_scan_that_is_too_old_is_made_again_before_signing(stage: Any, side: str) -> None:
    """The side does not close, the station asks again, and the same person may scan again."""
    closing = stage.to_closing("H1", side)
    stage.at += FRESH + timedelta(seconds=1)
    refusal = stage.no(replace(closing, occurred_at=stage.at), "check-missing")
    assert any(r.field == "shipper" and "scan it again" in r.todo for r in refusal.reasons)
    place = stage.station("H1", side)
    shown = next(check for check in place.checks if check.id == "shipper")
    assert (shown.again, shown.result, shown.tail) == (True, None, None)
    assert place.next_scan is not None
    stage.ok(stage.to_closing("H1", side))


def test_a_scan_counts_until_its_last_moment(stage: Any) -> None:
    """Just in time is in time."""
    closing = stage.to_closing("H1", "release")
    scanned = min(answers[-1].at for answers in stage.state.sheet("H1", "release").answers.values())
    stage.ok(replace(closing, occurred_at=scanned + FRESH))


def test_a_station_without_network_is_judged_by_its_own_moments(stage: Any) -> None:
    """What was scanned and signed within minutes counts, however late it is sent."""
    closing = stage.to_closing("H1", "release")
    stage.ok(replace(closing, recorded_at=stage.at + timedelta(hours=9)))


def test_a_scan_that_no_longer_matches_stops(stage: Any) -> None:
    """Scanning again is a check like the first: another bag is a stop."""
    stage.to_closing("H1", "accept")
    stage.at += FRESH + timedelta(minutes=1)
    right = stage.right("H1", "accept")
    kind = stage.net.protocol.identifiers["sscc"]
    assert right.check == "shipper"
    events = stage.ok(replace(right, value=stage.story.labels.of_another(kind)))
    assert any(isinstance(event, e.Stopped) for event in events)


def test_the_protocol_says_how_long_a_scan_counts(net: Net) -> None:
    """Its own figure is used in place of the assumption."""
    assert scans_keep(net) == FRESH
    own = replace(net.protocol, scans=Limit(at_most=Duration.parse("3 min"), proposal=True))
    assert scans_keep(Net(own)) == timedelta(minutes=3)


def car_t() -> Net:
    """Return the built-in protocol."""
    folder = resources.files("stafett") / "catalogue" / "protocols"
    return Net(parse((folder / "autologous-car-t.yaml").read_text("utf-8")).bind())


def test_a_relabelled_bag_keeps_the_donation_number() -> None:
    """A new label with another donation's number stops; the same number is taken."""
    net = car_t()
    story = play(net, START)
    state = None
    relabels = [one for one in story.commands if isinstance(one, Answer) and one.check == "new"]
    assert len(relabels) == 2, "two people scan the new label"
    bound = next(
        event for event in story.events
        if isinstance(event, e.IdentifierBound) and event.material == "starting_bag"
    )  # fmt: skip
    collected = next(
        event for event in story.events
        if isinstance(event, e.IdentifierBound) and event.material == "apheresis_bag"
    )  # fmt: skip
    assert bound.value == collected.value
    for event in story.events:
        if isinstance(event, e.CheckAnswered) and event.check == "new":
            break
        state = evolve(net, state, event)
    assert state is not None
    assert inherited(net, state, relabels[0].activity, "starting_bag", "din") == "apheresis_bag"
    wrong = decide(net, state, replace(relabels[0], value=make("isbt128-din", 77, 3)))
    assert isinstance(wrong, tuple)
    assert any(isinstance(event, e.Stopped) for event in wrong)
    assert not any(isinstance(event, e.IdentifierBound) for event in wrong)
    right = decide(net, state, relabels[0])
    assert isinstance(right, tuple)
    assert any(isinstance(event, e.IdentifierBound) for event in right)
