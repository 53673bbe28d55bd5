"""What a settlement says: contributions of interfaces or parties, and each party's statement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contribution:
    """What an interface, or a party, adds to the journeys that lost something."""

    name: str
    reached: int
    failed: int
    journeys_lost: float


@dataclass(frozen=True)
class Line:
    """One line of a statement: what it is for, how many, and money (below 0: owed).

    `interface` is the one that it is for, or empty.
    """

    what: str
    count: float
    amount: float
    interface: str = ""


@dataclass(frozen=True)
class Statement:
    """What one party owes or earns for the whole log, in thousand US dollars."""

    party: str
    lines: tuple[Line, ...]

    @property
    def total(self) -> float:
        """All lines."""
        return sum(line.amount for line in self.lines)
