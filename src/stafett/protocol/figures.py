"""Figures: each has its source or says that it is a proposal, and no two contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol.chain import Chain
from stafett.protocol.finding import Finding
from stafett.protocol.model import Deadline, Figure, Limit, Rung, ShelfLife, Step
from stafett.protocol.net import target
from stafett.protocol.read import Path_
from stafett.protocol.references import known_name

MOST_PEOPLE = 9  # more are never in one place with one bag


def figures(chain: Chain) -> Iterator[Finding]:
    """Yield figures without a source, and limits that no value can satisfy."""
    yield from _limits(chain)
    yield from _bounds(chain)
    yield from _ladders(chain)
    yield from _sources(chain)
    yield from _deadlines(chain)


def _sourced(
    chain: Chain, path: Path_, what: str, figure: Limit | ShelfLife | Rung | Deadline | Figure
) -> Iterator[Finding]:
    if figure.source is None and not figure.proposal:
        raw = chain.document.at(*path)
        value = raw.get("at_most", raw.get("after")) if isinstance(raw, dict) else None
        if not (isinstance(value, str) and value.startswith("${")):
            yield chain.found("unsourced", path, f"{what} has no source")


def _limits(chain: Chain) -> Iterator[Finding]:
    scans = chain.protocol.scans
    if scans is not None:
        yield from _sourced(chain, ("scans",), "the age that a scan may have", scans)
        if scans.at_most.seconds == 0:
            yield chain.found("contradictory-limits", ("scans",), "a scan may have no age at all")
    for path, name, activity in chain.activities():
        takes = activity.takes
        if takes is not None:
            at = (*path, "takes")
            yield from _sourced(chain, at, f"the time {name} takes", takes)
            if takes.at_most.seconds == 0:
                yield chain.found("contradictory-limits", at, f"{name} may take no time at all")
            if takes.usual is not None and takes.usual > takes.at_most:
                what = f"{name} usually takes {takes.usual}, and at most {takes.at_most}"
                yield chain.found("contradictory-limits", (*at, "usual"), what)
        for i, deadline in enumerate(activity.deadlines):
            at = (*path, "deadlines", i)
            yield from _sourced(chain, at, f"the deadline of {name}", deadline)
            yield from _against(chain, at, name, deadline)
        for i, rung in enumerate(activity.escalation):
            at = (*path, "escalation", i)
            yield from _sourced(chain, at, f"the escalation of {name} to {rung.tell}", rung)
    for name, material in chain.protocol.materials.items():
        if material.shelf_life is not None:
            at = ("materials", name, "shelf_life")
            yield from _sourced(chain, at, f"the shelf life of {name}", material.shelf_life)
            if material.shelf_life.at_most.seconds == 0:
                yield chain.found("contradictory-limits", at, f"{name} keeps for no time at all")
        for i, condition in enumerate(material.conditions):
            at = ("materials", name, "conditions", i)
            low, high = condition.min, condition.max
            if low is not None and high is not None and low > high:
                what = f"{name}: min {low:g} is above max {high:g}"
                yield chain.found("contradictory-limits", (*at, "min"), what)
            if condition.source is None and not condition.proposal:
                what = f"the {condition.of} limit of {name} has no source"
                yield chain.found("unsourced", at, what)
    for product, entry in chain.protocol.products.items():
        for key, figure in entry.parameters.items():
            at = ("products", product, "parameters", key)
            yield from _sourced(chain, at, f"{key} of {product}", figure)


def _against(chain: Chain, at: Path_, name: str, deadline: Deadline) -> Iterator[Finding]:
    """Hold a deadline against what usually happens between its start and its activity."""
    takes = chain.activity(name).takes
    usual = None if takes is None else takes.usual
    if usual is not None and usual > deadline.at_most:
        what = (
            f"{name} usually takes {usual}, but is due within {deadline.at_most}"
            f" of {deadline.since}"
        )
        yield chain.found("contradictory-limits", at, what)


def _bounds(chain: Chain) -> Iterator[Finding]:
    for path, name, _, check in chain.checks():
        if check.min is not None and check.max is not None and check.min > check.max:
            what = f"{check.id} in {name}: min {check.min:g} is above max {check.max:g}"
            yield chain.found("contradictory-limits", (*path, "min"), what)
        if check.source is None and not check.proposal:
            raw = [chain.document.at(*path, f) for f in ("min", "max")]
            if any(isinstance(value, int | float) for value in raw):
                what = f"the limits of {check.id} in {name} have no source"
                yield chain.found("unsourced", path, what)
        if not 1 <= check.people <= MOST_PEOPLE:
            what = f"{check.id} in {name} is made by {check.people} people"
            yield chain.found("contradictory-limits", (*path, "people"), what)
    for path, name, activity in chain.activities():
        signs = (
            {("sign",): activity.sign}
            if isinstance(activity, Step)
            else {(side, "sign"): getattr(activity, side).sign for side in ("release", "accept")}
        )
        for more, sign in signs.items():
            if sign is not None and sign.people > MOST_PEOPLE:
                what = f"{name} is signed by {sign.people} people"
                yield chain.found("contradictory-limits", (*path, *more, "people"), what)


def _ladders(chain: Chain) -> Iterator[Finding]:
    for path, name, ladder in chain.ladders():
        for i in range(1, len(ladder)):
            if ladder[i].after <= ladder[i - 1].after:
                what = (
                    f"{name} tells {ladder[i].tell} after {ladder[i].after},"
                    f" but {ladder[i - 1].tell} before that after {ladder[i - 1].after}"
                )
                yield chain.found("contradictory-limits", (*path, i, "after"), what)


def _sources(chain: Chain) -> Iterator[Finding]:
    """Find each `source:` that names no entry of `sources`, wherever it stands."""
    known = chain.protocol.sources
    for path in chain.document.places:
        if path and path[-1] == "source" and path[0] != "sources":
            source = chain.document.at(*path)
            if isinstance(source, str) and source not in known:
                yield from known_name(chain, path, "source", source, known)


def _deadlines(chain: Chain) -> Iterator[Finding]:
    for path, name, activity in chain.activities():
        for i, deadline in enumerate(activity.deadlines):
            since = target(deadline.since)
            if since not in chain.before[name] and not activity.on_demand:
                what = f"{name} counts from {since}, which need not be done before it"
                yield chain.found("deadline-unordered", (*path, "deadlines", i, "since"), what)
