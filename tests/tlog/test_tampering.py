"""Tampering with a record: each way is detected, and named by whoever can see it.

A dishonest or damaged log is played against the four parties that check it: the reader who audits
a copy, the reader who kept an older checkpoint, the witness, and the mirror.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stafett.ledger import checkpoint, merkle, note, tiles
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.cosignature import Ed25519Cosigner
from stafett.ledger.mirror import Mirror, Refused
from stafett.ledger.note import NoteSigner
from stafett.ledger.policy import parse_policy
from stafett.ledger.source import Folder, Missing, Source, Unreadable
from stafett.ledger.tiles import Tile
from stafett.ledger.verify import Report, verify
from stafett.ledger.witness import Request, State, add_checkpoint

LOG = NoteSigner("host.example/log", b"\x01" * 32)
WITNESS = Ed25519Cosigner("w.example/w", b"\x02" * 32)
POLICY = parse_policy(f"log {LOG.vkey}\nwitness W {WITNESS.vkey}\nquorum W\n")
LOGS = {LOG.name: [note.note_verifier(LOG.vkey)]}
SIZE = 700  # two full tiles, one partial: every kind of place
ENTRIES = [b"entry %d" % n for n in range(SIZE)]


class Log:
    """A log that writes its files from any list of entries: honest or not."""

    def __init__(self, folder: Path, entries: list[bytes], cosign: bool = True) -> None:
        self.folder = folder
        self.entries = entries
        hashes: dict[tuple[int, int], bytes] = {}
        leaves = map(merkle.leaf_hash, entries)
        frontier = merkle.Frontier().append(leaves, lambda lv, i, h: hashes.update({(lv, i): h}))
        self.at = lambda level, index: hashes[level, index]
        for tile in tiles.tiles_of(len(entries)):
            assert tile.level is not None
            first = tile.index * 256
            row = [hashes[8 * tile.level, first + i] for i in range(tile.width)]
            self.write(tile.path, tiles.encode_hashes(row))
        for tile in tiles.bundles_of(len(entries)):
            start = tile.index * 256
            self.write(tile.path, tiles.encode_bundle(entries[start : start + tile.width]))
        self.head = Checkpoint(LOG.name, len(entries), frontier.root)
        signed = checkpoint.sign(self.head, LOG)
        if cosign:
            signed = signed.with_signatures([WITNESS.cosign(self.head, 1000)])
        self.signed = signed.text
        self.write("checkpoint", self.signed.encode())

    def write(self, path: str, data: bytes) -> None:
        """Put a file."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def bundle(self, index: int, change: Callable[[list[bytes]], None]) -> None:
        """Change the entries of a stored bundle behind the log's back."""
        width = tiles.width_at(0, index, len(self.entries))
        path = Tile(None, index, width).path
        entries = tiles.decode_bundle((self.folder / path).read_bytes(), width)
        change(entries)
        self.write(path, b"".join(len(e).to_bytes(2, "big") + e for e in entries))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """An honest log, cosigned."""
    return Log(tmp_path / "log", list(ENTRIES))


def audit(source: Source, **more: Any) -> Report:
    """Verify a record whose entries are no events: these tests are about the tree."""
    return verify(source, policy=POLICY, events=False, **more)


def findings(log: Log, known: Checkpoint | None = None) -> list[tuple[str, int | None]]:
    """Audit the log's files; return kinds and entries."""
    report = audit(Folder(log.folder), known=known)
    assert report.sound == (not report.findings)
    assert all(f.what for f in report.findings)
    return [(f.kind, f.entry) for f in report.findings]


def test_honest_record_is_sound(log: Log) -> None:
    """Nothing is found where nothing is wrong; every entry was counted."""
    seen: list[int] = []
    report = audit(
        Folder(log.folder), known=log.head, progress=lambda done, size: seen.append(done)
    )
    assert report.sound and report.size == SIZE == seen[-1]
    assert report.verdict is not None and report.verdict.cosigned == {"W": 1000}


def test_many_processes_find_the_same(tmp_path: Path) -> None:
    """The audit on two cores gives the report of the audit on one."""
    log = Log(tmp_path / "big", [b"%d" % n for n in range(40_000)])
    log.bundle(100, lambda e: e.__setitem__(7, b"changed"))
    one = audit(Folder(log.folder))
    assert one == audit(Folder(log.folder), jobs=2)
    assert [(f.kind, f.entry) for f in one.findings] == [("changed", 25_607)]


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("changed", lambda e: e.__setitem__(5, e[5] + b"!")),
        ("changed", lambda e: e.__setitem__(5, b"")),
        ("swapped", lambda e: e.__setitem__(slice(5, 7), e[5:7][::-1])),
        ("dropped", lambda e: e.pop(5)),
        ("inserted", lambda e: e.insert(5, b"never recorded")),
        ("repeated", lambda e: e.insert(5, e[4])),
        ("repeated", lambda e: e.__setitem__(5, e[3])),
    ],
    ids=["changed", "emptied", "swapped", "dropped", "inserted", "repeated", "overwritten"],
)
def test_tampered_entry_is_named(
    log: Log, index: int, kind: str, change: Callable[[list[bytes]], None]
) -> None:
    """The verifier names what was done and which entry, in full and partial bundles."""
    log.bundle(index, change)
    places = [5, 6] if kind == "swapped" else [5]
    assert findings(log) == [(kind, 256 * index + place) for place in places]


def test_every_flipped_bit_of_a_bundle_is_found(log: Log) -> None:
    """One bit anywhere in a stored bundle, lengths included, is found in that bundle."""
    path = log.folder / Tile(None, 2, 188).path
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        found = findings(log)
        assert found and all(entry is not None and entry >= 512 for _, entry in found)


def test_cut_and_missing_files_are_named(log: Log) -> None:
    """A truncated bundle, a lost bundle and a lost tile each have their finding."""
    path = log.folder / Tile(None, 1, 256).path
    path.write_bytes(path.read_bytes()[:-1])
    assert findings(log) == [("bundle", 256)]
    path.unlink()
    assert findings(log) == [("bundle", 256)]
    (log.folder / Tile(0, 1, 256).path).unlink()
    assert ("tile", 256) in findings(log)
    (log.folder / "checkpoint").unlink()
    assert findings(log) == [("checkpoint", None)]


def test_entry_rewritten_together_with_its_tile_is_found(log: Log) -> None:
    """Whoever also rewrites the tile is found one level up."""
    log.bundle(1, lambda e: e.__setitem__(5, b"forged"))
    path = Tile(0, 1, 256).path
    row = tiles.decode_hashes((log.folder / path).read_bytes(), 256)
    row[5] = merkle.leaf_hash(b"forged")
    log.write(path, tiles.encode_hashes(row))
    assert findings(log) == [("rewritten", 256), ("root", None)]


def test_rewritten_tiles_without_a_signature_are_found(log: Log, tmp_path: Path) -> None:
    """Whoever rewrites every tile still has no signature on the new root."""
    forged = Log(tmp_path / "forged", [*ENTRIES[:300], b"forged", *ENTRIES[301:]])
    forged.write("checkpoint", log.signed.encode())
    assert findings(forged) == [("root", None)]


def test_root_changed_in_the_checkpoint_is_found(log: Log, tmp_path: Path) -> None:
    """Whoever writes the new root into the old note breaks the log's signature."""
    forged = Log(tmp_path / "forged", [*ENTRIES[:300], b"forged", *ENTRIES[301:]])
    old, new = note.encode(log.head.root), note.encode(forged.head.root)
    forged.write("checkpoint", log.signed.replace(old, new).encode())
    assert findings(forged) == [("checkpoint", None)]


def test_resigned_record_lacks_the_witness(tmp_path: Path) -> None:
    """Whoever owns the log's key and signs again has no honest cosignature."""
    forged = Log(tmp_path / "forged", [*ENTRIES[:300], b"forged", *ENTRIES[301:]], cosign=False)
    assert findings(forged) == [("quorum", None)]


def test_rewritten_record_does_not_continue_what_a_reader_kept(log: Log, tmp_path: Path) -> None:
    """Even with a colluding witness, a checkpoint kept from last time shows the fork."""
    forged = Log(tmp_path / "forged", [*ENTRIES[:300], b"forged", *ENTRIES[301:], b"more"])
    assert findings(forged) == []
    assert findings(forged, known=log.head) == [("fork", None)]
    report = audit(Folder(forged.folder), known=log.head, held=Folder(log.folder))
    assert [(f.kind, f.entry) for f in report.findings] == [("fork", 300)]  # who kept it names it
    honest = Log(tmp_path / "honest", [*ENTRIES, b"more"])
    assert audit(Folder(honest.folder), known=log.head, held=Folder(log.folder)).sound


def test_rollback_is_named_to_a_reader_who_kept_a_checkpoint(log: Log, tmp_path: Path) -> None:
    """A shorter record, in itself sound, is refused by who saw the longer one."""
    shorter = Log(tmp_path / "shorter", ENTRIES[:600])
    assert findings(shorter, known=log.head) == [("rollback", 600)]


def test_another_log_is_not_taken_for_this_one(log: Log) -> None:
    """A kept checkpoint of another origin is said to be that."""
    assert findings(log, Checkpoint("other.example", 3, b"r" * 32)) == [("origin", None)]


def test_witness_refuses_fork_and_rollback(log: Log, tmp_path: Path) -> None:
    """Different trees to one witness: no second cosignature, and proof kept."""

    def ask(state: State, log: Log, old: int):  # type: ignore[no-untyped-def]
        proof = merkle.consistency_proof(old, len(log.entries), log.at) if old else []
        body = Request(old, tuple(proof), log.signed).text
        return add_checkpoint(state, body, logs=LOGS, cosigners=[WITNESS], now=lambda: 2000)

    state = ask(State(), log, 0).state
    forked = Log(tmp_path / "forked", [b"forged", *ENTRIES[1:]])
    answer = ask(state, forked, 700)
    assert answer.status == 422 and answer.state.forked(LOG.name) is not None
    grown = Log(tmp_path / "grown", [b"forged", *ENTRIES[1:], b"more"])
    assert ask(state, grown, 700).status == 422
    shorter = Log(tmp_path / "shorter", ENTRIES[:600])
    assert ask(state, shorter, 600).status == 409


def test_different_trees_to_different_witnesses_never_both_reach_a_quorum(tmp_path: Path) -> None:
    """With three of five, two histories cannot both be believed if at most one witness lies."""
    witnesses = [Ed25519Cosigner(f"w{n}.example", bytes([n]) * 32) for n in range(10, 15)]
    names = " ".join(f"W{n}" for n in range(5))
    text = f"log {LOG.vkey}\n" + "".join(
        f"witness W{n} {w.vkey}\n" for n, w in enumerate(witnesses)
    )
    policy = parse_policy(f"{text}group G 3 {names}\nquorum G\n")
    heads = [Checkpoint(LOG.name, 5, bytes([n]) * 32) for n in (1, 2)]
    shown = [(0, 1, 2), (2, 3, 4)]  # witness 2 lies and cosigns both
    for split in range(1, 5):
        honest = [range(split), range(split, 5)]
        believed = []
        for head, group in zip(heads, honest, strict=True):
            signed = checkpoint.sign(head, LOG).with_signatures(
                witnesses[n].cosign(head, 1) for n in group
            )
            believed.append(policy.judge(signed.text).quorum)
        assert believed.count(True) <= 1
    # And where one lies, the two notes with its two cosignatures convict it.
    both = [
        checkpoint.sign(h, LOG).with_signatures(witnesses[n].cosign(h, 1) for n in g)
        for h, g in zip(heads, shown, strict=True)
    ]
    assert all(policy.judge(s.text).quorum for s in both)
    assert heads[0].size == heads[1].size and heads[0].root != heads[1].root


def pull(mirror: Mirror, log: Log) -> None:
    """Pull once."""
    mirror.pull(Folder(log.folder))


@pytest.mark.parametrize("sizes", [[1, 2, 255, 256, 257, 700], [700], [0, 600, 600, 700]])
def test_mirror_follows_and_is_a_record_itself(tmp_path: Path, sizes: list[int]) -> None:
    """Whatever the steps, the copy is sound, equals the log's files, and can restore it."""
    mirror = Mirror(tmp_path / "mirror", POLICY)
    for step, size in enumerate(sizes):
        log = Log(tmp_path / f"log{step}", ENTRIES[:size])
        pulled = mirror.pull(Folder(log.folder), WITNESS, now=lambda: 3000)
        assert pulled.after == size and pulled.cosignature is not None
    assert audit(mirror.source).sound
    for tile in (*tiles.tiles_of(SIZE), *tiles.bundles_of(SIZE)):
        assert mirror.source.read(tile.path) == Folder(log.folder).read(tile.path)
    restored = Mirror(tmp_path / "restored", POLICY)
    assert restored.pull(mirror.source).after == SIZE


def test_two_pulls_at_once_are_one_after_the_other(tmp_path: Path, log: Log) -> None:
    """The slower one would put an older head over tiles that the faster one has dropped."""
    mirror = Mirror(tmp_path / "mirror", POLICY)

    class Slow(Folder):
        """A log that is pulled from again while it answers."""

        def read(self, path: str) -> bytes:
            """Read, once somebody else has tried."""
            with pytest.raises(Unreadable, match="let it finish"):
                Mirror(tmp_path / "mirror", POLICY).pull(Folder(log.folder))
            return super().read(path)

    mirror.pull(Slow(log.folder))
    assert audit(mirror.source).sound
    assert mirror.pull(Folder(log.folder)).after == SIZE


def test_mirror_of_hashes_only(tmp_path: Path, log: Log) -> None:
    """An organisation that may not see the entries can hold and check the hashes."""
    mirror = Mirror(tmp_path / "mirror", POLICY, entries=False)
    pull(mirror, log)
    with pytest.raises(Missing):
        mirror.source.read(Tile(None, 0).path)
    assert audit(mirror.source, entries=False).sound


@pytest.mark.parametrize("entry", [0, 299, 512, 649])
def test_mirror_names_the_entry_that_was_changed(tmp_path: Path, entry: int) -> None:
    """A log that rewrites mirrored history, signed again, is refused with the entry."""
    mirror = Mirror(tmp_path / "mirror", POLICY)
    pull(mirror, Log(tmp_path / "log", ENTRIES[:650]))
    entries = [*ENTRIES]
    entries[entry] = b"forged"
    forged = Log(tmp_path / "forged", entries)
    with pytest.raises(Refused) as refusal:
        pull(mirror, forged)
    assert [(f.kind, f.entry) for f in refusal.value.findings] == [("fork", entry)]
    head = mirror.head()
    assert head is not None and head.size == 650
    assert audit(mirror.source).sound
    pull(mirror, Log(tmp_path / "honest", list(ENTRIES)))
    assert audit(mirror.source).sound


def test_mirror_refuses_rollback_fork_and_wrong_entries(tmp_path: Path, log: Log) -> None:
    """Rolled back, forked at one size, with a changed entry, unsigned: nothing is taken."""
    mirror = Mirror(tmp_path / "mirror", POLICY)
    first = Log(tmp_path / "first", ENTRIES[:650])
    pull(mirror, first)
    cases: list[tuple[str, Log]] = [
        ("rollback", Log(tmp_path / "a", ENTRIES[:600])),
        ("fork", Log(tmp_path / "b", [*ENTRIES[:649], b"forged"])),
    ]
    log.bundle(2, lambda e: e.__setitem__(180, b"changed on the way"))
    cases.append(("changed", log))
    unsigned = Log(tmp_path / "c", ENTRIES[:660])
    unsigned.write(
        "checkpoint", note.sign_note(unsigned.head.text, NoteSigner("x", b"\x09" * 32)).encode()
    )
    cases.append(("checkpoint", unsigned))
    for kind, dishonest in cases:
        with pytest.raises(Refused) as refusal:
            pull(mirror, dishonest)
        assert refusal.value.findings[0].kind == kind
        head = mirror.head()
        assert head == first.head
        assert audit(mirror.source).sound


def test_damaged_mirror_says_so(tmp_path: Path, log: Log) -> None:
    """A mirror whose own disk lost or changed a tile does not go on."""
    mirror = Mirror(tmp_path / "mirror", POLICY)
    pull(mirror, Log(tmp_path / "first", ENTRIES[:650]))
    path = tmp_path / "mirror" / Tile(1, 0, 2).path
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(Refused, match="own copy is damaged"):
        pull(mirror, log)
    path.unlink()
    with pytest.raises(Refused, match="own copy is damaged"):
        pull(mirror, log)


def test_audit_of_a_mirror_with_hashes_cut_by_the_log(tmp_path: Path, log: Log) -> None:
    """A partial hash tile may be gone once its full one is there; its beginning serves."""
    shorter = Log(tmp_path / "shorter", ENTRIES[:600])
    shutil.rmtree(shorter.folder / "tile" / "0" / "002.p")
    grown = Log(tmp_path / "grown", [*ENTRIES, *(b"x%d" % n for n in range(100))])
    path = Tile(0, 2).path
    shorter.write(path, (grown.folder / path).read_bytes())
    assert findings(shorter) == []
