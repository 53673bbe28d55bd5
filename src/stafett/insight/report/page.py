"""The report as one page that needs nothing else, and as JSON."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import jinja2
import polars as pl

from stafett.insight.pictures.svg import Figure, number
from stafett.insight.report.assemble import Report

SHOWN = 12
MOST_CSV = 20_000  # rows of a figure's table that travel in the page


def as_html(report: Report) -> str:
    """Return the report as one HTML page: no scripts, nothing fetched from outside."""
    views = {figure.key: view(figure) for figure in report.figures}
    loader = jinja2.PackageLoader("stafett.insight.report", package_path="")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    return environment.get_template("page.html").render(report=report, views=views)


def as_json(report: Report) -> str:
    """Return the report as JSON: facts, notes, each figure with its whole table, no pictures."""
    chapters = [
        {
            "name": name,
            "notes": list(notes),
            "figures": [
                {
                    "key": figure.key,
                    "title": figure.title,
                    "sentence": figure.sentence,
                    "basis": figure.basis,
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
        "notes": list(report.log_notes),
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


def view(figure: Figure) -> dict[str, Any]:
    """Return what a template shows of a figure: links with the data in them, and its first rows."""
    table = figure.table
    numeric = [dtype.is_numeric() for dtype in table.dtypes]
    names = [name.replace("_", " ") for name in table.columns]
    rows = [
        [(cell(value), n) for value, n in zip(row, numeric, strict=True)]
        for row in table.head(SHOWN).iter_rows()
    ]
    return {
        "svg": _data("image/svg+xml", figure.svg.encode()),
        "csv": _data("text/csv", as_csv(figure, MOST_CSV)),
        "cut": f", first {MOST_CSV:,} of {table.height:,} rows" if table.height > MOST_CSV else "",
        "columns": list(zip(names, numeric, strict=True)),
        "rows": rows,
        "short": table.height <= SHOWN,
        "summary": f"{table.height:,} rows"
        + (f", the first {SHOWN} shown" if table.height > SHOWN else ""),
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
