"""A standing query as a stream of documents, for a WebSocket: at once, or by a schedule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from stafett.exchange.epcis_answers import query_document
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.problem import Problem
from stafett.exchange.schedule import RANGES, Schedule, next_run, read_schedule
from stafett.exchange.subscriptions import NamedQuery, Subscriptions, check_standing

LOOK_S: Final = 0.25  # how often a stream looks for new events; one cheap query


async def stream(
    store: EpcisStore,
    subscriptions: Subscriptions,
    named: NamedQuery,
    wish: Mapping[str, str],
    owners: Sequence[str] | None,
) -> AsyncGenerator[dict[str, Any] | None]:
    """Yield query documents for ever, and None where there is nothing to say.

    The first yield is None, after the wish was checked; raises `Problem` before it otherwise.
    """
    check_standing(named)
    schedule = _schedule(wish)
    report_if_empty = wish.get("reportIfEmpty") == "true"
    query = subscriptions.read(named)
    position = await subscriptions.position_at(_initial(wish))
    yield None
    while True:
        if schedule is None:
            await asyncio.sleep(LOOK_S)
        elif not await _wait(schedule):
            return
        top = await store.size()
        found = False
        while position < top:
            page = await store.query(
                query, limit=500, after_seq=position, upto_seq=top, owners=owners
            )
            position = page.events[-1].seq if page.next_token else top
            if page.events:
                found = True
                yield query_document(page.events, name=named.name)
        if not found:
            empty = schedule is not None and report_if_empty
            yield query_document((), name=named.name) if empty else None


def _schedule(wish: Mapping[str, str]) -> Schedule | None:
    fields = {k: v for k, v in wish.items() if k in RANGES}
    if wish.get("stream") == "true":
        if fields:
            raise Problem(
                400, "SubscriptionControlsException", "give a schedule or stream=true, not both"
            )
        return None
    if not fields:
        raise Problem(400, "SubscriptionControlsException", "give a schedule, or say stream=true")
    return read_schedule(fields)


def _initial(wish: Mapping[str, str]) -> datetime | None:
    text = wish.get("initialRecordTime")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise Problem(
            400, "SubscriptionControlsException", f"initialRecordTime: {text[:60]!r} is no time"
        ) from None
    return moment


async def _wait(schedule: Schedule) -> bool:
    moment = next_run(schedule, datetime.now(UTC))
    if moment is None:
        return False
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
    return True
