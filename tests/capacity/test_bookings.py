"""Slot chains in the database: whole or absent, never twice, once per key, holds that end."""

from __future__ import annotations

import asyncio
import random
import textwrap
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from small_network import MONDAY, booking, killed, opened, person, resource
from stafett.capacity.booking import Chain
from stafett.capacity.calendar import Change
from stafett.capacity.chain import Slot, broken, templates
from stafett.service.bookings import Window
from stafett.service.refusal import No

pytestmark = pytest.mark.anyio
HOSPITAL = person("hospital")
PLANT = person("plant")


def whole(chain: Chain) -> bool:
    """Say whether a chain has all its links, with their lead times."""
    slots = [
        Slot(p.link, p.resource, 0, int(p.begins.timestamp()), int(p.ends.timestamp()))
        for p in chain.slots
    ]
    return broken(templates()[chain.template], slots) == []


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    """Ask the database itself."""
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


OVERLAPS = """
SELECT a.chain, b.chain FROM capacity.slot a JOIN capacity.slot b
ON a.resource = b.resource AND a.unit = b.unit AND (a.chain, a.link) < (b.chain, b.link)
AND a.begins < b.ends AND b.begins < a.ends
"""


async def test_a_chain_is_booked_whole_and_told(database: str) -> None:
    """All links stand with their lead times, and the record says so to those in the chain."""
    async with opened(database) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        assert chain.status == "booked" and whole(chain)
        assert chain.organisations == ["courier", "hospital", "laboratory", "plant"]
        events = await bookings.record.ledger.stream(
            f"capacity/chain/{chain.id}", organisation="plant"
        )
        assert [e.kind for e in events] == ["SlotChainBooked"]
        assert (
            await bookings.record.ledger.stream(f"capacity/chain/{chain.id}", organisation="x")
            == []
        )


async def test_two_want_the_last_slot_and_exactly_one_gets_it(database: str) -> None:
    """Twenty ask at once over twelve connections for the one suite: one wins, the others hear why,
    and of theirs nothing is left."""
    async with opened(database, 12) as bookings:
        got = await asyncio.gather(
            *(bookings.book(HOSPITAL, booking(n)) for n in range(20)), return_exceptions=True
        )
        won = [g for g in got if isinstance(g, Chain)]
        lost = [g for g in got if isinstance(g, No)]
        assert len(won) == 1 and len(lost) == 19
        assert {g.code for g in lost} == {"no-slot"}
        assert "manufacture" in str(lost[0]) and "taken" in str(lost[0])
    assert rows(database, "SELECT count(*), count(DISTINCT chain) FROM capacity.slot") == [(6, 1)]
    assert rows(database, "SELECT count(*) FROM capacity.chain") == [(1,)]


async def test_the_database_itself_refuses_a_double_booking(database: str) -> None:
    """Also a process that forgets to look cannot put two into one unit."""
    async with opened(database) as bookings:
        await bookings.book(HOSPITAL, booking(1))
    with psycopg.connect(database) as connection, pytest.raises(psycopg.errors.ExclusionViolation):
        connection.execute(
            "INSERT INTO capacity.slot SELECT chain, 'x', resource, unit, ends - 1, ends + 1"
            " FROM capacity.slot WHERE link = 'manufacture'"
        )


async def test_whatever_the_order_nothing_is_booked_twice(database: str) -> None:
    """Random bookings, holds, moves and cancellations at once: no unit twice, chains whole."""
    seed = random.SystemRandom().randrange(1 << 30)
    print("seed", seed)
    draw = random.Random(seed)
    async with opened(database, 10, units=3) as bookings:
        standing: list[Chain] = []

        async def act(n: int) -> None:
            begin = MONDAY + timedelta(hours=draw.randrange(0, 24 * 12))
            more = {"begin": begin, "end": begin + timedelta(days=2)}
            what = draw.random()
            try:
                if what < 0.6 or not standing:
                    minutes = 60 if draw.random() < 0.3 else None
                    asked = booking(n, hold_minutes=minutes, **more)
                    standing.append(await bookings.book(HOSPITAL, asked))
                elif what < 0.8:
                    one = draw.choice(standing)
                    new = one.slots[0].begins + timedelta(hours=draw.randrange(-20, 20))
                    seen = await bookings.moves.preview(HOSPITAL, one.id, "apheresis", new)
                    if seen.possible:
                        await bookings.moves.move(
                            HOSPITAL, one.id, seen.seen, seen.slots, f"move-to-{n}", "a test"
                        )
                else:
                    one = standing.pop(draw.randrange(len(standing)))
                    now = await bookings.see(HOSPITAL, one.id)
                    await bookings.cancel(HOSPITAL, one.id, now.version, f"cancel-{n}", "a test")
            except No as no:
                assert no.code in ("no-slot", "taken", "stale", "ended", "busy"), no

        await asyncio.gather(*(act(n) for n in range(40)))
        assert rows(database, OVERLAPS) == []
        for one in standing:
            assert whole(await bookings.see(HOSPITAL, one.id)), seed
    partial = (
        "SELECT chain FROM capacity.slot JOIN capacity.chain c ON c.id = chain GROUP BY chain,"
        " status HAVING count(*) <> 6 OR status NOT IN ('held', 'booked')"
    )
    assert rows(database, partial) == []
    assert rows(database, "SELECT count(*) FROM capacity.told WHERE recorded IS NULL") == [(0,)]


async def test_a_hold_that_ended_frees_its_slots(database: str) -> None:
    """After its time a hold cannot be confirmed, and its slots are another's."""
    async with opened(database) as bookings:
        held = await bookings.book(HOSPITAL, booking(1, hold_minutes=5))
        with pytest.raises(No, match="no-slot"):
            await bookings.book(HOSPITAL, booking(2))
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE capacity.chain SET hold_until = now() - interval '1 s'")
        with pytest.raises(No, match="ended"):
            await bookings.confirm(HOSPITAL, held.id, 1, "confirm-1")
        assert (await bookings.book(HOSPITAL, booking(3))).status == "booked"
        events = await bookings.record.ledger.stream(f"capacity/chain/{held.id}")
        assert [e.kind for e in events] == ["SlotChainHeld", "SlotChainExpired"]


async def test_a_hold_is_confirmed_once(database: str) -> None:
    """Confirmed in time it is booked; the same key again gives the same answer."""
    async with opened(database) as bookings:
        held = await bookings.book(HOSPITAL, booking(1, hold_minutes=5))
        first = await bookings.confirm(HOSPITAL, held.id, held.version, "confirm-1")
        again = await bookings.confirm(HOSPITAL, held.id, held.version, "confirm-1")
        assert first == again and first.status == "booked" and first.version == 2


async def test_a_hold_ends_when_its_first_slot_begins_and_nothing_begins_in_the_past(
    database: str,
) -> None:
    """Nobody confirms a chair that was empty all morning, in whatever order it is asked for."""
    async with opened(database) as bookings:
        soon = (datetime.now(UTC) + timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
        asked = booking(1, hold_minutes=7 * 1440, begin=soon, end=soon)
        held = await bookings.book(HOSPITAL, asked)
        assert held.hold_until == held.slots[0].begins == soon
        earlier = [
            msgspec.structs.replace(s, begins=s.begins - timedelta(hours=5),
                                    ends=s.ends - timedelta(hours=5))
            for s in reversed(held.slots)
        ]  # fmt: skip
        with pytest.raises(No, match="past"):
            await bookings.book(HOSPITAL, booking(2, slots=earlier))


async def test_the_same_key_books_once(database: str) -> None:
    """Sent ten times at once it is one chain; the same key for another patient is refused."""
    async with opened(database, 8, units=20) as bookings:
        got = await asyncio.gather(*(bookings.book(HOSPITAL, booking(1)) for _ in range(10)))
        assert len({chain.id for chain in got}) == 1
        with pytest.raises(No, match="key-reused"):
            await bookings.book(HOSPITAL, booking(1, patient="patient-other"))


async def test_a_move_is_seen_before_it_is_made(database: str) -> None:
    """The preview changes nothing; the commit does what it showed; an old view is refused."""
    async with opened(database, units=2) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        later = chain.slots[0].begins + timedelta(days=2)
        seen = await bookings.moves.preview(HOSPITAL, chain.id, "apheresis", later)
        assert seen.possible and [c.why for c in seen.consequences][:2] == ["asked", "lead-time"]
        assert await bookings.see(HOSPITAL, chain.id) == chain
        new = await bookings.moves.move(
            HOSPITAL, chain.id, seen.seen, seen.slots, "move-key-1", "fever"
        )
        assert new.slots == seen.slots and whole(new) and new.version == 2
        with pytest.raises(No, match="stale"):
            await bookings.moves.move(HOSPITAL, chain.id, 1, seen.slots, "move-key-2", "again")


async def test_a_move_that_cannot_be_says_why(database: str) -> None:
    """The suite is another's then: the preview names link, window and reason."""
    async with opened(database) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        begin = MONDAY + timedelta(days=9)
        await bookings.book(HOSPITAL, booking(2, begin=begin, end=begin))
        seen = await bookings.moves.preview(HOSPITAL, chain.id, "apheresis", begin)
        assert not seen.possible and seen.link == "manufacture"
        assert "all that is open is taken" in seen.why_not


async def test_nobody_sees_what_is_not_theirs(database: str) -> None:
    """Whoever is not in a chain does not see it, and is offered nothing that is not shared."""
    async with opened(database) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        stranger = person("stranger")
        for act in (
            bookings.see(stranger, chain.id),
            bookings.cancel(stranger, chain.id, 1, "cancel-key", "mine now"),
            bookings.book(stranger, booking(9)),
        ):
            with pytest.raises(No, match="unknown"):
                await act
        assert await bookings.chains(stranger, MONDAY, MONDAY + timedelta(days=60)) == []
        assert await bookings.calendars.own(stranger) == []
        hidden = resource("suite", units=1, shared_with=())
        await bookings.calendars.put(PLANT, hidden, "no longer shared")
        window = Window(template="autologous-car-t", network="net", begin=MONDAY, end=MONDAY)
        with pytest.raises(No, match="nobody offers a manufacturing-suite"):
            await bookings.search(HOSPITAL, window)


async def test_a_suite_that_closes_names_the_chains_it_no_longer_fits(database: str) -> None:
    """Closing does not move anybody: it says who must be replanned."""
    async with opened(database) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        at = chain.slots[2].begins
        down = resource(
            "suite", units=1, changes=(Change(at, at + timedelta(days=1), 0, "leak"),)
        )  # fmt: skip
        assert await bookings.calendars.put(PLANT, down, "leak in the ceiling") == [chain.id]
        assert await bookings.see(HOSPITAL, chain.id) == chain


@pytest.mark.parametrize(
    ("more", "code", "what"),
    [
        ({"template": "nonsense"}, "unknown-name", "not one of"),
        ({"network": "elsewhere"}, "unknown", "network"),
        ({"begin": None}, "bad-value", "give the slots"),
        ({"end": MONDAY - timedelta(days=1)}, "bad-time", "before it begins"),
        ({"begin": MONDAY - timedelta(days=200), "end": MONDAY - timedelta(days=190)},
         "bad-time", "past"),
        ({"end": MONDAY + timedelta(days=400)}, "bad-time", "at most"),
        ({"slots": []}, "lead-time", "each of these once"),
        ({"deadline": MONDAY + timedelta(days=2)}, "no-slot", "deadline"),
    ],
)  # fmt: skip
async def test_a_wrong_booking_changes_nothing(
    database: str, more: dict[str, Any], code: str, what: str
) -> None:
    """Each is refused with its code and what to do; the key stays free."""
    async with opened(database) as bookings:
        with pytest.raises(No, match=code) as no:
            await bookings.book(HOSPITAL, booking(1, **more))
        assert what in str(no.value)
        assert rows(database, "SELECT count(*) FROM capacity.chain") == [(0,)]
        await bookings.book(HOSPITAL, booking(1))


async def test_slots_without_their_lead_time_are_refused(database: str) -> None:
    """A client that sends slots of its own is held to the template."""
    async with opened(database) as bookings:
        found = await bookings.search(
            HOSPITAL,
            Window(template="autologous-car-t", network="net", begin=MONDAY, end=MONDAY),
        )
        late = [
            msgspec.structs.replace(p, begins=p.begins + timedelta(days=60),
                                    ends=p.ends + timedelta(days=60)) if p.link == "bed" else p
            for p in found[0]
        ]  # fmt: skip
        with pytest.raises(No, match="lead-time") as no:
            await bookings.book(HOSPITAL, booking(1, slots=late))
        assert "24 to 504 h" in str(no.value)


async def test_killed_between_hold_and_confirm_the_hold_stands_and_ends(database: str) -> None:
    """kill -9 after the hold: another process finds it whole, told, and ending in its time."""
    code = textwrap.dedent(
        f"""
        import asyncio, sys
        from small_network import booking, opened, person
        async def main():
            async with opened({database!r}) as bookings:
                chain = await bookings.book(person("hospital"), booking(1, hold_minutes=5))
                print(chain.id, flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    id_ = killed(code)
    async with opened(database) as bookings:
        await bookings.record.relay()
        held = await bookings.see(HOSPITAL, id_)
        assert held.status == "held" and whole(held)
        with pytest.raises(No, match="no-slot"):
            await bookings.book(HOSPITAL, booking(2))
        assert (await bookings.confirm(HOSPITAL, id_, 1, "confirm-1")).status == "booked"


async def test_what_the_ledger_was_not_told_is_told_later(database: str) -> None:
    """A row that waits goes to the record once, however often it is relayed."""
    async with opened(database, units=2) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE capacity.told SET recorded = NULL")
        await bookings.record.relay()
        await bookings.record.relay()
        assert len(await bookings.record.ledger.stream(f"capacity/chain/{chain.id}")) == 1
