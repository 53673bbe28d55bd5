"""What comes long after the work is named as such, and nothing else is."""

from __future__ import annotations

from pathlib import Path

from stafett.eventlog import EventLog, read_log
from stafett.insight.afterwards import afterwards, remarks


def log(tmp_path: Path, days_later: int, also_within: bool = False) -> EventLog:
    """Write twenty journeys of two hours, each with a return so many days later; read them."""
    lines = ["case,activity,timestamp,group"]
    for i in range(20):
        lines += [
            f"c{i},collect,2026-01-{1 + i:02d}T08:00:00Z,clinic",
            *([f"c{i},return,2026-01-{1 + i:02d}T09:00:00Z,clinic"] if also_within else []),
            f"c{i},make,2026-01-{1 + i:02d}T10:00:00Z,plant",
            f"c{i},return,2026-{2 + days_later // 28:02d}-{1 + i:02d}T10:00:00Z,clinic",
        ]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines))
    return read_log(path)


def test_a_return_weeks_later_is_named(tmp_path: Path) -> None:
    """Which activity, how many journeys it ends, how long after."""
    found = log(tmp_path, 28)
    ((activity, n, days),) = afterwards(found)
    assert (activity, n) == ("return", 20) and days == 59
    assert "return ends 20 journeys, half of them over 59 days" in remarks(found)[0]


def test_what_also_happens_within_the_work_is_not(tmp_path: Path) -> None:
    """An activity that journeys come to again is work."""
    assert afterwards(log(tmp_path, 28, also_within=True)) == []


def test_the_return_in_the_sepsis_log_is_named(shared: Path) -> None:
    """`Return ER` is the patient's coming back months later, booked as the last step."""
    found = afterwards(read_log(shared / "data" / "sepsis.csv.gz"))
    assert [activity for activity, _, _ in found] == ["Return ER"]
    assert found[0][2] > 28
