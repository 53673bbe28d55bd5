"""Reading delimited logs: what is guessed, what is refused, and how it is said."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from stafett.eventlog import LogUnreadableError, Reading, read_log

Write = Callable[..., Path]
HOUR = timedelta(hours=1)

GOOD = """case,activity,timestamp,org:group
p1,collect,2026-01-05T08:00:00Z,Apheresis
p1,pack,2026-01-05T09:00:00Z,Apheresis
p1,receive,2026-01-06T09:30:00Z,Manufacturer
p2,collect,2026-01-07T08:00:00Z,Apheresis
"""


def test_a_change_of_group_is_a_handoff(write: Write) -> None:
    """Between two consecutive events of a case done by different groups lies one handoff."""
    log = read_log(write(GOOD))
    (handoff,) = log.handoffs.iter_rows(named=True)
    assert (handoff["giver"], handoff["receiver"]) == ("Apheresis", "Manufacturer")
    assert handoff["activity"] == "pack → receive"
    assert handoff["end"] - handoff["enqueue"] == 24.5 * HOUR
    assert log.steps.height == 4 and log.cases == 2


def test_waiting_within_a_group_belongs_to_the_step(write: Write) -> None:
    """When the group stays the same, the time since the previous event is the step's own wait."""
    log = read_log(write(GOOD))
    pack = log.steps.row(1, named=True)
    assert pack["start"] - pack["enqueue"] == HOUR


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_separator_is_guessed_from_the_header(write: Write, separator: str) -> None:
    """Semicolon, tab and bar are recognised as the comma is."""
    log = read_log(write(GOOD.replace(",", separator)))
    assert log.steps.height == 4


def test_gzipped_files_are_read(tmp_path: Path) -> None:
    """A gzipped log reads as the plain one does."""
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert read_log(path).handoffs.height == 1


def test_columns_can_be_stated(write: Write) -> None:
    """A stated column overrides the guess."""
    text = GOOD.replace("case,activity", "case,Vorgang")
    with pytest.raises(LogUnreadableError, match="no column is recognised as the activity"):
        read_log(write(text))
    assert read_log(write(text), columns={"activity": "Vorgang"}).steps.height == 4


def test_a_stated_column_that_does_not_exist_is_refused(write: Write) -> None:
    """The message names the columns that there are."""
    with pytest.raises(LogUnreadableError, match=r"no column 'who'.*'org:group'"):
        read_log(write(GOOD), columns={"group": "who"})


def test_an_unreadable_time_names_its_row(write: Write) -> None:
    """The row is counted as a spreadsheet counts, and the text is quoted."""
    with pytest.raises(LogUnreadableError, match="row 4: its end time cannot be read: '06-01-26'"):
        read_log(write(GOOD.replace("2026-01-06T09:30:00Z", "06-01-26")))


def test_a_broken_row_can_be_skipped_and_is_counted(write: Write) -> None:
    """With skip_bad the rest is read and the report says what was left out."""
    text = GOOD.replace("p1,receive", ",receive")
    log = read_log(write(text), reading=Reading(skip_bad=True))
    assert log.steps.height == 3
    assert [str(problem) for problem in log.skipped] == ["row 4: no case is named"]
    assert "1 broken row of 4 left out" in log.notes[-1]


def test_one_broken_row_in_a_large_log_is_found(write: Write) -> None:
    """A line with too many fields among many is named by its row; the rest can be kept."""
    lines = [f"p{i // 4},collect,2026-01-05T08:00:00Z,A" for i in range(300_000)]
    lines[277_776] += ",surplus"
    path = write("case,activity,timestamp,group\n" + "\n".join(lines) + "\n")
    with pytest.raises(LogUnreadableError, match="row 277,778: it has 5 fields, the header 4"):
        read_log(path)
    assert read_log(path, reading=Reading(skip_bad=True)).steps.height == 299_999


def test_times_without_zone_are_said(write: Write) -> None:
    """Without a stated zone the clock is kept as written, and the report says so."""
    log = read_log(write(GOOD.replace("Z,", ",")))
    assert log.zone is None
    assert "4 times name no time zone" in log.notes[0]
    assert log.steps["start"][0].isoformat() == "2026-01-05T08:00:00+00:00"


def test_a_stated_zone_is_used(write: Write) -> None:
    """With a stated zone the instants are those of that zone, summer and winter."""
    text = GOOD.replace("Z,", ",").replace("2026-01-07", "2026-07-07")
    log = read_log(write(text), reading=Reading(zone="Europe/Stockholm"))
    starts = [start.isoformat() for start in log.steps["start"]]
    assert starts[0] == "2026-01-05T07:00:00+00:00"
    assert starts[3] == "2026-07-07T06:00:00+00:00"


def test_a_clock_time_that_daylight_saving_skips_is_refused(write: Write) -> None:
    """02:30 on the night when the clock jumps from two to three does not exist."""
    text = GOOD.replace("2026-01-05T08:00:00Z", "2026-03-29T02:30:00")
    with pytest.raises(LogUnreadableError, match="row 2: its end time cannot be read"):
        read_log(write(text), reading=Reading(zone="Europe/Stockholm"))


def test_an_unknown_zone_is_refused(write: Write) -> None:
    """A zone is an IANA name."""
    with pytest.raises(LogUnreadableError, match="no time zone is called 'CEST'"):
        read_log(write(GOOD), reading=Reading(zone="CEST"))


def test_day_and_month_are_never_guessed(write: Write) -> None:
    """03/04/2026 could be March or April: the caller must say."""
    text = GOOD.replace("2026-01-05T08:00:00Z", "03/04/2026 08:00")
    text = "\n".join(text.splitlines()[:2])
    with pytest.raises(LogUnreadableError, match="--time-format"):
        read_log(write(text))
    log = read_log(write(text), reading=Reading(time_format="%d/%m/%Y %H:%M"))
    assert log.steps["start"][0].month == 4


def test_unordered_events_are_ordered_and_counted(write: Write) -> None:
    """An event that stands before an earlier one of its case is put right, and said."""
    head, first, second, *rest = GOOD.splitlines()
    log = read_log(write("\n".join([head, second, first, *rest])))
    assert log.steps["activity"].to_list()[:2] == ["collect", "pack"]
    assert any("1 events stand before an earlier event" in note for note in log.notes)


def test_equal_times_keep_the_order_of_the_file(write: Write) -> None:
    """Two events at one instant stay as the file has them, and the report says how many."""
    log = read_log(write(GOOD.replace("T09:00:00", "T08:00:00")))
    assert log.steps["activity"].to_list()[:2] == ["collect", "pack"]
    assert any("1 events bear the same time" in note for note in log.notes)


def test_missing_groups_are_said(write: Write) -> None:
    """A handoff beside an event without group is not guessed."""
    log = read_log(write(GOOD.replace("2026-01-05T09:00:00Z,Apheresis", "2026-01-05T09:00:00Z,?")))
    assert log.handoffs.is_empty()
    assert any("1 of 4 events name no group" in note for note in log.notes)


def test_a_log_without_groups_is_read_without_handoffs(write: Write) -> None:
    """No group column: steps only, and a hint how to state one."""
    log = read_log(write(GOOD.replace("org:group", "colour")))
    assert log.handoffs.is_empty()
    assert any("--column group=NAME" in note for note in log.notes)


def test_start_and_complete_are_joined(write: Write) -> None:
    """The start and the completion of the same work become one step with a duration."""
    text = """case,activity,timestamp,group,lifecycle:transition
p1,make,2026-01-05T08:00:00Z,M,start
p1,make,2026-01-05T20:00:00Z,M,complete
p1,test,2026-01-06T08:00:00Z,Q,start
"""
    log = read_log(write(text))
    make, test = log.steps.iter_rows(named=True)
    assert make["end"] - make["start"] == 12 * HOUR
    assert test["end"] is None and test["outcome"] == "open"


def test_an_end_before_its_start_is_refused(write: Write) -> None:
    """Impossible orders are flagged, never mended silently."""
    text = "case,activity,start,end\np1,make,2026-01-05T08:00:00Z,2026-01-05T07:00:00Z\n"
    with pytest.raises(LogUnreadableError, match="row 2: it ends before it starts"):
        read_log(write(text))


def test_a_ready_table_is_taken_as_it_is(write: Write) -> None:
    """A file with kind, giver and receiver needs no derivation."""
    text = """case,activity,kind,giver,receiver,enqueue,start,end,outcome,deviation
p1,collect,step,A,A,2026-01-05T07:00:00Z,2026-01-05T08:00:00Z,2026-01-05T09:00:00Z,ok,
p1,ship,handoff,A,B,2026-01-05T09:00:00Z,2026-01-05T12:00:00Z,2026-01-05T13:00:00Z,refused,labelling
"""
    log = read_log(write(text))
    assert log.handoffs.row(0, named=True)["outcome"] == "refused"
    assert log.handoffs.row(0, named=True)["deviation"] == "labelling"


def test_an_unknown_outcome_is_not_guessed(write: Write) -> None:
    """A word that is not understood counts as not recorded, and is named."""
    text = GOOD.replace("group\n", "group,outcome\n").replace(
        "Z,Apheresis\n", "Z,Apheresis,passed\n"
    )
    text = text.replace("Z,Manufacturer\n", "Z,Manufacturer,tja\n")
    log = read_log(write(text))
    assert log.steps["outcome"].to_list() == ["ok", "ok", None, "ok"]
    assert any("'tja' (1 rows) is not understood" in note for note in log.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("case,activity,timestamp\n", "a header and no rows"),
        ("case,case,timestamp\na,b,c\n", "the header names 'case' twice"),
        ("a,b\n1,2\n", "no column is recognised as the case or the activity or the time"),
    ],
)
def test_hopeless_files_are_refused_in_words(write: Write, text: str, message: str) -> None:
    """Each kind of hopeless file has its sentence."""
    with pytest.raises(LogUnreadableError, match=message):
        read_log(write(text))


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """Latin-1 in the body is refused with what to do."""
    path = tmp_path / "log.csv"
    path.write_bytes(GOOD.replace("pack", "f\xf6rpacka").encode("latin1"))
    with pytest.raises(LogUnreadableError, match=r"not UTF-8 text[\s\S]*iconv"):
        read_log(path)


def test_an_unknown_ending_is_refused(write: Write) -> None:
    """The name of the file tells the format, or the reader says which names it knows."""
    with pytest.raises(LogUnreadableError, match="does not tell the format"):
        read_log(write(GOOD, "log.xlsx"))


def test_the_published_process_mining_log(shared: Path) -> None:
    """The published vector has 150 cases and 3,124 events."""
    folder = shared / "standards" / "process_mining"
    expected = json.loads((folder / "expected.json").read_text())
    log = read_log(folder / "log.csv")
    assert (log.cases, log.steps.height) == (expected["cases"], expected["events"])


def test_the_sepsis_log(shared: Path) -> None:
    """The hospital log: 1,050 cases, 15,214 events; its times name no zone, 294 events no group."""
    path = shared / "data" / "sepsis.csv.gz"
    if not path.is_file():
        pytest.skip("the sepsis log is not here")
    log = read_log(path)
    assert (log.cases, log.steps.height) == (1050, 15214)
    assert any("294 of 15,214 events name no group" in note for note in log.notes)
    frame = log.frame.with_columns(
        pl.col("giver").cast(pl.String), pl.col("receiver").cast(pl.String)
    )
    assert (
        frame.filter(pl.col("kind") == "handoff")
        .select((pl.col("giver") != pl.col("receiver")).all())
        .item()
    )
