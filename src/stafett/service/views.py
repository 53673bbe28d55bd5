"""The views of the board that a person has saved: theirs on whatever device they sit at."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from psycopg.types.json import Jsonb

from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.refusal import No, Reason, unknown

MOST = 24
# A search for an identifier leads to one patient; and what a name may hold, a name does not hide.
PATIENT = re.compile(r"\d{4}|^ch[a-z]?\d", re.IGNORECASE)
Show = Literal["open", "act", "deviations", "mine", "ended", "all"]
Short = Annotated[str, msgspec.Meta(max_length=100)]


class Wished(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a view shows: `q` is searched for, `at` is who has the baton."""

    q: Short = ""
    show: Show = "open"
    at: Short = ""
    product: Annotated[str, msgspec.Meta(max_length=200)] = ""


class View(msgspec.Struct, frozen=True):
    """A saved view: its name and what it shows."""

    name: str
    shows: Wished


class Views:
    """The saved views, kept in PostgreSQL. Each person's are their own."""

    def __init__(self, pool: sql.Pool) -> None:
        self._pool = pool

    async def of(self, person: Person) -> list[View]:
        """Return the person's views, by name."""
        query = "SELECT name, fields FROM service.board_view WHERE person = %s ORDER BY name"
        found = await sql.rows(self._pool, query, (person.id,))
        return [View(name, msgspec.convert(fields, Wished)) for name, fields in found]

    async def save(self, person: Person, name: str, shows: Wished) -> None:
        """Keep a view under `name`, in place of one of that name. Raises No."""
        name = " ".join(name.split())
        if not 1 <= len(name) <= 40 or not name.isprintable():
            raise No("bad-value", "No such name", Reason("name", "1 to 40 characters"))
        for field, value in (("q", shows.q), ("name", name)):
            if PATIENT.search(value):
                what, todo = "it may name a patient, and is not kept", "leave the number out"
                raise No("bad-value", "This is not kept", Reason(field, what, todo))
        kept = await sql.done(
            self._pool,
            "INSERT INTO service.board_view (person, name, fields) SELECT %s, %s, %s"
            " WHERE (SELECT count(*) FROM service.board_view WHERE person = %s AND name <> %s) < %s"
            " ON CONFLICT (person, name) DO UPDATE SET fields = EXCLUDED.fields, saved = now()",
            (person.id, name, Jsonb(msgspec.to_builtins(shows)), person.id, name, MOST),
        )
        if kept == 0:
            raise No("taken", "Too many views", Reason("name", f"{MOST} at most", "forget one"))

    async def forget(self, person: Person, name: str) -> None:
        """Take a view away. Raises No where there is none."""
        query = "DELETE FROM service.board_view WHERE person = %s AND name = %s"
        if await sql.done(self._pool, query, (person.id, name)) == 0:
            raise unknown("view", name)
