"""Many replications: the same whoever runs them, kept when stopped, taken up again."""

from __future__ import annotations

import _thread
import hashlib
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, SimpleNamespace

import pytest

from stafett.simulation import Exponential, Horizon, Model, Store, kernel, simulate, sweep
from stafett.simulation import sweep as package_sweep
from stafett.simulation.compiled import ROOM, STAMP
from stafett.simulation.interrupt import heard

HORIZON = Horizon(500.0, warmup=50.0)


@pytest.fixture
def designs(q: SimpleNamespace) -> dict[str, Model]:
    """Two stations that differ in their capacity."""
    return {
        f"{c} places": q.station(c, Exponential(1.0), Exponential(0.6)) for c in (2, 3)
    }  # fmt: skip


def test_workers_and_blocks_do_not_change_the_results(designs: dict[str, Model]) -> None:
    """One after the other, in threads, in blocks, on an executor of one's own: bit for bit."""
    one = {n: [simulate(m, HORIZON, 9, r)[0] for r in range(6)] for n, m in designs.items()}
    with ThreadPoolExecutor(3) as mine:
        runs = [
            sweep(designs, HORIZON, 9, range(6), workers=1),
            sweep(designs, HORIZON, 9, range(6), workers=4),
            sweep(designs, HORIZON, 9, range(6), block=4),
            sweep(designs, HORIZON, 9, range(6), executor=mine),
        ]
    for run in runs:
        assert run.missing == 0
        for name, sums in one.items():
            assert all(a.same_as(b) for a, b in zip(run.sums[name], sums, strict=True))


def test_what_is_stored_is_not_run_again(designs: dict[str, Model], tmp_path: Path) -> None:
    """A second call reads the file, even with a torn last line, and gives the same numbers."""
    path = tmp_path / "runs.jsonl"
    first = sweep(designs, HORIZON, 9, range(3), store=Store(path))
    with path.open("ab") as file:
        file.write(b'{"key": "torn')
    told: list[int] = []
    again = sweep(designs, HORIZON, 9, range(5), store=Store(path), progress=told.append)
    assert told == [6, 1, 1, 1, 1]
    for name in designs:
        assert all(
            a.same_as(b) for a, b in zip(first.sums[name], again.sums[name][:3], strict=True)
        )
    final = sweep(designs, HORIZON, 9, range(5), store=Store(path), progress=told.append)
    assert told[5:] == [10]
    assert final.missing == 0


def test_a_changed_design_horizon_or_seed_is_another_key(
    designs: dict[str, Model], tmp_path: Path
) -> None:
    """Nothing that matters to a result is left out of its key."""
    store = Store(tmp_path / "runs.jsonl")
    one = {"a": designs["2 places"]}
    sweep(one, HORIZON, 9, [0], store=store)
    for other, horizon, seed in [
        ({"a": designs["3 places"]}, HORIZON, 9),
        (one, Horizon(501.0, warmup=50.0), 9),
        (one, HORIZON, 10),
    ]:
        told: list[int] = []
        sweep(other, horizon, seed, [0], store=store, progress=told.append)
        assert told == [0, 1]


def test_ctrl_c_keeps_what_is_finished(designs: dict[str, Model], tmp_path: Path) -> None:
    """Interrupted after three replications: those are returned and stored, the rest counted."""
    done = 0
    # A shell starts what runs in the background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(n: int) -> None:
        nonlocal done
        done += n
        if done == 3:
            _thread.interrupt_main()

    store = Store(tmp_path / "runs.jsonl")
    run = sweep(
        designs, Horizon(20_000.0), 9, range(100), workers=1, store=store, progress=interrupt
    )
    signal.signal(signal.SIGINT, before)
    kept = sum(len(s) for s in run.sums.values())
    assert 3 <= kept < 150
    assert run.missing == 200 - kept
    told: list[int] = []
    sweep(designs, Horizon(20_000.0), 9, range(1), store=Store(tmp_path / "runs.jsonl"),
          progress=told.append)  # fmt: skip
    assert told[0] >= 1


@pytest.mark.timeout(60)
def test_ctrl_c_where_a_lock_was_just_taken_ends_too(designs: dict[str, Model]) -> None:
    """Raised right there, it would leave the executor's lock taken and a worker waiting for it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    taken, entered = 0, threading.Condition.__enter__.__code__

    def watch(frame: FrameType, event: str, _: object) -> None:
        nonlocal taken
        if event == "return" and frame.f_code is entered:
            taken += 1
            if taken == 100:  # in the middle of what is handed out
                signal.raise_signal(signal.SIGINT)

    sys.setprofile(watch)
    try:
        run = sweep(designs, Horizon(2_000.0), 9, range(2_000), workers=1)
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGINT, before)
    assert taken >= 100
    assert 0 < run.missing <= 4_000


def test_ctrl_c_that_comes_with_the_last_replication_is_not_lost(
    designs: dict[str, Model], tmp_path: Path
) -> None:
    """There is nothing left to stop here: whoever called hears it, and all is in the store."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = 0

    def interrupt(n: int) -> None:
        nonlocal done
        done += n
        if done == 6:
            signal.raise_signal(signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            sweep(designs, HORIZON, 9, range(3), store=Store(tmp_path / "r"), progress=interrupt)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert sweep(designs, HORIZON, 9, range(3), store=Store(tmp_path / "r")).missing == 0


def test_a_second_ctrl_c_raises_at_once() -> None:
    """Who does not want to wait for what is finished."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with heard() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_callers_own_handling_of_ctrl_c_is_left_alone() -> None:
    """A server that stops in its own way is not told another."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with heard() as stop:
            signal.raise_signal(signal.SIGINT)
        assert came == [signal.SIGINT] and not stop.is_set()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_design_that_cannot_run_stops_the_sweep(q: SimpleNamespace) -> None:
    """The error of a worker is the error of the call."""
    from stafett.simulation import Builder, Constant, ModelError

    b = Builder()
    b.resource("bed", 1)
    b.label("in")
    b.release("bed")
    b.end("out")
    b.source("all", Constant(1.0), "in")
    with pytest.raises(ModelError, match="release bed"):
        package_sweep({"broken": b.build()}, HORIZON, 1, range(4))


def test_kept_machine_code_is_of_this_text_of_the_whole_room() -> None:
    """The loop is compiled out of many modules; a change of any of them makes it anew."""
    index = kernel.run._cache._cache_file
    assert index._source_stamp == STAMP
    assert hashlib.sha256(ROOM).hexdigest() == STAMP
    assert all(p.read_bytes() in ROOM for p in Path(kernel.__file__).parent.glob("*.py"))
