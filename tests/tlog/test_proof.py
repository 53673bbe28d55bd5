"""Receipts: offline proof that an entry is in the record, and every mangled one refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.ledger import checkpoint, merkle, proof
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.cosignature import Ed25519Cosigner
from stafett.ledger.note import NoteSigner
from stafett.ledger.policy import parse_policy
from stafett.ledger.proof import BadReceipt, Receipt

LOG = NoteSigner("host.example/log", b"\x01" * 32)
WITNESS = Ed25519Cosigner("w.example/w", b"\x02" * 32)
POLICY = parse_policy(f"log {LOG.vkey}\nwitness W {WITNESS.vkey}\nquorum W\n")
ENTRIES = [b"entry %d" % n for n in range(11)]
_HASHES: dict[tuple[int, int], bytes] = {}
ROOT = (
    merkle.Frontier()
    .append(map(merkle.leaf_hash, ENTRIES), lambda lv, i, h: _HASHES.update({(lv, i): h}))
    .root
)
HEAD = Checkpoint(LOG.name, 11, ROOT)
SIGNED = checkpoint.sign(HEAD, LOG).with_signatures([WITNESS.cosign(HEAD, 1000)]).text


def receipt(index: int, extra: bytes | None = None) -> Receipt:
    """Return the receipt of an entry."""
    path = merkle.inclusion_proof(index, 11, lambda lv, i: _HASHES[lv, i])
    return proof.make(index, path, SIGNED, extra)


@pytest.mark.parametrize("index", range(11))
def test_each_entry_has_its_receipt(index: int) -> None:
    """A receipt that went through its text proves its entry, and no other."""
    parsed = proof.parse(receipt(index).text.encode())
    assert proof.verify(parsed, ENTRIES[index], POLICY).cosigned == {"W": 1000}
    with pytest.raises(BadReceipt):
        proof.verify(parsed, ENTRIES[index - 1], POLICY)


def test_golden_text() -> None:
    """The lines stand as the specification orders them."""
    lines = receipt(10, b"context").text.split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra Y29udGV4dA==", "index 10"]
    assert lines[5:8] == ["", "host.example/log", "11"]
    assert proof.parse("\n".join(lines)).extra == b"context"


def test_published_malformed_proofs(shared: Path) -> None:
    """Each published malformed receipt is refused."""
    bad = json.loads((shared / "standards/tlog/tlog-proof/errors.json").read_text())["bad"]
    assert len(bad) == 6
    for text in bad:
        with pytest.raises(BadReceipt):
            proof.parse(text)


def test_every_mangling_of_a_receipt_is_refused() -> None:
    """No character can be dropped, doubled or changed without the receipt failing."""
    good = receipt(10)
    text = good.text
    for place in range(len(text)):
        for wrong in ("", text[place] * 2, chr(ord(text[place]) ^ 1), "\n", " "):
            other = text[:place] + wrong + text[place + 1 :]
            if other == text:
                continue
            with pytest.raises(BadReceipt):
                proof.verify(proof.parse(other), ENTRIES[10], POLICY)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: Receipt(r.index + 1, r.hashes, r.checkpoint),
        lambda r: Receipt(r.index, r.hashes[1:], r.checkpoint),
        lambda r: Receipt(r.index, (*r.hashes, b"h" * 32), r.checkpoint),
        lambda r: Receipt(r.index, r.hashes[::-1], r.checkpoint),
        lambda r: Receipt(r.index, r.hashes, checkpoint.sign(HEAD, LOG).text),
    ],
    ids=["other index", "hash dropped", "hash added", "hashes reversed", "no cosignature"],
)
def test_each_wrong_part_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    """A well-formed receipt with one wrong part proves nothing."""
    with pytest.raises(BadReceipt):
        proof.verify(proof.parse(change(receipt(4)).text), ENTRIES[4], POLICY)


def test_too_many_hashes_are_refused_early() -> None:
    """More hashes than a tree has levels are not even hashed."""
    with pytest.raises(BadReceipt, match="levels"):
        proof.make(0, [b"h" * 32] * 64, SIGNED)
    with pytest.raises(BadReceipt, match="31 bytes"):
        proof.make(0, [b"h" * 31], SIGNED)


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_parser_never_crashes(raw: str | bytes) -> None:
    """Anything is refused with the module's own error, after a right header too."""
    head = "c2sp.org/tlog-proof@v1\n"
    for candidate in (raw, (head + raw) if isinstance(raw, str) else (head.encode() + raw)):
        with pytest.raises(BadReceipt):
            proof.parse(candidate)
