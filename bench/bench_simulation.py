"""Journeys per second of one vein-to-vein model: SimPy, Ciw, salabim, this kernel, and the limit.

The limit is a loop written by hand for this one model (no tables, no keyed draws, no statistics).
Peers are installed into an environment of their own in temp/.bench; where that fails it is said,
and the rest is measured all the same. Run: `python bench/bench_simulation.py`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np

from simulation_by_hand import by_hand
from stafett.simulation import (
    Builder,
    Constant,
    Exponential,
    Horizon,
    Lognormal,
    Model,
    Triangular,
    simulate,
    sweep,
)

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / "temp" / ".bench"
ROUNDS = 6


def model() -> Model:
    """The model of simulation_peers.py."""
    b = Builder()
    b.attribute("collected")
    for name, places in (("chair", 2), ("suite", 14), ("bed", 14)):
        b.resource(name, places)
    b.label("in")
    b.seize("chair?", "chair")
    b.delay("collect", Constant(1.0))
    b.release("chair")
    b.stamp("collected")
    b.delay("to plant", Triangular(1.0, 1.5, 2.0))
    b.label("make")
    b.seize("suite?", "suite")
    b.delay("make", Lognormal(9.0, 0.2))
    b.release("suite")
    b.delay("control", Triangular(5.0, 6.0, 7.0))
    b.branch("fails", [(0.08, "make")])
    b.delay("to hospital", Triangular(1.0, 1.5, 2.0))
    b.seize("bed?", "bed")
    b.tally("vein to vein", "collected", since=True)
    b.delay("stay", Exponential(10.0))
    b.release("bed")
    b.end("treated")
    b.source("patients", Exponential(1.0), "in")
    return b.build()


def peers() -> Path | None:
    """The Python of an environment that has the peers, made if it can be."""
    python = PEERS / "bin" / "python"
    try:
        if not python.exists():
            venv.create(PEERS, with_pip=True)
        check = [str(python), "-c", "import simpy, ciw, salabim"]
        if subprocess.run(check, capture_output=True).returncode:
            pip = [str(python), "-m", "pip", "install", "-q", "simpy", "ciw", "salabim"]
            subprocess.run(pip, check=True, capture_output=True, timeout=600)
        return python
    except (OSError, subprocess.SubprocessError) as problem:
        print(f"SimPy, Ciw and salabim cannot be had here: {problem}")
        return None


def row(name: str, rate: float, means: list[float]) -> tuple[str, float, float, float]:
    """Print one engine's line: journeys a second, mean days with its standard error."""
    mean, error = float(np.mean(means)), float(np.std(means, ddof=1) / math.sqrt(len(means)))
    print(f"{name:<22}{rate:>14,.0f} journeys/s{mean:>12.3f} ± {error:.3f} days")
    return name, rate, mean, error


def main() -> None:
    """Measure on one core, then on all."""
    rows = []
    python = peers()
    for name, journeys in (("simpy", 20_000), ("ciw", 5_000), ("salabim", 5_000)):
        if python is None:
            continue
        seconds, means, n = 0.0, [], 0
        for seed in range(ROUNDS):
            command = [
                str(python),
                str(HERE / "simulation_peers.py"),
                name,
                str(journeys),
                str(seed),
            ]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{name} failed: {done.stderr.strip().splitlines()[-1]}")
                break
            answer = json.loads(done.stdout)
            seconds += answer["seconds"]
            means.append(answer["mean"])
            n += answer["n"]
        else:
            rows.append(row(name, n / seconds, means))

    network, horizon = model(), Horizon(100_000.0, warmup=2_000.0)
    simulate(network, Horizon(100.0), 0)
    began = time.process_time()
    sums = [simulate(network, horizon, 1, r)[0] for r in range(ROUNDS)]
    seconds = time.process_time() - began
    n = sum(int(s.ended.sum()) for s in sums)
    means = [float(s.tally[0, 1] / s.tally[0, 0]) for s in sums]
    kernel = row("stafett", n / seconds, means)

    by_hand(100.0, 0)
    began = time.process_time()
    hand = [by_hand(100_000.0, r) for r in range(ROUNDS)]
    seconds = time.process_time() - began
    limit = row("by hand (the limit)", sum(h[0] for h in hand) / seconds, [h[1] for h in hand])

    print()
    for name, rate, mean, error in [*rows, limit]:
        z = (mean - kernel[2]) / math.hypot(error, kernel[3])
        print(f"stafett / {name:<20} {kernel[1] / rate:>9.2f} x   means agree: z = {z:+.1f}")

    cores = os.cpu_count() or 1
    designs, many = {"v2v": network}, range(8 * cores)
    walls = {}
    for workers in (1, cores):
        began = time.perf_counter()
        sweep(designs, Horizon(40_000.0), 1, many, workers=workers)
        walls[workers] = time.perf_counter() - began
    efficiency = walls[1] / (cores * walls[cores])
    print(f"\n{cores} cores: {efficiency:.2f} parallel efficiency (wall time, threads)")
    load = os.getloadavg()[0]
    if load > 1.5:
        print(f"(the machine was busy with other work, load {load:.1f}: wall times say little)")


if __name__ == "__main__":
    sys.exit(main())
