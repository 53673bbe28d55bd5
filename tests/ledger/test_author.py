"""Authors' signatures: what is signed, whose key counts when, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.ledger.author import (
    STREAM,
    BadKey,
    BadSignature,
    Keys,
    Signer,
    statement_of,
)
from stafett.ledger.canonical import canonical

pytestmark = pytest.mark.anyio

HOSPITAL = Signer("hospital", b"\x01" * 32)
SECOND = Signer("hospital", b"\x02" * 32)
MAKER = Signer("maker", b"\x03" * 32)


def scan(key: str = "k-1", organisation: str = "hospital", **more: object) -> Submission:
    """Return one unsigned event of `organisation`."""
    draft = Draft("bag.scanned", {"n": 1, "å": 1.5}, datetime(2026, 11, 25, 9, tzinfo=UTC))
    plain = Submission(
        "j", None, [draft], ["maker", "hospital"], Author(organisation, "p"), key, b"h"
    )
    return replace(plain, **more)


async def leaves(ledger: Ledger) -> list[tuple[int, dict[str, object]]]:
    """Return what the ledger holds, decoded."""
    return [(e.position, msgspec.json.decode(e.leaf)) for e in await ledger.read(0)]


async def test_a_signed_event_verifies_from_its_leaf_alone(ledger: Ledger) -> None:
    """Who holds the record learns the key from it and checks the signature of every event."""
    await ledger.append(HOSPITAL.registration())
    await ledger.append(HOSPITAL.sign(scan()))
    keys = Keys()
    (first, registered), (second, event) = await leaves(ledger)
    assert keys.learn(registered, first).id == HOSPITAL.id
    assert keys.check(event, second).organisation == "hospital"
    assert statement_of(event, "k-1#0") == canonical(
        {"act": "k-1#0", **{k: v for k, v in event.items()
                            if k not in ("recorded_at", "salt", "signature", "version")}}
    )  # fmt: skip


@pytest.mark.parametrize("part", ["body", "kind", "audience", "author", "occurred_at", "stream"])
async def test_no_signed_part_can_be_changed(ledger: Ledger, part: str) -> None:
    """The host cannot put other words under an author's signature."""
    await ledger.append(HOSPITAL.registration())
    await ledger.append(HOSPITAL.sign(scan()))
    keys = Keys()
    (first, registered), (second, event) = await leaves(ledger)
    keys.learn(registered, first)
    other = {"body": {"n": 2}, "audience": ["maker"], "author": {"organisation": "hospital"}}
    with pytest.raises(BadSignature):
        keys.check({**event, part: other.get(part, "2026-01-01T00:00:00+00:00")}, second)


async def test_once_an_organisation_has_a_key_it_signs_everything(ledger: Ledger) -> None:
    """Unsigned before the first key; refused after it; others without a key are not concerned."""
    await ledger.append(scan("k-1"))
    await ledger.append(HOSPITAL.registration())
    with pytest.raises(BadSignature, match="not signed"):
        await ledger.append(scan("k-2"))
    await ledger.append(scan("k-3", "maker"))
    assert await ledger.size() == 3


async def test_signatures_that_do_not_hold_are_refused_and_leave_nothing(ledger: Ledger) -> None:
    """An unknown key, another organisation's, another act's, a mangled value."""
    await ledger.append(HOSPITAL.registration())
    await ledger.append(MAKER.registration())
    signed = HOSPITAL.sign(scan())
    (draft,) = signed.drafts
    mangled = replace(draft, signature={**draft.signature, "value": "AAAA" + "A" * 82 + "=="})
    other = replace(draft, signature={**draft.signature, "alg": "none"})
    wrong = {
        "not known": SECOND.sign(scan()),
        "key of 'maker'": MAKER.sign(scan()),
        "for the act": replace(signed, key="k-9"),
        "does not hold": replace(signed, drafts=[mangled]),
        "does not sign with": replace(signed, drafts=[other]),
    }
    for what, submission in wrong.items():
        with pytest.raises(BadSignature, match=what):
            await ledger.append(submission)
    assert await ledger.size() == 2


async def test_in_one_batch_only_the_bad_ones_are_refused(ledger: Ledger) -> None:
    """A wrong signature spoils nobody else's submission, however they are batched."""
    await ledger.append(HOSPITAL.registration())
    good = [HOSPITAL.sign(scan(f"g-{n}")) for n in range(40)]
    bad = [SECOND.sign(scan(f"b-{n}")) for n in range(40)]
    mixed = [one for pair in zip(good, bad, strict=True) for one in pair]
    outcomes = await asyncio.gather(*map(ledger.append, mixed), return_exceptions=True)
    assert [isinstance(o, BadSignature) for o in outcomes] == [False, True] * 40
    assert await ledger.size() == 41


async def test_a_resent_submission_gets_its_old_answer_after_the_key_was_retired(
    ledger: Ledger,
) -> None:
    """Idempotency outlives the key: what was accepted stays accepted."""
    await ledger.append(HOSPITAL.registration())
    first = await ledger.append(HOSPITAL.sign(scan()))
    await ledger.append(SECOND.registration(retires=HOSPITAL, reason="yearly"))
    again = await ledger.append(HOSPITAL.sign(scan()))
    assert again.replayed and again.positions == first.positions


async def test_rotation_keeps_history(ledger: Ledger) -> None:
    """After rotation the old key signs nothing new, and what it signed before still verifies."""
    await ledger.append(HOSPITAL.registration())
    await ledger.append(HOSPITAL.sign(scan("k-1")))
    await ledger.append(SECOND.registration(retires=HOSPITAL, reason="yearly"))
    with pytest.raises(BadSignature, match="not valid"):
        await ledger.append(HOSPITAL.sign(scan("k-2")))
    await ledger.append(SECOND.sign(scan("k-3")))
    keys = Keys()
    for position, leaf in await leaves(ledger):
        if leaf["stream"] == STREAM:
            keys.learn(leaf, position)
    for position, leaf in await leaves(ledger):
        keys.check(leaf, position)
    assert keys.unvouched == []


async def test_nobody_registers_a_second_key_unasked(ledger: Ledger) -> None:
    """A key that the old one does not vouch for is refused; a lost one is told to everyone."""
    await ledger.append(HOSPITAL.registration())
    with pytest.raises(BadSignature, match="not known"):
        await ledger.append(SECOND.registration())
    forged = MAKER.sign(replace(SECOND.registration(), author=Author("maker", None)))
    with pytest.raises(BadSignature, match="registers a key for"):
        await ledger.append(forged)
    await ledger.append(SECOND.registration(lost=(HOSPITAL.id,), reason="disk lost"))
    assert [key.id for key in (await ledger.keys()).unvouched] == [SECOND.id]
    assert [key.id for key in (await ledger.keys()).active("hospital")] == [SECOND.id]


async def test_a_key_must_be_held_by_somebody() -> None:
    """A registration whose new key did not sign itself teaches nothing."""
    (draft,) = HOSPITAL.registration().drafts
    leaf = {
        "kind": draft.kind, "stream": STREAM, "author": {"organisation": "hospital"},
        "body": {**draft.body, "proof": draft.body["proof"][:-4] + "AA=="},
        "signature": draft.signature,
    }  # fmt: skip
    with pytest.raises(BadKey, match="shown to hold"):
        Keys().learn(leaf, 1)


async def test_every_organisation_may_read_the_keys(ledger: Ledger) -> None:
    """Keys are for everyone, events for their audience; who names nobody reads nothing."""
    await ledger.append(HOSPITAL.registration())
    await ledger.append(HOSPITAL.sign(scan()))
    kinds = [e.kind for e in await ledger.read(0, organisation="courier")]
    assert kinds == ["AuthorKeyRegistered"]
    assert await ledger.read(0, organisation="") == []


async def test_what_was_signed_here_is_believed_for_its_own_bytes_only(ledger: Ledger) -> None:
    """A signature made in this process saves its check once, and vouches for no other words."""
    await ledger.append(HOSPITAL.registration())
    good = HOSPITAL.sign_here(scan("k-1"))
    (draft,) = good.drafts
    lie = replace(good, drafts=[replace(draft, body={"n": 2})])
    with pytest.raises(BadSignature, match="does not hold"):
        await ledger.append(lie)
    assert (await ledger.append(good)).count == 1
    stolen = HOSPITAL.sign_here(scan("k-2"))
    (draft,) = stolen.drafts
    maker = replace(scan("k-2", "maker"), drafts=[draft])
    await ledger.append(MAKER.registration())
    with pytest.raises(BadSignature):
        await ledger.append(maker)
