"""A chunk of readings as a logger sends it: version 1, as JSON or as compact binary.

A chunk is kept as the bytes that arrived, so that its digest in the ledger vouches for what the
device said. This module only reads and writes those bytes. Times are seconds since 1970 (UTC) as
the *device's* clock told them; a missing reading is NaN, never a guess.

Binary, little endian: `SFR1`, then sequence u64, sent i64 µs (0: not told), start i64 µs, every u32
ms, count u16, channels u16 (bit n: CHANNELS[n] follows), then each channel as count × i16 (i32 for
a position) of value × scale; the lowest number means "no reading".
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt

from stafett.protocol.doubled import doubled
from stafett.protocol.fit import plain

Array = npt.NDArray[np.float64]

MAGIC: Final = b"SFR1"
LONGEST: Final = 10_000  # readings in one chunk
LARGEST: Final = 1_000_000  # bytes of one chunk
# Channel -> (scale in the binary form, numpy type, smallest, largest value a chunk may hold).
CHANNELS: Final[dict[str, tuple[float, str, float, float]]] = {
    "temperature_c": (100.0, "<i2", -300.0, 300.0),
    "tilt_deg": (100.0, "<i2", 0.0, 180.0),
    "shock_g": (100.0, "<i2", 0.0, 300.0),
    "door": (1.0, "<i2", 0.0, 1.0),
    "battery": (1000.0, "<i2", 0.0, 1.0),
    "latitude": (1e5, "<i4", -90.0, 90.0),
    "longitude": (1e5, "<i4", -180.0, 180.0),
}
_HEAD: Final = struct.Struct("<4sQqqIHH")
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC).timestamp()  # a clock that was never set
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_HIGHEST: Final = 2**53 - 1  # a sequence number: the largest whole number that JSON can carry

Values = list[float | None]


class BadChunk(ValueError):
    """The bytes are no chunk: which field, what is wrong with it, what to do."""

    def __init__(self, field: str, what: str, todo: str = "") -> None:
        self.field, self.what, self.todo = field, what, todo
        super().__init__(f"{field}: {what}" + (f"; {todo}" if todo else ""))


class Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON form. `start` and `sent` carry a zone; every list has one entry per reading.

    `every_s` is the time between two readings; or `at_s` gives each reading's seconds after
    `start`. `sequence` counts a device's chunks and never goes back.
    """

    v: Annotated[int, msgspec.Meta(ge=1, le=1)]
    sequence: Annotated[int, msgspec.Meta(ge=0, le=_HIGHEST)]
    start: datetime
    sent: datetime | None = None
    every_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None
    at_s: list[float] | None = None
    temperature_c: Values | None = None
    tilt_deg: Values | None = None
    shock_g: Values | None = None
    door: Values | None = None
    battery: Values | None = None
    latitude: Values | None = None
    longitude: Values | None = None


class Chunk(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Readings in the order they were taken. `times` and each channel have the same length."""

    sequence: int
    sent: float | None
    times: Array
    channels: dict[str, Array]

    def __len__(self) -> int:
        return len(self.times)


_DECODER: Final = msgspec.json.Decoder(Payload, strict=True)


def decode(data: bytes) -> Chunk:
    """Read a chunk in either form. Raises BadChunk."""
    if len(data) > LARGEST:
        raise BadChunk("", f"{len(data)} bytes are more than {LARGEST}", "send smaller chunks")
    if not data.startswith(MAGIC):
        chunk = _json(data)
    elif (single := _single(data)) is not None:
        return single
    else:
        chunk = _binary(data)
    if not 1 <= len(chunk) <= LONGEST:
        what = f"{len(chunk)} readings; a chunk has 1 to {LONGEST}"
        raise BadChunk("temperature_c", what, "send several chunks")
    if not _EARLIEST <= chunk.times[0] <= chunk.times[-1] < _LATEST:
        raise BadChunk("start", "is not between 1990 and 2100", "set the device's clock")
    if chunk.sent is not None and not _EARLIEST <= chunk.sent < _LATEST:
        raise BadChunk("sent", "is not between 1990 and 2100", "set the device's clock")
    if chunk.sequence > _HIGHEST:
        raise BadChunk("sequence", f"is more than {_HIGHEST}", "count the chunks from 0")
    for name, values in chunk.channels.items():
        _, _, low, high = CHANNELS[name]
        told = values[~np.isnan(values)]
        if len(told) and not (low <= told.min() and told.max() <= high):
            raise BadChunk(name, f"outside {low:g} to {high:g}", "check the unit")
    return chunk


def _json(data: bytes) -> Chunk:
    try:
        said = _DECODER.decode(data)
        twice = doubled(data)
    except msgspec.ValidationError as error:
        misfit = plain(error)
        raise BadChunk(misfit.where or "body", misfit.what, misfit.todo) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadChunk("body", "is neither JSON nor a binary chunk") from None
    if twice is not None:
        raise BadChunk(twice.name, "stands there twice", "send it once")
    for field in ("start", "sent"):
        moment = getattr(said, field)
        if moment is not None and moment.tzinfo is None:
            raise BadChunk(field, "has no zone", "write 2026-03-02T07:30:00Z")
    lists: dict[str, Values] = {
        name: values for name in CHANNELS if (values := getattr(said, name)) is not None
    }
    if not lists:
        raise BadChunk("temperature_c", "the chunk has no channel", "send at least one")
    count = len(next(iter(lists.values())))
    for name, values in lists.items():
        if len(values) != count:
            raise BadChunk(name, f"{len(values)} readings where others have {count}")
    if (said.every_s is None) == (said.at_s is None):
        raise BadChunk("every_s", "give every_s or at_s, one of them")
    start = said.start.timestamp()
    if said.at_s is not None:
        if len(said.at_s) != count:
            raise BadChunk("at_s", f"{len(said.at_s)} times for {count} readings")
        times: Array = start + np.asarray(said.at_s, dtype=np.float64)
        if count > 1 and not bool(np.all(np.diff(times) > 0)):
            raise BadChunk("at_s", "times must rise", "sort them; leave out doubles")
    else:
        times = start + np.arange(count, dtype=np.float64) * float(said.every_s or 0)
    channels = {name: np.array(values, dtype=np.float64) for name, values in lists.items()}
    return Chunk(said.sequence, said.sent.timestamp() if said.sent else None, times, channels)


_SINGLE: Final = struct.Struct("<4sQqqIHHh")
# Channels of two bytes alone in a chunk: mask -> name, scale, smallest, largest value.
_ALONE: Final = {
    1 << bit: (name, scale, low, high)
    for bit, (name, (scale, kind, low, high)) in enumerate(CHANNELS.items())
    if kind == "<i2"
}


def _single(data: bytes) -> Chunk | None:
    """Read one reading of one channel, ten times as fast; None: `_binary` has to look at it."""
    if len(data) != _SINGLE.size:
        return None
    _, sequence, sent, start, _, count, mask, raw = _SINGLE.unpack(data)
    alone = _ALONE.get(mask)
    if alone is None or count != 1 or sequence > _HIGHEST:
        return None
    name, scale, low, high = alone
    value = np.nan if raw == -32768 else raw / scale
    time, told = start / 1e6, sent / 1e6 if sent else None
    if raw != -32768 and not low <= value <= high:
        return None
    if not _EARLIEST <= time < _LATEST or (told is not None and not _EARLIEST <= told < _LATEST):
        return None
    return Chunk(sequence, told, np.array((time,)), {name: np.array((value,))})


def _binary(data: bytes) -> Chunk:
    if len(data) < _HEAD.size:
        raise BadChunk("header", "the chunk ends in its header")
    _, sequence, sent, start, every, count, mask = _HEAD.unpack_from(data)
    if every == 0 and count > 1:
        raise BadChunk("every", "is 0 ms")
    if mask == 0 or mask >> len(CHANNELS):
        raise BadChunk("channels", f"{mask:#x} names no known channel", "see the payload format")
    at, channels = _HEAD.size, {}
    for bit, (name, (scale, kind, _, _)) in enumerate(CHANNELS.items()):
        if not mask >> bit & 1:
            continue
        width = np.dtype(kind).itemsize * count
        if at + width > len(data):
            raise BadChunk(name, "the chunk ends before its readings do")
        raw = np.frombuffer(data, kind, count, at)
        values: Array = raw.astype(np.float64) / scale
        values[raw == np.iinfo(kind).min] = np.nan
        channels[name] = values
        at += width
    if at != len(data):
        raise BadChunk("body", f"{len(data) - at} bytes too many")
    times = start / 1e6 + np.arange(count) * (every / 1e3)
    return Chunk(sequence, sent / 1e6 if sent else None, times, channels)


def encode(
    sequence: int, start: float, every_s: float, channels: dict[str, Array], sent: float = 0.0
) -> bytes:
    """Write the binary form; values are rounded to the channel's scale."""
    count = len(next(iter(channels.values())))
    mask, parts = 0, []
    for bit, (name, (scale, kind, _, _)) in enumerate(CHANNELS.items()):
        if name not in channels:
            continue
        mask |= 1 << bit
        scaled = np.round(channels[name] * scale)
        gone = np.isnan(scaled)
        raw = np.where(gone, 0, scaled).astype(kind)
        raw[gone] = np.iinfo(kind).min
        parts.append(raw.tobytes())
    head = _HEAD.pack(
        MAGIC, sequence, round(sent * 1e6), round(start * 1e6), round(every_s * 1e3), count, mask
    )
    return head + b"".join(parts)
