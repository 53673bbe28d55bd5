"""Where a FHIR search goes on: the `_page` of a `next` link, for the order that it was asked in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from stafett.exchange.fhir_sort import Key, Sort
from stafett.exchange.fhir_store import Place
from stafett.exchange.problem import Finding, Problem


class OtherPlace(NamedTuple):
    """Where something that is no journey's is in the order: by the keys of `_sort`, then its id."""

    id: str
    keys: tuple[Key, ...] = ()


def write(place: Place | OtherPlace, sorts: Sequence[Sort]) -> str:
    """Write a place for the `next` link."""
    first: list[Any]
    if isinstance(place, Place):
        first = [_text(place.opened), place.journey, place.n]
    else:
        first = [place.id]
    body = msgspec.json.encode([_order(sorts), *first, *map(_text, place.keys)])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def read_place(token: str, sorts: Sequence[Sort]) -> Place | None:
    """Read where a search of journeys' resources goes on; `Problem` 400 if it is no such place."""
    if not token:
        return None
    try:
        opened, journey, n, *keys = _read(token, sorts)
        at = datetime.fromisoformat(opened)
        if at.tzinfo is None or not isinstance(journey, str) or "\0" in journey:
            raise ValueError
        if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 2**31:
            raise ValueError
        return Place(at, journey, n, _keys(keys, sorts))
    except (TypeError, ValueError):
        raise _no_page() from None


def read_other(token: str, sorts: Sequence[Sort]) -> OtherPlace | None:
    """Read where a search of what is no journey's goes on; `Problem` 400 if it is no such place."""
    if not token:
        return None
    try:
        id_, *keys = _read(token, sorts)
        if not isinstance(id_, str):
            raise ValueError
        return OtherPlace(id_, _keys(keys, sorts))
    except (TypeError, ValueError):
        raise _no_page() from None


def _order(sorts: Sequence[Sort]) -> str:
    return ",".join(map(str, sorts))


def _text(key: Key) -> str | None:
    return key.astimezone(UTC).isoformat() if isinstance(key, datetime) else key


def _read(token: str, sorts: Sequence[Sort]) -> list[Any]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        order, *rest = msgspec.json.decode(raw, type=list[Any])
    except (binascii.Error, UnicodeError, msgspec.MsgspecError) as wrong:
        raise ValueError("no page") from wrong
    if order != _order(sorts):
        raise ValueError("another order")
    return rest


def _keys(given: Sequence[Any], sorts: Sequence[Sort]) -> tuple[Key, ...]:
    out: list[Key] = []
    for sort, key in zip(sorts, given, strict=True):
        if key is None:
            out.append(None)
        elif not isinstance(key, str) or "\0" in key:
            raise ValueError("no key")
        elif sort.kind == "date":
            at = datetime.fromisoformat(key)
            if at.tzinfo is None:
                raise ValueError("no moment")
            out.append(at)
        else:
            out.append(key)
    return tuple(out)


def _no_page() -> Problem:
    why = "take the address of the `next` link as it is"
    return Problem(400, "QueryParameterException", why, [Finding("_page", why)])
