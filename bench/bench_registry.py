"""Public pages with 10,000 trials: requests per second and p99, beside a bare answer.

    .venv/bin/python bench/bench_registry.py [--trials 10000] [--seconds 4]

The limit in the same run is the same server answering GET /static/stafett.svg, which does no work
of ours. Search is measured inside the process too (p50, p99 of one search without HTTP).
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from site_ import Site, serving
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server
from stafett.registry.rows import Found
from stafett.registry.search import Filter
from stafett.service.demo_registry import trials

PATHS = {
    "bare (static file)": ["/static/stafett.svg"],
    "list, first page": ["/registry/trials"],
    "list, 300 searches": [
        f"/registry/trials?q={word}&page={n}"
        for n in range(1, 31)
        for word in (
            "lymphoma", "car", "umea", "demo", "myeloma", "cd19", "made", "aav", "cells", "lund",
        )
    ],
    "one trial (500)": [f"/registry/trials/DEMO-{n:05d}" for n in range(1, 501)],
    "search by API (300)": [
        f"/api/registry/trials?q={word}&page={n}"
        for n in range(1, 31)
        for word in (
            "lymphoma", "car", "umea", "demo", "myeloma", "cd19", "made", "aav", "cells", "lund",
        )
    ],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", type=int, default=16)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "db") as server:
        migrate(server.url)
        with serving(server.url, Path(folder) / "tower") as site:
            load(site, asked.trials)
            search(site)
            bare = None
            for name, paths in PATHS.items():
                port = int(site.base.rpartition(":")[2])
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    ask = (port, paths, asked.clients, asked.seconds)
                    rate, p50, p99, size = pool.apply(hammer, ask)
                bare = bare or rate
                print(
                    f"{name:24} {rate:8,.0f}/s  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"
                    f"  {size / 1000:7.1f} kB  {rate / bare:5.2f} of bare"
                )


def load(site: Site, count: int) -> None:
    registrar = next(p for p in site.people if "registrar" in p.duties)
    found = Found("bench", tuple(trials(count, seed=2)), ())
    began = time.perf_counter()
    done = site.inside(site.tower.registry.take_in(registrar, found, reason="bench", partial=False))
    took = time.perf_counter() - began
    print(f"import of {done.read:,} trials into the record: {took:.1f} s, {count / took:,.0f}/s")


def search(site: Site) -> None:
    began = time.perf_counter()
    index = site.tower.registry.index()
    print(f"index of {len(index.trials):,} trials: {time.perf_counter() - began:.2f} s")
    times = []
    for word in (
        "lymphoma",
        "car t",
        "umea recruiting",
        "demo",
        "xyz",
        "cd19 lund",
        "m",
        "made up",
    ):
        for _ in range(25):
            began = time.perf_counter()
            index.find(Filter(q=word, status="open"))
            times.append((time.perf_counter() - began) * 1000)
    times.sort()
    print(
        f"search: p50 {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms"
    )


def hammer(
    port: int, paths: list[str], clients: int, seconds: float
) -> tuple[float, float, float, float]:
    """Ask for `paths` over kept connections, in a process of its own."""
    return asyncio.run(_hammer(port, paths, clients, seconds))


async def _hammer(
    port: int, paths: list[str], clients: int, seconds: float
) -> tuple[float, float, float, float]:
    times: list[float] = []
    sizes: list[int] = []
    until = time.perf_counter() + seconds

    async def one(offset: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        n = offset
        while time.perf_counter() < until:
            began = time.perf_counter()
            path = paths[n % len(paths)].replace(" ", "%20")
            ask = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"
            writer.write(ask.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head[:200]
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
            times.append((time.perf_counter() - began) * 1000)
            sizes.append(length)
            n += clients
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one(n) for n in range(clients)))
    took = time.perf_counter() - began
    times.sort()
    p99 = times[int(len(times) * 0.99)]
    return len(times) / took, statistics.median(times), p99, statistics.mean(sizes)


if __name__ == "__main__":
    main()
