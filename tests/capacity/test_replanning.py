"""Replanning in the database: seen, chosen, accepted by all whom it concerns; or nothing moves."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from small_network import MONDAY, booking, opened, person, resource
from stafett.capacity.booking import Chain
from stafett.capacity.calendar import Change
from stafett.capacity.disruption import Cause
from stafett.capacity.replanned import Replan
from stafett.service.bookings import Bookings
from stafett.service.refusal import No

pytestmark = pytest.mark.anyio
HOSPITAL, PLANT, COURIER, LABORATORY = map(person, ("hospital", "plant", "courier", "laboratory"))
ALL = (HOSPITAL, PLANT, COURIER, LABORATORY)


def begins(chain: Chain, link: str) -> datetime:
    """Return when a link begins."""
    return next(p.begins for p in chain.slots if p.link == link)


def late(chain: Chain, link: str, hours: float) -> Cause:
    """Return that a link ends so many hours later than planned."""
    ends = next(p.ends for p in chain.slots if p.link == link)
    return Cause(kind="late", chain=chain.id, link=link, at=ends + timedelta(hours=hours))


async def accepted(bookings: Bookings, made: Replan, option: int = 0) -> Replan:
    """Choose an option and let all others whom it concerns accept it."""
    now = await bookings.replans.choose(
        HOSPITAL, made.id, made.version, option, f"choose-{made.id}", "the courier is late"
    )
    for one in ALL:
        if one.organisation in now.needs and one.organisation not in now.accepted:
            now = await bookings.replans.accept(
                one, made.id, now.version, f"accept-{one.organisation}"
            )
    return now


async def kinds(bookings: Bookings, id_: str, organisation: str) -> list[str]:
    """Return what the record told an organisation of a replan."""
    events = await bookings.record.ledger.stream(
        f"capacity/replan/{id_}", organisation=organisation
    )
    return [e.kind for e in events]


async def test_a_late_courier_is_seen_chosen_accepted_and_then_made(database: str) -> None:
    """Ten hours late the suite no longer holds; nothing moves before the last has accepted."""
    async with opened(database, units=2) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        made = await bookings.replans.work_out(HOSPITAL, late(chain, "pickup", 10))
        assert [(h.chain, h.links) for h in made.hits] == [(chain.id, ["manufacture"])]
        assert made.options and made.status == "open"
        move = made.options[0].moves[0]
        assert (move.why, move.about) == ("late", ["manufacture"])
        assert move.before[:2] == move.after[:2], "what has happened stays"
        assert move.after[2].begins >= begins(chain, "manufacture") + timedelta(hours=4)
        now = await bookings.replans.choose(
            HOSPITAL, made.id, made.version, 0, "choose-1", "the courier is late"
        )
        assert now.status == "chosen" and set(now.accepted) == {"hospital"}
        assert await bookings.see(HOSPITAL, chain.id) == chain
        for one in (COURIER, LABORATORY):
            now = await bookings.replans.accept(one, made.id, now.version, f"a-{one.id}-key")
            assert await bookings.see(HOSPITAL, chain.id) == chain
        now = await bookings.replans.accept(PLANT, made.id, now.version, "accept-plant")
        assert now.status == "applied" and set(now.accepted) == set(now.needs)
        moved = await bookings.see(HOSPITAL, chain.id)
        assert moved.slots == move.after and moved.version == chain.version + 1
        told = await kinds(bookings, made.id, "plant")
        assert told == ["ReplanProposed", *["ReplanAccepted"] * 4, "ReplanApplied"]
        events = await bookings.record.ledger.stream(f"capacity/chain/{chain.id}")
        assert events[-1].kind == "SlotChainMoved" and events[-1].body["replan"] == made.id


async def test_lateness_within_the_lead_times_moves_nobody(database: str) -> None:
    """Three hours are absorbed: nothing follows, and there is nothing to choose."""
    async with opened(database) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        slack = begins(chain, "bed") + timedelta(days=2)
        shown = await bookings.moves.preview(HOSPITAL, chain.id, "bed", slack)
        chain = await bookings.moves.move(
            HOSPITAL, chain.id, shown.seen, shown.slots, "move-1-key", "room for a delay"
        )
        made = await bookings.replans.work_out(HOSPITAL, late(chain, "return", 3))
        assert made.hits == [] and made.options == []


async def test_a_failed_batch_is_collected_again(database: str) -> None:
    """All links begin anew from when collection is possible again; the freed places are used."""
    async with opened(database) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        again = MONDAY + timedelta(days=9)
        made = await bookings.replans.work_out(
            HOSPITAL, Cause(kind="failed", chain=chain.id, link="apheresis", at=again)
        )
        now = await accepted(bookings, made)
        assert now.status == "applied"
        moved = await bookings.see(HOSPITAL, chain.id)
        assert begins(moved, "apheresis") >= again
        assert begins(moved, "bed") > begins(chain, "bed")


async def test_a_closed_suite_is_planned_anew_with_the_urgent_first(database: str) -> None:
    """Two chains, one suite left: the plan says whom it moves and why, and leaves lead times."""
    async with opened(database, units=2) as bookings:
        calm = await bookings.book(HOSPITAL, booking(1, urgency=3))
        urgent = await bookings.book(HOSPITAL, booking(2, urgency=1))
        at = begins(urgent, "manufacture")
        closing = Change(at - timedelta(days=1), at + timedelta(days=40), 1, "leak")
        struck = await bookings.calendars.put(
            PLANT, resource("suite", units=2, changes=(closing,)), "leak in the ceiling"
        )
        assert struck == [urgent.id]
        made = await bookings.replans.work_out(PLANT, Cause(kind="closed", resource="suite"))
        assert [h.chain for h in made.hits] == [urgent.id]
        ways = {o.way: {m.chain: m.why for m in o.moves} for o in made.options}
        assert all(moves[urgent.id] == "closed" for moves in ways.values() if urgent.id in moves)
        now = await bookings.replans.choose(PLANT, made.id, 1, 0, "choose-1", "leak")
        for one in (HOSPITAL, COURIER, LABORATORY):
            now = await bookings.replans.accept(one, made.id, now.version, f"a-{one.id}-key")
        assert now.status == "applied"
        for id_ in (calm.id, urgent.id):
            assert (await bookings.see(HOSPITAL, id_)).status == "booked"


async def test_what_has_changed_meanwhile_is_overtaken_and_nothing_moves(database: str) -> None:
    """The chain was moved by hand after the plan was made: all of it is refused."""
    async with opened(database, units=2) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        made = await bookings.replans.work_out(HOSPITAL, late(chain, "pickup", 10))
        new = begins(chain, "apheresis") + timedelta(days=3)
        shown = await bookings.moves.preview(HOSPITAL, chain.id, "apheresis", new)
        moved = await bookings.moves.move(
            HOSPITAL, chain.id, shown.seen, shown.slots, "move-1-key", "fever"
        )
        now = await bookings.replans.choose(HOSPITAL, made.id, 1, 0, "choose-1", "late")
        for one in (COURIER, LABORATORY):
            now = await bookings.replans.accept(one, made.id, now.version, f"a-{one.id}-key")
        with pytest.raises(No, match="changed meanwhile"):
            await bookings.replans.accept(PLANT, made.id, now.version, "accept-plant")
        assert (await bookings.replans.see(HOSPITAL, made.id)).status == "overtaken"
        assert await bookings.see(HOSPITAL, chain.id) == moved
        assert (await kinds(bookings, made.id, "hospital"))[-1] == "ReplanOvertaken"


async def test_a_place_that_somebody_books_meanwhile_is_not_taken(database: str) -> None:
    """The database keeps a unit from being given twice also here."""
    async with opened(database, units=1) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        made = await bookings.replans.work_out(HOSPITAL, late(chain, "pickup", 10))
        # The suite's only unit is booked from the end of the old place on.
        at = next(p.ends for p in chain.slots if p.link == "manufacture")
        begin = at - timedelta(hours=36)
        other = await bookings.book(
            HOSPITAL, booking(2, begin=begin, end=begin + timedelta(hours=12))
        )
        assert begins(other, "manufacture") < at + timedelta(hours=4)
        with pytest.raises(No, match="stale"):
            await accepted(bookings, made)
        assert await bookings.see(HOSPITAL, chain.id) == chain
        assert await bookings.see(HOSPITAL, other.id) == other


async def test_a_stranger_sees_no_replan_and_a_partner_only_its_own_chains(database: str) -> None:
    """Who is asked sees the chains that it is in; of others it is told how many."""
    async with opened(database, units=2) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        made = await bookings.replans.work_out(HOSPITAL, late(chain, "pickup", 10))
        for stranger in (person("stranger"), PLANT):
            with pytest.raises(No, match="unknown"):
                await bookings.replans.see(stranger, made.id)
        await bookings.replans.choose(HOSPITAL, made.id, 1, 0, "choose-1", "late")
        seen = await bookings.replans.see(PLANT, made.id)
        assert [m.chain for m in seen.options[0].moves] == [chain.id]
        assert await bookings.replans.all(person("stranger")) == []
        # As if the plan had moved a chain of another hospital, too.
        with psycopg.connect(database) as connection:
            connection.execute(
                "UPDATE capacity.replan SET value = jsonb_set(value,"
                " '{options,0,moves,0,organisations}', '[\"other-hospital\"]')"
            )
        seen = await bookings.replans.see(PLANT, made.id)
        assert seen.options[0].moves == [] and seen.options[0].others == 1
        assert b"patient-1" not in msgspec.json.encode(seen.options[0])


async def test_only_who_worked_it_out_chooses(database: str) -> None:
    """A partner who is shown it cannot choose for them."""
    async with opened(database, units=2) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        made = await bookings.replans.work_out(HOSPITAL, late(chain, "pickup", 10))
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE capacity.replan SET organisations = '{hospital,plant}'")
        with pytest.raises(No, match="wrong-organisation"):
            await bookings.replans.choose(PLANT, made.id, 1, 0, "choose-1", "ours")


async def test_declined_and_too_old_nothing_moves(database: str) -> None:
    """Whoever is asked can decline; a plan of yesterday is not accepted."""
    async with opened(database, units=2) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        made = await bookings.replans.work_out(HOSPITAL, late(chain, "pickup", 10))
        now = await bookings.replans.choose(HOSPITAL, made.id, 1, 0, "choose-1", "late")
        again = await bookings.replans.choose(HOSPITAL, made.id, 1, 0, "choose-1", "late")
        assert again == now, "the same key does nothing twice"
        now = await bookings.replans.decline(PLANT, made.id, now.version, "decline-1", "no staff")
        assert now.status == "declined"
        with pytest.raises(No, match="ended"):
            await bookings.replans.accept(COURIER, made.id, now.version, "accept-1")
        old = await bookings.replans.work_out(HOSPITAL, late(chain, "pickup", 10))
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE capacity.replan SET ends = now() WHERE id = %s", (old.id,))
        assert (await bookings.replans.see(HOSPITAL, old.id)).status == "ended"
        with pytest.raises(No, match="ended"):
            await bookings.replans.choose(HOSPITAL, old.id, 1, 0, "choose-2", "late")
        assert await bookings.see(HOSPITAL, chain.id) == chain


async def test_two_who_accept_at_once_make_it_once(database: str) -> None:
    """Both see the same version; one is first, the other looks again; the moves are made once."""
    async with opened(database, units=2) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        made = await bookings.replans.work_out(HOSPITAL, late(chain, "pickup", 10))
        now = await bookings.replans.choose(HOSPITAL, made.id, 1, 0, "choose-1", "late")
        waiting = {"courier": COURIER, "laboratory": LABORATORY, "plant": PLANT}
        while waiting:
            found: list[Any] = await asyncio.gather(
                *(
                    bookings.replans.accept(one, made.id, now.version, f"k-{name}-{now.version}")
                    for name, one in waiting.items()
                ),
                return_exceptions=True,
            )
            assert sum(isinstance(f, Replan) for f in found) == 1
            now = await bookings.replans.see(HOSPITAL, made.id)
            waiting = {n: p for n, p in waiting.items() if n not in now.accepted}
        assert now.status == "applied"
        assert (await bookings.see(HOSPITAL, chain.id)).version == chain.version + 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"link": None}, "link"),
        ({"resource": "suite"}, "resource"),
        ({"link": "nothing"}, "link"),
        ({"at": MONDAY - timedelta(days=900)}, "link"),
        ({"chain": "chain-nobody-has"}, "chain"),
        ({"kind": "closed", "chain": None, "link": None, "at": None, "resource": "suite"}, "res"),
    ],
)
async def test_what_cannot_have_happened_is_refused_by_name(
    database: str, change: dict[str, Any], field: str
) -> None:
    """Which field, what is wrong with it; nothing is kept."""
    async with opened(database) as bookings:
        chain = await bookings.book(HOSPITAL, booking(1))
        cause = msgspec.structs.replace(late(chain, "pickup", 10), **change)
        with pytest.raises(No) as no:
            await bookings.replans.work_out(HOSPITAL, cause)
        assert no.value.reasons[0].field.startswith(field)
        assert await bookings.replans.all(HOSPITAL) == []
