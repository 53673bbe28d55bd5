"""What the commands of `stafett design` share: their options, progress, figures in words."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console

from stafett.cli.completing import named
from stafett.design.estimate import Estimate
from stafett.design.reading import System, document, load, names
from stafett.design.stability import Load
from stafett.protocol.read import Document, ReadError
from stafett.simulation import ModelError

Assumptions = Literal["fixed", "sampled"]
FOUR = ("sweden", "spain", "us", "uk")
out = Console()
if not out.is_terminal:
    out = Console(width=200)  # a file or a pipe has room
err = Console(stderr=True)


def systems_of(chosen: Sequence[str]) -> dict[str, System]:
    """The systems named, or the four; a file that cannot be read is told with its place."""
    systems: dict[str, System] = {}
    for name in chosen or FOUR:
        try:
            system = load(name)
        except ReadError as problem:
            raise Failed(str(problem)) from None
        if system.name in systems:
            raise Failed(f"two networks are called {system.name!r}: rename one")
        systems[system.name] = system
        _warn(name, system)
    return systems


def _warn(file_or_name: str, system: System) -> None:
    """Say on standard error which queues have no end: what follows depends on how long it runs."""
    from stafett.design.stability import offered_loads

    for load_ in offered_loads(system):
        if not load_.stable:
            said = overloaded(document(file_or_name), system, load_)
            err.print(f"{said}, and figures depend on how long it runs",
                      soft_wrap=True, highlight=False)  # fmt: skip


def overloaded(written: Document, system: System, load_: Load) -> str:
    """Which queue has no end, with its offered load, and where the file says what is too much.

    That is where the places are written that are too few; where they stand in a network that this
    one extends, and this one says how many patients come, it is there.
    """
    place, demand = written.place(*load_.path), written.place("patients", "per_year")
    if place.file != written.file and demand.file == written.file:
        place = demand
    return (
        f"{place}: {load_.pool} ({load_.where}): offered load {load_.load:.0%}, unstable: "
        f"the queue grows without end with {system.network.patients.per_year.value:g} patients "
        "a year"
    )


class Failed(click.ClickException):
    """The input cannot be read, or cannot be run."""

    exit_code = 2


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that runs designs."""
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
        click.argument("systems", nargs=-1, shell_complete=named(names)),
    ):  # fmt: skip
        command = option(command)
    return command


def worked(work: Callable[[], Any]) -> Any:
    """Run, and tell what the input makes impossible in one line."""
    try:
        return work()
    except (ReadError, ModelError, ValueError) as problem:
        raise Failed(str(problem)) from None


def cut_short(missing: int) -> None:
    """End with status 130 where an interrupt left replications out of what was printed."""
    if missing:
        err.print(f"interrupted: {missing} replications are missing from these figures")
        sys.exit(130)


def plain(value: Any) -> Any:
    """Estimates and their tables as JSON can say them: no infinities."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def figure(e: Estimate | None, digits: int = 1) -> str:
    """A figure with its interval."""
    if e is None or math.isnan(e.mean):
        return "–"
    spec = f"z.{digits}f"  # nothing is less than nothing: no -0.0
    return f"{e.mean:{spec}} [dim]({e.low:{spec}} to {e.high:{spec}})[/dim]"


def heading(title: str, what: str) -> None:
    """A title with what it says."""
    out.print(f"\n[b]{title}[/b]  [dim]{what}[/dim]")
