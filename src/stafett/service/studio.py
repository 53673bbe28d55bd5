"""The studio's runs: in the background, bounded for each person, kept by what they depend on.

A run is a comparison of some networks with some figures changed. It is computed by a worker thread
(the compiled kernel lets go of Python's lock) and kept under the digest of its request: the same
question is answered at once. A run belongs to an organisation; nobody else sees it.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from stafett.design.assumptions import numbers, with_values
from stafett.design.compare import Comparison, Conclusion, compare, conclusions, designs
from stafett.design.experiment import Plan
from stafett.design.network import Number
from stafett.design.reading import System, load, names
from stafett.design.stability import offered_loads

MOST_RUNNING = 2  # waiting or running, for each person
MOST_KEPT = 64
WORKERS = 1  # threads of one run: the pages must stay quick
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


class Unusable(ValueError):
    """The wish cannot be run; `field` says which part, the message why and what to do."""

    def __init__(self, field: str, what: str, todo: str = "") -> None:
        super().__init__(what)
        self.field, self.what, self.todo = field, what, todo


class Busy(RuntimeError):
    """The person has as many runs going as one person may."""


@dataclass(frozen=True)
class Answer:
    """What a finished run found."""

    systems: dict[str, System]
    comparison: Comparison
    drawn: Comparison | None
    survives: list[Conclusion]


@dataclass
class Job:
    """One run: its wish, how far it is, and its answer when done."""

    id: str
    digest: str
    wish: Wish
    person: str
    organisation: str
    total: int
    done: int = 0
    state: Literal["waiting", "running", "done", "cancelled", "failed"] = "waiting"
    problem: str = ""
    answer: Answer | None = None
    stop: threading.Event = field(default_factory=threading.Event)


class _Cancelled(Exception):
    pass


def key_figures(system: System) -> list[tuple[str, Number]]:
    """The figures that the studio offers for change, with their paths."""
    there = dict(numbers(system.network))
    steps = [("work", a, "median") for a in system.network.work]
    lanes = [("lanes", a, "median") for a in system.network.lanes]
    results = [("results", a) for a in system.network.results if not a.startswith("D_")]
    wanted = [*KEY_FIGURES, *steps, *lanes, *results]
    return [(".".join(p), there[p]) for p in wanted if p in there]


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
        if name not in names():
            raise Unusable(
                "networks", f"there is no network {name!r}", f"known: {', '.join(names())}"
            )
        system = load(name)
        changes = wish.changes.get(name, {})
        offered = dict(key_figures(system))
        values = {}
        for path, value in changes.items():
            place = f"changes/{name}/{path}"
            if path not in offered:
                raise Unusable(place, "is not a figure that can be changed here", "")
            most = 1.0 if path.startswith(("results.", "habits.digital", "habits.structured",
                                           "habits.shared_record")) else 1e6  # fmt: skip
            least = 0.0 if most == 1.0 or path.startswith("patients.") else 1e-6
            if not least <= value <= most:
                raise Unusable(place, f"{value:g} is out of range", f"{least:g} to {most:g}")
            parts = path.split(".")
            values["network", *parts] = value
        if values:
            if values.get(("network", "patients", "per_year")) == 0:
                raise Unusable(f"changes/{name}/patients.per_year", "nobody comes", "above 0")
            system = with_values(system, values)
        found[name] = system
        for x in offered_loads(system):
            if x.load >= 3:
                raise Unusable(
                    f"changes/{name}", f"{x.pool} would get {x.load:.0%} of what it can do",
                    "the queue would grow without end: add places or take fewer patients",
                )  # fmt: skip
    return found


class Studio:
    """The runs of one server."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="studio")
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._kept: OrderedDict[str, Answer] = OrderedDict()

    def start(self, wish: Wish, person: str, organisation: str) -> Job:
        """Begin a run, or answer at once what was asked before. Raises Unusable, Busy."""
        systems = systems_of(wish)
        plan = Plan(wish.replications, wish.years, seed=wish.seed)
        digest = hashlib.sha256(msgspec.json.encode(wish, order="sorted")).hexdigest()
        total = evaluations(systems, plan) * (2 if wish.assumptions == "sampled" else 1)
        job = Job(secrets.token_urlsafe(9), digest, wish, person, organisation, total)
        with self._lock:
            going = [
                j for j in self._jobs.values()
                if j.person == person and j.state in ("waiting", "running")
            ]  # fmt: skip
            kept = self._kept.get(digest)
            if kept is None and len(going) >= MOST_RUNNING:
                raise Busy(f"{MOST_RUNNING} runs are going already")
            self._jobs[job.id] = job
            for old in [
                j for j in self._jobs.values() if j.state in ("done", "cancelled", "failed")
            ]:
                if len(self._jobs) > 4 * MOST_KEPT:
                    del self._jobs[old.id]
            if kept is not None:
                job.answer, job.state, job.done = kept, "done", total
                return job
        self._pool.submit(self._work, job, systems, plan)
        return job

    def of(self, organisation: str, id_: str) -> Job | None:
        """A run of an organisation; None where there is none that it may see."""
        job = self._jobs.get(id_)
        return job if job is not None and job.organisation == organisation else None

    def all_of(self, organisation: str) -> list[Job]:
        """The runs of an organisation, the newest first."""
        with self._lock:
            return [j for j in reversed(self._jobs.values()) if j.organisation == organisation]

    def cancel(self, job: Job) -> None:
        """Stop a run; what is finished stays finished."""
        job.stop.set()
        if job.state == "waiting":
            job.state = "cancelled"

    def close(self) -> None:
        """Stop everything."""
        for job in self._jobs.values():
            job.stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, job: Job, systems: dict[str, System], plan: Plan) -> None:
        if job.stop.is_set():
            job.state = "cancelled"
            return
        job.state = "running"

        def tick(done: int) -> None:
            job.done += done
            if job.stop.is_set():
                raise _Cancelled

        try:
            answer = answered(systems, plan, job.wish.assumptions, tick)
        except _Cancelled:
            job.state = "cancelled"
        except Exception as problem:  # the page says so; the server lives on
            job.state, job.problem = "failed", f"{type(problem).__name__}: {problem}"
        else:
            job.answer, job.done, job.state = answer, job.total, "done"
            with self._lock:
                self._kept[job.digest] = answer
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)


def answered(
    systems: dict[str, System], plan: Plan, assumptions: str, tick: Callable[[int], None]
) -> Answer:
    """Run the comparison, and again with assumptions drawn if wished."""
    c = compare(systems, plan, workers=WORKERS, progress=tick)
    drawn, survives = None, []
    if assumptions == "sampled":
        wide = Plan(plan.replications, plan.years, plan.warmup, plan.seed, "sampled")
        drawn = compare(systems, wide, workers=WORKERS, progress=tick)
        survives = conclusions(c, drawn)
    return Answer(systems, c, drawn, survives)


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
