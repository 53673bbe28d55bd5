"""A simulated run is a log like any other: the analyses of the record read it unchanged."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.design.compile import compile_system
from stafett.design.reading import System
from stafett.design.record import record
from stafett.eventlog import EventLog, read_log


@pytest.fixture(scope="module")
def log(four: dict[str, System]) -> EventLog:
    """A year of Sweden."""
    return record(compile_system(four["sweden"]), 365.0, 3)


def test_every_journey_is_there_with_its_passages(log: EventLog) -> None:
    """Rows in order, enqueue <= start <= end, steps within a role and handoffs between two."""
    f = log.frame
    assert log.cases > 80
    assert (f["enqueue"] <= f["start"]).all()
    assert (f.filter(pl.col("end").is_not_null())["start"] <= f.drop_nulls("end")["end"]).all()
    assert set(f["outcome"].cast(pl.String)) <= {
        "ok", "deviation", "rework", "refused", "failed", "lost", "open",
    }  # fmt: skip
    treated = f.filter(pl.col("activity") == "H22")["case"].n_unique()
    assert 0.3 < treated / log.cases < 0.9


def test_waiting_for_a_place_is_charged_to_the_step_that_waits(log: EventLog) -> None:
    """Explicit enqueue: the wait before the slot is the slot's, not the handoff's before it."""
    slot = log.frame.filter(pl.col("activity") == "SLOT")
    waits = (slot["start"] - slot["enqueue"]).dt.total_seconds() / 86400
    assert float(waits.max()) > 1.0
    other = log.frame.filter(pl.col("activity") == "TEST")
    assert (other["start"] == other["enqueue"]).all()


def test_what_is_found_late_has_its_origin_before(log: EventLog) -> None:
    """Detected at this handoff, began at this or an earlier one; some causes are not recorded."""
    found = log.frame.filter(pl.col("detected_at").is_not_null())
    assert len(found) > 50
    assert (found["detected_at"].cast(pl.String) == found["activity"].cast(pl.String)).all()
    late = found.filter(pl.col("true_origin") != pl.col("activity").cast(pl.String))
    assert 0.1 < len(late) / len(found) < 0.5
    assert 0 < late["origin"].null_count() < len(late)


def test_the_same_seed_writes_the_same_log(four: dict[str, System], log: EventLog) -> None:
    """To the microsecond."""
    assert record(compile_system(four["sweden"]), 365.0, 3).frame.equals(log.frame)


def test_insight_reads_the_file(tmp_path: Path) -> None:
    """Written by `design run`, read back by the reader of foreign logs with nothing left out."""
    file = tmp_path / "uk.csv"
    done = CliRunner().invoke(main, ["design", "run", "uk", "--days", "200", "--out", str(file)])
    assert done.exit_code == 0, done.output
    back = read_log(file)
    assert len(back.handoffs) > 1000
    assert len(back.steps) > 1000
    assert not back.skipped
