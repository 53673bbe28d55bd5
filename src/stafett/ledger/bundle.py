"""One stream's proof in one file: its entries, each with its path to a cosigned root.

    {"format": "stafett-journey-proof/1",
     "stream": the journey,
     "log": the log's public key (vkey),
     "policy": the trust policy's text, or null,
     "checkpoint": the signed checkpoint with its cosignatures, verbatim,
     "keys": [entry, ...],        where the authors' keys were recorded
     "entries": [entry, ...]}     the stream's entries, oldest first

    entry: {"index": 17, "leaf": the entry's RFC 8785 text, "proof": [base64 hash, ...]}

Whoever has the log's key and trusts its witnesses checks it with no database and no network; the
audit page does so in the browser (web/static/proof.js follows this module step by step). It shows
that each entry is in the tree that was signed, unchanged, and that none is missing *before* the
last one given; that nothing came after, no file can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from stafett.ledger import author, merkle, note
from stafett.ledger.canonical import NotCanonical, canonical
from stafett.ledger.checkpoint import Checkpoint, open_checkpoint
from stafett.ledger.cosignature import verifier
from stafett.ledger.merkle import BadProof
from stafett.ledger.note import BadNote
from stafett.ledger.policy import BadPolicy, Policy, Verdict, parse_policy

FORMAT = "stafett-journey-proof/1"
LONGEST = 64 * 2**20


class BadBundle(ValueError):
    """A file that is no proof bundle; the text says where."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry and its inclusion proof."""

    index: int
    leaf: str
    proof: tuple[str, ...]


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. Nothing of it is proven before `verify`."""

    format: str
    stream: str
    log: str
    policy: str | None
    checkpoint: str
    keys: tuple[Entry, ...]
    entries: tuple[Entry, ...]

    @property
    def text(self) -> bytes:
        """The content of the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not hold, and where."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Finding:
    """What a bundle was found to be."""

    checkpoint: Checkpoint | None = None
    verdict: Verdict | None = None
    trusted: bool = False
    """The log's key or the policy came from the reader, not from the bundle itself."""
    entries: int = 0
    signatures: int = 0
    """Entries with an author's signature that holds."""
    passkeys: int = 0
    """How many of those a person's passkey signed, and not their organisation's key."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def parse(raw: bytes) -> Bundle:
    """Read a bundle. Raises BadBundle."""
    if len(raw) > LONGEST:
        raise BadBundle(f"a bundle of {len(raw)} bytes is too long (at most {LONGEST})")
    try:
        found = msgspec.json.decode(raw, type=Bundle)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadBundle(f"this is no proof bundle: {error}") from None
    if found.format != FORMAT:
        raise BadBundle(f"the format {found.format[:60]!r} is not {FORMAT!r}")
    return found


def verify(bundle: Bundle, *, key: str | None = None, policy: Policy | None = None) -> Finding:
    """Check a bundle; return what was found, good or bad.

    `key` (the log's vkey) and `policy` are the reader's own. Without a policy the bundle's own is
    used, without either its own key too, which shows only that the bundle fits itself.
    """
    found = Finding(trusted=key is not None or policy is not None)
    try:
        used = policy or (parse_policy(bundle.policy) if bundle.policy is not None else None)
        signed = open_checkpoint(bundle.checkpoint, [verifier(key or bundle.log)])
        found.checkpoint = signed.checkpoint
        found.verdict = used.require(bundle.checkpoint) if used else None
    except (BadNote, BadPolicy) as error:
        found.problems.append(Problem("checkpoint", str(error)))
    if found.checkpoint is None:
        return found
    keys = author.Keys()
    for place, entry in enumerate(bundle.keys):
        leaf = _included(entry, f"keys[{place}]", found)
        if leaf is not None:
            try:
                keys.learn(leaf, entry.index + 1)
            except author.BadKey as error:
                found.problems.append(Problem(f"keys[{place}]", str(error)))
    before = -1
    for place, entry in enumerate(bundle.entries):
        where = f"event {place + 1} (position {entry.index + 1})"
        leaf = _included(entry, where, found)
        if leaf is None:
            continue
        found.entries += 1
        if leaf.get("stream") != bundle.stream:
            found.problems.append(Problem(where, f"it belongs to {leaf.get('stream')!r}"))
        elif leaf.get("version") != place + 1:
            what = (
                f"it is number {leaf.get('version')} of its stream: an event before it is missing"
            )
            found.problems.append(Problem(where, what))
        elif entry.index <= before:
            found.problems.append(Problem(where, "it stands before the one that it follows"))
        before = entry.index
        if "signature" in leaf:
            try:
                by = keys.check(leaf, entry.index + 1)
                found.signatures += 1
                found.passkeys += by.is_persons
            except author.BadSignature as error:
                found.problems.append(Problem(where, str(error)))
    if not bundle.entries:
        found.problems.append(Problem("entries", "there are none"))
    return found


def _included(entry: Entry, where: str, found: Finding) -> dict[str, object] | None:
    """Return the leaf if it is in the tree and is canonical; else say what is wrong."""
    assert found.checkpoint is not None
    head = found.checkpoint
    try:
        raw = entry.leaf.encode()
        hashes = [note.decode(h, f"hash {i} of the proof") for i, h in enumerate(entry.proof)]
        merkle.verify_inclusion(entry.index, head.size, merkle.leaf_hash(raw), hashes, head.root)
        leaf = msgspec.json.decode(raw, type=dict[str, object])
        if canonical(leaf) != raw:
            raise NotCanonical("its bytes are not the RFC 8785 form")
    except (BadProof, BadNote) as error:
        what = f"it is not in the signed tree as it stands here: {error}"
        found.problems.append(Problem(where, what))
        return None
    except (msgspec.DecodeError, NotCanonical, UnicodeEncodeError) as error:
        found.problems.append(Problem(where, f"it is in the tree, but it is no event: {error}"))
        return None
    return leaf


def entry(index: int, leaf: bytes, proof: Sequence[bytes]) -> Entry:
    """Return an entry of a bundle."""
    return Entry(index, leaf.decode(), tuple(note.encode(h) for h in proof))
