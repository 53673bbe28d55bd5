"""Who said it: the verifier holds every entry to its author, the host included."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from authenticator_ import START, Authenticator, enrolled, signed_by, taken_away
from stafett.cli.main import main
from stafett.ledger import Author, Draft, Submission, archive, checkpoint, note
from stafett.ledger import author as authors
from stafett.ledger.attest import Personal
from stafett.ledger.author import BadKey, Key, Keys, Signer
from stafett.ledger.batch import arrange, prepare
from stafett.ledger.canonical import canonical
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.merkle import Frontier
from stafett.ledger.note import NoteSigner
from stafett.ledger.verify import Report, verify

LOG = NoteSigner("host.example/log", b"\x05" * 32)
HOSPITAL = Signer("hospital", b"\x01" * 32)
FRESH = Signer("hospital", b"\x02" * 32)
MAKER = Signer("maker", b"\x03" * 32)
EARLIER = "2026-11-25T08:00:00.000000Z"


def scan(number: int, organisation: str = "hospital", value: str = "bag 1") -> Submission:
    """Return one unsigned event."""
    draft = Draft("bag.scanned", {"n": number, "value": value}, START)
    author = Author(organisation, "nurse")
    return Submission(f"j{number % 3}", None, [draft], ["hospital"], author, f"k-{number}", b"")


def record(submissions: list[Submission]) -> list[bytes]:
    """Return the entries that the sequencer makes of submissions, one batch each."""
    entries: list[bytes] = []
    versions: dict[str, int] = {}
    for number, one in enumerate(submissions):
        at = START + timedelta(seconds=number)
        made = arrange([prepare(one)], {}, versions, len(entries), at)
        versions |= made.reached
        entries += made.entries
    return entries


def honest() -> list[Submission]:
    """Return a small record's submissions: keys, signed events, a rotation, an old-timer."""
    return [
        scan(0),  # before its organisation had a key
        HOSPITAL.registration(),
        *(HOSPITAL.sign(scan(n)) for n in range(1, 5)),
        FRESH.registration(retires=HOSPITAL, reason="yearly"),
        *(FRESH.sign(scan(n)) for n in range(5, 300)),
        scan(300, "courier"),  # has no key at all
    ]


def found(folder: Path, entries: list[bytes], **more: Any) -> Report:
    """Let the host sign these entries, whatever they are, and verify the archive."""
    root = Frontier().append(map(leaf_hash, entries)).root
    head = checkpoint.sign(Checkpoint(LOG.name, len(entries), root), LOG)
    path = folder / f"a{len(list(folder.iterdir()))}"
    rows = [(leaf_hash(entry), entry) for entry in entries]
    archive.write(archive.sink(path), rows, head.text, str(LOG.vkey))
    return verify(archive.Archive(path), keys=[str(LOG.vkey)], **more)


def kinds(report: Report) -> list[tuple[str, int | None]]:
    """Return the findings as kind and position."""
    return [(one.kind, one.position) for one in report.findings]


def changed(entry: bytes, **members: object) -> bytes:
    """Return an entry with other members, canonical: what a host with its own log can write."""
    return canonical({**msgspec.json.decode(entry), **members})


def test_every_signature_is_counted_and_holds(tmp_path: Path) -> None:
    """An honest record: signed by authors, with a rotation of keys, and by nobody where none is."""
    report = found(tmp_path, record(honest()))
    assert report.sound, report.findings
    assert (report.authors.signed, report.authors.unsigned) == (301, 2)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_host_that_writes_other_words_over_a_signature_is_found(
    tmp_path: Path, jobs: int
) -> None:
    """The host owns the log's key and makes the whole tree anew: the author's signature refuses."""
    entries = record(honest())
    entries[41] = changed(entries[41], body={"n": 36, "value": "bag 2"})
    assert kinds(found(tmp_path, entries, jobs=jobs)) == [("signature", 42)]


def test_each_way_for_the_host_to_lie_is_named(tmp_path: Path) -> None:
    """Changed, unsigned, another's key, an old key, repeated, moved back in time, no event."""
    entries = record(honest())
    event = msgspec.json.decode(entries[41])
    by_maker = record([*honest()[:2], MAKER.registration(), MAKER.sign(scan(36))])[-1]
    unsigned = {name: value for name, value in event.items() if name != "signature"}
    late = record([HOSPITAL.registration(), HOSPITAL.sign(scan(36))])[-1]
    lies: dict[str, tuple[bytes, tuple[str, int]]] = {
        "unsigned": (canonical(unsigned), ("unsigned", 42)),
        "another's key": (
            changed(entries[41], signature=msgspec.json.decode(by_maker)["signature"]),
            ("signature", 42),
        ),
        "a retired key": (
            changed(entries[41], signature=msgspec.json.decode(late)["signature"]),
            ("signature", 42),
        ),
        "recorded twice": (
            changed(entries[40], version=event["version"], salt="0" * 32,
                    recorded_at=event["recorded_at"]),
            ("repeated", 42),
        ),
        "backdated": (changed(entries[41], recorded_at=EARLIER), ("time", 42)),
        "not canonical": (entries[41].replace(b'"leaf":1', b'"leaf": 1'), ("no-event", 42)),
        "another format": (changed(entries[41], leaf=2), ("no-event", 42)),
    }  # fmt: skip
    for what, (entry, expected) in lies.items():
        report = found(tmp_path, [*entries[:41], entry, *entries[42:]])
        assert kinds(report) == [expected], (what, report.findings)


def test_a_key_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    """A lost key can be replaced; whoever verifies hears that nobody vouches."""
    lost = FRESH.registration(lost=(HOSPITAL.id,), reason="the safe burnt")
    entries = record([HOSPITAL.registration(), lost, FRESH.sign(scan(1))])
    report = found(tmp_path, entries)
    assert report.sound and [key.id for key in report.unvouched] == [FRESH.id]


def test_a_key_event_that_the_host_made_up_teaches_nothing(tmp_path: Path) -> None:
    """The host cannot slip in a key for an organisation that has one: it is named, and unused."""
    forged = replace(FRESH.registration(), key="key.forged")
    entries = record([HOSPITAL.registration(), forged, FRESH.sign(scan(1))])
    assert kinds(found(tmp_path, entries)) == [("key", 2), ("signature", 3)]


def test_a_persons_signature_that_does_not_hold_is_a_finding(tmp_path: Path) -> None:
    """What looks into the entries for people's signatures is heard by the one verifier."""

    def inspect(event: Mapping[str, Any], by: Key | None) -> list[Personal]:
        assert by is None or by.organisation == event["author"]["organisation"]
        number = event["body"].get("n")
        return [Personal(number == 6, "" if number != 7 else "other content")] if number else []

    report = found(tmp_path, record(honest()), inspect=inspect)
    assert (report.authors.personal, report.authors.by_key) == (300, 1)
    assert [str(one) for one in report.findings] == [
        "position 10: a person's signature: other content"
    ]


def test_what_cannot_be_checked_is_counted_and_is_not_wrong(tmp_path: Path) -> None:
    """A form that kept too little is neither sound nor a finding: it is told, and where."""

    def inspect(event: Mapping[str, Any], by: Key | None) -> list[Personal]:
        early = event["body"].get("n") in (6, 7, 290)
        return [Personal(False, "not kept" if early else "", early)]

    entries = record(honest())
    report = found(tmp_path, entries, inspect=inspect)
    assert report.sound and report.authors.early == 3
    assert report.authors.early_at == (9, 293)
    assert report.authors.personal == len(entries)


def test_many_faults_of_one_kind_hide_none_of_another(tmp_path: Path) -> None:
    """Twenty are told at most; a changed document is among them, after a hundred signatures."""
    entries = record([HOSPITAL.registration(), *(FRESH.sign(scan(n)) for n in range(100))])
    root = Frontier().append(map(leaf_hash, entries)).root
    head = checkpoint.sign(Checkpoint(LOG.name, len(entries), root), LOG).text
    rows = [(leaf_hash(entry), entry) for entry in entries]
    paper = hashlib.sha256(b"paper").hexdigest()
    folder = tmp_path / "archive"
    archive.write(archive.sink(folder), rows, head, str(LOG.vkey), documents=[(paper, b"paper")])
    (folder / "documents" / paper).write_bytes(b"another")
    told = CliRunner().invoke(main, ["ledger", "verify", str(folder)])
    assert told.exit_code == 1
    wrong = [one for one in told.output.splitlines() if one.startswith("WRONG")]
    assert len(wrong) == 20 and "document was changed" in wrong[-1], told.output


# -- passkeys ------------------------------------------------------------------------------------


def test_a_passkey_over_an_events_bytes_verifies_in_the_one_verifier(tmp_path: Path) -> None:
    """Vouched for by the organisation's key, it signs events as any author's key does."""
    phone = Authenticator()
    chain = [HOSPITAL.registration(), enrolled(phone, HOSPITAL), signed_by(phone, scan(1))]
    entries = record(chain)
    report = found(tmp_path, entries)
    assert report.sound and report.authors.signed == 3, report.findings
    assert report.authors.by_passkey == 1
    keys = Keys()
    first, second, event = map(msgspec.json.decode, entries)
    keys.learn(first, 1)
    keys.learn(second, 2)
    assert keys.check(event, 3).algorithm == authors.PASSKEY


@pytest.mark.parametrize(
    "how",
    [
        {"flags": 0b001},
        {"origin": "https://elsewhere.example"},
        {"origin": "http://tower.example"},
    ],
    ids=["nobody was verified", "another site", "an open line"],
)
def test_a_passkey_that_proves_nothing_is_refused(tmp_path: Path, how: dict[str, Any]) -> None:
    """Without user verification, at another site, over an open line: the signature fails."""
    phone = Authenticator()
    chain = [HOSPITAL.registration(), enrolled(phone, HOSPITAL), signed_by(phone, scan(1), **how)]
    assert kinds(found(tmp_path, record(chain))) == [("signature", 3)]


def test_a_passkeys_signature_holds_for_nothing_else(tmp_path: Path) -> None:
    """Under other words, the same assertion does not verify."""
    phone = Authenticator()
    entries = record([HOSPITAL.registration(), enrolled(phone, HOSPITAL),
                      signed_by(phone, scan(1))])  # fmt: skip
    entries[2] = changed(entries[2], body={"n": 1, "value": "bag 2"})
    assert kinds(found(tmp_path, entries)) == [("signature", 3)]


def test_a_passkey_vouches_for_no_key(tmp_path: Path) -> None:
    """Who holds a phone cannot bring in, or retire, an organisation's key with it."""
    phone = Authenticator()
    takes_over = FRESH.registration(retires=HOSPITAL, reason="mine now")
    (draft,) = takes_over.drafts
    plain = replace(
        takes_over, drafts=[replace(draft, signature=None)], author=Author("hospital", "nurse")
    )
    chain = [HOSPITAL.registration(), enrolled(phone, HOSPITAL), signed_by(phone, plain)]
    report = found(tmp_path, record(chain))
    assert kinds(report) == [("key", 3)] and "vouches for no key" in str(report.findings[0])


def test_a_passkey_needs_an_organisations_key_to_vouch_for_it() -> None:
    """Nobody can make a phone speak for an organisation without the organisation's own key."""
    phone = Authenticator()
    (alone,) = record([signed_by(phone, enrolled(phone, None))])
    with pytest.raises(BadKey, match="vouches"):
        Keys().learn(msgspec.json.decode(alone), 1)
    broken = enrolled(phone, HOSPITAL)
    (draft,) = broken.drafts
    body = {**draft.body, "public": note.encode(b"\x00" * 40)}
    (entry,) = record([HOSPITAL.sign(replace(broken, drafts=[Draft(draft.kind, body, START)]))])
    with pytest.raises(BadKey, match="algorithm"):
        Keys().learn(msgspec.json.decode(entry), 1)


def test_a_passkey_signs_nobody_elses_events(tmp_path: Path) -> None:
    """Vouched for as the doctor's, it does not sign what the nurse did; nor without a holder."""
    phone = Authenticator()
    chain = [HOSPITAL.registration(), enrolled(phone, HOSPITAL, "doctor"),
             signed_by(phone, scan(1))]  # fmt: skip
    report = found(tmp_path, record(chain))
    assert kinds(report) == [("signature", 3)] and "not that of 'nurse'" in str(report.findings[0])
    (draft,) = enrolled(phone, None).drafts
    body = {name: value for name, value in draft.body.items() if name != "holder"}
    nobodys = replace(enrolled(phone, None), drafts=[replace(draft, body=body)])
    report = found(tmp_path, record([HOSPITAL.registration(), HOSPITAL.sign(nobodys)]))
    assert kinds(report) == [("key", 2)] and "whose passkey" in str(report.findings[0])


def test_the_record_does_not_name_a_passkeys_holder_to_everyone() -> None:
    """Keys are for every organisation to read; a login is only for those who read its events."""
    assert b"nurse" not in canonical(dict(enrolled(Authenticator(), HOSPITAL).drafts[0].body))


def test_a_passkey_that_was_taken_away_signs_nothing_more(tmp_path: Path) -> None:
    """What it signed before holds for ever; only an organisation's own key takes it away."""
    phone = Authenticator()
    begun = [HOSPITAL.registration(), enrolled(phone, HOSPITAL), signed_by(phone, scan(1))]
    later = signed_by(phone, scan(2))
    report = found(tmp_path, record([*begun, taken_away(phone, HOSPITAL), later]))
    assert kinds(report) == [("signature", 5)] and "not valid here" in str(report.findings[0])
    others = {"another organisation's": MAKER, "a key nobody knows": FRESH}
    for what, by in others.items():
        report = found(tmp_path, record([*begun, taken_away(phone, by), later]))
        assert kinds(report) == [("key", 4)], (what, report.findings)
    (draft,) = taken_away(phone, HOSPITAL).drafts
    plain = replace(taken_away(phone, HOSPITAL), drafts=[replace(draft, signature=None)])
    report = found(tmp_path, record([*begun, signed_by(phone, plain), later]))
    assert kinds(report) == [("key", 4)], report.findings
