"""Labels on paper: PDF for office printers, ZPL for thermal ones.

The PDF is made by Typst: A4 with two columns of five labels (99.1 x 57 mm, a common sheet), as
PDF/A-2b, the same bytes for the same labels. The symbols are drawn from the very matrix that was
read back (`stafett.identity.label`), as vectors; beside each stands what it says in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
import numpy as np

from stafett.exchange.glyphs import Spell, with_every_text
from stafett.identity.errors import IdentifierError
from stafett.identity.label import Label, matrix, read_back, zpl

MOST = 200
QUIET = 2  # modules of white around a Data Matrix; the standard asks for one


def pdf(
    labels: Sequence[Label], printed: datetime, title: str = "Labels", language: str = "en"
) -> bytes:
    """Return the labels as one PDF/A document; `printed` is the date that it carries.

    `title` and `language` are what its reader's software is told.
    """
    made = _compile(labels, printed, "pdf", title=title, language=language)
    assert isinstance(made, bytes)
    return made


def pages(labels: Sequence[Label], printed: datetime, dots_per_inch: float = 300) -> list[bytes]:
    """Return the same document as PNG pages: what the printer would put on paper."""
    found = _compile(labels, printed, "png", dots_per_inch)
    return [bytes(page) for page in (found if isinstance(found, list) else [found])]


def thermal(labels: Sequence[Label]) -> str:
    """Return the labels as ZPL II, one format after the other."""
    for label in labels:
        _readable(label)
    return "".join(zpl(label) for label in labels)


def _compile(
    labels: Sequence[Label],
    printed: datetime,
    form: Literal["pdf", "png"],
    dots_per_inch: float | None = None,
    title: str = "Labels",
    language: str = "en",
) -> bytes | list[bytes]:
    if not 1 <= len(labels) <= MOST:
        raise IdentifierError(f"{len(labels)} labels", "labels", f"print 1 to {MOST} at a time")
    content = [{"lines": list(label.lines), "symbol": _symbol(label)} for label in labels]
    given = {"year": str(printed.year), "month": str(printed.month), "day": str(printed.day)}
    given |= {"title": title, "language": language}
    import typst  # only here: it is large, and only printing needs it

    def made(spell: Spell) -> bytes | list[bytes]:
        found: bytes | list[bytes] = typst.compile(
            _TEMPLATE.encode(),
            format=form,
            ppi=dots_per_inch,
            ignore_system_fonts=True,  # the same bytes on every machine
            sys_inputs={**given, "labels": msgspec.json.encode(spell(content)).decode()},
            pdf_standards=["a-2b"] if form == "pdf" else [],
        )
        return found

    return with_every_text(made)


def _readable(label: Label) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return the symbol's matrix once it was read back; a symbol nobody can read is not printed."""
    dark = matrix(label.payload, gs1=label.gs1)
    expected = label.payload
    if label.gs1:
        expected = expected.replace("(", "").replace(")", "")
    if read_back(dark).replace(b"\x1d", b"") != expected.encode():
        raise IdentifierError("the symbol says something else", "label", "do not print it")
    return dark


def _symbol(label: Label) -> str:
    dark = _readable(label)
    side = len(dark) + 2 * QUIET
    cells = "".join(
        f"M{x + QUIET} {y + QUIET}h1v1h-1z" for y, x in zip(*np.nonzero(dark), strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="{side}" '
        f'height="{side}" shape-rendering="crispEdges"><path d="{cells}" fill="#000"/></svg>'
    )


_TEMPLATE = r"""
#let inputs = sys.inputs
#set document(
  title: inputs.title,
  date: datetime(year: int(inputs.year), month: int(inputs.month), day: int(inputs.day)),
)
#set page(paper: "a4", margin: (x: 4.65mm, y: 6mm))
#set text(font: "DejaVu Sans Mono", size: 8pt, lang: inputs.language)
#set par(leading: 0.45em)
#let label(one) = box(width: 99.1mm, height: 57mm, inset: 4mm, stroke: 0.3pt + luma(190), grid(
  columns: (34mm, 1fr), column-gutter: 3mm, align: (center + horizon, left + horizon),
  image(bytes(one.symbol), format: "svg", width: 34mm),
  {
    text(size: 10pt, weight: "bold", one.lines.first())
    for line in one.lines.slice(1) { linebreak(); text(line) }
  },
))
#grid(columns: 2, column-gutter: 2.5mm, ..json(bytes(inputs.labels)).map(label))
"""
