"""Many replications of several models, on all cores; stopped at any time, taken up again.

Compiled code lets go of Python's lock, so threads use all cores of a machine without copying.
For a cluster hand in the user's own executor (`dask.distributed.Client.get_executor()`,
`ray.util.concurrent.futures`, a process pool): anything with the interface of
`concurrent.futures.Executor`; results are the same, since each draw is keyed by what it is for.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from stafett.simulation.replication import Horizon, Sums, simulate
from stafett.simulation.store import Key, Store, key
from stafett.simulation.tables import Model


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
    stop: threading.Event | None = None,
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

    todo: list[tuple[str, list[int]]] = []
    for name in designs:
        left = []
        for r in wanted[name]:
            kept = store.get(place(name, r)) if store is not None and len(store) else None
            if kept is None:
                left.append(r)
            else:
                done[name, r] = kept
        todo += [(name, left[i : i + block]) for i in range(0, len(left), block)]
    progress(len(done))
    # Interleaved, so that a run cut short has every design as far as it got.
    todo = [] if only_kept else sorted(todo, key=lambda task: task[1])
    stop = threading.Event()
    own = executor is None
    pool = executor or ThreadPoolExecutor(workers or os.cpu_count())
    futures: dict[Future[list[Sums]], str] = {}
    pending: deque[Future[list[Sums]]] = deque()

    def take(future: Future[list[Sums]]) -> None:
        for sums in future.result():
            name = futures[future]
            done[name, sums.replication] = sums
            if store is not None:
                store.put(place(name, sums.replication), sums)
            progress(1)

    try:
        for name, rs in todo:
            # A model that is made when it is asked for is made while the ones before it run.
            args = (designs[name], horizon, seed, rs)
            # An Event cannot travel to another machine; there, blocks are short.
            future = pool.submit(run_block, *args, *((stop,) if own else ()))
            futures[future] = name
            pending.append(future)
            while pending and pending[0].done():
                take(pending.popleft())
        for future in as_completed(pending):
            take(future)
    except KeyboardInterrupt:
        stop.set()
        for future in futures:
            future.cancel()
    except BaseException:
        stop.set()
        for future in futures:
            future.cancel()
        raise
    finally:
        if own:
            pool.shutdown(wait=True, cancel_futures=True)
    sums_of = {n: [done[n, r] for r in wanted[n] if (n, r) in done] for n in designs}
    return Results(sums_of, sum(map(len, wanted.values())) - len(done))
