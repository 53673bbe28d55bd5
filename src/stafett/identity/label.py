"""The label of a material: what stands on it for people, and what its symbol says to scanners.

The Data Matrix holds an ISBT 128 compound message; the same matrix goes to the SVG and, as a
graphic, to the ZPL, so the printer draws exactly what was read back here, whatever its firmware.
Layout is plain; a national label design (ST-004, ST-018) is the deploying facility's to choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

import numpy as np
import zxingcpp

from stafett.identity import compound
from stafett.identity.coi import Coi
from stafett.identity.din import Din, Donation
from stafett.identity.errors import IdentifierError
from stafett.identity.moment import Moment
from stafett.identity.product import ProductCode


@dataclass(frozen=True, slots=True)
class Label:
    """A label's content: lines for people, the string of its symbol.

    With `gs1` the string is an element string with its identifiers in brackets, and the symbol is a
    GS1 DataMatrix (FNC1 first).
    """

    lines: tuple[str, ...]
    payload: str
    gs1: bool = False


def material_label(
    *,
    title: str,
    din: Din,
    product: ProductCode,
    coi: Coi | None,
    expires: datetime,
    storage: str,
    container: int = 0,
    notes: tuple[str, ...] = (),
) -> Label:
    """Return the label of one container.

    `expires` must be aware (it is printed with its offset, and encoded to the minute in its own
    zone); `container` 1–9 marks the container of a set in the flags, so that two labels of one
    DIN are told apart from the carrier itself. The patient's name is *not* here: a hospital adds
    it on its own printer, outside Stafett's record.
    """
    if expires.tzinfo is None:
        raise IdentifierError(
            f"the expiry {expires.isoformat()} has no zone", "label, expires", "give it its zone"
        )
    if not 0 <= container <= 9:
        raise IdentifierError(
            f"container {container} of a set cannot be encoded", "label, container", "use 1–9"
        )
    flags = f"{container if container < 5 else container + 10:02d}"
    expiry = Moment("expiry", expires.date(), expires.time().replace(second=0, microsecond=0))
    parts = [Donation(din, flags).wire, product.wire, expiry.wire]
    lines = [title, f"DIN {din.printed()}", f"Product {product.text}"]
    if coi is not None:
        parts.append(coi.wire)
        lines.append(f"CoI {coi.printed()}")
    if container:
        lines.append(f"Container {container}")
    lines.append(f"Expires {expires:%Y-%m-%d %H:%M} {expires:%z}")
    lines += [storage, *notes]
    fields = tuple(compound.parse_field(part) for part in parts)
    return Label(tuple(lines), compound.Compound(fields).wire)


def matrix(payload: str, *, gs1: bool = False) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return the Data Matrix of `payload`, shape (n, n), True = dark, without quiet zone."""
    if not payload or not payload.isascii():
        raise IdentifierError(
            f"{payload!r} cannot be printed", "label payload", "it must be non-empty ASCII"
        )
    kind = zxingcpp.BarcodeFormat.DataMatrix
    barcode = zxingcpp.create_barcode(payload, kind, force_square=True, gs1=gs1)
    image = np.array(zxingcpp.write_barcode_to_image(barcode, scale=1, add_quiet_zones=False))
    return np.asarray(image < 128)


def svg(label: Label, *, width_mm: float = 100, height_mm: float = 50) -> str:
    """Return the label as one SVG, in millimetres: symbol on the left, lines on the right."""
    dark = matrix(label.payload, gs1=label.gs1)
    module = (height_mm * 0.7) / (len(dark) + 4)
    path = "".join(f"M{x + 2} {y + 2}h1v1h-1z" for y, x in zip(*np.nonzero(dark), strict=True))
    left = module * (len(dark) + 6)
    step = height_mm / (len(label.lines) + 1)
    size = min(step * 0.72, 4.2)
    texts = "".join(
        f'<text x="{left:.2f}" y="{step * (i + 1):.2f}" font-size="{size:.2f}"'
        f"{' font-weight=' + chr(34) + 'bold' + chr(34) if i == 0 else ''}>{escape(line)}</text>"
        for i, line in enumerate(label.lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_mm}mm" height="{height_mm}mm" '
        f'viewBox="0 0 {width_mm} {height_mm}" font-family="sans-serif">'
        f"<title>{escape(label.lines[0])}</title>"
        f'<rect width="{width_mm}" height="{height_mm}" fill="#fff"/>'
        f'<path id="symbol" transform="scale({module:.5f})" d="{path}" fill="#000"/>'
        f"{texts}</svg>"
    )


def zpl(label: Label, *, dots_per_module: int = 6) -> str:
    """Return the label as ZPL II: the matrix as a graphic field, the lines as UTF-8 text.

    Signs with a meaning in ZPL (`^`, `~`, `_`) are written as hexadecimal, so no text of a label
    can become a command.
    """
    dots = np.kron(
        matrix(label.payload, gs1=label.gs1), np.ones((dots_per_module, dots_per_module), bool)
    )
    packed = np.packbits(dots, axis=1)
    total, row = packed.size, packed.shape[1]
    left = 40 + dots.shape[1] + 40
    rows = [
        f"^FO{left},{40 + 38 * i}^A0N,30,26^FH_^FD{_zpl_text(line)}^FS"
        for i, line in enumerate(label.lines)
    ]
    graphic = f"^FO40,40^GFA,{total},{total},{row},{packed.tobytes().hex().upper()}^FS"
    return "\n".join(["^XA", "^CI28", graphic, *rows, "^XZ"]) + "\n"


def read_back(dark: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> bytes:
    """Return the bytes that a reader gets from a matrix of modules; refuse an unreadable one."""
    padded = np.pad(dark, 2)
    image = np.where(np.kron(padded, np.ones((4, 4), bool)), 0, 255).astype(np.uint8)
    found = zxingcpp.read_barcodes(image)
    if len(found) != 1:
        raise IdentifierError("the symbol cannot be read back", "label", "print it again")
    return bytes(found[0].bytes)


def _zpl_text(text: str) -> str:
    return "".join(f"_{ord(c):02X}" if c in "^~_\\" or ord(c) < 32 else c for c in text)
