"""The record as one analytic table, made from a ledger, a simulation or a foreign log."""

from stafett.eventlog.derive import Reading, log_from_events
from stafett.eventlog.journeys import log_from_journeys
from stafett.eventlog.problems import LogUnreadableError, Problem
from stafett.eventlog.reading import read_log
from stafett.eventlog.table import OUTCOMES, SCHEMA, EventLog, validated

__all__ = [
    "OUTCOMES",
    "SCHEMA",
    "EventLog",
    "LogUnreadableError",
    "Problem",
    "Reading",
    "log_from_events",
    "log_from_journeys",
    "read_log",
    "validated",
]
