"""Connections are looked at before they are lent, but not at every loan: a busy one is not asleep.

A look is a round trip to the database, which under load would cost as much as the query it is for.
"""

from __future__ import annotations

import time
from typing import Any, Final
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

LOOK_S: Final = 0.5

_looked: WeakKeyDictionary[AsyncConnection[Any], float] = WeakKeyDictionary()


async def alive(connection: AsyncConnection[Any]) -> None:
    """Raise OperationalError if `connection` is dead; it is asked at most once in LOOK_S."""
    now = time.monotonic()
    if now - _looked.get(connection, -LOOK_S) < LOOK_S:
        return
    await AsyncConnectionPool.check_connection(connection)
    _looked[connection] = now
