"""Events: what is true of a journey from now on. The ledger stores them; nothing is ever changed.

The first group moves the protocol's marking, one move each; the second says what follows from a
move for materials, custody, accountability and decisions, so that a reader of the record needs no
protocol to see them; the rest is what people and the core itself note. Materials are named with
their **lot** (`bag/2` is the bag of the second attempt), which is what lineage is about.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from stafett.journey.command import (
    Actor,
    Cause,
    Criterion,
    Disposition,
    Impact,
    Method,
    Part,
    Signature,
    Value,
    WorkSide,
)
from stafett.protocol.model import Kind, Severity

CheckResult = Literal["pass", "fail", "unknown"]


class Base(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True):
    """What every event says; the envelope adds `recorded_at` and its place in the record."""

    occurred_at: datetime
    by: Actor


# -- moves ---------------------------------------------------------------------------------------


class JourneyOpened(Base, frozen=True, kw_only=True):
    """A journey began; the protocol version is pinned."""

    journey: str
    coi: str
    patient: str
    protocol: str
    version: str
    product: str | None
    parties: dict[str, str]
    identifiers: dict[str, str]


class StepStarted(Base, frozen=True, kw_only=True):
    """A step began."""

    step: str
    round: int


class StepFinished(Base, frozen=True, kw_only=True):
    """A step ended with `result`; `inputs` are the lots it worked on."""

    step: str
    round: int
    result: str
    signatures: tuple[Signature, ...] = ()
    inputs: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()


class Released(Base, frozen=True, kw_only=True):
    """The giver let go; `deviations` are those that the giver declares."""

    handoff: str
    round: int
    giver: str
    receiver: str
    carries: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()
    deviations: tuple[str, ...] = ()


class Accepted(Base, frozen=True, kw_only=True):
    """The receiver took it."""

    handoff: str
    round: int
    with_deviation: bool = False
    signatures: tuple[Signature, ...] = ()
    deviations: tuple[str, ...] = ()


class Quarantined(Base, frozen=True, kw_only=True):
    """The receiver took it, but it may not be used until that is decided."""

    handoff: str
    round: int
    reason: str
    signatures: tuple[Signature, ...] = ()


class Refused(Base, frozen=True, kw_only=True):
    """The receiver did not take it: it stays with the giver."""

    handoff: str
    round: int
    reason: str
    signatures: tuple[Signature, ...] = ()


class Stopped(Base, frozen=True, kw_only=True):
    """A critical check failed or could not be answered: nothing passes until that is decided."""

    activity: str
    side: WorkSide
    round: int
    deviation: str
    check: str | None = None


class Decided(Base, frozen=True, kw_only=True):
    """A pending decision was taken."""

    decision: str
    about: str
    result: str
    reason: str
    signatures: tuple[Signature, ...] = ()


class LossReported(Base, frozen=True, kw_only=True):
    """A material was lost or destroyed."""

    material: str
    lot: str
    reason: str


class ExpiryReported(Base, frozen=True, kw_only=True):
    """A material outlived its shelf life."""

    material: str
    lot: str
    expired_at: datetime


class Interrupted(Base, frozen=True, kw_only=True):
    """Something happened that ends or turns the journey."""

    interrupt: str
    reason: str


# -- what follows from a move --------------------------------------------------------------------


class MaterialCreated(Base, frozen=True, kw_only=True):
    """A material began to exist in the custody of `role`, made from `parents`."""

    material: str
    lot: str
    parents: tuple[str, ...]
    made_in: str
    role: str
    organisation: str
    identifiers: dict[str, str]
    quarantined: bool = False


class MaterialConsumed(Base, frozen=True, kw_only=True):
    """A material ceased to exist by being used."""

    material: str
    lot: str
    used_in: str


class MaterialGone(Base, frozen=True, kw_only=True):
    """A material ceased to exist otherwise."""

    material: str
    lot: str
    reason: Literal["lost", "expired", "discarded"]


class MaterialQuarantined(Base, frozen=True, kw_only=True):
    """A material may not be used until that is decided."""

    material: str
    lot: str
    because: str


class QuarantineLifted(Base, frozen=True, kw_only=True):
    """A material may be used again."""

    material: str
    lot: str


class MaterialPacked(Base, frozen=True, kw_only=True):
    """A material was put into another, and travels with it."""

    material: str
    lot: str
    outer: str


class MaterialUnpacked(Base, frozen=True, kw_only=True):
    """A material was taken out."""

    material: str
    lot: str


class CustodyMoved(Base, frozen=True, kw_only=True):
    """One custodian ended and the next began, at the same instant."""

    material: str
    lot: str
    handoff: str
    giver: str
    receiver: str
    organisation: str


class AccountabilityMoved(Base, frozen=True, kw_only=True):
    """Another role answers for the journey."""

    giver: str
    receiver: str
    organisation: str


class DecisionAwaited(Base, frozen=True, kw_only=True):
    """A decision is pending; nothing new starts until it is taken."""

    decision: str
    about: str
    role: str
    organisation: str


class StartedAfresh(Base, frozen=True, kw_only=True):
    """These activities begin a new round: what was answered for them before no longer counts."""

    activities: tuple[str, ...]
    because: str


class JourneyEnded(Base, frozen=True, kw_only=True):
    """The journey has its named outcome and somebody who answers for it."""

    outcome: str
    owner: str
    organisation: str
    treated: bool
    materials: str


# -- what people and the core note ---------------------------------------------------------------


class CheckAnswered(Base, frozen=True, kw_only=True):
    """A check was answered. `expected` is only told when a scan did not match."""

    activity: str
    side: WorkSide
    round: int
    check: str
    value: Value
    result: CheckResult
    method: Method
    unit: str | None = None
    about: str = ""
    critical: bool = False
    expected: str | None = None
    why: str = ""


class IdentifierBound(Base, frozen=True, kw_only=True):
    """A label became the identifier of a material (or of the `patient`, for the whole journey)."""

    activity: str
    side: WorkSide
    material: str
    identifier: str
    value: str
    about: str = ""


class DocumentAttached(Base, frozen=True, kw_only=True):
    """A document was attached by its content address."""

    activity: str
    side: WorkSide
    round: int
    document: str
    sha256: str
    fields: dict[str, str]
    about: str = ""


class Signed(Base, frozen=True, kw_only=True):
    """The first of several people signed."""

    activity: str
    side: WorkSide
    round: int
    signature: Signature
    about: str = ""


class DeviationRaised(Base, frozen=True, kw_only=True):
    """A departure from the protocol: where it was detected, and where it originated if known.

    `silence` names the side and the round in which nothing happened, if that is what it is.
    """

    deviation: str
    code: str
    kind: Kind
    severity: Severity
    about: str
    note: str
    detected: str | None = None
    originated: str | None = None
    check: str | None = None
    silence: str | None = None


class DeviationAcknowledged(Base, frozen=True, kw_only=True):
    """Somebody takes care of it."""

    deviation: str


class DeviationClosed(Base, frozen=True, kw_only=True):
    """It has been assessed."""

    deviation: str
    conclusion: str
    originated: str | None = None
    signatures: tuple[Signature, ...] = ()


class DeviationTriaged(Base, frozen=True, kw_only=True):
    """It was assessed by the closed criteria; `severity` is what they weigh."""

    deviation: str
    severity: Severity
    criteria: tuple[Criterion, ...]
    impact: Impact
    note: str = ""


class ImmediateActionTaken(Base, frozen=True, kw_only=True):
    """Something was done at once."""

    deviation: str
    what: str


class CauseNamed(Base, frozen=True, kw_only=True):
    """Why it happened; `originated` is where it began, kept apart from where it was seen."""

    deviation: str
    cause: Cause
    why: str
    originated: str | None = None


class OutOfSpecificationStated(Base, frozen=True, kw_only=True):
    """A request, an evaluation or an acceptance of supply out of specification."""

    deviation: str
    part: Part
    statement: str
    signatures: tuple[Signature, ...] = ()


class DeviationDecided(Base, frozen=True, kw_only=True):
    """What becomes of what it is about."""

    deviation: str
    disposition: Disposition
    reason: str
    signatures: tuple[Signature, ...] = ()


class ActionPlanned(Base, frozen=True, kw_only=True):
    """A corrective action has an owner, a date, and a date for the look whether it worked."""

    deviation: str
    action: str
    what: str
    owner: str
    organisation: str
    due: datetime
    check_by: datetime


class ActionFinished(Base, frozen=True, kw_only=True):
    """A corrective action was carried out."""

    deviation: str
    action: str
    result: str


class ActionChecked(Base, frozen=True, kw_only=True):
    """Whether a corrective action worked, as another person found it."""

    deviation: str
    action: str
    effective: bool
    evidence: str
    signatures: tuple[Signature, ...] = ()


class TimelineFlagged(Base, frozen=True, kw_only=True):
    """The stated time cannot be right: `what` is wrong with it, against which moment `bound`."""

    activity: str
    what: str
    bound: datetime


class Corrected(Base, frozen=True, kw_only=True):
    """What was recorded as event `position` was wrong; both values stay readable."""

    position: int
    field: str
    old: Value
    new: Value
    reason: str
    result: CheckResult | None = None


class Notified(Base, frozen=True, kw_only=True):
    """A notification was sent."""

    notice: str
    handoff: str
    giver: str
    receiver: str
    answers: dict[str, Value]
    note: str
    signatures: tuple[Signature, ...] = ()


class NoticeAcknowledged(Base, frozen=True, kw_only=True):
    """A notification was read."""

    notice: str
    signatures: tuple[Signature, ...] = ()


class AccountabilityOffered(Base, frozen=True, kw_only=True):
    """The owner `giver` asked `to` to answer for the journey; the giver answers for it still."""

    offer: str
    giver: str
    to: str
    organisation: str
    reason: str
    signatures: tuple[Signature, ...] = ()


class AccountabilityAccepted(Base, frozen=True, kw_only=True):
    """Who was asked took it: at this instant accountability moves."""

    offer: str
    to: str
    signatures: tuple[Signature, ...] = ()


class AccountabilityDeclined(Base, frozen=True, kw_only=True):
    """Who was asked did not take it: the giver answers for the journey still."""

    offer: str
    to: str
    reason: str
    signatures: tuple[Signature, ...] = ()


class AccountabilityWithdrawn(Base, frozen=True, kw_only=True):
    """The owner took the offer back."""

    offer: str
    to: str
    reason: str


Event = (
    JourneyOpened
    | StepStarted
    | StepFinished
    | Released
    | Accepted
    | Quarantined
    | Refused
    | Stopped
    | Decided
    | LossReported
    | ExpiryReported
    | Interrupted
    | MaterialCreated
    | MaterialConsumed
    | MaterialGone
    | MaterialQuarantined
    | QuarantineLifted
    | MaterialPacked
    | MaterialUnpacked
    | CustodyMoved
    | AccountabilityMoved
    | DecisionAwaited
    | StartedAfresh
    | JourneyEnded
    | CheckAnswered
    | IdentifierBound
    | DocumentAttached
    | Signed
    | DeviationRaised
    | DeviationAcknowledged
    | DeviationClosed
    | DeviationTriaged
    | ImmediateActionTaken
    | CauseNamed
    | OutOfSpecificationStated
    | DeviationDecided
    | ActionPlanned
    | ActionFinished
    | ActionChecked
    | TimelineFlagged
    | Corrected
    | Notified
    | NoticeAcknowledged
    | AccountabilityOffered
    | AccountabilityAccepted
    | AccountabilityDeclined
    | AccountabilityWithdrawn
)


class _Boxed(msgspec.Struct):
    """msgspec keeps what it knows of a struct's fields, and works out a bare union every time."""

    event: Event


def to_json(event: Event) -> dict[str, object]:
    """Return `event` as plain JSON values; `type` says which event it is."""
    plain: dict[str, object] = msgspec.to_builtins(event)
    return plain


def from_json(value: object) -> Event:
    """Read what `to_json` wrote; raise msgspec.ValidationError if it is not an event."""
    try:
        return msgspec.convert({"event": value}, _Boxed).event
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(str(error).replace("`$.event", "`$", 1)) from None
