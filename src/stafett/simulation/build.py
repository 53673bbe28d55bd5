"""Write a network down in words; get it back as tables.

Steps run one after the other unless sent elsewhere; `label` names a place to be sent to. A step's
name keys its draws, so the same name in two designs means the same luck (common random numbers),
however many other steps lie between. A *block* is a row of like things (one resource or one
distribution a site) chosen by an attribute of the entity: `by="site"`.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stafett.simulation import tables as t
from stafett.simulation.distributions import Choice, Constant, Distribution, Empirical, row
from stafett.simulation.timetables import Hours, Plan, Rates

Deadline = tuple[str, str]
"""An attribute that holds a moment, and the label to go to when it comes."""


class Builder:
    """Collects resources, attributes and steps; `build` resolves the names and checks them."""

    def __init__(self) -> None:
        self._rows: list[list[int]] = []
        self._names: list[str] = []
        self._labels: dict[str, int] = {}
        self._fixes: list[tuple[int, int, str]] = []  # row, column, label
        self._goto: list[int] = []
        self._goto_fixes: list[tuple[int, str]] = []
        self._cum: list[float] = []
        self._tables: list[tuple[int, int]] = []
        self._consts: dict[float, int] = {}
        self._dists: list[tuple[float, float, float, float, float]] = []
        self._points: list[float] = []
        self._resources: list[str] = []
        self._plans: list[Plan] = []
        self._lifo: list[int] = []
        self._blocks: dict[str, int] = {}
        self._calendars: dict[str, tuple[int, int]] = {}
        self._hours: list[Hours] = []
        self._attributes: dict[str, int] = {}
        self._start: list[float] = []
        self._faults: dict[str, float] = {}
        self._inspections: dict[str, dict[str, tuple[float, str | None]]] = {}
        self._outcomes: dict[str, int] = {}
        self._tallies: dict[str, int] = {}
        self._batches: dict[str, int] = {}
        self._sources: list[tuple[str, Distribution | Rates, str]] = []

    # ---- what there is -----------------------------------------------------------------------

    def attribute(self, name: str, start: float = 0.0) -> str:
        """An attribute of every entity, and its value at the start; `math.inf` is allowed."""
        if name in self._attributes:
            raise ValueError(f"attribute {name!r} is declared twice")
        self._attributes[name] = len(self._attributes)
        self._start.append(start)
        return name

    def resource(self, name: str, capacity: int | Plan, *, lifo: bool = False) -> str:
        """A resource with `capacity` places, served by priority, then in order of arrival."""
        return self.block(name, [capacity], lifo=lifo)

    def block(self, name: str, capacities: Sequence[int | Plan], *, lifo: bool = False) -> str:
        """A row of like resources; a step chooses one of them `by` an attribute."""
        if name in self._blocks:
            raise ValueError(f"resource {name!r} is declared twice")
        self._blocks[name] = len(self._resources)
        for i, capacity in enumerate(capacities):
            plan = capacity if isinstance(capacity, Plan) else Plan(((0.0, capacity),))
            plan.check(f"resource {name!r}")
            self._resources.append(name if len(capacities) == 1 else f"{name}[{i}]")
            self._plans.append(plan)
            self._lifo.append(int(lifo))
        return name

    def calendar(self, name: str, hours: Hours | Sequence[Hours]) -> str:
        """Opening hours, or a row of them to choose from `by` an attribute."""
        block = [hours] if isinstance(hours, Hours) else list(hours)
        for h in block:
            h.check(f"calendar {name!r}")
        self._calendars[name] = (len(self._hours), len(block))
        self._hours += block
        return name

    def fault(self, name: str, severity: float = 1.0) -> str:
        """A latent fault that an entity can carry; the worst found decides where it goes."""
        self._faults[name] = severity
        return name

    # ---- local steps ---------------------------------------------------------------------------

    def label(self, name: str) -> None:
        """Name the next step as a place to be sent to."""
        if name in self._labels:
            raise ValueError(f"label {name!r} is used twice")
        self._labels[name] = len(self._rows)

    def delay(
        self,
        name: str,
        how_long: Distribution | Sequence[Distribution] | str,
        *,
        by: str | None = None,
        times: str | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """Let time pass: a distribution, one of a block `by` an attribute, or an attribute's value.

        `times` names an attribute that multiplies it. At the deadline the entity leaves for it.
        """
        a = -1 - self._att(how_long) if isinstance(how_long, str) else self._block(how_long)
        r = self._step(name, t.DELAY, a=a, b=self._maybe(by), c=self._maybe(times))
        self._deadline(r, deadline)

    def branch(
        self,
        name: str,
        ways: Sequence[tuple[float, str]] | Sequence[Sequence[tuple[float, str]]],
        *,
        by: str | None = None,
        odds: str | None = None,
    ) -> None:
        """Go to a label with its probability, else on. `odds` multiplies the odds of the first."""
        nested = bool(ways) and not isinstance(ways[0][0], int | float)
        block = ways if nested else [ways]
        first = len(self._tables)
        for one in block:
            self._table(name, [(p, w) for p, w in one])  # type: ignore[misc, str-unpack]
        self._step(name, t.BRANCH, a=first, b=self._maybe(by), c=self._maybe(odds))

    def goto(self, label: str) -> None:
        """Go there always."""
        n = len(self._rows)
        self.branch(f"go to {label} ({n})", [(1.0, label)])

    def put(self, attribute: str, value: float) -> None:
        """Set an attribute to a number."""
        self._set(attribute, t.PUT, d=self._const(value))

    def add(self, attribute: str, what: float | str) -> None:
        """Add a number or another attribute to an attribute."""
        self._arith(attribute, t.ADD, what)

    def multiply(self, attribute: str, what: float | str) -> None:
        """Multiply an attribute by a number or another attribute."""
        self._arith(attribute, t.TIMES, what)

    def copy(self, attribute: str, other: str) -> None:
        """Set an attribute to the value of another."""
        self._set(attribute, t.COPY, b=self._att(other))

    def invert(self, attribute: str, other: str) -> None:
        """Set an attribute to one divided by another."""
        self._set(attribute, t.RECIPROCAL, b=self._att(other))

    def minimum(self, attribute: str, other: str) -> None:
        """Set an attribute to the smaller of itself and another."""
        self._set(attribute, t.MINIMUM, b=self._att(other))

    def stamp(self, attribute: str, later: float = 0.0) -> None:
        """Set an attribute to the present time plus `later`."""
        self._set(attribute, t.NOW, d=self._const(later))

    def bucket(self, attribute: str, width: float) -> None:
        """Set an attribute to the number of the shift (of `width`) that the present lies in."""
        self._set(attribute, t.BUCKET, d=self._const(width))

    def draw(
        self,
        name: str,
        attribute: str,
        what: Distribution | Sequence[Distribution],
        *,
        by: str | None = None,
    ) -> None:
        """Set an attribute to a draw of this entity's own."""
        r = self._step(name, t.SET, a=self._att(attribute), b=self._maybe(by), c=t.DRAW)
        self._rows[r][t.E] = self._block(what)

    def shared_draw(
        self,
        name: str,
        attribute: str,
        what: Distribution,
        *,
        group: str,
        second: str | None = None,
    ) -> None:
        """Set an attribute to a draw common to all entities with the same group (and second).

        This is a random effect: of a site, of a team on a shift.
        """
        r = self._step(name, t.SET, a=self._att(attribute), b=self._att(group), c=t.GROUP)
        self._rows[r][t.D] = self._maybe(second)
        self._rows[r][t.E] = self._block(what)

    def test(self, attribute: str, below: float | str, otherwise: str) -> None:
        """Go on if the attribute is less than a number or another attribute, else to a label."""
        b, d = (self._att(below), -1) if isinstance(below, str) else (-1, self._const(below))
        r = self._step(self._auto("test"), t.TEST, a=self._att(attribute), b=b, d=d)
        self._fixes.append((r, t.ALT, otherwise))

    def retry(self, counter: str, attempts: int, back: str, give_up: str) -> None:
        """Count one failed attempt; go `back` while fewer than `attempts` were made."""
        self.add(counter, 1.0)
        self.test(counter, float(attempts), give_up)
        self.goto(back)

    def until(
        self, calendar: str, *, by: str | None = None, deadline: Deadline | None = None
    ) -> None:
        """Wait until the calendar is open."""
        first, _ = self._calendars[calendar]
        r = self._step(self._auto(f"until {calendar}"), t.UNTIL, a=first, b=self._maybe(by))
        self._deadline(r, deadline)

    def expose(
        self,
        name: str,
        faults: Sequence[tuple[float, str]] | Sequence[Sequence[tuple[float, str]]],
        *,
        by: str | None = None,
        odds: str | None = None,
        outside: tuple[str, float] | None = None,
    ) -> None:
        """At most one of the faults is made, each with its probability; nobody sees it yet.

        `odds` names an attribute that multiplies the odds of any fault; `outside` names a calendar
        (the first of its block) and what multiplies them as well while it is closed.
        """
        nested = bool(faults) and not isinstance(faults[0][0], int | float)
        block = faults if nested else [faults]
        first = len(self._tables)
        order = list(self._faults)
        for one in block:
            pairs = [(p, f) for p, f in one]  # type: ignore[misc, str-unpack]
            self._probabilities(name, [float(p) for p, _ in pairs])  # type: ignore[arg-type]
            self._tables.append((len(self._cum), len(pairs)))
            run = 0.0
            for p, f in pairs:
                run += float(p)  # type: ignore[arg-type]
                self._cum.append(run)
                self._goto.append(order.index(str(f)))
        r = self._step(name, t.EXPOSE, a=first, b=self._maybe(by), c=self._maybe(odds))
        if outside is not None:
            calendar, factor = outside
            if not factor > 0:
                raise ValueError(f"{name!r}: the factor outside {calendar!r} must be above 0")
            self._rows[r][t.D] = self._calendars[calendar][0]
            self._rows[r][t.E] = self._const(factor)

    def inspect(
        self, name: str, finds: Mapping[str, tuple[float, str | None]], *, keep: str | None = None
    ) -> None:
        """Each fault carried is found with its probability and removed.

        `finds` gives for each fault (probability, label to go to or None); `keep` names an
        attribute that takes the number of the worst fault found.
        """
        self._inspections[name] = dict(finds)
        self._step(name, t.INSPECT, a=len(self._inspections) - 1, c=self._maybe(keep))

    def tally(self, name: str, attribute: str, *, since: bool = False) -> None:
        """Record the attribute's value, or the time `since` the moment that it holds."""
        k = self._tallies.setdefault(name, len(self._tallies))
        self._step(self._auto(f"tally {name}"), t.TALLY, a=k, b=self._att(attribute), c=int(since))

    # ---- shared steps --------------------------------------------------------------------------

    def seize(
        self,
        name: str,
        resource: str,
        *,
        by: str | None = None,
        priority: int | str = 0,
        patience: Distribution | None = None,
        otherwise: str | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """Take one place, waiting if need be. Priority 0 is served before 7.

        Out of patience the entity goes to `otherwise`; at the deadline, to its label.
        """
        level, att = (0, self._att(priority)) if isinstance(priority, str) else (priority, -1)
        if not 0 <= level < t.LEVELS:
            raise ValueError(f"{name}: priority {level} is not one of 0 to {t.LEVELS - 1}")
        r = self._step(name, t.SEIZE, a=self._blocks[resource], b=self._maybe(by), c=level, d=att)
        if patience is not None:
            if otherwise is None:
                raise ValueError(f"{name}: patience without `otherwise`: where do they go?")
            self._rows[r][t.E] = self._block(patience)
            self._fixes.append((r, t.ALT, otherwise))
        self._deadline(r, deadline)

    def release(self, resource: str, *, by: str | None = None) -> None:
        """Give the place back."""
        self._step(
            self._auto(f"release {resource}"),
            t.RELEASE,
            a=self._blocks[resource],
            b=self._maybe(by),
        )

    def free(self) -> None:
        """Give back everything that the entity holds."""
        self._step(self._auto("free"), t.FREE)

    def observe(self, attribute: str, resource: str, *, by: str | None = None) -> None:
        """Set an attribute to the resource's load: (in use + waiting) / capacity."""
        self._step(
            self._auto(f"observe {resource}"),
            t.OBSERVE,
            a=self._att(attribute),
            b=self._blocks[resource],
            c=self._maybe(by),
        )

    def fork(self, name: str, ways: Sequence[str]) -> None:
        """Go all ways (2 to 7 labels) at once; go on here when each has come to a `join`."""
        if not 1 <= len(ways) <= 7:
            raise ValueError(f"{name}: a fork has 1 to 7 ways")
        self._tables.append((len(self._cum), len(ways)))
        for way in ways:
            self._goto_fixes.append((len(self._goto), way))
            self._goto.append(-1)
            self._cum.append(0.0)
        self._step(name, t.FORK, a=len(self._tables) - 1, c=len(ways))

    def join(self) -> None:
        """The end of one way of a fork."""
        self._step(self._auto("join"), t.JOIN)

    def batch(self, name: str, size: int, *, at_most: Distribution | None = None) -> None:
        """Wait until `size` are together, or until the first has waited `at_most`."""
        if size < 1:
            raise ValueError(f"{name}: a batch has at least one member")
        b = self._batches.setdefault(name, len(self._batches))
        r = self._step(name, t.BATCH, a=b, c=size)
        if at_most is not None:
            self._rows[r][t.E] = self._block(at_most)

    def end(self, outcome: str) -> None:
        """Leave, with an outcome."""
        k = self._outcomes.setdefault(outcome, len(self._outcomes))
        self._step(self._auto(f"end {outcome}"), t.END, a=k)

    def source(self, name: str, every: Distribution | Rates, to: str) -> None:
        """Entities come, apart by `every` or at `Rates`, and begin at label `to`."""
        self._sources.append((name, every, to))

    # ---- inside --------------------------------------------------------------------------------

    def _auto(self, name: str) -> str:
        return f"{name} ({len(self._rows)})"

    def _step(
        self, name: str, code: int, *, a: int = -1, b: int = -1, c: int = -1, d: int = -1
    ) -> int:
        here = len(self._rows)
        self._rows.append([code, a, b, c, d, -1, here + 1, -1, -1, -1])
        self._names.append(name)
        return here

    def _set(self, attribute: str, mode: int, *, b: int = -1, d: int = -1) -> None:
        self._step(self._auto(f"set {attribute}"), t.SET, a=self._att(attribute), b=b, c=mode, d=d)

    def _arith(self, attribute: str, mode: int, what: float | str) -> None:
        if isinstance(what, str):
            self._set(attribute, mode, b=self._att(what))
        else:
            self._set(attribute, mode, d=self._const(what))

    def _att(self, name: str) -> int:
        if name not in self._attributes:
            raise ValueError(f"there is no attribute {name!r}; declare it first")
        return self._attributes[name]

    def _maybe(self, name: str | None) -> int:
        return -1 if name is None else self._att(name)

    def _const(self, value: float) -> int:
        return self._consts.setdefault(float(value), len(self._consts))

    def _block(self, what: Distribution | Sequence[Distribution]) -> int:
        block = list(what) if isinstance(what, Sequence) else [what]
        first = len(self._dists)
        self._dists += [
            row(d, self._points) if isinstance(d, Empirical | Choice) else _row(d) for d in block
        ]
        return first

    def _deadline(self, r: int, deadline: Deadline | None) -> None:
        if deadline is not None:
            self._rows[r][t.DUE] = self._att(deadline[0])
            self._fixes.append((r, t.LATE, deadline[1]))

    def _probabilities(self, name: str, ps: Sequence[float]) -> None:
        if not (min(ps, default=0) >= 0 and sum(ps) <= 1 + 1e-9):
            raise ValueError(f"{name}: {ps} are no probabilities (0 to 1, together at most 1)")

    def _table(self, name: str, ways: Sequence[tuple[float, str]]) -> None:
        self._probabilities(name, [p for p, _ in ways])
        self._tables.append((len(self._cum), len(ways)))
        run = 0.0
        for p, label in ways:
            run += p
            self._cum.append(run)
            self._goto_fixes.append((len(self._goto), label))
            self._goto.append(-1)

    def _place(self, label: str, who: str) -> int:
        if label not in self._labels:
            raise ValueError(f"{who} goes to {label!r}, and there is no such label")
        if self._labels[label] >= len(self._rows):
            raise ValueError(f"label {label!r} has no step after it")
        return self._labels[label]

    def build(self) -> t.Model:
        """Resolve every name and give the tables; say plainly what does not fit."""
        if not self._sources:
            raise ValueError("nothing ever arrives: add a source")
        rows = [list(r) for r in self._rows]
        for r, column, label in self._fixes:
            rows[r][column] = self._place(label, self._names[r])
        goto = list(self._goto)
        for i, label in self._goto_fixes:
            goto[i] = self._place(label, "a branch or fork")
        for r, op in enumerate(rows):
            if op[t.CODE] not in (t.JOIN, t.END) and op[t.NEXT] >= len(rows):
                always = op[t.CODE] == t.BRANCH and self._always(op)
                if not always:
                    raise ValueError(f"{self._names[r]!r} is the last step and no end")
        streams: dict[int, str] = {}
        drawing = (t.DELAY, t.BRANCH, t.SET, t.EXPOSE, t.INSPECT, t.SEIZE, t.BATCH)
        for name, op in zip(self._names, rows, strict=True):
            key = zlib.crc32(name.encode())
            if op[t.CODE] in drawing and streams.setdefault(key, name) != name:
                raise ValueError(f"{name!r} and {streams[key]!r} share a stream: rename one")
        named = [n for n, op in zip(self._names, rows, strict=True) if op[t.CODE] in drawing]
        twice = {n for n, times in Counter(named).items() if times > 1}
        if twice:
            raise ValueError(f"step names must differ: {sorted(twice)}")
        return self._model(rows, goto)

    def _always(self, op: list[int]) -> bool:
        off, n = self._tables[op[t.A]]
        return self._cum[off + n - 1] >= 1.0

    def _model(self, rows: list[list[int]], goto: list[int]) -> t.Model:
        kinds = list(self._faults)
        column = {fault: k for k, fault in enumerate(kinds)}
        sense = np.zeros((len(self._inspections), len(kinds)))
        divert = np.full((len(self._inspections), len(kinds)), -1, np.int32)
        for i, (name, finds) in enumerate(self._inspections.items()):
            for fault, (p, label) in finds.items():
                self._probabilities(name, [p])
                if fault not in column:
                    raise ValueError(f"{name} looks for {fault!r}, and there is no such fault")
                sense[i, column[fault]] = p
                if label is not None:
                    divert[i, column[fault]] = self._place(label, name)
        sources, rate_at, rate, rate_period = [], list[float](), list[float](), []
        for name, every, to in self._sources:
            start = self._place(to, f"source {name!r}")
            if isinstance(every, Rates):
                sources.append((-1, start, len(rate_at), len(every.steps)))
                if not every.steps or every.steps[0][0] != 0 or min(r for _, r in every.steps) < 0:
                    raise ValueError(f"source {name!r}: rates start at 0 and are not negative")
                rate_at += [at for at, _ in every.steps]
                rate += [r for _, r in every.steps]
                rate_period.append(every.period)
            else:
                sources.append((self._block(every), start, 0, 0))
                rate_period.append(math.inf)
        if not self._dists:
            self._block(Constant(0.0))
        plan_len = [len(p.steps) for p in self._plans]
        hours_len = [len(h.open) for h in self._hours]
        T = t.Tables(
            ops=np.array(rows, np.int32),
            stream=np.array([zlib.crc32(n.encode()) for n in self._names], np.uint64),
            dists=np.array(self._dists, np.float64),
            points=np.array(self._points, np.float64),
            tables=np.array(self._tables, np.int32).reshape(-1, 2),
            cum=np.array(self._cum, np.float64),
            goto=np.array(goto, np.int32),
            consts=np.array(list(self._consts), np.float64),
            plan=_spans(plan_len),
            plan_at=np.array([at for p in self._plans for at, _ in p.steps], np.float64),
            plan_to=np.array([c for p in self._plans for _, c in p.steps], np.int32),
            plan_period=np.array([p.period for p in self._plans], np.float64),
            lifo=np.array(self._lifo, np.int32),
            hours=_spans(hours_len),
            opens=np.array([o for h in self._hours for o, _ in h.open], np.float64),
            closes=np.array([c for h in self._hours for _, c in h.open], np.float64),
            hours_period=np.array([h.period for h in self._hours], np.float64),
            sources=np.array(sources, np.int32).reshape(-1, 4),
            rate_at=np.array(rate_at, np.float64),
            rate=np.array(rate, np.float64),
            rate_period=np.array(rate_period, np.float64),
            sense=sense,
            divert=divert,
            severity=np.array(list(self._faults.values()), np.float64),
            start=np.array(self._start, np.float64),
        )
        return t.Model(
            tables=T,
            ops=tuple(self._names),
            resources=tuple(self._resources),
            outcomes=tuple(self._outcomes),
            tallies=tuple(self._tallies),
            attributes=tuple(self._attributes),
            faults=tuple(kinds),
            inspections=tuple(self._inspections),
            sources=tuple(name for name, _, _ in self._sources),
            batches=len(self._batches),
        )


@lru_cache(maxsize=4096)
def _row(d: Distribution) -> tuple[float, float, float, float, float]:
    """The row of a distribution without a table: a network names the same ones many times."""
    return row(d, [])


def _spans(lengths: Sequence[int]) -> NDArray[np.int32]:
    """(n, 2) offsets and lengths of pieces laid end to end."""
    offsets = [sum(lengths[:i]) for i in range(len(lengths))]
    return np.array(list(zip(offsets, lengths, strict=True)), np.int32).reshape(-1, 2)
