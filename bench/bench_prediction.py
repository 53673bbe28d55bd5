"""Are the predictions right? Brier scores and reliability on held-out simulated journeys.

Journeys of one network are simulated (`stafett.design.record`), the first half is learnt from, the
second half is predicted every few days of each journey: will it miss a limit between collection and
infusion? (Moments chosen by how long a journey takes would tell how long it takes.) Beside the
predictor, on the same questions: the base rate of the first half; the base rate at the same stage
and about the same time passed; the protocol's targets without any record.

Run: python bench/bench_prediction.py [network] [days] [file]; the file keeps what was said and what
happened, as the page of forecasts shows it until there are enough journeys of its own.
"""

from __future__ import annotations

import json
import sys
import time
from bisect import bisect
from collections import defaultdict
from pathlib import Path

import numpy as np

from stafett.design.compile import compile_system
from stafett.design.reading import load
from stafett.design.record import record
from stafett.protocol.net import Net
from stafett.watch import calibration, prediction
from stafett.watch.plan import Limit, plan_of

SINCE, GOAL = "H06", "H22"
EVERY_D = 4.0  # asked every so many days after collection, while the journey lasts


def main(
    network: str = "sweden", days: float = 1460.0, seed: int = 11, file: str = ""
) -> dict[str, float]:
    """Print the table; return the scores by name."""
    system = load(network)
    plan = plan_of(Net(system.protocol))
    made = calibration.histories(record(compile_system(system), days, seed).frame)
    treated = [h for h in made if {SINCE, GOAL} <= calibration.whole(plan, h).done.keys()]
    half = treated[len(treated) // 2].opened
    first, second = [h for h in made if h.ended < half], [h for h in treated if h.opened >= half]
    first += [h for h in made if h.opened < half <= h.ended]  # still under way: censored
    past = [calibration.at(plan, h, half) for h in first]
    began = time.process_time()
    learnt = prediction.learn(plan, past)
    learnt_s = time.process_time() - began
    planned = prediction.learn(plan, [])
    lengths = sorted(
        p.done[GOAL] - p.done[SINCE] for p in past if GOAL in p.done and SINCE in p.done
    )
    limits = [Limit(GOAL, SINCE, float(np.quantile(lengths, q))) for q in (0.5, 0.75, 0.9)]
    stages = {i: _by_stage(plan, first, half, limit) for i, limit in enumerate(limits)}
    said: dict[str, list[float]] = defaultdict(list)
    happened: list[bool] = []
    spent = 0.0
    for h in second:
        end = calibration.whole(plan, h)
        start, stop = end.done[SINCE], end.done[GOAL]
        for cut in np.arange(start + 3600, stop, EVERY_D * 86400):
            now = calibration.at(plan, h, float(cut))
            if SINCE not in now.done:
                continue
            began = time.process_time()
            outlook = prediction.look_ahead(plan._replace(limits=tuple(limits)), learnt, now)
            spent += time.process_time() - began
            blank = prediction.look_ahead(plan._replace(limits=tuple(limits)), planned, now)
            miss = {(d.activity, round(d.due or 0)): d.miss for d in outlook.deadlines}
            plain = {(d.activity, round(d.due or 0)): d.miss for d in blank.deadlines}
            for i, limit in enumerate(limits):
                key = (GOAL, round(now.done[SINCE] + limit.seconds))
                late = stop - start > limit.seconds
                happened.append(late)
                said["predictor"].append(miss[key])
                said["protocol targets"].append(plain[key])
                said["base rate"].append(sum(x > limit.seconds for x in lengths) / len(lengths))
                stage = (len(now.done) // 6, _age(now.now - now.done[SINCE], limit))
                rates = stages[i]
                said["stage and time passed"].append(
                    np.mean(rates[stage]) if rates.get(stage) else said["base rate"][-1]
                )
    reference = calibration.brier(said["base rate"], happened)
    print(f"{network}: {len(past)} journeys learnt from ({learnt_s:.2f} s CPU), {len(second)} "
          f"held out, {len(happened)} questions, late in {np.mean(happened):.0%}; "
          f"{1e3 * spent / max(len(happened) / 3, 1):.1f} ms CPU a journey")  # fmt: skip
    scores = {name: calibration.brier(p, happened) for name, p in said.items()}
    print("\n  Brier   skill  method")
    for name, score in sorted(scores.items(), key=lambda x: x[1]):
        print(f"  {score:.4f}  {calibration.skill(score, reference):+.2f}  {name}")
    print("\n  said   happened  95 %            n   reliability of the predictor")
    bins = calibration.reliability(said["predictor"], happened)
    if file:
        kept = {
            "network": network, "days": days, "seed": seed, "learnt": len(past),
            "held": len(second), "questions": len(happened), "late": round(np.mean(happened), 4),
            "brier": round(scores["predictor"], 4), "usual_brier": round(reference, 4),
            "skill": round(calibration.skill(scores["predictor"], reference), 4),
            "bins": [
                {k: round(v, 4) if isinstance(v, float) else v for k, v in b._asdict().items()}
                for b in bins
            ],
        }  # fmt: skip
        Path(file).write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    for b in bins:
        print(f"  {b.said:5.2f}  {b.happened:5.2f}     {b.low:.2f} - {b.high:.2f}  {b.n:5d}")
    return scores


def _age(passed: float, limit: Limit) -> int:
    return bisect([0.25, 0.5, 0.75, 0.9, 1.0], passed / limit.seconds)


def _by_stage(plan, journeys, half, limit):  # type: ignore[no-untyped-def]
    """Return how often journeys of the first half were late, by stage and time passed."""
    found = defaultdict(list)
    for h in journeys:
        end = calibration.whole(plan, h)
        if GOAL not in end.done or SINCE not in end.done or h.ended > half:
            continue
        late = end.done[GOAL] - end.done[SINCE] > limit.seconds
        for cut in np.arange(end.done[SINCE] + 3600, end.done[GOAL], EVERY_D * 86400):
            now = calibration.at(plan, h, float(cut))
            if SINCE in now.done:
                found[len(now.done) // 6, _age(now.now - now.done[SINCE], limit)].append(late)
    return found


if __name__ == "__main__":
    main(
        *(sys.argv[1:2] or ["sweden"]),
        days=float(sys.argv[2]) if len(sys.argv) > 2 else 1460.0,
        file=sys.argv[3] if len(sys.argv) > 3 else "",
    )
