"""Migrations: once, whole, and safe when two processes start together."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime

import psycopg
import pytest

from stafett.ledger.batch import arrange, prepare
from stafett.ledger.merkle import Frontier
from stafett.ledger.schema import folders, heads, migrate, up_to_date
from stafett.ledger.unfit import Unfit


def test_two_processes_may_migrate_at_once(postgres):
    """Several processes that start on an empty database all find it ready."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE together")
    url = postgres.url_of("together")
    code = f"from stafett.ledger.schema import migrate; migrate({url!r})"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [p.wait() for p in started] == [0, 0, 0]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM ledger.head").fetchone() == (1,)


def test_a_second_run_changes_nothing(database):
    """Migrating an up-to-date database is a no-op."""

    def state() -> list[tuple[object, ...]]:
        with psycopg.connect(database) as connection:
            return connection.execute("SELECT * FROM stafett_migration ORDER BY 1").fetchall()

    before = state()
    migrate(database)
    assert state() == before and before


def test_what_is_newest_is_known_without_alembic(database):
    """The files' own words name the same revisions as Alembic wrote down."""
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT version_num FROM stafett_migration").fetchall()
        assert {row[0] for row in rows} == heads()
        assert up_to_date(database)
        connection.execute(
            "UPDATE stafett_migration SET version_num = 'watch_9999' "
            "WHERE version_num LIKE 'watch%'"
        )
        connection.commit()
    assert not up_to_date(database)


def test_a_failing_migration_leaves_nothing(postgres, tmp_path, monkeypatch):
    """All migrations of a start are one transaction."""
    (tmp_path / "broken_0001.py").write_text(
        "from alembic import op\n"
        "revision = 'broken_0001'\ndown_revision = None\n"
        "branch_labels = ('broken',)\ndepends_on = 'ledger_0001'\n"
        "def upgrade():\n    op.execute('CREATE SCHEMA half')\n    op.execute('SELECT nonsense')\n"
    )
    monkeypatch.setattr("stafett.ledger.schema.folders", lambda: [*folders(), tmp_path])
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE broken")
    try:
        migrate(postgres.url_of("broken"))
    except Exception as error:
        assert "nonsense" in str(error)
    with psycopg.connect(postgres.url_of("broken")) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname IN ('half', 'ledger')"
        ).fetchall()
    assert found == []


def test_every_branch_has_its_own_numbers():
    """A file is named after its revision: its branch and a number, so that rooms never collide."""
    for folder in folders():
        for path in folder.glob("*.py"):
            if path.name != "env.py":
                named = re.match(r"([a-z]+_\d{4})_", path.name)
                assert named, path
                assert f'revision = "{named[1]}"' in path.read_text(), path


def test_events_from_before_the_tree_get_one(postgres, submission):
    """A ledger that has events but no tree yet is given the tree that it would have had."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE treeless")
    url = postgres.url_of("treeless")
    migrate(url, to="ledger_0001")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    submitted = submission(drafts=700)
    arranged = arrange([prepare(submitted)], {}, {}, 0, now)
    columns = [
        arranged.entries, arranged.leaf_hashes, list(range(1, 701)), *(
            [text] * 700 for text in ("journey-1", "noted", "hospital", "nurse", "{hospital,maker}")
        ), [now] * 700, [submitted.key], [submitted.request_hash], [1], [700],
    ]  # fmt: skip
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET ROLE stafett_append")
        connection.execute(
            "SELECT ledger.append(0, 0, %s, 1" + ", %s" * 11 + ", %s::bigint[], %s::integer[])",
            [now, *columns],
        )
    migrate(url)
    with psycopg.connect(url) as connection:
        root, nodes = connection.execute(
            "SELECT root, (SELECT count(*) FROM ledger.node) FROM ledger.head"
        ).fetchone()
    assert (root, nodes) == (Frontier().append(arranged.leaf_hashes).root, 2)


def test_a_database_of_a_newer_release_is_left_alone(database):
    """A revision that this release does not know: somebody has started a newer one on it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO stafett_migration VALUES ('watch_9999')")
    with pytest.raises(Unfit, match=r"newer Stafett.*watch_9999.*Nothing was changed"):
        migrate(database)


def test_a_database_in_an_old_encoding_is_named(postgres):
    """Names of people and products do not fit into Latin-1."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(Unfit, match=r"latin is kept in LATIN1.*ENCODING 'UTF8'"):
        migrate(postgres.url_of("latin"))


def test_a_user_who_may_not_make_roles_is_told_what_it_takes(postgres):
    """The administrator of the server is given the statement."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE powerless LOGIN")
        connection.execute("CREATE DATABASE powerless OWNER powerless")
    url = postgres.url_of("powerless").replace("://stafett@", "://powerless@")
    with pytest.raises(Unfit, match=r"powerless may not set up.*CREATEROLE"):
        migrate(url)
