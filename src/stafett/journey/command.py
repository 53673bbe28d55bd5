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

# How far a deviation reaches. What is not known yet is said to be unknown, never left out.
Degree = Literal["none", "possible", "confirmed", "unknown"]
# The closed criteria of a deviation's severity (`assess.CRITERIA` says what each weighs).
Criterion = Literal[
    "identity-in-doubt",
    "custody-unknown",
    "patient-harm-possible",
    "product-unsafe-possible",
    "specification-not-met",
    "limit-exceeded",
    "record-incomplete",
    "delay-reaches-patient",
    "no-effect-shown",
    "corrected-at-once",
]
Cause = Literal[
    "documentation",
    "labelling",
    "timing",
    "interpretation",
    "equipment",
    "material",
    "transport",
    "staffing",
    "biology",
    "not-found",
]
Disposition = Literal[
    "no-effect", "use-as-is", "rework", "recollect", "discard", "supply-out-of-specification"
]
Part = Literal["request", "risk-evaluation", "acceptance"]

# The role under which the service's own clock reports that something has expired.
WATCH = "watch"


class Actor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person who acts for an organisation in a role; `second` stood beside and watched."""

    person: str
    organisation: str
    role: str
    second: str | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a passkey answered when its challenge was the digest signed (WebAuthn, 7.2).

    Each in base64url; `public_key` in COSE, `rp` the site's name that the passkey is bound to.
    """

    credential: str
    public_key: str
    authenticator_data: str
    client_data: str
    signature: str
    rp: str


class Signature(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An electronic signature: printed name, time and meaning (21 CFR 11.50).

    `method` says how the person was authenticated; `digest` is over what was signed. `proof` is
    there when they signed with a key of their own.
    """

    person: str
    name: str
    meaning: str
    at: datetime
    method: str
    digest: str
    proof: Proof | None = None


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


class ReportSilence(Base, frozen=True, kw_only=True):
    """Nothing has happened for as long as the escalation permits; sent by the watch.

    `side` is the side of `activity` that it waits for, `about` the matter of a decision or the
    notification that nobody has read.
    """

    activity: str
    side: WorkSide
    about: str = ""


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


class Impact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a deviation means for the four things that matter."""

    identity: Degree
    custody: Degree
    product: Degree
    patient: Degree


class TriageDeviation(Base, frozen=True, kw_only=True):
    """Assess a deviation: which closed criteria hold, and what it means. Severity follows."""

    deviation: str
    criteria: tuple[Criterion, ...]
    impact: Impact
    note: str = ""


class TakeImmediateAction(Base, frozen=True, kw_only=True):
    """What was done at once, before anything was decided."""

    deviation: str
    what: str


class NameCause(Base, frozen=True, kw_only=True):
    """Say why it happened, and in which activity it began (not where it was seen)."""

    deviation: str
    cause: Cause
    why: str
    originated: str | None = None


class StateOutOfSpecification(Base, frozen=True, kw_only=True):
    """One part of supplying a product that is out of specification, signed.

    The physician's request, the manufacturer's evaluation of the risks, and its acceptance by the
    physician and by the manufacturer or its Qualified Person.
    """

    deviation: str
    part: Part
    statement: str
    signatures: tuple[Signature, ...] = ()


class DecideDeviation(Base, frozen=True, kw_only=True):
    """Decide, with a signature, what becomes of what the deviation is about."""

    deviation: str
    disposition: Disposition
    reason: str
    signatures: tuple[Signature, ...] = ()


class PlanAction(Base, frozen=True, kw_only=True):
    """Plan a corrective action: what, which role owns it, by when, and when it is checked."""

    deviation: str
    what: str
    owner: str
    due: datetime
    check_by: datetime


class FinishAction(Base, frozen=True, kw_only=True):
    """A corrective action was carried out."""

    deviation: str
    action: str
    result: str


class CheckAction(Base, frozen=True, kw_only=True):
    """Another person looked whether a corrective action worked."""

    deviation: str
    action: str
    effective: bool
    evidence: str
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


class OfferAccountability(Base, frozen=True, kw_only=True):
    """The accountable owner asks role `to` to answer for the journey from now on."""

    to: str
    reason: str
    signatures: tuple[Signature, ...] = ()


class AnswerAccountability(Base, frozen=True, kw_only=True):
    """Who was asked takes accountability over, or says why not. Until then nothing moves."""

    accept: bool
    reason: str = ""
    signatures: tuple[Signature, ...] = ()


class WithdrawAccountability(Base, frozen=True, kw_only=True):
    """The accountable owner takes back an offer that nobody has answered."""

    reason: str


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
    | ReportSilence
    | Interrupt
    | RaiseDeviation
    | AcknowledgeDeviation
    | CloseDeviation
    | TriageDeviation
    | TakeImmediateAction
    | NameCause
    | StateOutOfSpecification
    | DecideDeviation
    | PlanAction
    | FinishAction
    | CheckAction
    | Correct
    | Notify
    | AcknowledgeNotice
    | OfferAccountability
    | AnswerAccountability
    | WithdrawAccountability
)


class _Boxed(msgspec.Struct):
    """msgspec keeps what it knows of a struct's fields, and works out a bare union every time."""

    command: Command


def to_json(command: Command) -> dict[str, object]:
    """Return `command` as plain JSON values; `type` says which command it is."""
    plain: dict[str, object] = msgspec.to_builtins(command)
    return plain


def from_json(value: object) -> Command:
    """Read a command; raise msgspec.ValidationError, which names the field, if it is not one."""
    try:
        return msgspec.convert({"command": value}, _Boxed).command
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(str(error).replace("`$.command", "`$", 1)) from None
