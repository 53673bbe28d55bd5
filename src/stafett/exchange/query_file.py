"""A file of EPCIS queries with the answers that are expected of a store that holds their events.

So that two parties agree what a query means before they rely on it. An answer is the eventIDs,
`#err` behind those whose event is an error declaration, or the status and exception of a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stafett.exchange.epcis_query import read_query
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.problem import Finding, Problem, pointer
from stafett.protocol.fit import plain


class Expected(msgspec.Struct, frozen=True):
    """What must come: events (in this order, where `ordered`; equal times free), or a refusal."""

    status: int
    ordered: bool = False
    events: tuple[str, ...] = ()
    exception: str = ""


class Asked(msgspec.Struct, frozen=True):
    """One query of a file."""

    id: str
    query: dict[str, Any]
    expect: Expected


def looks_so(value: dict[str, Any]) -> bool:
    """Say whether a JSON object is such a file."""
    items = value.get("queries")
    return isinstance(items, list) and any(isinstance(i, dict) and "expect" in i for i in items)


def read(value: dict[str, Any]) -> tuple[tuple[Asked, ...], list[Finding]]:
    """Read a file's queries; name those that are taken or refused other than is expected."""
    asked: list[Asked] = []
    findings: list[Finding] = []
    for place, item in enumerate(value["queries"]):
        try:
            one = msgspec.convert(item, Asked)
        except msgspec.ValidationError as wrong:
            findings.append(Finding(pointer("queries", place), str(plain(wrong))))
            continue
        asked.append(one)
        expected = one.expect.exception if one.expect.status == 400 else ""
        try:
            read_query(one.query)
            said, why = "", "it is understood"
        except Problem as refused:
            said, why = refused.name, str(refused)
        if said != expected:
            wish = f"{expected} is expected" if expected else "an answer is expected"
            findings.append(Finding(pointer("queries", place), f"{one.id}: {wish}, and {why}"))
    return tuple(asked), findings


async def ask(store: EpcisStore, asked: Sequence[Asked]) -> list[str]:
    """Ask a store; give what came otherwise than expected, a line for each query."""
    wrong = []
    for one in asked:
        try:
            found = await _answer(store, one.query)
        except Problem as refused:
            if (refused.status, refused.name) != (one.expect.status, one.expect.exception):
                wrong.append(f"{one.id}: {refused}")
            continue
        if one.expect.status != 200:
            wrong.append(f"{one.id}: {one.expect.exception} is expected; {len(found)} events came")
        elif missing := sorted(set(one.expect.events) - {name for name, _ in found}):
            wrong.append(f"{one.id}: {len(missing)} events did not come, {missing[0]} first")
        elif len(found) != len(one.expect.events):
            more = len(found) - len(one.expect.events)
            wrong.append(f"{one.id}: {more} more events came than are expected")
        elif one.expect.ordered and not _in_order(found, one.expect.events):
            wrong.append(f"{one.id}: the events came in another order")
    return wrong


async def _answer(store: EpcisStore, query: dict[str, Any]) -> list[tuple[str, str]]:
    """Give each event's name and time."""
    found: list[tuple[str, str]] = []
    token = None
    while True:
        page = await store.query(read_query(query, store.names), limit=1000, token=token)
        for one in page.events:
            mark = "#err" if "errorDeclaration" in one.event else ""
            found.append((one.event["eventID"] + mark, one.event["eventTime"]))
        token = page.next_token
        if token is None:
            return found


def _in_order(found: list[tuple[str, str]], expected: Sequence[str]) -> bool:
    times = dict(found)
    return [time for _, time in found] == [times[name] for name in expected]
