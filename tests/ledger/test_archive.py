"""An archive verifies as it was written, and every kind of tampering with it is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stafett.ledger import archive, checkpoint, export
from stafett.ledger.batch import arrange, prepare
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.merkle import Frontier
from stafett.ledger.note import NoteSigner
from stafett.ledger.policy import parse_policy
from stafett.ledger.tiles import Tile
from stafett.ledger.verify import Report
from stafett.ledger.verify import verify as check
from stafett.service.signatures import inspect

SIZE = 600
SIGNER = NoteSigner.generate("example.org/ledger")
KEY = str(SIGNER.vkey)
DOCUMENT = b"certificate of analysis"


@pytest.fixture(scope="module")
def entries() -> list[bytes]:
    """Make the entries of a small ledger."""
    from stafett.ledger import Author, Draft, Submission

    at = datetime(2026, 1, 1, tzinfo=UTC)
    made = Submission(
        "j", None, [Draft("noted", {"n": n}, at) for n in range(SIZE)], ["a"], Author("a"), "k", b""
    )
    arranged = arrange([prepare(made)], {}, {}, 0, at)
    return arranged.entries


def sign(entries: list[bytes]) -> str:
    """Sign the tree over entries."""
    root = Frontier().append(map(leaf_hash, entries)).root
    return checkpoint.sign(Checkpoint(SIGNER.name, len(entries), root), SIGNER).text


@pytest.fixture(scope="module")
def original(entries: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the archive that the tests make copies of."""
    path = tmp_path_factory.mktemp("archive") / "original"
    archive.write(
        archive.sink(path),
        [(leaf_hash(e), e) for e in entries],
        sign(entries),
        KEY,
        documents=[(hashlib.sha256(DOCUMENT).hexdigest(), DOCUMENT)],
    )
    return path


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """Give a copy to tamper with."""
    return Path(shutil.copytree(original, tmp_path / "copy"))


def verify(path: Path, **trusting: Any) -> Report:
    """Verify the archive at `path`."""
    return check(archive.Archive(path), **trusting)


def said(path: Path) -> list[str]:
    """Verify and return the findings as text."""
    return [str(one) for one in verify(path, keys=[KEY]).findings]


def kinds(path: Path) -> list[tuple[str, int | None]]:
    """Verify and return kinds and positions."""
    return [(one.kind, one.position) for one in verify(path, keys=[KEY]).findings]


def test_it_verifies_as_it_was_written(original):
    """An untouched archive has no problem, and says how much it holds."""
    report = verify(original, keys=[KEY])
    assert report.sound and report.trusted
    assert (report.size, report.entries, report.hidden) == (SIZE, SIZE, 0)
    assert report.documents == 1


def test_a_zip_is_the_same(entries, tmp_path):
    """One file instead of a folder, with the same promises."""
    path = tmp_path / "ledger.zip"
    archive.write(archive.sink(path), [(leaf_hash(e), e) for e in entries], sign(entries), KEY)
    assert verify(path, keys=[KEY]).sound


def test_without_a_key_from_elsewhere_it_says_so(original):
    """The archive's own key shows only that the archive fits itself."""
    assert not verify(original).trusted


def test_more_than_one_file_of_entries(tmp_path):
    """Beyond 65,536 entries several files are checked on several cores, with the same result."""
    rows = [b"%d" % n for n in range(archive.PER_FILE + 300)]
    path = tmp_path / "big"
    archive.write(archive.sink(path), [(leaf_hash(e), e) for e in rows], sign(rows), KEY)
    report = verify(path, keys=[KEY], events=False, jobs=2)
    assert report.sound and report.entries == len(rows)
    edit(path / "entries/00001.txt", b"65600 65600\n", b"65600 65601\n")
    found = verify(path, keys=[KEY], events=False, jobs=2).findings
    assert [(one.kind, one.position) for one in found] == [("repeated", 65_601)]


def test_hidden_entries_leave_the_tree_whole(entries, tmp_path):
    """Whoever sees only some entries can still check those and the whole tree."""
    rows = [(leaf_hash(e), e if n % 3 == 0 else None) for n, e in enumerate(entries)]
    path = tmp_path / "view"
    archive.write(archive.sink(path), rows, sign(entries), KEY, reader="a")
    report = verify(path, keys=[KEY])
    assert report.sound and (report.entries, report.hidden) == (200, 400)


def edit(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes that are there exactly once."""
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def lines(path: Path, change: Callable[[list[bytes]], None]) -> None:
    """Change the entries file of an archive line by line."""
    file = path / "entries/00000.txt"
    found = file.read_bytes().splitlines(keepends=True)
    change(found)
    file.write_bytes(b"".join(found))


def test_a_changed_byte_names_the_entry(copy):
    """One changed character: the position, and nothing else."""
    edit(copy / "entries/00000.txt", b'"body":{"n":41}', b'"body":{"n":47}')
    assert said(copy) == [
        "position 42: the entry was changed: its bytes do not have the hash that is in the tree"
    ]


def test_a_dropped_entry_is_named(copy):
    """A line that is gone is named, though its hash is still there."""
    lines(copy, lambda found: found.pop(100))
    assert kinds(copy) == [("dropped", 101), ("about", None)]


def test_swapped_entries_are_named(copy):
    """Two lines that changed places, numbers and all, are out of order."""

    def swap(found: list[bytes]) -> None:
        found[7], found[8] = found[8], found[7]

    lines(copy, swap)
    problems = said(copy)
    assert (
        "entries/00000.txt line 9: entry 7 is out of place: inserted, repeated or moved" in problems
    )
    assert ("dropped", 8) in kinds(copy)


def test_entries_with_swapped_contents_are_named(copy):
    """Two entries that took each other's numbers are both named."""

    def swap(found: list[bytes]) -> None:
        seven, eight = found[7].partition(b" ")[2], found[8].partition(b" ")[2]
        found[7], found[8] = b"7 " + eight, b"8 " + seven

    lines(copy, swap)
    assert kinds(copy) == [("swapped", 8), ("swapped", 9)]


def test_an_inserted_or_repeated_entry_is_named(copy):
    """A second line with the same number, and one beyond the end, are out of place."""
    lines(copy, lambda found: found.insert(5, found[4]))
    lines(copy, lambda found: found.append(b"600 {}\n"))
    assert [s for s in said(copy) if "out of place" in s] == [
        "entries/00000.txt line 6: entry 4 is out of place: inserted, repeated or moved",
        "entries/00000.txt line 602: entry 600 is out of place: inserted, repeated or moved",
    ]


def test_a_changed_hash_is_told_from_a_changed_entry(copy):
    """When only the hash in the tile was changed, the entry is cleared."""
    tile = copy / Tile(0, 0).path
    data = bytearray(tile.read_bytes())
    data[32 * 10] ^= 1
    tile.write_bytes(bytes(data))
    assert said(copy) == ["position 11: its hash in the tree was changed (the entry is as it was)"]


def test_an_entry_changed_with_its_hash_is_narrowed_to_its_tile(copy):
    """Entry and hash changed together: the hash above does not fit, nor the signed root."""
    edit(copy / "entries/00000.txt", b'"body":{"n":41}', b'"body":{"n":47}')
    changed = (copy / "entries/00000.txt").read_bytes().splitlines()[41].partition(b" ")[2]
    tile = copy / Tile(0, 0).path
    data = bytearray(tile.read_bytes())
    data[32 * 41 : 32 * 42] = leaf_hash(changed)
    tile.write_bytes(bytes(data))
    problems = said(copy)
    assert problems[0].startswith(
        "position 1: tile/0/000 (positions 1 to 256) does not have the hash"
    )
    assert problems[1] == "the 600 entries do not hash to the root that was signed"


def test_a_whole_new_tree_under_the_old_signature_is_refused(entries, copy):
    """Everything made anew but the signature: the signed root is another."""
    other = [*entries[:41], entries[41].replace(b'{"n":41}', b'{"n":47}'), *entries[42:]]
    old = (copy / "checkpoint").read_bytes()
    fresh = copy.parent / "fresh"
    archive.write(archive.sink(fresh), [(leaf_hash(e), e) for e in other], sign(other), KEY)
    (fresh / "checkpoint").write_bytes(old)
    assert kinds(fresh) == [("root", None)]


def test_a_checkpoint_signed_by_someone_else_is_refused(copy):
    """A forger's own signature does not open with the log's key."""
    forger = NoteSigner.generate(SIGNER.name)
    head = checkpoint.parse_text((copy / "checkpoint").read_text().partition("\n\n")[0] + "\n")
    (copy / "checkpoint").write_text(checkpoint.sign(head, forger).text)
    assert kinds(copy) == [("checkpoint", None)]


def test_a_missing_quorum_is_a_problem(original):
    """With a policy that wants a witness, a checkpoint without it is not enough."""
    from stafett.ledger.cosignature import Ed25519Cosigner

    witness = Ed25519Cosigner("witness.example", bytes(range(32)))
    policy = parse_policy(f"log {KEY}\nwitness w {witness.vkey}\nquorum w\n")
    report = verify(original, policy=policy)
    assert [str(one) for one in report.findings] == [
        "too few cosignatures: nobody cosigned; missing: w"
    ]


def test_a_missing_tile_and_a_missing_file_are_named(copy):
    """What is gone is named by its name."""
    (copy / Tile(0, 1).path).unlink()
    assert "position 257: tile/0/001 is missing" in said(copy)
    (copy / "entries/00000.txt").unlink()
    assert "position 1: entries/00000.txt is missing" in said(copy)


def test_a_changed_document_is_named(copy):
    """A document that no longer has its hash."""
    (document,) = (copy / "documents").iterdir()
    document.write_bytes(b"forged")
    assert said(copy) == [f"documents/{document.name}: the document was changed"]


@pytest.mark.parametrize("name", ["about.json", "log.vkey"])
def test_what_is_no_archive_is_an_error(copy, name):
    """Without its parts an archive can't be read, and the error names the part."""
    (copy / name).unlink()
    with pytest.raises(archive.BadArchive, match=name):
        verify(copy)


def test_an_archive_that_does_not_verify_is_never_written(entries, tmp_path):
    """Exporting from a store that was changed fails instead of making a false archive."""
    rows = [(leaf_hash(e), e) for e in entries]
    rows[5] = (leaf_hash(b"other"), b"other")
    with pytest.raises(archive.BadArchive, match="the store was changed"):
        archive.write(archive.sink(tmp_path / "x.zip"), rows, sign(entries), KEY)
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.anyio
async def test_an_export_from_the_database_verifies(database, ledger, submission, tmp_path):
    """What the database gives, for everyone and for one organisation, is a sound archive."""
    for n in range(5):
        audience = ("hospital",) if n % 2 else ("hospital", "maker")
        await ledger.append(submission(drafts=70, audience=audience))
    await ledger.seal(SIGNER)
    with psycopg.connect(database, autocommit=True) as connection:
        size, text = export.best_checkpoint(connection)
        for reader, expected in ((None, 350), ("hospital", 350), ("maker", 210), ("else", 0)):
            path = tmp_path / f"{reader}.zip"
            rows = export.rows(connection, size, reader)
            archive.write(archive.sink(path), rows, text, KEY, reader=reader)
            report = verify(path, keys=[KEY])
            assert report.sound and report.entries == expected


def test_without_its_checkpoint_nothing_is_believed(copy):
    """An archive whose checkpoint is gone is not sound, and says why."""
    (copy / "checkpoint").unlink()
    assert said(copy) == ["there is no checkpoint"]


def test_an_archive_is_held_to_the_policy_in_it(entries, tmp_path):
    """With its trust policy inside, an archive says by itself whose cosignatures are missing."""
    from stafett.ledger.cosignature import Ed25519Cosigner

    witness = Ed25519Cosigner("witness.example", bytes(range(32)))
    policy = f"log {KEY}\nwitness w {witness.vkey}\nquorum w\n"
    rows = [(leaf_hash(e), e) for e in entries]
    alone, seen = sign(entries), sign(entries)
    head = checkpoint.parse_text(alone.partition("\n\n")[0] + "\n")
    seen += witness.cosign(head, 1000).line
    for name, text in (("alone", alone), ("seen", seen)):
        archive.write(archive.sink(tmp_path / name), rows, text, KEY, policy=policy)
    report = verify(tmp_path / "seen")
    assert report.sound and not report.trusted
    assert report.verdict is not None and report.verdict.cosigned == {"w": 1000}
    assert [one.kind for one in verify(tmp_path / "alone").findings] == ["quorum"]
    (tmp_path / "seen" / "policy").write_text("quorum nobody-knows\n")
    assert "policy" in [one.kind for one in verify(tmp_path / "seen").findings]


def zipped(folder: Path, path: Path, *more: tuple[str, bytes]) -> Path:
    """Pack a folder, and what else a hostile hand adds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that stands twice
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                target.write(file, file.relative_to(folder).as_posix())
        for name, data in more:
            target.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("entries/00007.txt", b"458752 {}\n", "entries/00007.txt belongs to no tree of 600"),
        ("entries/../x", b"", "entries/../x belongs to no tree"),
        ("tile/0/002", bytes(8192), "tile/0/002 belongs to no tree"),
        ("tile/entries/000", b"", "tile/entries/000 belongs to no tree"),
        ("documents/a/" + "0" * 64, b"", "belongs to no tree"),
        ("README.md", b"another", "README.md stands 2 times in the .zip"),
        ("documents/" + hashlib.sha256(b"more").hexdigest(), b"more", "2 documents are here, 1"),
    ],
)
def test_what_is_no_part_of_the_record_is_named(
    original: Path, tmp_path: Path, name: str, data: bytes, told: str
) -> None:
    """Whoever opens the archive with other tools would take it for one."""
    path = zipped(original, tmp_path / "x.zip", (name, data))
    assert any(told in one for one in said(path))


def test_a_document_that_was_left_out_is_missed(copy: Path) -> None:
    """How many were exported stands in the archive; one from before November 2026 does not say."""
    shutil.rmtree(copy / "documents")
    assert any("0 documents are here, 1 were exported" in one for one in said(copy))
    about = json.loads((copy / "about.json").read_text())
    del about["documents"]
    (copy / "about.json").write_text(json.dumps(about))
    assert said(copy) == []


@pytest.mark.parametrize("name", ["tile/0/000", "entries/00000.txt", "log.vkey"])
def test_what_unpacks_without_end_is_not_unpacked(
    original: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes that become gigabytes are a fault that is told, not the reader's memory."""
    monkeypatch.setattr(archive, "LONGEST_ENTRIES", 1 << 20)
    monkeypatch.setattr(archive, "LONGEST", 1 << 20)
    path = zipped(original, tmp_path / "bomb.zip", (name, bytes(1 << 22)))
    try:
        assert any("longer than" in one for one in said(path))
    except archive.BadArchive as error:
        assert "longer than" in str(error)


@pytest.mark.parametrize("name", ["entries/00000.txt", "documents/" + "0" * 64])
def test_a_pipe_or_a_device_in_the_folder_is_not_read(copy: Path, name: str) -> None:
    """It would never end."""
    (copy / name).unlink(missing_ok=True)
    (copy / name).symlink_to("/dev/zero")
    assert any("no plain file" in one for one in said(copy))
    (copy / name).unlink()
    os.mkfifo(copy / name)
    assert any("no plain file" in one for one in said(copy))


@pytest.mark.parametrize(
    "about", [b"[" * 200_000, b'{"format": "stafett-archive/1", "size": 1e999}']
)
def test_a_description_that_cannot_be_read_is_no_archive(copy: Path, about: bytes) -> None:
    """However it is nested, whatever number stands there."""
    (copy / "about.json").write_bytes(about)
    with pytest.raises(archive.BadArchive, match=r"about\.json"):
        verify(copy, keys=[KEY])


def test_a_checkpoint_of_any_size_is_given_up(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log may have signed that there are 2^60 entries; who verifies has not the time."""
    monkeypatch.setattr("stafett.ledger.verify.MOST_WRONG", 500)
    vast = Checkpoint(SIGNER.name, 1 << 60, bytes(32))
    (copy / "checkpoint").write_text(checkpoint.sign(vast, SIGNER).text)
    assert any("nothing after position" in one for one in said(copy))


@pytest.mark.parametrize(
    "body",
    [
        {"change": {"after": {"signature": {}, "signed": {}, "asked": {"signature": "x"}}}},
        {"change": {"after": {"signature": 1, "signed": 2}}},
        {"withdrawal": {"signature": [], "signed": {"by": "x"}}},
        {"event": {"signatures": 7}},
        {"event": {"signature": {"at": None}}, "signed": []},
    ],
)
def test_whatever_stands_in_an_entry_is_told_and_not_raised(body: dict[str, Any]) -> None:
    """An archive is made by somebody else; so may its entries be."""
    leaf = {"body": body, "author": {"organisation": "a", "person": "b"}, "version": 1,
            "stream": "s", "recorded_at": "2027-01-01T00:00:00.000000Z"}  # fmt: skip
    found = inspect(leaf, None)
    assert found and all(one.why for one in found)
