"""Cosignatures: golden messages, both kinds, and every mangling refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from stafett.ledger import cosignature, note
from stafett.ledger.checkpoint import BadCheckpoint, Checkpoint
from stafett.ledger.cosignature import Ed25519Cosigner, MldsaCosigner
from stafett.ledger.note import BadNote, Signature

HEAD = Checkpoint("example.com/behind-the-sofa", 20852163, bytes(range(32)))
COSIGNERS = [Ed25519Cosigner("witness.example/w1", b"\x03" * 32),
             MldsaCosigner("witness.example/w1", b"\x04" * 32)]  # fmt: skip
each_kind = pytest.mark.parametrize("cosigner", COSIGNERS, ids=["ed25519", "ml-dsa-44"])


def test_ed25519_message_is_the_format() -> None:
    """Two lines, then the whole text of the checkpoint."""
    message = cosignature.ed25519_message(HEAD.text, 1679315147)
    assert message == b"cosignature/v1\ntime 1679315147\n" + HEAD.text.encode()


def test_mldsa_message_is_the_structure() -> None:
    """Label, name, time, origin, range and root, byte for byte."""
    message = cosignature.mldsa_message("w", Checkpoint("o", 258, b"r" * 32), 259)
    assert message == (
        b"subtree/v1\n\x00" b"\x01w" b"\x00\x00\x00\x00\x00\x00\x01\x03" b"\x01o"
        b"\x00\x00\x00\x00\x00\x00\x00\x00" b"\x00\x00\x00\x00\x00\x00\x01\x02" + b"r" * 32
    )  # fmt: skip
    with pytest.raises(BadCheckpoint, match="origin has 256 bytes"):
        cosignature.mldsa_message("w", Checkpoint("o" * 256, 1, b"r" * 32), 1)


def test_published_timestamps(shared: Path) -> None:
    """The time is read from the published cosignature, and refused in the malformed ones."""
    cases = json.loads((shared / "standards/tlog/note/formats-keys.json").read_text())
    assert len(cases["cosig_timestamp"]) == 3
    for case in cases["cosig_timestamp"]:
        if case.get("error"):
            with pytest.raises(BadNote):
                cosignature.timestamp_of(note.decode(case["sig_base64"], "it")[4:])
        else:
            value = base64.b64decode(case["sig_base64"])[4:]
            assert cosignature.timestamp_of(value) == case["posix"]


def test_published_witness_key_verifies_by_type(shared: Path) -> None:
    """The published cosignature key of type 4 gives a cosignature verifier."""
    keys = json.loads((shared / "standards/tlog/note/formats-keys.json").read_text())["vkeys"]
    verifier = cosignature.verifier(keys["cosig_v1"])
    assert (verifier.name, verifier.key_id.hex()) == ("remora.n621.de", "da77ade7")
    with pytest.raises(BadNote):
        cosignature.verifier(keys["mldsa44"])


@each_kind
def test_cosignature_verifies(cosigner: cosignature.Cosigner) -> None:
    """A reader who trusts the witness's key accepts its line, and reads its time."""
    signature = cosigner.cosign(HEAD, 1679315147)
    opened = note.open_note(
        str(note.Note(HEAD.text, (signature,))), [cosignature.verifier(cosigner.vkey)]
    )
    assert opened.verified == (signature,)
    assert cosignature.timestamp_of(signature.value) == 1679315147


@each_kind
def test_every_mangling_is_refused(cosigner: cosignature.Cosigner) -> None:
    """Another time, tree, origin, byte or length: refused."""
    verifier = cosignature.verifier(cosigner.vkey)
    value = cosigner.cosign(HEAD, 1679315147).value
    assert verifier.verify(HEAD.text, value)
    for place in (*range(16), len(value) - 1):
        flipped = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        assert not verifier.verify(HEAD.text, flipped)
    for wrong in (b"", value[:-1], value + b"\x00", value[8:]):
        assert not verifier.verify(HEAD.text, wrong)
    for other in (
        Checkpoint(HEAD.origin + "x", HEAD.size, HEAD.root),
        Checkpoint(HEAD.origin, HEAD.size + 1, HEAD.root),
        Checkpoint(HEAD.origin, HEAD.size, HEAD.root[::-1]),
    ):
        assert not verifier.verify(other.text, value)
    assert not verifier.verify("no checkpoint\n", value)


def test_kinds_differ_on_extension_lines() -> None:
    """Ed25519 signs the whole text; ML-DSA-44 makes no statement on extensions (as specified)."""
    extended = Checkpoint(HEAD.origin, HEAD.size, HEAD.root, ("more",))
    verdicts = [
        cosignature.verifier(c.vkey).verify(extended.text, c.cosign(HEAD, 1).value)
        for c in COSIGNERS
    ]
    assert verdicts == [False, True]


@each_kind
def test_private_keys_read_back(cosigner: cosignature.Cosigner) -> None:
    """A stored key gives the same public key; a damaged or foreign one is refused."""
    text = cosigner.to_text()
    assert cosignature.cosigner_from_text(text).vkey == cosigner.vkey
    with pytest.raises(BadNote):
        cosignature.cosigner_from_text(text.replace("witness.example", "other.example"))
    with pytest.raises(BadNote):
        cosignature.cosigner_from_text(note.NoteSigner("w", b"\x01" * 32).to_text())
    with pytest.raises(BadNote):
        note.NoteSigner.from_text(text)


def test_impossible_times_are_refused() -> None:
    """A time before 1970 or beyond 2**63 - 1 is not signed, and not read."""
    for timestamp in (-1, 2**63):
        with pytest.raises((BadNote, OverflowError)):
            COSIGNERS[0].cosign(HEAD, timestamp)
    with pytest.raises(BadNote, match="beyond"):
        cosignature.timestamp_of(b"\xff" * 72)


def test_plain_note_keys_still_verify() -> None:
    """One dispatcher serves logs and witnesses."""
    signer = note.NoteSigner("log", b"\x01" * 32)
    signature: Signature = signer.sign(HEAD.text)
    assert cosignature.verifier(signer.vkey).verify(HEAD.text, signature.value)
