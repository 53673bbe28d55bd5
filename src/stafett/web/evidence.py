"""What stands behind a journey: its answers and its documents, as plain lines.

Made from the state (what counts now) and from the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from babel.numbers import format_decimal

from stafett.journey import gate
from stafett.journey.refusal import Refused
from stafett.journey.state import Answered, State
from stafett.protocol.model import Check, text
from stafett.protocol.net import Net
from stafett.protocol.units import printed
from stafett.service.accounts import Person
from stafett.service.record import Entry


@dataclass(frozen=True)
class AnswerLine:
    """One answer. `choices` and `kind` say how a correction is entered; `mine`: may be corrected.

    Identifiers are never corrected, and neither is an answer that stopped the journey.
    """

    at: datetime
    activity: str
    side: str
    ask: str
    value: str
    result: str
    person: str
    position: int
    role: str
    kind: str
    unit: str
    raw: Any
    mine: bool
    choices: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DocumentLine:
    """A document with its content address and its fields."""

    at: datetime
    activity: str
    title: str
    sha256: str
    fields: dict[str, str]
    person: str


def answers(net: Net, state: State, person: Person, language: str) -> list[AnswerLine]:
    """Return every answer that stands, oldest first."""
    found = []
    for key, sheet in state.sheets.items():
        activity, side, about = (*key.split(":", 2), "")[:3]
        try:
            desk = gate.desk(net, state, activity, side, about)  # type: ignore[arg-type]
        except Refused:
            continue
        own = desk.role in person.roles and state.parties.get(desk.role) == person.organisation
        for check in desk.checks:
            for one in sheet.answers.get(check.id, ()):
                found.append(_answer(desk, check, one, language, own=own))
    return sorted(found, key=lambda line: (line.at, line.position))


def _answer(
    desk: gate.Desk, check: Check, one: Answered, language: str, *, own: bool
) -> AnswerLine:
    titles = {name: text(choice.title, language) for name, choice in check.choices.items()}
    stopped = one.result == "fail" and check.critical
    return AnswerLine(
        at=one.at,
        activity=desk.activity,
        side=desk.side,
        ask=text(check.ask, language),
        value=_shown(check, one, titles, language),
        result=one.result,
        person=one.person,
        position=one.position,
        role=desk.role,
        kind=check.kind,
        unit=check.unit or "",
        raw=one.value,
        mine=own and check.kind != "scan" and one.result != "unknown" and not stopped,
        choices=titles,
    )


def _shown(check: Check, one: Answered, titles: dict[str, str], language: str) -> str:
    if one.value is None:
        return "–"
    if check.kind == "choice":
        return titles.get(str(one.value), str(one.value))
    if isinstance(one.value, str) and ":" in one.value and len(one.value) > 64:
        return "••••"  # a commitment says nothing to a reader
    written = str(one.value)
    if isinstance(one.value, int | float) and not isinstance(one.value, bool):
        written = str(format_decimal(one.value, format="#,##0.######", locale=language))
    return f"{written} {printed(check.unit)}" if check.unit else written


def documents(net: Net, entries: Sequence[Entry], language: str) -> list[DocumentLine]:
    """Return every document that was attached, oldest first."""
    found = []
    for entry in entries:
        if entry.kind == "DocumentAttached":
            e = entry.event
            known = net.protocol.documents.get(e["document"])
            title = text(known.title, language) if known else e["document"]
            found.append(
                DocumentLine(
                    entry.occurred_at, e["activity"], title, e["sha256"], e.get("fields", {}),
                    entry.person or "",
                )
            )  # fmt: skip
    return found
