"""The compiled discrete-event kernel. Knows nothing of therapies.

Write a network down with `Builder`, run it with `simulate` (one replication) or `sweep` (many, on
all cores). `Twin` is the same loop in plain Python: the oracle, and the fallback.
"""

from stafett.simulation.build import Builder
from stafett.simulation.distributions import (
    Choice,
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    Lognormal,
    Triangular,
    Uniform,
    Weibull,
)
from stafett.simulation.replication import Horizon, Log, ModelError, Sums, simulate
from stafett.simulation.store import Store
from stafett.simulation.sweep import Results, sweep
from stafett.simulation.tables import ROWS, Model
from stafett.simulation.timetables import Hours, Plan, Rates

__all__ = [
    "ROWS",
    "Builder",
    "Choice",
    "Constant",
    "Distribution",
    "Empirical",
    "Erlang",
    "Exponential",
    "Horizon",
    "Hours",
    "Log",
    "Lognormal",
    "Model",
    "ModelError",
    "Plan",
    "Rates",
    "Results",
    "Store",
    "Sums",
    "Triangular",
    "Uniform",
    "Weibull",
    "simulate",
    "sweep",
]
