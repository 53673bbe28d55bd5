"""The protocol's own conditions: a door, a shock, a tilt, a silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stafett.protocol.duration import Duration
from stafett.protocol.model import Condition
from stafett.watch.breach import breaches
from stafett.watch.judgement import judge
from stafett.watch.reading import Chunk
from stafett.watch.rules import Limit, Rules
from stafett.watch.series import Arrived, merge

T0 = 1_770_000_000.0
HOUR = 3600.0


def minutes(**channels: Any) -> Any:
    """Return a series of one reading a minute, all of them cold."""
    count = len(next(iter(channels.values())))
    told = {name: np.array(values, dtype=float) for name, values in channels.items()}
    told["temperature_c"] = -150.0 + 0.1 * (np.arange(count) % 7)
    return merge([Arrived(Chunk(0, None, T0 + 60.0 * np.arange(count), told), T0)])


def judged(series: Any, *conditions: Condition, end: float | None = None, **more: Any) -> Any:
    """Judge a series under conditions, up to its last reading or to `end`."""
    rules = Rules(limit=Limit(high_c=-120.0), conditions=conditions)
    last = float(series.times[-1]) if end is None else end
    return judge(series, rules, start=T0, end=last, calibrated_until=T0 + 1e9, **more)


def of(what: Any, code: str = "CODE", **more: Any) -> Condition:
    """Return a condition."""
    times = {k: Duration.parse(v) if k in ("at_most", "in_all") else v for k, v in more.items()}
    return Condition(of=what, deviation=code, proposal=True, **times)


@pytest.mark.parametrize(
    ("condition", "channels", "kind"),
    [
        (of("door"), {"door": [0] * 9 + [1] + [0] * 9}, "door"),
        (of("shock", max=25), {"shock_g": [1] * 9 + [26] + [1] * 9}, "shock"),
        (of("tilt", max=45, at_most="5 min"), {"tilt_deg": [3] * 9 + [80] * 7 + [3] * 3}, "side"),
    ],
)
def test_what_the_protocol_forbids_is_raised_under_its_code(
    condition: Condition, channels: Any, kind: str
) -> None:
    """It is an alarm with the deviation that the protocol names, and without it only a look."""
    found = judged(minutes(**channels), condition)
    assert [f.code for f in found.findings if f.verdict == "alarm"] == ["CODE"]
    assert found.verdict == "alarm" and found.has(kind)
    assert judged(minutes(**channels)).verdict == "attention"


def test_within_its_time_a_tilt_is_no_breach() -> None:
    """Four minutes of five permitted: a person may look, nothing is raised."""
    series = minutes(tilt_deg=[3] * 9 + [80] * 4 + [3] * 9)
    assert judged(series, of("tilt", max=45, at_most="5 min")).verdict == "attention"


def test_short_tilts_add_up_where_the_protocol_counts_them_together() -> None:
    """Three stretches of three minutes are nine in all."""
    series = minutes(tilt_deg=([3] * 5 + [80] * 3) * 3 + [3] * 5)
    assert judged(series, of("tilt", max=45, at_most="5 min")).verdict == "attention"
    assert judged(series, of("tilt", max=45, in_all="8 min")).verdict == "alarm"


def test_silence_is_raised_when_it_is_longer_than_the_protocol_permits() -> None:
    """A quarter of an hour too short it is not known; a minute longer it is raised."""
    series = minutes(tilt_deg=[3] * 10)
    silence = of("silence", "LOGGER_MISSING", at_most="2 h")
    last = float(series.times[-1])
    assert judged(series, silence, end=last + 1.75 * HOUR).verdict == "unknown"
    found = judged(series, silence, end=last + 2 * HOUR + 60)
    assert found.findings[0][:2] == ("silent", "alarm")
    assert found.findings[0].code == "LOGGER_MISSING"


def test_a_logger_that_never_spoke_is_silent_from_the_start() -> None:
    """Silence is counted from when the shipment began."""
    rules = Rules(limit=Limit(high_c=-120.0), conditions=(of("silence", at_most="2 h"),))
    found = judge(merge([]), rules, start=T0, end=T0 + 3 * HOUR)
    assert [f.kind for f in found.findings if f.verdict == "alarm"] == ["silent"]
    assert found.findings[0].value == pytest.approx(3 * HOUR)


def test_what_a_person_has_decided_about_is_raised_no_more() -> None:
    """Only what is later than the decision on that deviation counts."""
    doors = minutes(door=[0] * 9 + [1] + [0] * 9 + [1] + [0] * 3)
    between = {"CODE": T0 + 15 * 60}
    found = judged(doors, of("door"), decided_of=between)
    assert found.verdict == "alarm" and found.findings[0].since == T0 + 19 * 60
    after = judged(doors, of("door"), decided_of={"CODE": T0 + 20 * 60})
    assert after.verdict == "attention"
    other = judged(doors, of("door"), decided_of={"OTHER": T0 + 20 * 60})
    assert other.verdict == "alarm"


def test_a_logger_that_stores_is_not_silent_while_it_travels() -> None:
    """Nothing can have been heard of it: that is unknown, not a breach of the silence limit."""
    silence = of("silence", "LOGGER_MISSING", at_most="2 h")
    found = judged(merge([]), silence, end=T0 + 30 * HOUR, stored=True)
    assert found.verdict == "unknown" and found.has("stored")
    assert not found.has("silent")
    assert judged(merge([]), silence, end=T0 + 30 * HOUR).verdict == "alarm"


@pytest.mark.parametrize(("late", "verdict"), [(1.9, "unknown"), (2.1, "alarm")])
def test_a_file_that_is_not_read_after_arrival_is_raised(late: float, verdict: str) -> None:
    """Arrived at 30 h; two hours later somebody should have read it."""
    silence = of("silence", "LOGGER_MISSING", at_most="2 h")
    end = T0 + 30 * HOUR
    found = judged(merge([]), silence, end=end, stored=True, now=end + late * HOUR)
    assert found.verdict == verdict
    assert found.has("unread") == (verdict == "alarm")


def test_a_gap_in_a_file_that_was_read_is_a_silence() -> None:
    """The logger stored nothing for five hours on the way: known as soon as it is read."""
    cold = {"temperature_c": np.array([-150.0, -150.2])}
    series = merge([Arrived(Chunk(0, None, np.array([T0 + 60, T0 + 5 * HOUR]), cold), T0)])
    silence = of("silence", "LOGGER_MISSING", at_most="2 h")
    found = judged(series, silence, end=T0 + 5.5 * HOUR, stored=True)
    assert [f.kind for f in found.findings if f.verdict == "alarm"] == ["gap"]


def test_a_file_that_ends_long_before_arrival_is_raised_when_it_should_be_whole() -> None:
    """It may be read in parts; what is still not there when it is overdue is a silence."""
    series = minutes(tilt_deg=[3] * 10)
    silence = of("silence", "LOGGER_MISSING", at_most="2 h")
    end = float(series.times[-1]) + 6 * HOUR
    early = judged(series, silence, end=end, stored=True, now=end + HOUR)
    assert early.verdict == "unknown" and early.has("stored")
    late = judged(series, silence, end=end, stored=True, now=end + 3 * HOUR)
    assert late.findings[0][:2] == ("silent", "alarm")


def test_a_shock_that_is_heard_of_after_the_decision_is_told() -> None:
    """A decision was about what was known: not about the file that is read in later."""
    shock = (Condition(of="shock", max=4.0, deviation="SHOCK"),)
    file = Chunk(0, None, T0 + 60.0 * np.arange(3), {"shock_g": np.array([0.1, 9.0, 0.1])})
    for came, told in ((T0 + HOUR, []), (T0 + 3 * HOUR, ["shock"])):
        cut = merge([Arrived(file, came, from_file=True)])
        found = breaches(
            cut, shock, gap_s=HOUR, start=T0, end=T0 + HOUR, decided={"SHOCK": T0 + 2 * HOUR}
        )
        assert [one.kind for one in found] == told
