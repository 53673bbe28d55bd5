"""Whether a pooled connection still lives, asked only of those that have been idle.

psycopg's own check is a round trip each time that a connection is lent: a third of all the
statements of a command. One that answered a moment ago is lent unasked. What dies within that
moment is found by the statement itself, as it would be a moment after a check.
"""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg_pool import AsyncConnectionPool

FRESH_S = 0.5
_answered: WeakKeyDictionary[psycopg.AsyncConnection[Any], float] = WeakKeyDictionary()


async def lively(connection: psycopg.AsyncConnection[Any]) -> None:
    """Check a connection that has not been lent for FRESH_S. Raises what psycopg's check raises."""
    now = time.monotonic()
    if now - _answered.get(connection, -FRESH_S) >= FRESH_S:
        await AsyncConnectionPool.check_connection(connection)
    _answered[connection] = now
