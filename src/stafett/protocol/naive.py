"""The plain explorer: every marking by `Net.moves`, `Net.violations` and `Net.after`.

Slow and obviously right: the oracle of `stafett.protocol.explore` in tests and benchmarks.
"""

from __future__ import annotations

from collections import deque

from stafett.protocol.net import NONE, Marking, Net


def reachable(net: Net, limit: int | None = None) -> tuple[set[Marking], set[tuple[str, str]]]:
    """Return every reachable marking, and each (rule, subject) that some move would violate.

    Moves that violate a property are not made. Stops after `limit` markings.
    """
    first = net.initial()
    seen = {first}
    broken: set[tuple[str, str]] = set()
    todo = deque([first])
    while todo and (limit is None or len(seen) < limit):
        marking = todo.popleft()
        for move in net.moves(marking):
            violations = net.violations(marking, move)
            broken |= {(violation.rule, violation.subject) for violation in violations}
            if violations:
                continue
            after = net.after(marking, move)
            if after not in seen:
                seen.add(after)
                if after.outcome == NONE:
                    todo.append(after)
    return seen, broken
