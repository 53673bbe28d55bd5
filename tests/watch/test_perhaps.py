"""Seen outside, and nobody knows for how long: on arrival that blocks, as an excursion does."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from stafett.journey.raised import Raised
from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.service.excursions import Alarm, alarms
from stafett.service.live import Live
from stafett.watch.finding import Finding
from stafett.watch.judgement import Judgement, judge
from stafett.watch.reading import Chunk
from stafett.watch.rules import Limit, Rules
from stafett.watch.series import Arrived, merge
from stafett.watch.shipment import Shipment, shipments
from stafett.web.noting import said

RULES = Rules(limit=Limit(low_c=2.0, high_c=8.0))
MINUTE = 60.0


def journeys(states: tuple[Net, list[State]]) -> tuple[Live, Live]:
    """Return a journey while a shipper is on its way, and after it has been opened."""
    net, found = states
    for n, state in enumerate(found):
        moving = {s.id for s in shipments(net, state) if s.until is None and s.logger}
        for after in found[n:]:
            opened = [s for s in shipments(net, after) if s.id in moving and s.until]
            if opened:
                return Live(net, state, "p", "x"), Live(net, after, "p", "x")
    raise AssertionError("no shipper of these is opened")


def of(live: Live, *, is_open: bool) -> Shipment:
    """Return the one shipment that is under way, or the one that is over."""
    found = [s for s in shipments(live.net, live.state) if s.logger]
    return next(s for s in found if (s.until is not None) is is_open)


def judged(shipment: Shipment, warm: int, unheard: int) -> Judgement:
    """Judge readings of which the last `warm` minutes before a gap of `unheard` were at 12 °C."""
    start = shipment.since.timestamp()
    values = [5.0] * 60 + [12.0] * warm
    times = [start + MINUTE * i for i in range(len(values))]
    back = times[-1] + MINUTE * unheard
    times += [back + MINUTE * i for i in range(30)]
    values += [5.0] * 30
    chunk = Chunk(0, None, np.array(times), {"temperature_c": np.array(values)})
    return judge(
        merge([Arrived(chunk, times[-1])]), RULES, start=start, end=times[-1], calibrated_until=1e12
    )


def raised(live: Live, shipment: Shipment, made: Judgement) -> list[Alarm]:
    """Return what the watch would raise."""
    return list(alarms(live, shipment, RULES, made, datetime.now(UTC)))


def test_what_is_perhaps_too_long_outside_is_raised_once_the_shipper_is_open(
    states: tuple[Net, list[State]],
) -> None:
    """Three minutes seen, an hour not known: on the way it waits, on arrival it is an excursion."""
    before, after = journeys(states)
    moving, opened = of(before, is_open=False), of(after, is_open=True)
    made = judged(moving, warm=3, unheard=60)
    assert [f.kind for f in made.findings if f.kind == "perhaps"] and made.verdict == "unknown"
    assert raised(before, moving, made) == []
    (alarm,) = raised(after, opened, judged(opened, warm=3, unheard=60))
    assert alarm.command.code == "TEMP_EXCURSION" and alarm.command.about == opened.material
    assert "perhaps for" in alarm.command.note and str(opened.logger) in alarm.command.note
    for language, word in (("en", "perhaps"), ("sv", "kanske"), ("es", "quizá")):
        told = said(alarm.command.note, language, after.net)
        assert told is not None and word in told


@pytest.mark.parametrize(("warm", "unheard"), [(0, 60), (3, 5)])
def test_a_gap_beside_what_was_in_order_is_no_excursion(
    states: tuple[Net, list[State]], warm: int, unheard: int
) -> None:
    """How long nothing may be heard is the protocol's to say; a short time outside is none."""
    _, after = journeys(states)
    opened = of(after, is_open=True)
    assert raised(after, opened, judged(opened, warm=warm, unheard=unheard)) == []


def test_what_is_known_to_be_too_long_goes_before_what_may_be(
    states: tuple[Net, list[State]],
) -> None:
    """One deviation of a code at a time, and it says what is certain."""
    _, after = journeys(states)
    opened = of(after, is_open=True)
    made = judged(opened, warm=20, unheard=60)
    more = made._replace(findings=(*made.findings, Finding("perhaps", "unknown", 0.0, 1.0, 3600.0)))
    (alarm,) = raised(after, opened, more)
    assert "at a stretch" in alarm.command.note


def test_an_undecided_excursion_of_another_lot_hides_none(states: tuple[Net, list[State]]) -> None:
    """Of a material there may be two lots, in two places; what a person raised is about each."""
    _, after = journeys(states)
    opened = of(after, is_open=True)
    made = judged(opened, warm=20, unheard=1)
    (alarm,) = raised(after, opened, made)
    other = next(lot for lot in after.state.lots if lot != opened.lot)
    notes = {
        alarm.command.note: 0,
        alarm.command.note.replace(opened.lot, other, 1): 1,
        alarm.command.note.replace(": ", " in Tank 2: ", 1): 1,
        "the courier said: it was warm": 0,
    }
    for note, count in notes.items():
        one = Raised(
            deviation="DEV-1", code="TEMP_EXCURSION", kind="condition", severity="major",
            about=opened.material, note=note, raised_at=datetime.now(UTC), position=1,
        )  # fmt: skip
        state = msgspec.structs.replace(after.state, deviations={"DEV-1": one})
        told = Live(after.net, state, "p", "x")
        assert len(raised(told, opened, made)) == count, note


@pytest.mark.parametrize(("warm", "unheard", "told"), [(20, 1, 1), (3, 60, 0)])
def test_when_the_journey_is_over_what_is_certain_is_raised(
    states: tuple[Net, list[State]], warm: int, unheard: int, told: int
) -> None:
    """A file that is read late shows what the patient was given; a gap says nothing new then."""
    _, after = journeys(states)
    opened = of(after, is_open=True)
    made = judged(opened, warm=warm, unheard=unheard)
    over = msgspec.structs.replace(after.state, ended_at=datetime.now(UTC))
    assert len(raised(Live(after.net, over, "p", "x"), opened, made)) == told
