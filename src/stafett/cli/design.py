"""`stafett design`: run delivery systems before they are built, and compare them."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stafett.design.compare import Comparison, compare, conclusions
from stafett.design.effort import Outcome, levers
from stafett.design.estimate import Estimate
from stafett.design.experiment import Plan
from stafett.design.levers import LEVERS
from stafett.design.measures import TITLES
from stafett.design.reading import System, load, names
from stafett.design.validate import Row, validate
from stafett.protocol.model import text
from stafett.protocol.read import ReadError
from stafett.service.studio import evaluations
from stafett.simulation import ModelError, Store

Assumptions = Literal["fixed", "sampled"]
FOUR = ("sweden", "spain", "us", "uk")
out = Console()
if not out.is_terminal:
    out = Console(width=200)  # a file or a pipe has room
err = Console(stderr=True)


@click.group()
def design() -> None:
    """Simulate delivery systems and compare them.

    A system is a built-in network (`stafett design list`) or a network file. Results are the same
    for the same seed on every machine; Ctrl-C keeps what is finished.
    """


def _systems(chosen: Sequence[str]) -> dict[str, System]:
    systems: dict[str, System] = {}
    for name in chosen or FOUR:
        try:
            system = load(name)
        except ReadError as problem:
            raise Failed(str(problem)) from None
        if system.name in systems:
            raise Failed(f"two networks are called {system.name!r}: rename one")
        systems[system.name] = system
    return systems


class Failed(click.ClickException):
    """The input cannot be read, or cannot be run."""

    exit_code = 2


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--store", type=click.Path(path_type=Path), help="Keep results; go on later."),
        click.option("--workers", type=click.IntRange(1), help="Threads (default: all cores)."),
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True),
        click.option("--years", type=click.FloatRange(0.1), default=2.0, show_default=True,
                     help="Years of referrals that are counted."),
        click.option("--assumptions", type=click.Choice(["fixed", "sampled"]), default="fixed",
                     show_default=True, help="Sampled: draw every ranged figure anew."),
        click.option("--replications", type=click.IntRange(2), default=40, show_default=True),
        click.argument("systems", nargs=-1),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def _progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where there is somebody to see it."""
    bar = Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, transient=True, disable=not err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def _run(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (ReadError, ModelError, ValueError) as problem:
        raise Failed(str(problem)) from None


def _plain(value: Any) -> Any:
    """Estimates and their tables as JSON can say them: no infinities."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _figure(e: Estimate | None, digits: int = 1) -> str:
    if e is None or math.isnan(e.mean):
        return "–"
    return f"{e.mean:.{digits}f} [dim]({e.low:.{digits}f} to {e.high:.{digits}f})[/dim]"


@design.command("list")
def list_() -> None:
    """Name the built-in networks."""
    table = Table("network", "what it is", box=None)
    for name in names():
        table.add_row(name, load(name).network.title)
    out.print(table)


@design.command("check")
@click.argument("file")
def check(file: str) -> None:
    """Check a network file: sources, roles, lanes, probabilities, capacities, stability."""
    from stafett.design.stability import offered_loads

    try:
        system = load(file)
    except ReadError as problem:
        raise Failed(str(problem)) from None
    unstable = False
    for load_ in offered_loads(system):
        word = "unstable: the queue grows without end" if load_.load >= 1 else "stable"
        unstable |= load_.load >= 1
        click.echo(f"{load_.pool} ({load_.where}): offered load {load_.load:.0%}, {word}")
    if unstable:
        sys.exit(1)
    click.echo(f"{file}: {len(system.network.centres)} centres, nothing wrong")


@design.command("run")
@click.argument("system")
@click.option("--days", type=click.FloatRange(1), default=365.0, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@click.option("--out", "path", type=click.Path(path_type=Path), help="Write the log (CSV).")
def run_(system: str, days: float, seed: int, path: Path | None) -> None:
    """Run one system once, from empty, and write its event log for `stafett insight`."""
    from stafett.design.compile import compile_system
    from stafett.design.record import record

    (name, chosen), *_ = _systems([system]).items()
    log = _run(lambda: record(compile_system(chosen), days, seed))
    steps, handoffs = len(log.steps), len(log.handoffs)
    click.echo(f"{name}: {log.cases} journeys, {steps} steps, {handoffs} handoffs in {days:g} days")
    if path is not None:
        log.frame.drop("row").write_csv(path)
        click.echo(f"written to {path}")


@design.command("compare")
@click.option("--protocol", "protocol", help="Every built-in network of this protocol.")
@_options
def compare_(
    systems: tuple[str, ...], replications: int, years: float, seed: int, workers: int | None,
    store: Path | None, as_json: bool, assumptions: Assumptions, protocol: str | None,
) -> None:  # fmt: skip
    """Compare delivery systems under the same luck: figures, pressure, scale, resilience.

    Without SYSTEMS: Sweden, Spain, the United States and the United Kingdom. With `--assumptions
    sampled` intervals are printed with and without the ranges of the assumptions, and which
    conclusions survive.
    """
    chosen = _systems(_of_protocol(protocol, systems) if protocol else systems)
    plan = Plan(replications, years, seed=seed)
    kept = Store(store) if store else None
    total = evaluations(chosen, plan) * (2 if assumptions == "sampled" else 1)
    drawn: Comparison | None = None
    with _progress(total, "replications") as tick:
        c = _run(lambda: compare(chosen, plan, workers=workers, store=kept, progress=tick))
        if assumptions == "sampled" and not c.missing:
            wide = replace(plan, assumptions="sampled")
            drawn = _run(lambda: compare(chosen, wide, workers=workers, store=kept, progress=tick))
    missing = c.missing + (drawn.missing if drawn else 0)
    if as_json:
        answer = asdict(c)
        if drawn:
            answer = {"fixed": answer, "sampled": asdict(drawn)}
            answer["conclusions"] = [asdict(x) for x in conclusions(c, drawn)]
        click.echo(json.dumps(_plain(answer), indent=1))
    else:
        _print_comparison(chosen, c)
        if drawn:
            _print_drawn(chosen, c, drawn)
    if missing:
        err.print(f"interrupted: {missing} replications are missing from these figures")
        sys.exit(130)


def _of_protocol(protocol: str, systems: Sequence[str]) -> list[str]:
    """The networks named, or all built-in ones, that run a protocol."""
    pool = list(systems) or list(names())
    found = [n for n, s in _systems(pool).items() if s.network.protocol == protocol]
    if not found:
        known = ", ".join(sorted({load(n).network.protocol for n in names()}))
        raise Failed(f"no network runs the protocol {protocol!r}: there are networks for {known}")
    return found


def _print_drawn(chosen: dict[str, System], c: Comparison, drawn: Comparison) -> None:
    """The same figures with the ranges of the assumptions in them."""
    heads = list(chosen)
    _title(
        "With the ranges of the assumptions",
        "first line: mean and 95 % interval, assumptions fixed; second: mean and 95 % of draws",
    )
    table = Table("", *heads)
    for measure, title in TITLES.items():
        table.add_row(title, *[_figure(c.figures[n].get(measure)) for n in heads])
        cells = [_figure(drawn.figures[n].get(measure)) for n in heads]
        table.add_row("[dim]  drawn[/dim]", *cells, end_section=True)
    out.print(table)
    found = conclusions(c, drawn)
    lost = [x for x in found if not x.survives]
    _title(
        "Which conclusions survive",
        f"{len(found) - len(lost)} of {len(found)} that are clear with assumptions fixed",
    )
    table = Table("system", "what", "fixed", "drawn", "survives?")
    for x in found:
        word = "[green]yes[/green]" if x.survives else "[red]NO[/red]"
        table.add_row(x.system, x.what, _figure(x.fixed, 2), _figure(x.drawn, 2), word)
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
    _title("Figures", "mean and 95 % interval over replications")
    table = Table("", *heads)
    for measure, title in TITLES.items():
        table.add_row(title, *[_figure(c.figures[n].get(measure)) for n in heads])
    for pool in {p: None for s in chosen.values() for p in s.network.pools}:
        key = f"used/{pool}"
        table.add_row(f"in use: {pool}, %", *[_figure(c.figures[n].get(key)) for n in heads])
    for part in ("place", "dwell", "repair", "decision", "transport", "work"):
        key = f"{part}_days"
        cells = [_figure(c.figures[n].get(key)) for n in heads]
        table.add_row(f"days per patient referred: {part}", *cells)
    out.print(table)

    _title("Right first time, by interface, %", "and how often trouble surfaced there")
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

    _title(
        "What each system stands or falls with",
        "patients treated, of 100 referred, gained by the same effort (a fifth better)",
    )
    table = Table("", *heads)
    for lever in LEVERS:
        cells = [_figure(c.marginal[n][lever.name]["treated_share"], 2) for n in heads]
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

    _title("Scale", "treated, of 100 referred, when referrals are multiplied and nothing else")
    table = Table("", *heads)
    table.add_row("1x", *[_figure(c.figures[n]["treated_share"]) for n in heads])
    for factor in c.scale[heads[0]]:
        table.add_row(factor, *[_figure(c.scale[n][factor]) for n in heads])
    out.print(table)

    _title("Resilience", "change of patients treated, of 100 referred in the counted years")
    table = Table("", *heads)
    for what in {w: None for n in heads for w in c.resilience[n]}:
        table.add_row(what, *[_figure(c.resilience[n].get(what), 2) for n in heads])
    out.print(table)
    _assumptions(chosen)


def _interface(figures: dict[str, Estimate], name: str) -> str:
    right, found = figures.get(f"right_first_time/{name}"), figures.get(f"found/{name}")
    if right is None or found is None:
        return "–"
    return f"{_figure(right)} found {found.mean:.1f}"


def _title(title: str, what: str) -> None:
    out.print(f"\n[b]{title}[/b]  [dim]{what}[/dim]")


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


@design.command("validate")
@_options
def validate_(
    systems: tuple[str, ...], replications: int, years: float, seed: int, workers: int | None,
    store: Path | None, as_json: bool, assumptions: Assumptions,
) -> None:  # fmt: skip
    """Hold the simulation against published figures: inside their range or not.

    Exit status 1 when a figure lies outside.
    """
    chosen = _systems(systems)
    plan = Plan(replications, years, seed=seed, assumptions=assumptions)
    kept = Store(store) if store else None
    with _progress(len(chosen) * plan.replications, "replications") as tick:
        rows: list[Row] = _run(
            lambda: validate(chosen, plan, workers=workers, store=kept, progress=tick)
        )
    if as_json:
        import msgspec

        click.echo(
            json.dumps(
                [
                    {
                        "system": r.system,
                        "published": msgspec.to_builtins(r.published),
                        "simulated": _plain(asdict(r.simulated)),
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
                _figure(r.simulated, digits),
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
    sys.exit(0 if all(r.inside for r in rows) else 1)


@design.command("levers")
@click.option("--effort", type=click.FloatRange(0.05, 3.0), default=0.7, show_default=True,
              help="Sum of the logarithms of all improvements.")  # fmt: skip
@_options
def levers_(
    systems: tuple[str, ...], replications: int, years: float, seed: int, workers: int | None,
    store: Path | None, as_json: bool, assumptions: Assumptions, effort: float,
) -> None:  # fmt: skip
    """Spend the same effort on components, on interfaces, and on each lever alone."""
    chosen = _systems(systems)
    plan = Plan(replications, years, seed=seed, assumptions=assumptions)
    kept = Store(store) if store else None
    total = len(chosen) * plan.replications * (4 + 2 * len(LEVERS))
    with _progress(total, "replications") as tick:
        found: dict[str, Outcome] = _run(
            lambda: levers(chosen, plan, effort, workers=workers, store=kept, progress=tick)
        )
    if as_json:
        click.echo(json.dumps(_plain({n: asdict(o) for n, o in found.items()}), indent=1))
        return
    heads = list(found)
    for measure, title in (
        ("treated_share", "Patients treated, of 100 referred: gained"),
        ("referred_to_infused", "Referral to infusion, median days: change"),
        ("cost", "Cost per patient treated, thousand US dollars: change"),
    ):
        _title(title, f"by the same effort ({effort:g} in all)")
        table = Table("", *heads)
        for group in ("component", "interface", "institution"):
            cells = [_figure(found[n].groups[group][measure], 2) for n in heads]
            table.add_row(f"[b]all {group} levers[/b]", *cells)
        cells = [_figure(found[n].interfaces_minus_components[measure], 2) for n in heads]
        table.add_row("[b]interfaces minus components[/b]", *cells, end_section=True)
        for lever in LEVERS:
            cells = [
                f"{_figure(found[n].levers[lever.name][measure], 2)} "
                f"[dim]half: {found[n].half[lever.name][measure].mean:.2f}[/dim]"
                for n in heads
            ]
            table.add_row(f"{lever.name} [dim]({lever.group})[/dim]", *cells)
        out.print(table)
    for n in heads:
        d = found[n].interfaces_minus_components["treated_share"]
        word = "no clear difference between"
        if d.clear:
            word = "more from interfaces than from" if d.mean > 0 else "less from interfaces than"
        tail = "components" if d.clear else "interfaces and components"
        out.print(f"[b]{n}[/b]: {word} {tail} ({d:.2f} patients of 100)", highlight=False)


@design.command("sensitivity")
@click.argument("system")
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
    (_, chosen), *_ = _systems([system]).items()
    plan = Plan(replications, years, seed=seed)
    total = asked(chosen, trajectories, first, points) * replications
    with _progress(total, "replications") as tick:
        try:
            found = _run(
                lambda: sensitivity(
                    chosen, measure, plan, trajectories=trajectories, first=first, n=points,
                    workers=workers, store=Store(store) if store else None, progress=tick,
                )
            )  # fmt: skip
        except KeyboardInterrupt:
            err.print("interrupted; with --store the next run goes on from here")
            sys.exit(130)
    if as_json:
        click.echo(json.dumps(_plain(asdict(found)), indent=1))
        return
    _title(
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
        _title("Shares of the variance", "Sobol indices among these, 95 % bootstrap interval")
        table = Table("factor", "alone", "with interactions")
        for x in found.shares:
            table.add_row(
                x.factor,
                f"{x.first:.2f} [dim]({x.first_low:.2f} to {x.first_high:.2f})[/dim]",
                f"{x.total:.2f} [dim]({x.total_low:.2f} to {x.total_high:.2f})[/dim]",
            )
        out.print(table)


@design.command("fit")
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--network", "base", required=True, help="The network that the log comes from.")
@click.option("--out", "path", type=click.Path(path_type=Path), help="Write the overlay (YAML).")
@click.option("--name", help="What the new network is called (default: NETWORK-fitted).")
@click.option("--plot", type=click.Path(path_type=Path), help="Write quantile plots (SVG).")
@click.option("--zone", help="Time zone of times that name none, e.g. Europe/Stockholm.")
@click.option("--raw", is_flag=True, help="Leave out the correction by simulating the answer.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fit_(
    log: Path, base: str, path: Path | None, name: str | None, plot: Path | None,
    zone: str | None, raw: bool, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Estimate a network's figures, with intervals, from a LOG or an exported ledger.

    LOG: CSV, XES, OCEL, or the ledger's own JSON lines. The overlay lies over NETWORK and can be
    compared like any other; with `--assumptions sampled` its intervals are carried through.
    """
    from stafett.design.calibrate.fit import fit
    from stafett.design.calibrate.overlay import overlay
    from stafett.eventlog import LogUnreadableError, Reading, read_log
    from stafett.service.design_pictures import fits

    (_, system), *_ = _systems([base]).items()
    try:
        table = read_log(log, reading=Reading(zone, None, False))
    except LogUnreadableError as problem:
        raise Failed(f"{log.name}: {problem}") from None
    with err.status("Estimating") if err.is_terminal else nullcontext():
        found = _run(lambda: fit(table, system, correct=not raw, seed=seed))
    text_ = overlay(found, base, name)
    for target, content in ((path, text_), (plot, None)):
        if target is None:
            continue
        try:
            target.write_text(
                content or fits(found.goodness, title=f"{base}: fitted against seen"), "utf-8"
            )
        except OSError as error:
            raise Failed(f"{target} cannot be written: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps(_plain(asdict(found)), indent=1))
        return
    _title(f"{base}: {found.cases:,} journeys over {found.days:.0f} days", "95 % intervals")
    table_ = Table("figure", "estimate", "low", "high", "n")
    for e in found.estimates:
        table_.add_row(e.name, f"{e.value:.4g}", f"{e.low:.4g}", f"{e.high:.4g}", f"{e.n:,}")
    out.print(table_)
    _title("Goodness of fit", "largest distance to the product-limit distribution, and its limit")
    table_ = Table("activity", "n", "cut short", "lognormal", "Weibull", "limit", "fits?")
    for g in found.goodness:
        word = "[green]yes[/green]" if g.fits else "[red]NO[/red]"
        if g.aic_gain > 2:
            word += " [dim](Weibull is closer)[/dim]"
        table_.add_row(
            g.activity, str(g.n), str(g.censored), f"{g.lognormal:.3f}", f"{g.weibull:.3f}",
            f"{g.limit:.3f}", word,
        )  # fmt: skip
    out.print(table_)
    for note in found.notes:
        out.print(f"[dim]{note}[/dim]", highlight=False)
    if path is not None:
        out.print(f"written to {path}", highlight=False)
    elif not plot:
        out.print("[dim]--out FILE writes the network that says this[/dim]", highlight=False)
