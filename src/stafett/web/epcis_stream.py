"""A standing query as a stream of documents, for a WebSocket: at once, or by a schedule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from stafett.exchange.epcis_answers import query_document
from stafett.exchange.epcis_identifiers import URNS
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.problem import Finding, Problem
from stafett.exchange.schedule import RANGES, Schedule, next_run, read_schedule
from stafett.exchange.subscriptions import NamedQuery, Subscriptions, check_standing

_WISHES: Final = ("stream", "reportIfEmpty", "initialRecordTime")
LOOK_S: Final = 0.25  # how often a stream looks for new events; one cheap query


async def stream(
    store: EpcisStore,
    subscriptions: Subscriptions,
    named: NamedQuery,
    wish: Mapping[str, str],
    owners: Sequence[str] | None,
    wanted: str = "Never_Translates",
) -> AsyncGenerator[dict[str, Any] | None]:
    """Yield query documents for ever, and None where there is nothing to say.

    The first yield is None, after the wish was checked; raises `Problem` before it otherwise, and
    later where identifiers cannot be given in the form wanted.
    """
    _check(wish)
    check_standing(named)
    schedule = _schedule(wish)
    report_if_empty = wish.get("reportIfEmpty") == "true"
    query = subscriptions.read(named)
    position = await subscriptions.position_at(initial(wish))
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
                prefixes = await store.companies(owners) if wanted == URNS else ()
                yield query_document(page.events, name=named.name, wanted=wanted, prefixes=prefixes)
        if not found:
            empty = schedule is not None and report_if_empty
            yield query_document((), name=named.name) if empty else None


def _check(wish: Mapping[str, str]) -> None:
    for name, value in wish.items():
        if name not in RANGES and name not in _WISHES:
            why = f"{name[:40]}: a subscription has no such parameter"
        elif name in ("stream", "reportIfEmpty") and value not in ("true", "false"):
            why = f"{name}: {value[:40]!r} is neither true nor false"
        else:
            continue
        raise Problem(400, "SubscriptionControlsException", why, [Finding(f"/{name}", why)])


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


def initial(wish: Mapping[str, str]) -> datetime | None:
    """Read initialRecordTime, if the wish has one; raise `Problem` 400 if it is no time."""
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
