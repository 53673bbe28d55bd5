"""`stafett design validate`, `levers`, `sensitivity`: against the published; what moves it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from math import comb
from pathlib import Path

import click
from rich.table import Table

from stafett.cli.bars import progress
from stafett.cli.completing import named
from stafett.cli.design_words import (
    Assumptions,
    Failed,
    cut_short,
    err,
    figure,
    heading,
    options,
    out,
    plain,
    systems_of,
    worked,
)
from stafett.design.effort import PAIRED, Outcome, levers
from stafett.design.experiment import Plan
from stafett.design.levers import LEVERS
from stafett.design.measures import TITLES
from stafett.design.reading import names
from stafett.design.validate import Validation, validate
from stafett.simulation import Store


@click.command("validate", short_help="Hold the simulation against published figures.")
@options
def validate_(
    systems: tuple[str, ...], replications: int, years: float, seed: int, workers: int | None,
    store: Path | None, as_json: bool, assumptions: Assumptions,
) -> None:  # fmt: skip
    """Hold the simulation against published figures: inside their range or not.

    Exit status 1 when a figure lies outside.
    """
    chosen = systems_of(systems)
    plan = Plan(replications, years, seed=seed, assumptions=assumptions)
    kept = Store(store) if store else None
    with progress(len(chosen) * plan.replications, "replications") as tick:
        found: Validation = worked(
            lambda: validate(chosen, plan, workers=workers, store=kept, progress=tick)
        )
    rows = found.rows
    if as_json:
        import msgspec

        click.echo(
            json.dumps(
                [
                    {
                        "system": r.system,
                        "published": msgspec.to_builtins(r.published),
                        "simulated": plain(asdict(r.simulated)),
                        "inside": r.inside,
                    }
                    for r in rows
                ],
                indent=1,
            )
        )
    else:
        table = Table("system", "figure", "published", "range", "simulated", "inside?", "source")
        for r in rows:
            p = r.published
            digits = 3 if p.high <= 1 else 1
            table.add_row(
                r.system, p.what, f"{p.value:g}", f"{p.low:g} to {p.high:g}",
                figure(r.simulated, digits),
                ("[green]yes[/green]" if r.inside else "[red]NO[/red]")
                + (" [dim](was put in)[/dim]" if p.put_in else ""),
                f"{p.source} ({p.mark})",
            )  # fmt: skip
        out.print(table)
        outside = sum(not r.inside for r in rows)
        out.print(
            f"{len(rows) - outside} of {len(rows)} inside. A read in the source, A2 in a secondary "
            "source, B from the literature and not checked, D our arithmetic. *Was put in*: the "
            "figure is an input too, so that agreement says only that nothing was lost on the way.",
            highlight=False,
        )
    cut_short(found.missing)
    sys.exit(0 if all(r.inside for r in rows) else 1)


@click.command("levers", short_help="The same effort on components and on interfaces.")
@click.option("--effort", type=click.FloatRange(0.05, 3.0), default=0.7, show_default=True,
              help="Sum of the logarithms of all improvements.")  # fmt: skip
@options
def levers_(
    systems: tuple[str, ...], replications: int, years: float, seed: int, workers: int | None,
    store: Path | None, as_json: bool, assumptions: Assumptions, effort: float,
) -> None:  # fmt: skip
    """Spend the same effort on components, on interfaces, and on each lever alone."""
    chosen = systems_of(systems)
    plan = Plan(replications, years, seed=seed, assumptions=assumptions)
    kept = Store(store) if store else None
    each = 4 + 2 * len(LEVERS) + comb(PAIRED, 2)
    total = len(chosen) * plan.replications * each
    with progress(total, "replications") as tick:
        found: dict[str, Outcome] = worked(
            lambda: levers(chosen, plan, effort, workers=workers, store=kept, progress=tick)
        )
    missing = max(o.missing for o in found.values())
    if as_json:
        click.echo(json.dumps(plain({n: asdict(o) for n, o in found.items()}), indent=1))
        cut_short(missing)
        return
    heads = list(found)
    for measure, title in (
        ("treated_share", "Patients treated, of 100 referred: gained"),
        ("referred_to_infused", "Referral to infusion, median days: change"),
        ("cost", "Cost per patient treated, thousand US dollars: change"),
    ):
        heading(title, f"by the same effort ({effort:g} in all)")
        table = Table("", *heads)
        for group in ("component", "interface", "institution"):
            cells = [figure(found[n].groups[group][measure], 2) for n in heads]
            table.add_row(f"[b]all {group} levers[/b]", *cells)
        cells = [figure(found[n].interfaces_minus_components[measure], 2) for n in heads]
        table.add_row("[b]interfaces minus components[/b]", *cells, end_section=True)
        for lever in LEVERS:
            cells = [
                f"{figure(found[n].levers[lever.name][measure], 2)} "
                f"[dim]half: {found[n].half[lever.name][measure].mean:.2f}[/dim]"
                for n in heads
            ]
            table.add_row(f"{lever.name} [dim]({lever.group})[/dim]", *cells)
        out.print(table)
    _print_interactions(found, effort)
    for n in heads:
        d = found[n].interfaces_minus_components["treated_share"]
        word = "no clear difference between"
        if d.clear:
            word = "more from interfaces than from" if d.mean > 0 else "less from interfaces than"
        tail = "components" if d.clear else "interfaces and components"
        out.print(f"[b]{n}[/b]: {word} {tail} ({d:.2f} patients of 100)", highlight=False)
    cut_short(missing)


def _print_interactions(found: dict[str, Outcome], effort: float) -> None:
    """Pairs of the levers that help most: whether two together give more than each alone."""
    heading(
        "Interactions: patients treated, of 100 referred, beyond the sum of both alone",
        f"the {PAIRED} levers that help each system most, two at a time, {effort:g} each; "
        "below zero: one does part of the other's work",
    )
    table = Table("system", "pair", "beyond the sum")
    for n, o in found.items():
        for pair, values in o.interactions.items():
            table.add_row(n, pair, figure(values["treated_share"], 2))
    out.print(table)


@click.command("sensitivity", short_help="Rank figures by how far they move a result.")
@click.argument("system", shell_complete=named(names))
@click.option("--measure", default="treated_share", show_default=True,
              help="The figure that is asked about.")  # fmt: skip
@click.option("--trajectories", type=click.IntRange(2, 60), default=6, show_default=True)
@click.option("--first", type=click.IntRange(0, 20), default=6, show_default=True,
              help="For how many factors variance is shared out (0: none).")  # fmt: skip
@click.option("--points", type=click.IntRange(8), default=32, show_default=True,
              help="Points of the Sobol design: a power of two.")  # fmt: skip
@click.option("--replications", type=click.IntRange(1), default=2, show_default=True)
@click.option("--years", type=click.FloatRange(0.1), default=2.0, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Threads (default: all cores).")
@click.option("--store", type=click.Path(path_type=Path), help="Keep results; go on later.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sensitivity_(
    system: str, measure: str, trajectories: int, first: int, points: int, replications: int,
    years: float, seed: int, workers: int | None, store: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Rank the figures of SYSTEM by how far their ranges move a result.

    Morris screening of every figure that has a range, then Sobol shares of the first few.
    """
    from stafett.design.sensitivity import evaluations as asked
    from stafett.design.sensitivity import sensitivity

    if measure not in TITLES:
        raise Failed(f"there is no figure {measure!r}: choose one of {', '.join(TITLES)}")
    if points & (points - 1):
        raise Failed(f"--points {points} is not a power of two")
    (_, chosen), *_ = systems_of([system]).items()
    plan = Plan(replications, years, seed=seed)
    total = asked(chosen, trajectories, first, points) * replications
    with progress(total, "replications") as tick:
        try:
            found = worked(
                lambda: sensitivity(
                    chosen, measure, plan, trajectories=trajectories, first=first, n=points,
                    workers=workers, store=Store(store) if store else None, progress=tick,
                )
            )  # fmt: skip
        except KeyboardInterrupt:
            err.print("interrupted; with --store the next run goes on from here")
            sys.exit(130)
    if as_json:
        click.echo(json.dumps(plain(asdict(found)), indent=1))
        return
    heading(
        f"{chosen.name}: what moves “{TITLES[measure]}”",
        f"{found.runs} designs of {replications} replications; change over the whole range",
    )
    table = Table("factor", "mu*", "error", "mu", "sigma")
    for s in found.screened[:25]:
        table.add_row(
            s.factor, f"{s.mu_star:.2f}", f"{s.error:.2f}", f"{s.mu:+.2f}", f"{s.sigma:.2f}"
        )
    out.print(table)
    if len(found.screened) > 25:
        out.print(f"[dim]and {len(found.screened) - 25} with less (--json lists all)[/dim]")
    if found.shares:
        heading("Shares of the variance", "Sobol indices among these, 95 % bootstrap interval")
        table = Table("factor", "alone", "with interactions")
        for x in found.shares:
            table.add_row(
                x.factor,
                f"{x.first:.2f} [dim]({x.first_low:.2f} to {x.first_high:.2f})[/dim]",
                f"{x.total:.2f} [dim]({x.total_low:.2f} to {x.total_high:.2f})[/dim]",
            )
        out.print(table)
