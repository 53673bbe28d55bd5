"""The parsers meet anything: they answer with their own error or a value that writes itself again.

Notes, checkpoints, tiles, bundles of entries, receipts, policies, witness requests, proof bundles
and acceptances come from strangers. Whatever the bytes, a parser raises its documented error and no
other; what it accepts it writes back byte for byte, so that no two texts mean the same.
"""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stafett.ledger import acceptance, bundle, checkpoint, note, policy, proof, tiles, witness
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.cosignature import Ed25519Cosigner
from stafett.ledger.merkle import BadProof, verify_consistency, verify_inclusion

SIGNER = note.NoteSigner("log.example/x", b"\x01" * 32)
WITNESS = Ed25519Cosigner("w.example/w", b"\x02" * 32)
HEAD = Checkpoint("log.example/x", 7, b"\x07" * 32)
SIGNED = checkpoint.sign(HEAD, SIGNER)
COSIGNED = SIGNED.with_signatures([WITNESS.cosign(HEAD, 1_780_000_000)]).text
RECEIPT = proof.Receipt(3, (b"\x01" * 32, b"\x02" * 32), COSIGNED).text
REQUEST = witness.Request(3, (b"\x01" * 32,), COSIGNED).text
POLICY = f"log {SIGNER.vkey}\nwitness w {WITNESS.vkey} https://w.example/\ngroup g 1 w\nquorum g\n"
BUNDLE = json.dumps(
    {
        "format": bundle.FORMAT, "stream": "j", "log": str(SIGNER.vkey), "policy": POLICY,
        "checkpoint": COSIGNED, "keys": [],
        "entries": [{"index": 0, "leaf": "{}", "proof": ["AA=="]}],
    }
)  # fmt: skip

Text = st.text(max_size=400)


MARKS = ("", "\n", "\n\n", " ", "+", "=", "\0", "\t", "\r", "—", "-", "9" * 25)


@st.composite
def near(draw: st.DrawFn, good: str) -> str:
    """Draw a text near a good one: cut, spliced, doubled, a character changed or put in.

    One in three has only zeros put before a number: the other way to write the same.
    """
    if draw(st.integers(0, 2)) == 0:
        numbers = [found.start() for found in re.finditer(r"(?<![\w+=.])x?\d", good)]
        at = draw(st.sampled_from(numbers or [0]))
        return good[:at] + draw(st.sampled_from(["0", "00", "x000/"])) + good[at:]
    start = draw(st.integers(0, len(good)))
    end = draw(st.one_of(st.just(start), st.integers(start, min(len(good), start + 12))))
    put = draw(st.one_of(st.sampled_from(MARKS), st.text(max_size=4)))
    repeat = draw(st.sampled_from([1, 1, 1, 2]))
    return (good[:start] + put + good[end:]) * repeat


@settings(max_examples=400, deadline=None)
@given(st.one_of(near(COSIGNED), near(COSIGNED), near(COSIGNED), Text))
@example(COSIGNED)
def test_notes_and_checkpoints(text: str) -> None:
    """A note is refused with BadNote or is exactly the text that it writes."""
    try:
        parsed = note.parse(text)
        assert str(parsed) == text
        assert all(mark == "\n" or mark >= " " for mark in text)
        head = checkpoint.parse_text(parsed.text)
        assert head.text == parsed.text
        opened = checkpoint.open_checkpoint(parsed, [note.note_verifier(SIGNER.vkey)])
    except note.BadNote:
        return
    assert opened.checkpoint == HEAD  # nobody signs anything else with this key


@settings(max_examples=300, deadline=None)
@given(st.one_of(near(RECEIPT), near(RECEIPT), near(RECEIPT), Text))
@example(RECEIPT)
def test_receipts(text: str) -> None:
    """A receipt is refused with BadReceipt or is exactly the text that it writes."""
    try:
        parsed = proof.parse(text)
    except proof.BadReceipt:
        return
    assert parsed.text == text


@settings(max_examples=300, deadline=None)
@given(st.one_of(near(REQUEST), near(REQUEST), near(REQUEST), Text))
@example(REQUEST)
def test_witness_requests(text: str) -> None:
    """A witness answers any body with a status of the specification, and keeps its word."""
    logs = {HEAD.origin: [note.note_verifier(SIGNER.vkey)]}
    state = witness.State()
    answer = witness.add_checkpoint(state, text, logs=logs, cosigners=[WITNESS], now=lambda: 1)
    assert answer.status in (200, 400, 403, 404, 409, 422)
    assert not answer.state.latest or answer.status == 200
    try:
        assert witness.parse_request(text).text == text
    except witness.BadRequest:
        assert answer.status == 400


@settings(max_examples=200, deadline=None)
@given(st.one_of(near(POLICY), Text))
@example(POLICY)
def test_policies(text: str) -> None:
    """A policy is refused with BadPolicy, or what it writes means the same."""
    try:
        parsed = policy.parse_policy(text)
    except policy.BadPolicy:
        return
    again = policy.parse_policy(parsed.text)
    assert (again.logs, again.witnesses, again.groups, again.quorum) == (
        parsed.logs, parsed.witnesses, parsed.groups, parsed.quorum,
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.one_of(near("tile/entries/x001/x234/067.p/5"), near("tile/12/000"), Text))
def test_tile_paths(text: str) -> None:
    """Of all ways to write a tile's path one is accepted."""
    try:
        assert tiles.parse_path(text).path == text
    except tiles.BadTile:
        return


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 256))
def test_tiles_and_bundles_of_entries(data: bytes, width: int) -> None:
    """Any bytes are refused with BadTile or are what their content writes."""
    with contextlib.suppress(tiles.BadTile):
        assert tiles.encode_hashes(tiles.decode_hashes(data, width)) == data
    with contextlib.suppress(tiles.BadTile):
        assert tiles.encode_bundle(tiles.decode_bundle(data, width)) == data


@settings(max_examples=200, deadline=None)
@given(st.one_of(near(BUNDLE), Text))
@example(BUNDLE)
def test_proof_bundles(text: str) -> None:
    """A proof file is refused with BadBundle, or looked at and found wrong in words."""
    try:
        parsed = bundle.parse(text.encode())
    except bundle.BadBundle:
        return
    assert not bundle.verify(parsed).sound


@settings(max_examples=100, deadline=None)
@given(st.one_of(near(note.sign_note(f"{acceptance.HEADER}\n{{}}\n", SIGNER)), Text))
def test_acceptances(text: str) -> None:
    """An acceptance is the host's word or BadNote; a checkpoint never passes for one."""
    with contextlib.suppress(note.BadNote):
        assert acceptance.open_acceptance(text, note.note_verifier(SIGNER.vkey)) == {}
    with pytest.raises(note.BadNote):
        acceptance.open_acceptance(COSIGNED, note.note_verifier(SIGNER.vkey))


Hashes = st.lists(st.binary(min_size=30, max_size=34), max_size=70)


@settings(max_examples=200, deadline=None)
@given(st.integers(-2, 2**64), st.integers(-2, 2**64), Hashes)
def test_proofs(first: int, size: int, hashes: list[bytes]) -> None:
    """Hashes drawn at random prove nothing, for whatever sizes."""
    with pytest.raises(BadProof):
        verify_inclusion(first, size, b"\x01" * 32, hashes, b"\x02" * 32)
    with pytest.raises(BadProof):
        verify_consistency(first, size, b"\x01" * 32, b"\x02" * 32, hashes)
