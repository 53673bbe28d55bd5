"""One entry point: what is this scanned or typed string?

`read` says which identifier it is, or refuses with the reason. Identifiers are compared by `same`
as ASCII bytes *after* reading their structure, so a 13-character DIN equals its 16-character
barcode with any flags, and a GS1 key equals itself as element string, link or URN. `differing`
gives the positions to mark on the red stop screen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from stafett.identity import coi, compound, din, gs1, keyboard, moment, product, sec
from stafett.identity.errors import IdentifierError, Reason


class Kind(StrEnum):
    """The kinds of identifier a station can meet."""

    DIN = "din"
    COI = "coi"
    PRODUCT = "product"
    PROCESSOR_PRODUCT = "processor-product"
    DATE = "date"
    FLEXIBLE_DATE = "flexible-date"
    SEC = "sec"
    COMPOUND = "compound"
    STAFF = "staff"
    DONOR = "donor"
    PATIENT = "patient"
    ISBT = "isbt"
    GTIN = "gtin"
    SSCC = "sscc"
    GLN = "gln"
    GRAI = "grai"
    GIAI = "giai"
    GDTI = "gdti"
    GSRN = "gsrn"


Value = (
    din.Donation | coi.Coi | product.ProductCode | product.ProcessorProduct | moment.Moment
    | moment.FlexibleMoment | sec.Sec | compound.Compound | compound.Field | gs1.Gs1
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was scanned: its kind, its value, and the ASCII text that it is compared by.

    `carries` lists the identifiers inside a compound message (or the donation of a SEC).
    `typed` is true when the string came from a keyboard and was accepted by its check character.
    `direct` is true when it names the patient directly: keep it out of the ledger.
    """

    kind: Kind
    value: Value
    canonical: str
    carries: tuple[Scanned, ...] = ()
    typed: bool = False
    direct: bool = False

    def find(self, kind: Kind) -> Scanned | None:
        """Return the identifier of `kind`: this one, or the one it carries."""
        if self.kind is kind:
            return self
        return next((c for c in self.carries if c.kind is kind), None)

    @property
    def tail(self) -> str:
        """The last four characters, to say in words which one it was."""
        return self.canonical[-4:]


MAX_LENGTH = 1000
"""Longer strings are no label (a square Data Matrix of 144 modules holds 2,335 characters)."""


def read(raw: str | bytes) -> Scanned:
    """Return what `raw` identifies.

    Accepts what scanners send (a leading symbology identifier such as `]d2`, trailing CR/LF and
    GS are dropped), typed DIN and chain-of-identity numbers with their check character, Digital
    Links and EPC URNs. Raises IdentifierError with a `reason` otherwise.
    """
    text = _clean(raw)
    try:
        return _read_ascii(text)
    except IdentifierError as error:
        if error.reason is Reason.AMBIGUOUS:
            raise
        if _reads(keyboard.as_us(text), text):
            raise keyboard.layout_error(text) from None
        if text.isascii() and _reads(text.swapcase(), text):
            raise IdentifierError(
                f"{text!r} has capital and small letters exchanged",
                "caps lock, or a setting of the scanner",
                "release caps lock and scan again",
                Reason.CASE,
            ) from None
        raise


def same(a: Scanned, b: Scanned) -> bool:
    """Return whether `a` and `b` are one identifier: same kind, same bytes after reading."""
    return a.kind is b.kind and a.canonical.encode("ascii") == b.canonical.encode("ascii")


def differing(a: Scanned, b: Scanned) -> tuple[int, ...]:
    """Return the positions (from 0) at which the canonical texts differ.

    Positions past the end of the shorter text differ. Empty exactly when the texts are equal.
    """
    left, right = a.canonical, b.canonical
    length = max(len(left), len(right))
    return tuple(i for i in range(length) if left[i : i + 1] != right[i : i + 1])


def _clean(raw: str | bytes) -> str:
    if isinstance(raw, bytes):
        try:
            raw = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise IdentifierError(
                "the scan is not text", "encoding", "scan again", Reason.NOT_ASCII
            ) from None
    text = raw.strip(" \r\n\t").rstrip(gs1.GS)
    if not text:
        raise IdentifierError("nothing was scanned", "empty string", "scan again", Reason.EMPTY)
    if len(text) > MAX_LENGTH:
        raise IdentifierError(
            f"{len(text)} characters are no label", f"more than {MAX_LENGTH}", "scan one symbol"
        )
    return text


def _reads(candidate: str, original: str) -> bool:
    if candidate == original:
        return False
    try:
        _read_ascii(candidate)
    except IdentifierError:
        return False
    return True


def _read_ascii(text: str) -> Scanned:
    if not text.isascii():
        odd = next(c for c in text if not c.isascii())
        raise IdentifierError(
            f"{text!r} holds {odd!r}, which no identifier does",
            f"character {text.index(odd) + 1}",
            "scan the symbol instead of typing, and check the scanner's keyboard setting",
            Reason.NOT_ASCII,
        )
    symbology = re.match(r"\][A-Za-z][0-9A-Za-z]", text)
    if symbology:
        text = text[3:]
        if symbology.group() in {"]C1", "]d2", "]Q3", "]e0", "]J1"}:
            return _gs1(gs1.parse(text))
    if text.startswith("=+"):
        return _compound(compound.parse(text))
    if text.startswith(("=", "&")):
        return _field(compound.parse_field(text))
    if text.startswith("SEC:"):
        return _sec(sec.parse(text))
    if text.startswith("urn:"):
        return _gs1(gs1.parse_urn(text))
    if text.startswith(("http://", "https://")):
        return _gs1(gs1.parse_link(text))
    if text.startswith(("(", gs1.GS)):
        return _gs1(gs1.parse(text))
    return _typed_or_bare(text)


def _typed_or_bare(text: str) -> Scanned:
    """Tell apart what has no sign in front: typed numbers with a check, and plain GS1."""
    readings: list[Scanned] = []
    errors: list[IdentifierError] = []
    attempts: tuple[Callable[[str], Scanned], ...] = (_typed_din, _typed_coi, _plain_gs1)
    for attempt in attempts:
        try:
            readings.append(attempt(text))
        except IdentifierError as error:
            errors.append(error)
    if len(readings) == 1:
        return readings[0]
    if readings:
        kinds = " and ".join(r.kind.value for r in readings)
        raise IdentifierError(
            f"{text!r} can be read as {kinds}",
            "typed string",
            "scan the symbol instead of typing it",
            Reason.AMBIGUOUS,
        )
    # The nearest miss explains best: a wrong check is nearer than a wrong shape.
    checks = [e for e in errors if e.reason is Reason.CHECK]
    if checks:
        raise checks[0]
    raise IdentifierError(
        f"{text[:40]!r} is no identifier that Stafett knows",
        f"{len(text)} characters",
        "scan the symbol on the label (DIN, chain of identity, or GS1)",
        Reason.UNKNOWN,
    )


def _typed_din(text: str) -> Scanned:
    return _donation(din.Donation(din.parse_typed(text)), typed=True)


def _typed_coi(text: str) -> Scanned:
    value = coi.parse_typed(text)
    return Scanned(Kind.COI, value, value.text, typed=True)


def _plain_gs1(text: str) -> Scanned:
    return _gs1(gs1.parse(text))


def _donation(value: din.Donation, *, typed: bool = False) -> Scanned:
    return Scanned(Kind.DIN, value, value.din.text, typed=typed)


def _compound(value: compound.Compound) -> Scanned:
    parts = tuple(_field(f) for f in value.fields)
    direct = any(p.direct for p in parts)
    return Scanned(Kind.COMPOUND, value, value.wire, carries=parts, direct=direct)


def _sec(value: sec.Sec) -> Scanned:
    carries: tuple[Scanned, ...] = ()
    if value.coding_system == "A" and re.fullmatch(din.DIN_PATTERN, value.donation):
        carries = (_donation(din.Donation(din.Din(value.donation))),)
    return Scanned(Kind.SEC, value, value.text, carries=carries)


def _gs1(value: gs1.Gs1) -> Scanned:
    kind = Kind(value.key_name.split()[0].lower())
    return Scanned(kind, value, value.identity)


_GENERIC = {"019": Kind.DONOR, "020": Kind.STAFF, "024": Kind.PATIENT, "025": Kind.PATIENT}


def _field(field: compound.Field) -> Scanned:
    number, content, wire = field.structure.number, field.content, field.wire
    if number == "001":
        return _donation(din.parse_wire(wire))
    if number == "003":
        return Scanned(Kind.PRODUCT, product.ProductCode(content), content)
    if number == "034":
        return Scanned(Kind.PROCESSOR_PRODUCT, product.ProcessorProduct(content), content)
    if wire[:2] in moment.DATE_STRUCTURES:
        return Scanned(Kind.DATE, moment.parse_wire(wire), wire)
    if number == "031":
        return Scanned(Kind.FLEXIBLE_DATE, moment.parse_flexible(wire), wire)
    if number == "038":
        return _sec(sec.Sec(content))
    if number == "040":
        return Scanned(Kind.COI, coi.Coi(content), content)
    kind = _GENERIC.get(number, Kind.ISBT)
    return Scanned(kind, field, wire, direct=field.structure.direct)
