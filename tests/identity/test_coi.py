"""The chain-of-identity identifier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.identity import coi
from stafett.identity.coi import COI_PATTERN, Coi
from stafett.identity.errors import IdentifierError, Reason

cois = st.from_regex(COI_PATTERN, fullmatch=True)


def test_parts() -> None:
    """Facility, year and six alphanumerics are read from their places."""
    value = coi.parse_wire("&/CHA9999240000A1")
    assert (value.fin, value.year, value.serial) == ("A9999", 24, "0000A1")
    assert value.wire == "&/CHA9999240000A1"


def test_shared_vectors(shared: Path) -> None:
    """The published shape is accepted and the one without CH refused."""
    rows = json.loads((shared / "standards/celltherapy/isbt128.json").read_text())
    rows = [row for row in rows if "barcode_040" in row]
    assert len(rows) == 2
    for row in rows:
        if row["valid"]:
            assert coi.parse_wire(row["barcode_040"]).text == row["chain_of_identity"]
        else:
            with pytest.raises(IdentifierError):
                coi.parse_wire(row["barcode_040"])


@pytest.mark.parametrize(
    "text",
    ["", "CHA9999240000A", "CHA9999240000A11", "CHO9999240000A1", "CHA99992X0000A1",
     "CHA9999240000a1", "CHA999924000 A1", "chA9999240000A1", "CHA9999240000Å1"],
)  # fmt: skip
def test_malformed_is_refused(text: str) -> None:
    """Wrong length, facility, year or characters are refused."""
    with pytest.raises(IdentifierError):
        Coi(text)


def test_typed_without_check_is_refused() -> None:
    """The bare fifteen characters are refused when typed."""
    with pytest.raises(IdentifierError, match="missing") as refusal:
        coi.parse_typed("CHA9999240000A1")
    assert refusal.value.reason is Reason.CHECK


@given(cois)
def test_printed_form_reads_back(text: str) -> None:
    """What is printed for people can be typed back."""
    assert coi.parse_typed(Coi(text).printed().lower()) == Coi(text)


@given(cois)
def test_every_slip_of_the_fingers_is_refused(text: str) -> None:
    """Every single substitution and adjacent swap of a typed identifier is refused."""
    typed = text + Coi(text).entry_check
    slips = {typed[:i] + c + typed[i + 1 :] for i in range(16) for c in "0O1I8BZ29A*"}
    slips |= {typed[:i] + typed[i + 1] + typed[i] + typed[i + 2 :] for i in range(15)}
    for slip in slips - {typed}:
        with pytest.raises(IdentifierError):
            coi.parse_typed(slip)
