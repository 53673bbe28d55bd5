"""`stafett design fit`: a network's figures, with intervals, from a log."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from stafett.cli.columns import columns as columns_
from stafett.cli.columns import stated
from stafett.cli.design_words import Failed, err, heading, out, plain, systems_of, worked


@click.command("fit", short_help="Estimate a network's figures, with intervals, from a log.")
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--network", "base", required=True, help="The network that the log comes from.")
@click.option("--out", "path", type=click.Path(path_type=Path), help="Write the overlay (YAML).")
@click.option("--name", help="What the new network is called (default: NETWORK-fitted).")
@click.option("--plot", type=click.Path(path_type=Path), help="Write quantile plots (SVG).")
@columns_
@click.option("--zone", help="Time zone of times that name none, e.g. Europe/Stockholm.")
@click.option("--raw", is_flag=True, help="Leave out the correction by simulating the answer.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fit_(
    log: Path, base: str, path: Path | None, name: str | None, plot: Path | None,
    columns: tuple[str, ...], zone: str | None, raw: bool, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Estimate a network's figures, with intervals, from a LOG or an exported ledger.

    LOG: CSV, XES, OCEL, or the ledger's own JSON lines. The overlay lies over NETWORK and can be
    compared like any other; with `--assumptions sampled` its intervals are carried through.
    """
    from stafett.design.calibrate.fit import fit
    from stafett.design.calibrate.overlay import overlay
    from stafett.eventlog import LogUnreadableError, Reading, read_log
    from stafett.service.pictures.fits import fits

    (_, system), *_ = systems_of([base]).items()
    try:
        table = read_log(log, columns=stated(columns), reading=Reading(zone))
    except LogUnreadableError as problem:
        raise Failed(f"{log.name}: {problem}") from None
    with err.status("Estimating") if err.is_terminal else nullcontext():
        found = worked(lambda: fit(table, system, correct=not raw, seed=seed))
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
        click.echo(json.dumps(plain(asdict(found)), indent=1))
        return
    heading(f"{base}: {found.cases:,} journeys over {found.days:.0f} days", "95 % intervals")
    table_ = Table("figure", "estimate", "low", "high", "n")
    for e in found.estimates:
        table_.add_row(e.name, f"{e.value:.4g}", f"{e.low:.4g}", f"{e.high:.4g}", f"{e.n:,}")
    out.print(table_)
    heading("Goodness of fit", "largest distance to the product-limit distribution, and its limit")
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
