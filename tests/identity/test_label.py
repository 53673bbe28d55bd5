"""Labels: what people read, what scanners read, and that both printers draw the same symbol."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.identity import label
from stafett.identity.coi import COI_PATTERN, Coi
from stafett.identity.din import DIN_PATTERN, Din
from stafett.identity.errors import IdentifierError
from stafett.identity.product import ProductCode
from stafett.identity.scan import Kind, read

cois = st.from_regex(COI_PATTERN, fullmatch=True)
dins = st.from_regex(DIN_PATTERN, fullmatch=True)


EXPIRES = datetime(2026, 12, 24, 15, 30, tzinfo=ZoneInfo("Europe/Stockholm"))


def make(**changes: object) -> label.Label:
    """Return a label with some of its parts changed."""
    parts: dict[str, object] = {
        "title": "HPC, Apheresis & <cells> ^XZ",
        "din": Din("G123417654321"),
        "product": ProductCode("S1225100"),
        "coi": Coi("CHA9999240000A1"),
        "expires": EXPIRES,
        "storage": "Store at 2 to 8 °C",
    }
    return label.material_label(**(parts | changes))  # type: ignore[arg-type]


def svg_matrix(svg: str) -> np.ndarray:
    """Rasterise the symbol of an SVG: one cell a module."""
    path = re.search(r'id="symbol"[^>]* d="([^"]*)"', svg)
    assert path is not None
    cells = [(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", path.group(1))]
    size = max(max(cell) for cell in cells) - 1
    dark = np.zeros((size, size), bool)
    for x, y in cells:
        dark[y - 2, x - 2] = True
    return dark


def zpl_matrix(zpl: str, dots: int) -> np.ndarray:
    """Rasterise the graphic field of a ZPL label: one cell a module."""
    field = re.search(r"\^GFA,(\d+),\1,(\d+),([0-9A-F]+)\^FS", zpl)
    assert field is not None
    packed = np.frombuffer(bytes.fromhex(field.group(3)), np.uint8)
    rows = np.unpackbits(packed.reshape(-1, int(field.group(2))), axis=1).astype(bool)
    side = len(rows)
    return rows[::dots, :side:dots]


def test_lines_for_people() -> None:
    """Donation and chain of identity stand with their check, the expiry with its offset."""
    text = "\n".join(make(container=2, notes=("For autologous use only",)).lines)
    assert "DIN G1234 17 654321 A" in text
    assert "CoI CH A9999 24 0000A1 " in text
    assert "Expires 2026-12-24 15:30 +0100" in text
    assert "Container 2" in text and "For autologous use only" in text


def test_payload_is_read_as_what_it_says() -> None:
    """The symbol's string is a compound message with the donation, product, expiry and chain."""
    scanned = read(make(container=7).payload)
    assert scanned.kind is Kind.COMPOUND
    assert {c.kind for c in scanned.carries} == {Kind.DIN, Kind.PRODUCT, Kind.DATE, Kind.COI}
    assert "=G12341765432117" in make(container=7).payload


@settings(max_examples=25)
@given(dins, cois, st.integers(0, 9))
def test_both_printers_draw_a_symbol_that_reads_back(din: str, coi: str, container: int) -> None:
    """A reader gets the payload's bytes from the SVG's path and from the ZPL's graphic."""
    made = make(din=Din(din), coi=Coi(coi), container=container)
    assert label.read_back(svg_matrix(label.svg(made))) == made.payload.encode()
    assert label.read_back(zpl_matrix(label.zpl(made), 6)) == made.payload.encode()


def test_text_cannot_become_a_command() -> None:
    """Signs with a meaning in ZPL and SVG are escaped."""
    made = make()
    assert label.zpl(made).count("^XZ") == 1
    assert "&amp; &lt;cells&gt;" in label.svg(made)


def test_damaged_symbol_is_not_read_back() -> None:
    """A symbol with half its modules lost is refused, not guessed."""
    dark = label.matrix(make().payload)
    dark[: len(dark) // 2] = False
    with pytest.raises(IdentifierError):
        label.read_back(dark)


@pytest.mark.parametrize(
    "changes",
    [{"expires": datetime(2026, 12, 24, 15, 30)}, {"container": 10}, {"container": -1}],  # noqa: DTZ001
)
def test_impossible_labels_are_refused(changes: dict[str, object]) -> None:
    """An expiry without zone and a tenth container are refused."""
    with pytest.raises(IdentifierError):
        make(**changes)


def test_unprintable_payload_is_refused() -> None:
    """A symbol holds non-empty ASCII."""
    for payload in ("", "å"):
        with pytest.raises(IdentifierError):
            label.matrix(payload)
