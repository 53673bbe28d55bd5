"""A cause of alerts and its ladder of calls: what somebody is told of, and who, from when on.

The times of the default ladders are proposals of this project, not published figures.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from stafett.journey.state import State
from stafett.protocol.model import Severity

Kind = Literal["soon", "deviation", "silence", "work"]
Urgency = Literal["warning", "minor", "major", "critical"]

DEPUTY_AFTER: Final[dict[Severity, timedelta]] = {
    "critical": timedelta(minutes=10),
    "major": timedelta(minutes=30),
    "minor": timedelta(hours=8),
}
OWNER_AFTER: Final[dict[Severity, timedelta]] = {
    "critical": timedelta(minutes=20),
    "major": timedelta(hours=2),
    "minor": timedelta(hours=24),
}
# A ladder of weeks is for work that may take weeks. Of a deviation that nobody has taken up the
# protocol's first rung tells after this long at most, and the others follow as much sooner.
UNHEEDED_AT_MOST: Final = timedelta(days=2)
DECIDE_WITHIN: Final[dict[Severity, timedelta]] = {
    "critical": timedelta(hours=24),
    "major": timedelta(days=7),
    "minor": timedelta(days=30),
}


class Call(NamedTuple):
    """One rung: from `at` on, `role` of `organisation` is told (their deputies, if `deputy`)."""

    rung: int
    at: datetime
    role: str
    organisation: str
    deputy: bool = False


class Cause(NamedTuple):
    """Why somebody is told. `key` is the same in every process and names it within the journey.

    `worse` is the condition that ends the silence after an acknowledgement, as a message's name.
    """

    key: str
    kind: Kind
    urgency: Urgency
    code: str
    activity: str
    about: str
    since: datetime
    why: str
    worse: Literal["late", "severity", "owner", "never"]
    calls: tuple[Call, ...]
    originated: str | None = None


def call(state: State, rung: int, at: datetime, role: str) -> Call:
    """Return the call of a role, at the organisation that plays it in this journey."""
    return Call(rung, at, role, state.parties[role])
