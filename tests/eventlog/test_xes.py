"""Reading XES: streamed, without document types, with line numbers in messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stafett.eventlog import LogUnreadableError, read_log

Write = Callable[..., Path]

XES = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849-2016" xmlns="http://www.xes-standard.org/">
  <trace>
    <string key="concept:name" value="p1"/>
    <string key="sex" value="F"/>
    <event>
      <string key="concept:name" value="collect"/>
      <date key="time:timestamp" value="2026-01-05T08:00:00.000+01:00"/>
      <string key="org:group" value="Apheresis"/>
    </event>
    <event>
      <string key="concept:name" value="receive"/>
      <date key="time:timestamp" value="2026-01-06T08:00:00.000+01:00"/>
      <string key="org:group" value="Manufacturer"/>
      <float key="viability" value="0.93"/>
      <list key="inner"><string key="concept:name" value="hidden"/></list>
    </event>
  </trace>
</log>
"""


def test_traces_become_cases_and_handoffs(write: Write) -> None:
    """Two events of different groups make two steps and a handoff; nested lists are passed over."""
    log = read_log(write(XES, "log.xes"))
    assert log.steps["activity"].to_list() == ["collect", "receive"]
    assert log.handoffs["giver"].to_list() == ["Apheresis"]
    assert log.steps["case:sex"].to_list() == ["F", "F"]
    assert log.steps["viability"].to_list() == [None, "0.93"]
    assert log.steps["start"][0].isoformat() == "2026-01-05T07:00:00+00:00"


def test_an_entity_bomb_is_refused(write: Write) -> None:
    """A document type is refused before any entity is expanded."""
    bomb = '<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]>'
    text = XES.replace("?>", "?>" + bomb, 1).replace("collect", "&b;")
    with pytest.raises(LogUnreadableError, match="declares a document type"):
        read_log(write(text, "log.xes"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</log>", "", "line 20: the file is not well-formed XML"),
        ("<log ", "<pnml ", "not well-formed|is a <pnml>"),
        (' value="p1"', "", "line 4: <string> without key or value"),
        ("2026-01-06T08:00:00.000+01:00", "soon", "row 11: its end time cannot be read: 'soon'"),
    ],
)
def test_broken_xes_is_refused_by_line(write: Write, old: str, new: str, message: str) -> None:
    """Each defect is named with the line on which it stands."""
    with pytest.raises(LogUnreadableError, match=message):
        read_log(write(XES.replace(old, new), "log.xes"))


def test_an_empty_log_is_refused(write: Write) -> None:
    """A log without events has nothing to teach."""
    with pytest.raises(LogUnreadableError, match="no events"):
        read_log(write("<log/>", "log.xes"))
