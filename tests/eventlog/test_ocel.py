"""Reading OCEL 2.0: several objects per event, one of them the case."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stafett.eventlog import LogUnreadableError, Reading, read_log

Write = Callable[..., Path]


def ocel(*events: tuple[str, str, list[str]]) -> dict[str, Any]:
    """Return a document with two therapies, one bag and two sites."""
    objects = {"T1": "therapy", "T2": "therapy", "B1": "bag", "S1": "site", "S2": "site"}
    return {
        "eventTypes": [],
        "objectTypes": [],
        "objects": [{"id": key, "type": kind} for key, kind in objects.items()],
        "events": [
            {
                "id": f"e{n}",
                "type": kind,
                "time": time,
                "relationships": [{"objectId": key, "qualifier": ""} for key in touched],
            }
            for n, (kind, time, touched) in enumerate(events)
        ],
    }


TWO = ocel(
    ("collect", "2026-01-05T08:00:00Z", ["T1", "B1", "S1"]),
    ("receive", "2026-01-06T08:00:00Z", ["T1", "B1", "S2"]),
    ("ship", "2026-01-07T08:00:00Z", ["T1", "T2", "S2"]),
)


def test_the_case_and_the_group_are_object_types(write: Write) -> None:
    """Stated types are used; an event with two cases counts for both, and that is said."""
    path = write(json.dumps(TWO), "log.json")
    log = read_log(path, case_type="therapy", group_type="site")
    assert log.steps["case"].to_list() == ["T1", "T1", "T1", "T2"]
    assert log.handoffs["receiver"].to_list() == ["S2"]
    assert any("1 events touch more than one 'therapy'" in note for note in log.notes)


def test_a_guessed_case_is_said(write: Write) -> None:
    """The guess and how to override it stand in the notes."""
    log = read_log(write(json.dumps(TWO), "log.jsonocel"))
    assert any("State another with --case-type" in note for note in log.notes)


def test_whoever_acts_is_no_case_though_each_event_has_one(write: Write) -> None:
    """People and organisations are as constant as the case is; where nothing else is, they are."""
    objects = {
        "J1": "Journey",
        "P1": "person",
        "P2": "Person",
        "P3": "person",
        "O1": "organisation",
    }
    events = [["J1", "P1", "O1"], ["J1", "P2", "O1"], ["J1", "P3", "O1"]]
    whole = {**ocel(*[("do", f"2026-01-0{n}T08:00:00Z", e) for n, e in enumerate(events, 1)]),
             "objects": [{"id": k, "type": v} for k, v in objects.items()]}  # fmt: skip
    assert set(read_log(write(json.dumps(whole), "log.jsonocel")).steps["case"]) == {"J1"}
    for event in whole["events"]:
        event["relationships"] = event["relationships"][1:]
    assert "J1" not in set(read_log(write(json.dumps(whole), "who.jsonocel")).steps["case"])


def test_a_dangling_relation_is_named(write: Write) -> None:
    """An event that touches an object that does not exist is refused, or skipped and counted."""
    path = write(
        json.dumps(
            ocel(("collect", "2026-01-05T08:00:00Z", ["T1"]), ("x", "2026-01-05T08:00:00Z", ["T9"]))
        ),
        "log.json",
    )
    with pytest.raises(LogUnreadableError, match="row 2: event 'e1' touches 'T9'"):
        read_log(path)
    assert read_log(path, reading=Reading(skip_bad=True)).steps.height == 1


def test_an_unknown_type_is_refused(write: Write) -> None:
    """The message names the types that there are."""
    with pytest.raises(
        LogUnreadableError, match="no objects of type 'visit'; it has bag, site, therapy"
    ):
        read_log(write(json.dumps(TWO), "log.json"), case_type="visit")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        (
            '{"events": 3, "objects": []}',
            "not OCEL 2.0 JSON: events: is to be a list, not a number",
        ),
        ('{"events": [], "objects": []}', "no events"),
    ],
)
def test_what_is_not_ocel_is_refused(write: Write, text: str, message: str) -> None:
    """Wrong documents are refused with the place of the fault."""
    with pytest.raises(LogUnreadableError, match=message):
        read_log(write(text, "log.json"))


def test_the_published_example(shared: Path) -> None:
    """The example document has 27 therapies and 50 events."""
    log = read_log(shared / "standards" / "ocel" / "example.jsonocel", case_type="therapy")
    assert (log.cases, log.steps.height) == (27, 50)
