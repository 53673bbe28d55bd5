"""Shelf life against the longest permitted path.

`takes` counts from the moment an activity could begin (all that it comes after is done) to the
moment it is done; a deadline counts from the moment `since` was done. From these follows, for a
shelf life that counts from activity c, an upper bound for how long after c each other activity is
done: nothing for what must be done before c, else the latest of what it comes after plus what it
takes, or the deadline if that is sooner. A use must fit: by its beginning if it uses the material
up, by its end if it does not, or if it gives it to the patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stafett.protocol.chain import Chain
from stafett.protocol.finding import Finding
from stafett.protocol.model import Handoff, Step
from stafett.protocol.net import target

UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Span:
    """The longest time from the start of a shelf life: seconds, and the activities on that path.

    `open` names the activities on the path that nothing bounds; then `seconds` is only a part.
    """

    seconds: int = 0
    path: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def shelf(chain: Chain) -> Iterator[Finding]:
    """Yield each shelf life that a permitted path outlives."""
    yield from _clocks(chain)
    for name, material in chain.protocol.materials.items():
        life = material.shelf_life
        if life is None:
            continue
        since = target(life.counts_from)
        spans = _spans(chain, since)
        uses = [
            (_until(chain, use, activity, name, spans), use)
            for _, use, activity in chain.activities()
            if _uses(chain, activity, name) and use != since and use not in chain.before[since]
        ]
        if not uses:
            continue
        at = ("materials", name, "shelf_life")
        unbounded = [(span, use) for span, use in uses if span.open]
        if unbounded:
            span, use = min(unbounded, key=lambda found: len(found[0].path))
            what = (
                f"{name} keeps for {life.at_most} from {since}, but nothing limits"
                f" {', '.join(span.open)} before {use}"
            )
            yield chain.found("shelf-life-unbounded", at, what)
        bounded = [(span, use) for span, use in uses if not span.open]
        if not bounded:
            continue
        span, use = max(bounded, key=lambda found: found[0].seconds)
        way = _way(chain, span)
        if span.seconds > life.at_most.seconds:
            what = (
                f"{name} keeps for {life.at_most} from {since}, but {use} may be as late as"
                f" {duration(span.seconds)} after it"
            )
            yield chain.found("shelf-life-exceeded", at, what, way)
            continue
        hold, reason = _hold(chain, span)
        if hold is not None and span.seconds + hold > life.at_most.seconds:
            what = (
                f"{name} keeps for {life.at_most} from {since}; {use} may be"
                f" {duration(span.seconds)} after it, and with {reason}"
                f" {duration(span.seconds + hold)}"
            )
            yield chain.found("shelf-life-tight", at, what, way)


def _clocks(chain: Chain) -> Iterator[Finding]:
    """Find clocks that begin when the material is older than they say."""
    for name, material in chain.protocol.materials.items():
        makers = chain.makers(name)
        life = material.shelf_life
        if life is None:
            continue
        since = target(life.counts_from)
        if not any(since == maker or since in chain.before[maker] for maker in makers):
            what = f"{name} exists from {makers[0]} on, and its clock starts with {since}"
            yield chain.found("clock-late", ("materials", name, "shelf_life"), what)
    for _, name, activity in chain.activities():
        for old, new in activity.becomes.items() if isinstance(activity, Handoff) else ():
            before, after = chain.material(old).shelf_life, chain.material(new).shelf_life
            if before is None:
                continue
            at = ("materials", new, *(() if after is None else ("shelf_life",)))
            if after is None:
                what = (
                    f"{old} keeps for {before.at_most}; relabelled in {name}, {new} keeps for ever"
                )
                yield chain.found("clock-restarted", at, what)
                continue
            first, then = target(before.counts_from), target(after.counts_from)
            later = then != first and then not in chain.before[first]
            if later or after.at_most > before.at_most:
                what = (
                    f"{old} keeps for {before.at_most} from {first}; relabelled in {name} it keeps"
                    f" for {after.at_most} from {then}"
                )
                yield chain.found("clock-restarted", at, what)


def _uses(chain: Chain, activity: Step | Handoff, material: str) -> bool:
    if isinstance(activity, Handoff):
        return material in activity.carries
    return material in activity.inputs


def _until(
    chain: Chain, use: str, activity: Step | Handoff, material: str, spans: dict[str, Span]
) -> Span:
    """Return the time by which `use` needs the material: its beginning or its end."""
    if isinstance(activity, Handoff) or activity.kind == "administer":
        return spans[use]
    if material in activity.consumes:
        return _latest(chain, use, spans)
    return spans[use]


def _latest(chain: Chain, name: str, spans: dict[str, Span]) -> Span:
    """Return when `name` can begin at the latest."""
    before = [spans[target(ref)] for ref in chain.activity(name).after]
    return max(before, key=lambda span: (len(span.open) > 0, span.seconds), default=Span())


def _spans(chain: Chain, since: str) -> dict[str, Span]:
    """Return for each activity how long after `since` it is done at the latest."""
    spans: dict[str, Span] = {}
    earlier = chain.before[since] | {since}
    for name in chain.order:
        if name in earlier:
            spans[name] = Span()
            continue
        activity = chain.activity(name)
        begin = _latest(chain, name, spans)
        if activity.takes is not None:
            seconds = begin.seconds + activity.takes.at_most.seconds
            span = Span(seconds, (*begin.path, name), begin.open)
        else:
            span = Span(begin.seconds, (*begin.path, name), (*begin.open, name))
        for deadline in activity.deadlines:
            start = spans.get(target(deadline.since), Span())
            due = start.seconds + deadline.at_most.seconds
            if not start.open and (span.open or due < span.seconds):
                span = Span(due, (*start.path, name))
        spans[name] = span
    return spans


def _hold(chain: Chain, span: Span) -> tuple[int | None, str]:
    """Return the longest single hold on a path: one decision, and the activity made once more."""
    worst: tuple[int | None, str] = (None, "")
    for name in span.path:
        activity = chain.activity(name)
        routes = [activity.on_stop]
        if isinstance(activity, Handoff):
            routes += [activity.on_quarantine, activity.on_refuse]
        for route in routes:
            if route is None or route.decide is None:
                continue
            limit = chain.protocol.steps[route.decide].takes
            if limit is None:
                continue
            again = activity.takes.at_most.seconds if activity.takes is not None else 0
            hold = limit.at_most.seconds + again
            if worst[0] is None or hold > worst[0]:
                worst = (hold, f"{name} held by {route.decide} and made once more")
    return worst


def _way(chain: Chain, span: Span) -> tuple[str, ...]:
    said = []
    for name in span.path:
        takes = chain.activity(name).takes
        said.append(f"{name}: at most {takes.at_most}" if takes is not None else f"{name}: due")
    return tuple(said)


def duration(seconds: int) -> str:
    """Return `seconds` as people write it, in its two largest units."""
    parts: list[str] = []
    for size, unit in UNITS:
        if seconds >= size and len(parts) < 2:
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
    return " ".join(parts) or "0 s"
