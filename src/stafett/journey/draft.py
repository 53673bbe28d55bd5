"""Events in the making: each is applied at once, so that the next rule sees the state after it."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from stafett.journey import clock, deviation
from stafett.journey import event as e
from stafett.journey.command import Command
from stafett.journey.effects import effects
from stafett.journey.evolve import evolve, move_of
from stafett.journey.refusal import refuse
from stafett.journey.silence import taken_over
from stafett.journey.state import State
from stafett.protocol.model import Severity
from stafett.protocol.net import Move, Net

E = TypeVar("E", bound=e.Base)


class Draft:
    """What one command leads to. Made by `decide`, thrown away when it refuses."""

    def __init__(self, net: Net, state: State, command: Command) -> None:
        self.net, self.state, self.command = net, state, command
        self.events: list[e.Event] = []
        self.stamp = {"occurred_at": command.occurred_at, "by": command.by}

    @property
    def known_at(self) -> datetime:
        """When the command's matter happened at the latest: never after it was recorded.

        A station whose clock is ahead says a later moment; what has run out by then has not run
        out now.
        """
        at, recorded = self.command.occurred_at, self.command.recorded_at
        return at if recorded is None else min(at, recorded)

    def add(self, event: e.Event) -> None:
        """Add `event`; if it is a move of the protocol, also all that follows from it."""
        move = move_of(event)
        following = [] if move is None else list(effects(self.net, self.state, move, event))
        for one in (event, *following):
            self.events.append(one)
            self.state = evolve(self.net, self.state, one)

    def permits(self, move: Move) -> bool:
        """Say whether the order of the protocol permits `move` now."""
        return self.net.permits(self.state.marking, move)

    def need(self, move: Move, field: str) -> None:
        """Raise Refused unless `move` is permitted now and breaks no property."""
        if not self.permits(move):
            raise refuse("not-possible-now", field, f"{move} is not possible now", self._why(move))
        found = self.net.violations(self.state.marking, move)
        if found:
            raise refuse("not-possible-now", field, "; ".join(v.what for v in found))

    def _why(self, move: Move) -> str:
        marking = self.state.marking
        if marking.pending:
            names = {self.net.activities[p.decision] for p in marking.pending}
            return f"the decision is awaited: {', '.join(sorted(names))}"
        if move.subject in self.net.index:
            after = self.net.activity(move.subject).after
            waits = [ref for ref in after if not self.net.is_done(marking, ref)]
            if waits:
                return f"it comes after {', '.join(waits)}"
        return "look at what is open now"

    def deviate(
        self,
        code: str,
        about: str,
        note: str,
        *,
        severity: Severity | None = None,
        detected: str | None = None,
        originated: str | None = None,
        check: str | None = None,
        silence: str | None = None,
    ) -> str:
        """Raise a deviation and return its number within the journey."""
        entry = deviation.entry(self.net.protocol, code)
        name = f"D{len(self.state.deviations) + 1}"
        self.add(
            e.DeviationRaised(
                occurred_at=self.command.occurred_at,
                by=self.command.by,
                deviation=name,
                code=code,
                kind=entry.kind,
                severity=severity or entry.severity,
                about=about,
                note=note,
                detected=detected,
                originated=originated,
                check=check,
                silence=silence,
            )
        )
        return name

    def flag_time(self, activity: str) -> None:
        """Flag the command's time if it cannot be right; the order of events stays as it came."""
        at, recorded = self.command.occurred_at, self.command.recorded_at
        bound = clock.impossible(self.net, self.state, activity, at, recorded)
        if bound is not None:
            self.flag(activity, bound)

    def flag(self, activity: str, bound: clock.Bound) -> None:
        """Flag a moment that cannot be right, and raise that as a deviation."""
        self.add(
            e.TimelineFlagged(
                occurred_at=self.command.occurred_at,
                by=self.command.by,
                activity=activity,
                what=bound.what,
                bound=bound.at,
            )
        )
        # One deviation per activity: a station with a wrong clock would else raise one per scan.
        code = deviation.TIMELINE_IMPOSSIBLE
        if not any(d.code == code for d in self.state.open_deviations(activity)):
            self.deviate(code, activity, bound.what, detected=activity)

    def _noted(self, due: clock.Due, activity: str) -> str | None:
        for raised in self.state.deviations.values():
            if (raised.code, raised.about, raised.note) == (due.code, activity, clock.said(due)):
                return raised.deviation
        return None

    def late(self, activity: str) -> tuple[str, ...]:
        """Raise a timing deviation for every limit that `activity`, done now, has exceeded.

        One that the watch has raised already is named, not raised again.
        """
        at = self.command.occurred_at
        passed = [due for due in clock.dues(self.net, self.state, activity) if at > due.at]
        return tuple(self._noted(due, activity) or self._late(due, activity) for due in passed)

    def _late(self, due: clock.Due, activity: str) -> str:
        name = self.deviate(
            due.code, activity, clock.said(due), detected=activity, originated=due.originated
        )
        taken_over(self, activity, name)
        return name
