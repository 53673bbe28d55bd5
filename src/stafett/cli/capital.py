"""`stafett capital`: where money would help, who could get it back, and where a budget goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Rows

from stafett.cli.completing import named
from stafett.cli.group import Sentences
from stafett.cli.incentives import Failed, opened, picked
from stafett.design.capital.allocate import allocate as best_allocation
from stafett.design.capital.map import Gain, captures, gains, spots
from stafett.design.capital.reading import Catalogue, load
from stafett.design.experiment import Plan
from stafett.design.incentives.owned import ownerships
from stafett.design.incentives.reading import BUILT_IN
from stafett.design.reading import System, names
from stafett.design.reading import load as load_system
from stafett.protocol.read import ReadError
from stafett.service.pictures.planes import capital_map
from stafett.simulation import ModelError

FOUR = ("sweden", "spain", "us", "uk")
out = Console()
if not out.is_terminal:
    out = Console(width=180)
err = Console(stderr=True)


@click.group(cls=Sentences)
def capital() -> None:
    """Which investments would treat more patients, and which can be funded by who profits."""


def _options(command: Any) -> Any:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True),
        click.option("--years", type=click.FloatRange(0.1), default=1.0, show_default=True),
        click.option("--replications", type=click.IntRange(2), default=12, show_default=True),
        click.option("--catalogue", help="A catalogue file (default: the built-in one)."),
        click.argument("systems", nargs=-1, shell_complete=named(names)),
    ):
        command = option(command)
    return command


def _found(
    systems: Sequence[str], catalogue: str | None, plan: Plan
) -> tuple[Catalogue, dict[str, dict[str, Gain]]]:
    try:
        entries = load(catalogue)
        chosen: dict[str, System] = {n: load_system(n) for n in systems or FOUR}
        total = plan.replications * len(chosen) * (1 + 2 * len(entries.categories))
        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("simulating", total=total)
            found = gains(chosen, entries, plan, progress=lambda n: bar.advance(task, n))
    except (ReadError, ModelError, ValueError, OSError) as problem:
        raise Failed(str(problem)) from None
    except KeyboardInterrupt:
        err.print("interrupted: nothing is printed of a part of the replications")
        raise click.exceptions.Exit(130) from None
    return entries, found


@capital.command("map")
@_options
@click.option("--game", default=BUILT_IN, show_default=True, help="A game file, or car-t.")
@click.option("--contract", default="today", show_default=True, help="A contract of the game.")
@click.option("--public", type=click.FloatRange(0, 1), default=0.0, help="Share of public money.")
@click.option(
    "--shared",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of infrastructure that all owners pay for together.",
)
@click.option("--svg", type=click.Path(path_type=Path), help="Write the map as a picture.")
def map_(
    systems: tuple[str, ...], catalogue: str | None, replications: int, years: float, seed: int,
    as_json: bool, game: str, contract: str, public: float, shared: float, svg: Path | None,
) -> None:  # fmt: skip
    """Map criticality against fundability for SYSTEMS (default: the four).

    Assumptions are drawn anew in each replication, prices and contracts too: intervals hold 95 %
    of the draws.
    """
    table = opened(game)
    picked(table, contract)
    plan = Plan(replications, years, seed=seed, assumptions="sampled")
    entries, found = _found(systems, catalogue, plan)
    try:
        captured = {
            name: captures(
                entries, table, contract, seed=seed, ownership=ownerships(system, table.spec)
            )
            for name, system in ((n, load_system(n)) for n in (systems or FOUR))
        }
    except ValueError as problem:
        raise Failed(str(problem)) from None
    placed = spots(found, captured, entries, public=public, shared=shared)
    if svg is not None:
        title = f"under {contract}, public {public:.0%}, shared {shared:.0%}"
        svg.write_text(capital_map(placed, title=title), "utf-8")
    if as_json:
        body = {
            "contract": contract, "public": public, "shared": shared, "seed": seed,
            "units": {
                "criticality": "patients treated more a year for a million US dollars a year",
                "fundability": "share of the value created that the investor captures",
            },
            "map": [asdict(s) for s in placed],
            "split": {k: {"low": n.low, "high": n.high, "note": n.note}
                      for k, n in entries.split.items()},
        }  # fmt: skip
        click.echo(json.dumps(body))
        return
    rows = Rows("system", "category", "patients a year per million a year", "fundability", box=None)
    for s in sorted(placed, key=lambda s: (s.system, -s.criticality.mean)):
        rows.add_row(s.system, s.title, f"{s.criticality:.2f}", f"{s.fundability:.2f}")
    out.print(rows)
    ranges = ", ".join(f"{k} {n.low:.0%} to {n.high:.0%}" for k, n in entries.split.items())
    out.print(
        f"No split of the sector's capital is published; taken as a range: {ranges}. Prices are "
        "assumptions but for manufacturing capacity.", style="dim",
    )  # fmt: skip


@capital.command()
@_options
@click.option(
    "--budget",
    type=click.FloatRange(0),
    required=True,
    help="Thousand US dollars a year, for each system.",
)
def allocate(
    systems: tuple[str, ...], catalogue: str | None, replications: int, years: float, seed: int,
    as_json: bool, budget: float,
) -> None:  # fmt: skip
    """Spread a budget over categories so that most patients are treated."""
    plan = Plan(replications, years, seed=seed, assumptions="sampled")
    entries, found = _found(systems, catalogue, plan)
    best = {name: best_allocation(g, budget) for name, g in found.items()}
    if as_json:
        click.echo(json.dumps({name: asdict(a) for name, a in best.items()}))
        return
    rows = Rows("system", "category", "thousand US dollars a year", box=None)
    for name, a in best.items():
        for key, money in sorted(a.spent.items(), key=lambda x: -x[1]):
            if money > 0:
                rows.add_row(name, entries.categories[key].title, f"{money:,.0f}")
        said = f"[bold]+{a.patients:.1f} patients a year; {a.left:,.0f} not worth spending[/bold]"
        rows.add_row(name, said, "")
    out.print(rows)
