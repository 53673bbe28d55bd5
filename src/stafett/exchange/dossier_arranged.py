"""Whether a dossier arranges its proven events as their own protocol does: rebuilt, and compared.

What people read of a dossier (custody, checks, signatures, deviations, decisions in words) is made
of its events. Whoever rewrites that part, its MANIFEST and nothing else is found here: the package
holds the protocol, the proven first event its SHA-256, and both make the dossier again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from stafett.exchange.dossier import Dossier
from stafett.exchange.dossier_making import build
from stafett.journey.event import from_json
from stafett.journey.evolve import replay
from stafett.ledger import bundle
from stafett.ledger.leaf import leaf_hash
from stafett.protocol.net import Net
from stafett.protocol.read import parse

LANGUAGES: Final = ("en", "sv", "es")
# What the events do not say: names of organisations, loggers' readings, whether bytes are beside.
_BESIDE: Final = ("conditions", "format", "reader")


@dataclass(frozen=True)
class _Proven:
    """One event as its proven leaf has it."""

    position: int
    version: int
    recorded_at: datetime
    leaf_hash: str
    event: dict[str, Any]
    passkey_over: str = ""


def differences(dossier: Dossier, protocol: bytes, proof: bundle.Bundle) -> list[str]:
    """Name the parts of a dossier that its proven events do not make; [] where all of it fits.

    `proof` must have been verified. Raises ValueError where the events cannot be replayed by this
    version of Stafett: then nothing is known either way.
    """
    leaves = [msgspec.json.decode(entry.leaf) for entry in proof.entries]
    head = leaves[0]["body"] if leaves else {}
    if hashlib.sha256(protocol).hexdigest() != head.get("pinned"):
        return ["protocol.yaml is not the protocol under which the journey was opened"]
    try:
        net = Net(parse(protocol, "protocol.yaml").bind(head["event"]["product"]))
        state = replay(net, [from_json(leaf["body"]["event"]) for leaf in leaves])
    except Exception as unread:  # whatever an older or newer form of events provokes
        raise ValueError(f"this version cannot replay it: {unread}") from None
    if state is None:
        raise ValueError("it has no events")
    record = [
        _Proven(
            entry.index + 1, leaf["version"], datetime.fromisoformat(leaf["recorded_at"]),
            leaf_hash(entry.leaf.encode()).hex(), leaf["body"]["event"],
        )
        for entry, leaf in zip(proof.entries, leaves, strict=True)
    ]  # fmt: skip
    told = _bare(dossier)
    found: list[list[str]] = []
    for language in LANGUAGES:
        again = build(
            net, state, record, pinned=head["pinned"], pseudonym=head["pseudonym"],
            reader=dossier.reader, names={p.organisation: p.name for p in dossier.parties},
            conditions=dossier.conditions, language=language,
        )  # fmt: skip
        made = _bare(again)
        found.append([field for field in made if made[field] != told.get(field)])
        if not found[-1]:
            return []
    return [
        f"dossier.json: {field} is not what the proven events say" for field in min(found, key=len)
    ]


def _bare(dossier: Dossier) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dossier))
    plain["parties"].sort(key=lambda party: party["role"])  # the record keeps no order of roles
    for document in plain["documents"]:
        document["here"] = False
    for signature in (
        *plain["signatures"],
        *(s for h in plain["handovers"] for s in h["signatures"]),
    ):
        signature["over"] = ""
    return {field: value for field, value in plain.items() if field not in _BESIDE}
