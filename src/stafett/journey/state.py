"""What a journey is at one moment: the protocol's marking, and what the marking leaves out.

Immutable: `evolve` makes the next one. Everything is plain values, so two states can be compared
and a state can be written as JSON. What belongs together is one value that is there or is not: an
end has its way, a closure its conclusion. `evolve` writes custody as a chain of spells that each
begin where the one before ended; `stafett.watch.ownership.gaps` looks for one that does not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from stafett.journey.command import Method, Signature, Value, WorkSide
from stafett.journey.event import CheckResult
from stafett.journey.raised import Raised
from stafett.journey.value import Frozen
from stafett.protocol.model import Check
from stafett.protocol.net import Marking

# What a check `identifies` or `records` when it is not a material.
PATIENT = "patient"


class Answered(Frozen, frozen=True, kw_only=True):
    """One person's answer to one check; `position` is the event that said so."""

    person: str
    value: Value
    result: CheckResult
    method: Method
    at: datetime
    position: int
    expected: str | None = None


class Attached(Frozen, frozen=True, kw_only=True):
    """A document that is attached."""

    sha256: str
    fields: dict[str, str]
    position: int


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """What one side has done so far in this round: answers by check, documents, signatures.

    `bound` are labels for materials that this activity is about to make, by material, then by
    identifier.
    """

    answers: dict[str, tuple[Answered, ...]] = {}
    documents: dict[str, Attached] = {}
    signatures: tuple[Signature, ...] = ()
    bound: dict[str, dict[str, str]] = {}

    def people(self) -> frozenset[str]:
        """Return everyone who has answered or signed here."""
        answered = {a.person for answers in self.answers.values() for a in answers}
        return frozenset(answered | {s.person for s in self.signatures})

    def standing(self, check: str) -> tuple[Answered, ...]:
        """Return the answers that count: an unknown that was answered later no longer does."""
        answers = self.answers.get(check, ())
        last = len(answers) - 1
        return tuple(a for i, a in enumerate(answers) if a.result != "unknown" or i == last)

    def result(self, check: Check) -> CheckResult | None:
        """Return the worst standing answer, or None while people are still to answer."""
        standing = self.standing(check.id)
        results = {a.result for a in standing}
        if "fail" in results:
            return "fail"
        if "unknown" in results:
            return "unknown"
        return "pass" if len({a.person for a in standing}) >= check.people else None


EMPTY = Sheet()


class Spell(Frozen, frozen=True, kw_only=True):
    """A stretch of time in which `role` (played by `organisation`) held or answered for it."""

    role: str
    organisation: str
    since: datetime
    until: datetime | None = None


LotEnd = Literal["consumed", "lost", "expired", "discarded"]


class Ended(Frozen, frozen=True, kw_only=True):
    """When and how a lot ceased to exist: never one without the other."""

    at: datetime
    how: LotEnd


class Lot(Frozen, frozen=True, kw_only=True):
    """One physical thing: what it was made from, what it is called, who has held it.

    `inside` are the lots that it has been packed in: it shared their conditions.
    """

    lot: str
    material: str
    parents: tuple[str, ...]
    made_in: str
    made_at: datetime
    identifiers: dict[str, str]
    custody: tuple[Spell, ...]
    inside: tuple[str, ...] = ()
    end: Ended | None = None

    @property
    def ended_at(self) -> datetime | None:
        """When it ceased to exist; None while it does."""
        return None if self.end is None else self.end.at

    @property
    def ended(self) -> LotEnd | None:
        """How it ceased to exist; None while it does."""
        return None if self.end is None else self.end.how


class Notice(Frozen, frozen=True, kw_only=True):
    """A notification and whether it has been read."""

    notice: str
    handoff: str
    giver: str
    receiver: str
    sent_at: datetime
    note: str
    acknowledged_at: datetime | None = None


class Offer(Frozen, frozen=True, kw_only=True):
    """An offer of accountability that nobody has answered yet."""

    offer: str
    giver: str
    to: str
    organisation: str
    person: str
    reason: str
    at: datetime


class Carried(Frozen, frozen=True, kw_only=True):
    """A handoff of an earlier round: from its release until it was accepted, or begun afresh."""

    handoff: str
    since: datetime
    until: datetime


class Afresh(Frozen, frozen=True, kw_only=True):
    """An activity that was begun afresh `at` a moment; it had been done at `done_at`, if at all."""

    activity: str
    done_at: datetime | None
    at: datetime


class Ahead(Frozen, frozen=True, kw_only=True):
    """A moment that was said and lies in the future of the record, and when it was recorded."""

    said: datetime
    recorded: datetime


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A journey. `position` counts its events; `rounds` how often an activity was taken up."""

    journey: str
    coi: str
    patient: str
    protocol: str
    version: str
    product: str | None
    parties: dict[str, str]
    opened_at: datetime
    identifiers: dict[str, str]
    marking: Marking
    accountability: tuple[Spell, ...]
    position: int = 0
    latest_at: datetime
    ended_at: datetime | None = None
    rounds: dict[str, int] = {}
    begun: dict[str, datetime] = {}
    done: dict[str, datetime] = {}
    renewed: dict[str, datetime] = {}
    earlier: tuple[Carried, ...] = ()
    afresh: tuple[Afresh, ...] = ()
    awaited: dict[str, datetime] = {}
    sheets: dict[str, Sheet] = {}
    lots: dict[str, Lot] = {}
    current: dict[str, str] = {}
    deviations: dict[str, Raised] = {}
    notices: dict[str, Notice] = {}
    offer: Offer | None = None
    offers: int = 0
    flags: int = 0
    ahead: Ahead | None = None
    corrections: int = 0

    def sheet(self, activity: str, side: WorkSide, about: str = "") -> Sheet:
        """Return what that side has done in this round."""
        return self.sheets.get(sheet_key(activity, side, about), EMPTY)

    def round(self, activity: str) -> int:
        """Return the round that `activity` is in; the first is 1."""
        return self.rounds.get(activity, 1)

    def lot(self, material: str) -> Lot | None:
        """Return the latest lot of `material`, whether or not it still exists."""
        name = self.current.get(material)
        return None if name is None else self.lots[name]

    @property
    def owner(self) -> Spell:
        """Who answers for the journey now."""
        return self.accountability[-1]

    def open_deviations(self, about: str | None = None) -> tuple[Raised, ...]:
        """Return the deviations that are not closed, of one activity or material or of all."""
        return tuple(
            d
            for d in self.deviations.values()
            if d.closed_at is None and (about is None or about in (d.about, d.detected))
        )


def sheet_key(activity: str, side: WorkSide, about: str = "") -> str:
    """Name the sheet of one side of an activity (of one matter, for a decision)."""
    return f"{activity}:{side}:{about}" if about else f"{activity}:{side}"


def awaited_key(decision: str, about: str) -> str:
    """Name a pending decision."""
    return f"{decision}:{about}"


class Custody(NamedTuple):
    """Who held one lot, from when until when (None: still)."""

    lot: str
    material: str
    role: str
    organisation: str
    since: datetime
    until: datetime | None


def custody(state: State) -> list[Custody]:
    """List every stretch of custody of every lot, oldest lot first."""
    return [
        Custody(lot.lot, lot.material, s.role, s.organisation, s.since, s.until)
        for lot in state.lots.values()
        for s in lot.custody
    ]


def ancestors(state: State, lot: str) -> tuple[str, ...]:
    """Return every lot that `lot` was made from, nearest first."""
    found: dict[str, None] = {}
    todo = list(state.lots[lot].parents)
    while todo:
        parent = todo.pop(0)
        if parent not in found:
            found[parent] = None
            todo += state.lots[parent].parents
    return tuple(found)


def descendants(state: State, lot: str) -> tuple[str, ...]:
    """Return every lot that was made from `lot`, oldest first."""
    return tuple(name for name in state.lots if lot in ancestors(state, name))
