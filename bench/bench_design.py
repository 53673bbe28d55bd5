"""A full comparison of the four systems with intervals: seconds of CPU and of wall time.

Run: `python bench/bench_design.py`. Target: under 30 s on two cores that have nothing else to do;
the CPU time is the figure to read on a busy machine (divide by the cores).
"""

from __future__ import annotations

import os
import time

from stafett.design.compare import compare
from stafett.design.experiment import Plan
from stafett.design.reading import load


def main() -> None:
    """Warm the compiler's cache with a small run, then measure."""
    four = {name: load(name) for name in ("sweden", "spain", "us", "uk")}
    compare({"sweden": four["sweden"]}, Plan(2, 0.2, 0.2))
    wall, cpu = time.perf_counter(), time.process_time()
    done = 0

    def tick(n: int) -> None:
        nonlocal done
        done += n

    compare(four, Plan(), progress=tick)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    cores = os.cpu_count() or 1
    print(f"{done} replications: {wall:.1f} s wall, {cpu:.1f} s CPU, {cores} cores")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    print(f"wall / target of 30 s: {wall / 30:.2f}; CPU per core / target: {cpu / cores / 30:.2f}")


if __name__ == "__main__":
    main()
