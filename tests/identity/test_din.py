"""The donation identification number and its check character."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.identity import din
from stafett.identity.check import ALPHABET, check_character, mod37_2
from stafett.identity.din import DIN_PATTERN, Din
from stafett.identity.errors import IdentifierError, Reason

dins = st.from_regex(DIN_PATTERN, fullmatch=True)


def test_published_example_has_its_check_character() -> None:
    """The worked example of ST-001 appendix A gives A, and 70 as check flags."""
    number = Din("G123417654321")
    assert (number.check, number.check_flags) == ("A", "70")


@pytest.mark.parametrize(
    ("text", "check"),
    [("A999914123456", "N"), ("W000007123456", "D"), ("A999924123456", "Q")],
)
def test_further_computed_examples(text: str, check: str) -> None:
    """The examples of the project's notes hold."""
    assert Din(text).check == check


def test_every_slip_on_one_number_is_counted() -> None:
    """All 455 substitutions and all 12 adjacent transpositions of one number change its check."""
    text = "A999924123456"
    substituted = [
        text[:i] + other + text[i + 1 :]
        for i, old in enumerate(text)
        for other in ALPHABET[:36]
        if other != old
    ]
    swapped = [text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(12)]
    assert (len(substituted), len(swapped)) == (455, 12)
    slips = {slip for slip in substituted + swapped if slip != text}
    assert "Q" not in {check_character(slip) for slip in slips}


def test_a_check_made_by_the_common_mistake_is_refused() -> None:
    """`(37 - t) % 37` gives 9 for the published example: a label printed so is not taken."""
    with pytest.raises(IdentifierError) as refusal:
        din.parse_typed("G1234 17 654321 9")
    assert refusal.value.reason is Reason.CHECK


def test_shared_vectors(shared: Path) -> None:
    """Each published DIN vector has its check; each corrupted one is refused."""
    rows = json.loads((shared / "standards/celltherapy/isbt128.json").read_text())
    donations = [row for row in rows if "din" in row]
    assert len(donations) == 12
    for row in donations:
        if row["valid"]:
            donation = din.parse_wire(row["barcode_001"])
            assert donation.din.text == row["din"]
            assert donation.din.check == row["check_character"]
            assert donation.din.check_flags == row["type3_flags"] == donation.flags
        else:
            with pytest.raises(IdentifierError) as refusal:
                din.parse_wire(row["barcode_001"])
            assert refusal.value.reason is Reason.CHECK


def test_parts_of_a_donation() -> None:
    """Facility, year, sequence and flags are read from their places."""
    donation = din.parse_wire("=A99991712345600")
    number = donation.din
    assert (number.fin, number.year, number.sequence) == ("A9999", 17, "123456")
    assert donation.flags == "00"
    assert number.wire() == "=A99991712345600"


@pytest.mark.parametrize(
    ("flags", "meaning"),
    [
        ("00", "not used"),
        ("01", "container 1 of a set"),
        ("15", "container 5 of a set"),
        ("19", "container 9 of a set"),
        ("05", "second or later demand-printed label"),
        ("07", "tube"),
        ("08", "donor record"),
        ("42", "locally defined"),
        ("70", "check value"),
        ("99", "reserved"),
        ("A1", "reserved"),
    ],
)
def test_flags_are_said_in_words(flags: str, meaning: str) -> None:
    """Two prints of one DIN are told apart by what their flags mean."""
    assert din.Donation(Din("G123417654321"), flags).flag_meaning == meaning


@pytest.mark.parametrize("flags", ["0", "000", "O1", "I1", "Z1", "q1", "0 "])
def test_malformed_flags_are_refused(flags: str) -> None:
    """Flags outside the allowed characters are refused."""
    with pytest.raises(IdentifierError):
        din.Donation(Din("G123417654321"), flags)


@pytest.mark.parametrize(
    "typed",
    ["G123417654321A", "G1234 17 654321 A", "g1234-17-654321-a", " G1234 17 654321A "],
)
def test_typed_number_in_any_grouping(typed: str) -> None:
    """Blanks, hyphens and small letters do not matter; the check character does."""
    assert din.parse_typed(typed) == Din("G123417654321")


def test_typed_number_without_check_is_refused() -> None:
    """Thirteen characters are complete, and still refused: nothing guards them."""
    with pytest.raises(IdentifierError, match="missing") as refusal:
        din.parse_typed("G123417654321")
    assert refusal.value.reason is Reason.CHECK


def test_wrong_check_names_what_was_expected_but_not_to_the_typist() -> None:
    """The expected character is in the error for the record, not in the sentence shown."""
    with pytest.raises(IdentifierError) as refusal:
        din.parse_typed("G123417654321B")
    assert refusal.value.expected == "A"
    assert "'A'" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("O123417654321", "facility, character 1"),
        ("0123417654321", "facility, character 1"),
        ("GO23417654321", "facility, character 2"),
        ("G12A417654321", "facility, character 4"),
        ("G1234X7654321", "year, character 6"),
        ("G12341765432X", "sequence, character 13"),
        ("G12341765432", "12 characters instead of 13"),
        ("G12341765432\n", "sequence, character 13"),
        ("G12341765432\u0661", "sequence, character 13"),
    ],
)
def test_error_names_the_place(text: str, where: str) -> None:
    """A malformed number is refused with the part that is wrong."""
    with pytest.raises(IdentifierError) as refusal:
        Din(text)
    assert where in refusal.value.where


@given(dins)
def test_wire_and_typed_forms_read_back(text: str) -> None:
    """What is printed and what is encoded reads back as the same number."""
    number = Din(text)
    assert din.parse_wire(number.wire(number.check_flags)).din == number
    assert din.parse_typed(number.printed()) == number


@given(dins)
def test_every_substitution_is_refused(text: str) -> None:
    """No single wrong character passes, at any place, the check character included."""
    typed = text + check_character(text)
    for place, right in enumerate(typed):
        for wrong in ALPHABET:
            if wrong != right:
                with pytest.raises(IdentifierError):
                    din.parse_typed(typed[:place] + wrong + typed[place + 1 :])


@given(dins)
def test_every_adjacent_transposition_is_refused(text: str) -> None:
    """No two swapped neighbours pass, the check character included."""
    typed = text + check_character(text)
    for i in range(len(typed) - 1):
        if typed[i] != typed[i + 1]:
            swapped = typed[:i] + typed[i + 1] + typed[i] + typed[i + 2 :]
            with pytest.raises(IdentifierError):
                din.parse_typed(swapped)


@given(dins, st.integers(0, 13))
def test_every_dropped_or_doubled_character_is_refused(text: str, place: int) -> None:
    """A lost or doubled key press changes the length, and is refused."""
    typed = text + check_character(text)
    for mangled in (
        typed[:place] + typed[place + 1 :],
        typed[:place] + typed[place:][:1] + typed[place:],
    ):
        if len(mangled) != len(typed):
            with pytest.raises(IdentifierError):
                din.parse_typed(mangled)


@given(dins)
def test_check_equals_the_naive_polynomial(text: str) -> None:
    """The running check equals the sum of value times power of two, done at leisure."""
    weights = [2 ** (len(text) - i) for i in range(len(text))]
    total = sum(ALPHABET.index(c) * w for c, w in zip(text, weights, strict=True))
    assert (total + mod37_2(text)) % 37 == 1
