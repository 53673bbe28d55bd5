"""Contracts compared and capital maps for the pages: computed once, kept, run in the background.

A map's simulations depend only on the systems; what the sliders move (public money, shared
infrastructure, the contract) is worked out again at each look.
"""

from __future__ import annotations

import csv
import io
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from stafett.design.capital.map import Capture, Gain, Spot, captures, gains, spots
from stafett.design.capital.reading import load as load_capital
from stafett.design.experiment import Plan
from stafett.design.incentives.reading import Table, load
from stafett.design.incentives.workbench import Bounds, Finding, assess, bounds
from stafett.design.reading import load as load_system

SYSTEMS = ("sweden", "spain", "us", "uk")
PLAN = Plan(8, 1.0, seed=1, assumptions="sampled")
MOST_KEPT = 16
WORTH = (100.0, 2000.0)  # what a success may be worth here, thousand US dollars


@dataclass(frozen=True)
class Workbench:
    """The built-in game at a value of success, with every contract's finding."""

    table: Table
    ends: Bounds
    findings: dict[str, Finding]


@lru_cache(maxsize=32)
def workbench(value: float | None = None) -> Workbench:
    """Every contract of the built-in game; ValueError for a value out of range."""
    table = load()
    if value is not None:
        if not WORTH[0] <= value <= WORTH[1]:
            raise ValueError(f"{value:g}: a success is worth {WORTH[0]:g} to {WORTH[1]:g} here")
        table = replace(table, game=replace(table.game, value=value))
    ends = bounds(table.game)
    found = {n: assess(c, table.game, ends) for n, c in table.contracts.items()}
    return Workbench(table, ends, found)


@lru_cache(maxsize=32)
def captured(contract: str) -> dict[str, Capture]:
    """Who captures what under a contract of the built-in game, its assumptions drawn."""
    return captures(load_capital(), load(), contract, draws=8)


@dataclass
class MapRun:
    """The simulations behind a map: how far they are, and what they gave."""

    systems: tuple[str, ...]
    total: int
    done: int = 0
    gains: dict[str, dict[str, Gain]] | None = None
    problem: str = ""


class Maps:
    """The maps of one server; one is simulated at a time, equal questions are asked once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="capital")
        self._lock = threading.Lock()
        self._runs: OrderedDict[tuple[str, ...], MapRun] = OrderedDict()

    def of(self, systems: Sequence[str]) -> MapRun:
        """The map of some of the four systems, begun if nobody asked before; else ValueError."""
        chosen = tuple(s for s in SYSTEMS if s in systems)
        strange = [s for s in systems if s not in SYSTEMS]
        if strange or not chosen:
            raise ValueError(f"choose among {', '.join(SYSTEMS)}")
        with self._lock:
            run = self._runs.get(chosen)
            if run is None or run.problem:
                total = len(chosen) * PLAN.replications * (1 + 2 * len(load_capital().categories))
                run = self._runs[chosen] = MapRun(chosen, total)
                while len(self._runs) > MOST_KEPT:
                    self._runs.popitem(last=False)
                self._pool.submit(self._work, run)
        return run

    def _work(self, run: MapRun) -> None:
        def tick(done: int) -> None:
            run.done += done

        try:
            systems = {s: load_system(s) for s in run.systems}
            run.gains = gains(systems, load_capital(), PLAN, workers=1, progress=tick)
        except Exception as problem:  # the page says so; the server lives on
            run.problem = f"{type(problem).__name__}: {problem}"

    def close(self) -> None:
        """Stop."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def placed(run: MapRun, contract: str, public: float, shared: float) -> list[Spot]:
    """The map for the sliders as they stand; ValueError if they are out of range."""
    assert run.gains is not None
    return spots(run.gains, captured(contract), load_capital(), public=public, shared=shared)


def map_csv(found: Sequence[Spot]) -> str:
    """The map as a table."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["system", "category", "patients_per_million", "low", "high", "captured", "low", "high"]
    )
    for s in found:
        c, f = s.criticality, s.fundability
        writer.writerow([s.system, s.category, c.mean, c.low, c.high, f.mean, f.low, f.high])
    return text.getvalue()


def contracts_csv(bench: Workbench) -> str:
    """Contracts, equilibria and actors as a table."""
    text = io.StringIO()
    writer = csv.writer(text)
    actors = [a.name for a in bench.table.game.actors]
    writer.writerow(
        ["contract", "equilibrium", "settled", "residual", "success", "welfare", "gap_lost",
         *[f"pay_{a}" for a in actors], *[f"gain_{a}" for a in actors]]
    )  # fmt: skip
    for name, f in bench.findings.items():
        for k, s in enumerate(f.states, start=1):
            writer.writerow(
                [name, k, s.settled, s.residual, s.success, s.welfare, s.fragmentation,
                 *[s.pay[a] for a in actors], *[s.gains[a] for a in actors]]
            )  # fmt: skip
    return text.getvalue()


def contracts_json(bench: Workbench, value: float) -> str:
    """The workbench as JSON."""
    body = {
        "unit": "thousand US dollars for each journey that begins",
        "value": value,
        "best": {"welfare": bench.ends.welfare, "success": bench.ends.success},
        "no_effort": {"welfare": bench.ends.nothing},
        "contracts": {
            n: {
                "title": f.contract.title, "warnings": f.warnings,
                "equilibria": [{**asdict(s), "efforts": s.efforts.tolist()} for s in f.states],
            } for n, f in bench.findings.items()
        },
    }  # fmt: skip
    return json.dumps(body)


def map_json(found: Sequence[Spot], settings: Mapping[str, object]) -> str:
    """A map as JSON, with the sliders it stands for."""
    units = {
        "criticality": "patients treated more a year for a million US dollars a year",
        "fundability": "share of the value created that the investor captures",
    }
    return json.dumps({**settings, "units": units, "map": [asdict(s) for s in found]})
