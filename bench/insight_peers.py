"""The peers of bench_insight.py, run by a Python that has them; prints CPU seconds, answer."""

from __future__ import annotations

import sys
import time


def pm4py(path: str) -> str:
    """Import a CSV log and compute what comes nearest to interface statistics."""
    import pandas
    import pm4py as peer

    frame = pandas.read_csv(path)
    frame["timestamp"] = pandas.to_datetime(frame["timestamp"], utc=True)
    log = peer.format_dataframe(
        frame, case_id="case", activity_key="activity", timestamp_key="timestamp"
    )
    log["org:resource"] = frame["group"]
    handovers = peer.discover_handover_of_work_network(log)
    performance, _, _ = peer.discover_performance_dfg(log)
    return f"{len(handovers.connections)} handovers, {len(performance)} edges"


def statsmodels(path: str) -> str:
    """Fit the crossed model as variance components of one group."""
    import pandas
    from statsmodels.regression.mixed_linear_model import MixedLM

    frame = pandas.read_csv(path)
    names = ("patient", "operator", "lot", "site")
    parts = {name: f"0 + C({name})" for name in names}
    model = MixedLM.from_formula("y ~ x", groups=[1] * len(frame), vc_formula=parts, data=frame)
    found = model.fit(reml=True)
    sds = dict(zip(model.exog_vc.names, found.vcomp**0.5, strict=True))
    return "SDs " + " ".join(f"{name} {sds[name]:.4f}" for name in names)


if __name__ == "__main__":
    began = time.process_time()
    answer = {"pm4py": pm4py, "statsmodels": statsmodels}[sys.argv[1]](sys.argv[2])
    print(f"{time.process_time() - began:.2f} {answer}")
