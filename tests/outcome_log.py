"""A made-up log that holds every outcome and every source of variability; its nurses drive both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

HEADER = "case,activity,start,end,group,person,outcome,Batch,hospital,version,viability,severity"
START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def whole_log(cases: int = 120, seed: int = 5) -> list[str]:
    """Return a log that holds every outcome and source: two handoffs a case, twelve nurses."""
    rng = np.random.default_rng(seed)
    nurse = rng.normal(0, 1.2, 12)
    out = [HEADER]
    for i in range(cases):
        at, centre, version = START + timedelta(days=i), i % 5, 1 + i % 2
        for k, (step, group) in enumerate(
            (("collect", f"clinic {centre}"), ("make", "plant"), ("infuse", f"ward {centre}"))
        ):
            who = int(rng.integers(0, 12))
            at += timedelta(hours=float(np.exp(0.5 * nurse[who] + rng.normal(1, 0.5))))
            end = at + timedelta(hours=float(np.exp(0.3 * nurse[who] + rng.normal(0, 0.4))))
            wrong = rng.random() < 1 / (1 + np.exp(1.5 - nurse[who]))
            severe = ("minor", "major", "critical")[int(rng.integers(0, 3))] if wrong else ""
            out.append(
                f"c{i},{step},{at.isoformat()},{end.isoformat()},{group},n{who},"
                f"{'refused' if wrong and k else 'ok'},b{i // 2},h{centre},v{version},"
                f"{80 + 4 * nurse[who] + rng.normal(0, 2):.1f}%,{severe}"
            )
            at = end
    return out
