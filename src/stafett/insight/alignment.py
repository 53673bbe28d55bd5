"""Alignments: the cheapest way in which a journey and the protocol can be brought to agree.

The protocol is a partial order: a step may come once all its predecessors have come, so that work
side by side is not taken for work out of order, as in a plain sequence. It becomes a Petri net, and
`r4pm` (extra ``alignments``) finds an optimal alignment for each variant; each step that was left
out (a model move) or should not have been there (a log move) costs one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.conformance import variants

MOST_STATES = 200_000


class NoAlignmentsError(RuntimeError):
    """Alignments cannot be had here; the message says why and what to do."""


@dataclass(frozen=True)
class Alignments:
    """`fitness` is 1 less the cost over the cost of doing nothing right, over all journeys;
    `perfect` the share of journeys without a move that disagrees; `moves` has ``activity``,
    ``left_out`` and ``added`` (journeys); `unknown` counts journeys whose search was given up.
    """

    fitness: float
    perfect: float
    moves: pl.DataFrame
    journeys: int
    unknown: int


def partial_order(
    after: Mapping[str, Sequence[str]], kept: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return for each activity of `kept` the nearest kept ones that come before it.

    What is left out is bridged: its own predecessors take its place.
    """
    keep = set(kept)

    def before(name: str, seen: frozenset[str]) -> set[str]:
        found: set[str] = set()
        for one in after.get(name, ()):
            if one in keep:
                found.add(one)
            elif one not in seen:
                found |= before(one, seen | {one})
        return found - {name}

    return {name: tuple(sorted(before(name, frozenset((name,))))) for name in kept}


def align(log: EventLog, order: Mapping[str, Sequence[str]]) -> Alignments:
    """Align every variant of `log` with the partial order `order` (activity -> predecessors).

    Raises:
        NoAlignmentsError: the extra is not installed, or there is nothing to align with.
    """
    try:
        from r4pm import bindings
    except ImportError:
        raise NoAlignmentsError(
            "alignments need the extra: pip install 'stafett[alignments]'"
        ) from None
    if not order:
        raise NoAlignmentsError("the protocol expects no activity that the log shows")
    net, labels = _net(order)
    costs = {
        "log_move_cost": 1,
        "model_move_cost": 1,
        "silent_move_cost": 0,
        "sync_move_cost": 0,
    }
    options = {"max_states": MOST_STATES, "cost_fn": costs}
    shortest = len(order)
    cost = most = 0
    perfect = unknown = 0
    left_out: dict[str, int] = {}
    added: dict[str, int] = {}
    for course, n in variants(log).select("course", "n").iter_rows():
        found = _aligned(bindings, net, list(course), options)
        if found is None:
            unknown += n
            continue
        cost += n * found["cost"]
        most += n * (shortest + len(course))
        perfect += n * (found["cost"] == 0)
        skipped: set[str] = set()
        extra: set[str] = set()
        for move in found["moves"]:
            (kind, what), *_ = move.items()
            if kind == "ModelMove":
                skipped.add(labels[what["transition"]])
            elif kind == "LogMove":
                extra.add(course[what["trace_event_index"]])
        for counted, concerned in ((left_out, skipped), (added, extra)):
            for name in concerned:
                counted[name] = counted.get(name, 0) + n
    names = sorted({*left_out, *added}, key=lambda a: -(left_out.get(a, 0) + added.get(a, 0)))
    moves = pl.DataFrame(
        {
            "activity": names,
            "left_out": [left_out.get(a, 0) for a in names],
            "added": [added.get(a, 0) for a in names],
        },
        schema={"activity": pl.String, "left_out": pl.Int64, "added": pl.Int64},
    )
    total = log.steps["case"].n_unique() - unknown
    return Alignments(
        1 - cost / most if most else 0.0, perfect / max(1, total), moves, total, unknown
    )


def _aligned(
    bindings: Any, net: dict[str, Any], course: list[str], options: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the alignment of one course; None where the search was given up."""
    result = bindings.align_trace(net, course, options)
    if isinstance(result, Mapping) and "Ok" in result:
        result = result["Ok"]
    if not isinstance(result, Mapping) or "moves" not in result:
        return None
    return dict(result)


def _net(order: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the Petri net of a partial order, and the label of each of its transitions."""
    transition = {name: str(uuid.uuid4()) for name in order}
    places: dict[str, dict[str, str]] = {}
    arcs: list[dict[str, Any]] = []
    initial: dict[str, int] = {}
    final: dict[str, int] = {}

    def place() -> str:
        new = str(uuid.uuid4())
        places[new] = {"id": new}
        return new

    def arc(kind: str, a: str, b: str) -> None:
        arcs.append({"from_to": {"type": kind, "nodes": [a, b]}, "weight": 1})

    followed = {p for before in order.values() for p in before}
    for name, before in order.items():
        for predecessor in before:
            between = place()
            arc("TransitionPlace", transition[predecessor], between)
            arc("PlaceTransition", between, transition[name])
        if not before:
            start = place()
            initial[start] = 1
            arc("PlaceTransition", start, transition[name])
        if name not in followed:
            end = place()
            final[end] = 1
            arc("TransitionPlace", transition[name], end)
    net = {
        "places": places,
        "transitions": {t: {"id": t, "label": name} for name, t in transition.items()},
        "arcs": arcs,
        "initial_marking": initial,
        "final_markings": [final],
    }
    return net, {t: name for name, t in transition.items()}
