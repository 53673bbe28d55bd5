"""Whoever has nothing but an archive and its README can check it, in another language."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from authenticator_ import Authenticator, enrolled, signed_by, taken_away
from stafett.ledger import Author, Draft, Submission, archive, checkpoint
from stafett.ledger.author import Signer
from stafett.ledger.batch import arrange, prepare
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.cosignature import Ed25519Cosigner
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.merkle import Frontier
from stafett.ledger.note import NoteSigner

SCRIPT = Path(__file__).with_name("thirty_years.mjs")
AT = datetime(2026, 11, 26, tzinfo=UTC)
LOG = NoteSigner("tower.example/log", b"\x01" * 32)
WITNESS = Ed25519Cosigner("hospital.example/w", b"\x02" * 32)
HOSPITAL = Signer("hospital", b"\x03" * 32)
DOCUMENT = b"certificate of analysis"
HIDDEN = 7
"""Every so many entries one that the reader may not see."""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no other language is here")


def scan(number: int) -> Submission:
    """Make a submission with text and numbers that a careless writer of JSON gets wrong."""
    body = {
        "n": number,
        "note": f"påse № {number} “<&>\u2028\U0001f9ea",
        "kelvin": 77.36,
        "z": 1e21,
    }
    return Submission(
        "j", None, [Draft("noted", body, AT)], ["a"], Author("hospital", "anna"), f"k{number}",
        hashlib.sha256(b"%d" % number).digest(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an archive of 600 signed entries, one by a passkey, as a reader may see it."""
    phone = Authenticator()
    made = [
        HOSPITAL.registration(),
        *(HOSPITAL.sign(scan(n)) for n in range(594)),
        enrolled(phone, HOSPITAL, "anna"),
        signed_by(phone, scan(594)),
        taken_away(phone, HOSPITAL),
        *(HOSPITAL.sign(scan(n)) for n in (595, 596)),
    ]
    entries = arrange(map(prepare, made), {}, {}, 0, AT).entries
    head = Checkpoint(LOG.name, len(entries), Frontier().append(map(leaf_hash, entries)).root)
    seen = WITNESS.cosign(head, 1_764_000_000)
    signed = checkpoint.sign(head, LOG).with_signatures([seen])
    path = tmp_path_factory.mktemp("archive") / "whole"
    rows = [(leaf_hash(e), None if n % HIDDEN == 3 else e) for n, e in enumerate(entries)]
    policy = f"log {LOG.vkey}\nwitness h {WITNESS.vkey}\nquorum h\n"
    documents = [(hashlib.sha256(DOCUMENT).hexdigest(), DOCUMENT)]
    archive.write(
        archive.sink(path), rows, signed.text, str(LOG.vkey), documents=documents, policy=policy
    )
    return path


def read(path: Path) -> dict[str, Any]:
    """Check the archive at `path` with the other language's script."""
    done = subprocess.run(["node", SCRIPT, path], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_everything_is_found_right(whole: Path) -> None:
    """Tree, entries, their authors, log and witness: all of it from what the README says."""
    found = read(whole)
    hidden = len(range(3, 600, HIDDEN))
    assert found == {
        "origin": LOG.name, "size": 600, "entries": 600 - hidden, "authors": 600 - hidden,
        "signed": [LOG.name, WITNESS.vkey.name], "wrong": [],
    }  # fmt: skip


def in_file(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Return a change of bytes that are there once."""

    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert data.count(old) == 1
        (folder / name).write_bytes(data.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (in_file("entries/00000.txt", "påse № 40 ".encode(), "påse № 41 ".encode()), "entry 41"),
        (in_file("checkpoint", b"\n600\n", b"\n599\n"), "root"),
        (in_file("log.vkey", b"tower", b"tovel"), "key tovel.example/log"),
    ],
)
def test_what_was_changed_is_named(
    whole: Path, tmp_path: Path, change: Callable[[Path], None], what: str
) -> None:
    """A changed entry, checkpoint or key is seen by the stranger's script as well."""
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    change(copy)
    try:
        assert what in read(copy)["wrong"]
    except subprocess.CalledProcessError as error:  # a tile that such a checkpoint would have
        assert what == "root" and "tile/0" in error.stderr


@pytest.mark.parametrize(
    "word",
    [
        "recorded_at",
        "WebAuthn",
        "ML-DSA-44",
        "subtree/v1",
        "record/keys",
        "retires",
        "holder",
        "AuthorKeyRetired",
        "x001",
    ],
)
def test_the_readme_speaks_of_every_part(whole: Path, word: str) -> None:
    """What no script of 80 lines needs is explained too."""
    assert word in (whole / "README.md").read_text()
