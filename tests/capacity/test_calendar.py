"""Calendars: opening hours in their zone, exceptions, units."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from stafett.capacity.calendar import Calendar, Change, Hours, Resource, problems, seconds

STOCKHOLM = ZoneInfo("Europe/Stockholm")
WEEK = tuple(range(7))


def chair(**more: Any) -> Resource:
    """Return two chairs, open eight to four on weekdays."""
    given: dict[str, Any] = {
        "id": "chair", "organisation": "hospital", "kind": "apheresis-chair", "title": "Chairs",
        "zone": "Europe/Stockholm", "units": 2, "step_minutes": 60,
        "hours": (Hours((0, 1, 2, 3, 4), "08:00", "16:00"),),
    }  # fmt: skip
    return Resource(**{**given, **more})


def at(text: str) -> int:
    """Return a time of Stockholm's clocks."""
    return seconds(datetime.fromisoformat(text).replace(tzinfo=STOCKHOLM))


def starts(calendar: Calendar, begin: str, end: str) -> list[str]:
    """Return the starts as Stockholm's clocks show them."""
    found = calendar.starts(at(begin), at(end))
    return [datetime.fromtimestamp(s, STOCKHOLM).isoformat()[:16] for s in found]


def test_hours_are_the_zones_also_when_the_clocks_change() -> None:
    """A chair opens at eight by the wall clock before and after the night of summer time."""
    calendar = Calendar(chair(hours=(Hours(WEEK, "08:00", "09:00"),)))
    shown = starts(calendar, "2026-03-28T00:00", "2026-03-30T00:00")
    assert shown == ["2026-03-28T08:00", "2026-03-29T08:00"]
    a, b = (at(x) for x in shown)
    assert b - a == 23 * 3600


def test_a_shift_over_the_long_night_lasts_an_hour_more() -> None:
    """22:00 to 06:00 is nine hours when summer time ends, and seven when it begins."""
    calendar = Calendar(chair(hours=(Hours(WEEK, "22:00", "06:00"),)))
    for night, hours in (("2026-10-24T22:00", 9), ("2026-03-28T22:00", 7)):
        begins = at(night)
        assert calendar.opened(begins, begins + hours * 3600)
        assert not calendar.opened(begins, begins + hours * 3600 + 1)


def test_what_begins_must_end_before_closing() -> None:
    """Five hours from eleven fit; from twelve they do not."""
    calendar = Calendar(chair())
    assert calendar.unit(at("2026-03-02T11:00"), at("2026-03-02T16:00")) == 0
    assert calendar.unit(at("2026-03-02T12:00"), at("2026-03-02T17:00")) is None


def test_a_whole_week_is_open_without_a_seam() -> None:
    """00:00 to 24:00 every day is one opening, over midnight and over the change of clocks."""
    calendar = Calendar(chair(hours=(Hours(WEEK, "00:00", "24:00"),)))
    assert calendar.unit(at("2026-03-26T10:00"), at("2026-04-02T10:00")) == 0


def test_an_exception_closes_and_opens() -> None:
    """An exception stands above the hours: closed on a weekday, one chair on a Saturday."""
    calendar = Calendar(
        chair(
            changes=(
                Change(_aware("2026-03-03T00:00"), _aware("2026-03-04T00:00"), 0, "water leak"),
                Change(
                    _aware("2026-03-07T09:00"), _aware("2026-03-07T15:00"), 1, "extra day", True
                ),
            )
        )
    )
    assert calendar.unit(at("2026-03-03T09:00"), at("2026-03-03T10:00")) is None
    assert list(calendar.units(at("2026-03-07T09:00"), at("2026-03-07T15:00"))) == [0]
    assert calendar.unit(at("2026-03-07T14:00"), at("2026-03-07T16:00")) is None


def test_only_an_extra_opening_opens() -> None:
    """One chair down over the weekend opens no Saturday; an extra opening does, and a closure in it
    still closes."""
    begin, end = _aware("2026-03-06T00:00"), _aware("2026-03-09T00:00")
    down = Calendar(chair(changes=(Change(begin, end, 1, "one chair down"),)))
    assert list(down.units(at("2026-03-06T09:00"), at("2026-03-06T10:00"))) == [0]
    assert down.unit(at("2026-03-07T09:00"), at("2026-03-07T10:00")) is None
    both = (
        Change(begin, end, 2, "catching up", True),
        Change(_aware("2026-03-07T12:00"), _aware("2026-03-07T13:00"), 0, "power cut"),
    )
    extra = Calendar(chair(changes=both))
    assert list(extra.units(at("2026-03-07T09:00"), at("2026-03-07T10:00"))) == [0, 1]
    assert extra.unit(at("2026-03-07T11:30"), at("2026-03-07T12:30")) is None
    # From inside the hours into an extra opening without a seam.
    assert extra.unit(at("2026-03-06T15:00"), at("2026-03-06T17:00")) == 0


def test_fewer_units_in_the_afternoon() -> None:
    """Where hours name fewer units, only so many can be booked, and a session over both has the
    fewest."""
    hours = (Hours(WEEK, "08:00", "12:00"), Hours(WEEK, "12:00", "16:00", 1))
    calendar = Calendar(chair(hours=hours))
    assert list(calendar.units(at("2026-03-02T08:00"), at("2026-03-02T12:00"))) == [0, 1]
    assert list(calendar.units(at("2026-03-02T11:00"), at("2026-03-02T13:00"))) == [0]


def test_a_continuous_resource_only_begins_in_its_hours() -> None:
    """A suite begins on a weekday morning and goes on for a week; a closure in it forbids it."""
    suite = chair(kind="manufacturing-suite", continuous=True)
    begins = at("2026-03-02T08:00")
    week = begins + 7 * 86_400
    assert Calendar(suite).unit(begins, week) == 0
    assert Calendar(suite).unit(begins + 12 * 3600, week) is None
    shut = Change(_aware("2026-03-05T00:00"), _aware("2026-03-05T01:00"), 1, "one suite down")
    closed = changed(suite, changes=(shut,))
    assert list(Calendar(closed).units(begins, week)) == [0]


def test_units_that_are_taken_are_not_given_again() -> None:
    """What touches is free; what overlaps by a second is not."""
    a, b, c = at("2026-03-02T09:00"), at("2026-03-02T10:00"), at("2026-03-02T11:00")
    calendar = Calendar(chair(), [(0, a, b)])
    assert list(calendar.units(b, c)) == [0, 1]
    assert list(calendar.units(b - 1, c)) == [1]
    calendar.put(1, a, c)
    assert list(calendar.units(b - 1, c)) == []
    calendar.take(1, a, c)
    assert list(calendar.units(b - 1, c)) == [1]


@pytest.mark.parametrize(
    ("more", "field", "what"),
    [
        ({"zone": "Europe/Atlantis"}, "zone", "no time zone"),
        ({"hours": ()}, "hours", "never open"),
        ({"hours": (Hours((7,), "08:00", "16:00"),)}, "hours/0/days", "7"),
        ({"hours": (Hours((0,), "08:00", "08:00"),)}, "hours/0", "no time"),
        ({"hours": (Hours((0,), "08:00", "16:00", 3),)}, "hours/0/units", "3 of 2"),
        (
            {"changes": (Change(datetime(2026, 3, 2), datetime(2026, 3, 3), 0, "x"),)},  # noqa: DTZ001
            "changes/0", "without a zone",
        ),
        (
            {"changes": (Change(datetime(2026, 3, 3, tzinfo=UTC),
                                datetime(2026, 3, 2, tzinfo=UTC), 0, "x"),)},
            "changes/0", "ends before",
        ),
    ],
)  # fmt: skip
def test_a_wrong_resource_is_told_where(more: dict[str, Any], field: str, what: str) -> None:
    """Each fault names its field, what is wrong and what to do."""
    found = problems(chair(**more))
    assert [f for f, _, _ in found] == [field]
    assert what in found[0][1]
    assert found[0][2]


def test_a_right_resource_has_no_faults() -> None:
    """The chair of these tests is right."""
    assert problems(chair()) == []


def _aware(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=STOCKHOLM)


def changed(resource: Resource, **more: Any) -> Resource:
    """Return the resource with other fields."""
    return msgspec.structs.replace(resource, **more)
