"""Connections are looked at before they are lent, at a cost that a busy server can bear.

Asking the database at each loan is a round trip, which would cost as much as the query that the
connection is lent for. A server that ends a session says so, or the system closes the socket: then
there is something to read on a connection that expects nothing. That is looked at each time; the
database is asked where there is, and now and then in any case.
"""

from __future__ import annotations

import select
import time
from typing import Any, Final
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

ASK_S: Final = 1.0

_asked: WeakKeyDictionary[AsyncConnection[Any], float] = WeakKeyDictionary()


async def alive(connection: AsyncConnection[Any]) -> None:
    """Raise OperationalError if `connection` is dead."""
    now = time.monotonic()
    if now - _asked.get(connection, -ASK_S) < ASK_S and not _is_readable(connection):
        return
    await AsyncConnectionPool.check_connection(connection)
    _asked[connection] = now


def _is_readable(connection: AsyncConnection[Any]) -> bool:
    """Say whether something has come that nobody asked for; true of a closed connection."""
    try:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    except Exception:
        return True
