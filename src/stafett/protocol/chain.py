"""A protocol bound to one product, with the places of its parts: what the rules read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from stafett.protocol.finding import Finding
from stafett.protocol.model import Check, Handoff, Material, Protocol, Route, Rung, Step
from stafett.protocol.net import Net, target
from stafett.protocol.read import Document, Path_


@dataclass(frozen=True)
class Chain:
    """One delivery chain as it is checked. `product` is None when it takes no parameters."""

    document: Document
    protocol: Protocol
    product: str | None = None

    @cached_property
    def net(self) -> Net:
        """Its meaning. Only safe to ask when `references` has found no error."""
        return Net(self.protocol)

    def found(
        self, code: str, path: Path_, what: str, trace: tuple[str, ...] | None = None
    ) -> Finding:
        """Make a finding at `path`."""
        return Finding(code, self.document.place(*path), what, trace, self.product)

    # -- walking -------------------------------------------------------------------------------

    def activities(self) -> Iterator[tuple[Path_, str, Step | Handoff]]:
        """Yield every step and handoff with its path and name."""
        for name, step in self.protocol.steps.items():
            yield ("steps", name), name, step
        for name, handoff in self.protocol.handoffs.items():
            yield ("handoffs", name), name, handoff

    def checks(self) -> Iterator[tuple[Path_, str, str, Check]]:
        """Yield every check: its path, its activity, its side ("step", "release", "accept")."""
        for path, name, activity in self.activities():
            for side, more, checks in sides(activity):
                for i, check in enumerate(checks):
                    yield (*path, *more, "checks", i), name, side, check

    def routes(self) -> Iterator[tuple[Path_, str, Route]]:
        """Yield every route with its path and where it starts (activity, material, interrupt)."""
        for path, name, activity in self.activities():
            for field in ("on_stop", "on_quarantine", "on_refuse", "exhausted"):
                route = getattr(activity, field, None)
                if route is not None:
                    yield (*path, field), name, route
            if isinstance(activity, Step):
                for result, entry in activity.results.items():
                    if entry.then is not None:
                        yield (*path, "results", result, "then"), name, entry.then
        for name, material in self.protocol.materials.items():
            for field in ("on_lost", "on_expired"):
                route = getattr(material, field)
                if route is not None:
                    yield ("materials", name, field), name, route
        for name, interrupt in self.protocol.interrupts.items():
            yield ("interrupts", name, "then"), name, interrupt.then

    def ladders(self) -> Iterator[tuple[Path_, str, tuple[Rung, ...]]]:
        """Yield the escalation ladder of every activity that has one."""
        for path, name, activity in self.activities():
            if activity.escalation:
                yield (*path, "escalation"), name, activity.escalation

    # -- order ---------------------------------------------------------------------------------

    @cached_property
    def before(self) -> dict[str, frozenset[str]]:
        """Activity -> all activities that are done before it can begin. Needs an acyclic order."""
        table: dict[str, frozenset[str]] = {}
        for name in self.order:
            names = {target(ref) for ref in self.activity(name).after}
            table[name] = frozenset(names).union(*(table[other] for other in names))
        return table

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Every activity, each after all that it depends on. Needs an acyclic order."""
        done: dict[str, None] = {}
        stack = [name for _, name, _ in self.activities()][::-1]
        while stack:
            name = stack[-1]
            wanted = [t for ref in self.activity(name).after if (t := target(ref)) not in done]
            if name in done or not wanted:
                done[stack.pop()] = None
            else:
                stack += wanted
        return tuple(done)

    def activity(self, name: str) -> Step | Handoff:
        """Return the step or handoff called `name`."""
        step = self.protocol.steps.get(name)
        return step if step is not None else self.protocol.handoffs[name]

    def path(self, name: str) -> Path_:
        """Return the path of activity `name`."""
        return ("steps" if name in self.protocol.steps else "handoffs", name)

    def material(self, name: str) -> Material:
        """Return the material called `name`."""
        return self.protocol.materials[name]

    def contents(self, activity: Step | Handoff) -> frozenset[str]:
        """Return what a handoff carries or a step works on, and all that may be packed in it."""
        found: set[str] = set()
        todo = list(activity.carries if isinstance(activity, Handoff) else activity.inputs)
        while todo:
            material = todo.pop()
            if material not in found:
                found.add(material)
                for step in self.protocol.steps.values():
                    todo += [inner for inner, outer in step.packs.items() if outer == material]
        return frozenset(found)

    def makers(self, material: str) -> tuple[str, ...]:
        """Return the activities that bring `material` into existence."""
        return tuple(
            name
            for _, name, activity in self.activities()
            if material
            in (activity.outputs if isinstance(activity, Step) else activity.becomes.values())
        )


def sides(activity: Step | Handoff) -> tuple[tuple[str, Path_, tuple[Check, ...]], ...]:
    """Return the sides of an activity: name, path below the activity, checks."""
    if isinstance(activity, Step):
        return (("step", (), activity.checks),)
    return (
        ("release", ("release",), activity.release.checks),
        ("accept", ("accept",), activity.accept.checks),
    )
