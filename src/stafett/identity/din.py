"""The Donation Identification Number: ISBT 128 data structure 001, `=αppppyynnnnnnff`.

The DIN is the 13 characters αppppyynnnnnn. The two flag characters ff travel in the barcode and
are not part of it; the check character K is printed for keyboard entry and is never encoded.
Source: ST-001 as summarised by the project's notes (structure only).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stafett.identity.check import check_character, mod37_2
from stafett.identity.errors import IdentifierError, Reason

FIN_PATTERN = "[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{2}"
DIN_PATTERN = FIN_PATTERN + "[0-9]{8}"
FLAGS_PATTERN = "[0-9A-HJ-NPR-Y]{2}"

_DIN = re.compile(DIN_PATTERN)
_FLAGS = re.compile(FLAGS_PATTERN)


@dataclass(frozen=True, slots=True)
class Din:
    """A donation: 13 characters, unique for a hundred years. Build it with `Din.of`."""

    text: str

    def __post_init__(self) -> None:
        if not _DIN.fullmatch(self.text):
            raise IdentifierError(
                f"{self.text!r} has not the form of a DIN",
                _first_fault(self.text),
                "a DIN is a facility (5 characters, no letter O, no leading zero), a year "
                "(2 digits) and a sequence (6 digits): scan the symbol again",
            )

    @property
    def fin(self) -> str:
        """Facility identification number, 5 characters."""
        return self.text[:5]

    @property
    def year(self) -> int:
        """Nominal year of collection, two digits (may be off by a month at the turn)."""
        return int(self.text[5:7])

    @property
    def sequence(self) -> str:
        """Sequence number, six digits as text."""
        return self.text[7:]

    @property
    def check(self) -> str:
        """The check character K to print beside the number."""
        return check_character(self.text)

    @property
    def check_flags(self) -> str:
        """Flag characters of type 3: 60 + check value, for scanners that verify."""
        return f"{60 + mod37_2(self.text):02d}"

    def wire(self, flags: str = "00") -> str:
        """Return the 16 characters of the barcode, `=` and flags included."""
        return Donation(self, flags).wire

    def printed(self) -> str:
        """Return the eye-readable line, grouped, the check character last: `G1234 17 654321 A`."""
        return f"{self.fin} {self.text[5:7]} {self.sequence} {self.check}"


@dataclass(frozen=True, slots=True)
class Donation:
    """A DIN as read from a symbol: with its two flag characters."""

    din: Din
    flags: str = "00"

    def __post_init__(self) -> None:
        if not _FLAGS.fullmatch(self.flags):
            raise IdentifierError(
                f"{self.flags!r} are no flag characters",
                "DIN, characters 15–16",
                "flags are two of 0–9, A–H, J–N, P, R–Y: scan the symbol again",
            )
        if self.flags.isdigit() and 60 <= int(self.flags) <= 96:
            expected = self.din.check_flags
            if self.flags != expected:
                raise IdentifierError(
                    f"the check flags of {self.din.text} are {self.flags}, expected {expected}",
                    "DIN, flag characters",
                    "the symbol is damaged or was made wrongly: quarantine and call",
                    Reason.CHECK,
                    expected,
                )

    @property
    def wire(self) -> str:
        """The 16 characters of data structure 001."""
        return f"={self.din.text}{self.flags}"

    @property
    def flag_meaning(self) -> str:
        """Say in words what the flags mean, so that two prints of one DIN are told apart."""
        if not self.flags.isdigit():
            return "reserved"
        value = int(self.flags)
        if value == 0:
            return "not used"
        if value in (1, 2, 3, 4) or 15 <= value <= 19:
            return f"container {value if value < 5 else value - 10} of a set"
        if value == 5:
            return "second or later demand-printed label"
        if value in (6, 7):
            return "tube"
        if value == 8:
            return "donor record"
        if 20 <= value <= 59:
            return "locally defined"
        if 60 <= value <= 96:
            return "check value"
        return "reserved"


def parse_wire(raw: str) -> Donation:
    """Read the 16 characters that a scanner sends for data structure 001.

    Raises IdentifierError when the shape is wrong or check flags (60–96) do not fit.
    """
    if len(raw) != 16 or not raw.startswith("="):
        raise IdentifierError(
            f"{raw!r} is no DIN symbol",
            f"{len(raw)} characters",
            "a DIN symbol is '=' and 15 characters: scan the DIN symbol",
        )
    return Donation(Din(raw[1:14]), raw[14:16])


def parse_typed(raw: str) -> Din:
    """Read a DIN typed from the label: 13 characters and the check character, in any grouping.

    Blanks and hyphens are ignored, letters may be small. Raises IdentifierError when the check
    character is missing or wrong: a typed number without it is never accepted.
    """
    text = re.sub(r"[ \-]", "", raw).upper()
    if len(text) == 13 and _DIN.fullmatch(text):
        raise IdentifierError(
            f"the check character of {text} is missing",
            "end of the typed DIN",
            "type the boxed character that follows the number too, or scan the symbol",
            Reason.CHECK,
        )
    if len(text) != 14:
        raise IdentifierError(
            f"{raw!r} is no typed DIN",
            f"{len(text)} characters",
            "type the 13 characters and the boxed check character, or scan the symbol",
        )
    din = Din(text[:13])
    if text[13] != din.check:
        raise IdentifierError(
            f"the check character of {din.text} does not fit: got {text[13]!r}",
            "typed DIN, check character",
            "a character was mistyped or two were swapped: read the label again, or scan it",
            Reason.CHECK,
            din.check,
        )
    return din


def _first_fault(text: str) -> str:
    """Name the first part of `text` that breaks the DIN's shape."""
    if len(text) != 13:
        return f"DIN, {len(text)} characters instead of 13"
    classes = ["[A-NP-Z1-9]"] + ["[A-NP-Z0-9]"] * 2 + ["[0-9]"] * 10
    names = ["facility"] * 5 + ["year"] * 2 + ["sequence"] * 6
    for position, (pattern, name) in enumerate(zip(classes, names, strict=True)):
        if not re.fullmatch(pattern, text[position]):
            return f"DIN, {name}, character {position + 1} is {text[position]!r}"
    return "DIN"
