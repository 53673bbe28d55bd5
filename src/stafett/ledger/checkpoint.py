"""Checkpoints (C2SP tlog-checkpoint): a signed note that says how large the tree is, and its root.

origin                      who the log is
20852163                    number of leaves
base64(root hash)
further lines               extensions: signed by the log, asserted by no witness
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from stafett.ledger import note as notes
from stafett.ledger.merkle import EMPTY_ROOT, HASH_SIZE, LARGEST
from stafett.ledger.note import BadNote, Note, Signature


class BadCheckpoint(BadNote):
    """A text that is no checkpoint; it says in which line."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: origin, number of leaves, root hash, and the log's own extension lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise BadCheckpoint("line 1, the origin, is empty or has a newline")
        if not 0 <= self.size <= LARGEST:
            raise BadCheckpoint(f"line 2, the size {self.size}, is not in 0 … 2**63 - 1")
        if len(self.root) != HASH_SIZE:
            raise BadCheckpoint(f"line 3, the root, has {len(self.root)} bytes instead of 32")
        if any(not line or "\n" in line for line in self.extensions):
            raise BadCheckpoint("an extension line is empty")

    @property
    def text(self) -> str:
        """The note's text: what is signed."""
        lines = (self.origin, str(self.size), notes.encode(self.root), *self.extensions)
        return "".join(line + "\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint whose log signature was checked, with the note that holds all signatures."""

    checkpoint: Checkpoint
    note: Note

    @property
    def text(self) -> str:
        """The signed note."""
        return str(self.note)

    def with_signatures(self, signatures: Iterable[Signature]) -> Signed:
        """Return the same with further signature lines (cosignatures), repeats left out."""
        merged = dict.fromkeys((*self.note.signatures, *signatures))
        return Signed(self.checkpoint, Note(self.note.text, tuple(merged)))


def parse_text(text: str) -> Checkpoint:
    """Read the text of a checkpoint (not its signatures). Raises BadCheckpoint with the line."""
    if not text.endswith("\n"):
        raise BadCheckpoint("the checkpoint does not end in a newline")
    lines = text[:-1].split("\n")
    if len(lines) < 3:
        raise BadCheckpoint(f"a checkpoint has at least 3 lines, this has {len(lines)}")
    origin, size, root, *extensions = lines
    if not re.fullmatch("0|[1-9][0-9]{0,18}", size, re.ASCII):
        raise BadCheckpoint(f"line 2 {size[:40]!r} is no tree size in decimal")
    try:
        digest = notes.decode(root, "line 3, the root,")
    except BadNote as error:
        raise BadCheckpoint(str(error)) from None
    return Checkpoint(origin, int(size), digest, tuple(extensions))


def sign(checkpoint: Checkpoint, *signers: notes.NoteSigner) -> Signed:
    """Return the checkpoint signed by the log; the key name must be the origin."""
    for signer in signers:
        if signer.name != checkpoint.origin:
            raise BadCheckpoint(
                f"the key {signer.name!r} cannot sign for the log {checkpoint.origin!r}"
            )
    signatures = tuple(signer.sign(checkpoint.text) for signer in signers)
    return Signed(checkpoint, Note(checkpoint.text, signatures))


def open_checkpoint(raw: str | bytes | Note, log: Iterable[notes.Verifier]) -> Signed:
    """Check a checkpoint against the keys of one log, all named by its origin.

    Raises BadNote (or its BadCheckpoint, Unsigned, BadSignature) with the reason, also for an
    empty tree whose root is not SHA-256 of nothing.
    """
    parsed = raw if isinstance(raw, Note) else notes.parse(raw)
    keys = tuple(log)
    opened = notes.open_note(parsed, keys)
    checkpoint = parse_text(opened.text)
    if all(checkpoint.origin != s.name for s in opened.verified):
        raise BadCheckpoint(
            f"the log {checkpoint.origin!r} did not sign; {opened.verified[0].name!r} did"
        )
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise BadCheckpoint("line 3, the root of an empty tree, is not the hash of nothing")
    return Signed(checkpoint, parsed)
