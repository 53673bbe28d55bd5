"""`stafett design compare`: figures, pressure, scale, resilience of systems side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from stafett.cli.bars import progress
from stafett.cli.design_words import (
    Assumptions,
    Failed,
    cut_short,
    figure,
    heading,
    options,
    out,
    plain,
    systems_of,
    worked,
)
from stafett.design.compare import Comparison, compare, conclusions
from stafett.design.estimate import Estimate
from stafett.design.experiment import Plan
from stafett.design.levers import LEVERS
from stafett.design.measures import TITLES
from stafett.design.reading import System, load, names
from stafett.protocol.model import text
from stafett.service.studio import evaluations
from stafett.simulation import Store


@click.command("compare", short_help="Compare delivery systems under the same luck.")
@click.option("--protocol", "protocol", help="Every built-in network of this protocol.")
@options
def compare_(
    systems: tuple[str, ...], replications: int, years: float, seed: int, workers: int | None,
    store: Path | None, as_json: bool, assumptions: Assumptions, protocol: str | None,
) -> None:  # fmt: skip
    """Compare delivery systems under the same luck: figures, pressure, scale, resilience.

    Without SYSTEMS: Sweden, Spain, the United States and the United Kingdom. With `--assumptions
    sampled` intervals are printed with and without the ranges of the assumptions, and which
    conclusions survive.
    """
    chosen = systems_of(_of_protocol(protocol, systems) if protocol else systems)
    plan = Plan(replications, years, seed=seed)
    kept = Store(store) if store else None
    total = evaluations(chosen, plan) * (2 if assumptions == "sampled" else 1)
    drawn: Comparison | None = None
    with progress(total, "replications") as tick:
        c = worked(lambda: compare(chosen, plan, workers=workers, store=kept, progress=tick))
        if assumptions == "sampled" and not c.missing:
            wide = replace(plan, assumptions="sampled")
            drawn = worked(
                lambda: compare(chosen, wide, workers=workers, store=kept, progress=tick)
            )
    missing = c.missing + (drawn.missing if drawn else 0)
    if as_json:
        answer = asdict(c)
        if drawn:
            answer = {"fixed": answer, "sampled": asdict(drawn)}
            answer["conclusions"] = [asdict(x) for x in conclusions(c, drawn)]
        click.echo(json.dumps(plain(answer), indent=1))
    else:
        _print_comparison(chosen, c)
        if drawn:
            _print_drawn(chosen, c, drawn)
    cut_short(missing)


def _of_protocol(protocol: str, systems: Sequence[str]) -> list[str]:
    """The networks named, or all built-in ones, that run a protocol."""
    pool = list(systems) or list(names())
    found = [n for n, s in systems_of(pool).items() if s.network.protocol == protocol]
    if not found:
        known = ", ".join(sorted({load(n).network.protocol for n in names()}))
        raise Failed(f"no network runs the protocol {protocol!r}: there are networks for {known}")
    return found


def _print_drawn(chosen: dict[str, System], c: Comparison, drawn: Comparison) -> None:
    """The same figures with the ranges of the assumptions in them."""
    heads = list(chosen)
    heading(
        "With the ranges of the assumptions",
        "first line: mean and 95 % interval, assumptions fixed; second: mean and 95 % of draws",
    )
    table = Table("", *heads)
    for measure, title in TITLES.items():
        table.add_row(title, *[figure(c.figures[n].get(measure)) for n in heads])
        cells = [figure(drawn.figures[n].get(measure)) for n in heads]
        table.add_row("[dim]  drawn[/dim]", *cells, end_section=True)
    out.print(table)
    found = conclusions(c, drawn)
    lost = [x for x in found if not x.survives]
    heading(
        "Which conclusions survive",
        f"{len(found) - len(lost)} of {len(found)} that are clear with assumptions fixed",
    )
    table = Table("system", "what", "fixed", "drawn", "survives?")
    for x in found:
        word = "[green]yes[/green]" if x.survives else "[red]NO[/red]"
        table.add_row(x.system, x.what, figure(x.fixed, 2), figure(x.drawn, 2), word)
    out.print(table)
    for n in heads:
        p = drawn.pressure[n]
        out.print(
            f"[b]{n}[/b]: with assumptions drawn the pressure is on [b]{p.pressure}[/b], "
            f"in {p.pressure_share:.0%} of draws",
            highlight=False,
        )


def _print_comparison(chosen: dict[str, System], c: Comparison) -> None:
    heads = list(chosen)
    heading("Figures", "mean and 95 % interval over replications")
    table = Table("", *heads)
    for measure, title in TITLES.items():
        table.add_row(title, *[figure(c.figures[n].get(measure)) for n in heads])
    for pool in {p: None for s in chosen.values() for p in s.network.pools}:
        key = f"used/{pool}"
        table.add_row(f"in use: {pool}, %", *[figure(c.figures[n].get(key)) for n in heads])
    for part in ("place", "dwell", "repair", "decision", "transport", "work"):
        key = f"{part}_days"
        cells = [figure(c.figures[n].get(key)) for n in heads]
        table.add_row(f"days per patient referred: {part}", *cells)
    out.print(table)

    heading("Right first time, by interface, %", "and how often trouble surfaced there")
    table = Table("", *heads)
    titles = {k: text(h.title) for s in chosen.values() for k, h in s.protocol.handoffs.items()}
    for key in {k: None for n in heads for k in c.figures[n]}:
        kind, _, name = key.partition("/")
        if kind == "right_first_time" and name:
            label = f"{name} {titles[name]}"
            table.add_row(label, *[_interface(c.figures[n], name) for n in heads])
    out.print(table)
    protocols = {s.network.protocol for s in chosen.values()}
    if len(protocols) > 1:
        out.print(
            f"[dim]These systems run different protocols ({', '.join(sorted(protocols))}): an "
            "interface that a system does not have is left empty.[/dim]",
            highlight=False,
        )

    heading(
        "What each system stands or falls with",
        "patients treated, of 100 referred, gained by the same effort (a fifth better)",
    )
    table = Table("", *heads)
    for lever in LEVERS:
        cells = [figure(c.marginal[n][lever.name]["treated_share"], 2) for n in heads]
        table.add_row(f"{lever.name} [dim]({lever.group})[/dim]", *cells)
    out.print(table)
    for n in heads:
        p = c.pressure[n]
        where = f"[b]{n}[/b]: the pressure is on [b]{p.pressure}[/b] (+{p.pressure_effect:.2f})"
        if not p.clear:
            where = f"[b]{n}[/b]: no lever has a clear effect with so few replications"
        if p.relieved and p.relieved_by:
            where += (
                f"; relieved, compared with the others, is [b]{p.relieved}[/b] "
                f"({p.relieved_by:.2f})"
            )
        elif len(heads) > 1:
            where += "; no constraint is clearly less binding than in the others"
        out.print(where, highlight=False)

    heading("Scale", "treated, of 100 referred, when referrals are multiplied and nothing else")
    table = Table("", *heads)
    table.add_row("1x", *[figure(c.figures[n].get("treated_share")) for n in heads])
    for factor in c.scale[heads[0]]:
        table.add_row(factor, *[figure(c.scale[n][factor]) for n in heads])
    out.print(table)

    heading("Resilience", "change of patients treated, of 100 referred in the counted years")
    table = Table("", *heads)
    for what in {w: None for n in heads for w in c.resilience[n]}:
        table.add_row(what, *[figure(c.resilience[n].get(what), 2) for n in heads])
    out.print(table)
    _assumptions(chosen)


def _interface(figures: dict[str, Estimate], name: str) -> str:
    right, found = figures.get(f"right_first_time/{name}"), figures.get(f"found/{name}")
    if right is None or found is None:
        return "–"
    return f"{figure(right)} found {found.mean:.1f}"


def _assumptions(chosen: dict[str, System]) -> None:
    """How much of what went in was measured by nobody."""
    for name, system in chosen.items():
        cited, assumed = _numbers(system)
        out.print(
            f"[dim]{name}: {cited} figures with a source, {assumed} assumptions with a range "
            f"(network and interface model)[/dim]",
            highlight=False,
        )


def _numbers(system: System) -> tuple[int, int]:
    from stafett.design.network import Number

    cited = assumed = 0
    stack: list[Any] = [system.network, system.interfaces]
    while stack:
        part = stack.pop()
        if isinstance(part, Number):
            cited += part.source is not None
            assumed += part.assumption
        elif isinstance(part, dict):
            stack += part.values()
        elif hasattr(part, "__struct_fields__"):
            stack += [getattr(part, f) for f in part.__struct_fields__]
    return cited, assumed
