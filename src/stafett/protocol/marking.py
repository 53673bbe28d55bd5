"""How far a journey has come, and what can happen to it: plain values.

Markings are small tuples of integers, hashable and cheap; indices are into `Net.activities`,
`Net.materials`, `Net.roles`. Time is not part of a marking: that something is late or expired is a
move (`expire`) that the caller makes when the clock says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

# States of an activity. STOPPED: a critical check failed; ISOLATED: received into quarantine;
# REFUSED: not taken by the receiver; these three wait for a decision. From DONE on: DONE + index of
# the result it ended with.
IDLE, OPEN, STOPPED, ISOLATED, REFUSED, DONE = 0, 1, 2, 3, 4, 5
# States of a material.
ABSENT, LIVE, QUARANTINED, CONSUMED, GONE = 0, 1, 2, 3, 4
PRESENT = (LIVE, QUARANTINED)

NONE = -1


MoveKind = Literal[
    "start",  # a step begins
    "finish",  # a step ends with `detail` = result
    "release",  # the giver releases
    "accept",  # the receiver accepts (with or without a deviation)
    "quarantine",  # the receiver takes it, but it may not be used until it is decided
    "refuse",  # the receiver does not take it: it stays with the giver
    "stop",  # a critical check failed on the way: held until it is decided
    "decide",  # decision `activity` about `detail` = held activity or material, with `result`
    "lose",  # material `activity` is lost or destroyed
    "expire",  # material `activity` has outlived its shelf life
    "interrupt",  # interrupt `activity`
]


class Move(NamedTuple):
    """One thing that can happen. `subject` is an activity, a material or an interrupt by name."""

    kind: MoveKind
    subject: str
    detail: str = ""
    result: str = ""

    def __str__(self) -> str:
        tail = " ".join(part for part in (self.detail, self.result) if part)
        return f"{self.kind} {self.subject}" + (f" ({tail})" if tail else "")


class Held(NamedTuple):
    """A material's state, its custodian (role) and the container material it is packed in."""

    state: int = ABSENT
    custodian: int = NONE
    inside: int = NONE


class Pending(NamedTuple):
    """A decision that is awaited: which one, and about which activity or material."""

    decision: int
    about: str


class Marking(NamedTuple):
    """How far a journey has come. Immutable and hashable."""

    activities: tuple[int, ...]
    attempts: tuple[int, ...]
    materials: tuple[Held, ...]
    owner: int
    pending: tuple[Pending, ...] = ()
    outcome: int = NONE


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that a move would break: `rule` (a stable name) and what is wrong in words."""

    rule: str
    what: str
    subject: str


class NotPossible(ValueError):
    """A move that the protocol does not permit now; the message says why."""
