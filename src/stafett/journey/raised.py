"""A deviation that was raised, and how far its handling has come.

Each step of the handling is one value that is there or is not: there is no closing without a
conclusion, no acknowledgement by nobody, no effect of an action that nobody looked for.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from stafett.journey.command import Cause, Criterion, Disposition, Impact, Part
from stafett.journey.value import Frozen
from stafett.protocol.model import Kind, Severity


class Statement(Frozen, frozen=True, kw_only=True):
    """One part of a supply out of specification: who said it, in which role."""

    part: Part
    role: str
    person: str
    statement: str
    at: datetime


class Finished(Frozen, frozen=True, kw_only=True):
    """A corrective action is done: when, by whom, with which result."""

    at: datetime
    person: str
    result: str


class Looked(Frozen, frozen=True, kw_only=True):
    """Somebody has looked whether an action worked: when, whether it did, and what shows it."""

    at: datetime
    effective: bool
    evidence: str


class Action(Frozen, frozen=True, kw_only=True):
    """A corrective action, from plan to the look whether it worked."""

    action: str
    what: str
    owner: str
    organisation: str
    due: datetime
    check_by: datetime
    finished: Finished | None = None
    looked: Looked | None = None

    @property
    def finished_at(self) -> datetime | None:
        """When it was done; None while it is not."""
        return None if self.finished is None else self.finished.at

    @property
    def finished_by(self) -> str | None:
        """Who did it; None while nobody has."""
        return None if self.finished is None else self.finished.person

    @property
    def result(self) -> str:
        """What came of it; empty while it is not done."""
        return "" if self.finished is None else self.finished.result

    @property
    def checked_at(self) -> datetime | None:
        """When somebody looked whether it worked; None while nobody has."""
        return None if self.looked is None else self.looked.at

    @property
    def effective(self) -> bool | None:
        """Whether it worked; None while nobody has looked."""
        return None if self.looked is None else self.looked.effective

    @property
    def evidence(self) -> str:
        """What shows whether it worked; empty while nobody has looked."""
        return "" if self.looked is None else self.looked.evidence


class Triaged(Frozen, frozen=True, kw_only=True):
    """Its weight has been judged: when, by which criteria, with which impact."""

    at: datetime
    criteria: tuple[Criterion, ...]
    impact: Impact


class Decided(Frozen, frozen=True, kw_only=True):
    """What becomes of the product has been decided: when, what, why."""

    at: datetime
    disposition: Disposition
    reason: str


class Named(Frozen, frozen=True, kw_only=True):
    """Its cause has been found, and why it is thought to be that."""

    cause: Cause
    why: str


class Work(Frozen, frozen=True, kw_only=True):
    """What has been done about a deviation."""

    triaged: Triaged | None = None
    immediate: tuple[str, ...] = ()
    named: Named | None = None
    statements: tuple[Statement, ...] = ()
    decided: Decided | None = None
    actions: tuple[Action, ...] = ()

    @property
    def triaged_at(self) -> datetime | None:
        """When its weight was judged; None while it is not."""
        return None if self.triaged is None else self.triaged.at

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """By what its weight was judged."""
        return () if self.triaged is None else self.triaged.criteria

    @property
    def impact(self) -> Impact | None:
        """What it may have touched; None while nobody has judged it."""
        return None if self.triaged is None else self.triaged.impact

    @property
    def cause(self) -> Cause | None:
        """What it came from; None while nobody has found out."""
        return None if self.named is None else self.named.cause

    @property
    def why(self) -> str:
        """Why it is thought to come from that; empty while nobody has found out."""
        return "" if self.named is None else self.named.why

    @property
    def disposition(self) -> Disposition | None:
        """What becomes of the product; None while it is not decided."""
        return None if self.decided is None else self.decided.disposition

    @property
    def reason(self) -> str:
        """Why it was decided so; empty while it is not."""
        return "" if self.decided is None else self.decided.reason

    @property
    def decided_at(self) -> datetime | None:
        """When it was decided; None while it is not."""
        return None if self.decided is None else self.decided.at


NO_WORK = Work()


class Acknowledged(Frozen, frozen=True, kw_only=True):
    """Somebody has seen it: when, and who."""

    at: datetime
    person: str


class Closed(Frozen, frozen=True, kw_only=True):
    """It is closed: when, and with which conclusion."""

    at: datetime
    conclusion: str


class Raised(Frozen, frozen=True, kw_only=True):
    """A deviation and how far its handling has come.

    `between` is set when the time between two hands that it is about is over: from the release of
    the handoff until its receiver took, isolated or refused it.
    """

    deviation: str
    code: str
    kind: Kind
    severity: Severity
    about: str
    note: str
    raised_at: datetime
    position: int
    detected: str | None = None
    originated: str | None = None
    check: str | None = None
    silence: str | None = None
    between: tuple[datetime, datetime] | None = None
    acknowledged: Acknowledged | None = None
    closed: Closed | None = None
    work: Work = NO_WORK

    @property
    def acknowledged_at(self) -> datetime | None:
        """When somebody saw it; None while nobody has."""
        return None if self.acknowledged is None else self.acknowledged.at

    @property
    def acknowledged_by(self) -> str | None:
        """Who saw it; None while nobody has."""
        return None if self.acknowledged is None else self.acknowledged.person

    @property
    def closed_at(self) -> datetime | None:
        """When it was closed; None while it is open."""
        return None if self.closed is None else self.closed.at

    @property
    def conclusion(self) -> str | None:
        """With which conclusion it was closed; None while it is open."""
        return None if self.closed is None else self.closed.conclusion

    @property
    def noted(self) -> str:
        """What is noted of it: with the length of the time between hands once that is over."""
        if self.between is None:
            return self.note
        since, until = self.between
        return (
            f"{self.note}; between hands {_length(until - since)}, "
            f"from {since.isoformat()} to {until.isoformat()}"
        )

    @property
    def stage(self) -> Literal["raised", "triaged", "decided", "closed"]:
        """How far its handling has come."""
        if self.closed_at is not None:
            return "closed"
        if self.work.disposition is not None:
            return "decided"
        return "raised" if self.work.triaged_at is None else "triaged"


def _length(time: timedelta) -> str:
    """Write a length of time as protocols write it: in its two largest units."""
    minutes, seconds = divmod(max(round(time.total_seconds()), 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    first = next((i for i, (n, _) in enumerate(parts) if n), len(parts) - 1)
    shown = [f"{n} {unit}" for n, unit in parts[first : first + 2] if n]
    return " ".join(shown) or "0 s"
