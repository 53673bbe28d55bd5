"""Bring a database's tables up to date: every room's migrations, by Alembic, once.

`migrate(url)` is called by whoever starts a process on the database. It may be called by several
processes at once: an advisory lock lets one do the work and the others find it done.

**How a room adds tables.** Each room has its own branch of migrations, so that rooms never wait for
one another's revision numbers. A room that needs tables makes a folder `migrations/` in itself
(`src/stafett/watch/migrations/`, without `__init__.py`) with files such as `watch_0001_timers.py`:

    from alembic import op

    revision = "watch_0001"
    down_revision = None             # the first of the room; later "watch_0001", ...
    branch_labels = ("watch",)       # on the first of the room only
    depends_on = "ledger_0001"       # roles and the ledger's tables are there; on the first only

    def upgrade() -> None:
        op.execute("CREATE SCHEMA watch AUTHORIZATION CURRENT_USER")
        op.execute("CREATE TABLE watch.timer (...)")
        op.execute("GRANT USAGE ON SCHEMA watch TO stafett_append")
        op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON watch.timer TO stafett_append")

Raw SQL, one PostgreSQL schema per room (named after it), no downgrade: a migration that was
released is never changed. A migration must work while the previous release still runs. Rights are
granted to the runtime roles: `stafett_append` (what the service runs as) and `stafett_read` (an
organisation's restricted view, see migration ledger_0001).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from stafett.ledger.binaries import OLDEST_MAJOR
from stafett.ledger.unfit import Unfit

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationStep

PACKAGE = Path(__file__).resolve().parent.parent
VERSION_TABLE = "stafett_migration"
LOCK = 0x5374616665747401  # any number; the same in every process
_REVISION = re.compile(r"^revision = ['\"](\w+)['\"]", re.M)
_FOLLOWS = re.compile(r"^(?:down_revision|depends_on) = ['\"](\w+)['\"]", re.M)


def folders() -> list[Path]:
    """Return the migration folder of every room that has one."""
    return sorted(p for p in PACKAGE.glob("*/migrations") if p.is_dir())


def heads() -> set[str]:
    """Return the newest revision of every room, read from the files' own words."""
    revisions, followed = set(), set()
    for file in (f for folder in folders() for f in folder.glob("*.py")):
        text = file.read_text("utf-8")
        revisions.update(_REVISION.findall(text))
        followed.update(_FOLLOWS.findall(text))
    return revisions - followed


def look(connection: psycopg.Connection[Any]) -> None:
    """Raise Unfit where no migration can be: an old server, an encoding, a newer release's work."""
    version = connection.info.server_version // 10_000
    if version < OLDEST_MAJOR:
        raise Unfit(
            f"the database server is PostgreSQL {version}, and {OLDEST_MAJOR} or later is needed: "
            "upgrade it, or leave STAFETT_DATABASE_URL away and the one that comes with Stafett is "
            "used. Nothing was changed"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Unfit(
            f"the database {connection.info.dbname} is kept in {encoding}, which cannot hold every "
            "name: make one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0. Nothing "
            "was changed"
        )
    unknown = revisions(connection) - known()
    if unknown:
        raise Unfit(
            f"the database was brought up to date by a newer Stafett (this one does not know "
            f"{', '.join(sorted(unknown))}): run that release, or a newer one. Nothing was changed"
        )


def _not_allowed(url: str, error: psycopg.Error) -> Unfit:
    user = psycopg.conninfo.conninfo_to_dict(url).get("user", "of the database")
    said = error.diag.message_primary or str(error).strip()
    return Unfit(
        f"the user {user} may not set up the database: {said}. As an administrator of the server, "
        f'once: ALTER ROLE "{user}" CREATEROLE; and let the database belong to it. '
        "Nothing was changed"
    )


def known() -> set[str]:
    """Return every revision that this release has."""
    files = (f for folder in folders() for f in folder.glob("*.py"))
    return {found for file in files for found in _REVISION.findall(file.read_text("utf-8"))}


def revisions(connection: psycopg.Connection[Any]) -> set[str]:
    """Return the revisions that a database is at; none where it is empty."""
    if connection.execute("SELECT to_regclass(%s)", [VERSION_TABLE]).fetchone() == (None,):
        return set()
    rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
    return {str(row[0]) for row in rows}


def up_to_date(url: str) -> bool:
    """Tell whether the database at `url` has every room's newest revision, and no other."""
    with psycopg.connect(url) as connection:
        return revisions(connection) == heads()


def migrate(url: str, to: str = "heads") -> None:
    """Apply every migration that the database at `url` lacks, up to `to`. All or nothing.

    Raises Unfit where the server, the database or its user cannot carry one.

    Alembic takes a second to load: a database that lacks nothing is left without it.
    """
    if to == "heads" and up_to_date(url):
        return
    with psycopg.connect(url) as there:
        look(there)
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(PACKAGE / "ledger" / "migrations"))
    config.set_main_option("version_locations", "\n".join(str(f) for f in folders()))
    config.set_main_option("path_separator", "newline")
    scripts = ScriptDirectory.from_config(config)

    def missing(revision: object, _: object) -> list[MigrationStep]:
        return list(scripts._upgrade_revs(to, revision))  # type: ignore[arg-type]

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool
    )
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL client_min_messages = warning")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            with EnvironmentContext(config, scripts, fn=missing) as environment:
                environment.configure(
                    connection=connection,
                    version_table=VERSION_TABLE,
                    transaction_per_migration=False,
                )
                environment.run_migrations()
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise _not_allowed(url, error.orig) from None
        raise
    finally:
        engine.dispose()
