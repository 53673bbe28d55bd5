"""The waitlist: its rule, explained and replayed before adoption; freed slots offered by it."""

from __future__ import annotations

import asyncio
import random
import textwrap
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from small_network import booking, killed, opened, person
from stafett.capacity.rule import FIRST, Rule, Waiting, ahead, rank, replay, wrong
from stafett.ledger import Author, Draft, Submission
from stafett.service.bookings import Bookings
from stafett.service.offers import Offers
from stafett.service.refusal import No
from stafett.service.waitlist import Waitlist

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOSPITAL = person("hospital")


def one(
    patient: str, weeks: float = 0, urgency: Any = "3", completion: float = 0.5, **more: Any
) -> Waiting:
    """Return a patient who has waited so many weeks."""
    given = {"organisation": "hospital", "template": "autologous-car-t",
             "listed_at": NOW - timedelta(weeks=weeks)}  # fmt: skip
    return Waiting(patient=patient, urgency=urgency, completion=completion, **{**given, **more})


def test_the_order_does_not_depend_on_how_the_list_lies() -> None:
    """Shuffled, the list has the same order; equal points go by listing, then identifier."""
    seed = random.SystemRandom().randrange(1 << 30)
    print("seed", seed)
    draw = random.Random(seed)
    people = [one(f"p-{n:02}", draw.randrange(6), draw.choice("123"), draw.choice((0.2, 0.8)))
              for n in range(40)]  # fmt: skip
    first = rank(FIRST, people, NOW)
    for _ in range(10):
        draw.shuffle(people)
        assert rank(FIRST, people, NOW) == first, seed


def test_points_are_the_published_sum() -> None:
    """Class 2, four weeks, probability 0.5: 30 + 1.5 x 4 + 20 x 0.5 = 46."""
    got = rank(FIRST, [one("p-1", 4, "2", 0.5)], NOW)[0]
    assert got.points == 46 and [t.points for t in got.terms] == [30, 6, 10]


def test_waiting_counts_up_to_its_cap() -> None:
    """Beyond the cap more weeks give no more points."""
    a, b = rank(FIRST, [one("p-1", 26), one("p-2", 60)], NOW)
    assert a.points == b.points and a.waiting.patient == "p-2"


def test_why_one_stands_before_another_is_said_in_parts() -> None:
    """The parts that differ, the largest first; for equals the date of listing."""
    a, b = rank(FIRST, [one("p-1", 10, "2"), one("p-2", 1, "2")], NOW)
    assert ahead(a, b) == [("waited", 13.5)]
    c, d = rank(FIRST, [one("p-1", 30), one("p-2", 40)], NOW)
    assert ahead(c, d) == [("listed", 0.0)]


def test_a_replay_shows_each_groups_effect() -> None:
    """With one slot the urgent patient gets it under the first rule, and the one who waited longest
    under a rule that only counts weeks."""
    people = [one("p-1", 1, "1", group="north"), one("p-2", 20, "3", group="south")]
    weeks = Rule(urgency={"1": 0, "2": 0, "3": 0}, per_week=1, weeks_cap=52, completion=0)
    for rule, group in ((FIRST, "north"), (weeks, "south")):
        effects = {(e.by, e.group): e for e in replay(rule, people, [NOW], NOW, least=1)}
        assert effects["group", group].offered == 1
        assert effects["all", ""].offered == 1 and effects["all", ""].patients == 2
        low, high = effects["all", ""].reached
        assert low <= high


def test_what_happens_to_a_few_is_told_of_nobody() -> None:
    """A small group goes with the next smallest, so that no difference of sums tells it; one's own
    patients are shown, and a list that is small as a whole is shown as a whole only."""

    def groups(people: list[Waiting], reader: str | None = None) -> dict[str, int]:
        found = replay(FIRST, people, [NOW], NOW, reader=reader)
        return {e.group: e.patients for e in found if e.by == "group"}

    north = [one(f"n-{k}", group="north") for k in range(9)]
    south = [one(f"s-{k}", group="south") for k in range(6)]
    west = [one("w-1", group="west")]
    assert groups(north + south) == {"north": 9, "south": 6}
    assert groups(north + south + west) == {"north": 9, "*": 7}
    assert groups(north + south + west, "hospital") == {"north": 9, "south": 6, "west": 1}
    assert groups(west + south[:2]) == {}


@pytest.mark.parametrize("urgency", [{"1": 1}, {"1": 0, "2": 1, "3": 0}])
def test_a_wrong_rule_is_told(urgency: dict[Any, float]) -> None:
    """A class without points, or a less urgent one with more, is named."""
    assert wrong(msgspec.structs.replace(FIRST, urgency=urgency))[0][0] == "urgency"


async def ends(bookings: Bookings, journey: str, *readers: str) -> None:
    """Let the record hold that a journey has ended."""
    said = Submission(journey, None, [Draft("JourneyEnded", {}, NOW)], readers or ("hospital",),
                      Author("hospital"), f"ended-{journey}", b"")  # fmt: skip
    await bookings.record.ledger.append(said)


async def _list(bookings: Bookings, database: str) -> tuple[Waitlist, AsyncConnectionPool[Any]]:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(database, open=False)
    await pool.open()
    return Waitlist(pool, bookings), pool


@pytest.mark.anyio
async def test_a_freed_slot_is_offered_by_the_rule_and_then_to_the_next(database: str) -> None:
    """Cancelling offers the slots to the first; when that ends, to the second; confirmed,
    the patient is off the list. The record says why."""
    async with opened(database) as bookings:
        waitlist, pool = await _list(bookings, database)
        chain = await bookings.book(HOSPITAL, booking(1))
        await waitlist.put(HOSPITAL, one("p-long", 20))
        await waitlist.put(HOSPITAL, one("p-urgent", 1, "1"))
        # Whose journey is over is offered nothing, however urgent it was.
        await waitlist.put(HOSPITAL, one("cha123426abcdef", 30, "1"))
        await ends(bookings, "CHA123426ABCDEF")
        offers = Offers(pool, bookings, waitlist)
        _, offer = await offers.cancel(HOSPITAL, chain.id, 1, "cancel-1", "progression")
        assert offer is not None and offer.patient == "p-urgent" and offer.status == "held"
        assert offer.offered is not None and offer.offered["place"] == 1
        assert offer.offered["before_next"][0][0] == "urgency"
        assert offer.slots == chain.slots
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE capacity.chain SET hold_until = now() WHERE status = 'held'")
        await offers.sweep()
        lines = {x.ranked.waiting.patient for x in await waitlist.lines(HOSPITAL)}
        assert lines == {"p-urgent"}
        with psycopg.connect(database) as connection:
            query = "SELECT id FROM capacity.chain WHERE patient = 'p-long' AND status = 'held'"
            row = connection.execute(query).fetchone()
        assert row is not None
        await bookings.confirm(HOSPITAL, row[0], 1, "confirm-1")
        await pool.close()
        kinds = [e.kind for e in await bookings.record.ledger.stream(f"capacity/chain/{row[0]}")]
        assert kinds == ["SlotOffered", "SlotChainBooked"]


@pytest.mark.anyio
async def test_a_rule_is_adopted_with_its_reason_and_effect(database: str) -> None:
    """It is in force, and public with its effect; an old view and no reason are refused."""
    async with opened(database) as bookings:
        waitlist, pool = await _list(bookings, database)
        await waitlist.put(HOSPITAL, one("p-long", 20))
        other = msgspec.structs.replace(FIRST, per_week=3)
        with pytest.raises(No, match="reason-missing"):
            await waitlist.adopt(HOSPITAL, other, "", 0)
        compared = await waitlist.compare(HOSPITAL, other)
        assert compared.now and compared.proposed and "assum" not in compared.assumed
        adopted = await waitlist.adopt(HOSPITAL, other, "waiting counts for more", 0)
        assert adopted.version == 1 and adopted.rule == other
        with pytest.raises(No, match="stale"):
            await waitlist.adopt(HOSPITAL, FIRST, "back again", 0)
        events = await bookings.record.ledger.stream("capacity/rule", organisation="public")
        assert events[0].body["reason"] == "waiting counts for more" and events[0].body["effect"]
        await pool.close()


async def held(database: str) -> list[tuple[str, str]]:
    """Return the offers that stand: patient and what they came of."""
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT patient, offered ->> 'freed' FROM capacity.chain WHERE status = 'held'"
        ).fetchall()


@pytest.mark.anyio
async def test_what_was_freed_before_a_kill_is_offered_by_another_process(database: str) -> None:
    """kill -9 after the giving back and before the offer: whoever looks next offers it, once."""
    code = textwrap.dedent(
        f"""
        import asyncio, sys
        from small_network import booking, opened, person
        async def main():
            async with opened({database!r}) as bookings:
                chain = await bookings.book(person("hospital"), booking(1))
                await bookings.cancel(person("hospital"), chain.id, 1, "cancel-1", "progression")
                print(chain.id, flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    freed = killed(code)
    async with opened(database, units=2) as bookings:
        waitlist, pool = await _list(bookings, database)
        await waitlist.put(HOSPITAL, one("p-long", 20))
        await waitlist.put(HOSPITAL, one("p-urgent", 1, "1"))
        # Two processes at the same moment, and both once more.
        for _ in range(2):
            await asyncio.gather(*(Offers(pool, bookings, waitlist).sweep() for _ in range(2)))
        assert await held(database) == [("p-urgent", freed)]
        # A process that died after its offer and before it had said so offers nothing again.
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE capacity.freed SET done = NULL")
        await Offers(pool, bookings, waitlist).sweep()
        assert await held(database) == [("p-urgent", freed)]
        await pool.close()


@pytest.mark.anyio
async def test_slots_that_cannot_be_offered_keep_none_waiting(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was freed after them is offered; they are tried again, and that is seen."""
    async with opened(database, units=2) as bookings:
        waitlist, pool = await _list(bookings, database)
        strange, chain = [await bookings.book(HOSPITAL, booking(n)) for n in (1, 2)]
        for n, each in enumerate((strange, chain)):
            await bookings.cancel(HOSPITAL, each.id, 1, f"cancel-{n}", "progression")
        await waitlist.put(HOSPITAL, one("p-long", 20))
        offers = Offers(pool, bookings, waitlist)
        offer = offers._offer

        async def fails(connection: Any, freed: str, slots: Any) -> None:
            if freed == strange.id:
                raise ValueError("slots that nobody thought of")
            await offer(connection, freed, slots)

        monkeypatch.setattr(offers, "_offer", fails)
        for _ in range(2):
            await offers.sweep()
        assert await held(database) == [("p-long", chain.id)]
        (trouble,) = [todo.trouble for todo in offers.todos]
        assert trouble is not None and "nobody thought of" in trouble.why
        await pool.close()


@pytest.mark.anyio
async def test_an_offer_that_ends_goes_to_the_next_though_nobody_looks(database: str) -> None:
    """The timer lets it end in its time, and offers it on."""
    async with opened(database) as bookings:
        waitlist, pool = await _list(bookings, database)
        chain = await bookings.book(HOSPITAL, booking(1))
        await waitlist.put(HOSPITAL, one("p-long", 20))
        await waitlist.put(HOSPITAL, one("p-urgent", 1, "1"))
        offers = Offers(pool, bookings, waitlist)
        await offers.cancel(HOSPITAL, chain.id, 1, "cancel-1", "progression")
        with psycopg.connect(database) as connection:
            connection.execute(
                "UPDATE capacity.chain SET hold_until = now() + interval '1 s'"
                " WHERE status = 'held'"
            )
        running = asyncio.create_task(offers.run())
        for _ in range(400):
            await asyncio.sleep(0.1)
            if [patient for patient, _ in await held(database)] == ["p-long"]:
                break
        running.cancel()
        assert [patient for patient, _ in await held(database)] == ["p-long"]
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()


@pytest.mark.anyio
async def test_what_is_to_come_of_a_journey_that_is_over_is_given_back(database: str) -> None:
    """It is offered by the rule, once, whoever looks and however often; what has begun is kept; a
    journey that goes on, or whose end the one who booked may not read, keeps its slots."""
    over, begun, others, goes_on = (f"CHA123426AAAA0{n}" for n in range(4))
    async with opened(database, units=4) as bookings:
        waitlist, pool = await _list(bookings, database)
        chains = {
            p: await bookings.book(HOSPITAL, booking(n, patient=p.lower()))
            for n, p in enumerate((over, begun, others, goes_on))
        }
        await waitlist.put(HOSPITAL, one("p-long", 20))
        with psycopg.connect(database) as connection:
            connection.execute(
                "UPDATE capacity.slot SET begins = extract(epoch FROM now() - interval '1 h')"
                " WHERE chain = %s AND link = %s",
                (chains[begun].id, chains[begun].slots[0].link),
            )
        await ends(bookings, over)
        await ends(bookings, begun)
        await ends(bookings, others, "plant")
        for _ in range(2):  # two processes at once, and both again: as after a restart
            await asyncio.gather(*(Offers(pool, bookings, waitlist).sweep() for _ in range(2)))
        assert await held(database) == [("p-long", chains[over].id)]
        now = {p: await bookings.see(HOSPITAL, chain.id) for p, chain in chains.items()}
        assert [(c.status, len(c.slots)) for c in now.values()] == [
            ("ended", 0), ("ended", 1), ("booked", 6), ("booked", 6),
        ]  # fmt: skip
        told = await bookings.record.ledger.stream(f"capacity/chain/{chains[begun].id}")
        assert [e.kind for e in told] == ["SlotChainBooked", "SlotChainReleased"]
        assert told[1].body["reason"] == "the journey is over"
        assert (len(told[1].body["slots"]), len(told[1].body["released"])) == (1, 5)
        with pytest.raises(No, match="ended"):
            await bookings.book(HOSPITAL, booking(9, patient=over))
        await pool.close()


@pytest.mark.anyio
async def test_who_waits_and_whose_journey_is_over_is_told_until_they_are_taken_off(
    database: str,
) -> None:
    """They have no place in line, are told apart, cannot be listed again, and leave by a person."""
    async with opened(database) as bookings:
        waitlist, pool = await _list(bookings, database)
        await waitlist.put(HOSPITAL, one("CHA123426ABCDEF", 20))
        await ends(bookings, "CHA123426ABCDEF")
        assert await waitlist.lines(HOSPITAL) == []
        assert [w.patient for w in await waitlist.over(HOSPITAL)] == ["CHA123426ABCDEF"]
        with pytest.raises(No, match="ended"):
            await waitlist.put(HOSPITAL, one("CHA123426ABCDEF", 20))
        await waitlist.remove(HOSPITAL, "CHA123426ABCDEF", "the journey is over")
        assert await waitlist.over(HOSPITAL) == []
        await pool.close()
