"""Long computations outlive the server, are asked once, and stop when they are told to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from stafett.service.computing import DIED, Busy, Computation, Computing
from stafett.service.computing_messages import Task
from stafett.service.own_networks import OwnNetworks
from stafett.service.studio import Run, Studio, Wish

pytestmark = pytest.mark.anyio
SHORT = Wish(["sweden-aav"], replications=2, years=0.25)
LONG = [Wish(["us", "uk"], replications=60, years=5.0, seed=n) for n in range(3)]
MIDDLE = Wish(["sweden-tissue"], replications=30, years=0.5)


async def _as_service(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("SET ROLE stafett_append")
    await connection.commit()


@asynccontextmanager
async def server(url: str, folder: Path) -> AsyncIterator[tuple[Computing, Studio]]:
    """A server's part that computes; leaving it is stopping the server."""
    async with AsyncConnectionPool(url, min_size=1, configure=_as_service) as pool:
        computing = Computing(url, pool, folder)
        await computing.start()
        try:
            yield computing, Studio(computing, OwnNetworks(pool))
        finally:
            await computing.close()


async def until(studio: Studio, id_: str, said: Callable[[Run], bool]) -> Run:
    """Look until a run is as it should be; the first one compiles for half a minute."""
    for _ in range(6000):
        run = await studio.of("o", id_)
        assert run is not None
        if said(run):
            return run
        await asyncio.sleep(0.05)
    raise AssertionError(f"the run stayed as it was: {run.computation}")


def whole_lines(file: Path) -> list[bytes]:
    """What has been written whole: the last line may be half there."""
    return file.read_bytes().rpartition(b"\n")[0].splitlines()


def ended(run: Run) -> bool:
    """It is not going any more."""
    return not run.computation.going


async def test_a_question_is_worked_out_once_and_a_person_has_two_runs_at_most(
    database: str, tmp_path: Path
) -> None:
    """The third is refused until one is cancelled; what is answered needs no place; and no other
    organisation sees it."""
    async with server(database, tmp_path) as (_, studio):
        first = await until(studio, (await studio.begin(SHORT, "p", "o")).id, ended)
        assert first.answer is not None, first.computation.problem
        assert first.computation.done == first.computation.total
        running = [await studio.begin(wish, "p", "o") for wish in LONG[:2]]
        with pytest.raises(Busy):
            await studio.begin(LONG[2], "p", "o")
        again = await studio.begin(SHORT, "p", "o")
        assert again.computation.state == "done" and again.id != first.id
        same = await studio.of("o", again.id)
        assert same is not None and same.answer is not None
        assert same.answer.comparison == first.answer.comparison
        assert await studio.of("other", first.id) is None
        assert await studio.all_of("other") == []
        await until(studio, running[0].id, lambda run: run.computation.state == "running")
        for run in running:
            await studio.cancel(run)
        states = [(await until(studio, run.id, ended)).computation.state for run in running]
        assert states == ["cancelled", "cancelled"]
        # The process that was ended with the run is started again for the next.
        other = await studio.begin(Wish(["sweden-tissue"], replications=2, years=0.25), "p", "o")
        assert (await until(studio, other.id, ended)).computation.state == "done"


async def test_a_run_goes_on_after_a_restart_from_what_was_finished(
    database: str, tmp_path: Path
) -> None:
    """Stopping does not wait for it; the next server finishes it, and the figures are the same."""
    async with server(database, tmp_path / "one") as (_, studio):
        begun = await studio.begin(MIDDLE, "p", "o")
        await until(studio, begun.id, lambda run: run.computation.done >= 20)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 3
    file = next((tmp_path / "one").rglob("*.jsonl"))
    kept = b"".join(line for line in file.read_bytes().splitlines(True) if line.endswith(b"\n"))
    assert kept.count(b"\n") >= 20
    seen = kept
    async with server(database, tmp_path / "one") as (_, studio):

        def ended_and_read(run: Run) -> bool:
            nonlocal seen
            with suppress(FileNotFoundError):  # an answered run's file is removed
                seen = file.read_bytes()
            return ended(run)

        await until(studio, begun.id, ended_and_read)
        assert seen.startswith(kept)
        rows = [json.loads(line) for line in seen.splitlines(True) if line.endswith(b"\n")]
        once = {(row["key"], row["seed"], row["replication"]) for row in rows}
        assert len(once) == len(rows)  # gone on: nothing is simulated twice
        done = await until(studio, begun.id, ended)
        assert done.answer is not None, done.computation.problem
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM service.computed")
        connection.execute("DELETE FROM service.computation")
        connection.commit()
    async with server(database, tmp_path / "two") as (_, studio):
        whole = await until(studio, (await studio.begin(MIDDLE, "p", "o")).id, ended)
        assert whole.answer is not None
        assert whole.answer.comparison == done.answer.comparison


async def test_a_run_that_was_stopped_and_is_asked_for_again_goes_on_from_what_was_finished(
    database: str, tmp_path: Path
) -> None:
    """The same question by whoever asks it; nothing that was finished is simulated twice."""
    async with server(database, tmp_path / "one") as (_, studio):
        begun = await studio.begin(MIDDLE, "p", "o")
        seen = await until(studio, begun.id, lambda run: run.computation.done >= 20)
        await studio.cancel(begun)
        assert (await until(studio, begun.id, ended)).computation.state == "cancelled"
        file = next((tmp_path / "one").rglob("*.jsonl"))
        kept = len(whole_lines(file))
        assert kept >= 20
        again = await studio.begin(MIDDLE, "q", "o")
        assert again.id != begun.id
        further = seen.computation.done + 10
        await until(studio, again.id, lambda run: run.computation.done >= further)
        rows = [json.loads(line) for line in whole_lines(file)]
        assert len({(r["key"], r["seed"], r["replication"]) for r in rows}) == len(rows) >= kept
        done = await until(studio, again.id, ended)
        assert done.answer is not None, done.computation.problem
        assert (await studio.of("o", begun.id)) is not None


async def test_a_process_that_is_killed_is_said_and_the_next_question_is_answered(
    database: str, tmp_path: Path
) -> None:
    """The run has failed, in words; nothing waits for it."""
    async with server(database, tmp_path) as (computing, studio):
        begun = await studio.begin(LONG[0], "p", "o")
        await until(studio, begun.id, lambda run: run.computation.state == "running")
        process = computing._workers["runs"]._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        failed = await until(studio, begun.id, ended)
        assert (failed.computation.state, failed.computation.problem) == ("failed", DIED)
        assert (await until(studio, (await studio.begin(SHORT, "p", "o")).id, ended)).answer


async def test_ctrl_c_at_the_servers_terminal_makes_no_answer_of_what_is_half_done(
    database: str, tmp_path: Path
) -> None:
    """It comes to the process that computes too, which goes on until the server ends it."""
    async with server(database, tmp_path) as (computing, studio):
        wish = Wish(["sweden-tissue"], replications=16, years=0.5)
        begun = await studio.begin(wish, "p", "o")
        beyond = wish.replications + 10  # the system itself is done: levers are being tried
        await until(studio, begun.id, lambda run: run.computation.done >= beyond)
        process = computing._workers["runs"]._process
        assert process is not None
        os.kill(process.pid, signal.SIGINT)
        done = await until(studio, begun.id, ended)
        assert done.answer is not None, done.computation.problem
        assert done.answer.comparison.missing == 0


async def test_a_question_that_cannot_be_put_keeps_none_waiting(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has failed, and says of what; the next one is answered."""
    async with server(database, tmp_path) as (computing, studio):
        task = computing.task
        refused: list[str] = []

        def fails(c: Computation) -> Task:
            if not refused:
                refused.append(c.id)
                raise ValueError("a question that nobody thought of")
            return task(c)

        monkeypatch.setattr(computing, "task", fails)
        begun = await studio.begin(MIDDLE, "p", "o")
        failed = await until(studio, begun.id, ended)
        assert failed.computation.state == "failed"
        assert "nobody thought of" in failed.computation.problem
        assert (await until(studio, (await studio.begin(SHORT, "p", "o")).id, ended)).answer
        assert all(one.trouble is None for one in computing.tended)
