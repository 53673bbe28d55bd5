"""The judgement of readings, held against versions that go second by second."""

from __future__ import annotations

import itertools
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.watch import clocks, excursion, holdtime, place, quality, reading
from stafett.watch.judgement import judge
from stafett.watch.kinetics import mean_kinetic_c
from stafett.watch.reading import BadChunk, Chunk, decode, encode
from stafett.watch.rules import Limit, Rules
from stafett.watch.series import Arrived, merge

Many = list[tuple[int, float]]
# Times in whole seconds, and temperatures with gaps (None) around a limit of -120 °C.
readings = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from([-150.0, -130.0, -119.0, -60.0, math.nan])),
    min_size=1,
    max_size=25,
)
T0 = 1_770_000_000.0
RULES = Rules(limit=Limit(high_c=-120.0), sustained_s=600, cumulative_s=1800, gap_s=900)


def arrays(steps: Many) -> tuple[Any, Any]:
    """Turn (seconds since the last, value) into times and values."""
    times = np.cumsum([float(s) for s, _ in steps])
    return times, np.array([v for _, v in steps])


def by_the_second(times: Any, values: Any, high: float, gap: float, end: int) -> tuple[int, int]:
    """Count, second by second from 0 to `end`, the seconds outside and those that are unknown."""
    outside = unknown = 0
    for second in range(end):
        before = [i for i, t in enumerate(times) if t <= second]
        if not before:
            unknown += times[0] > gap
            continue
        i = before[-1]
        if i == len(times) - 1:
            unknown += (end - times[i] > gap) or math.isnan(values[i])
        elif math.isnan(values[i]) or second - times[i] >= gap:
            unknown += 1
        else:
            outside += values[i] > high
    return outside, unknown


@given(readings, st.integers(5, 90), st.integers(0, 120))
def test_exposure_is_what_a_count_of_seconds_gives(steps: Many, gap: int, tail: int) -> None:
    """Least and most time outside agree with counting each second."""
    times, values = arrays(steps)
    end = int(times[-1]) + tail
    found = excursion.exposure(
        times, values, low=None, high=-120.0, gap_s=gap, start=0.0, end=float(end)
    )
    outside, unknown = by_the_second(times, values, -120.0, gap, end)
    assert found.least_s == pytest.approx(outside)
    assert found.most_s - found.least_s == pytest.approx(unknown)
    assert sum(s.end - s.start for s in found.outside) == pytest.approx(found.least_s)
    assert all(a.end <= b.start for a, b in zip(found.outside, found.outside[1:], strict=False))


@given(readings, st.randoms(use_true_random=False))
def test_order_doubles_and_cuts_change_nothing(steps: Many, chance: Any) -> None:
    """Chunks in any order, some of them twice, make the series that one chunk makes."""
    times, values = arrays(steps)
    whole = Chunk(0, None, times + T0, {"temperature_c": values})
    cuts = sorted({0, len(times), *(chance.randrange(len(times) + 1) for _ in range(3))})
    parts = [
        Chunk(n, None, whole.times[a:b], {"temperature_c": values[a:b]})
        for n, (a, b) in enumerate(itertools.pairwise(cuts))
    ]
    sent = [Arrived(part, T0 + chance.random() * 1000) for part in parts]
    sent += chance.sample(sent, chance.randrange(len(sent) + 1))
    chance.shuffle(sent)
    found = merge(sent)
    assert np.array_equal(found.times, whole.times)
    assert np.array_equal(found.of("temperature_c"), values, equal_nan=True)
    assert found.conflicts == found.missing == 0


def test_two_values_for_one_moment_are_no_value() -> None:
    """Neither of two different values is believed, and the judgement is unknown."""
    times = T0 + 60.0 * np.arange(5)
    one = Chunk(0, None, times, {"temperature_c": np.full(5, -150.0)})
    two = Chunk(1, None, times[2:3], {"temperature_c": np.array([-100.0])})
    found = merge([Arrived(one, T0), Arrived(two, T0)])
    assert found.conflicts == 1 and math.isnan(found.of("temperature_c")[2])
    made = judge(found, RULES, start=T0, end=T0 + 240)
    assert made.verdict == "unknown" and made.has("conflicts")


def warm(minutes: int, *, cold_before: int = 30, gap_at: int | None = None) -> Any:
    """Return a series of one reading a minute that is too warm for `minutes` at its end."""
    values = np.array([-150.0 + 0.1 * (i % 7) for i in range(cold_before)] + [-100.0] * minutes)
    times = T0 + 60.0 * np.arange(len(values))
    if gap_at is not None:
        keep = np.ones(len(values), dtype=bool)
        keep[gap_at : gap_at + 20] = False
        times, values = times[keep], values[keep]
    return merge([Arrived(Chunk(0, None, times, {"temperature_c": values}), T0)])


def verdict(series: Any, **more: Any) -> Any:
    """Judge a series up to its last reading."""
    return judge(
        series, RULES, start=T0, end=float(series.times[-1]), calibrated_until=T0 + 1e9, **more
    )


@pytest.mark.parametrize(
    ("minutes", "said"), [(0, "ok"), (1, "attention"), (10, "attention"), (11, "alarm")]
)
def test_one_point_is_no_excursion_and_ten_minutes_are(minutes: int, said: str) -> None:
    """The alarm comes when the limit was passed for the whole time, not a reading earlier."""
    assert verdict(warm(minutes)).verdict == said


def test_short_stretches_add_up() -> None:
    """Seven times five minutes are no stretch of ten, but more than half an hour in all."""
    values = np.array(([-150.0, -149.0] + [-100.0] * 5) * 7 + [-150.0])
    times = T0 + 60.0 * np.arange(len(values))
    made = verdict(merge([Arrived(Chunk(0, None, times, {"temperature_c": values}), T0)]))
    assert made.verdict == "alarm" and made.has("cumulative") and not made.has("sustained")


def test_a_gap_is_never_ok() -> None:
    """Twenty minutes that nobody measured are unknown, and named with their times."""
    made = verdict(warm(0, cold_before=60, gap_at=20))
    assert made.verdict == "unknown"
    assert [f.kind for f in made.findings] == ["gap"]
    assert made.findings[0].value == pytest.approx(20 * 60, abs=300)


def test_silence_is_unknown_as_soon_as_it_is_longer_than_usual() -> None:
    """What does not come is seen without anything coming."""
    series = warm(0, cold_before=60)
    last = float(series.times[-1])
    assert judge(series, RULES, start=T0, end=last + 60, calibrated_until=1e12).verdict == "ok"
    made = judge(series, RULES, start=T0, end=last + 600, calibrated_until=1e12)
    assert made.verdict == "unknown" and made.has("silent")


@pytest.mark.parametrize(("last", "found"), [(0.19, [19.0]), (0.2, []), (math.nan, [15.0])])
def test_a_dying_battery_is_said_before_it_is_dead(last: float, found: list[float]) -> None:
    """Below a fifth it is a finding with what is left; the last value that was told counts."""
    times = np.arange(4) * 60.0
    told = {"temperature_c": np.full(4, -150.0), "battery": np.array([0.9, 0.5, 0.15, last])}
    series = merge([Arrived(Chunk(0, None, times + T0, told), T0 + 300)])
    made = judge(series, RULES, start=T0, end=T0 + 240)
    findings = [f for f in made.findings if f.kind == "battery"]
    assert [round(f.value, 1) for f in findings] == found
    assert all((f.verdict, f.since) == ("attention", T0 + 180) for f in findings)
    assert made.battery == pytest.approx(0.15 if math.isnan(last) else last, abs=1e-3)
    assert not made.has("sustained")


def test_a_logger_that_restarts_counts_anew_and_its_clock_is_not_doubted() -> None:
    """Its numbers come again with other readings: told, and neither missing nor a set clock."""

    def chunk(sequence: int, minute: int) -> Arrived:
        times = T0 + 60.0 * (minute + np.arange(5))
        cold = {"temperature_c": np.full(5, -151.0)}
        return Arrived(Chunk(sequence, times[-1], times, cold), times[-1] + 2)

    before = [chunk(n, 5 * n) for n in range(6)]
    after = [chunk(n, 30 + 5 * n) for n in range(4)]
    late = before.pop(3)._replace(at=T0 + 60 * 29 + 5)  # before the restart, and out of order
    made = verdict(merge([*after, *before, late, after[2]]))
    findings = [(f.kind, f.value) for f in made.findings]
    assert ("restarted", 1.0) in findings
    assert not {"clock-set", "missing", "conflicts", "gap"} & {kind for kind, _ in findings}
    assert made.readings == 50


def test_no_readings_and_no_limit_are_unknown() -> None:
    """Neither of them is ever ok."""
    assert judge(merge([]), RULES, start=T0, end=T0 + 7200).verdict == "unknown"
    none = Rules()
    assert judge(warm(0), none, start=T0, end=T0 + 60).verdict == "unknown"


def test_what_a_person_has_decided_about_counts_no_more() -> None:
    """After a decision only what comes later is an excursion."""
    series = warm(15)
    end = float(series.times[-1])
    assert verdict(series).verdict == "alarm"
    assert verdict(series, decided=end).verdict != "alarm"
    assert verdict(series, decided=end - 660).verdict == "alarm"


@pytest.mark.parametrize(("late", "said"), [(-100.0, "alarm"), (-150.0, "ok")])
def test_what_comes_only_after_a_decision_was_not_decided_about(late: float, said: str) -> None:
    """A file of half an hour that nobody knew of then counts; what they knew does not."""
    times = T0 + 60.0 * np.arange(70)
    seen = np.where(np.arange(70) < 20, -100.0, -150.0)
    sent = [
        Arrived(Chunk(n, None, times[at], {"temperature_c": seen[at]}), T0 + 4200)
        for n, at in enumerate((slice(0, 30), slice(60, 70)))
    ]
    hidden = np.where(np.arange(30) % 2 == 0, late, late + 0.1)
    file = Chunk(0, None, times[30:60], {"temperature_c": hidden})
    decided = T0 + 4300
    before = verdict(merge(sent), decided=decided)
    after = verdict(merge([*sent, Arrived(file, T0 + 4400, from_file=True)]), decided=decided)
    assert not before.has("sustained") and not before.has("perhaps")
    assert after.verdict == said
    again = verdict(merge([*sent, Arrived(file, T0 + 4400, from_file=True)]), decided=T0 + 4500)
    assert again.verdict == "ok"


def test_a_spike_is_doubted_and_a_true_rise_is_not() -> None:
    """One reading far from both neighbours is not believed; two in a row are."""
    times = 60.0 * np.arange(6)
    kinds = {"sensor": (-210.0, 100.0), "jump": 15.0, "stuck_s": 1e9, "stuck_readings": 99}
    one = quality.believed(times, np.array([-150.0, -151, -20, -150, -151, -150]), **kinds)  # type: ignore[arg-type]
    assert one.spikes == 1 and math.isnan(one.values[2])
    two = quality.believed(times, np.array([-150.0, -151, -20, -21, -151, -150]), **kinds)  # type: ignore[arg-type]
    assert two.spikes == 0


def test_a_stuck_or_broken_sensor_is_not_believed() -> None:
    """The same value for hours, or one that the sensor cannot measure, is unknown."""
    times = 60.0 * np.arange(400)
    found = quality.believed(
        times, np.full(400, -150.0), sensor=(-210, 100), jump=15, stuck_s=6 * 3600,
        stuck_readings=60,
    )  # fmt: skip
    assert found.stuck == 400 and np.isnan(found.values).all()
    broken = quality.believed(
        times[:3], np.array([-150.0, -273.0, -151.0]), sensor=(-210, 100), jump=15, stuck_s=1,
        stuck_readings=9,
    )  # fmt: skip
    assert broken.out_of_range == 1


@given(st.lists(st.tuples(st.floats(2, 60), st.floats(0.1, 1e5)), min_size=1, max_size=30))
def test_mean_kinetic_temperature_is_the_sum_of_arrhenius(pairs: list[tuple[float, float]]) -> None:
    """It agrees with the formula written out, and lies between the mean and the maximum."""
    celsius = np.array([p[0] for p in pairs])
    weights = np.array([p[1] for p in pairs])
    total = math.fsum(w * math.exp(-10_000 / (c + 273.15)) for c, w in pairs)
    naive = 10_000 / -math.log(total / math.fsum(weights)) - 273.15
    found = mean_kinetic_c(celsius, weights)
    assert found is not None and found == pytest.approx(naive, abs=1e-6)
    assert np.average(celsius, weights=weights) - 1e-6 <= found <= celsius.max() + 1e-6


def test_mean_kinetic_temperature_says_nothing_of_frozen_cells() -> None:
    """Below 0 °C there is none."""
    assert mean_kinetic_c(np.array([-150.0, 5.0]), np.array([1.0, 1.0])) is None


def test_lying_on_its_side_uses_the_hold_time_two_and_a_half_times_as_fast() -> None:
    """Ten hours, four of them on the side, use ten at least and sixteen at most."""
    times = 600.0 * np.arange(60)
    tilt = np.where((times >= 3600) & (times < 5 * 3600), 85.0, 5.0)
    found = holdtime.budget(times, tilt, rated_s=86_400, start=0, end=36_000, gap_s=900)
    assert found.on_side_s == 4 * 3600
    assert found.used_least_s == 36_000
    assert found.used_most_s == pytest.approx(16 * 3600)
    blind = holdtime.budget(
        times, np.full(60, math.nan), rated_s=86_400, start=0, end=36_000, gap_s=900
    )
    assert blind.used_most_s == pytest.approx(25 * 3600)


@given(st.floats(-5000, 5000), st.lists(st.floats(0, 90), min_size=1, max_size=12))
def test_a_clock_that_is_off_by_a_constant_is_found(off: float, delays: list[float]) -> None:
    """The estimate is the error plus the shortest delay; it is applied only beyond tolerance."""
    sent = [
        clocks.Sent(n, T0 + 60 * n - off, T0 + 60 * n + 50 - off, T0 + 60 * n + 55 - off,
                    T0 + 60 * n + 55 + delay)
        for n, delay in enumerate(delays)
    ]  # fmt: skip
    found = clocks.estimate(sent)
    assert found.offset is not None
    if not found.steps:
        assert found.offset == pytest.approx(off + min(delays), abs=1e-3)
        applied = abs(found.offset) > clocks.TOLERANCE_S
        assert found.added == ((found.offset,) if applied else (0.0,)) * len(delays)


def test_a_clock_that_jumps_is_corrected_on_both_sides() -> None:
    """A clock set back by an hour in between leaves a series in the right order."""
    chunks = []
    for n in range(6):
        wrong = 0.0 if n < 3 else -3600.0
        times = T0 + 600.0 * n + 60.0 * np.arange(10)
        told = {"temperature_c": np.full(10, -150.0 + n)}
        sent = T0 + 600.0 * n + 600
        chunks.append(Arrived(Chunk(n, sent + wrong, times + wrong, told), sent + 1))
    found = merge(chunks)
    assert found.steps == 1
    assert np.all(np.abs(np.diff(found.times) - 60) < 2)
    assert np.all(np.diff(found.of("temperature_c")) >= 0)
    assert found.conflicts == 0


@given(
    st.lists(st.one_of(st.none(), st.floats(-200, 60)), min_size=1, max_size=50),
    st.integers(1, 3600),
)
def test_binary_and_json_say_the_same(values: list[float | None], every: int) -> None:
    """Both forms decode to the same readings, to the binary form's hundredth of a degree."""
    import json

    told = np.array([math.nan if v is None else v for v in values])
    binary = decode(encode(7, T0, float(every), {"temperature_c": told}, T0 + 5))
    said = {"v": 1, "sequence": 7, "start": "2026-02-02T02:40:00Z", "sent": "2026-02-02T02:40:05Z",
            "every_s": every, "temperature_c": values}  # fmt: skip
    plain = decode(json.dumps(said).encode())
    assert np.allclose(plain.times, binary.times)
    assert plain.sent == pytest.approx(binary.sent or 0)
    a, b = plain.channels["temperature_c"], binary.channels["temperature_c"]
    assert np.array_equal(np.isnan(a), np.isnan(b))
    assert np.nanmax(np.abs(a - b), initial=0.0) <= 0.0051


@given(
    st.integers(0, 2**64 - 1) | st.integers(0, 100),
    st.just(0) | st.integers(-(2**63), 2**63 - 1) | st.integers(10**15, 2 * 10**15),
    st.integers(-(2**63), 2**63 - 1) | st.integers(10**15, 2 * 10**15),
    st.integers(0, 2),
    st.sampled_from([1, 2, 4, 8, 16, 32, 3, 128]),
    st.integers(-(2**15), 2**15 - 1),
)
def test_one_reading_alone_is_read_as_a_chunk_of_many_is(
    sequence: int, sent: int, start: int, count: int, mask: int, raw: int
) -> None:
    """The short way for a single reading gives what the long one gives, and refuses the same."""
    data = struct.pack("<4sQqqIHHh", b"SFR1", sequence, sent, start, 1000, count, mask, raw)

    def read() -> Any:
        try:
            chunk = decode(data)
        except BadChunk as bad:
            return str(bad)
        told = {name: values.tolist() for name, values in chunk.channels.items()}
        return repr((chunk.sequence, chunk.sent, chunk.times.tolist(), told))

    short = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_single", lambda _: None)
        assert read() == short


@given(st.binary(max_size=80), st.integers(0, 60), st.integers(0, 255))
def test_any_bytes_are_a_chunk_or_refused_by_name(junk: bytes, at: int, byte: int) -> None:
    """Junk, and a good chunk with one byte changed, never raise anything but BadChunk."""
    good = bytearray(encode(1, T0, 60.0, {"temperature_c": np.arange(5.0), "door": np.zeros(5)}))
    good[min(at, len(good) - 1)] = byte
    for data in (junk, b"SFR1" + junk, bytes(good), bytes(good[:at])):
        try:
            chunk = decode(data)
        except BadChunk as bad:
            assert str(bad)
        else:
            assert len(chunk) and np.all(np.diff(chunk.times) > 0)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("start", {"start": "2026-02-02T02:40:00"}),
        ("start", {"start": "1970-01-01T00:00:00Z"}),
        ("every_s", {"every_s": None}),
        ("temperature_c", {"temperature_c": [1e9]}),
        ("door", {"door": [0, 1]}),
        ("v", {"v": 2}),
        ("sequence", {"sequence": -1}),
        ("sequence", {"sequence": 2**53}),
        ("sent", {"sent": "9999-12-31T23:59:59Z"}),
        ("sent", {"sent": "0001-01-01T00:00:00Z"}),
        ("humidity", {"humidity": [4]}),
    ],
)
def test_a_wrong_field_is_named(field: str, change: dict[str, Any]) -> None:
    """The refusal says which field is wrong."""
    import json

    said = {"v": 1, "sequence": 1, "start": "2026-02-02T02:40:00Z", "every_s": 60,
            "temperature_c": [-150.0], **change}  # fmt: skip
    with pytest.raises(BadChunk) as caught:
        decode(json.dumps(said).encode())
    assert field in caught.value.field


@pytest.mark.parametrize(
    ("field", "sequence", "sent"),
    [
        ("sequence", 2**53, 0),
        ("sequence", 2**64 - 1, 0),
        ("sent", 1, 2**63 - 1),
        ("sent", 1, -(2**63)),
    ],
)
def test_a_binary_number_that_nothing_can_hold_is_named(
    field: str, sequence: int, sent: int
) -> None:
    """The header has room for more than a date or JSON has; the largest that fits is taken."""
    head = struct.Struct("<4sQqqIHHh")

    def made(sequence: int, sent: int) -> bytes:
        return head.pack(b"SFR1", sequence, sent, round(T0 * 1e6), 1000, 1, 1, -15000)

    with pytest.raises(BadChunk) as caught:
        decode(made(sequence, sent))
    assert caught.value.field == field
    assert decode(made(2**53 - 1, 4_102_444_799_000_000)).sequence == 2**53 - 1


def test_a_position_is_told_against_places() -> None:
    """Within the radius it is there; further off, or unknown, it is nowhere."""
    karolinska = place.Place("Karolinska", 59.3489, 18.0305, 800)
    uppsala = place.Place("Akademiska", 59.8490, 17.6389, 800)
    assert place.distance_m(np.array([59.8490]), np.array([17.6389]), karolinska)[
        0
    ] == pytest.approx(59_800, rel=0.01)
    found = place.at(
        np.array([59.3490, 59.6, math.nan]), np.array([18.031, 17.9, 18.0]), (karolinska, uppsala)
    )
    assert found == ["Karolinska", None, None]
