"""Many replications of several models, on all cores; stopped at any time, taken up again.

Compiled code lets go of Python's lock, so threads use all cores of a machine without copying.
For a cluster hand in the user's own executor (`dask.distributed.Client.get_executor()`,
`ray.util.concurrent.futures`, a process pool): anything with the interface of
`concurrent.futures.Executor`; results are the same, since each draw is keyed by what it is for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from stafett.simulation.interrupt import Interrupt, heard
from stafett.simulation.replication import Horizon, Sums, simulate
from stafett.simulation.store import Key, Store, key
from stafett.simulation.tables import Model

HEARD_S = 0.1  # how often who waits for an executor looks whether to stop


@dataclass(frozen=True)
class Results:
    """Replications by design, in order; `missing` counts those that were not run (Ctrl-C)."""

    sums: dict[str, list[Sums]]
    missing: int


def run_block(
    model: Model,
    horizon: Horizon,
    seed: int,
    replications: list[int],
    stop: Interrupt | None = None,
) -> list[Sums]:
    """Run some replications one after the other: the unit that an executor is handed."""
    out = []
    for replication in replications:
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt
        out.append(simulate(model, horizon, seed, replication, stop=stop)[0])
    return out


def sweep(
    designs: Mapping[str, Model],
    horizon: Horizon,
    seed: int,
    replications: Iterable[int] | Mapping[str, Iterable[int]],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    block: int = 1,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
    only_kept: bool = False,
) -> Results:
    """Run each design for each replication (a mapping: for its own replications).

    Replication r of every design shares its luck with replication r of the others (common random
    numbers). `block` replications go to a worker together; make it 50 ms of work or more when the
    executor is remote. `progress` is told how many more are done. On Ctrl-C what is finished is
    kept and returned; with a `store` the next call goes on from there. `designs` may make a model
    when it is first asked for it. `only_kept`: run nothing, read what the store has.
    """
    if isinstance(replications, Mapping):
        wanted = {name: list(replications[name]) for name in designs}
    else:
        every = list(replications)
        wanted = dict.fromkeys(designs, every)
    done: dict[tuple[str, int], Sums] = {}
    digests: dict[str, str] = {}

    def place(name: str, r: int) -> Key:
        if name not in digests:
            digests[name] = key(designs[name], horizon, seed, 0)[0]
        return digests[name], seed, r

    def take(name: str, found: list[Sums]) -> None:
        for sums in found:
            done[name, sums.replication] = sums
            if store is not None:
                store.put(place(name, sums.replication), sums)
            progress(1)

    with heard() as stop:
        todo: list[tuple[str, list[int]]] = []
        for name in designs:
            if stop.is_set():
                break
            left = []
            for r in wanted[name]:
                kept = store.get(place(name, r)) if store is not None and len(store) else None
                if kept is None:
                    left.append(r)
                else:
                    done[name, r] = kept
            todo += [(name, left[i : i + block]) for i in range(0, len(left), block)]
        progress(len(done))
        if not only_kept:
            # Interleaved, so that a run cut short has every design as far as it got.
            todo.sort(key=lambda task: task[1])
            _spread(designs, horizon, seed, todo, take, stop, executor, workers)
    missing = sum(map(len, wanted.values())) - len(done)
    if stop.is_set() and not missing:  # it came with the last: whoever called is to hear it
        raise KeyboardInterrupt
    sums_of = {n: [done[n, r] for r in wanted[n] if (n, r) in done] for n in designs}
    return Results(sums_of, missing)


def _spread(
    designs: Mapping[str, Model],
    horizon: Horizon,
    seed: int,
    todo: Iterable[tuple[str, list[int]]],
    take: Callable[[str, list[Sums]], None],
    stop: Interrupt,
    executor: Executor | None,
    workers: int | None,
) -> None:
    """Hand every block to a worker, and what is finished to `take`, until done or asked to stop."""
    pool = executor or ThreadPoolExecutor(workers or os.cpu_count())
    going: dict[Future[list[Sums]], str] = {}
    finished: SimpleQueue[Future[list[Sums]]] = SimpleQueue()
    try:
        for name, rs in todo:
            # A model that is made when it is asked for is made while the ones before it run.
            model = designs[name]
            if stop.is_set():
                break
            # The flag cannot travel to another machine; there, blocks are short.
            flag = (stop,) if executor is None else ()
            future = pool.submit(run_block, model, horizon, seed, rs, *flag)
            going[future] = name
            future.add_done_callback(finished.put)
            while not finished.empty():
                future = finished.get()
                take(going.pop(future), future.result())
        while going and not stop.is_set():
            with suppress(Empty):
                future = finished.get(timeout=HEARD_S)
                take(going.pop(future), future.result())
    except KeyboardInterrupt:
        stop.set()  # a second Ctrl-C, or one that a worker in another process heard
    except BaseException:
        stop.set()
        raise
    finally:
        for future in going:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=True, cancel_futures=True)
