"""A trial of a change as it was registered: who, what, when, at which interface, what is expected.

Plain on purpose: who lists or registers trials need not load what judges them (`insight.trials`).
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

OUTCOMES = ("dwell", "right_first_time")


class Trial(msgspec.Struct, frozen=True):
    """What was registered. `starts` says for each site the day on which the change began.

    `expected` is in per cent of the dwell (−20: a fifth shorter) or in percentage points of right
    first time. `source` is the source of the data it is about (the record, or a simulation).
    """

    id: str
    registered_at: datetime
    registered_by: str
    organisation: str
    partners: tuple[str, ...]
    source: str
    interface: str
    change: str
    outcome: str
    expected: float
    starts: dict[str, date]
    ended_at: datetime | None = None
    ended_by: str | None = None
    ended_why: str | None = None

    @property
    def in_advance(self) -> bool:
        """Whether it was registered no later than the day on which the first site began."""
        return self.registered_at.date() <= min(self.starts.values())
