"""A witness (C2SP tlog-witness): the rules of `add-checkpoint`, with no network and no disk.

A witness remembers, for each log that it was told to trust, the newest checkpoint that it cosigned.
It cosigns a newer one only after checking a consistency proof: so a log that showed it one
history can never get its cosignature on another. It sees tree heads, never an entry.

`add_checkpoint` reads as the specification's list of MUSTs, in order. Beyond them, two signed
checkpoints of one size with different roots are proof of a fork: they are kept as evidence, and
the log is not trusted again (403) until a person has looked and removed the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stafett.ledger import checkpoint, merkle, note
from stafett.ledger.checkpoint import BadCheckpoint, Checkpoint
from stafett.ledger.cosignature import Cosigner
from stafett.ledger.merkle import EMPTY_ROOT, BadProof
from stafett.ledger.note import BadNote, Verifier

PLAIN = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"
LONGEST_REQUEST = note.LONGEST + 64 * 64
MOST_SUSPICIONS = 16
"""Unproven complaints kept for each log: anyone can send a true checkpoint with a false proof."""

Logs = Mapping[str, Sequence[Verifier]]
"""Origin → the keys that are trusted for it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest checkpoint cosigned for a log, and when (POSIX seconds).

    `signed` is the note with the log's signatures and the witness's own.
    """

    size: int
    root: bytes
    signed: str
    at: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Signed checkpoints that do not fit together, kept word for word.

    A `fork` needs no trust in the witness: both notes carry the log's signature. An `unproven` one
    only says that the proof sent along was wrong.
    """

    kind: str
    origin: str
    what: str
    signed: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class State:
    """All that a witness remembers."""

    latest: Mapping[str, Seen] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()

    def forked(self, origin: str) -> Evidence | None:
        """Return the proof that `origin` showed two histories, if there is one."""
        return next((e for e in self.evidence if e.origin == origin and e.kind == "fork"), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, and the state that must be durable before it is sent."""

    status: int
    body: str
    state: State
    media_type: str = PLAIN


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed `add-checkpoint` body."""

    old: int
    proof: tuple[bytes, ...]
    signed: str

    @property
    def text(self) -> str:
        """The body as sent."""
        lines = [f"old {self.old}", *(note.encode(h) for h in self.proof)]
        return "\n".join([*lines, "", self.signed])


class BadRequest(ValueError):
    """A body that is no `add-checkpoint` request."""


def parse_request(raw: str | bytes) -> Request:
    """Read an `add-checkpoint` body: old size, proof lines, blank line, checkpoint."""
    if len(raw) > LONGEST_REQUEST:
        raise BadRequest(f"the request has {len(raw)} bytes (at most {LONGEST_REQUEST})")
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        raise BadRequest("the request is not UTF-8") from None
    head, blank, signed = text.partition("\n\n")
    if not blank:
        raise BadRequest("there is no blank line before the checkpoint")
    first, *lines = head.split("\n")
    match = re.fullmatch("old (0|[1-9][0-9]{0,18})", first, re.ASCII)
    if match is None or int(match.group(1)) > merkle.LARGEST:
        raise BadRequest(f"line 1 {first[:60]!r} is not 'old' and a size")
    if len(lines) > 63:
        raise BadRequest(f"{len(lines)} proof lines (at most 63)")
    try:
        proof = tuple(note.decode(line, f"proof line {i}") for i, line in enumerate(lines, 1))
    except BadNote as error:
        raise BadRequest(str(error)) from None
    if any(len(h) != merkle.HASH_SIZE for h in proof):
        raise BadRequest("a proof line has not 32 bytes")
    return Request(int(match.group(1)), proof, signed)


def add_checkpoint(
    state: State,
    body: str | bytes,
    *,
    logs: Logs,
    cosigners: Sequence[Cosigner],
    now: Callable[[], int],
) -> Answer:
    """Decide one `add-checkpoint` call.

    Pure but for `now` (POSIX seconds). The caller must make the answer's state durable *before*
    sending the answer, and must let no second call run between reading and storing the state.
    """
    # The request must be well-formed, the checkpoint in it too.
    try:
        request = parse_request(body)
        parsed = note.parse(request.signed)
        claimed = checkpoint.parse_text(parsed.text)
    except (BadRequest, BadNote) as error:
        return Answer(400, f"{error}\n", state)

    # The origin must be known.
    keys = logs.get(claimed.origin)
    if keys is None:
        return Answer(404, f"this witness does not know the log {claimed.origin!r}\n", state)

    # One of the signatures must verify against a trusted key. After a fork, no key is trusted.
    if state.forked(claimed.origin) is not None:
        return Answer(403, "this log showed two histories; this witness trusts it no more\n", state)
    try:
        signed = checkpoint.open_checkpoint(parsed, keys)
    except BadCheckpoint as error:
        # Signed, and yet impossible: an empty tree with leaves in its root.
        return Answer(422, f"{error}\n", state)
    except BadNote as error:
        return Answer(403, f"{error}\n", state)

    # A second root at the size that was cosigned proves a fork, whatever else the request says.
    seen = state.latest.get(claimed.origin)
    if seen is not None and claimed.size == seen.size and claimed.root != seen.root:
        what = f"two roots at size {seen.size}"
        state = _keep(
            state, Evidence("fork", claimed.origin, what, (seen.signed, str(parsed)), now())
        )

    # The old size must not be above the checkpoint's.
    if request.old > claimed.size:
        return Answer(400, f"old size {request.old} is above the size {claimed.size}\n", state)

    # The old size must be the one last cosigned.
    recorded = seen.size if seen is not None else 0
    if request.old != recorded:
        return Answer(409, f"{recorded}\n", state, SIZE)

    # At equal sizes the roots must be equal; else the consistency proof must verify.
    old_root = seen.root if seen is not None else EMPTY_ROOT
    try:
        merkle.verify_consistency(request.old, claimed.size, old_root, claimed.root, request.proof)
    except BadProof as error:
        if state.forked(claimed.origin) is None:
            known = (seen.signed,) if seen is not None else ()
            state = _keep(
                state,
                Evidence("unproven", claimed.origin, str(error), (*known, str(parsed)), now()),
            )
        return Answer(422, f"{error}\n", state)

    return _cosign(state, claimed, _only(signed.note, keys), cosigners, now())


def _only(parsed: note.Note, keys: Sequence[Verifier]) -> note.Note:
    """Return the note with the log's own signatures: what strangers added is nobody's word."""
    return note.Note(parsed.text, note.open_note(parsed, keys).verified)


def _cosign(
    state: State, claimed: Checkpoint, parsed: note.Note, cosigners: Sequence[Cosigner], at: int
) -> Answer:
    given = tuple(cosigner.cosign(claimed, at) for cosigner in cosigners)
    kept = note.Note(parsed.text, (*parsed.signatures, *given))
    seen = Seen(claimed.size, claimed.root, str(kept), at)
    lines = "".join(one.line for one in given)
    return Answer(200, lines, replace(state, latest={**state.latest, claimed.origin: seen}))


def _keep(state: State, evidence: Evidence) -> State:
    """Add evidence; a proof is always kept, of unproven complaints only the newest few a log."""
    kept = [*state.evidence, evidence]
    unproven = [e for e in kept if e.kind == "unproven" and e.origin == evidence.origin]
    for old in unproven[:-MOST_SUSPICIONS]:
        kept.remove(old)
    return replace(state, evidence=tuple(kept))
