"""Groups of the record are shown by what people call them, and known by their identifiers."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from stafett.eventlog import EventLog
from stafett.eventlog.table import JUDGEMENTS, SCHEMA
from stafett.insight.pictures.svg import cut
from stafett.insight.registered import Trial
from stafett.service.learnt import NOBODY, Names
from stafett.service.learnt_names import named, trial_named

NAMES = Names(
    (("north", "Norra sjukhuset"), ("plant", "Mälaren"), ("a", "Same"), ("b", "Same")),
    (("ward", "Ward"), ("make", "Manufacturing / filling")),
)


def log() -> EventLog:
    """Make a log of two handoffs, one of them judged."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = {
        "case": ["j1", "j1"], "activity": ["H1", "H2"], "kind": ["handoff", "handoff"],
        "giver": ["north / ward", "plant / make"], "receiver": ["plant / make", None],
        "enqueue": [at, at], "start": [at, at], "end": [at, at], "outcome": ["ok", "ok"],
        "detected_at": [None, None], "deviation": [None, None], "origin": [None, None],
        "row": [1, 2],
    }  # fmt: skip
    judged = {name: ["north / ward"] if name == "judge" else ["x"] for name in JUDGEMENTS}
    return EventLog(
        pl.DataFrame(rows, schema=SCHEMA), judgements=pl.DataFrame(judged, schema=JUDGEMENTS)
    )


def test_groups_and_judges_have_the_names_of_organisations_and_roles() -> None:
    """A name that holds a separator is not taken; what is empty stays so; nothing else changes."""
    told = named(log(), NAMES)
    assert told.frame["giver"].to_list() == ["Norra sjukhuset / Ward", "Mälaren / make"]
    assert told.frame["receiver"].to_list() == ["Mälaren / make", None]
    assert told.frame.schema == log().frame.schema
    assert told.judgements["judge"].to_list() == ["Norra sjukhuset / Ward"]
    assert told.frame.drop("giver", "receiver").equals(log().frame.drop("giver", "receiver"))
    assert named(log(), NOBODY).frame.equals(log().frame)


def test_two_of_one_name_stay_apart() -> None:
    """Two organisations that are called the same keep their identifiers: they are two sites."""
    assert (NAMES.site("a"), NAMES.site("b"), NAMES.group("a / ward")) == ("a", "b", "a / Ward")


def test_a_trial_is_shown_by_name_as_the_log_it_is_about() -> None:
    """The starts are by identifier in the record, and by name where the figure is drawn."""
    trial = Trial(
        "t", datetime.now(UTC), "p", "north", (), "record", "H1", "c", "dwell", -20.0,
        {"north": date(2026, 1, 1), "elsewhere": date(2026, 2, 1)},
    )  # fmt: skip
    assert set(trial_named(trial, NAMES).starts) == {"Norra sjukhuset", "elsewhere"}


@pytest.mark.parametrize(
    ("name", "most", "short"),
    [
        ("short", 10, "short"),
        ("a long name of a thing", 10, "a long na…"),
        ("Norra universitetssjukhuset / Ward", 20, "Norra univer… / Ward"),
        ("North / a very long role indeed", 12, "a very long…"),
        ("Norra sjukhuset / Ward → Mälaren / Case desk", 34, "Norra s… / Ward → Mäl… / Case desk"),
    ],
)
def test_a_shortened_name_keeps_what_tells_it_apart(name: str, most: int, short: str) -> None:
    """The role before the organisation, and both sides of an interface."""
    assert cut(name, most) == short
    assert len(cut(name, most)) <= most
