"""The report as one page that needs nothing else, and as JSON."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jinja2
import polars as pl

from stafett.insight.chapters import NAMES
from stafett.insight.pictures.svg import Figure, number
from stafett.insight.report.assemble import FACTS, Report

# The words of the page itself, as the page of the words file `learn.yaml` names them (`report.*`).
ENGLISH: Mapping[str, str] = {
    "title": "What the record teaches",
    "short": "In short",
    "figure": "Figure",
    "about": "About this log",
    "svg": "Picture (SVG)",
    "csv": "Data (CSV)",
    "table": "Table, rows",
    "shown": "shown",
    "signal": "A signal opens a review, not a blame. Made by Stafett.",
    **{f"fact.{name}": name for name in FACTS},
    **{f"chapter.{key}": name for key, name in NAMES.items()},
}


@dataclass(frozen=True)
class Words:
    """How a report is said: findings by `say`, pictures by `draw`, cells by `plain`."""

    language: str = "en"
    page: Mapping[str, str] = field(default_factory=lambda: ENGLISH)
    say: Callable[[str], str] = str
    draw: Callable[[str], str] = str


SHOWN = 12
MOST_CSV = 20_000  # rows of a figure's table that travel in the page


def as_html(report: Report, words: Words | None = None) -> str:
    """Return the report as one HTML page: no scripts, nothing fetched from outside."""
    words = words or Words()
    views = {figure.key: view(figure, words) for figure in report.figures}
    loader = jinja2.PackageLoader("stafett.insight.report", package_path="")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    return environment.get_template("page.html").render(
        report=report, views=views, words=words, t=words.page, say=words.say,
        chapter={name: words.page[f"chapter.{key}"] for key, name in NAMES.items()},
    )  # fmt: skip


def as_json(report: Report, words: Words | None = None) -> str:
    """Return the report as JSON: facts, notes, each figure with its whole table, no pictures.

    Sentences are said in the language of `words`; names of fields and values are not.
    """
    say = (words or Words()).say
    chapters = [
        {
            "name": name,
            "notes": [say(note) for note in notes],
            "figures": [
                {
                    "key": figure.key,
                    "title": say(figure.title),
                    "sentence": say(figure.sentence),
                    "basis": say(figure.basis),
                    "rows": [
                        {k: _plain(v) for k, v in row.items()} for row in figure.table.to_dicts()
                    ],
                }
                for figure in figures
            ],
        }
        for name, figures, notes in report.chapters
    ]
    body = {
        "source": report.source,
        "facts": report.facts,
        "notes": [say(note) for note in report.log_notes],
        "chapters": chapters,
    }
    return json.dumps(body, ensure_ascii=False, indent=1)


def _plain(value: Any) -> Any:
    """Return a value that JSON knows; not-a-number becomes null."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def as_csv(figure: Figure, most: int | None = None) -> bytes:
    """Return a figure's table as CSV, its first `most` rows."""
    out = io.BytesIO()
    table = figure.table if most is None else figure.table.head(most)
    _flat(table).write_csv(out)
    return out.getvalue()


def view(figure: Figure, words: Words) -> dict[str, Any]:
    """Return what a template shows of a figure: links with the data in them, and its first rows."""
    table = figure.table
    numeric = [dtype.is_numeric() for dtype in table.dtypes]
    names = [name.replace("_", " ") for name in table.columns]
    rows = [
        [(words.say(cell(value)), n) for value, n in zip(row, numeric, strict=True)]
        for row in table.head(SHOWN).iter_rows()
    ]
    return {
        "drawn": words.draw(figure.svg),
        "svg": _data("image/svg+xml", words.draw(figure.svg).encode()),
        "csv": _data("text/csv", as_csv(figure, MOST_CSV)),
        "cut": f" {MOST_CSV:,} / {table.height:,}" if table.height > MOST_CSV else "",
        "columns": list(zip(map(words.say, names), numeric, strict=True)),
        "rows": rows,
        "short": table.height <= SHOWN,
        "height": words.say(f"{table.height:,}")
        + (f" ({SHOWN} {words.page['shown']})" if table.height > SHOWN else ""),
    }


def _flat(table: pl.DataFrame) -> pl.DataFrame:
    """Write lists as text, since CSV has no lists."""
    lists = [name for name, dtype in table.schema.items() if isinstance(dtype, pl.List)]
    return table.with_columns(
        [pl.col(name).cast(pl.List(pl.String)).list.join("; ") for name in lists]
    )


def cell(value: Any) -> str:
    """Write a value of a table for people."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value.strftime("%Y-%m-%d %H:%M") if hasattr(value, "strftime") else str(value)


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
