"""`stafett design verify`: the kernel against exact results of queueing theory."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from rich.table import Table

from stafett.cli.bars import progress
from stafett.cli.design_words import out
from stafett.simulation.exact import REPLICATIONS, Verdict, cases, verdicts


@click.command("verify", short_help="Hold the simulation kernel against exact results.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify_(as_json: bool) -> None:
    """Hold the simulation kernel against exact results: queues whose figures theory gives.

    The seed is fixed: every machine prints the same figures. Exit status 1 when one disagrees.
    """
    every = list(cases())
    found: list[Verdict] = []
    with progress(len(every), "networks") as tick:
        for case in every:
            found += verdicts(case)
            tick(1)
    if as_json:
        click.echo(json.dumps([{**asdict(v), "agrees": v.agrees} for v in found], indent=1))
    else:
        table = Table("network", "theory", "figure", "exact", "simulated", "z", "agrees?")
        for v in found:
            word = "[green]yes[/green]" if v.agrees else "[red]NO[/red]"
            table.add_row(
                v.case, v.source, v.what, f"{v.exact:.4f}",
                f"{v.mean:.4f} [dim]({v.low:.4f} to {v.high:.4f})[/dim]", f"{v.z:+.1f}", word,
            )  # fmt: skip
        out.print(table)
        right = sum(v.agrees for v in found)
        out.print(
            f"{right} of {len(found)} agree; mean and 95 % interval of {REPLICATIONS} replications"
        )
    sys.exit(0 if all(v.agrees for v in found) else 1)
