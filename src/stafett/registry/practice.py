"""Practice: was an injected error recognised, how fast, and does a site get better at it?

A drill puts a person at a station with one thing wrong, or nothing (a quarter of the time, so that
"something is always wrong" cannot be learned). It counts what a person did with what lay before
them. Pure: the service keeps the drill, the record its result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import Literal

import msgspec

from stafett.registry.disclosure import wilson

NOTHING_WRONG = 0.25
Verdict = Literal["recognised", "missed", "clean", "false-alarm", "abandoned"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One drill's end. `fault` is a deviation code, "" for none; `seconds` from seeing it."""

    person: str
    organisation: str
    protocol: str
    version: str
    role: str
    activity: str
    side: str
    fault: str
    verdict: Verdict
    seconds: float | None
    at: datetime


def judge(*, fault: bool, told_truth: bool | None, alarmed: bool, ended: bool) -> Verdict:
    """Return the verdict.

    `told_truth`: whether what was wrong was answered as it was (None: it was never reached);
    `alarmed`: whether the person stopped, refused, quarantined, reported or could not tell.
    """
    if not ended:
        return "abandoned"
    if fault:
        return "recognised" if told_truth or (told_truth is None and alarmed) else "missed"
    return "false-alarm" if alarmed else "clean"


class Point(msgspec.Struct, frozen=True):
    """The `attempt`-th drills of all people of a site: how many were right, how fast.

    `low` and `high` are Wilson's 95 % interval; `seconds` the median over what was recognised.
    """

    attempt: int
    drills: int
    right: int
    low: float
    high: float
    seconds: float | None


def curve(results: Sequence[Result], most: int = 12) -> list[Point]:
    """Return the learning curve of a site's results; abandoned drills are no attempts."""
    counted: dict[str, int] = {}
    by_attempt: dict[int, list[Result]] = {}
    for result in sorted(results, key=lambda r: r.at):
        if result.verdict == "abandoned":
            continue
        number = counted[result.person] = counted.get(result.person, 0) + 1
        by_attempt.setdefault(min(number, most), []).append(result)
    points = []
    for number, group in sorted(by_attempt.items()):
        right = [r for r in group if r.verdict in ("recognised", "clean")]
        seconds = [r.seconds for r in right if r.verdict == "recognised" and r.seconds is not None]
        low, high = wilson(len(right), len(group))
        points.append(
            Point(number, len(group), len(right), low, high, median(seconds) if seconds else None)
        )
    return points


def draw(points: Sequence[Point], title: str) -> str:
    """Return the curve as an SVG: share right with its interval, by attempt; "" without any."""
    if not points:
        return ""
    width, height, left, bottom = 520, 220, 44, 30
    last = max(p.attempt for p in points)

    def x(attempt: float) -> float:
        return left + (width - left - 16) * (attempt - 0.5) / last

    def y(share: float) -> float:
        return (height - bottom) - (height - bottom - 14) * share

    out = [
        f'<svg class="curve" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' role="img" aria-label="{title}">'
    ]
    for share in (0.0, 0.5, 1.0):
        at = y(share)
        out.append(f'<line class="grid" x1="{left}" x2="{width - 8}" y1="{at}" y2="{at}"/>')
        out.append(f'<text x="{left - 6}" y="{at + 4}" text-anchor="end">{share:.0%}</text>')
    for p in points:
        share = p.right / p.drills
        out.append(
            f'<line class="interval" x1="{x(p.attempt):.1f}" x2="{x(p.attempt):.1f}"'
            f' y1="{y(p.low):.1f}" y2="{y(p.high):.1f}"/>'
            f'<circle class="dot" cx="{x(p.attempt):.1f}" cy="{y(share):.1f}" r="4"/>'
            f'<text x="{x(p.attempt):.1f}" y="{height - 10}" text-anchor="middle">'
            f"{p.attempt}</text>"
        )
    line = " ".join(f"{x(p.attempt):.1f},{y(p.right / p.drills):.1f}" for p in points)
    out.append(f'<polyline class="line" points="{line}"/></svg>')
    return "".join(out)


def rounded_seconds(seconds: float) -> float:
    """Return a time that can be shown, in seconds to one decimal."""
    return math.floor(seconds * 10 + 0.5) / 10
