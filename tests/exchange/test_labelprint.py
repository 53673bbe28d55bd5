"""Printed labels: what comes out of either printer is read back by a scanner's reader."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pytest
import zxingcpp

from png_ import grey
from stafett.exchange import labelprint
from stafett.identity import scan
from stafett.identity.coi import Coi
from stafett.identity.compound import Compound, parse_field
from stafett.identity.din import Din
from stafett.identity.errors import IdentifierError
from stafett.identity.label import Label, read_back
from stafett.identity.scan import Kind

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
COI = Coi("CHA9999240000A1")
BAG = Compound((parse_field(Din("G123417654321").wire()), parse_field(COI.wire))).wire
LABELS = [
    Label(("Leukapheresis bag", "DIN G1234 17 654321", "påse å/ö ^XZ ~HI # $x$ *b*"), BAG),
    Label(("Shipper", "(00)173500531151350035"), "(00)173500531151350035", gs1=True),
    Label(("Chain of identity", COI.printed()), COI.wire),
    Label(("Kit", "L115135001"), "L115135001"),
]


def symbols(page: bytes) -> list[bytes]:
    """Return what a reader finds on a page, from top to bottom and left to right."""
    image = grey(page)
    found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormat.DataMatrix)
    found.sort(key=lambda b: (round(b.position.top_left.y / 300), b.position.top_left.x))
    return [bytes(barcode.bytes) for barcode in found]


def test_every_symbol_on_the_page_is_read_back() -> None:
    """From the very document that is printed, as an office printer would draw it."""
    (page,) = labelprint.pages(LABELS, AT)
    expected = [BAG, "00173500531151350035", COI.wire, "L115135001"]
    assert symbols(page) == [text.encode() for text in expected]


def test_a_station_understands_what_is_on_the_label() -> None:
    """The bag's symbol gives a station both the donation number and the chain of identity."""
    (page,) = labelprint.pages(LABELS[:1], AT)
    scanned = scan.read(symbols(page)[0].decode())
    for kind, value in ((Kind.DIN, "G123417654321"), (Kind.COI, COI.text)):
        found = scanned.find(kind)
        assert found is not None and found.canonical == value


def test_many_labels_fill_many_pages_in_order() -> None:
    """Ten to a page; none is lost, doubled or cut between two pages."""
    labels = [Label((f"Label {n}",), f"L{n:05d}") for n in range(23)]
    pages = labelprint.pages(labels, AT, 200)
    assert len(pages) == 3
    assert sorted(b for page in pages for b in symbols(page)) == [
        f"L{n:05d}".encode() for n in range(23)
    ]


def test_the_document_is_an_archive_and_the_same_each_time() -> None:
    """PDF/A-2b, with its fonts in it, byte for byte."""
    one, two = labelprint.pdf(LABELS, AT), labelprint.pdf(LABELS, AT)
    assert one == two and one.startswith(b"%PDF-1.7")
    assert b"pdfaid:part>2<" in one and b"pdfaid:conformance>B<" in one
    assert one != labelprint.pdf(LABELS, datetime(2026, 11, 26, tzinfo=UTC))


def test_a_name_in_another_script_does_not_stop_the_printer() -> None:
    """What the font lacks is spelled out; the label is there, with its symbol."""
    label = Label(("北京医院", "L115135001"), "L115135001")
    assert labelprint.pdf([label], AT).startswith(b"%PDF-1.7")
    (page,) = labelprint.pages([label], AT)
    assert symbols(page) == [b"L115135001"]


def test_the_thermal_printer_gets_the_same_symbols() -> None:
    """The graphic of each ZPL format is read back; no text of a label can become a command."""
    text = labelprint.thermal(LABELS)
    found = []
    for total, row, data in re.findall(r"\^GFA,(\d+),\d+,(\d+),([0-9A-F]+)\^FS", text):
        packed = np.frombuffer(bytes.fromhex(data), np.uint8)
        assert len(packed) == int(total)
        dots = np.unpackbits(packed.reshape(-1, int(row)), axis=1).astype(bool)
        dark = dots[::6, : len(dots) : 6]
        found.append(read_back(dark))
    expected = [BAG, "00173500531151350035", COI.wire, "L115135001"]
    assert found == [value.encode() for value in expected]
    assert text.count("^XA") == text.count("^XZ") == len(LABELS)
    assert "~HI" not in text


@pytest.mark.parametrize(
    "wrong", [[], [LABELS[0]] * 201, [Label(("x",), "")], [Label(("x",), "å")]]
)
def test_what_cannot_be_printed_is_refused(wrong: list[Label]) -> None:
    """No labels, too many, an empty symbol, one that no reader gives back the same."""
    with pytest.raises(IdentifierError):
        labelprint.pdf(wrong, AT)
