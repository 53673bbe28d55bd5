"""In which zone times are shown: that of the site (or else the organisation) of whoever asks."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from functools import cache, lru_cache
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
    return _written(at, _here.get(), language, form)


@lru_cache(50_000)  # a page shows hundreds, and is made again with each event
def _written(at: datetime, place: str, language: str, form: str) -> str:
    local = at.astimezone(_zone(place))
    return f"{format_datetime(local, form, locale=language)} {local.tzname()}"


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
