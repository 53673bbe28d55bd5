"""The append-only, co-signed record on PostgreSQL. It knows nothing of therapies."""

from stafett.ledger.event import (
    Author,
    Draft,
    Event,
    InDoubt,
    InvalidSubmission,
    KeyReused,
    NotAcknowledged,
    Receipt,
    Refused,
    StaleVersion,
    Submission,
)
from stafett.ledger.ledger import Ledger

__all__ = [
    "Author",
    "Draft",
    "Event",
    "InDoubt",
    "InvalidSubmission",
    "KeyReused",
    "Ledger",
    "NotAcknowledged",
    "Receipt",
    "Refused",
    "StaleVersion",
    "Submission",
]
