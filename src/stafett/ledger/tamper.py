"""What tampering looks like: a small ledger, three crimes, and what each party's check says.

Everything is made on the spot (a throw-away log and witness, invented journeys); no real record is
touched. Each crime is bolder than the one before, and each is found by someone else:

1. An entry in someone's copy is edited. The copy's own check names it.
2. The hashes and the whole tree are made anew to fit. The log's signature does not.
3. The host itself signs the new tree. Now the copy looks right to whoever trusts only the host; the
   witness, the holder of a receipt, and anyone who asks for a quorum refuse.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stafett.ledger import archive, checkpoint, merkle, policy, proof, verify, witness
from stafett.ledger.batch import arrange, prepare
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.cosignature import Ed25519Cosigner
from stafett.ledger.event import Author, Draft, Submission
from stafett.ledger.merkle import Frontier, leaf_hash
from stafett.ledger.note import NoteSigner, note_verifier

SIZE = 300
VICTIM = 42  # position of the entry that is changed
TRUTH = b'"temperature_c":-136'  # too warm: the cells must stay below -150 °C
LIE = b'"temperature_c":-156'
START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Check:
    """What one party's check says: `found` is whether it saw the crime."""

    party: str
    found: bool
    said: str


@dataclass(frozen=True, slots=True)
class Crime:
    """One way to tamper, and everyone's checks."""

    title: str
    checks: tuple[Check, ...]


def demonstrate(folder: Path, seed: bytes) -> list[Crime]:
    """Commit the three crimes on copies in `folder`; return what the checks said.

    `seed` (32 bytes) makes the keys: a demonstration needs no secret.
    """
    host = NoteSigner("host.example/ledger", seed)
    hospital = Ed25519Cosigner("hospital.example/witness", bytes(reversed(seed)))
    trust = policy.parse_policy(
        f"log {host.vkey}\nwitness hospital {hospital.vkey}\nquorum hospital\n"
    )
    entries = _entries()
    logs = {host.name: [note_verifier(host.vkey)]}

    def show(state: witness.State, old: int, signed: str) -> witness.Answer:
        body = witness.Request(old, (), signed).text
        return witness.add_checkpoint(
            state, body, logs=logs, cosigners=[hospital], now=lambda: int(START.timestamp())
        )

    signed = _sign(entries, host)
    answer = show(witness.State(), 0, signed)
    original = _write(folder / "original", entries, signed + answer.body, host)
    receipt = proof.make(
        VICTIM - 1,
        merkle.inclusion_proof(VICTIM - 1, SIZE, _hashes(entries)),
        signed + answer.body,
    )

    forged = list(entries)
    forged[VICTIM - 1] = entries[VICTIM - 1].replace(TRUTH, LIE)
    edited = _edited_copy(original, folder / "edited")
    rebuilt = _write(folder / "rebuilt", forged, _sign(forged, host), host)
    shutil.copy(original / "checkpoint", rebuilt / "checkpoint")
    resigned_note = _sign(forged, host)
    resigned = _write(folder / "resigned", forged, resigned_note, host)

    def copy_says(path: Path, **trusting: object) -> Check:
        report = verify.verify(archive.Archive(path), **trusting)  # type: ignore[arg-type]
        said = str(report.findings[0]) if report.findings else "nothing wrong found"
        return Check("", not report.sound, said)

    def named(party: str, check: Check) -> Check:
        return Check(party, check.found, check.said)

    key = [str(host.vkey)]
    refusal = show(answer.state, SIZE, resigned_note)
    return [
        Crime(
            f"someone edits one character of entry {VICTIM} in a stored copy",
            (named("whoever holds the copy", copy_says(edited, keys=key)),),
        ),
        Crime(
            "the entry's hash and the whole tree are made anew to fit",
            (named("whoever has the log's key", copy_says(rebuilt, keys=key)),),
        ),
        Crime(
            "the host itself signs the new tree",
            (
                named("who trusts the host alone", copy_says(resigned, keys=key)),
                named("who asks for a cosignature", copy_says(resigned, policy=trust)),
                Check(
                    "the hospital's witness",
                    refusal.status != 200,
                    f"refuses for good: {_last_evidence(refusal)} (both kept, with the host's "
                    "own signatures)",
                ),
                _receipt_says(receipt, entries[VICTIM - 1], resigned_note),
            ),
        ),
    ]


def _receipt_says(receipt: proof.Receipt, entry: bytes, signed: str) -> Check:
    """Let the holder of an entry and its receipt hold them against the new tree."""
    head = checkpoint.parse_text(signed.partition("\n\n")[0] + "\n")
    party = f"who holds a receipt for entry {VICTIM}"
    try:
        merkle.verify_inclusion(
            receipt.index, head.size, leaf_hash(entry), receipt.hashes, head.root
        )
    except merkle.BadProof as error:
        return Check(party, True, str(error))
    return Check(party, False, "nothing wrong found")


def _last_evidence(answer: witness.Answer) -> str:
    return answer.state.evidence[-1].what if answer.state.evidence else answer.body.strip()


def _entries() -> list[bytes]:
    """Make the entries of twelve invented journeys."""
    rows: list[bytes] = []
    versions: dict[str, int] = {}
    for n in range(SIZE):
        stream = f"journey-{n % 12 + 1:02}"
        at = START + timedelta(minutes=7 * n)
        reading = -136 if n == VICTIM - 1 else -151 - n % 7
        body = {"check": "shipper logger", "temperature_c": reading}
        draft = Draft("handoff.accepted" if n % 2 else "handoff.released", body, at)
        author = Author(("hospital", "courier", "manufacturer")[n % 3])
        submitted = Submission(
            stream, None, [draft], ["hospital", "manufacturer"], author, f"demo-{n}", b""
        )
        arranged = arrange([prepare(submitted)], {}, versions, n, at + timedelta(seconds=2))
        versions |= arranged.reached
        rows.append(arranged.entries[0])
    return rows


def _hashes(entries: list[bytes]) -> Callable[[int, int], bytes]:
    kept: dict[tuple[int, int], bytes] = {}
    Frontier().append(
        map(leaf_hash, entries), lambda level, index, value: kept.update({(level, index): value})
    )
    return lambda level, index: kept[level, index]


def _sign(entries: list[bytes], host: NoteSigner) -> str:
    root = Frontier().append(map(leaf_hash, entries)).root
    return checkpoint.sign(Checkpoint(host.name, len(entries), root), host).text


def _write(path: Path, entries: list[bytes], signed: str, host: NoteSigner) -> Path:
    rows = [(leaf_hash(entry), entry) for entry in entries]
    archive.write(archive.sink(path), rows, signed, str(host.vkey))
    return path


def _edited_copy(original: Path, path: Path) -> Path:
    shutil.copytree(original, path)
    file = path / archive.entries_name(0)
    lines = file.read_bytes().split(b"\n")
    lines[VICTIM - 1] = lines[VICTIM - 1].replace(TRUTH, LIE)
    file.write_bytes(b"\n".join(lines))
    return path
