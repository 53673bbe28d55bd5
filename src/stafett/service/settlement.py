"""What the record says an organisation contributed, and what it would owe or earn.

A statement is of the record up to a position, so that it can be asked for again and is the same.
An organisation sees the journeys it takes part in, and of the statements only its own. It is worked
out where every long computation is (`computing`, `settlement_work`).
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass, field
from typing import Literal

import msgspec

from stafett.design.incentives.statement import Contribution, Statement
from stafett.service import going
from stafett.service.computing import Computing
from stafett.service.going import Going

Form = Literal["pool", "bond", "penalties"]
FORMS: tuple[Form, ...] = ("pool", "bond", "penalties")
LOST, BETA, COST = 0.06, 0.97, 10.0  # assumptions, as in the built-in game: see its file
POOL = 0.6  # of the value, shared equally by the organisations; the payer keeps the rest


class Settling(msgspec.Struct, frozen=True):
    """Settle what `organisation` sees of the record up to `position`.

    `value`: what a success is worth, thousand US dollars. `rate` (0 to 1): of the bond, or the
    share of the value that a giver pays for a failed handoff; a pool alone has none.
    """

    organisation: str
    position: int
    value: float
    form: Form
    rate: float


@dataclass(frozen=True)
class Counted:
    """How much of the record went in, and what was left out."""

    journeys: int
    successes: int
    open: int
    unrecorded: int


@dataclass(frozen=True)
class Settlement:
    """One organisation's view; `problem` says why there is nothing to settle."""

    problem: str = ""
    counted: Counted | None = None
    interfaces: tuple[Contribution, ...] = ()  # those it gives or receives at
    targets: dict[str, float] = field(default_factory=dict)
    statement: Statement | None = None
    organisations: int = 0


class Settlements:
    """Statements, worked out once and kept."""

    def __init__(self, computing: Computing) -> None:
        self._computing = computing

    async def of(self, wish: Settling, person: str) -> Settlement | Going:
        """The statement of an organisation, or how far it is."""
        asked = msgspec.json.encode(wish, order="sorted")
        c = await self._computing.ask(
            "settlement", asked, person, wish.organisation, 1, lane="pages", join=True
        )
        body = await self._computing.answer(c.digest) if c.state == "done" else None
        if body is None:
            return going.of(c)
        return msgspec.msgpack.decode(body, type=Settlement)


def settlement_csv(found: Settlement) -> str:
    """Contributions and lines of the statement as one table."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["table", "what", "interface", "count", "failed", "lost", "target", "amount"])
    for c in found.interfaces:
        target = found.targets.get(c.name, "")
        writer.writerow(
            ["contribution", "", c.name, c.reached, c.failed, c.journeys_lost, target, ""]
        )
    if found.statement is not None:
        for x in found.statement.lines:
            writer.writerow(["statement", x.what, x.interface, x.count, "", "", "", x.amount])
        writer.writerow(["statement", "total", "", "", "", "", "", found.statement.total])
    return text.getvalue()


def settlement_json(found: Settlement, wish: Settling) -> str:
    """The statement as JSON, with what was asked and what is assumed."""
    body = asdict(found)
    if found.statement is not None:
        body["statement"]["total"] = found.statement.total
    assumed = {"lost_without_effort": LOST, "beta": BETA, "cost": COST, "pool": POOL}
    return json.dumps(
        {"asked": msgspec.to_builtins(wish), "unit": "thousand US dollars", "assumed": assumed,
         **body}
    )  # fmt: skip
