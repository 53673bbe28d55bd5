"""Origin: where a journey's lateness or failure began, in three tiers on one table."""

from stafett.insight.origin.latent import (
    Anchor,
    Journeys,
    LatentOrigin,
    journeys_from_table,
    latent_origin,
    units_differ,
)
from stafett.insight.origin.replay import ASSUMPTIONS, Replay, ReplayError, prepare
from stafett.insight.origin.shapley import Contribution, Counterfactual, shapley
from stafett.insight.origin.slack import SlackTrace, slack_trace

__all__ = [
    "ASSUMPTIONS",
    "Anchor",
    "Contribution",
    "Counterfactual",
    "Journeys",
    "LatentOrigin",
    "Replay",
    "ReplayError",
    "SlackTrace",
    "journeys_from_table",
    "latent_origin",
    "prepare",
    "shapley",
    "slack_trace",
    "units_differ",
]
