"""The host's signed acceptance: given at once, before any checkpoint holds the events.

    stafett acceptance/1
    {RFC 8785 object: key, request, stream, first_position, count, version, recorded_at,
     leaf_hashes}
                            ← blank line
    — the log's signature

A signed note (C2SP signed-note) whose first line no checkpoint has, so that one can never pass for
the other. If the record ever shows another leaf at one of these positions, acceptance and
checkpoint together convict the host. The receipt from a cosigned checkpoint (`proof`) replaces it.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

import msgspec

from stafett.ledger import note
from stafett.ledger.canonical import canonical
from stafett.ledger.event import Receipt
from stafett.ledger.note import BadNote, NoteSigner, Verifier

HEADER = "stafett acceptance/1"


def accept(receipt: Receipt, request_hash: bytes, signer: NoteSigner) -> str:
    """Return the signed acceptance of what `receipt` answers."""
    said = {
        "key": receipt.key,
        "request": request_hash.hex(),
        "stream": receipt.stream,
        "first_position": receipt.first_position,
        "count": receipt.count,
        "version": receipt.version,
        "recorded_at": receipt.recorded_at.astimezone(UTC).isoformat(),
        "leaf_hashes": [one.hex() for one in receipt.leaf_hashes],
    }
    return note.sign_note(f"{HEADER}\n{canonical(said).decode()}\n", signer)


def open_acceptance(raw: str, log: Verifier) -> dict[str, Any]:
    """Return what was accepted. Raises BadNote if the log did not sign it, or it is none."""
    lines = note.open_note(raw, [log]).text.split("\n")
    if len(lines) != 3 or lines[0] != HEADER:
        raise BadNote(f"the first line is not {HEADER!r}")
    try:
        return msgspec.json.decode(lines[1], type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadNote(f"line 2 is no JSON object: {error}") from None
