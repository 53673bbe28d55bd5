"""What a manufacturer (or an authority) asks of a site before it may use a protocol, and how two
such lists compare: the same, stricter, contradictory, or asked by one alone.

A requirement is about a *topic*, so that two manufacturers who ask for the same thing ask for it
under the same name. It asks that something exist (`holds`), that a number be at least or
at most something, or that a choice be among those allowed. Four of five of what manufacturers ask
could be the same (ASTCT 80/20 Task Force, Nikiforow et al., cited in domain/complaints.md 2.1.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from stafett.registry.trial import Long, Short

Kind = Literal["document", "training", "facility", "accreditation", "system", "dry-run"]
Ask = Literal["holds", "at-least", "at-most", "one-of"]
Verdict = Literal["same", "stricter", "weaker", "contradictory", "different", "unlike"]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{1,60}$")]


class Requirement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One requirement. `number` with its `unit` for limits, `choices` for "one-of".

    `months` is how long an acceptance holds; None is for as long as the list does. `roles` of a
    training: the roles of the protocol in which somebody must be competent; none is any role.
    """

    topic: Name
    title: Long
    kind: Kind
    ask: Ask = "holds"
    number: float | None = None
    unit: Short | None = None
    choices: tuple[Short, ...] = ()
    months: Annotated[int, msgspec.Meta(ge=1, le=120)] | None = None
    source: Long | None = None
    roles: tuple[Name, ...] = ()

    def __post_init__(self) -> None:
        """A limit has a number and a unit, a choice its choices; nothing else has."""
        limit = self.ask in ("at-least", "at-most")
        if limit != (self.number is not None) or limit != (self.unit is not None):
            raise ValueError(f"{self.topic}: a limit, and only a limit, has a number and a unit")
        if (self.ask == "one-of") != bool(self.choices):
            raise ValueError(f"{self.topic}: one-of, and only one-of, names its choices")
        if self.roles and self.kind != "training":
            raise ValueError(f"{self.topic}: only a training names roles")


class RequirementList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one organisation asks of a site for one protocol, in one version."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,60}$")]
    organisation: Short
    protocol: Short
    version: Short
    requirements: tuple[Requirement, ...]
    made_up: bool = False

    def __post_init__(self) -> None:
        """Each topic once, else nobody knows which of two holds."""
        topics = [r.topic for r in self.requirements]
        twice = sorted({t for t in topics if topics.count(t) > 1})
        if twice:
            raise ValueError(f"asked twice: {', '.join(twice)}")


def compare(a: Requirement, b: Requirement) -> Verdict:
    """Say how `a` stands to `b` (of the same topic).

    same: whatever meets one meets the other; stricter: what meets `a` meets `b`; contradictory:
    nothing meets both; different: some of what meets one meets the other; unlike: they cannot be
    compared (another unit, another kind of question), which a person must settle.
    """
    content, renewal = _content(a, b), _renewal(a, b)
    if renewal == "same" or content in ("contradictory", "unlike", "different"):
        return content
    return renewal if content in ("same", renewal) else "different"


def _renewal(a: Requirement, b: Requirement) -> Verdict:
    """Compare how often it must be renewed: never is the weakest."""
    if a.months == b.months:
        return "same"
    often = a.months is not None and (b.months is None or a.months < b.months)
    return "stricter" if often else "weaker"


def _content(a: Requirement, b: Requirement) -> Verdict:
    if a.topic != b.topic:
        raise ValueError(f"{a.topic} and {b.topic} are different topics")
    if set(a.roles) != set(b.roles):
        return "different"
    if "holds" in (a.ask, b.ask) and a.ask != b.ask:
        # "There is one" is met by whatever has a number or is among some choices.
        return "stricter" if b.ask == "holds" else "weaker"
    if a.ask == "holds":
        return "same"
    if "one-of" in (a.ask, b.ask):
        if a.ask != b.ask:
            return "unlike"
        return _choices(frozenset(a.choices), frozenset(b.choices))
    if a.unit != b.unit:
        return "unlike"
    assert a.number is not None and b.number is not None
    if a.ask == b.ask:
        if a.number == b.number:
            return "same"
        more = a.number > b.number
        return "stricter" if more == (a.ask == "at-least") else "weaker"
    low, high = (a.number, b.number) if a.ask == "at-least" else (b.number, a.number)
    return "contradictory" if low > high else "different"


def _choices(a: frozenset[str], b: frozenset[str]) -> Verdict:
    if a == b:
        return "same"
    if not a & b:
        return "contradictory"
    return "stricter" if a < b else "weaker" if b < a else "different"


def carries_over(accepted: Requirement, asked: Requirement) -> bool:
    """Say whether what met `accepted` meets `asked` too, for as long as both hold."""
    return accepted.topic == asked.topic and _content(accepted, asked) in ("same", "stricter")


class Line(msgspec.Struct, frozen=True):
    """One topic of a comparison: who asks it and how, and what to make of it.

    `verdict`: "one" (one list alone asks), "same", "graded" (who meets `strictest` meets all),
    "different" (all can be met, by no single one), "contradictory" or "unlike".
    """

    topic: str
    title: str
    asked: dict[str, Requirement]
    verdict: Literal["one", "same", "graded", "different", "contradictory", "unlike"]
    strictest: str | None = None


def table(lists: Sequence[RequirementList]) -> list[Line]:
    """Compare several lists topic by topic, what needs a person's mind first."""
    topics: dict[str, dict[str, Requirement]] = {}
    for one in lists:
        for requirement in one.requirements:
            topics.setdefault(requirement.topic, {})[one.id] = requirement
    lines = [_line(topic, asked) for topic, asked in topics.items()]
    order = ("contradictory", "unlike", "different", "graded", "one", "same")
    return sorted(lines, key=lambda line: (order.index(line.verdict), line.topic))


def _line(topic: str, asked: dict[str, Requirement]) -> Line:
    title = next(iter(asked.values())).title
    if len(asked) == 1:
        return Line(topic, title, asked, "one", next(iter(asked)))
    found = {compare(a, b) for a in asked.values() for b in asked.values()}
    for verdict in ("contradictory", "unlike"):
        if verdict in found:
            return Line(topic, title, asked, verdict)
    if found == {"same"}:
        return Line(topic, title, asked, "same", next(iter(asked)))
    for name, one in asked.items():
        if all(compare(one, other) in ("same", "stricter") for other in asked.values()):
            return Line(topic, title, asked, "graded", name)
    return Line(topic, title, asked, "different")


def shared(lines: Iterable[Line]) -> tuple[int, int]:
    """Return how many topics one answer meets for all who ask, of those that several ask."""
    several = [line for line in lines if line.verdict != "one"]
    return sum(line.verdict in ("same", "graded") for line in several), len(several)
