"""How often an address may be wrong: guessing across many accounts is stopped here.

One account is protected by its own lock (stafett.service.accounts). This limit is per network
address; a whole hospital may stand behind one, so it is wide.
"""

from __future__ import annotations

from stafett.service import sql

FAILURES = 100
MINUTES = 15


class Throttled(Exception):
    """Too many wrong attempts came from this address: wait `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many wrong attempts came from this address")
        self.retry_after = retry_after


class Throttle:
    """Wrong attempts of the last minutes, shared by every process."""

    def __init__(self, pool: sql.Pool) -> None:
        self._pool = pool

    async def check(self, address: str) -> None:
        """Raise Throttled if `address` has been wrong too often; "" is this machine itself."""
        if not address:
            return
        found = await sql.row(
            self._pool,
            "SELECT count(*), extract(epoch FROM min(at) + make_interval(mins => %s) - now())::int"
            " FROM (SELECT at FROM service.failure WHERE address = %s"
            " AND at > now() - make_interval(mins => %s) ORDER BY at DESC LIMIT %s) latest",
            (MINUTES, address, MINUTES, FAILURES),
        )
        if found[0] >= FAILURES:
            raise Throttled(max(1, int(found[1])))

    async def failed(self, address: str) -> None:
        """Note a wrong attempt; what is too old to count is dropped."""
        if not address:
            return
        await sql.done(
            self._pool,
            "WITH old AS (DELETE FROM service.failure"
            " WHERE address = %s AND at < now() - make_interval(mins => %s))"
            " INSERT INTO service.failure (address) VALUES (%s)",
            (address, MINUTES, address),
        )
