"""Migrations: once, whole, and safe when two processes start together."""

from __future__ import annotations

import subprocess
import sys

import psycopg

from stafett.ledger.schema import folders, migrate


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


def test_every_room_has_its_own_branch():
    """Revisions are named after their room and number, so that rooms never collide."""
    for folder in folders():
        room = folder.parent.name
        for path in folder.glob("*.py"):
            if path.name != "env.py":
                assert path.name.startswith(f"{room}_"), path
