"""Trials of a change: registered before they are judged, their effect estimated with intervals."""

from stafett.insight.registered import OUTCOMES, Trial
from stafett.insight.trials.series import Interrupted, interrupted
from stafett.insight.trials.trial import Effect, TrialError, judge
from stafett.insight.trials.wedge import Wedge, wedge

__all__ = [
    "OUTCOMES",
    "Effect",
    "Interrupted",
    "Trial",
    "TrialError",
    "Wedge",
    "interrupted",
    "judge",
    "wedge",
]
