"""Where the next page of a query starts, and for which query that is good.

This is the store's own word for a place, wrapped for clients by `page_tokens`. It holds all there
is to know, so nothing is kept for it. It grants nothing: what may be read is asked anew with each
page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, Final, Literal, TypeVar

import msgspec

from stafett.exchange.epcis_query import Query
from stafett.exchange.problem import Finding, Problem

MOST: Final = 2**63 - 1


class Mark(msgspec.Struct, array_like=True):
    """The query's fingerprint, where the next page starts, how many events are left.

    `key` is the sort key of the last event (µs) and `seq` its place in the store.
    """

    query: str
    key: int
    seq: int
    left: int


Stage = Literal["n", "t", "-"]  # numbers, texts, without the field


class OrderMark(msgspec.Struct, array_like=True):
    """The same in the order of an extension's field (`epcis_ordered`).

    `top` is where the store ended at the first page; `stage` which kind of events it is at;
    `value` and `seq` are the last event's, None and 0 where there is none yet of its kind.
    """

    query: str
    top: int
    left: int
    stage: Stage
    at: str = ""  # in hexadecimal: JSON has no infinities
    seq: int = 0

    @property
    def value(self) -> float | None:
        """Give the last event's number."""
        return float.fromhex(self.at) if self.at else None


def fingerprint_of(query: Query, *scope: Any) -> str:
    """Give what tells a query and what it is asked of from others."""
    text = repr((_sorted(query), scope))
    return hashlib.blake2b(text.encode(), digest_size=9).hexdigest()


def _sorted(query: Query) -> Any:
    # Sets print in an order of their own in each process; page tokens outlive processes.
    def steady(value: Any) -> Any:
        if isinstance(value, frozenset):
            return sorted(value)
        if isinstance(value, tuple):
            return [steady(v) for v in value]
        if isinstance(value, msgspec.Struct):
            return [
                type(value).__name__,
                *[steady(getattr(value, f)) for f in value.__struct_fields__],
            ]
        return repr(value)

    return steady(query)


def write_mark(mark: Mark | OrderMark) -> str:
    """Write a mark as token."""
    body = msgspec.json.encode(mark)
    return base64.urlsafe_b64encode(_sum(body) + body).decode().rstrip("=")


def _sum(body: bytes) -> bytes:
    # Against damage on the way, which might skip events: a token grants nothing, so no secret.
    return hashlib.blake2b(body, digest_size=6).digest()


def read_mark(token: str, fingerprint: str) -> Mark:
    """Read a token; raise `Problem` 400 if it is damaged, changed or of another query."""
    return _read(token, fingerprint, Mark)


def read_order_mark(token: str, fingerprint: str) -> OrderMark:
    """Read a token of a query in the order of a field; raise `Problem` 400 as `read_mark` does."""
    mark = _read(token, fingerprint, OrderMark)
    try:
        if not 0 <= mark.top <= MOST or mark.value != mark.value:  # not a number
            raise ValueError
    except (ValueError, OverflowError):
        raise _bad_token("is no page token of this server") from None
    return mark


_M = TypeVar("_M", Mark, OrderMark)


def _read(token: str, fingerprint: str, kind: type[_M]) -> _M:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        mark = msgspec.json.decode(raw[6:], type=kind)
        if _sum(raw[6:]) != raw[:6]:
            raise ValueError
    except (binascii.Error, msgspec.MsgspecError, UnicodeError, ValueError):
        raise _bad_token("is no page token of this server") from None
    if mark.query != fingerprint or not 0 <= mark.seq <= MOST or not 0 <= mark.left <= MOST:
        raise _bad_token("belongs to another query; ask with the parameters it was given for")
    return mark


def _bad_token(why: str) -> Problem:
    return Problem(
        400, "QueryParameterException", f"nextPageToken {why}", [Finding("/nextPageToken", why)]
    )
