"""From the sums of one replication to the figures that are compared.

Shares are of the patients referred in the counted years, all followed to their end. Times are
days. An interface's *right first time* is the share of its handoffs that made no error;
*found* says how much trouble surfaced there, whoever made it.
"""

from __future__ import annotations

import numpy as np

from stafett.design.compile import KINDS, TALLIES, Compiled
from stafett.simulation import Sums

Figures = dict[str, float]

LOST = ("unfit", "withdraws", "dies")

TITLES = {
    "treated_share": "treated, of 100 referred",
    "treated_per_year": "treated a year",
    "died_share": "died before infusion, of 100 referred",
    "left_share": "lost while waiting, of 100 referred",
    "no_product_share": "no product, of 100 referred",
    "referred_to_infused": "referral to infusion, median days",
    "collected_to_infused": "vein to vein, median days",
    "collected_to_infused_p95": "vein to vein, 95th percentile, days",
    "right_first_time": "handoffs right first time, %",
    "errors_per_journey": "errors made per journey",
    "found_late": "errors found at a later interface, %",
    "never_found": "errors never found, %",
    "visible": "origin visible to the system, % of errors",
    "owner_changes": "changes of owner per journey",
    "unowned_days": "released and not yet accepted, across owners, days",
    "repair_days": "clarifying and doing again, days",
    "place_days": "waiting for places, days",
    "cost": "cost per patient treated, thousand US dollars",
}


def measures(c: Compiled, s: Sums) -> Figures:
    """Every figure of one replication."""
    referred = float(s.arrivals.sum())
    outcomes = dict(zip(c.model.outcomes, s.ended.tolist(), strict=True))
    protocol = c.system.protocol
    treated = float(sum(n for o, n in outcomes.items() if protocol.outcomes[o].treated))
    years = _years(c, referred)
    figures: Figures = {
        "treated_share": 100 * treated / referred,
        "treated_per_year": treated / years,
        "died_share": 100 * outcomes.get("died", 0) / referred,
        "no_product_share": 100 * outcomes.get("no_product", 0) / referred,
        "left_share": 100 * _left(c, s) / referred,
        "not_treated_share": 1 - treated / referred,
        "treated_of_approved": treated / max(1.0, _visits(c, s, _second(c))),
        "making_failed": _failed(c, s, "manufacture"),
        "conforming": 1 - _failed(c, s, "test"),
    }
    for k, name in enumerate(c.model.tallies):
        if name in TALLIES:
            figures[name] = float(s.quantile(k, 0.5))
            figures[f"{name}_p95"] = float(s.quantile(k, 0.95))
    figures |= _interfaces(c, s)
    figures |= _time(c, s, referred)
    figures |= _used(c, s)
    figures["cost"] = _cost(c, s, years) / max(treated, 1.0) / 1000
    return figures


def _years(c: Compiled, referred: float) -> float:
    """Years that the count stands for, at the network's rate of referrals."""
    return referred / c.system.network.patients.per_year.value


def _visits(c: Compiled, s: Sums, op: str) -> float:
    return float(s.visits[c.op[op]])


def _second(c: Compiled) -> str:
    """The first step: whoever comes so far was approved."""
    return next(f"{a} work" for a in c.order if a in c.system.protocol.steps)


def _left(c: Compiled, s: Sums) -> float:
    """Journeys that ended because the patient could wait no longer."""
    return _visits(c, s, "why they left")


def _failed(c: Compiled, s: Sums, kind: str) -> float:
    """Share of passages through the steps of a kind that ended in a result that is not `go on`."""
    steps = c.system.protocol.steps
    named = [a for a in c.order if a in steps and steps[a].kind == kind]
    if not named:
        return 0.0
    ends = [f"{a} was {r}" for a in named for r in steps[a].results]
    failed = sum(_visits(c, s, op) for op in ends if op in c.op)
    return failed / max(1.0, _visits(c, s, f"{named[0]} work"))


def _interfaces(c: Compiled, s: Sums) -> Figures:
    """Errors by origin and by where they were found."""
    names, kinds = c.handoffs, len(KINDS)
    visits = np.array([_visits(c, s, f"{h} errors") for h in names])
    made = s.made.reshape(len(names), kinds).sum(axis=1)
    found = s.found.reshape(len(names), len(names), kinds).sum(axis=2)  # (found at, made at)
    kept = float(s.kept.sum())
    total = max(1.0, float(made.sum()))
    here, later = float(np.trace(found)), float(found.sum() - np.trace(found))
    shared = c.system.network.habits.shared_record.value
    out: Figures = {
        "right_first_time": 100 * (1 - made.sum() / max(1.0, visits.sum())),
        "errors_per_journey": float(made.sum()) / max(1.0, float(s.arrivals.sum())),
        "found_late": 100 * later / total,
        "never_found": 100 * kept / total,
        # Found where it was made, or found later with a record in which its origin stands.
        "visible": 100 * (here + shared * later) / total,
    }
    for i, name in enumerate(names):
        out[f"right_first_time/{name}"] = 100 * (1 - made[i] / max(1.0, visits[i]))
        out[f"found/{name}"] = 100 * float(found[i].sum()) / max(1.0, visits[i])
        crossed = c.crossing[name]
        out["owner_changes"] = out.get("owner_changes", 0.0) + crossed * visits[i] / max(
            1.0, float(s.arrivals.sum())
        )
    return out


def _time(c: Compiled, s: Sums, referred: float) -> Figures:
    """Where the days go, per patient referred."""
    groups = dict.fromkeys(("place", "dwell", "repair", "decision", "transport", "work"), 0.0)
    unowned = 0.0
    steps = c.system.protocol.steps
    for name, i in c.op.items():
        days = float(s.spent[i])
        if name.startswith("wait for "):
            groups["place"] += days
        elif name.endswith(" dwell"):
            groups["dwell"] += days
            unowned += days * c.crossing[name.removesuffix(" dwell")]
        elif name.endswith((" clarified", " done again")):
            groups["repair"] += days
        elif name.endswith(" decided"):
            groups["decision"] += days
        elif name.endswith((" work", " lane")):
            step = steps.get(name.rpartition(" ")[0])
            kind = "transport" if step is not None and step.kind == "transport" else "work"
            groups[kind] += days
    out = {f"{name}_days": days / referred for name, days in groups.items()}
    out["unowned_days"] = unowned / referred
    return out


def _used(c: Compiled, s: Sums) -> Figures:
    """Share of each pool's capacity in use."""
    out: Figures = {}
    for pool in c.system.network.pools:
        rows = [i for i, r in enumerate(c.model.resources) if r.partition("[")[0] == pool]
        capacity = s.area[rows, 2].sum()
        out[f"used/{pool}"] = 100 * float(s.area[rows, 0].sum() / max(capacity, 1e-9))
    return out


def _cost(c: Compiled, s: Sums, years: float) -> float:
    """US dollars in the counted years: per visit, per place and day, and fixed."""
    network = c.system.network
    total = 0.0
    for name, number in network.costs.items():
        if name.endswith("_per_year"):
            total += number.value * years
        else:
            total += number.value * _visits(c, s, f"{name} work")
    for pool, spec in network.pools.items():
        if spec.cost_per_place_day is None:
            continue
        if spec.per == "network" and spec.places is not None:
            # Lines are paid whether they are used or not.
            total += spec.cost_per_place_day.value * spec.places.value * 365.25 * years
        else:
            rows = [i for i, r in enumerate(c.model.resources) if r.partition("[")[0] == pool]
            per_day = float(s.area[rows, 0].sum()) / s.span
            total += spec.cost_per_place_day.value * per_day * 365.25 * years
    return total
