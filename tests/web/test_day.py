"""The scripted day of the demo: what a visitor finds on the board in the first minutes."""

from __future__ import annotations

import asyncio
import contextlib

from site_ import Site


def test_the_first_journeys_hurry_to_where_they_begin(site: Site) -> None:
    """Twelve acts that are to be in hand take less time than their pauses alone would."""
    day = site.day(pace=4.0, fault_share=0.0)

    async def until_twelve() -> None:
        async with day.client() as client:
            going = asyncio.create_task(day.journey(client, 5, ahead=12))
            while day.acts < 12 and not going.done():
                await asyncio.sleep(0.05)
            going.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await going

    asyncio.run(asyncio.wait_for(until_twelve(), 22))  # at the day's pace: 24 at the very least
    assert day.acts >= 12
