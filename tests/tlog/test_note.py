"""Signed notes: published vectors, and every mangling refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.ledger import note
from stafett.ledger.note import BadNote, BadSignature, NoteSigner, Unsigned

SIGNER = NoteSigner("example.com/log", b"\x01" * 32)
TEXT = "If the record is one,\n\nno one owns it.\n"


@pytest.fixture(scope="module")
def sumdb(shared: Path) -> dict[str, Any]:
    """The vectors of golang.org/x/mod/sumdb/note."""
    found: dict[str, Any] = json.loads((shared / "standards/tlog/note/sumdb-note.json").read_text())
    return found


@pytest.fixture(scope="module")
def formats(shared: Path) -> dict[str, Any]:
    """The vectors of transparency-dev/formats."""
    found: dict[str, Any] = json.loads(
        (shared / "standards/tlog/note/formats-keys.json").read_text()
    )
    return found


def test_signing_gives_the_published_note(sumdb: dict[str, Any]) -> None:
    """The same key and text give the same note, byte for byte."""
    signer = NoteSigner.from_text(sumdb["signer_key"])
    assert note.sign_note(sumdb["sign"]["text"], signer) == sumdb["sign"]["want"]
    assert signer.to_text() == sumdb["signer_key"]


def test_published_notes_open_as_published(sumdb: dict[str, Any]) -> None:
    """Each of the thirteen cases gives its published outcome."""
    refusals = {"malformed": BadNote, "unverified": Unsigned, "invalid signature": BadSignature}
    assert len(sumdb["open"]) == 13
    for case in sumdb["open"]:
        raw = base64.b64decode(case["note_b64"]) if "note_b64" in case else case["note"]
        known = [note.note_verifier(key) for key in case["known"]]
        if case["want"] == "ok":
            opened = note.open_note(raw, known)
            assert [s.name for s in opened.verified] == case["verified"], case["desc"]
            unverified = [s.name for s in opened.unverified]
            assert unverified == case.get("unverified", unverified), case["desc"]
        else:
            with pytest.raises(BadNote) as refusal:
                note.open_note(raw, known)
            assert type(refusal.value) is refusals[case["want"]], case["desc"]


def test_published_vkeys(sumdb: dict[str, Any]) -> None:
    """Good keys read back; bad ones, every proper substring and every changed byte are refused."""
    for text in sumdb["vkeys_ok"]:
        assert str(note.parse_vkey(text)) == text
    whole = sumdb["vkeys_ok"][0]
    bad = set(sumdb["vkeys_bad"])
    bad |= {whole[i:j] for i in range(len(whole)) for j in range(i, len(whole) + 1)} - {whole}
    bad |= {whole[:i] + chr(ord(c) + 1) + whole[i + 1 :] for i, c in enumerate(whole)}
    for text in bad:
        with pytest.raises(BadNote):
            note.parse_vkey(text)


def test_vkeys_of_other_types(formats: dict[str, Any]) -> None:
    """Keys are split at the first two plus signs; a wrong declared ID is refused."""
    vkeys = formats["vkeys"]
    assert str(note.parse_vkey(vkeys["ed25519_to_cosig"])) == vkeys["ed25519_to_cosig"]
    assert note.parse_vkey(vkeys["cosig_v1"]).kind == 4
    with pytest.raises(BadNote, match="31236897"):
        note.parse_vkey(vkeys["mldsa44"])
    right = note.parse_vkey(vkeys["mldsa44"].replace("5893dc2c", "31236897"))
    assert (right.kind, len(right.key)) == (6, 1312)
    for text in formats["bad_vkeys"]:
        with pytest.raises(BadNote):
            note.note_verifier(text)


def test_ecdsa_notes_of_other_logs(formats: dict[str, Any]) -> None:
    """Notes that other logs signed with ECDSA open, and don't when a byte is changed."""
    assert len(formats["ecdsa_type_0x02"]) == 2
    for case in formats["ecdsa_type_0x02"]:
        verifier = note.note_verifier(case["vkey"])
        assert note.open_note(case["note"], [verifier]).verified
        with pytest.raises(BadSignature):
            note.open_note(case["note"].replace("\n", "\nx", 1), [verifier])


def test_test_witness_keys_fit(formats: dict[str, Any]) -> None:
    """Each published private key gives its published public key."""
    keys = formats["test_witness_keys"]
    for who in ("wit1", "wit2", "wit3"):
        signer = NoteSigner.from_text(keys[f"{who}_skey"])
        assert str(signer.vkey) == keys[f"{who}_vkey"]


def test_specification_example(shared: Path) -> None:
    """The example of the specification opens with its key."""
    case = json.loads((shared / "standards/tlog/c2sp/examples.json").read_text())["signed_note"]
    assert note.open_note(case["note"], [note.note_verifier(case["vkey"])]).text.startswith("This")


def test_text_with_blank_lines_reads_back() -> None:
    """The text ends at the last blank line, so it may hold others."""
    opened = note.open_note(note.sign_note(TEXT, SIGNER), [note.note_verifier(SIGNER.vkey)])
    assert opened.text == TEXT


def test_every_mangling_of_a_note_is_refused() -> None:
    """Each dropped, doubled or changed character makes the note fail for its reader."""
    signed = note.sign_note(TEXT, SIGNER)
    known = [note.note_verifier(SIGNER.vkey)]
    for place, character in enumerate(signed):
        rest = signed[place + 1 :]
        for wrong in ("", character * 2, chr(ord(character) ^ 1), "+", "\n", " ", "\x00"):
            other = signed[:place] + wrong + rest
            if other != signed:
                with pytest.raises(BadNote):
                    note.open_note(other, known)


def test_signature_of_another_key_of_the_same_name_is_ignored() -> None:
    """Name and ID together identify a key: rotation leaves old readers alone."""
    other = NoteSigner(SIGNER.name, b"\x02" * 32)
    signed = note.sign_note(TEXT, SIGNER, other)
    opened = note.open_note(signed, [note.note_verifier(SIGNER.vkey)])
    assert len(opened.verified) == len(opened.unverified) == 1


def test_two_trusted_keys_with_one_identity_are_refused() -> None:
    """A reader cannot be set up ambiguously."""
    verifier = note.note_verifier(SIGNER.vkey)
    with pytest.raises(BadNote, match="two trusted keys"):
        note.open_note(note.sign_note(TEXT, SIGNER), [verifier, verifier])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "\u2003"])
def test_impossible_key_names_are_refused(name: str) -> None:
    """A key name has no blank of any kind and no plus sign."""
    with pytest.raises(BadNote):
        NoteSigner(name, b"\x01" * 32)


@pytest.mark.parametrize("text", ["", "no newline", "tab\there\n", "bell\x07\n"])
def test_impossible_texts_are_not_signed(text: str) -> None:
    """A text ends in a newline and has no other control character."""
    with pytest.raises(BadNote):
        note.sign_note(text, SIGNER)


def test_private_key_errors_never_show_the_key() -> None:
    """A mistyped private key is refused without quoting it."""
    text = NoteSigner("example.com/secret", b"\x07" * 32).to_text()
    secret = text.rsplit("+", 1)[1]
    for wrong in (text[:-1], text.replace("+", "", 1), text + "A", text[:-2] + "!="):
        with pytest.raises(BadNote) as refusal:
            NoteSigner.from_text(wrong)
        assert secret[:20] not in str(refusal.value)


@given(st.text() | st.binary() | st.text().map(lambda t: t + "\n\n— a b\n"))
def test_parser_never_crashes(raw: str | bytes) -> None:
    """Anything is a note or is refused with the module's own error."""
    try:
        assert str(note.parse(raw))
    except BadNote as error:
        assert str(error)


@given(st.text(alphabet="abc+0123456789=/ÅA", max_size=80))
def test_vkey_parser_never_crashes(text: str) -> None:
    """Anything is a key or is refused with the module's own error."""
    for reader in (note.parse_vkey, note.note_verifier, NoteSigner.from_text):
        with pytest.raises(BadNote):
            reader(text)
