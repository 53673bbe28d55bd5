"""A second factor beside the password: codes by time (RFC 6238), and recovery codes on paper.

A code is good once, within half a minute before or after its own. The secret is stored encrypted
under a key that is not in the database. Recovery codes are random (50 bits), so their SHA-256 is
enough; each works once.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

import msgspec
import pyotp
import zxingcpp
from psycopg import AsyncConnection

from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.master import Master, Sealer

STEP_S = 30
WINDOW = 1  # steps before and after, for clocks that are a little off
CODES = 10
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class Enrolment(msgspec.Struct, frozen=True):
    """A new secret, shown once: as text, as the address that apps read, and as a QR symbol."""

    secret: str
    uri: str
    svg: str


class Box:
    """Seals small secrets under a key derived from the installation's master key."""

    def __init__(self, master: Master, purpose: str) -> None:
        self._master, self._sealer = master, Sealer(master, f"stafett {purpose}")

    async def seal(self, connection: AsyncConnection[Any], plain: str, name: str) -> bytes:
        """Encrypt `plain` for the row `name`, to be written on `connection`, in its transaction.

        It cannot be moved to another row.
        """
        under = await self._master.writing(connection)
        return self._sealer.seal(under, plain.encode(), name.encode())

    def open(self, sealed: bytes, name: str) -> str:
        """Decrypt; raise ValueError if the key or the row is another."""
        return self._sealer.open(sealed, name.encode()).decode()


class Factors:
    """Second factors of the people."""

    def __init__(self, pool: sql.Pool, master: Master) -> None:
        self._pool, self._box = pool, Box(master, "second factor")

    def offer(self, person: Person, installation: str) -> Enrolment:
        """Make a secret; nothing is kept until `enrol` has seen a code of it."""
        secret = pyotp.random_base32()
        uri = pyotp.TOTP(secret).provisioning_uri(name=person.login, issuer_name=installation)
        return Enrolment(secret, uri, qr(uri))

    async def enrol(self, person: Person, secret: str, code: str) -> list[str]:
        """Keep the secret once a code of it was shown; return new recovery codes.

        Raises ValueError if the code is not one of the secret's now.
        """
        step = _step(secret, code, 0)
        if step is None:
            raise ValueError("this is not the code that the app shows now: check the phone's clock")
        async with self._pool.connection() as connection:
            sealed = await self._box.seal(connection, secret, person.id)
            await connection.execute(
                "UPDATE service.person SET totp = %s, totp_step = %s WHERE id = %s",
                (sealed, step, person.id),
            )
        return await self.new_codes(person)

    async def new_codes(self, person: Person) -> list[str]:
        """Make new recovery codes; the old ones are void. Shown once, stored as hashes."""
        codes = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(CODES)]
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.execute(
                "DELETE FROM service.recovery_code WHERE person = %s", (person.id,)
            )
            await cursor.executemany(
                "INSERT INTO service.recovery_code (person, code) VALUES (%s, %s)",
                [(person.id, _hash(code)) for code in codes],
            )
        return [f"{code[:5]}-{code[5:]}" for code in codes]

    async def remove(self, person: str) -> None:
        """Take the second factor away, with its recovery codes."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE service.person SET totp = NULL, totp_step = 0 WHERE id = %s", (person,)
            )
            await connection.execute(
                "DELETE FROM service.recovery_code WHERE person = %s", (person,)
            )

    async def has(self, person: Person) -> bool:
        """Say whether signing in with the password needs a code as well."""
        query = "SELECT totp IS NOT NULL FROM service.person WHERE id = %s"
        found = await sql.row(self._pool, query, (person.id,))
        return bool(found and found[0])

    async def codes_left(self, person: Person) -> int:
        """Return how many recovery codes are unused."""
        query = "SELECT count(*) FROM service.recovery_code WHERE person = %s AND used IS NULL"
        return int((await sql.row(self._pool, query, (person.id,)))[0])

    async def confirms(self, person: Person, code: str) -> bool:
        """Say whether `code` is the app's now, or an unused recovery code; using it up."""
        plain = code.replace(" ", "").replace("-", "").upper()
        if plain.isascii() and plain.isdigit() and len(plain) == 6:
            return await self._by_time(person, plain)
        query = (
            "UPDATE service.recovery_code SET used = now()"
            " WHERE person = %s AND code = %s AND used IS NULL"
        )
        return await sql.done(self._pool, query, (person.id, _hash(plain))) == 1

    async def _by_time(self, person: Person, code: str) -> bool:
        query = "SELECT totp, totp_step FROM service.person WHERE id = %s AND active"
        found = await sql.row(self._pool, query, (person.id,))
        if found is None or found[0] is None:
            return False
        step = _step(self._box.open(bytes(found[0]), person.id), code, int(found[1]))
        if step is None:
            return False
        # Two requests with the same code: one of them finds the step taken (RFC 6238, 5.2).
        return (
            await sql.done(
                self._pool,
                "UPDATE service.person SET totp_step = %s WHERE id = %s AND totp_step < %s",
                (step, person.id, step),
            )
            == 1
        )


def _step(secret: str, code: str, after: int) -> int | None:
    """Return the time step whose code this is, later than `after`, or None."""
    now = int(time.time()) // STEP_S
    try:
        totp = pyotp.TOTP(secret)
        right = [
            step
            for step in range(now - WINDOW, now + WINDOW + 1)
            if step > after and pyotp.utils.strings_equal(totp.at(step * STEP_S), code)
        ]
    except (ValueError, TypeError):
        return None
    return right[0] if right else None


def qr(text: str) -> str:
    """Return `text` as a QR symbol: one SVG element that fits into a page."""
    barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode)
    svg = str(zxingcpp.write_barcode_to_svg(barcode))
    return svg[svg.index("<svg") :]


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
