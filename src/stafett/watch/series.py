"""What is known of one shipment's conditions: its chunks made into one series on our time.

Doubles are dropped, late and out-of-order chunks take their place, two different values for one
moment become no value (neither can be believed), and wrong clocks are corrected (see `clocks`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stafett.watch import clocks
from stafett.watch.reading import CHANNELS, Array, Chunk

SAME_MOMENT_S = 0.0005  # binary chunks carry whole milliseconds


class Arrived(NamedTuple):
    """A chunk and when it reached us (seconds since 1970, our clock).

    `from_file`: read from the logger's file. Its number counts parts of the file, and its times are
    as they were exported.
    """

    chunk: Chunk
    at: float
    from_file: bool = False


@dataclass(frozen=True)
class Series:
    """Readings in rising order of time. Every channel has the length of `times`.

    `doubles` counts readings that were there already, `conflicts` moments with two values,
    `missing` the chunks that the sequence numbers say are still to come, `offset` and `steps` are
    the clock's (see `clocks.Clock`). `restarts` is how often the logger began to count anew.
    `came` is when each reading first reached us (seconds since 1970, our clock).
    """

    times: Array
    channels: dict[str, Array]
    came: Array
    doubles: int = 0
    conflicts: int = 0
    missing: int = 0
    offset: float | None = None
    steps: int = 0
    restarts: int = 0

    def __len__(self) -> int:
        return len(self.times)

    def between(self, start: float, end: float) -> Series:
        """Return the readings with start <= time <= end; the counts stay those of the whole."""
        low = int(np.searchsorted(self.times, start, "left"))
        high = int(np.searchsorted(self.times, end, "right"))
        cut = {name: values[low:high] for name, values in self.channels.items()}
        return Series(
            self.times[low:high], cut, self.came[low:high], self.doubles, self.conflicts,
            self.missing, self.offset, self.steps, self.restarts,
        )  # fmt: skip

    def of(self, channel: str) -> Array:
        """Return a channel; all NaN where the device has none."""
        found = self.channels.get(channel)
        return np.full(len(self.times), np.nan) if found is None else found


_NONE = np.array([], dtype=np.float64)
EMPTY = Series(_NONE, {}, _NONE)


def merge(arrived: Collection[Arrived]) -> Series:
    """Return one series from chunks in any order, with doubles."""
    runs = _runs(a for a in arrived if not a.from_file)
    sent = [a for run in runs for a in sorted(run, key=lambda a: (a.chunk.sequence, a.at))]
    chunks = [*sent, *sorted((a for a in arrived if a.from_file), key=_part)]
    if not chunks:
        return EMPTY
    facts = [
        clocks.Sent(a.chunk.sequence, float(a.chunk.times[0]), float(a.chunk.times[-1]),
                    a.chunk.sent, a.at)
        for a in sent
    ]  # fmt: skip
    clock = clocks.estimate(facts)
    added = (*clock.added, *(0.0 for _ in chunks[len(facts) :]))
    times = np.concatenate([a.chunk.times + plus for a, plus in zip(chunks, added, strict=True)])
    order = np.argsort(times, kind="stable")
    times = times[order]
    names = [name for name in CHANNELS if any(name in a.chunk.channels for a in chunks)]
    channels = {}
    for name in names:
        parts = [a.chunk.channels.get(name, np.full(len(a.chunk), np.nan)) for a in chunks]
        channels[name] = np.concatenate(parts)[order]
    first = np.concatenate([[True], np.diff(times) > SAME_MOMENT_S])
    group = np.cumsum(first) - 1
    total = int(group[-1]) + 1
    conflicting = np.zeros(total, dtype=bool)
    came = np.full(total, np.inf)
    arrivals = np.concatenate([np.full(len(a.chunk), a.at) for a in chunks])[order]
    np.minimum.at(came, group, arrivals)
    merged = {}
    for name, values in channels.items():
        merged[name], differs = _one_each(values, group, total)
        conflicting |= differs
    missing = sum(_missing({a.chunk.sequence for a in run}) for run in runs)
    doubles = len(times) - total
    return Series(
        times[first], merged, came, doubles, int(conflicting.sum()), missing, clock.offset,
        clock.steps, max(len(runs) - 1, 0),
    )  # fmt: skip


def _runs(arrived: Iterable[Arrived]) -> list[list[Arrived]]:
    """Return the chunks of each time that the logger began to count, in the order they came.

    A number that has come already with other readings is of a new count: it was restarted.
    """
    runs: list[list[Arrived]] = []
    place: dict[tuple[int, float, float], int] = {}
    numbers: set[int] = set()  # of the latest count
    for one in sorted(arrived, key=lambda a: (a.at, a.chunk.sequence)):
        sequence = one.chunk.sequence
        what = sequence, float(one.chunk.times[0]), float(one.chunk.times[-1])
        if what not in place:
            if not runs or sequence in numbers:
                runs.append([])
                numbers = set()
            numbers.add(sequence)
            place[what] = len(runs) - 1
        runs[place[what]].append(one)
    return runs


def _missing(sequences: set[int]) -> int:
    return max(sequences) - min(sequences) + 1 - len(sequences)


def _part(one: Arrived) -> tuple[int, float]:
    return one.chunk.sequence, one.at


def _one_each(values: Array, group: np.ndarray, total: int) -> tuple[Array, np.ndarray]:
    """Return each group's value, NaN where it has none or two, and which groups have two."""
    told = ~np.isnan(values)
    low = np.full(total, np.inf)
    high = np.full(total, -np.inf)
    np.minimum.at(low, group[told], values[told])
    np.maximum.at(high, group[told], values[told])
    differs = high > low
    found = np.where((high == low), low, np.nan)
    return found, differs
