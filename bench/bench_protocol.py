"""How fast a protocol is proven: the full check of each built-in protocol, and the time to cover
its reachable markings: the plain explorer (`Net.moves`, `Net.violations`, `Net.after`) against the
compiled one with the same markings (attempts counted), and against the coarse markings that the
proof uses. All in one run, on one core.

    python -m bench.bench_protocol [PROTOCOL...]
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from time import perf_counter

from stafett.protocol import builtin
from stafett.protocol.check import prove
from stafett.protocol.explore import explore
from stafett.protocol.naive import reachable
from stafett.protocol.net import NONE, Net
from stafett.protocol.read import Document, read

SOUND = Path(__file__).resolve().parent.parent / "tests/protocol/sound.yaml"
REPEATS = 5
AIM_SECONDS = 2.0


def main() -> None:
    names = sys.argv[1:] or [*builtin.names()]
    print("protocol | full check, median s (worst) | markings | of the aim of 2 s")
    for name in names:
        times = []
        for _ in range(REPEATS):
            begun = perf_counter()
            proof = prove(builtin.load(name))
            times.append(perf_counter() - begun)
        median = statistics.median(times)
        print(
            f"{name} | {median:.3f} ({max(times):.3f}) | {proof.markings:,}"
            f" | {median / AIM_SECONDS:.2f}"
        )
    print()
    print("protocol | markings: exact, coarse | plain s | compiled s | coarse s | ratios")
    for name in names:
        compare(name, builtin.load(name))
    compare("sound", read(SOUND))


def compare(name: str, document: Document) -> None:
    net = Net(document.bind())
    begun = perf_counter()
    seen, _ = reachable(net)
    plain = perf_counter() - begun
    begun = perf_counter()
    exact = explore(net, exact=True)
    compiled = perf_counter() - begun
    begun = perf_counter()
    coarse = explore(net)
    fast = perf_counter() - begun
    going = {marking for marking in seen if marking.outcome == NONE}
    assert {exact.compiled.decode(state) for state in exact.states} == going
    print(
        f"{name} | {len(exact.states):,}, {len(coarse.states):,} | {plain:.3f} | {compiled:.3f}"
        f" | {fast:.3f} | 1 : {plain / compiled:.1f} : {plain / fast:.0f}"
    )


if __name__ == "__main__":
    main()
