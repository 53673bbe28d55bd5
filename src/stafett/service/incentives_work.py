"""Contracts, captures, gains and settlements worked out, in the process that computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from stafett.design.capital.map import Capture, Gain, captures, gains
from stafett.design.capital.reading import load as load_capital
from stafett.design.incentives.owned import ownerships
from stafett.design.incentives.reading import load
from stafett.design.incentives.workbench import assess, bounds
from stafett.design.reading import load as load_system
from stafett.service.computing_messages import Task
from stafett.service.incentives import DRAWS, PLAN, Bench, Under, Within, Worth
from stafett.simulation import Store

Tick = Callable[[int], None]


def contracts(task: Task, tick: Tick) -> Bench:
    """Every contract of the built-in game at a value of success."""
    wish = msgspec.json.decode(task.wish, type=Worth)
    table = load()
    game = replace(table.game, value=wish.value)
    ends = bounds(game)
    tick(1)
    findings = {}
    for name, contract in table.contracts.items():
        findings[name] = assess(contract, game, ends)
        tick(1)
    best = tuple(ends.best.tolist())
    return Bench(best, ends.welfare, ends.success, ends.nothing, findings)


def captured(task: Task, tick: Tick) -> dict[str, Capture]:
    """Who captures what under a contract with a system's owners, the game's assumptions drawn."""
    wish, table = msgspec.json.decode(task.wish, type=Under), load()
    ownership = ownerships(load_system(wish.system), table.spec)
    return captures(load_capital(), table, wish.contract, draws=DRAWS, ownership=ownership)


def gained(task: Task, tick: Tick) -> dict[str, dict[str, Gain]]:
    """What each category gives some systems; what is simulated is kept."""
    wish = msgspec.json.decode(task.wish, type=Within)
    systems = {s: load_system(s) for s in wish.systems}
    return gains(systems, load_capital(), PLAN, store=Store(Path(task.keep)), progress=tick)


def settled(task: Task, tick: Tick) -> object:
    """What an organisation contributed, and would owe or earn."""
    from stafett.service import settlement_work

    return settlement_work.settled(task)


KINDS: dict[str, Callable[[Task, Tick], object]] = {
    "contracts": contracts,
    "captures": captured,
    "gains": gained,
    "settlement": settled,
}
