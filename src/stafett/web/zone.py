"""In which zone times are shown: that of the site (or else the organisation) of whoever asks."""

from __future__ import annotations

from contextvars import ContextVar
from functools import cache
from zoneinfo import ZoneInfo

NOWHERE = "UTC"  # for pages that nobody is signed in to
_here: ContextVar[str] = ContextVar("zone", default=NOWHERE)


def stand_in(zone: str) -> None:
    """Show the times of this request in `zone`."""
    _here.set(zone)


def here() -> ZoneInfo:
    """Return the zone of this request."""
    return _zone(_here.get())


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
