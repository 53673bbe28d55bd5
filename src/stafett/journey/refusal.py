"""A refusal: why a command changes nothing, in words that name the field and what to do."""

from __future__ import annotations

from typing import Literal

import msgspec

from stafett.journey.command import Command

Code = Literal[
    "already-open",
    "not-open",
    "ended",
    "bad-time",
    "bad-value",
    "unknown-name",
    "unreadable-scan",
    "wrong-role",
    "wrong-organisation",
    "wrong-person",
    "not-possible-now",
    "stale-input",
    "already-answered",
    "check-missing",
    "document-missing",
    "unknown-blocks",
    "stopped",
    "signature",
    "deviation",
    "reason-missing",
    "expired",
    "not-correctable",
]


class Reason(msgspec.Struct, frozen=True):
    """One thing that is in the way: which field, what is wrong with it, and what to do."""

    field: str
    what: str
    todo: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The answer no. Nothing has changed.

    `then` are commands that the caller should submit in its own name, because the refused one
    brought something to light (that a material has expired).
    """

    code: Code
    reasons: tuple[Reason, ...]
    then: tuple[Command, ...] = ()

    def __str__(self) -> str:
        parts = (f"{r.what}" + (f" ({r.todo})" if r.todo else "") for r in self.reasons)
        return f"{self.code}: " + "; ".join(parts)


class Refused(Exception):
    """Carries a Refusal out of the depth of `decide`; never leaves this room."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def refuse(code: Code, field: str, what: str, todo: str = "") -> Refused:
    """Make the exception that refuses for one reason."""
    return Refused(Refusal(code=code, reasons=(Reason(field, what, todo),)))
