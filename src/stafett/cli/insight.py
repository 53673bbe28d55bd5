"""`stafett insight`: what an event log teaches, as a page or as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stafett.cli.columns import columns as columns_
from stafett.cli.columns import stated
from stafett.insight.chapters import OUTCOMES

if TYPE_CHECKING:
    from stafett.insight.report.page import Words


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="Where to write the page (FILE.html)."
)
@click.option("--json", "to_json", is_flag=True, help="Write JSON to standard output instead.")
@columns_
@click.option("--zone", help="Time zone of times that name none, e.g. Europe/Stockholm.")
@click.option("--time-format", help="How times are written, e.g. '%d/%m/%Y %H:%M'.")
@click.option("--skip-bad", is_flag=True, help="Leave broken rows out, and count them.")
@click.option(
    "--without",
    multiple=True,
    metavar="ACTIVITY",
    help="Leave an activity out, e.g. a return months later; may be given several times.",
)
@click.option("--case-type", help="OCEL: the object type that is the case.")
@click.option("--group-type", help="OCEL: the object type that names the group.")
@click.option(
    "--expect", help="Activities in the order that the protocol expects, separated by commas."
)
@click.option(
    "--budget",
    type=float,
    metavar="HOURS",
    help="Hours that a journey may take (default: the log's ninth decile).",
)
@click.option(
    "--site", help="End with the monthly page of this site (a group before ' / ' or ': ')."
)
@click.option(
    "--outcome",
    "outcomes",
    type=click.Choice(OUTCOMES),
    multiple=True,
    default=OUTCOMES[:1],
    show_default=True,
    help="What the layers split; may be given several times.",
)
@click.option("--language", type=click.Choice(["en", "sv", "es"]), default="en", show_default=True)
@click.option("--seed", default=1, show_default=True, help="Seed of everything drawn.")
def insight(
    file: Path,
    out: Path | None,
    to_json: bool,
    columns: tuple[str, ...],
    zone: str | None,
    time_format: str | None,
    skip_bad: bool,
    without: tuple[str, ...],
    case_type: str | None,
    group_type: str | None,
    expect: str | None,
    budget: float | None,
    site: str | None,
    outcomes: tuple[str, ...],
    language: str,
    seed: int,
) -> None:
    """Turn an event log (CSV, XES, OCEL 2.0) into a report.

    Interfaces, layers of variability, origin of lateness, the process against its protocol, control
    charts; each picture with n, period, a sentence in words, and its data.
    """
    # Many small matrices: two threads per product wait for each other, at seven times the work
    # (74 s of processor time for 10 on the hospital's log). Read when the libraries are loaded,
    # which is therefore done here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from stafett.eventlog import LogUnreadableError, Reading, read_log
    from stafett.insight.conformance import Reference
    from stafett.insight.report import as_html, as_json, make_report

    named = stated(columns)
    reference = None
    if expect:
        reference = Reference(tuple(name.strip() for name in expect.split(",") if name.strip()), {})
    try:
        log = read_log(
            file, columns=named, reading=Reading(zone, time_format, skip_bad, without),
            case_type=case_type, group_type=group_type,
        )  # fmt: skip
    except LogUnreadableError as error:
        if to_json:
            click.echo(
                json.dumps(
                    {"error": str(error), "problems": [str(p) for p in error.problems[:100]]}
                )
            )
        else:
            click.echo(f"{file.name}: {error}", err=True)
        sys.exit(2)
    words = _words(language)
    from rich.console import Console

    with Console(stderr=True).status("Reading") as status:
        report = make_report(
            log,
            reference=reference,
            budget_h=budget,
            seed=seed,
            site=site,
            outcomes=outcomes,
            progress=lambda name: status.update(name),
        )
        page = as_json(report, words) if to_json else as_html(report, words)
    if to_json:
        click.echo(page)
        return
    target = out or Path(file.name.split(".")[0] + ".html")
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        click.echo(f"{target}: cannot be written: {error.strerror}", err=True)
        sys.exit(2)
    click.echo(f"{target}: {len(report.figures)} figures from {log.cases:,} journeys")
    for note in report.log_notes:
        click.echo(f"  note: {words.say(note) if words else note}")


def _words(language: str) -> Words | None:
    """Return how a report is said in `language`; None: in English, as it is made."""
    if language == "en":
        return None
    from stafett.insight.report.page import ENGLISH, Words
    from stafett.web import findings
    from stafett.web.language import words

    known = words(language)
    page = {key: known[f"report.{key}"] for key in ENGLISH}
    return Words(
        language, page, lambda text: findings.in_language(text, language) or text,
        lambda svg: findings.picture(svg, language),
    )  # fmt: skip
