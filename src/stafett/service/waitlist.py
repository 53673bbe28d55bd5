"""The waitlist and the rule in force: kept, explained, and tried before it is adopted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from psycopg.types.json import Jsonb

from stafett.capacity import rule as rules
from stafett.capacity.rule import Effect, Ranked, Rule, Waiting
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.booking_rules import named
from stafett.service.bookings import Bookings
from stafett.service.refusal import No, Reason, unknown
from stafett.service.releases import WAITING_OVER, need_going_on
from stafett.service.slot_record import tell

PUBLIC = "public"


class Adopted(msgspec.Struct, frozen=True):
    """The rule in force: which version, by whom, when and why. Version 0 is the built-in one."""

    version: int
    rule: Rule
    person: str
    reason: str
    at: datetime | None


class Line(msgspec.Struct, frozen=True):
    """One's own patient on the list: place among all, points, and what they are made of.

    `behind`: which parts put the next one ahead in front, in points. Who that is is not told.
    """

    ranked: Ranked
    of: int
    behind: list[tuple[str, float]]


class Comparison(msgspec.Struct, frozen=True):
    """Two rules replayed on the same list and slots, group by group. `assumed` says with what."""

    now: list[Effect]
    proposed: list[Effect]
    slots: int
    assumed: str


class Waitlist:
    """The list and its rule, kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: sql.Pool, bookings: Bookings) -> None:
        self._pool, self._bookings = pool, bookings

    async def rule(self) -> Adopted:
        """Return the rule in force. It is public."""
        found = await self.rules()
        return (
            found[0] if found else Adopted(0, rules.FIRST, "", "the rule Stafett begins with", None)
        )

    async def rules(self) -> list[Adopted]:
        """Return every rule that was adopted, the newest first."""
        query = "SELECT version, value, person, reason, at FROM capacity.rule ORDER BY version DESC"
        found = await sql.rows(self._pool, query)
        return [Adopted(row[0], msgspec.convert(row[1], Rule), *row[2:]) for row in found]

    async def put(self, person: Person, one: Waiting) -> None:
        """Put a patient of the person's organisation on the list, or correct the entry."""
        if one.organisation != person.organisation:
            raise unknown("patient", one.patient)
        if one.listed_at.tzinfo is None or one.listed_at > datetime.now(UTC):
            what = "must have a zone and not lie ahead"
            raise No("bad-time", "Wrong date of listing", Reason("listed_at", what))
        one = msgspec.structs.replace(one, patient=named(one.patient))
        plain = msgspec.to_builtins(one)
        async with self._pool.connection() as connection:
            await need_going_on(connection, one.organisation, one.patient)
            await connection.execute(
                "INSERT INTO capacity.waiting (patient, organisation, value) VALUES (%s, %s, %s)"
                " ON CONFLICT (organisation, patient) DO UPDATE SET value = EXCLUDED.value",
                (one.patient, one.organisation, Jsonb(plain)),
            )
            told = await tell(
                connection, f"capacity/waiting/{one.organisation}", "PatientListed",
                {"waiting": plain}, [one.organisation], person,
            )  # fmt: skip
        await self._bookings.record.relay(told)

    async def remove(self, person: Person, patient: str, reason: str) -> None:
        """Take a patient of the person's organisation off the list."""
        async with self._pool.connection() as connection:
            done = await connection.execute(
                "DELETE FROM capacity.waiting WHERE organisation = %s AND patient = ANY(%s)",
                (person.organisation, [patient, named(patient)]),
            )
            if done.rowcount == 0:
                raise unknown("patient", patient)
            told = await tell(
                connection, f"capacity/waiting/{person.organisation}", "PatientDelisted",
                {"patient": patient, "reason": reason}, [person.organisation], person,
            )  # fmt: skip
        await self._bookings.record.relay(told)

    async def lines(self, person: Person) -> list[Line]:
        """Return the own patients with their places among all that wait."""
        every = rules.rank((await self.rule()).rule, await self.waiting(), datetime.now(UTC))
        return [
            Line(one, len(every), rules.ahead(every[n - 1], one) if n else [])
            for n, one in enumerate(every)
            if one.waiting.organisation == person.organisation
        ]

    async def over(self, person: Person) -> list[Waiting]:
        """Return the own patients on the list whose journey is over: they are offered nothing."""
        found = await sql.rows(
            self._pool,
            "SELECT w.value FROM capacity.waiting w WHERE w.organisation = %s AND"
            + WAITING_OVER
            + " ORDER BY w.patient",
            (person.organisation,),
        )
        return [msgspec.convert(row[0], Waiting) for row in found]

    async def compare(self, person: Person, proposed: Rule, slots_per_week: int = 1) -> Comparison:
        """Replay the rule in force and `proposed` on the list as it is. Raises No.

        Other organisations' groups are shown as sums only: no group of one organisation's patients
        but the person's own is named, and none of a few patients of others.
        """
        return await self._compare(proposed, slots_per_week, person.organisation)

    async def _compare(self, proposed: Rule, slots_per_week: int, reader: str | None) -> Comparison:
        _right(proposed)
        every, now = await self.waiting(), datetime.now(UTC)
        weeks = 26
        slots = [
            now + timedelta(weeks=w, hours=n) for w in range(weeks) for n in range(slots_per_week)
        ]
        old = rules.replay((await self.rule()).rule, every, slots, now, reader=reader)
        new = rules.replay(proposed, every, slots, now, reader=reader)

        def shown(effects: list[Effect]) -> list[Effect]:
            return [e for e in effects if e.by != "organisation" or e.group == reader]

        low, high = rules.HAZARD_PER_WEEK
        assumed = (
            f"{slots_per_week} free slot(s) a week for {weeks} weeks; nobody joins the list;"
            f" deaths while waiting {low} to {high} per week (published, myeloma)"
        )
        return Comparison(shown(old), shown(new), len(slots), assumed)

    async def adopt(self, person: Person, proposed: Rule, reason: str, seen: int) -> Adopted:
        """Let a rule be in force from now on: public, and in the record. Raises No."""
        _right(proposed)
        if len(reason.strip()) < 4:
            what = "everybody will read why the rule was changed"
            raise No("reason-missing", "There is no reason", Reason("reason", what, "say why"))
        compared = await self._compare(proposed, 1, None)  # everybody reads it
        plain = msgspec.to_builtins(proposed)
        async with self._pool.connection() as connection:
            done = await connection.execute(
                "INSERT INTO capacity.rule (version, value, person, reason)"
                " SELECT %s, %s, %s, %s"
                " WHERE %s = (SELECT coalesce(max(version), 0) FROM capacity.rule)"
                " ON CONFLICT DO NOTHING",
                (seen + 1, Jsonb(plain), person.id, reason.strip(), seen),
            )
            if done.rowcount == 0:
                what = "another rule was adopted meanwhile"
                raise No("stale", "Look again first", Reason("seen", what, "compare it anew"))
            whole = [e for e in compared.proposed if e.by in ("all", "urgency")]
            told = await tell(
                connection, "capacity/rule", "AllocationRuleAdopted",
                {
                    "version": seen + 1, "rule": plain, "reason": reason.strip(),
                    "effect": msgspec.to_builtins(whole), "assumed": compared.assumed,
                },
                [PUBLIC, person.organisation], person,
            )  # fmt: skip
        await self._bookings.record.relay(told)
        return await self.rule()

    async def waiting(self) -> Sequence[Waiting]:
        """Return everybody who waits and holds no offer now, and whose journey is not over."""
        found = await sql.rows(
            self._pool,
            "SELECT w.value FROM capacity.waiting w WHERE NOT EXISTS (SELECT 1 FROM capacity.chain"
            " c WHERE c.organisation = w.organisation AND c.patient = w.patient AND"
            " c.status IN ('held', 'booked'))"
            " AND NOT" + WAITING_OVER + " ORDER BY w.organisation, w.patient",
        )
        return [msgspec.convert(row[0], Waiting) for row in found]


def _right(proposed: Rule) -> None:
    if faults := rules.wrong(proposed):
        raise No("bad-value", "The rule is wrong", *(Reason(*fault) for fault in faults))
