"""Page tokens as clients hold them: of one organisation, for one list, until they run out.

    tokens = PageTokens(store)
    token, expires = tokens.write(place, owner="courier", path=["events"])
    place = await tokens.read(token, owner="courier", path=["events"])

`place` is where the list goes on, in the list's own words. All of it is in the token, so a token
costs the server nothing until it is given up (`DELETE /nextPageToken/{token}`, EPCIS 2.0, REST
bindings): then it is remembered, until it would have run out. It grants nothing: what may be read
is asked anew with each page, so its sum guards against damage, not against forgers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.problem import Finding, Problem

LIFE: Final = timedelta(days=7)
# A sum over the rest, whose token it is, which list's, the second it runs out, and what makes it
# unlike any other: two clients that walk the same list must not end each other's walk.
_HEAD: Final = struct.Struct(">6s6s6sI6s")
_SUM: Final = 6

_GIVE_UP: Final = """
WITH swept AS (DELETE FROM exchange.page_token_given_up WHERE expires < clock_timestamp())
INSERT INTO exchange.page_token_given_up VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""


class Token(msgspec.Struct, frozen=True):
    """What a token says, by itself."""

    whose: bytes
    path: bytes
    expires: datetime
    place: str
    digest: UUID


class PageTokens:
    """Page tokens over one store."""

    def __init__(self, store: EpcisStore) -> None:
        self.store = store

    def write(self, place: str, *, owner: str, path: Sequence[str]) -> tuple[str, datetime]:
        """Write the token that goes on at `place` of an organisation's list, and its end."""
        expires = datetime.now(UTC).replace(microsecond=0) + LIFE
        head = _HEAD.pack(
            b"", _short(owner), _short(*path), int(expires.timestamp()), os.urandom(6)
        )
        body = head[_SUM:] + place.encode()
        return base64.urlsafe_b64encode(_sum(body) + body).decode().rstrip("="), expires

    async def read(self, token: str, *, owner: str, path: Sequence[str]) -> str:
        """Give the place that a token goes on at.

        Raises `Problem` 400 for what is no token, is another organisation's or another list's,
        ran out, or was given up.
        """
        try:
            found = parse(token)
        except ValueError:
            raise _refused("is no page token of this server") from None
        if found.whose != _short(owner) or found.path != _short(*path):
            raise _refused("belongs to another list; ask where it was given")
        if found.expires < datetime.now(UTC):
            raise _refused(f"ran out at {found.expires.isoformat()}; begin again")
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT 1 FROM exchange.page_token_given_up WHERE owner = %s AND digest = %s",
                [owner, found.digest],
            )
            if await cursor.fetchone() is not None:
                raise _refused("was given up; begin again")
        return found.place

    async def give_up(self, token: str, *, owner: str) -> None:
        """End a token of the organisation's; that it ended before is no error.

        Raises `Problem` 404 for what is no token, or not the organisation's.
        """
        try:
            found = parse(token)
        except ValueError:
            raise _unknown() from None
        if found.whose != _short(owner):
            raise _unknown()
        # A forger's token may say any end; what is remembered for it ends as any other does.
        until = min(found.expires, datetime.now(UTC) + LIFE)
        async with self.store.pool.connection() as connection:
            await connection.execute(_GIVE_UP, [owner, found.digest, until])


def parse(token: str) -> Token:
    """Read a token; raise `ValueError` if it is damaged or none."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        sum_, whose, path, expires, _ = _HEAD.unpack(raw[: _HEAD.size])
        place = raw[_HEAD.size :].decode()
    except (binascii.Error, struct.error, UnicodeError) as wrong:
        raise ValueError("not a token") from wrong
    if sum_ != _sum(raw[_SUM:]):
        raise ValueError("damaged")
    digest = UUID(bytes=hashlib.blake2b(raw, digest_size=16).digest())
    return Token(whose, path, datetime.fromtimestamp(expires, UTC), place, digest)


def _short(*parts: str) -> bytes:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=6).digest()


def _sum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_SUM).digest()


def _refused(why: str) -> Problem:
    return Problem(
        400, "QueryParameterException", f"nextPageToken {why}", [Finding("/nextPageToken", why)]
    )


def _unknown() -> Problem:
    return Problem(404, "NoSuchResourceException", "that is no page token of yours")
