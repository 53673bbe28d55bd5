"""The judgement of a shipment's readings: what can be said, and what cannot be. Pure.

A judgement is no disposition: it says what was seen and for how long; a person decides about the
material. The verdict is the worst of its findings: `alarm` (an excursion, or the hold time is
spent), `unknown` (something that matters is not known: never "ok"), `attention` (look), `ok`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from stafett.watch import clocks, excursion, holdtime, quality
from stafett.watch.breach import breaches
from stafett.watch.excursion import Exposure
from stafett.watch.finding import ORDER, Finding, Verdict
from stafett.watch.holdtime import Budget
from stafett.watch.kinetics import mean_kinetic_c
from stafett.watch.reading import Array
from stafett.watch.rules import Rules
from stafett.watch.series import Series

SOON: Final = 0.25  # of the hold time is left: amber
LONGEST_STAND: Final = 3.0  # a reading stands for at most three usual intervals


class Gone(NamedTuple):
    """A file that was withdrawn `at` a moment: of `readings` from `since` to `until`."""

    since: float
    until: float
    at: float
    readings: int


class Judgement(NamedTuple):
    """What the readings say. Temperatures in °C, of believed readings; None: there are none.

    `believed` has the series' length: NaN where a temperature is not believed.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    exposure: Exposure
    coldest: float | None
    warmest: float | None
    latest: float | None
    latest_at: float | None
    mean_kinetic: float | None
    hold: Budget | None
    readings: int
    battery: float | None
    believed: Array

    def has(self, kind: str) -> bool:
        """Say whether there is a finding of this kind."""
        return any(finding.kind == kind for finding in self.findings)


def judge(
    series: Series,
    rules: Rules,
    *,
    start: float,
    end: float,
    decided: float | None = None,
    decided_of: Mapping[str, float] | None = None,
    calibrated_until: float | None = None,
    stored: bool = False,
    now: float | None = None,
    withdrawn: Sequence[Gone] = (),
) -> Judgement:
    """Judge the readings between `start` and `end` (the shipment's, or now; seconds since 1970).

    `decided`: a person has judged what was known then; an excursion counts only by what came after;
    `decided_of`: the same of each deviation that the protocol's other conditions name.
    `calibrated_until`: when the logger's calibration ends (None: nobody has said). `stored`: it is
    read as a file after arrival; `now` (default: `end`) says whether that is overdue. `withdrawn`:
    its files that count no more.
    """
    cut = series.between(start, end)
    times = cut.times
    temperature = quality.believed(
        times, cut.of("temperature_c"), sensor=(rules.sensor_low_c, rules.sensor_high_c),
        jump=rules.jump_c, stuck_s=rules.stuck_s, stuck_readings=rules.stuck_readings,
    )  # fmt: skip
    values = temperature.values
    gap = rules.gap_s
    if len(times) > 2:
        gap = min(rules.gap_s, LONGEST_STAND * float(np.median(np.diff(times))) + 1.0)
    limit = rules.limit
    exposed = excursion.exposure(
        times, values, low=limit.low_c, high=limit.high_c, gap_s=gap, start=start, end=end
    )
    counted = exposed
    if decided is not None and decided > start:
        rest, told, since = excursion.undecided(
            times, values, cut.came, decided, low=limit.low_c, high=limit.high_c, start=start
        )
        counted = excursion.exposure(
            rest, told, low=limit.low_c, high=limit.high_c, gap_s=gap, start=since, end=end
        )
    hold = None
    if rules.hold_s is not None:
        hold = holdtime.budget(
            times, cut.of("tilt_deg"), rated_s=rules.hold_s, start=start, end=end, gap_s=gap,
            variation=rules.variation,
        )  # fmt: skip
    battery = _last(cut.of("battery"))
    passed = breaches(
        cut, rules.conditions, gap_s=gap, start=start, end=end, decided=decided_of or {},
        stored=stored, now=now,
    )  # fmt: skip
    said = {finding.kind for finding in passed}
    findings = [
        *passed,
        *_of_exposure(times, counted, rules, start, end),
        *(f for f in _of_gaps(times, exposed, end, stored=stored) if f.kind not in said),
        *_of_sensor(temperature, times, battery, rules),
        *_of_hold(hold, start, end),
        *(f for f in _of_handling(cut, rules) if f.kind not in said),
        *_of_clock(series, times),
        *_of_calibration(times, calibrated_until),
        *_of_withdrawn(withdrawn, start, end, decided),
    ]
    told = values[~np.isnan(values)]
    latest = np.flatnonzero(~np.isnan(values))
    stands = np.append(np.minimum(np.diff(times), gap), 0.0) if len(times) else times
    return Judgement(
        max((f.verdict for f in findings), key=ORDER.__getitem__, default="ok"),
        tuple(sorted(findings, key=lambda f: (-ORDER[f.verdict], f.since))),
        exposed,
        float(told.min()) if len(told) else None,
        float(told.max()) if len(told) else None,
        float(values[latest[-1]]) if len(latest) else None,
        float(times[latest[-1]]) if len(latest) else None,
        mean_kinetic_c(values, stands) if len(times) else None,
        hold,
        len(times),
        battery,
        values,
    )


def _of_exposure(
    times: Array, exposed: Exposure, rules: Rules, start: float, end: float
) -> list[Finding]:
    if rules.limit.low_c is None and rules.limit.high_c is None:
        return [Finding("no-limit", "unknown", start, end, 0.0)]
    outside = exposed.outside
    if not outside:
        return []
    first, last = outside[0].start, outside[-1].end
    longest = max(outside, key=lambda s: s.end - s.start)
    many = sum(s.readings for s in outside) >= rules.least_readings
    found = []
    if longest.end - longest.start >= rules.sustained_s and (
        longest.readings >= rules.least_readings
    ):
        length = longest.end - longest.start
        found.append(Finding("sustained", "alarm", longest.start, longest.end, length))
    if exposed.least_s >= rules.cumulative_s and many:
        found.append(Finding("cumulative", "alarm", first, last, exposed.least_s))
    if not found and exposed.most_s >= min(rules.sustained_s, rules.cumulative_s) and exposed.gaps:
        found.append(Finding("perhaps", "unknown", first, last, exposed.most_s))
    if not found:
        found.append(Finding("outside", "attention", first, last, exposed.least_s))
    return found


def _of_gaps(times: Array, exposed: Exposure, end: float, *, stored: bool) -> list[Finding]:
    if not len(times):
        kind = "stored" if stored else "nothing"
        return [Finding(kind, "unknown", a, b, b - a) for a, b in exposed.gaps]
    found = []
    for begin, until in exposed.gaps:
        silent = until >= end and begin >= float(times[-1])
        kind = "gap" if not silent else "stored" if stored else "silent"
        found.append(Finding(kind, "unknown", begin, until, until - begin))
    return found


def _of_sensor(
    temperature: quality.Quality, times: Array, battery: float | None, rules: Rules
) -> list[Finding]:
    if not len(times):
        return []
    first, last = float(times[0]), float(times[-1])
    counts: tuple[tuple[str, Verdict, int], ...] = (
        ("out-of-range", "unknown", temperature.out_of_range),
        ("spikes", "attention", temperature.spikes),
        ("stuck", "unknown", temperature.stuck),
    )
    found = [Finding(k, verdict, first, last, float(n)) for k, verdict, n in counts if n]
    if battery is not None and battery < rules.battery_low:
        found.append(Finding("battery", "attention", last, last, 100 * battery))
    return found


def _of_hold(hold: Budget | None, start: float, end: float) -> list[Finding]:
    if hold is None:
        return []
    hours = hold.left_least_s / 3600
    if hold.left_most_s <= 0:
        return [Finding("hold-spent", "alarm", start, end, -hold.left_most_s / 3600)]
    if hold.left_least_s <= 0:
        return [Finding("hold-perhaps", "unknown", start, end, hours)]
    if hold.left_least_s < SOON * hold.rated_s:
        return [Finding("hold-soon", "attention", start, end, hours)]
    return []


def _of_handling(cut: Series, rules: Rules) -> list[Finding]:
    """Door, shock, lying on its side: what a person should look at."""
    found: list[Finding] = []
    times = cut.times
    for kind, channel, above in (
        ("door", "door", 0.5),
        ("shock", "shock_g", rules.shock_g),
        ("side", "tilt_deg", holdtime.ON_SIDE_FROM_DEG),
    ):
        values = cut.of(channel)
        hit = np.flatnonzero(values > above)
        # One point of tilt is a movement; two in a row and it lies there.
        if len(hit) > (1 if kind == "side" else 0):
            most = float(values[hit].max())
            found.append(
                Finding(kind, "attention", float(times[hit[0]]), float(times[hit[-1]]), most)
            )
    return found


def _of_clock(series: Series, times: Array) -> list[Finding]:
    if not len(times):
        return []
    first, last = float(times[0]), float(times[-1])
    found: list[Finding] = []
    if series.restarts:
        found.append(Finding("restarted", "attention", first, last, float(series.restarts)))
    if series.steps:
        found.append(Finding("clock-set", "attention", first, last, float(series.steps)))
    if series.offset is not None and abs(series.offset) > clocks.TOLERANCE_S:
        found.append(Finding("clock-wrong", "attention", first, last, series.offset / 60))
    if series.conflicts:
        found.append(Finding("conflicts", "unknown", first, last, float(series.conflicts)))
    if series.missing:
        found.append(Finding("missing", "unknown", first, last, float(series.missing)))
    return found


def _of_calibration(times: Array, until: float | None) -> list[Finding]:
    if not len(times):
        return []
    first, last = float(times[0]), float(times[-1])
    if until is None:
        return [Finding("calibration-untold", "attention", first, last, 0.0)]
    if until < last:
        return [Finding("calibration-ended", "unknown", max(until, first), last, 0.0)]
    return []


def _of_withdrawn(
    withdrawn: Sequence[Gone], start: float, end: float, decided: float | None
) -> list[Finding]:
    """Return each that told of this time and that no person has decided about since."""
    return [
        Finding("withdrawn", "unknown", one.since, one.until, float(one.readings))
        for one in withdrawn
        if one.since <= end and one.until >= start and (decided is None or one.at > decided)
    ]


def _last(values: Array) -> float | None:
    told = np.flatnonzero(~np.isnan(values))
    return float(values[told[-1]]) if len(told) else None
