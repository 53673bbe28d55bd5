"""Contracts compared, capital maps and settlements for the pages: computed once, kept.

A map's simulations depend only on the systems; what the sliders move (public money, shared
infrastructure, the contract) is worked out again at each look. How it is computed: `computing`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import msgspec
import numpy as np

from stafett.design.capital.map import Capture, Gain, Spot, spots
from stafett.design.capital.reading import load as load_capital
from stafett.design.experiment import Plan
from stafett.design.incentives.reading import Table, load
from stafett.design.incentives.workbench import Bounds, Finding
from stafett.service import going
from stafett.service.computing import Computing
from stafett.service.going import EVERYBODY, Going

SYSTEMS = ("sweden", "spain", "us", "uk")
PLAN = Plan(8, 1.0, seed=1, assumptions="sampled")
DRAWS = 8
WORTH = (100.0, 2000.0)  # what a success may be worth here, thousand US dollars
T = TypeVar("T")


class Worth(msgspec.Struct, frozen=True):
    """The contracts of the built-in game where a success is worth `value` thousand US dollars."""

    value: float


class Under(msgspec.Struct, frozen=True):
    """Who captures what under a contract of the built-in game, with a system's owners."""

    contract: str
    system: str


class Within(msgspec.Struct, frozen=True):
    """What investments give these systems."""

    systems: tuple[str, ...]


@dataclass(frozen=True)
class Bench:
    """What is worked out of the contracts; `best` are the efforts that are best for all."""

    best: tuple[float, ...]
    welfare: float
    success: float
    nothing: float
    findings: dict[str, Finding]


@dataclass(frozen=True)
class Workbench:
    """The built-in game at a value of success, with every contract's finding."""

    table: Table
    ends: Bounds
    findings: dict[str, Finding]


class Incentives:
    """What the pages of incentives and capital ask for."""

    def __init__(self, computing: Computing) -> None:
        self._computing = computing

    async def workbench(self, value: float, person: str) -> Workbench | Going:
        """Every contract of the built-in game; ValueError for a value out of range."""
        if not WORTH[0] <= value <= WORTH[1]:
            raise ValueError(f"{value:g}: a success is worth {WORTH[0]:g} to {WORTH[1]:g} here")
        table = load()
        total = 1 + len(table.contracts)
        found = await self._asked("contracts", Worth(value), Bench, person, total)
        if isinstance(found, Going):
            return found
        ends = Bounds(np.array(found.best), found.welfare, found.success, found.nothing)
        return Workbench(replace(table, game=replace(table.game, value=value)), ends,
                         found.findings)  # fmt: skip

    async def gains(
        self, systems: Sequence[str], person: str
    ) -> dict[str, dict[str, Gain]] | Going:
        """What each category gives; ValueError where none or others than the four are named."""
        chosen = tuple(s for s in SYSTEMS if s in systems)
        if not chosen or any(s not in SYSTEMS for s in systems):
            raise ValueError(f"choose among {', '.join(SYSTEMS)}")
        total = len(chosen) * PLAN.replications * (1 + 2 * len(load_capital().categories))
        kind = dict[str, dict[str, Gain]]
        return await self._asked("gains", Within(chosen), kind, person, total)

    async def captures(self, contract: str, system: str, person: str) -> dict[str, Capture] | Going:
        """Who captures what under a contract of the built-in game, with a system's owners."""
        wish = Under(contract, system)
        return await self._asked("captures", wish, dict[str, Capture], person, 1)

    async def _asked(
        self, kind: str, wish: msgspec.Struct, answer: type[T], person: str, total: int
    ) -> T | Going:
        asked = msgspec.json.encode(wish, order="sorted")
        c = await self._computing.ask(
            kind, asked, person, EVERYBODY, total, lane="pages", join=True
        )
        body = await self._computing.answer(c.digest) if c.state == "done" else None
        if body is None:
            return going.of(c)
        return msgspec.msgpack.decode(body, type=answer)


def placed(
    gains: Mapping[str, Mapping[str, Gain]],
    captured: Mapping[str, Mapping[str, Capture]],
    public: float,
    shared: float,
) -> list[Spot]:
    """The map for the sliders as they stand; ValueError if they are out of range."""
    return spots(gains, captured, load_capital(), public=public, shared=shared)


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
                "title": f.contract.title, "warnings": [str(w) for w in f.warnings],
                "equilibria": [asdict(s) for s in f.states],
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
