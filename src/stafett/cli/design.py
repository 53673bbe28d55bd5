"""`stafett design`: run delivery systems before they are built, and compare them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.table import Table

from stafett.cli.completing import named
from stafett.cli.design_compare import compare_
from stafett.cli.design_fit import fit_
from stafett.cli.design_levers import levers_, sensitivity_, validate_
from stafett.cli.design_verify import verify_
from stafett.cli.design_words import Failed, out, overloaded, systems_of, worked
from stafett.cli.group import Sentences
from stafett.design.reading import document, examined, load, names, source
from stafett.protocol.read import ReadError


@click.group(cls=Sentences)
def design() -> None:
    """Simulate delivery systems and compare them.

    A system is a built-in network (`stafett design list`) or a network file. Results are the same
    for the same seed on every machine; Ctrl-C keeps what is finished.
    """


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@design.command("list")
@_json
def list_(as_json: bool) -> None:
    """Name the built-in networks."""
    if as_json:
        click.echo(json.dumps({name: load(name).network.title for name in names()}, indent=1))
        return
    table = Table("network", "what it is", box=None)
    for name in names():
        table.add_row(name, load(name).network.title)
    out.print(table)


@design.command("show")
@click.argument("name", shell_complete=named(names, files=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: standard output.")
def show(name: str, output: Path | None) -> None:
    """Print the file of the built-in network NAME: to read it, or to copy and change it."""
    try:
        text = source(name).decode()
    except ReadError as problem:
        raise Failed(str(problem)) from None
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")
        click.echo(f"{output}: {max(1, len(text) // 1024)} kB", err=True)


@design.command("check", short_help="Check a network file; say what is wrong, and where.")
@click.argument("file", shell_complete=named(names))
@_json
def check(file: str, as_json: bool) -> None:
    """Check a network file: sources, roles, lanes, probabilities, capacities, stability."""
    from stafett.design.stability import offered_loads

    try:
        written = document(file)
        system, problems = examined(written)
    except ReadError as problem:
        raise Failed(str(problem)) from None
    if problems:
        raise Failed("\n".join(map(str, sorted(problems, key=lambda p: p.place))))
    loads = list(offered_loads(system))
    unstable = not all(load_.stable for load_ in loads)
    if as_json:
        rows = [
            {"pool": o.pool, "where": o.where, "offered_load": o.load,
             "place": str(written.place(*o.path))}
            for o in loads
        ]  # fmt: skip
        centres = len(system.network.centres)
        click.echo(json.dumps({"stable": not unstable, "centres": centres, "pools": rows}))
        sys.exit(1 if unstable else 0)
    for load_ in loads:
        said = f"{load_.pool} ({load_.where}): offered load {load_.load:.0%}"
        if load_.stable:
            click.echo(f"{said}, stable")
            continue
        click.echo(overloaded(written, system, load_))
    if unstable:
        sys.exit(1)
    click.echo(f"{file}: {len(system.network.centres)} centres, nothing wrong")


@design.command("run", short_help="Run one system once, and write its event log.")
@click.argument("system", shell_complete=named(names))
@click.option("--days", type=click.FloatRange(1), default=365.0, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@click.option("--out", "path", type=click.Path(path_type=Path), help="Write the log (CSV).")
@_json
def run_(system: str, days: float, seed: int, path: Path | None, as_json: bool) -> None:
    """Run one system once, from empty, and write its event log for `stafett insight`."""
    from stafett.design.compile import compile_system
    from stafett.design.record import record

    (name, chosen), *_ = systems_of([system]).items()
    log = worked(lambda: record(compile_system(chosen), days, seed))
    steps, handoffs = len(log.steps), len(log.handoffs)
    if path is not None:
        log.frame.drop("row").write_csv(path)
    if as_json:
        told = {
            "system": name, "days": days, "seed": seed, "journeys": log.cases, "steps": steps,
            "handoffs": handoffs, "log": str(path) if path else None,
        }  # fmt: skip
        click.echo(json.dumps(told))
        return
    click.echo(f"{name}: {log.cases} journeys, {steps} steps, {handoffs} handoffs in {days:g} days")
    if path is not None:
        click.echo(f"written to {path}")


for _command in (compare_, validate_, verify_, levers_, sensitivity_, fit_):
    design.add_command(_command)
