"""In which zone times are shown: that of the site (or else the organisation) of whoever asks."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

NOWHERE = "UTC"  # for pages that nobody is signed in to
_here: ContextVar[str] = ContextVar("zone", default=NOWHERE)


def stand_in(zone: str) -> None:
    """Show the times of this request in `zone`."""
    _here.set(zone)


def here() -> ZoneInfo:
    """Return the zone of this request."""
    return _zone(_here.get())


def written(at: datetime, language: str, form: str = "d MMM y HH:mm:ss") -> str:
    """Write a moment in this request's zone as the language does, with the zone's own short name.

    The name is the zone's ("CET"), the same in every language: the languages' tables know each only
    the zones of their own countries and give a bare offset for the others.
    """
    local = at.astimezone(here())
    return f"{format_datetime(local, form, locale=language)} {local.tzname()}"


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
