"""`stafett incentives`: what contracts make actors do, and what each is owed by a real log."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table as Rows

from stafett.cli.group import Sentences
from stafett.design.incentives.contract import Contract
from stafett.design.incentives.reading import BUILT_IN, Table, load
from stafett.design.incentives.settle import (
    Unsettled,
    by_interface,
    by_party,
    facts_of,
    statements,
)
from stafett.design.incentives.workbench import Finding, assess, bounds, change, closing, rates
from stafett.eventlog import LogUnreadableError, Reading, read_log
from stafett.protocol.read import ReadError

out = Console()
if not out.is_terminal:
    out = Console(width=180)


class Failed(click.ClickException):
    """The input cannot be read, or does not fit."""

    exit_code = 2


@click.group(cls=Sentences)
def incentives() -> None:
    """What contracts make of a chain of owners, and what a real log says each is owed."""


def opened(game: str) -> Table:
    """A game by name or file, or status 2 with its place."""
    try:
        return load(game)
    except (ReadError, OSError) as problem:
        raise Failed(str(problem)) from None


@incentives.command()
@click.argument("game", default=BUILT_IN)
@click.option("--contract", "-c", "chosen", multiple=True, help="Only these (default: all).")
@click.option("--before", help="Compared with this one (default: the first).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(game: str, chosen: tuple[str, ...], before: str | None, as_json: bool) -> None:
    """Compare the contracts of GAME (a file, or the built-in car-t).

    Exit status 1: a contract has no equilibrium that could be found.
    """
    table = opened(game)
    ends = bounds(table.game)
    found = [assess(picked(table, n), table.game, ends) for n in chosen or table.contracts]
    base = assess(picked(table, before), table.game, ends) if before else found[0]
    closes = closing(found)
    rate = next((r for f in [closes] for r in _rates(f.contract, table) if r[1] <= 0.1), None)
    if as_json:
        body = {
            "game": table.spec.game,
            "unit": "thousand US dollars for each journey that begins",
            "best": {"welfare": ends.welfare, "success": ends.success},
            "no_effort": {"welfare": ends.nothing},
            "contracts": [
                {
                    "name": f.contract.name, "title": f.contract.title,
                    "warnings": [str(w) for w in f.warnings],
                    "equilibria": [asdict(s) for s in f.states],
                    "gains_over": {base.contract.name: change(base, f).gains},
                } for f in found
            ],
            "closes_the_gap": closes.contract.name,
            "rate_that_leaves_a_tenth": rate[0] if rate else None,
        }  # fmt: skip
        click.echo(json.dumps(body, default=_plain))
    else:
        _print(table, ends.welfare, ends.nothing, ends.success, found, base)
        said = f"{closes.contract.name} leaves least of the gap ({closes.state.fragmentation:.0%})"
        if rate:
            said += f"; a rate of {rate[0]:.3g} leaves {rate[1]:.0%} of it"
        out.print(said + ".")
        out.print(
            "Outside the model: limited liability, giver and receiver acting in concert, "
            "reports that are not honest. Most figures are assumptions: see the game file.",
            style="dim",
        )
    if not all(f.state.settled for f in found):
        raise SystemExit(1)


def picked(table: Table, name: str) -> Contract:
    """A contract of the table, or status 2 with those it has."""
    if name not in table.contracts:
        raise Failed(f"no contract {name!r} in {table.spec.game}: has {', '.join(table.contracts)}")
    return table.contracts[name]


def _rates(contract: Contract, table: Table) -> list[tuple[float, float]]:
    try:
        found = rates(contract, table.game, bounds(table.game))
    except ValueError:
        return []
    return [(r.rate, r.fragmentation) for r in found]


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(type(value).__name__)


def _print(
    table: Table, best: float, nothing: float, success: float, found: list[Finding], base: Finding
) -> None:
    out.print(f"[bold]{table.spec.title}[/bold]")
    out.print(
        f"A journey is worth {best:.1f} at best (success {success:.1%}), {nothing:.1f} without any "
        "effort; thousand US dollars for each journey that begins."
    )
    rows = Rows("contract", "success", "worth", "of the gap lost", "equilibria", box=None)
    for f in found:
        s = f.state
        rows.add_row(
            f.contract.name, f"{s.success:.1%}", f"{s.welfare:.1f}", f"{s.fragmentation:.0%}",
            str(len(f.states)) if s.settled else f"none ({s.residual:.1e})",
        )  # fmt: skip
    out.print(rows)
    actors = [a.name for a in table.game.actors]
    gains = Rows(f"gains over {base.contract.name}", *actors, "all", box=None)
    for f in found:
        c = change(base, f)
        gains.add_row(f.contract.name, *[f"{c.gains[a]:+.1f}" for a in actors], f"{c.total:+.1f}")
    out.print(gains)
    for f in found:
        for w in f.warnings:
            out.print(f"  {f.contract.name}: {w}", style="yellow")


@incentives.command()
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--contract", "-c", required=True, help="The contract's name in the game.")
@click.option("--game", default=BUILT_IN, show_default=True, help="A game file, or car-t.")
@click.option("--interface", "faces", multiple=True, metavar="IN_LOG=NAME", help="NAME or -")
@click.option("--party", "parties", multiple=True, metavar="IN_LOG=ACTOR", help="Who is who.")
@click.option("--zone", help="Time zone of times that name none, e.g. Europe/Stockholm.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def settle(
    log: Path, contract: str, game: str, faces: tuple[str, ...], parties: tuple[str, ...],
    zone: str | None, as_json: bool,
) -> None:  # fmt: skip
    """State from LOG what each party lost, and owes or earns under a contract.

    LOG is an event log (CSV, XES, OCEL) or a record exported as JSON lines.
    """
    table = opened(game)
    chosen = picked(table, contract)
    try:
        facts = facts_of(read_log(log, reading=Reading(zone)), _pairs(faces), _pairs(parties))
        stated = statements(facts, chosen, table.game, bounds(table.game).best)
    except (LogUnreadableError, Unsettled, ValueError) as problem:
        raise Failed(f"{log.name}: {problem}") from None
    interfaces, shares = by_interface(facts), by_party(facts)
    if as_json:
        click.echo(
            json.dumps({
                "contract": contract, "unit": "thousand US dollars",
                "journeys": facts.journeys, "successes": facts.successes,
                "open": facts.open, "unrecorded": facts.unrecorded,
                "interfaces": [asdict(c) for c in interfaces],
                "parties": [asdict(c) for c in shares],
                "statements": [{**asdict(s), "total": s.total} for s in stated],
            })
        )  # fmt: skip
        return
    out.print(
        f"{facts.journeys} closed journeys, {facts.successes} of them successful; left out: "
        f"{facts.open} open journeys, {facts.unrecorded} handoffs without an outcome."
    )
    for title, part in (("interface", interfaces), ("party", shares)):
        rows = Rows(title, "handoffs", "failed", "journeys lost (Shapley)", box=None)
        for c in part:
            rows.add_row(c.name, str(c.reached), str(c.failed), f"{c.journeys_lost:.2f}")
        out.print(rows)
    rows = Rows(f"under {contract}", "for", "count", "thousand US dollars", box=None)
    for s in stated:
        for line in s.lines:
            rows.add_row(s.party, line.what, f"{line.count:g}", f"{line.amount:+,.1f}")
        rows.add_row(s.party, "[bold]total[/bold]", "", f"[bold]{s.total:+,.1f}[/bold]")
    out.print(rows)


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, mark, what = text.partition("=")
        if not (mark and name and what):
            raise Failed(f"{text!r} is not of the form NAME_IN_LOG=NAME")
        found[name] = what
    return found
