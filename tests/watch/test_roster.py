"""On-call hours in the site's own time zone, and whom an alert reaches when."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from stafett.watch.roster import Shift, changes, delivery, is_on, next_begin

STOCKHOLM = "Europe/Stockholm"
OFFICE = Shift("anna", (0, 1, 2, 3, 4), time(8), time(17), STOCKHOLM)
NIGHT = Shift("bo", tuple(range(7)), time(22), time(6), STOCKHOLM)
BEHIND = Shift("carl", tuple(range(7)), time(0), time(23, 59), STOCKHOLM, deputy=True)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)  # Stockholm is one hour ahead in winter


def test_hours_are_those_of_the_site() -> None:
    """07:30 UTC is 08:30 in Stockholm: on; 06:30 UTC is not."""
    assert is_on(OFFICE, MONDAY.replace(hour=7, minute=30))
    assert not is_on(OFFICE, MONDAY.replace(hour=6, minute=30))
    assert not is_on(OFFICE, MONDAY.replace(hour=16))  # 17:00: the end is not included


def test_a_night_shift_belongs_to_the_day_on_which_it_begins() -> None:
    """Friday's night ends on Saturday at six; a weekday shift has no Saturday night."""
    friday_only = NIGHT._replace(days=(4,))
    saturday_early = datetime(2026, 3, 7, 3, tzinfo=UTC)
    assert is_on(friday_only, saturday_early)
    assert not is_on(friday_only, saturday_early + timedelta(days=1))


def test_the_clock_change_moves_the_shift_with_the_clocks() -> None:
    """After the change of 29 March 2026 eight o'clock in Stockholm is six in UTC."""
    assert next_begin([OFFICE], datetime(2026, 3, 27, 18, tzinfo=UTC)) == datetime(
        2026, 3, 30, 6, tzinfo=UTC
    )


def test_on_any_minute_of_a_week_on_call_agrees_with_next_begin() -> None:
    """A shift begins exactly where `is_on` turns true."""
    now, was = MONDAY, is_on(NIGHT, MONDAY)
    for _ in range(7 * 24 * 12):
        begins = next_begin([NIGHT], now)
        now += timedelta(minutes=5)
        here = is_on(NIGHT, now)
        assert (here and not was) == (begins == now)
        was = here


def test_a_quiet_hour_holds_what_is_not_critical_until_the_next_hours() -> None:
    """On Saturday nobody is on: a major one waits for Monday, a critical one reaches everybody."""
    saturday = datetime(2026, 3, 7, 12, tzinfo=UTC)
    held = delivery([OFFICE], saturday, critical=False, deputy=False)
    assert (held.people, held.at) == ((), datetime(2026, 3, 9, 7, tzinfo=UTC))
    now = delivery([OFFICE], saturday, critical=True, deputy=False)
    assert (now.people, now.at) == (None, saturday)


def test_a_role_without_shifts_is_always_on_call() -> None:
    """Nobody wrote a roster: everybody in the role is told at once."""
    assert delivery([], MONDAY, critical=False, deputy=False) == (None, MONDAY)


def test_a_deputy_is_called_on_the_second_rung_only() -> None:
    """First who is on call, then who stands behind them."""
    at = MONDAY.replace(hour=9)
    assert delivery([OFFICE, BEHIND], at, critical=False, deputy=False).people == ("anna",)
    assert delivery([OFFICE, BEHIND], at, critical=False, deputy=True).people == ("carl",)


def test_who_went_off_duty_is_named() -> None:
    """Between 16:55 and 17:05 Anna's hours ended."""
    before = MONDAY.replace(hour=15, minute=55)
    assert changes([OFFICE, NIGHT], before, before + timedelta(minutes=10)) == ("anna",)
