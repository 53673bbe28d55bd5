"""The browser's own check of a proof whose entry a passkey signed: it says what Python says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page

from authenticator_ import START, Authenticator, enrolled, signed_by
from stafett.ledger import Author, Draft, Submission, bundle, checkpoint
from stafett.ledger.author import Signer
from stafett.ledger.batch import arrange, prepare
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.merkle import Frontier, inclusion_proof
from stafett.ledger.note import NoteSigner

LOG = NoteSigner("host.example/log", b"\x05" * 32)
HOSPITAL = Signer("hospital", b"\x01" * 32)
CHECK = """async (raw) => {
  const { verify } = await import("/static/proof.js");
  const found = await verify(new TextEncoder().encode(raw), {});
  return { problems: found.problems, signatures: found.signatures };
}"""


def scan(value: str = "bag 1") -> Submission:
    """Return one unsigned event."""
    draft = Draft("bag.scanned", {"value": value, "n\u00e5": 1.5}, START)
    author = Author("hospital", "nurse")
    return Submission("j1", None, [draft], ["hospital"], author, "k-1", b"")


def bundle_of(*submissions: Submission) -> bundle.Bundle:
    """Return the proof of the last one's stream, with the keys before it."""
    entries: list[bytes] = []
    for one in submissions:
        entries += arrange(
            [prepare(one)], {}, {"record/keys": len(entries)}, len(entries), START
        ).entries
    stored: dict[tuple[int, int], bytes] = {}
    hashes = [leaf_hash(entry) for entry in entries]
    frontier = Frontier().append(hashes, lambda level, n, value: stored.update({(level, n): value}))
    size = len(entries)
    head = checkpoint.sign(Checkpoint(LOG.name, size, frontier.root), LOG)
    made = [
        bundle.entry(n, entry, inclusion_proof(n, size, lambda level, at: stored[level, at]))
        for n, entry in enumerate(entries)
    ]
    key = str(LOG.vkey)
    keys, last = tuple(made[:-1]), (made[-1],)
    return bundle.Bundle(bundle.FORMAT, "j1", key, None, head.text, keys, last)


def changed(submission: Submission, value: str) -> Submission:
    """Return the event with other words under its signature."""
    (draft,) = submission.drafts
    return replace(submission, drafts=[replace(draft, body={"value": value})])


def mangled(submission: Submission, part: str) -> Submission:
    """Return the event with one character of a part of its signature exchanged."""
    (draft,) = submission.drafts
    assert draft.signature is not None
    text = str(draft.signature[part])
    other = text[:12] + ("A" if text[12] != "A" else "B") + text[13:]
    return replace(submission, drafts=[replace(draft, signature={**draft.signature, part: other})])


PHONE = Authenticator()
EVENTS: dict[str, tuple[Submission, str]] = {
    "as it was signed": (signed_by(PHONE, scan()), ""),
    "other words": (changed(signed_by(PHONE, scan()), "bag 2"), "signed something else"),
    "nobody was verified": (signed_by(PHONE, scan(), flags=1), "did not see its person"),
    "another site": (signed_by(PHONE, scan(), origin="https://else.example"), "signed at"),
    "an open line": (signed_by(PHONE, scan(), origin="http://tower.example"), "open line"),
    "another phone's site": (signed_by(Authenticator("b.example"), scan()), ""),
    "a mangled signature": (mangled(signed_by(PHONE, scan()), "value"), "does not hold"),
    "mangled data": (mangled(signed_by(PHONE, scan()), "authenticator_data"), "another site"),
}


@pytest.mark.parametrize("name", EVENTS)
def test_a_passkeys_signature_is_checked_in_the_browser(
    name: str, browser_of: Callable[..., Page]
) -> None:
    """WebAuthn over the event's bytes: Chromium finds it good or bad exactly where Python does."""
    event, why = EVENTS[name]
    made = bundle_of(HOSPITAL.registration(), enrolled(PHONE, HOSPITAL), event)
    python = bundle.verify(made)
    page = browser_of("treating-clinic-1")
    page.goto("/record")
    browser: dict[str, Any] = page.evaluate(CHECK, msgspec.json.encode(made).decode())
    assert (browser["problems"] == []) == python.sound, (browser, python.problems)
    assert browser["signatures"] == python.signatures
    if why:
        assert not python.sound
        assert browser["problems"][0]["where"] == "event 1 (position 3)"
        assert why in browser["problems"][0]["what"]
