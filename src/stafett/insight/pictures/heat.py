"""Heat maps: interfaces (giver by receiver) and origins (detected at by began at)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stafett.insight.pictures.svg import FAINT, GREY, INK, Canvas, cut, number, room, shade, short

CELL_W, CELL_H = 46, 26


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Mapping[tuple[str, str], float],
    *,
    title: str,
    row_title: str,
    column_title: str,
    unit: str,
) -> str:
    """Draw `values` by (row, column); a missing pair stays blank. Shade follows the square root."""
    left, top = room(rows, 26) + 24, room(columns, 26) * 0.72 + 44
    canvas = Canvas(
        left + CELL_W * len(columns) + max(40, room(columns, 26) * 0.72),
        top + CELL_H * len(rows) + 34,
        title,
    )
    largest = max(values.values(), default=0) or 1
    canvas.text(left, 16, f"{column_title} →", colour=FAINT)
    canvas.text(12, top + CELL_H * len(rows) + 22, f"↑ {row_title}   (cells: {unit})", colour=FAINT)
    for j, column in enumerate(columns):
        x = left + CELL_W * j + CELL_W / 2 + 4
        canvas.text(x, top - 8, cut(column, 26), turn=-45)
    for i, row in enumerate(rows):
        y = top + CELL_H * i
        canvas.text(left - 8, y + 17, cut(row, 26), anchor="end")
        for j, column in enumerate(columns):
            value = values.get((row, column))
            x = left + CELL_W * j
            if value is None:
                canvas.rect(x + 1, y + 1, CELL_W - 2, CELL_H - 2, "#fafbfc")
                continue
            part = (value / largest) ** 0.5
            hint = f"{row} → {column}: {number(value)} {unit}"
            canvas.rect(x + 1, y + 1, CELL_W - 2, CELL_H - 2, shade(part), hint)
            ink = "#ffffff" if part > 0.55 else INK
            canvas.text(x + CELL_W / 2, y + 17, short(value), size=11, colour=ink, anchor="middle")
    canvas.line(left, top, left, top + CELL_H * len(rows), GREY)
    return str(canvas)
