"""Reading and comparing scanned identifiers: the one place where the journey does so."""

from __future__ import annotations

import re

from stafett.identity import scan
from stafett.identity.coi import Coi
from stafett.identity.errors import IdentifierError
from stafett.identity.scan import Kind
from stafett.protocol.model import Identification, Identifier

_KINDS: dict[Identification, Kind] = {
    "isbt128-coi": Kind.COI,
    "isbt128-din": Kind.DIN,
    "sec": Kind.SEC,
    "gs1-sscc": Kind.SSCC,
    "gs1-gln": Kind.GLN,
    "gs1-giai": Kind.GIAI,
    "gs1-gsrn": Kind.GSRN,
}
# Typed by hand, these carry a check character that is printed and never encoded.
GUARDED = frozenset({Kind.DIN, Kind.COI})
MAX_LENGTH = 200
_COMMITMENT = re.compile(r"(?:[a-z0-9-]+:)?[0-9a-f]{64}")


class Unreadable(ValueError):
    """A scan or a typed text that is no identifier of that structure: `what`, and what to do."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}: {todo}")
        self.what, self.todo = what, todo


def normal(structure: Identification, value: object, *, typed: bool = False) -> str:
    """Return `value` in the one form in which identifiers are compared and recorded.

    Raises Unreadable for what no label of `structure` says: garbage, a symbol of another kind, a
    number typed by hand (`typed`) without its right check character.
    """
    if not isinstance(value, str):
        raise Unreadable("a scan is text", "scan the label again")
    if structure == "plain":
        return _plain(value)
    kind = _KINDS[structure]
    try:
        scanned = scan.read(value)
    except IdentifierError as error:
        raise Unreadable(error.what, error.todo) from None
    found = scanned.find(kind)
    if found is None:
        raise Unreadable(
            f"this is a {scanned.kind.value}, not a {kind.value}", f"scan the {kind.value} symbol"
        )
    if typed and kind in GUARDED and not found.typed:
        # The characters of a symbol copied by hand would slip past the check character.
        raise Unreadable("this was typed as a scanner sends it", "type the printed line, or scan")
    return found.canonical


def _plain(value: str) -> str:
    text = value.strip()
    if not text:
        raise Unreadable("nothing was read", "scan the label again")
    if len(text) > MAX_LENGTH:
        raise Unreadable(f"{len(text)} characters were read", "scan one label at a time")
    if not text.isascii() or not text.isprintable():
        raise Unreadable("the scan holds characters that no label has", "check the scanner's setup")
    return text


def commitment(value: object) -> str:
    """Return `value` if it is a commitment; a direct patient identifier never gets further.

    A commitment is 64 lower-case hexadecimal digits, with or without a scheme (`name:`) in front.
    The message does not repeat the value: it may be the identifier itself.
    """
    if not isinstance(value, str) or not _COMMITMENT.fullmatch(value):
        raise Unreadable("this is no commitment", "direct identifiers stay in the hospital's vault")
    return value


def of_kind(kind: Identifier, value: object, *, typed: bool = False) -> str:
    """Return `value` in its normal form for an identifier of the protocol, direct ones included."""
    return commitment(value) if kind.direct else normal(kind.structure, value, typed=typed)


def chain_of_identity(value: str) -> str:
    """Return the 15 characters of a CoI given bare, as its symbol, or typed with its check."""
    try:
        return Coi(value.strip()).text
    except IdentifierError:
        return normal("isbt128-coi", value)


def same(one: str, other: str) -> bool:
    """Say whether two identifiers of one structure, both from `normal`, are the same."""
    return one.encode("ascii") == other.encode("ascii")
