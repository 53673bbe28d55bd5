"""Checkpoints: what is signed, who may sign, and every malformed one refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.ledger import checkpoint, note
from stafett.ledger.checkpoint import BadCheckpoint, Checkpoint
from stafett.ledger.merkle import EMPTY_ROOT
from stafett.ledger.note import BadNote, NoteSigner

LOG = NoteSigner("example.com/log", b"\x01" * 32)
KEY = note.note_verifier(LOG.vkey)
ROOT = bytes(range(32))


def test_text_is_the_format() -> None:
    """Origin, size and root are three lines, extensions follow."""
    head = Checkpoint("example.com/log", 20852163, ROOT, ("extra",))
    assert head.text == (
        "example.com/log\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nextra\n"
    )
    assert checkpoint.parse_text(head.text) == head


def test_signed_checkpoint_reads_back() -> None:
    """A reader who trusts the log's key gets the same head."""
    head = Checkpoint("example.com/log", 7, ROOT)
    signed = checkpoint.sign(head, LOG)
    assert checkpoint.open_checkpoint(signed.text, [KEY]).checkpoint == head
    assert checkpoint.open_checkpoint(signed.text.encode(), [KEY]).text == signed.text


def test_specification_example_has_the_shape(shared: Path) -> None:
    """The cosigned checkpoint of the specification is parsed in its parts."""
    examples = json.loads((shared / "standards/tlog/c2sp/examples.json").read_text())
    parsed = note.parse(examples["cosigned_checkpoint_shape_only"])
    head = checkpoint.parse_text(parsed.text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert [s.name for s in parsed.signatures] == [head.origin, "witness.example.com/w1"]


def test_a_key_of_another_name_cannot_sign() -> None:
    """A log signs under its origin; another's signature is not taken for it."""
    head = Checkpoint("example.com/other", 7, ROOT)
    with pytest.raises(BadCheckpoint, match="cannot sign"):
        checkpoint.sign(head, LOG)
    with pytest.raises(BadCheckpoint, match="did not sign"):
        checkpoint.open_checkpoint(note.sign_note(head.text, LOG), [KEY])


def test_an_empty_tree_has_the_empty_root() -> None:
    """A checkpoint of size 0 with any other root is refused."""
    checkpoint.open_checkpoint(
        checkpoint.sign(Checkpoint(LOG.name, 0, EMPTY_ROOT), LOG).text, [KEY]
    )
    with pytest.raises(BadCheckpoint, match="hash of nothing"):
        checkpoint.open_checkpoint(checkpoint.sign(Checkpoint(LOG.name, 0, ROOT), LOG).text, [KEY])


GOOD = Checkpoint("example.com/log", 20, ROOT).text


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "newline"),
        (GOOD[:-1], "newline"),
        ("a\n1\n", "3 lines"),
        (GOOD.replace("\n20\n", "\n020\n"), "line 2"),
        (GOOD.replace("\n20\n", "\n+20\n"), "line 2"),
        (GOOD.replace("\n20\n", "\n-20\n"), "line 2"),
        (GOOD.replace("\n20\n", "\n 20\n"), "line 2"),
        (GOOD.replace("\n20\n", "\n٢٠\n"), "line 2"),
        (GOOD.replace("\n20\n", "\n\n"), "line 2"),
        (GOOD.replace("\n20\n", "\n9223372036854775808\n"), "line 2"),
        (GOOD.replace("8=\n", "8\n"), "line 3"),
        (GOOD.replace("AAEC", ""), "line 3"),
        (GOOD.replace("AAEC", "AA-C"), "line 3"),
        (GOOD.replace("8=\n", "9=\n"), "line 3"),
        (GOOD.replace("example.com/log", ""), "line 1"),
        (GOOD + "\n", "extension"),
    ],
)
def test_malformed_checkpoints_are_refused(text: str, where: str) -> None:
    """The error names the line."""
    with pytest.raises(BadCheckpoint, match=where):
        checkpoint.parse_text(text)


def test_cosignatures_are_added_once() -> None:
    """Merging signature lines keeps the order and drops repeats."""
    signed = checkpoint.sign(Checkpoint(LOG.name, 7, ROOT), LOG)
    other = NoteSigner("w", b"\x02" * 32).sign(signed.checkpoint.text)
    merged = signed.with_signatures([other]).with_signatures([other])
    assert [s.name for s in merged.note.signatures] == [LOG.name, "w"]


@given(st.text(max_size=100).map(lambda t: "o\n" + t) | st.text(max_size=100))
def test_parser_never_crashes(text: str) -> None:
    """Any text is a checkpoint or is refused with the module's own error."""
    try:
        assert checkpoint.parse_text(text).text == text
    except BadCheckpoint as error:
        assert "line" in str(error)


@given(st.text(max_size=60))
def test_opening_never_crashes(text: str) -> None:
    """Any signed text opens as a checkpoint or is refused."""
    try:
        raw = note.sign_note(text + "\n", LOG)
        checkpoint.open_checkpoint(raw, [KEY])
    except BadNote as error:
        assert str(error)
