"""Connections are looked at before they are lent, at a cost that a busy server can bear.

Asking the database at each loan is a round trip, which would cost as much as the query that the
connection is lent for. A server that ends a session says so, or the system closes the socket: then
there is something to read on a connection that expects nothing. That is looked at each time; the
database is asked where there is, and now and then in any case. A session may still end between the
look and the answer: what only reads is then asked again.
"""

from __future__ import annotations

import select
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

P = ParamSpec("P")
R = TypeVar("R")

ASK_S: Final = 1.0

_asked: WeakKeyDictionary[AsyncConnection[Any], float] = WeakKeyDictionary()


class Pool(AsyncConnectionPool[AsyncConnection[Any]]):
    """A pool that lends no connection that is dead.

    A dead one is replaced in the background, and the next is looked at without a pause (the pool's
    own `check` waits a second after each, and twice as long after the next): when a server comes
    back, whoever waits for it has it at once.
    """

    async def getconn(self, timeout: float | None = None) -> AsyncConnection[Any]:
        """Return a connection that answers. Raises PoolTimeout."""
        until = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = await super().getconn(max(0.0, until - time.monotonic()))
            try:
                if await _answers(connection):
                    return connection
            except BaseException:
                await self.putconn(connection)
                raise
            await connection.close()
            await self.putconn(connection)


async def _answers(connection: AsyncConnection[Any]) -> bool:
    now = time.monotonic()
    if now - _asked.get(connection, -ASK_S) < ASK_S and not _is_readable(connection):
        return True
    try:
        await AsyncConnectionPool.check_connection(connection)
    except OperationalError:
        return False
    _asked[connection] = now
    return True


def _is_readable(connection: AsyncConnection[Any]) -> bool:
    """Say whether something has come that nobody asked for; true of a closed connection."""
    try:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    except Exception:
        return True


def read_again(reading: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Let `reading`, which changes nothing, begin once more when its session ends under it."""

    @wraps(reading)
    async def twice(*args: P.args, **more: P.kwargs) -> R:
        try:
            return await reading(*args, **more)
        except PoolTimeout:
            raise
        except OperationalError:
            return await reading(*args, **more)

    return twice
