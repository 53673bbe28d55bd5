"""The board's rows are kept with their place in the record, and are never more than a copy."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from board_carrier import submissions
from stafett.service import board as board_module
from stafett.service import kept
from stafett.service.board import Board
from stafett.service.kept import KeptRows
from stafett.service.row import Row
from stafett.service.tower import Tower

CARRIER = Path(__file__).parents[1] / "board_carrier.py"
pytestmark = pytest.mark.anyio


@asynccontextmanager
async def tower_at(url: str, folder: Path) -> AsyncIterator[Tower]:
    """Run a tower whose board has read everything, and whose watch adds nothing to the record."""
    tower = Tower(url, folder, cheap_hashing=True)
    tower.watch.start = nothing  # type: ignore[method-assign]
    async with tower:
        await tower.board.ready.wait()
        yield tower


async def nothing() -> None:
    """Do nothing."""


async def carry(tower: Tower, journey: str, pieces: int, seed: int = 1) -> None:
    """Append the first pieces of a journey, and wait until the board has them."""
    for submission in list(submissions(tower, journey, seed))[:pieces]:
        receipt = await tower.ledger.append(submission)
    while tower.board.position < receipt.positions[-1]:
        await asyncio.sleep(0.01)


async def truth(tower: Tower) -> dict[str, Row]:
    """Return every row, made from nothing but the record."""
    bare = Board(tower.ledger, tower.journeys)
    await bare.rebuild(await tower.ledger.size())
    return bare.rows


async def begun(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> tuple[Board, list[str]]:
    """Start another board on what is kept; return it and what it had to read in the record."""
    read: list[str] = []

    async def told(self: Board, size: int) -> None:
        read.append("everything")
        await rebuild(self, size)

    async def mended(self: Board, journey: str) -> None:
        read.append(journey)
        await mend(self, journey)

    rebuild, mend = Board.rebuild, Board._mend
    monkeypatch.setattr(Board, "rebuild", told)
    monkeypatch.setattr(Board, "_mend", mended)
    board = Board(tower.ledger, tower.journeys, KeptRows(tower.pool))
    await board.start()
    await board.ready.wait()
    await board.close()
    monkeypatch.undo()
    return board, read


async def test_a_restart_takes_the_kept_rows_and_reads_only_what_came_after(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, order and the watch's moments are those that the record alone would give."""
    async with tower_at(database, tmp_path) as tower:
        await carry(tower, "J-1", 20)
        await carry(tower, "J-2", 9, seed=2)
        await tower.board.save()
        await carry(tower, "J-3", 3)  # after the save
        wakes: dict[str, object] = dict(tower.board._wakes)
        board, read = await begun(tower, monkeypatch)
        assert read == []
        assert board.rows == await truth(tower) == tower.board.rows
        assert list(board._order) == ["J-1", "J-2", "J-3"]
        assert board._wakes == wakes
        assert any(wake is not None for wake in wakes.values())


async def test_a_row_that_was_changed_or_cannot_be_read_is_made_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad row costs the reading of one journey, and is mended where it is kept."""
    async with tower_at(database, tmp_path) as tower:
        for n in range(4):
            await carry(tower, f"J-{n}", 5)
        await tower.board.save()
        with psycopg.connect(database, autocommit=True) as connection:
            for journey, change in (
                ("J-1", "body = overlay(body placing 'x'::bytea from 9)"),  # one byte flipped
                ("J-2", "body = '{}', digest = sha256('{}')"),  # whole, and no row
            ):
                connection.execute(
                    f"UPDATE service.board_row SET {change} WHERE journey = %s",
                    [journey],
                )
        board, read = await begun(tower, monkeypatch)
        assert sorted(read) == ["J-1", "J-2"]
        assert board.rows == await truth(tower)
        _, read = await begun(tower, monkeypatch)
        assert read == []


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("a row is missing", "DELETE FROM service.board_row WHERE journey = 'J-1'"),
        ("all are thrown away", "DELETE FROM service.board"),
        ("they are ahead of the record", "UPDATE service.board SET position = 999999"),
        ("another release made them", "UPDATE service.board SET format = 'older'"),
    ],
)
async def test_rows_that_cannot_be_relied_on_are_made_anew(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, change: str
) -> None:
    """The record is read from its beginning, and what it gives is kept again."""
    async with tower_at(database, tmp_path) as tower:
        await carry(tower, "J-1", 5)
        await carry(tower, "J-2", 5)
        await tower.board.save()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(change)
        board, read = await begun(tower, monkeypatch)
        assert read == ["everything"], what
        assert board.rows == await truth(tower)
        _, read = await begun(tower, monkeypatch)
        assert read == []


async def test_a_change_of_the_rules_changes_the_format(tmp_path: Path) -> None:
    """The format is a digest of the code that makes rows: no rule changes under kept rows."""
    for name in kept.MADE_BY:
        assert (kept.PACKAGE / name).exists()
    assert kept.format_() == kept.format_.__wrapped__()


async def test_a_row_that_cannot_be_made_blinds_nobody(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are on the board, and the broken one is tried again at the next start."""
    async with tower_at(database, tmp_path) as tower:
        right = tower.journeys.follow

        def fails(live: object, body: object) -> object:
            event = getattr(body, "event")  # noqa: B009
            if getattr(event, "journey", "") == "J-BAD":
                raise ValueError("this cannot be followed")
            return right(live, body)  # type: ignore[arg-type]

        monkeypatch.setattr(tower.journeys, "follow", fails)
        await carry(tower, "J-BAD", 3)
        await carry(tower, "J-GOOD", 3)
        assert set(tower.board.rows) == {"J-GOOD"}
        await tower.board.save()
        monkeypatch.undo()
        board, read = await begun(tower, monkeypatch)
        assert read == ["J-BAD"]
        assert board.rows == await truth(tower)
        assert set(board.rows) == {"J-BAD", "J-GOOD"}


@pytest.mark.timeout(900)  # on a machine with other work, starting towers takes its time
@pytest.mark.parametrize(("processes", "rounds"), [(1, 2), (2, 1)])
async def test_killed_at_any_instant_nothing_is_lost_and_all_agree(
    database: str, tmp_path: Path, processes: int, rounds: int
) -> None:
    """Kill -9 while rows are saved: what is kept and what came after give what the record gives."""
    for round_ in range(rounds):
        running = [
            subprocess.Popen(
                [sys.executable, str(CARRIER), database, str(tmp_path), f"R{round_}P{n}"],
                stdout=subprocess.PIPE,
            )
            for n in range(processes)
        ]
        acknowledged = 0
        for one in running:
            assert one.stdout is not None
            for _ in range((60 + 40 * round_) // processes**2):
                acknowledged = max(acknowledged, int(one.stdout.readline()))
        for one in running:
            one.send_signal(signal.SIGKILL)
        for one in running:
            assert one.stdout is not None
            lines = one.stdout.read().split(b"\n")
            acknowledged = max(acknowledged, *(int(line) for line in lines[:-1] or [b"0"]))
            one.wait()
        async with tower_at(database, tmp_path) as tower:
            assert tower.board.position >= acknowledged
            assert tower.board.rows == await truth(tower)
            assert sum(row.position == tower.board.position for row in tower.board.rows.values())
    with psycopg.connect(database) as connection:
        kept_at = connection.execute("SELECT position FROM service.board").fetchall()
    assert kept_at and kept_at[0][0] > 0


async def test_half_of_a_submission_is_never_seen(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a batch ends within a submission, the journey is taken as the record has it."""
    async with tower_at(database, tmp_path) as tower:
        await carry(tower, "J-1", 3)
        events = await tower.ledger.stream("J-1")
        assert len(events) == 12
        monkeypatch.setattr(board_module, "BATCH", 6)
        tower.journeys.forget()
        await Board(tower.ledger, tower.journeys).apply(events[:6])
        live = tower.journeys.known("J-1")
        assert live is not None and live.state.position == 12
