"""The same case before other sites, blind: its facts without its outcome, their answers kept.

Who is asked takes no part in the journey, sees neither it nor its site, and sees no other answer
before giving their own. The answers are the table that `stafett.insight.agreement` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from stafett.journey.command import Disposition
from stafett.journey.state import State
from stafett.protocol.model import Severity
from stafett.service.accounts import Accounts, Person
from stafett.service.journeys import Journeys
from stafett.service.refusal import No, Reason, unknown


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge sees: no journey, no site, no severity, no decision."""

    id: int
    asked: datetime
    code: str
    kind: str
    protocol: str
    activity: str
    facts: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One person's judgement of one case."""

    peer_case: int
    person: str
    organisation: str
    severity: str
    disposition: str
    why: str
    answered: datetime


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge answers: closed, both."""

    severity: Severity
    disposition: Disposition
    why: str = ""


CASE = ", ".join(f"c.{name}" for name in Case.__struct_fields__)
ANSWER = ", ".join(f"a.{name}" for name in Answer.__struct_fields__)


class Peers:
    """Cases and answers kept in PostgreSQL."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], journeys: Journeys, accounts: Accounts
    ) -> None:
        self._pool, self._journeys, self._accounts = pool, journeys, accounts

    async def ask(
        self, person: Person, journey: str, deviation: str, facts: str, sites: list[str]
    ) -> Case:
        """Put a deviation before other sites. Raises No where the facts would give it away."""
        live = await self._journeys.see(person, journey)
        raised = live.state.deviations.get(deviation)
        if raised is None:
            raise unknown("deviation", deviation)
        known = await self._accounts.organisations()
        for site in sites:
            if site not in known:
                raise unknown("organisation", site)
            if site in live.state.parties.values():
                what = f"{known[site].name} takes part in this journey and is not blind"
                raise No("bad-value", "Not blind", Reason("sites", what, "ask other sites"))
        if not sites:
            raise No("bad-value", "Nobody is asked", Reason("sites", "empty", "name a site"))
        if not facts.strip():
            raise No("bad-value", "No facts", Reason("facts", "empty", "say what was found"))
        for word in _telling(live.state, [o.name for o in known.values()]):
            if word.casefold() in facts.casefold():
                what = f"{word!r} says whose case it is"
                raise No("bad-value", "Not blind", Reason("facts", what, "leave it out"))
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Case)) as cursor,
        ):
            try:
                await cursor.execute(
                    "INSERT INTO alerts.peer_case AS c (journey, deviation, organisation, asked_by,"
                    " code, kind, protocol, activity, facts, sites)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                    f" RETURNING {CASE}".encode(),
                    [
                        journey, deviation, person.organisation, person.id, raised.code,
                        raised.kind, f"{live.state.protocol} {live.state.version}",
                        raised.detected or raised.about, facts.strip(), sites,
                    ],
                )  # fmt: skip
            except UniqueViolation:
                what = "this deviation has been put before other sites already"
                raise No("already-answered", "Asked already", Reason("deviation", what)) from None
            case: Case | None = await cursor.fetchone()
        assert case is not None
        return case

    async def waiting(self, person: Person) -> list[Case]:
        """Return the cases that the person's site is asked about and they have not judged."""
        return await self._cases(
            "WHERE %s = ANY(c.sites) AND NOT EXISTS (SELECT 1 FROM alerts.peer_answer a"
            " WHERE a.peer_case = c.id AND a.person = %s) ORDER BY c.id",
            [person.organisation, person.id],
        )

    async def of(self, person: Person, journey: str, deviation: str) -> Case | None:
        """Return the case made of a deviation that the person can see, if there is one."""
        await self._journeys.see(person, journey)
        found = await self._cases("WHERE c.journey = %s AND c.deviation = %s", [journey, deviation])
        return found[0] if found else None

    async def judge(self, person: Person, case: int, judged: Judged) -> None:
        """Keep a judgement; it cannot be changed. Raises No."""
        if case not in [one.id for one in await self.waiting(person)]:
            raise unknown("case", str(case))
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO alerts.peer_answer (peer_case, person, organisation, severity,"
                " disposition, why) VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    case, person.id, person.organisation, judged.severity, judged.disposition,
                    judged.why,
                ],
            )  # fmt: skip

    async def answers(self, person: Person) -> list[Answer]:
        """Return the answers to the cases of the person's own organisation, and their own."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Answer)) as cursor,
        ):
            await cursor.execute(
                f"SELECT {ANSWER} FROM alerts.peer_answer a JOIN alerts.peer_case c"
                " ON c.id = a.peer_case WHERE c.organisation = %s OR a.person = %s"
                " ORDER BY a.peer_case, a.answered".encode(),
                [person.organisation, person.id],
            )
            return list(await cursor.fetchall())

    async def _cases(self, rest: str, values: list[Any]) -> list[Case]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Case)) as cursor,
        ):
            await cursor.execute(f"SELECT {CASE} FROM alerts.peer_case c {rest}".encode(), values)
            return list(await cursor.fetchall())


def table(
    answers: list[Answer], question: Literal["severity", "disposition"]
) -> list[list[str | float | None]]:
    """Return the judgements of one question, one list a case, as `krippendorff` reads them."""
    by_case: dict[int, list[str | float | None]] = {}
    for answer in answers:
        by_case.setdefault(answer.peer_case, []).append(getattr(answer, question))
    return list(by_case.values())


def delimited(answers: list[Answer]) -> Iterator[str]:
    """Yield the answers as CSV: one line a judgement. No person is named, only their place."""
    yield "case,site,judge,severity,disposition,answered\r\n"
    judges: dict[str, str] = {}
    for answer in answers:
        judge = judges.setdefault(answer.person, f"judge-{len(judges) + 1}")
        yield (
            f"{answer.peer_case},{answer.organisation},{judge},{answer.severity},"
            f"{answer.disposition},{answer.answered.isoformat()}\r\n"
        )


def _telling(state: State, names: list[str]) -> list[str]:
    """What the facts must not hold: identifiers and the names of organisations."""
    found = [state.coi, state.journey, *state.identifiers.values(), *names]
    found += [value for lot in state.lots.values() for value in lot.identifiers.values()]
    return [word for word in found if len(word) > 3]


SEVERITIES: tuple[str, ...] = get_args(Severity)
