"""Insight beside its peers: mixed model against lme4 and statsmodels, import against a bare scan.

    python bench/bench_insight.py                  what is quick (model, 1 million events, origin)
    python bench/bench_insight.py --ten            also 10 million events
    python bench/bench_insight.py --lme4           also lme4 with nlminbwrap (minutes)
    python bench/bench_insight.py --peers PYTHON   also PM4Py and statsmodels, run by the Python of
                                                   an environment of their own (PM4Py is AGPL)

Every ratio is of CPU seconds measured in this run on the same data. statsmodels is given 5,000
rows, since it needs minutes for them.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from stafett.eventlog import read_log
from stafett.insight.interfaces import interfaces
from stafett.insight.layers import Factor, design, fit
from stafett.insight.origin import slack_trace

HERE = Path(__file__).parent
LAYERS = {
    "patient": ("biological", 20_000, 1.0),
    "operator": ("operational", 300, 0.5),
    "lot": ("operational", 120, 0.3),
    "site": ("institutional", 40, 0.7),
}
LIMIT = 1800  # seconds that a peer may take


@contextmanager
def timed() -> Iterator[Callable[[], tuple[float, float]]]:
    """Measure the block: the function gives (wall, CPU) seconds, children's included."""
    began, cpu = time.perf_counter(), _cpu()
    end: list[tuple[float, float]] = []
    yield lambda: end[0]
    end.append((time.perf_counter() - began, _cpu() - cpu))


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in both)


def model_data(rows: int, seed: int = 7) -> pl.DataFrame:
    """Four factors, crossed, and lots nested in nothing, with known standard deviations."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    y = 2 + 0.3 * x + rng.normal(size=rows)
    columns = {}
    for name, (_, levels, sd) in LAYERS.items():
        levels = max(4, levels if rows >= 100_000 else levels * rows // 100_000)
        codes = rng.integers(0, levels, rows)
        y = y + rng.normal(0, sd, levels)[codes]
        columns[name] = [f"{name[0]}{code}" for code in codes]
    return pl.DataFrame({**columns, "x": x, "y": y})


def bench_model(lme4: bool, peers: str | None) -> None:
    """Fit 100,000 rows with four factors."""
    frame = model_data(100_000)
    factors = [Factor(name, layer) for name, (layer, _, _) in LAYERS.items()]
    with timed() as took:
        built = design(frame, "y", factors, ["x"])
    prepared = took()
    with timed() as took:
        found = fit(built)
    wall, cpu = took()
    print(f"mixed model, 100,000 rows, levels {built.levels}")
    print(f"  stafett        {wall:8.2f} s wall {cpu:8.2f} s CPU  (design {prepared[1]:.2f} s CPU)")
    print(
        f"  criterion {found.criterion:.6f}, SDs {np.round(found.sd, 5)}, max |gradient|"
        f" {found.max_gradient:.1e}"
    )
    if lme4:
        _lme4(frame, found.criterion, cpu)
    else:
        print("  lme4           not asked for (--lme4; Debian: r-cran-lme4)")
    if peers:
        _statsmodels(peers)
    else:
        print("  statsmodels    not asked for (--peers PYTHON)")


def _lme4(frame: pl.DataFrame, ours: float, cpu: float) -> None:
    if shutil.which("Rscript") is None:
        print("  lme4           cannot be had here: there is no Rscript")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        frame.write_csv(path)
        terms = " + ".join(f"(1 | {name})" for name in LAYERS)
        code = (
            f"suppressMessages(library(lme4)); d <- read.csv('{path}'); t <- system.time(m <-"
            f" lmer(y ~ x + {terms}, d,control=lmerControl(optimizer='nlminbwrap',"
            " calc.derivs=FALSE)));cat(t[['user.self']] + t[['sys.self']], sprintf('%.6f',"
            " REMLcrit(m)))"
        )
        try:
            run = subprocess.run(
                ["Rscript", "-e", code], capture_output=True, text=True, timeout=LIMIT
            )
        except subprocess.TimeoutExpired:
            print(
                f"  lme4           not finished within {LIMIT} s: at least {LIMIT / cpu:.0f} times"
                " as long"
            )
            return
    if run.returncode:
        print(f"  lme4           cannot be had here: {run.stderr.strip().splitlines()[-1]}")
        return
    seconds, criterion = (float(word) for word in run.stdout.split())
    print(
        f"  lme4 nlminb    {seconds:24.2f} s CPU   {seconds / cpu:.0f} times ours; criterion"
        f" differs by {criterion - ours:+.1e}"
    )


def _statsmodels(python: str) -> None:
    small = model_data(5_000)
    factors = [Factor(name, layer) for name, (layer, _, _) in LAYERS.items()]
    with timed() as took:
        found = fit(design(small, "y", factors, ["x"]))
    ours = took()[1]
    print(
        f"mixed model, 5,000 rows\n  stafett        {ours:24.2f} s CPU  SDs {np.round(found.sd, 4)}"
    )
    _peer(python, "statsmodels", small, ours)


def _peer(python: str, what: str, frame: pl.DataFrame | Path, ours: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = frame if isinstance(frame, Path) else Path(folder) / "rows.csv"
        if isinstance(frame, pl.DataFrame):
            frame.write_csv(path)
        command = [python, str(HERE / "insight_peers.py"), what, str(path)]
        # A clean environment, so that the peer does not find our packages.
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=clean)
        except subprocess.TimeoutExpired:
            print(
                f"  {what:<14} not finished within {LIMIT} s: at least {LIMIT / ours:.0f} times as"
                " long"
            )
            return
        except FileNotFoundError:
            print(f"  {what:<14} cannot be had there: there is no {python}")
            return
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"  {what:<14} cannot be had there: {last}")
        return
    seconds, _, answer = run.stdout.strip().splitlines()[-1].partition(" ")
    print(
        f"  {what:<14} {float(seconds):24.2f} s CPU   {float(seconds) / ours:.1f} times ours  "
        f" {answer}"
    )


def event_file(path: Path, events: int, seed: int = 3) -> None:
    """Write a log of ten events per case, twelve groups, times with zone."""
    rng = np.random.default_rng(seed)
    cases = events // 10
    gaps = rng.exponential(3 * 3600, (cases, 10)).astype(np.int64) + 60
    start = 1_700_000_000 + np.sort(rng.integers(0, 40_000_000, cases))
    seconds = (start[:, None] + np.cumsum(gaps, axis=1)).ravel()
    # The group stays with chance 0.4 from one step to the next.
    group = np.minimum(np.tile(np.arange(10), cases) + rng.integers(0, 3, events), 11)
    pl.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 10),
            "activity": np.tile(np.arange(10), cases),
            "timestamp": pl.from_epoch(pl.Series(seconds), "s").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "group": group,
        }
    ).with_columns(
        pl.format("COI{}", pl.col("case")).alias("case"),
        pl.format("step {}", "activity").alias("activity"),
        pl.format("group {}", "group").alias("group"),
    ).write_csv(path)


def bench_log(events: int, peers: str | None) -> None:
    """Import a log and measure its interfaces, beside scanning the same columns."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        event_file(path, events)
        print(f"event log, {events:,} events, {path.stat().st_size / 1e6:.0f} MB of CSV")
        with timed() as took:
            frame = pl.scan_csv(path, try_parse_dates=True).collect()
        scan = took()
        assert frame.height == events
        del frame
        with timed() as took:
            log = read_log(path)
        read = took()
        with timed() as took:
            found = interfaces(log, draws=100)
        measured = took()
        ours = read[1] + measured[1]
        print(f"  bare scan      {scan[0]:8.2f} s wall {scan[1]:8.2f} s CPU")
        print(
            f"  import         {read[0]:8.2f} s wall {read[1]:8.2f} s CPU   {read[1] / scan[1]:.1f}"
            " times the scan"
        )
        print(
            f"  interfaces     {measured[0]:8.2f} s wall {measured[1]:8.2f} s CPU  "
            f" {found.table.height} pairs, 100 draws"
        )
        print(
            f"  both           {read[0] + measured[0]:8.2f} s wall {ours:8.2f} s CPU  "
            f" {ours / scan[1]:.1f} times the scan"
        )
        if peers:
            _peer(peers, "pm4py", path, ours)
        else:
            print("  pm4py          not asked for (--peers PYTHON)")
        if events == 1_000_000:
            with timed() as took:
                traced = slack_trace(log)
            wall, cpu = took()
            count = traced.journeys.height
            print(
                f"slack tracing of {count:,} journeys: {wall:.2f} s wall, {cpu:.2f} s CPU"
                " (compilation included)"
            )


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ten", action="store_true")
    parser.add_argument("--lme4", action="store_true")
    parser.add_argument("--peers", metavar="PYTHON")
    asked = parser.parse_args()
    bench_log(1_000_000, asked.peers)
    if asked.ten:
        bench_log(10_000_000, asked.peers)
    bench_model(asked.lme4, asked.peers)


if __name__ == "__main__":
    main()
