"""Where everything stands on the drawing of a protocol: a plain table, before any ink.

The chain is set like music. Time runs left to right in columns; activities that do not touch the
same lanes share one. When a line is full the next **stave** begins below, with the lanes (roles)
that it needs. All lengths are millimetres.
"""

from __future__ import annotations

from typing import NamedTuple

from stafett.protocol.model import Handoff, Protocol, Step
from stafett.protocol.net import Net, target

SHEET = (420.0, 297.0)  # A3 landscape
MARGIN = 7.0
NAMES = 46.0  # for the names of the lanes
COLUMN = 24.0
LANE = 8.0


class Box(NamedTuple):
    """One activity: its stave, its column in it, and the lanes it touches (giver first)."""

    name: str
    kind: str  # "step", "material" or "information"
    stave: int
    column: int
    lanes: tuple[str, ...]
    guarded: bool


class Stave(NamedTuple):
    """One line of the score: its lanes from top to bottom."""

    lanes: tuple[str, ...]
    columns: int


class Layout(NamedTuple):
    """The whole table."""

    boxes: tuple[Box, ...]
    staves: tuple[Stave, ...]
    columns: int


def layout(protocol: Protocol, columns: int | None = None) -> Layout:
    """Return where each activity stands; decisions on demand are not on the staves."""
    net = Net(protocol)
    names = [name for name in net.activities if not net.activity(name).on_demand]
    depth = _depths(net, names)
    order = {role: i for i, role in enumerate(protocol.roles)}
    ordered = sorted(names, key=lambda name: (depth[name], net.index[name]))
    per_stave = columns or int((SHEET[0] - 2 * MARGIN - NAMES) // COLUMN)
    placed = _columns(net, ordered, depth, order)
    guards = {rule.before for rule in protocol.prerequisites}
    boxes = []
    for name, column in placed.items():
        activity = net.activity(name)
        boxes.append(
            Box(
                name,
                _kind(activity),
                column // per_stave,
                column % per_stave,
                _lanes(activity),
                name in guards,
            )
        )
    count = max((box.stave for box in boxes), default=0) + 1
    staves = []
    for i in range(count):
        mine = [box for box in boxes if box.stave == i]
        used = sorted({lane for box in mine for lane in box.lanes}, key=lambda lane: order[lane])
        staves.append(Stave(tuple(used), max((b.column for b in mine), default=0) + 1))
    return Layout(tuple(boxes), tuple(staves), per_stave)


def _kind(activity: Step | Handoff) -> str:
    if isinstance(activity, Step):
        return "step"
    return "material" if activity.carries else "information"


def _lanes(activity: Step | Handoff) -> tuple[str, ...]:
    if isinstance(activity, Step):
        return (activity.role,)
    return (activity.giver, activity.receiver)


def _depths(net: Net, names: list[str]) -> dict[str, int]:
    """Return for each activity the length of the longest chain that leads to it."""
    known = set(names)
    depth = dict.fromkeys(names, 0)
    for _ in names:  # a chain is no longer than the number of activities
        changed = False
        for name in names:
            before = [target(ref) for ref in net.activity(name).after]
            least = max((depth[b] + 1 for b in before if b in known), default=0)
            if least > depth[name]:
                depth[name], changed = least, True
        if not changed:
            break
    return depth


def _columns(
    net: Net, ordered: list[str], depth: dict[str, int], order: dict[str, int]
) -> dict[str, int]:
    """Give each activity the first column after what it comes after where its lanes are free."""
    placed: dict[str, int] = {}
    taken: dict[int, list[tuple[int, int]]] = {}
    for name in ordered:
        activity = net.activity(name)
        rows = [order[lane] for lane in _lanes(activity)]
        low, high = min(rows), max(rows)
        before = [target(ref) for ref in activity.after]
        column = max((placed[b] + 1 for b in before if b in placed), default=depth[name])
        while any(low <= end and start <= high for start, end in taken.get(column, ())):
            column += 1
        placed[name] = column
        taken.setdefault(column, []).append((low, high))
    return placed
