"""A protocol, indexed: its activities, materials and roles by number, and how to read a marking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from stafett.protocol.marking import DONE, IDLE, NONE, OPEN, PRESENT, Held, Marking
from stafett.protocol.model import Handoff, Protocol, Ref, Step


@dataclass(frozen=True)
class Index:
    """A protocol, indexed. Names that do not exist raise KeyError: check them first."""

    protocol: Protocol

    @cached_property
    def activities(self) -> tuple[str, ...]:
        """Every activity by name, steps first; on-demand handoffs are notifications, not here."""
        handoffs = (n for n, h in self.protocol.handoffs.items() if not h.on_demand)
        return (*self.protocol.steps, *handoffs)

    @cached_property
    def index(self) -> dict[str, int]:
        """Activity name -> index."""
        return {name: i for i, name in enumerate(self.activities)}

    @cached_property
    def materials(self) -> tuple[str, ...]:
        """Every material by name."""
        return tuple(self.protocol.materials)

    @cached_property
    def material(self) -> dict[str, int]:
        """Material name -> index."""
        return {name: i for i, name in enumerate(self.materials)}

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Every role by name."""
        return tuple(self.protocol.roles)

    @cached_property
    def role(self) -> dict[str, int]:
        """Role name -> index."""
        return {name: i for i, name in enumerate(self.roles)}

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """Every outcome by name."""
        return tuple(self.protocol.outcomes)

    def activity(self, name: str) -> Step | Handoff:
        """Return the step or handoff called `name`."""
        step = self.protocol.steps.get(name)
        return step if step is not None else self.protocol.handoffs[name]

    @cached_property
    def followers(self) -> dict[str, tuple[str, ...]]:
        """Activity -> those that name it in `after`."""
        table: dict[str, list[str]] = {name: [] for name in self.activities}
        for name in self.activities:
            for ref in self.activity(name).after:
                table[target(ref)].append(name)
        return {name: tuple(dict.fromkeys(after)) for name, after in table.items()}

    def downstream(self, name: str) -> frozenset[str]:
        """Return `name` and every activity that depends on it."""
        seen: set[str] = set()
        todo = [name]
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo.extend(self.followers[at])
        return frozenset(seen)

    def initial(self) -> Marking:
        """Return the marking of a journey that has just been opened."""
        return Marking(
            activities=(IDLE,) * len(self.activities),
            attempts=(0,) * len(self.activities),
            materials=(Held(),) * len(self.materials),
            owner=self.role[self.protocol.owner],
        )

    def state(self, marking: Marking, name: str) -> int:
        """Return the state of activity `name`."""
        return marking.activities[self.index[name]]

    def is_done(self, marking: Marking, ref: Ref) -> bool:
        """Say whether `ref` ("H07", or "D2=release" for one result) is done."""
        name, _, result = ref.partition("=")
        state = self.state(marking, name)
        if not result:
            return state >= DONE
        return state == DONE + self.results(name).index(result)

    def results(self, name: str) -> tuple[str, ...]:
        """Return the named ways in which activity `name` can end."""
        step = self.protocol.steps.get(name)
        if step is None:
            return ("accept", "accept-with-deviation")
        return tuple(step.results) or ("done",)

    def is_enabled(self, marking: Marking, name: str) -> bool:
        """Say whether `name` has not begun, and all that it comes after is done."""
        i = self.index[name]
        states = marking.activities
        if states[i] != IDLE:
            return False
        for j, wanted in self._awaits[i]:
            if states[j] < DONE or (wanted != NONE and states[j] != DONE + wanted):
                return False
        return True

    def possible(self, marking: Marking) -> tuple[str, ...]:
        """Return the activities that are under way or enabled, in the protocol's order."""
        return self._possible(marking.activities)

    @cached_property
    def _possible(self) -> Callable[[tuple[int, ...]], tuple[str, ...]]:
        """`possible`, kept: most events leave a marking as it is, and journeys share them."""

        @lru_cache(maxsize=4096)
        def of(states: tuple[int, ...]) -> tuple[str, ...]:
            marking = Marking(states, (), (), 0)
            return tuple(
                name
                for name, state in zip(self.activities, states, strict=True)
                if state == OPEN or (state == IDLE and self.is_enabled(marking, name))
            )

        return of

    @cached_property
    def _awaits(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each activity, by index: what it comes after, as (index, result or NONE)."""
        table = []
        for name in self.activities:
            refs = (ref.partition("=") for ref in self.activity(name).after)
            table.append(
                tuple(
                    (self.index[after], self.results(after).index(result) if result else NONE)
                    for after, _, result in refs
                )
            )
        return tuple(table)

    def contents(self, marking: Marking, outer: str) -> tuple[str, ...]:
        """Return the materials packed in `outer`, however deep."""
        found: list[str] = []
        todo = [self.material[outer]]
        while todo:
            at = todo.pop(0)
            for i, held in enumerate(marking.materials):
                if held.inside == at and held.state in PRESENT and self.materials[i] not in found:
                    found.append(self.materials[i])
                    todo.append(i)
        return tuple(found)

    def carried(self, marking: Marking, handoff: Handoff) -> tuple[str, ...]:
        """Return what a handoff moves: what it names and all that is packed in it."""
        inside = (deep for name in handoff.carries for deep in self.contents(marking, name))
        return tuple(dict.fromkeys((*handoff.carries, *inside)))

    def involved(self, marking: Marking, name: str) -> tuple[str, ...]:
        """Return the materials that activity `name` works on: isolated when it is stopped."""
        activity = self.activity(name)
        if isinstance(activity, Handoff):
            return self.carried(marking, activity)
        inner = (*activity.packs, *activity.packs.values(), *activity.unpacks)
        return tuple(dict.fromkeys((*activity.inputs, *inner)))

    def made_by(self, activities: frozenset[str]) -> tuple[str, ...]:
        """Return the materials that these activities bring into existence."""
        made: list[str] = []
        for name in activities:
            activity = self.activity(name)
            made += activity.outputs if isinstance(activity, Step) else activity.becomes.values()
        return tuple(dict.fromkeys(made))

    def present(self, marking: Marking, materials: tuple[str, ...]) -> bool:
        """Say whether all these materials exist, in quarantine or not."""
        return all(marking.materials[self.material[m]].state in PRESENT for m in materials)


def target(ref: Ref) -> str:
    """Return the activity that `ref` names."""
    return ref.partition("=")[0]
