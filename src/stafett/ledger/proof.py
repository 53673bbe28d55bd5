"""Receipts (C2SP tlog-proof): one file that shows, offline, that an entry is in the record.

c2sp.org/tlog-proof@v1
extra <base64>              optional, not authenticated
index 73894
<base64 hash>…              inclusion proof, from the leaf up
                            ← blank line
the checkpoint, verbatim    with the log's signature and the witnesses' cosignatures
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stafett.ledger import merkle, note
from stafett.ledger.checkpoint import parse_text
from stafett.ledger.merkle import HASH_SIZE, LARGEST, BadProof
from stafett.ledger.note import BadNote
from stafett.ledger.policy import Policy, Verdict

HEADER = "c2sp.org/tlog-proof@v1"
LONGEST = 2_000_000


class BadReceipt(ValueError):
    """A receipt that is malformed or does not hold; the text says which part."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The parts of a receipt. Nothing of it is proven before `verify`."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @property
    def text(self) -> str:
        """The content of a `.tlog-proof` file."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {note.encode(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [note.encode(h) for h in self.hashes]
        return "\n".join([*lines, "", self.checkpoint])


def parse(raw: str | bytes) -> Receipt:
    """Read a receipt; the checkpoint in it must be well-formed, its signatures are not checked."""
    if len(raw) > LONGEST:
        raise BadReceipt(f"a receipt of {len(raw)} bytes is too long (at most {LONGEST})")
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        raise BadReceipt("the receipt is not UTF-8") from None
    head, blank, signed = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != HEADER:
        raise BadReceipt(f"line 1 is not {HEADER!r}")
    if not blank:
        raise BadReceipt("there is no blank line before the checkpoint")
    lines = lines[1:]
    extra = None
    try:
        if lines and lines[0].startswith("extra "):
            extra = note.decode(lines.pop(0)[6:], "the extra line")
        index = _index(lines.pop(0) if lines else "")
        hashes = tuple(note.decode(line, f"hash {i}") for i, line in enumerate(lines))
        parse_text(note.parse(signed).text)
    except BadNote as error:
        raise BadReceipt(str(error)) from None
    for place, digest in enumerate(hashes):
        if len(digest) != HASH_SIZE:
            raise BadReceipt(f"hash {place} has {len(digest)} bytes instead of 32")
    if len(hashes) > 63:
        raise BadReceipt(f"{len(hashes)} hashes are more than any tree has levels (63)")
    return Receipt(index, hashes, signed, extra)


def make(
    index: int, hashes: Sequence[bytes], checkpoint: str, extra: bytes | None = None
) -> Receipt:
    """Return the receipt; it is parsed back, so that none is issued that a reader would refuse."""
    return parse(Receipt(index, tuple(hashes), checkpoint, extra).text)


def verify(receipt: Receipt, entry: bytes, policy: Policy, *, now: int | None = None) -> Verdict:
    """Check that `entry` (the leaf's bytes) is in a log of `policy`, cosigned by a quorum.

    Returns the policy's verdict. Raises BadReceipt with what does not hold.
    """
    try:
        verdict = policy.require(receipt.checkpoint, now=now)
        head = verdict.checkpoint
        leaf = merkle.leaf_hash(entry)
        merkle.verify_inclusion(receipt.index, head.size, leaf, receipt.hashes, head.root)
    except (BadNote, BadProof) as error:
        raise BadReceipt(str(error)) from None
    return verdict


def _index(line: str) -> int:
    match = re.fullmatch("index (0|[1-9][0-9]{0,18})", line, re.ASCII)
    if match is None or int(match.group(1)) > LARGEST:
        raise BadReceipt(f"{line[:60]!r} is not 'index' and a number")
    return int(match.group(1))
