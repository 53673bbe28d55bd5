"""ISBT 128 data structures as a table of shapes, and the compound message `=+aabbb…` (023).

A compound message is one two-dimensional symbol that carries several structures. Its header
declares how many; a message with another number is refused, since then something is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stafett.identity import coi, din, moment, product, sec
from stafett.identity.check import mod37_2
from stafett.identity.errors import IdentifierError, Reason

FIN = din.FIN_PATTERN


@dataclass(frozen=True, slots=True)
class Structure:
    """The shape of one data structure: number in ST-001, data identifier, content pattern."""

    number: str
    di: str
    name: str
    pattern: str
    direct: bool = False
    """Whether it names the patient directly: such content must never enter the ledger."""


STRUCTURES: tuple[Structure, ...] = (
    Structure("002", "=%", "blood group", "[A-Za-z0-9]{4}"),
    Structure("003", "=<", "product code", product.PRODUCT_PATTERN),
    Structure("004", "=>", "expiry date", "[0-9]{6}"),
    Structure("005", "&>", "expiry date and time", "[0-9]{10}"),
    Structure("006", "=*", "collection date", "[0-9]{6}"),
    Structure("007", "&*", "collection date and time", "[0-9]{10}"),
    Structure("008", "=}", "production date", "[0-9]{6}"),
    Structure("009", "&}", "production date and time", "[0-9]{10}"),
    Structure("018", "&)", "container lot", "[A-Z0-9]{10}"),
    Structure("019", "=;", "donor", FIN + "[A-Z0-9]{16}"),
    Structure("020", "='", "staff member", FIN + "[A-Z0-9]{6}"),
    Structure("022", "&-", "supply lot", "[A-Z0-9]{10}"),
    Structure("024", "=#", "patient date of birth", "[A-Z0-9]{2}[0-9]{8}", direct=True),
    Structure("025", "&#", "patient", "", direct=True),
    Structure("028", "=$", "consignment", FIN + "[0-9]{2}[0-9]{5}[0-9]{4}"),
    Structure("031", "=(", "flexible date and time", moment.FLEXIBLE_PATTERN),
    Structure("032", "=,", "product divisions", "[A-Za-z0-9]{6}"),
    Structure("033", "&+", "processing facility", "[A-Z0-9]{11}"),
    Structure("034", "=/", "processor product", product.PROCESSOR_PATTERN),
    Structure("035", "&,1", "MPHO lot", "[A-Z0-9]{18}"),
    Structure("036", "&,2", "MPHO supplement", "[A-Z0-9]{18}"),
    Structure("038", "&,4", "Single European Code", sec.SEC_PATTERN),
    Structure("039", "&:", "GRID donor", "[A-Z0-9]{4}[A-Z0-9]{13}[0-9]{2}"),
    Structure("040", "&/", "chain of identity", coi.COI_PATTERN),
)
_DONATION = Structure("001", "=", "donation", din.DIN_PATTERN + din.FLAGS_PATTERN)
_BY_DI = {structure.di: structure for structure in STRUCTURES}
_DONATION_START = re.compile("=[A-NP-Z1-9]")
_PATIENT = re.compile("[A-Z0-9]{2}([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Field:
    """One data structure as read: its shape and its content (without the data identifier)."""

    structure: Structure
    content: str

    @property
    def wire(self) -> str:
        """The characters as scanned."""
        return self.structure.di + self.content


@dataclass(frozen=True, slots=True)
class Compound:
    """A compound message: its structures in order, and the registered sequence (000 = none)."""

    fields: tuple[Field, ...]
    sequence: str = "000"

    @property
    def wire(self) -> str:
        """The message as one string."""
        parts = "".join(field.wire for field in self.fields)
        return f"=+{len(self.fields):02d}{self.sequence}{parts}"

    def find(self, number: str) -> Field | None:
        """Return the first field of structure `number` (`"001"` donation, `"040"` CoI), or None."""
        return next((f for f in self.fields if f.structure.number == number), None)


def structure_at(text: str, position: int = 0) -> Structure:
    """Return the structure whose data identifier begins at `position`; refuse an unknown one."""
    if _DONATION_START.match(text, position):
        return _DONATION
    for length in (3, 2):
        structure = _BY_DI.get(text[position : position + length])
        if structure is not None:
            return structure
    if re.match("&[a-z]", text[position:]):
        raise IdentifierError(
            f"{text[position : position + 2]!r} is a locally defined structure",
            f"character {position + 1}",
            "it has no public meaning and may not be in a compound message: scan another symbol",
            Reason.UNKNOWN,
        )
    raise IdentifierError(
        f"no known data structure begins with {text[position : position + 3]!r}",
        f"character {position + 1}",
        "scan the donation, product or chain-of-identity symbol",
        Reason.UNKNOWN,
    )


def field_at(text: str, position: int = 0) -> Field:
    """Return the field that begins at `position`, checked in shape, dates and check digits."""
    structure = structure_at(text, position)
    start = position + len(structure.di)
    if structure.number == "025":
        content = _patient_content(text, start)
    else:
        match = re.compile(structure.pattern).match(text, start)
        if match is None:
            raise IdentifierError(
                f"the content of structure {structure.number} ({structure.name}) is malformed",
                f"character {start + 1}: {text[start : start + 20]!r}",
                "the symbol is damaged or was made wrongly: quarantine and call",
            )
        content = match.group()
    field = Field(structure, content)
    _check(field)
    return field


def parse_field(raw: str) -> Field:
    """Read one structure that is the whole of `raw`."""
    field = field_at(raw)
    if len(field.wire) != len(raw):
        raise IdentifierError(
            f"{raw!r} goes on after structure {field.structure.number} ({field.structure.name})",
            f"character {len(field.wire) + 1}",
            "two symbols ran together: scan one at a time",
        )
    return field


def parse(raw: str) -> Compound:
    """Read a compound message. Raises IdentifierError when the declared count does not match."""
    header = re.match(r"=\+([0-9]{2})([0-9]{3})", raw)
    if header is None:
        raise IdentifierError(
            f"{raw!r} is no compound message", "header", "it begins with =+ and five digits"
        )
    declared, position = int(header.group(1)), header.end()
    fields = []
    while position < len(raw):
        fields.append(field_at(raw, position))
        position += len(fields[-1].wire)
    if len(fields) != declared or not fields:
        raise IdentifierError(
            f"the message declares {declared} structures and holds {len(fields)}",
            "compound message header",
            "the symbol was read in part or made wrongly: scan again, else quarantine and call",
            Reason.COUNT,
        )
    return Compound(tuple(fields), header.group(2))


def _patient_content(text: str, start: int) -> str:
    header = _PATIENT.match(text, start)
    length = int(header.group(1)) if header else 0
    content = text[start : start + 4 + length]
    if not length or len(content) != 4 + length or not content.isascii():
        raise IdentifierError(
            "the content of structure 025 (patient) is malformed",
            f"character {start + 1}",
            "it is two characters, a length (01–99) and that many characters: scan again",
        )
    return content


def _check(field: Field) -> None:
    """Apply what a shape cannot say: calendar days, check flags, the GRID's check digits."""
    number, content = field.structure.number, field.content
    if number == "001":
        din.Donation(din.Din(content[:13]), content[13:])
    elif number in {"004", "005", "006", "007", "008", "009"}:
        moment.parse_wire(field.wire)
    elif number == "024":
        moment.parse_birth(field.wire)
    elif number == "031":
        moment.parse_flexible(field.wire)
    elif number == "038":
        sec.Sec(content)
    elif number == "039" and int(content[17:]) != mod37_2(content[:17]):
        raise IdentifierError(
            f"the check digits of the GRID {content[:17]} are {content[17:]}, "
            f"expected {mod37_2(content[:17]):02d}",
            "GRID, last two digits",
            "scan the symbol again, else quarantine and call",
            Reason.CHECK,
            f"{mod37_2(content[:17]):02d}",
        )
