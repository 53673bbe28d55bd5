"""Figures on trials: each registered change with its effect, or why there is none to tell yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stafett.eventlog import EventLog
from stafett.insight.pictures.series import trial_picture
from stafett.insight.pictures.svg import Figure, number
from stafett.insight.report.basis import basis
from stafett.insight.trials import Interrupted, Trial, TrialError, judge

UNITS = {"dwell": "% of the dwell", "right_first_time": "points right first time"}


def trial_figures(log: EventLog, trials: Sequence[Trial]) -> tuple[list[Figure], list[str]]:
    """Return a figure for each trial that can be judged, and notes on the others."""
    figures, notes = [], []
    if not trials:
        notes.append("Trials: none is registered for this source.")
    for trial in trials:
        try:
            figures.append(_figure(log, trial))
        except TrialError as error:
            notes.append(f"{trial.change} ({trial.interface}): cannot be judged yet: {error}.")
    return figures, notes


def _figure(log: EventLog, trial: Trial) -> Figure:
    found = judge(log, trial)
    unit = UNITS[trial.outcome]
    how = "interrupted time series" if isinstance(found.model, Interrupted) else "stepped wedge"
    sentence = (
        f"Effect {found.effect:+.1f} {unit} (95 % interval {found.low:+.1f} to {found.high:+.1f}; "
        f"expected {trial.expected:+g}): {found.verdict(trial.expected)}. Estimated as {how}."
    )
    if not trial.in_advance:
        sentence += " It was registered after it had begun: read it as a hint, not as a test."
    if trial.ended_at is not None:
        sentence += f" It has ended: {trial.ended_why}."
    what = "median hours" if trial.outcome == "dwell" else "share right first time"
    expected = None
    if isinstance(found.model, Interrupted):
        line = found.model.expected
        expected = np.exp(line) if trial.outcome == "dwell" else line
    first = min(trial.starts.values())
    svg = trial_picture(
        found.weekly, sorted(set(trial.starts.values())), expected,
        title=f"Trial at {trial.interface}", unit=what,
    )  # fmt: skip
    return Figure(
        f"trial-{trial.id[:8]}",
        f"{trial.interface}: {trial.change}",
        sentence,
        basis(log, found.n, "handoffs") + f"; begun {first.day} {first:%b %Y}",
        svg,
        found.weekly,
        f"{trial.change} at {trial.interface}: {number(found.effect)} {unit} (95 % interval"
        f" {number(found.low)} to {number(found.high)}).",
    )
