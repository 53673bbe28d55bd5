"""A whole journey, walked by people who follow the protocol, well and with faults."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import msgspec
import pytest

from stafett.journey import event as e
from stafett.journey.evolve import replay
from stafett.journey.script import Fault, Story, play
from stafett.journey.state import ancestors, custody
from stafett.protocol.net import Net


def outcome(story: Story) -> str:
    assert story.state is not None
    return story.net.outcomes[story.state.marking.outcome]


def test_all_is_well(net: Net, start: datetime) -> None:
    """From consent to infusion nothing is refused, and no deviation is raised."""
    story = play(net, start)
    assert outcome(story) == "treated"
    assert story.refusals == []
    assert story.state is not None
    assert story.state.deviations == {}


def test_the_dose_descends_from_the_bag(net: Net, start: datetime) -> None:
    """What is infused leads back, lot by lot, to what was collected."""
    story = play(net, start)
    assert story.state is not None
    assert ancestors(story.state, "thawed/1") == ("dose/1", "bag/1")


def test_replay_from_json(net: Net, start: datetime) -> None:
    """The events, written as JSON and read back, give the same state."""
    story = play(net, start, faults=(Fault("WRONG_LABEL", "H1"), Fault("OOS_RESULT", "test")))
    raw = msgspec.json.encode([e.to_json(event) for event in story.events])
    again = [e.from_json(value) for value in msgspec.json.decode(raw)]
    assert replay(net, again) == story.state


@pytest.mark.parametrize(
    ("fault", "code", "event"),
    [
        (Fault("WRONG_LABEL", "H1", "shipper"), "IDENTITY_MISMATCH", e.Stopped),
        (Fault("BROKEN_SEAL"), "BROKEN_SEAL", e.Stopped),
        (Fault("UNKNOWN", "H2", "seal"), "BROKEN_SEAL", e.Stopped),
        (Fault("DOC_MISSING"), "DOC_MISSING", e.Accepted),
        (Fault("TEMP_EXCURSION", "H5"), "TEMP_EXCURSION", e.Accepted),
        (Fault("LOW_YIELD"), "LOW_YIELD", e.StepFinished),
        (Fault("OOS_RESULT", "test"), "OOS_RESULT", e.Decided),
        (Fault("QUARANTINE", "H2"), "IDENTITY_MISMATCH", e.Quarantined),
        (Fault("REFUSE", "H4"), "IDENTITY_MISMATCH", e.Refused),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_a_fault_is_seen(
    net: Net, start: datetime, fault: Fault, code: str, event: type[e.Base]
) -> None:
    """Each fault raises its deviation, is acted upon, and the journey still reaches its end."""
    story = play(net, start, faults=(fault,))
    assert story.state is not None
    assert code in {d.code for d in story.state.deviations.values()}
    assert any(isinstance(one, event) for one in story.events)
    assert outcome(story) == "treated"


def test_custody_has_no_gap(net: Net, start: datetime) -> None:
    """Each stretch of custody begins at the instant in which the one before it ended."""
    story = play(net, start, faults=(Fault("QUARANTINE", "H2"), Fault("REFUSE", "H4")))
    assert story.state is not None
    by_lot: dict[str, list[tuple[datetime, datetime | None]]] = {}
    for stretch in custody(story.state):
        by_lot.setdefault(stretch.lot, []).append((stretch.since, stretch.until))
    assert len(by_lot) == 5
    for stretches in by_lot.values():
        for one, following in pairwise(stretches):
            assert one[1] == following[0]
