"""The browser's own check of a proof whose entry a passkey signed: it says what Python says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect

import stafett
from authenticator_ import START, Authenticator, enrolled, signed_by, taken_away
from stafett.ledger import Author, Draft, Submission, bundle, checkpoint
from stafett.ledger.author import Signer
from stafett.ledger.batch import arrange, prepare
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.merkle import Frontier, inclusion_proof
from stafett.ledger.note import NoteSigner
from stafett.web.language import LANGUAGES, words

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
    "another person's event": (
        signed_by(PHONE, replace(scan(), author=Author("hospital", "doctor"))),
        "not that of doctor",
    ),
    "another phone's site": (signed_by(Authenticator("b.example"), scan()), ""),
    "a mangled signature": (mangled(signed_by(PHONE, scan()), "value"), "does not hold"),
    "mangled data": (mangled(signed_by(PHONE, scan()), "authenticator_data"), "another site"),
}


def test_a_passkey_that_was_taken_away_is_known_in_the_browser(
    browser_of: Callable[..., Page],
) -> None:
    """The record says when it was taken away: the browser and Python refuse what came after."""
    page = browser_of("treating-clinic-1")
    page.goto("/record")
    begun = (HOSPITAL.registration(), enrolled(PHONE, HOSPITAL))
    for by, sound in ((HOSPITAL, False), (Signer("hospital", b"\x02" * 32), False)):
        made = bundle_of(*begun, taken_away(PHONE, by), signed_by(PHONE, scan()))
        python = bundle.verify(made)
        browser: dict[str, Any] = page.evaluate(CHECK, msgspec.json.encode(made).decode())
        assert python.sound is sound
        assert [p["where"] for p in browser["problems"]] == [p.where for p in python.problems]


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


SCRIPT = Path(stafett.__file__).parent / "web" / "static" / "proof.js"
TABLES = """async () => {
  const { FAULTS, PARTS, PLACES } = await import("/static/proof.js");
  return { fault: FAULTS, part: PARTS, place: PLACES };
}"""


def test_every_fault_has_words_in_each_language(browser_of: Callable[..., Page]) -> None:
    """What the check can find, of which part and where: a code, and words for it on the page."""
    page = browser_of("treating-clinic-1")
    page.goto("/record")
    tables: dict[str, dict[str, str]] = page.evaluate(TABLES)
    english = {
        f"record.{kind}.{code}": text for kind, table in tables.items()
        for code, text in table.items()
    }  # fmt: skip
    assert len(english) > 65
    said = {k: v for k, v in words("en").items() if re.match(r"record\.(fault|part|place)\.", k)}
    assert said == english
    for language in set(LANGUAGES) - {"en"}:
        own = words(language)
        assert [k for k, v in english.items() if own[k] == v] == [], language


def test_every_fault_that_the_check_throws_is_in_its_table() -> None:
    """A code that is thrown has words; words that nothing throws are taken out."""
    script = SCRIPT.read_text("utf-8")
    table = script[script.index("FAULTS = {") : script.index("};")]
    listed = {a or b for a, b in re.findall(r'^  (?:"([a-z0-9-]+)"|(\w+)): "', table, re.MULTILINE)}
    thrown = set(re.findall(r'new Wrong\("([a-z0-9-]+)"', script))
    assert len(re.findall(r"new Wrong\(", script)) == len(
        re.findall(r'new Wrong\("[a-z0-9-]+"', script)
    )
    assert listed == thrown | {"unreadable"}


@pytest.mark.parametrize(
    ("language", "wrong"),
    [
        ("sv", [["kontrollpunkten", "policyn tar inte upp den här loggen"],
                ["händelse 1 (plats 3)", "lösennyckeln signerade något annat"]]),
        ("es", [["punto de control", "la política no incluye este registro"],
                ["evento 1 (posición 3)", "la llave de acceso firmó otra cosa"]]),
    ],
)  # fmt: skip
def test_a_reader_reads_in_their_language_what_is_wrong_with_a_proof(
    language: str,
    wrong: list[list[str]],
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """A changed event of a log that is not this one: where and what, with nothing in English."""
    event, _ = EVENTS["other words"]
    made = bundle_of(HOSPITAL.registration(), enrolled(PHONE, HOSPITAL), event)
    page = browser_of("treating-clinic-1")
    page.goto(f"/record?language={language}")
    page.locator("#file").set_input_files(
        {
            "name": "j1.proof.json",
            "mimeType": "application/json",
            "buffer": msgspec.json.encode(made),
        }
    )
    expect(page.locator("[data-sound=false]")).to_be_visible()
    rows = page.locator("#outcome tbody tr").all()
    assert [row.locator("td").all_inner_texts() for row in rows] == wrong
    assert page.locator("#outcome [lang]").count() == 0
    shoot(page, f"proof-wrong-{language}")


def test_a_file_that_is_no_proof_is_said_to_be_unreadable_in_swedish(
    browser_of: Callable[..., Page],
) -> None:
    """What the browser itself says of it is in its language: the page has its own words."""
    page = browser_of("treating-clinic-1")
    page.goto("/record?language=sv")
    page.locator("#file").set_input_files(
        {"name": "x.json", "mimeType": "application/json", "buffer": b"{"}
    )
    cells = page.locator("#outcome tbody td")
    expect(cells).to_have_text(["filen", "det går inte att läsa"])
