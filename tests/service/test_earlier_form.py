"""Signatures from before the content was kept: neither right nor wrong, and no way to hide one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.ledger import Author, Draft, Submission, archive, checkpoint
from stafett.ledger.attest import Personal
from stafett.ledger.author import Keys
from stafett.ledger.batch import arrange, prepare
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.merkle import Frontier
from stafett.ledger.note import NoteSigner
from stafett.service.signatures import EARLY, KEPT_SINCE, check, inspect, line

LOG = NoteSigner("host.example/log", b"\x05" * 32)
BEFORE, AFTER = "2026-11-23T20:10:00.000000Z", "2026-11-26T00:00:00.000000Z"
SIGNED = {
    "person": "nurse-1", "name": "Nora Nurse", "meaning": "I release this", "method": "password",
    "at": "2026-11-23T20:09:59Z", "digest": "sha256:" + "ab" * 32,
}  # fmt: skip


def leaf(recorded_at: str, signature: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return an entry with a person's signature as it was written on 23 November."""
    by = {"person": "nurse-1", "organisation": "hospital", "role": "clinic"}
    event = {"type": "HandoffReleased", "by": by, "handoff": "H02",
             "signatures": [signature or SIGNED]}  # fmt: skip
    return {
        "stream": "J-1", "version": 4, "kind": "HandoffReleased", "recorded_at": recorded_at,
        "occurred_at": recorded_at, "author": {"organisation": "hospital", "person": "nurse-1"},
        "body": {"event": event, **more}, "v": 1,
    }  # fmt: skip


def test_what_was_signed_before_the_content_was_kept_cannot_be_checked() -> None:
    """It is told as what it is; it neither holds nor is it wrong."""
    assert inspect(leaf(BEFORE), None) == [Personal(False, EARLY, True)]
    (one,) = check("J-1", [line(4, leaf(BEFORE), Keys())])
    assert one.early and not one.holds and one.why == EARLY


def test_the_same_entry_from_after_it_is_wrong() -> None:
    """The content was kept then: who took it away took it away."""
    assert AFTER == KEPT_SINCE
    (one,) = inspect(leaf(AFTER), None)
    assert not one.early and one.why == "the record does not hold the content that was signed"


def test_an_early_entry_that_does_say_what_was_signed_is_held_to_it() -> None:
    """Its age excuses nothing where the content is there."""
    (one,) = inspect(leaf(BEFORE, signed={"journey": "J-1"}), None)
    assert not one.early and "another digest" in one.why


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"digest": "sha256:no"}, "another digest"),
        ({"method": "passkey"}, "the passkey's proof is missing"),
    ],
)
def test_what_can_be_seen_to_be_wrong_without_the_content_is(
    changed: dict[str, Any], why: str
) -> None:
    """A digest that is none, a passkey without its proof: no form ever wrote that."""
    (one,) = inspect(leaf(BEFORE, {**SIGNED, **changed}), None)
    assert not one.early and why in one.why


def test_an_archive_says_how_many_and_where(tmp_path: Path) -> None:
    """Sound, with a line of its own; a later entry of the old form is named by its position."""
    shown = {}
    for name, recorded in (("old", [BEFORE, BEFORE]), ("mixed", [BEFORE, AFTER])):
        entries = list[bytes]()
        for version, at in enumerate(map(datetime.fromisoformat, recorded)):
            draft = Draft("HandoffReleased", leaf(BEFORE)["body"], at)
            author = Author("hospital", "nurse-1")
            one = Submission("J-1", None, [draft], ["hospital"], author, f"k-{version}", b"")
            entries += arrange([prepare(one)], {}, {"J-1": version}, version, at).entries
        root = Frontier().append(map(leaf_hash, entries)).root
        note = checkpoint.sign(Checkpoint(LOG.name, len(entries), root), LOG).text
        path = tmp_path / f"{name}.zip"
        rows = [(leaf_hash(one), one) for one in entries]
        archive.write(archive.sink(path), rows, note, str(LOG.vkey))
        shown[name] = CliRunner().invoke(main, ["ledger", "verify", str(path)])
    assert shown["old"].exit_code == 0, shown["old"].output
    assert "NOT CHECKED  2 signatures of people at positions 1 to 2" in shown["old"].output
    assert shown["mixed"].exit_code == 1
    assert "position 2: a person's signature: the record does not hold" in shown["mixed"].output
