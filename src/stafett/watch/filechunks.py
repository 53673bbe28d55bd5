"""The chunks that the readings of a logger's file are stored as. Pure."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from stafett.watch.loggerfile import LoggerFile
from stafett.watch.reading import CHANNELS, LONGEST, Array, encode

IRREGULAR: Final = 2000  # readings in one chunk that tells each one's time


def chunks(file: LoggerFile, first_sequence: int = 0) -> list[bytes]:
    """Return a file's readings as chunks, oldest first: the same file makes the same chunks.

    Of several rows for one moment the same values are one reading; others go into chunks of their
    own, so that the contradiction is seen.
    """
    names = [name for name in file.channels if name in CHANNELS]
    scales = [CHANNELS[name][0] for name in names]
    rows = sorted(
        {
            (round(at, 3), *(_whole(v, s) for v, s in zip(values, scales, strict=True)))
            for at, *values in zip(file.times, *(file.channels[n] for n in names), strict=True)
        },
        key=lambda row: (row[0], [(v is None, v or 0.0) for v in row[1:]]),
    )
    layers: list[list[tuple[float | None, ...]]] = []
    depth = 0
    for n, row in enumerate(rows):
        depth = depth + 1 if n and rows[n - 1][0] == row[0] else 0
        if depth == len(layers):
            layers.append([])
        layers[depth].append(row)
    parts = [cut for layer in layers for cut in _cut(layer)]
    return [_chunk(first_sequence + n, part, names) for n, part in enumerate(parts)]


def _whole(value: float, scale: float) -> float | None:
    return None if np.isnan(value) else round(value * scale) / scale


def _cut(rows: list[tuple[float | None, ...]]) -> list[list[tuple[float | None, ...]]]:
    most = LONGEST if _step(rows) else IRREGULAR
    return [rows[n : n + most] for n in range(0, len(rows), most)]


def _step(rows: list[tuple[float | None, ...]]) -> float | None:
    """Return the time between two readings, where it is always the same and a day at most."""
    if len(rows) == 1:
        return 1.0
    times = np.array([row[0] for row in rows], dtype=np.float64)
    step = float(round(times[1] - times[0], 3))
    away = np.abs(times - times[0] - step * np.arange(len(times)))
    return step if step <= 86_400 and float(away.max()) < 0.0015 else None


def _chunk(sequence: int, rows: list[tuple[float | None, ...]], names: list[str]) -> bytes:
    start = float(rows[0][0] or 0.0)
    step = _step(rows)
    if step is not None:
        values: dict[str, Array] = {
            name: np.array([row[n] for row in rows], dtype=np.float64)
            for n, name in enumerate(names, 1)
        }
        return encode(sequence, start, step, values)
    said: dict[str, object] = {
        "v": 1,
        "sequence": sequence,
        "start": f"{np.datetime64(round(start * 1000), 'ms')}Z",
        "at_s": [round(float(row[0] or 0.0) - start, 3) for row in rows],
    }
    said |= {name: [row[n] for row in rows] for n, name in enumerate(names, 1)}
    return msgspec.json.encode(said)
