"""Read a PNG of eight-bit samples into grey values: what a scanner's camera would see."""

from __future__ import annotations

import struct
import zlib

import numba
import numpy as np


def grey(data: bytes) -> np.ndarray:
    """Return the picture as grey values, shape (height, width), on white paper."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    assert depth == 8 and interlace == 0
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    packed, at = bytearray(), 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    samples = _unfilter(raw, channels).reshape(height, width, channels).astype(np.float64)
    colours = samples[..., :-1] if channels in (2, 4) else samples
    shade = colours.mean(axis=-1)
    if channels in (2, 4):
        cover = samples[..., -1] / 255
        shade = shade * cover + 255 * (1 - cover)
    return np.ascontiguousarray(shade.round().astype(np.uint8))


@numba.njit(cache=False)
def _unfilter(raw: np.ndarray, step: int) -> np.ndarray:
    height, width = raw.shape[0], raw.shape[1] - 1
    out = np.zeros((height, width), np.uint8)
    for y in range(height):
        kind = raw[y, 0]
        for x in range(width):
            a = int(out[y, x - step]) if x >= step else 0
            b = int(out[y - 1, x]) if y else 0
            c = int(out[y - 1, x - step]) if y and x >= step else 0
            guess = 0
            if kind == 1:
                guess = a
            elif kind == 2:
                guess = b
            elif kind == 3:
                guess = (a + b) // 2
            elif kind == 4:
                p = a + b - c
                pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                guess = a if pa <= pb and pa <= pc else b if pb <= pc else c
            out[y, x] = (int(raw[y, x + 1]) + guess) & 255
    return out
