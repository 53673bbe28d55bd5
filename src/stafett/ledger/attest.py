"""Who said it: each entry's form, its author's signature, and that no signed act stands twice.

The tree shows that entries are what they were when the log took them. This shows that the log took
them from whom they name: each signature is computed again over the statement (see `author`), with
the keys that `record/keys` tells of, each valid where the record says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np

from stafett.ledger import author, leaf, tiles
from stafett.ledger.author import BadKey, BadSignature, Key, Keys
from stafett.ledger.canonical import NotCanonical, canonical
from stafett.ledger.finding import Finding
from stafett.ledger.source import Source

OF_KEYS = b'"stream":"%b"' % author.STREAM.encode()
ACT = 8
"""Bytes of the hash that an act is remembered by."""


class Personal(NamedTuple):
    """A person's signature in an entry: is it by a key of their own, and why does it not hold.

    `early`: it was made under a form that did not keep what was signed. It is not wrong, and it is
    not shown to be right: it cannot be checked, which is counted and told apart from both.
    """

    by_key: bool
    why: str
    early: bool = False


Inspect = Callable[[Mapping[str, Any], Key | None], Iterable[Personal]]
"""Look at the people's own signatures in an entry, given the key whose signature of the entry
holds: for each, is it by a key, and why not."""


@dataclass(slots=True)
class Attested:
    """What a run of entries came to."""

    signed: int = 0
    by_passkey: int = 0
    """How many of those a person's passkey signed, and not their organisation's key."""
    unsigned: int = 0
    personal: int = 0
    """Signatures of people in the entries; `by_key` of them are proven by a key of their own."""
    by_key: int = 0
    early: int = 0
    """Signatures of people that cannot be checked: of a form that did not keep what was signed."""
    early_at: tuple[int, int] = (0, 0)
    """Positions of the first and the last entry with such a one; 0 where there is none."""
    acts: bytes = b""
    recorded: tuple[str, str] = ("", "")
    """`recorded_at` of the first and the last entry."""
    findings: list[Finding] = field(default_factory=list)


def keys_of(entries: Iterable[tuple[int, bytes]]) -> tuple[Keys, list[Finding]]:
    """Return the authors' keys that these entries of `record/keys`, in order, tell of."""
    keys, findings = Keys(), []
    for index, entry in entries:
        try:
            keys.learn(_read(entry), index + 1)
        except (BadKey, BadLeaf) as error:
            findings.append(Finding("key", index, str(error)))
    return keys, findings


class BadLeaf(ValueError):
    """Bytes in the tree that are no event."""


def attest(
    source: Source, bundles: range, size: int, keys: Keys, inspect: Inspect | None = None
) -> Attested:
    """Look at every entry of `bundles` that is here."""
    found, acts, since = Attested(), [], keys.since()
    for index, entry in _entries(source, bundles, size):
        try:
            event = _read(entry)
        except BadLeaf as error:
            found.findings.append(Finding("no-event", index, str(error)))
            continue
        recorded = event["recorded_at"]
        if recorded < found.recorded[1]:
            what = f"it says that it was recorded at {recorded}, before the one that precedes it"
            found.findings.append(Finding("time", index, what))
        found.recorded = (found.recorded[0] or recorded, recorded)
        by: Key | None = None
        try:
            signed, by = _author_signed(event, index + 1, keys, since)
            if signed:
                found.signed += 1
                found.by_passkey += by is not None and by.is_persons
                acts.append(_digest(event))
            else:
                found.unsigned += 1
        except BadSignature as error:
            kind = "signature" if "signature" in event else "unsigned"
            found.findings.append(Finding(kind, index, str(error)))
        for one in inspect(event, by) if inspect else ():
            found.personal += 1
            found.by_key += one.by_key
            if one.early:
                found.early += 1
                found.early_at = found.early_at[0] or index + 1, index + 1
            elif one.why:
                what = f"a person's signature: {one.why}"
                found.findings.append(Finding("signature", index, what))
    found.acts = b"".join(acts)
    return found


def repeated(source: Source, bundles: range, size: int, acts: Sequence[bytes]) -> list[Finding]:
    """Return where an author's signed act stands a second time; `acts` are all that were seen."""
    every = np.sort(np.frombuffer(b"".join(acts), dtype="<u8"))
    twice = {int(one) for one in every[1:][every[1:] == every[:-1]]}
    if not twice:
        return []
    seen: dict[tuple[str, str], int] = {}
    findings = []
    for index, entry in _entries(source, bundles, size):
        try:
            event = _read(entry)
        except BadLeaf:
            continue
        if "signature" not in event or int.from_bytes(_digest(event), "little") not in twice:
            continue
        act = event["author"]["organisation"], str(event["signature"].get("act"))
        first = seen.setdefault(act, index)
        if first != index:
            what = f"the act {act[1]!r} that {act[0]!r} signed once stands at position {first + 1}"
            findings.append(Finding("repeated", index, f"{what} already"))
    return findings


def _entries(source: Source, bundles: range, size: int) -> Iterator[tuple[int, bytes]]:
    for index in bundles:
        yield from source.entries(index, tiles.width_at(0, index, size))


def _author_signed(
    event: Mapping[str, Any], position: int, keys: Keys, since: Mapping[str, int]
) -> tuple[bool, Key | None]:
    """Say whether the author signed, and by which key.

    Raises BadSignature where it does not hold, or is missing.
    """
    if event["stream"] == author.STREAM:
        return True, None  # checked when its key was learnt, or named as wrong
    organisation = event["author"]["organisation"]
    if "signature" in event:
        return True, keys.check(event, position)
    if position > since.get(organisation, position):
        raise BadSignature(f"it is not signed by {organisation!r}, which had a key by then")
    return False, None


def _digest(event: Mapping[str, Any]) -> bytes:
    act = (event["author"]["organisation"], str(event["signature"].get("act")))
    return hashlib.blake2b("\0".join(act).encode(), digest_size=ACT).digest()


def _read(entry: bytes) -> dict[str, Any]:
    """Return an entry as plain values. Raises BadLeaf."""
    try:
        leaf.read(0, entry, b"")
        event: dict[str, Any] = msgspec.json.decode(entry)
        if canonical(event) != entry:
            raise BadLeaf("it is no event: its bytes are not the RFC 8785 form")
    except (leaf.BadLeaf, NotCanonical, UnicodeDecodeError, RecursionError) as error:
        what = str(error).partition(": ")[2] or error
        raise BadLeaf(f"it is no event of this format: {what}") from None
    return event
