"""From what a client asked to a full command: who acts, and what they sign.

An electronic signature binds a person, a meaning and a moment to the exact bytes signed: the
canonical form (RFC 8785) of the command and of the place in the record that it follows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from stafett.journey import command as commands
from stafett.journey import gate
from stafett.journey.command import Actor, Command, Proof, Signature
from stafett.journey.refusal import Refused
from stafett.journey.state import State
from stafett.ledger.canonical import canonical
from stafett.protocol.model import Sign, text
from stafett.protocol.net import Net
from stafett.service.accounts import Person

ASSESSED = "I have assessed this deviation"
DECIDED = "I decide this for what the deviation is about"
SAID = {
    "request": "I request this product although it is out of specification",
    "risk-evaluation": "I have evaluated the risks of this product",
    "acceptance": "I have read the evaluation and accept the risks",
}
HANDED = "I hand over accountability for this journey"
TAKEN = "I take over accountability for this journey"
NOT_TAKEN = "I do not take over accountability for this journey"
LOOKED = "I have looked whether this action worked"
READ = "I have read this notice"
BESIDE = "I am the second person, and this is my own answer"


@dataclass(frozen=True)
class ToSign:
    """What a person is about to sign: its meaning, the moment, and the very content."""

    meaning: str
    at: datetime
    value: dict[str, Any]

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the content's canonical form (RFC 8785)."""
        return digest_of(self.value)

    @property
    def content(self) -> bytes:
        """The content's canonical form (RFC 8785)."""
        return canonical(self.value)

    def by(self, person: Person, method: str, proof: Proof | None = None) -> Signature:
        """Return the signature of `person`, who has proven who they are by `method`."""
        return Signature(
            person=person.id,
            name=person.name,
            meaning=self.meaning,
            at=self.at,
            method=method,
            digest=f"sha256:{self.digest.hex()}",
            proof=proof,
        )


def digest_of(value: dict[str, Any]) -> bytes:
    """Return the SHA-256 of `value` in its canonical form (RFC 8785)."""
    return hashlib.sha256(canonical(value)).digest()


def to_sign(
    net: Net, state: State, asked: msgspec.Struct, by: Actor, now: datetime
) -> ToSign | None:
    """Return what carrying out `asked` signs at this place of the record; None where nothing is."""
    plain = _plain(asked, by, now)
    meaning = _meaning(net, state, plain)
    if meaning is None:
        return None
    return _at(state, plain, meaning, now)


def to_prove(net: Net, state: State, asked: msgspec.Struct, by: Actor, now: datetime) -> ToSign:
    """Return what the passkey of a second person answers: what they sign, or else the act itself.

    Not every act of a second person is signed (an answer is not), but each is proven to be theirs.
    """
    due = to_sign(net, state, asked, by, now)
    return due or _at(state, _plain(asked, by, now), BESIDE, now)


def complete(
    asked: msgspec.Struct, by: Actor, now: datetime, signature: Signature | None
) -> Command:
    """Return the command that `asked` stands for, acted by `by`, signed where that is due."""
    plain = _plain(asked, by, now)
    if signature is not None:
        given = msgspec.to_builtins(signature)
        if plain["type"] == "Sign":
            plain["signature"] = given
        else:
            plain["signatures"] = [given]
    return commands.from_json(plain)


def _at(state: State, plain: dict[str, Any], meaning: str, now: datetime) -> ToSign:
    """Bind an act to its place of the record, to what it means and to the moment."""
    what = {**plain, "journey": state.journey, "position": state.position}
    what |= {"meaning": meaning, "signed_at": now}
    return ToSign(meaning, now, msgspec.to_builtins(what))


def _plain(asked: msgspec.Struct, by: Actor, now: datetime) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(asked)
    return plain | {"by": msgspec.to_builtins(by), "recorded_at": now}


def _meaning(net: Net, state: State, plain: dict[str, Any]) -> str | None:
    """Return what is signed by this command, or None where nothing is."""
    sign: Sign | None = None
    try:
        match plain["type"]:
            case "Finish":
                sign = gate.desk(net, state, plain["step"], "step").sign
            case "Release":
                sign = gate.desk(net, state, plain["handoff"], "release").sign
            case "Receive":
                sign = gate.desk(net, state, plain["handoff"], "accept").sign
            case "Decide":
                sign = gate.desk(net, state, plain["decision"], "step", plain["about"]).sign
            case "Sign":
                sign = gate.desk(net, state, plain["activity"], plain["side"]).sign
            case "Notify":
                handoff = net.protocol.handoffs.get(plain["handoff"])
                sign = handoff.release.sign if handoff else None
            case "AcknowledgeNotice":
                notice = state.notices.get(plain["notice"])
                handoff = net.protocol.handoffs.get(notice.handoff) if notice else None
                sign = handoff.accept.sign if handoff else None
            case "CloseDeviation":
                return ASSESSED
            case "DecideDeviation":
                return DECIDED
            case "StateOutOfSpecification":
                return SAID[plain["part"]]
            case "CheckAction":
                return LOOKED
            case "OfferAccountability":
                return HANDED
            case "AnswerAccountability":
                return TAKEN if plain["accept"] else NOT_TAKEN
    except Refused:
        return None  # decide says it better
    return text(sign.meaning) if sign else None


def kind(asked: msgspec.Struct) -> str:
    """Return which command `asked` is."""
    return str(asked.__struct_config__.tag)


__all__ = ["Command", "commands", "complete", "digest_of", "kind", "to_prove", "to_sign"]
