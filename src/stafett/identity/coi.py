"""The Chain of Identity identifier: ISBT 128 data structure 040, `&/CHαppppyynnnnnn`.

One patient's therapy event: allocated before or at the first collection, the same on every
donation of that event; it does not replace the DIN. Source: ST-028 / ST-001 (structure only).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stafett.identity.check import check_character
from stafett.identity.din import FIN_PATTERN
from stafett.identity.errors import IdentifierError, Reason

COI_PATTERN = "CH" + FIN_PATTERN + "[0-9]{2}[A-Z0-9]{6}"
DATA_IDENTIFIER = "&/"
_COI = re.compile(COI_PATTERN)


@dataclass(frozen=True, slots=True)
class Coi:
    """A chain-of-identity identifier: 15 characters beginning with `CH`."""

    text: str

    def __post_init__(self) -> None:
        if not _COI.fullmatch(self.text):
            raise IdentifierError(
                f"{self.text!r} has not the form of a chain-of-identity identifier",
                f"{len(self.text)} characters",
                "it is 'CH', the issuing facility (5), a year (2 digits) and six of A–Z, 0–9: "
                "scan the symbol again",
            )

    @property
    def fin(self) -> str:
        """Facility identification number of the organisation that issued it."""
        return self.text[2:7]

    @property
    def year(self) -> int:
        """Year of issue, two digits."""
        return int(self.text[7:9])

    @property
    def serial(self) -> str:
        """Six alphanumeric characters, unlike the DIN's six digits."""
        return self.text[9:]

    @property
    def wire(self) -> str:
        """The 17 characters of the symbol."""
        return DATA_IDENTIFIER + self.text

    @property
    def entry_check(self) -> str:
        """Check character for manual entry.

        PROPOSAL of this project: MOD 37-2 over the 15 characters. Data structure 040 has no check
        character, so a number typed by hand would otherwise be unguarded. It is printed apart and
        never encoded.
        """
        return check_character(self.text)

    def printed(self) -> str:
        """Return the eye-readable line, grouped, the entry check last: `CH A9999 24 0000A1 L`."""
        return f"CH {self.fin} {self.text[7:9]} {self.serial} {self.entry_check}"


def parse_wire(raw: str) -> Coi:
    """Read the 17 characters that a scanner sends for data structure 040."""
    if not raw.startswith(DATA_IDENTIFIER):
        raise IdentifierError(
            f"{raw!r} is no chain-of-identity symbol",
            "data identifier",
            "the symbol begins with '&/': scan the chain-of-identity symbol",
        )
    return Coi(raw[2:])


def parse_typed(raw: str) -> Coi:
    """Read an identifier typed by hand: 15 characters and Stafett's entry check (a proposal).

    Raises IdentifierError when the check is missing or wrong.
    """
    text = re.sub(r"[ \-]", "", raw).upper()
    if len(text) == 15 and _COI.fullmatch(text):
        raise IdentifierError(
            f"the entry check of {text} is missing",
            "end of the typed identifier",
            "type the last, separate character too, or scan the symbol",
            Reason.CHECK,
        )
    coi = Coi(text[:15])
    if text[15:] != coi.entry_check:
        raise IdentifierError(
            f"the entry check of {coi.text} does not fit: got {text[15:]!r}",
            "typed chain-of-identity identifier, last character",
            "a character was mistyped or two were swapped: read the label again, or scan it",
            Reason.CHECK,
            coi.entry_check,
        )
    return coi
