"""What either side of an onboarding signs, and whether a signature in the record still holds.

As at a station (`stafett.service.signing`): person, meaning and moment are bound to the exact
content, here everything that was accepted and the place in the record that it follows. The content
follows from the record alone, so whoever holds the record can say whether it is what was signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from stafett.journey.command import Signature
from stafett.registry.readiness import Item, Onboarding
from stafett.service.signatures import key_says
from stafett.service.signing import ToSign, digest_of

READY = "I confirm that the site is ready for this protocol"


class Sealed(msgspec.Struct, frozen=True):
    """A side's signature as both sides see it. `wrong` says why it does not hold; "" if it does."""

    name: str
    at: datetime
    method: str
    wrong: str


def to_sign(
    name: str, state: Onboarding, position: int, by: tuple[str, str], side: str, at: datetime
) -> ToSign:
    """Return what `by` (person, organisation) signs for `side` after `position` events."""
    value = {
        "onboarding": name,
        "position": position,
        "protocol": state.asks.protocol,
        "version": state.asks.version,
        "by": {"person": by[0], "organisation": by[1]},
        "side": side,
        "accepted": {topic: _accepted(item) for topic, item in state.items.items()},
        "meaning": READY,
        "signed_at": at,
    }
    return ToSign(READY, at, msgspec.json.decode(msgspec.json.encode(value)))  # as it is kept


def sealed(body: Mapping[str, Any], due: ToSign) -> Sealed | None:
    """Return the signature that `body` carries, held against what was `due`; None without one."""
    if "signature" not in body:
        return None  # signed by password, before signatures were kept with their content
    one = msgspec.convert(body["signature"], Signature)
    return Sealed(one.name, one.at, one.method, _wrong(one, body.get("signed"), due))


def _accepted(item: Item) -> dict[str, Any]:
    return {
        "evidence": item.evidence,
        "sha256": item.sha256,
        "until": item.until,
        "carried": item.carried,
        "run": item.run,
        # What was signed before trainings were counted has no such line.
        **({} if item.trained is None else {"trained": item.trained}),
    }


def _wrong(one: Signature, signed: Any, due: ToSign) -> str:
    if signed != due.value:
        return "what was signed is not what the record says"
    if one.digest != f"sha256:{digest_of(signed).hex()}":
        return "the content has another digest than the one that was signed"
    if one.person != signed["by"]["person"] or one.meaning != signed["meaning"]:
        return "another person or another meaning was signed"
    return key_says(one, due.digest)
