"""The studio's runs: what may be asked, and how an organisation's runs and answers are found.

A run is a comparison of some networks with some figures changed. It belongs to an organisation;
nobody else sees it. How it is computed and kept: `computing`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import msgspec

from stafett.design.assumptions import numbers, with_values
from stafett.design.compare import Comparison, Conclusion, designs
from stafett.design.experiment import Plan
from stafett.design.network import Number
from stafett.design.reading import System, document_of, load, names, system_of
from stafett.design.sofar import SoFar
from stafett.design.stability import offered_loads
from stafett.protocol.read import ReadError
from stafett.service.computing import Computation, Computing
from stafett.service.own_networks import OwnNetworks

KIND = "comparison"
MOST_READ = 8  # answers held decoded
PAUSE_S = 0.2  # between two steps that are told
KEY_FIGURES = (
    ("patients", "per_year"), ("patients", "dies"), ("patients", "unfit"),
    ("pools", "line", "places"),
    ("habits", "digital"), ("habits", "structured"), ("habits", "shared_record"),
    ("habits", "dwell_hours"), ("habits", "crossing"), ("habits", "pair_cases"),
)  # fmt: skip


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to compare: networks by name, figures changed (network, path with dots, value)."""

    networks: list[str]
    changes: dict[str, dict[str, float]] = {}
    replications: int = 12
    years: float = 1.0
    seed: int = 1
    assumptions: Literal["fixed", "sampled"] = "fixed"


class Asked(Wish, frozen=True, forbid_unknown_fields=True):
    """A wish as it is kept: networks of the organisation's own by exact version, with their text.

    So a run needs nothing else, means the same for ever, and shares an answer with nobody who did
    not ask of the very same text.
    """

    own: dict[str, str] = {}


class Unusable(ValueError):
    """The wish cannot be run; `field` says which part, the message why and what to do."""

    def __init__(self, field: str, what: str, todo: str = "") -> None:
        super().__init__(what)
        self.field, self.what, self.todo = field, what, todo


@dataclass(frozen=True)
class Found:
    """What the process that computes found."""

    comparison: Comparison
    drawn: Comparison | None
    survives: list[Conclusion]


@dataclass(frozen=True)
class Answer(Found):
    """What a finished run found, with the systems that it is about."""

    systems: dict[str, System]


@dataclass(frozen=True)
class Run:
    """One run: its wish, how far it is, what it found so far, and its answer once it is done."""

    computation: Computation
    wish: Asked
    answer: Answer | None = None
    so_far: SoFar | None = None

    @property
    def id(self) -> str:
        """Its name in addresses."""
        return self.computation.id


def key_figures(system: System) -> list[tuple[str, Number]]:
    """The figures that the studio offers for change, with their paths."""
    there = dict(numbers(system.network))
    steps = [("work", a, "median") for a in system.network.work]
    lanes = [("lanes", a, "median") for a in system.network.lanes]
    lanes += [("routes", a, "median") for a in system.network.routes]
    results = [("results", a) for a in system.network.results if not a.startswith("D_")]
    places = [p for p in there if p[0] == "centres"]
    wanted = [*KEY_FIGURES, *steps, *lanes, *results, *places]
    return [(".".join(p), there[p]) for p in wanted if p in there]


def bounds(path: str) -> tuple[float, float]:
    """The least and the most that a figure may be set to."""
    part = path.split(".")
    if part[0] == "centres" and part[2] == "places":
        return 1.0, 1e4
    shares = ("digital", "structured", "shared_record", "share")
    if part[0] == "results" or part[-1] in shares:
        return 0.0, 1.0
    return (0.0 if part[0] == "patients" else 1e-6), 1e6


@lru_cache(maxsize=32)
def system_of_text(text: str, ref: str) -> System:
    """The system that the text of a kept network describes, by the name of its version."""
    system = system_of(document_of(text, f"{ref}.yaml"))
    network = msgspec.structs.replace(system.network, network=ref)
    return dataclasses.replace(system, network=network)


def as_written(wish: Wish, name: str) -> System:
    """A system wished for, before any change; raises KeyError where there is none."""
    if name in names():
        return load(name)
    return system_of_text((wish.own if isinstance(wish, Asked) else {})[name], name)


def systems_of(wish: Wish) -> dict[str, System]:
    """The systems wished for, changed as wished; raises Unusable."""
    if not 1 <= len(wish.networks) <= 4:
        raise Unusable("networks", f"{len(wish.networks)} networks", "choose one to four")
    if len(set(wish.networks)) < len(wish.networks):
        raise Unusable("networks", "a network is named twice", "name each once")
    if not 2 <= wish.replications <= 60:
        raise Unusable("replications", f"{wish.replications} replications", "2 to 60")
    if not (math.isfinite(wish.years) and 0.25 <= wish.years <= 5):
        raise Unusable("years", f"{wish.years:g} years", "a quarter to 5")
    if not 0 <= wish.seed < 2**32:
        raise Unusable("seed", "out of range", "0 to 4294967295")
    for name in wish.changes:
        if name not in wish.networks:
            raise Unusable(f"changes/{name}", "changes a network that is not compared", "")
    found = {}
    for name in wish.networks:
        try:
            system = as_written(wish, name)
        except KeyError:
            raise Unusable(
                "networks", f"there is no network {name!r}", f"known: {', '.join(names())}"
            ) from None
        except ReadError as problem:  # this release checks more than the one that kept it
            raise Unusable("networks", problem.what, problem.todo) from None
        changes = wish.changes.get(name, {})
        offered = dict(key_figures(system))
        values = {}
        for path, value in changes.items():
            place = f"changes/{name}/{path}"
            if path not in offered:
                raise Unusable(place, "is not a figure that can be changed here", "")
            least, most = bounds(path)
            if not least <= value <= most:
                raise Unusable(place, f"{value:g} is out of range", f"{least:g} to {most:g}")
            parts = path.split(".")
            values["network", *parts] = value
        if values:
            if values.get(("network", "patients", "per_year")) == 0:
                raise Unusable(f"changes/{name}/patients.per_year", "nobody comes", "above 0")
            shares = {k: c.share.value for k, c in system.network.centres.items()}
            if not any(
                values.get(("network", "centres", k, "share"), v) for k, v in shares.items()
            ):
                raise Unusable(
                    f"changes/{name}", "no centre has a share of the patients", "above 0"
                )
            system = with_values(system, values)
        found[name] = system
        for x in offered_loads(system):
            if x.load >= 3:
                raise Unusable(
                    f"changes/{name}", f"{x.pool} would get {x.load:.0%} of what it can do",
                    "the queue would grow without end: add places or take fewer patients",
                )  # fmt: skip
    return found


def plan_of(wish: Wish) -> Plan:
    """How much is run."""
    return Plan(wish.replications, wish.years, seed=wish.seed)


class Studio:
    """The runs of every organisation."""

    def __init__(self, computing: Computing, own: OwnNetworks) -> None:
        self._computing, self.own = computing, own
        self._read: OrderedDict[str, Answer] = OrderedDict()

    async def begin(self, wish: Wish, person: str, organisation: str) -> Run:
        """Begin a run; what was asked before is answered at once. Raises Unusable, Busy.

        A network of the organisation's own without a version is its newest.
        """
        exact = await self._exact(wish, organisation)
        total = evaluations(systems_of(exact), plan_of(exact))
        if wish.assumptions == "sampled":
            total *= 2
        asked = msgspec.json.encode(exact, order="sorted")
        return _run(await self._computing.ask(KIND, asked, person, organisation, total))

    async def _exact(self, wish: Wish, organisation: str) -> Asked:
        """The wish with the organisation's own networks by version, and their text."""
        called, own = {}, {}
        for name in wish.networks[:4]:
            if name in names():
                continue
            found = await self.own.content(organisation, name)
            if found is not None:
                called[name] = found[0].ref
                own[found[0].ref] = found[1]
        return Asked(
            [called.get(n, n) for n in wish.networks],
            {called.get(n, n): figures for n, figures in wish.changes.items()},
            wish.replications, wish.years, wish.seed, wish.assumptions, own,
        )  # fmt: skip

    async def of(self, organisation: str, id_: str) -> Run | None:
        """A run of an organisation with its answer; None where there is none that it may see."""
        found = await self._computing.of(organisation, KIND, id_)
        if found is None:
            return None
        run = _run(found)
        if found.state != "done":
            seen = await self._computing.so_far(id_)
            so_far = None if seen is None else msgspec.msgpack.decode(seen, type=SoFar)
            return Run(found, run.wish, so_far=so_far)
        if found.digest not in self._read:
            body = await self._computing.answer(found.digest)
            if body is None:
                return None
            f = msgspec.msgpack.decode(body, type=Found)
            self._read[found.digest] = Answer(
                f.comparison, f.drawn, f.survives, systems_of(run.wish)
            )
            while len(self._read) > MOST_READ:
                self._read.popitem(last=False)
        return Run(found, run.wish, self._read[found.digest])

    async def follow(
        self, organisation: str, id_: str, beat_s: float
    ) -> AsyncGenerator[Run | None, None]:
        """Yield a run now and whenever it is further, until it has ended; None at `beat_s` of calm.

        A run that nobody may see yields nothing. Steps that come faster than a reader follows are
        told as one.
        """
        last, told = None, time.monotonic()
        with self._computing.watched() as moved:
            while (run := await self.of(organisation, id_)) is not None:
                now = (run.computation.state, run.computation.done, run.so_far and run.so_far.seen)
                if now != last:
                    yield run
                    last, told = now, time.monotonic()
                elif time.monotonic() - told > beat_s:
                    yield None
                    told = time.monotonic()
                if not run.computation.going:
                    return
                await asyncio.sleep(PAUSE_S)
                await moved()

    async def all_of(self, organisation: str) -> list[Run]:
        """The runs of an organisation, the newest first, without their answers."""
        return [_run(c) for c in await self._computing.all_of(organisation, KIND)]

    async def cancel(self, run: Run) -> None:
        """Stop a run; what is finished stays finished."""
        await self._computing.cancel(run.id)


def _run(found: Computation) -> Run:
    return Run(found, msgspec.json.decode(found.wish, type=Asked))


def evaluations(systems: dict[str, System], plan: Plan) -> int:
    """How many replications a comparison runs."""
    every = designs(systems, plan)
    more = sum("*" in n for n in every)
    side = len(every) - len(systems) - more
    fewer, few = max(2, plan.replications * 2 // 5), max(2, plan.replications // 10)
    return len(systems) * plan.replications + side * fewer + more * few


def rows_of(answer: Answer) -> Iterable[tuple[str, str, str, str, float, float, float]]:
    """Every figure of an answer as (assumptions, table, system, what, mean, low, high)."""
    for how, c in (("fixed", answer.comparison), ("sampled", answer.drawn)):
        if c is None:
            continue
        for system, figures in c.figures.items():
            for k, e in figures.items():
                yield how, "figures", system, k, e.mean, e.low, e.high
        for system, levers in c.marginal.items():
            for lever, effects in levers.items():
                for k, e in effects.items():
                    yield how, "levers", system, f"{lever}: {k}", e.mean, e.low, e.high
        for table, part in (("scale", c.scale), ("resilience", c.resilience)):
            for system, values in part.items():
                for k, e in values.items():
                    yield how, table, system, k, e.mean, e.low, e.high
