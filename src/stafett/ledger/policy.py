"""Trust policies (C2SP tlog-policy): which logs, which witnesses, and how many of them must agree.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> <all|any|k> <member>…
    quorum <name|none>

One rule is Stafett's own: *the host's own witness never counts*. A witness is the host's own when
its key is a log's key, when its key name has the log origin's host (the part before the first
`/`), or when the reader says so. Whoever runs the log can run such a witness at will, so it proves
nothing to others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from stafett.ledger import cosignature, note
from stafett.ledger.checkpoint import Checkpoint, Signed, open_checkpoint
from stafett.ledger.note import COSIGNATURE, ECDSA, ED25519, MLDSA44, BadNote, Vkey

MOST_LINES = 10_000


class BadPolicy(ValueError):
    """A policy that cannot be used; the text names the line."""


class NoQuorum(BadNote):
    """A checkpoint with too few cosignatures for the policy; the text says whose are missing."""


@dataclass(frozen=True, slots=True)
class Party:
    """A log or a witness: its name in the policy, its key, and where to reach it."""

    name: str
    vkey: Vkey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """At least `least` of `members` (witnesses or groups) must have cosigned."""

    name: str
    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of a checkpoint: who cosigned and when, who is missing, is it enough."""

    checkpoint: Checkpoint
    cosigned: Mapping[str, int]
    """Name of the witness in the policy → POSIX time of its cosignature."""
    missing: tuple[str, ...]
    not_counted: tuple[str, ...]
    """Witnesses that cosigned and belong to the host of the log."""
    quorum: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy."""

    logs: tuple[Party, ...]
    witnesses: tuple[Party, ...]
    groups: tuple[Group, ...]
    quorum: str
    own: frozenset[str] = field(default=frozenset())
    """Names of witnesses that the reader knows to be the host's own."""

    def reached(self, cosigned: Collection[str]) -> bool:
        """Return whether the witnesses named in `cosigned` are a quorum."""
        agreed = set(cosigned)
        for group in self.groups:  # A group only names what stands before it.
            if len(agreed.intersection(group.members)) >= group.least:
                agreed.add(group.name)
        return self.quorum == "none" or self.quorum in agreed

    def own_witnesses(self, origin: str) -> frozenset[str]:
        """Return the names of the witnesses that the host of `origin` runs itself."""
        keys = {log.vkey.key for log in self.logs}
        host = origin.split("/", 1)[0]
        return self.own | {
            w.name
            for w in self.witnesses
            if w.vkey.key in keys or w.vkey.name.split("/", 1)[0] == host
        }

    def judge(self, raw: str | bytes, *, now: int | None = None) -> Verdict:
        """Check a checkpoint's log signature and cosignatures against this policy.

        `now` (POSIX seconds), where given, refuses cosignatures from more than five minutes in
        the future. Raises BadNote when the log did not sign or a known signature is wrong; a
        missing quorum is in the verdict.
        """
        parsed = note.parse(raw)
        signed = open_checkpoint(parsed, [cosignature.verifier(log.vkey) for log in self.logs])
        own = self.own_witnesses(signed.checkpoint.origin)
        cosigned: dict[str, int] = {}
        for witness in self.witnesses:
            timestamp = _cosigned_at(witness, signed)
            if timestamp is None:
                continue
            if now is not None and timestamp > now + 300:
                raise BadNote(f"the cosignature of {witness.name!r} is from the future")
            cosigned[witness.name] = timestamp
        counted = {name: at for name, at in cosigned.items() if name not in own}
        return Verdict(
            checkpoint=signed.checkpoint,
            cosigned=counted,
            missing=tuple(
                w.name for w in self.witnesses if w.name not in cosigned and w.name not in own
            ),
            not_counted=tuple(name for name in cosigned if name in own),
            quorum=self.reached(counted),
        )

    def require(self, raw: str | bytes, *, now: int | None = None) -> Verdict:
        """Return the verdict of `judge`; raise NoQuorum where there are too few cosignatures."""
        verdict = self.judge(raw, now=now)
        if not verdict.quorum:
            have = ", ".join(verdict.cosigned) or "nobody"
            lack = ", ".join(verdict.missing) or "nobody else is listed"
            raise NoQuorum(
                f"too few cosignatures for quorum {self.quorum!r}: {have} cosigned; missing: {lack}"
            )
        return verdict

    @property
    def text(self) -> str:
        """The policy as a file."""
        lines = [f"log {log.vkey}{_suffix(log.url)}" for log in self.logs]
        lines += [f"witness {w.name} {w.vkey}{_suffix(w.url)}" for w in self.witnesses]
        lines += [f"group {g.name} {g.least} {' '.join(g.members)}" for g in self.groups]
        return "\n".join([*lines, f"quorum {self.quorum}"]) + "\n"


def parse_policy(raw: bytes | str, *, own: Collection[str] = ()) -> Policy:
    """Read a policy file. Names are opaque octets; errors name the line.

    `own` names witnesses that belong to the host (besides those that are found by key or name).
    """
    data = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
    reader = _Reader()
    lines = data.split(b"\n")
    if len(lines) > MOST_LINES:
        raise BadPolicy(f"a policy of {len(lines)} lines is too long (at most {MOST_LINES})")
    for number, line in enumerate(lines, 1):
        if any((octet < 0x20 and octet != 0x09) or octet == 0x7F for octet in line):
            raise BadPolicy(f"line {number} has a control character")
        words = line.decode("utf-8", "surrogateescape").replace("\t", " ").split(" ")
        try:
            reader.line([word for word in words if word])
        except (BadNote, BadPolicy) as error:
            raise BadPolicy(f"line {number}: {error}") from None
    if reader.quorum is None:
        raise BadPolicy("the policy has no quorum line; write 'quorum none' to ask for nobody")
    unknown = set(own) - {w.name for w in reader.witnesses}
    if unknown:
        raise BadPolicy(f"the host's own witness {min(unknown)!r} is not in the policy")
    return Policy(
        tuple(reader.logs),
        tuple(reader.witnesses),
        tuple(reader.groups),
        reader.quorum,
        frozenset(own),
    )


class _Reader:
    """Collects the lines of a policy."""

    def __init__(self) -> None:
        self.logs: list[Party] = []
        self.witnesses: list[Party] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self._used: set[str] = set()

    @property
    def _names(self) -> set[str]:
        return {w.name for w in self.witnesses} | {g.name for g in self.groups}

    def line(self, words: list[str]) -> None:
        """Take one line, as words."""
        if not words or words[0].startswith("#"):
            return
        handlers = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
        }
        handler = handlers.get(words[0])
        if handler is None:
            raise BadPolicy(f"{words[0]!r} is none of log, witness, group, quorum")
        handler(words[1:])

    def _log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            raise BadPolicy("a log is 'log <vkey> [<url>]'")
        vkey = _key(words[0], {ED25519, ECDSA, MLDSA44})
        if any(log.vkey.key == vkey.key for log in self.logs):
            raise BadPolicy(f"the key of the log {vkey.name!r} is listed twice")
        self.logs.append(Party(vkey.name, vkey, words[1] if len(words) > 1 else None))

    def _witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise BadPolicy("a witness is 'witness <name> <vkey> [<url>]'")
        self._new(words[0])
        vkey = _key(words[1], {COSIGNATURE, MLDSA44})
        if any(w.vkey.key == vkey.key for w in self.witnesses):
            raise BadPolicy(f"the key of the witness {words[0]!r} is listed twice")
        self.witnesses.append(Party(words[0], vkey, words[2] if len(words) > 2 else None))

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise BadPolicy("a group is 'group <name> <all|any|k> <member>…'")
        name, how, *members = words
        self._new(name)
        for member in members:
            if member not in self._names:
                raise BadPolicy(f"{member!r} is not defined before this line")
            if member in self._used:
                raise BadPolicy(f"{member!r} is a member twice")
            self._used.add(member)
        counts = {"any": 1, "all": len(members)}
        number = how.isascii() and how.isdecimal() and len(how) < 6 and not how.startswith("0")
        least = counts.get(how, int(how) if number else 0)
        if not 1 <= least <= len(members):
            raise BadPolicy(f"{how!r} of {len(members)} members: all, any, or 1 to {len(members)}")
        self.groups.append(Group(name, least, tuple(members)))

    def _quorum(self, words: list[str]) -> None:
        if len(words) != 1:
            raise BadPolicy("a quorum is 'quorum <name>' or 'quorum none'")
        if self.quorum is not None:
            raise BadPolicy("there is a second quorum line")
        if words[0] != "none" and words[0] not in self._names:
            raise BadPolicy(f"{words[0]!r} is not defined before this line")
        self.quorum = words[0]

    def _new(self, name: str) -> None:
        if name == "none" or name in self._names:
            raise BadPolicy(f"the name {name!r} is taken")


def _key(text: str, kinds: set[int]) -> Vkey:
    vkey = note.parse_vkey(text)
    if vkey.kind not in kinds:
        wanted = ", ".join(f"{kind:#04x}" for kind in sorted(kinds))
        raise BadPolicy(f"the key {vkey.name!r} has type {vkey.kind:#04x}; here one of {wanted}")
    cosignature.verifier(vkey)
    return vkey


def _cosigned_at(witness: Party, signed: Signed) -> int | None:
    """Return the time of the witness's cosignature, or None; a wrong one raises BadSignature."""
    try:
        opened = note.open_note(signed.note, [cosignature.verifier(witness.vkey)])
    except note.Unsigned:
        return None
    return cosignature.timestamp_of(opened.verified[0].value)


def _suffix(url: str | None) -> str:
    return f" {url}" if url else ""
