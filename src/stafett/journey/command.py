"""Commands: what people (and the watch) ask of a journey.

A command states what somebody says happened: `occurred_at` (aware), `by` whom. `recorded_at` is
when it reached the record; the service fills it in, and it is only used to flag clocks that cannot
be right. `round` is the round of the activity that the station was showing: a station that was
offline may send answers for a round that has been abandoned since, and those are refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

WorkSide = Literal["release", "accept", "step"]
Method = Literal["scan", "typed", "seen"]
Reception = Literal["accept", "accept-with-deviation", "quarantine", "refuse"]
Value = str | int | float | None

# The role under which the service's own clock reports that something has expired.
WATCH = "watch"


class Actor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person who acts for an organisation in a role; `second` stood beside and watched."""

    person: str
    organisation: str
    role: str
    second: str | None = None


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An electronic signature: printed name, time and meaning (21 CFR 11.50).

    `method` says how the person was authenticated; `digest` is over what was signed.
    """

    person: str
    name: str
    meaning: str
    at: datetime
    method: str
    digest: str


class Base(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag=True,
):
    """What every command says."""

    occurred_at: datetime
    by: Actor
    recorded_at: datetime | None = None


class OpenJourney(Base, frozen=True, kw_only=True):
    """Begin one patient's therapy under one version of a protocol, which is pinned.

    `patient` is a commitment, never the identity. `parties` says which organisation plays each
    role. `identifiers` are further identifiers of the journey that are known already.
    """

    journey: str
    coi: str
    patient: str
    protocol: str
    version: str
    product: str | None = None
    parties: dict[str, str]
    identifiers: dict[str, str] = {}


class Start(Base, frozen=True, kw_only=True):
    """Begin a step."""

    step: str
    round: int | None = None


class Answer(Base, frozen=True, kw_only=True):
    """Answer one check. `value` None means: it cannot be told (unknown).

    A time is text in ISO 8601 with its zone; a choice is the name of the choice; a quantity is a
    number in the check's unit. For a decision, `about` names what is being decided.
    """

    activity: str
    side: WorkSide
    check: str
    value: Value
    unit: str | None = None
    method: Method = "scan"
    about: str = ""
    round: int | None = None


class Attach(Base, frozen=True, kw_only=True):
    """Attach a document by its content address, with its required fields filled in."""

    activity: str
    side: WorkSide
    document: str
    sha256: str
    fields: dict[str, str] = {}
    about: str = ""
    round: int | None = None


class Sign(Base, frozen=True, kw_only=True):
    """Sign one side ahead of the person who closes it, where two people must."""

    activity: str
    side: WorkSide
    signature: Signature
    about: str = ""
    round: int | None = None


class Finish(Base, frozen=True, kw_only=True):
    """End a step with a result (`done` where the step has no named ones)."""

    step: str
    result: str = "done"
    signatures: tuple[Signature, ...] = ()
    round: int | None = None


class Release(Base, frozen=True, kw_only=True):
    """The giver lets go: from here the receiver is asked."""

    handoff: str
    signatures: tuple[Signature, ...] = ()
    round: int | None = None


class Receive(Base, frozen=True, kw_only=True):
    """The receiver decides; `reason` is a code of the deviation catalogue."""

    handoff: str
    decision: Reception
    reason: str | None = None
    note: str = ""
    signatures: tuple[Signature, ...] = ()
    round: int | None = None


class Decide(Base, frozen=True, kw_only=True):
    """Take a pending decision about a held activity, material or interrupt."""

    decision: str
    about: str
    result: str
    reason: str
    signatures: tuple[Signature, ...] = ()


class ReportLost(Base, frozen=True, kw_only=True):
    """A material is lost or destroyed."""

    material: str
    reason: str


class ReportExpired(Base, frozen=True, kw_only=True):
    """A material has outlived its shelf life; sent by the watch, or by whoever sees it."""

    material: str


class Interrupt(Base, frozen=True, kw_only=True):
    """Something that can happen at any time: consent withdrawn, death, ..."""

    interrupt: str
    reason: str


class RaiseDeviation(Base, frozen=True, kw_only=True):
    """A person reports a departure. `about` is an activity or a material.

    `detected` and `originated` are activities: where it was seen, and where it began, if known. A
    critical one about an activity that is under way stops it.
    """

    code: str
    about: str
    note: str
    detected: str | None = None
    originated: str | None = None


class AcknowledgeDeviation(Base, frozen=True, kw_only=True):
    """Somebody has seen it and takes care of it."""

    deviation: str


class CloseDeviation(Base, frozen=True, kw_only=True):
    """The assessment is done: what was concluded, and where it began."""

    deviation: str
    conclusion: str
    originated: str | None = None
    signatures: tuple[Signature, ...] = ()


class Correct(Base, frozen=True, kw_only=True):
    """Correct what was recorded as event `position` (1 = the first of the journey).

    The old event stays. Identifiers are never corrected, and a correction never lifts a stop.
    """

    position: int
    field: str
    value: Value
    reason: str


class Notify(Base, frozen=True, kw_only=True):
    """Send an on-demand notification (a handoff that any role may send at any time)."""

    handoff: str
    receiver: str | None = None
    answers: dict[str, Value] = {}
    note: str = ""
    signatures: tuple[Signature, ...] = ()


class AcknowledgeNotice(Base, frozen=True, kw_only=True):
    """The receiver of a notification has read it."""

    notice: str
    signatures: tuple[Signature, ...] = ()


Command = (
    OpenJourney
    | Start
    | Answer
    | Attach
    | Sign
    | Finish
    | Release
    | Receive
    | Decide
    | ReportLost
    | ReportExpired
    | Interrupt
    | RaiseDeviation
    | AcknowledgeDeviation
    | CloseDeviation
    | Correct
    | Notify
    | AcknowledgeNotice
)


def to_json(command: Command) -> dict[str, object]:
    """Return `command` as plain JSON values; `type` says which command it is."""
    plain: dict[str, object] = msgspec.to_builtins(command)
    return plain


def from_json(value: object) -> Command:
    """Read a command; raise msgspec.ValidationError, which names the field, if it is not one."""
    command: Command = msgspec.convert(value, Command)
    return command
