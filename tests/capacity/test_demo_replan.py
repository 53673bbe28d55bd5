"""The demonstration shows replanning: one plan waits for others, one waits for a choice."""

from __future__ import annotations

import pytest

from small_network import booking, opened, person
from stafett.service import demo_replan

pytestmark = pytest.mark.anyio


async def test_one_replan_waits_for_acceptances_and_one_for_a_choice(database: str) -> None:
    """Nothing has moved; whoever starts the demonstration again finds the same two, not four."""
    async with opened(database, units=2) as bookings:
        hospital = person("hospital")
        chains = [await bookings.book(hospital, booking(n)) for n in range(2)]
        made = await demo_replan.show(bookings, "hospital")
        assert [one.status for one in made] == ["chosen", "open"]
        assert made[0].options[made[0].chosen or 0].moves
        assert made[0].accepted and set(made[0].needs) > set(made[0].accepted)
        for chain in chains:
            assert await bookings.see(hospital, chain.id) == chain
        assert await demo_replan.show(bookings, "hospital") == []
        assert len(await bookings.replans.all(hospital)) == 2


async def test_without_a_chain_the_demonstration_does_without(database: str) -> None:
    """No booking, no replan, no fault."""
    async with opened(database) as bookings:
        assert await demo_replan.show(bookings, "hospital") == []
