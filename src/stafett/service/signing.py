"""From what a client asked to a full command: who acts, and what they sign.

An electronic signature binds a person, a meaning and a moment to the exact bytes signed: the
canonical form (RFC 8785) of the command and of the place in the record that it follows.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import msgspec
import rfc8785

from stafett.journey import command as commands
from stafett.journey import gate
from stafett.journey.command import Actor, Command, Signature
from stafett.journey.refusal import Refused
from stafett.journey.state import State
from stafett.protocol.model import Sign, text
from stafett.protocol.net import Net
from stafett.service.accounts import Person
from stafett.service.refusal import No, Reason

METHOD = "password"
ASSESSED = "I have assessed this deviation"
DECIDED = "I decide this for what the deviation is about"
SAID = {
    "request": "I request this product although it is out of specification",
    "risk-evaluation": "I have evaluated the risks of this product",
    "acceptance": "I have read the evaluation and accept the risks",
}
LOOKED = "I have looked whether this action worked"
READ = "I have read this notice"


def complete(
    net: Net,
    state: State,
    asked: msgspec.Struct,
    by: Actor,
    person: Person,
    now: datetime,
    *,
    signed: bool,
) -> Command:
    """Return the command that `asked` stands for, acted by `by`, signed where that is due.

    `signed` says that the person has just proven who they are. Raises No("signature") when a
    signature is due and they have not.
    """
    plain: dict[str, Any] = msgspec.to_builtins(asked)
    plain |= {"by": msgspec.to_builtins(by), "recorded_at": now}
    meaning = _meaning(net, state, plain)
    if meaning is not None:
        if not signed:
            raise No(
                "signature",
                "This needs your signature",
                Reason("password", f"you sign: {meaning}", "enter your password"),
            )
        signature = msgspec.to_builtins(_sign(plain, state, person, meaning, now))
        if plain["type"] == "Sign":
            plain["signature"] = signature
        else:
            plain["signatures"] = [signature]
    return commands.from_json(plain)


def _sign(
    plain: dict[str, Any], state: State, person: Person, meaning: str, now: datetime
) -> Signature:
    what = msgspec.to_builtins({**plain, "journey": state.journey, "position": state.position})
    what |= {"meaning": meaning, "signed_at": now.isoformat()}
    digest = hashlib.sha256(rfc8785.dumps(msgspec.to_builtins(what))).hexdigest()
    return Signature(
        person=person.id,
        name=person.name,
        meaning=meaning,
        at=now,
        method=METHOD,
        digest=f"sha256:{digest}",
    )


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
    except Refused:
        return None  # decide says it better
    return text(sign.meaning) if sign else None


def kind(asked: msgspec.Struct) -> str:
    """Return which command `asked` is."""
    return str(asked.__struct_config__.tag)


__all__ = ["Command", "commands", "complete", "kind"]
