"""Outcomes of the layers: what a log holds of each, what it lacks, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from outcome_log import START, whole_log
from stafett.eventlog import EventLog, log_from_journeys, read_log, validated
from stafett.insight.chapters import OUTCOMES
from stafett.insight.hours import WorkingHours
from stafett.insight.outcomes import NotInLogError, held, measured
from stafett.insight.report.layer_figures import layer_figures

HOURS = WorkingHours()


def read(lines: list[str], folder: Path) -> EventLog:
    """Write and read a log."""
    path = folder / "log.csv"
    path.write_text("\n".join(lines))
    return read_log(path)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """Return the log that holds everything."""
    return read(whole_log(), tmp_path_factory.mktemp("outcomes"))


def test_a_log_that_holds_all_is_split_by_all(log: EventLog) -> None:
    """Each of the ten sources is a factor, also of a handoff, which takes the receiver's values."""
    assert held(log, HOURS) == list(OUTCOMES)
    names = {f.name: f.layer for f in measured(log, "dwell", HOURS).factors}
    assert names == {
        "patient": "biological", "starting material": "biological",
        "operator": "operational", "shift": "operational", "receiving team": "operational",
        "pair": "institutional", "organisation": "institutional", "site": "institutional",
        "protocol version": "institutional",
    }  # fmt: skip


@pytest.mark.parametrize("outcome", ["dwell", "step_duration", "viability"])
def test_the_operator_is_found(log: EventLog, outcome: str) -> None:
    """The operator drives each outcome of the made-up log: most of what is shared out is theirs."""
    figures, _ = layer_figures(log, HOURS, outcome)
    shares = dict(figures[0].table.select("source", "share").iter_rows())
    assert shares["operator"] > 0.3
    assert shares["operator"] == max(v for k, v in shares.items() if k != "residual")


def test_severity_is_split_by_its_grades(log: EventLog) -> None:
    """Three grades in the order that their words say, with intervals and a word on bias."""
    found = measured(log, "severity", HOURS)
    assert found.grades == ("minor", "major", "critical")
    figures, notes = layer_figures(log, HOURS, "severity")
    assert figures[0].key == "layers-severity" and "log odds" in figures[0].sentence
    assert any("mildest first: minor, major, critical" in note for note in notes)
    told = [*notes, figures[0].sentence]
    assert any("simulated" in text or "No source" in text for text in told if "π" not in text)


def judged_log() -> EventLog:
    """Return handoffs of which the receiving ward decides how many are right first time."""
    rng = np.random.default_rng(8)
    rows = []
    for i in range(300):
        at = START + timedelta(hours=7 * i)
        for k in range(2):
            ward = int(rng.integers(0, 10))
            wrong = rng.random() < (0.7 if ward < 3 else 0.1)
            rows.append(
                {"case": f"c{i}", "activity": f"H{k}", "kind": "handoff", "giver": "plant",
                 "receiver": f"ward {ward}", "enqueue": at, "start": at,
                 "end": at + timedelta(hours=2), "outcome": "refused" if wrong else "ok"}
            )  # fmt: skip
            at += timedelta(hours=3)
    return EventLog(validated(pl.DataFrame(rows))[0], zone="UTC")


def test_right_first_time_finds_the_wards() -> None:
    """Where wards differ the operational share is beyond doubt, and the patient's is not."""
    figures, notes = layer_figures(judged_log(), HOURS, "right_first_time")
    table = figures[0].table
    share = dict(table.select("source", "share").iter_rows())
    assert share["receiving team"] > 0.2 > share["patient"]
    assert "right first time" in figures[0].sentence
    assert any("pair (institutional) groups the rows exactly as receiving team" in n for n in notes)


def test_an_operator_per_site_is_said_not_guessed(tmp_path: Path) -> None:
    """One nurse at each hospital: operator and site are the same grouping."""
    lines = [
        line if n == 0 else line.replace(f",{line.split(',')[5]},", f",of {line.split(',')[8]},")
        for n, line in enumerate(whole_log(60))
    ]
    _, notes = layer_figures(read(lines, tmp_path), HOURS, "dwell")
    told = [n for n in notes if "groups the rows exactly as operator" in n]
    assert len(told) == 1 and "site (institutional)" in told[0]


def test_what_a_log_lacks_is_said(chain: Callable[..., EventLog]) -> None:
    """Outcomes and sources that are not there, each by its name."""
    log = chain(60)
    figures, notes = layer_figures(log, HOURS, "viability")
    assert figures == []
    assert notes[0] == (
        "Layers: viability is not in this log: no column of it is called viability."
    )
    assert "this log also holds (log) dwell, (log) duration of a step" in notes[1]
    _, notes = layer_figures(log, HOURS)
    assert any(
        "Not in this log, so no part of the split: operator, starting material, site, protocol"
        " version." in note
        for note in notes
    )


def test_a_severity_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    """The word is named beside those that are known."""
    lines = [line.replace(",critical", ",purple") for line in whole_log(40)]
    with pytest.raises(NotInLogError, match="'purple' is neither a number nor one of none"):
        measured(read(lines, tmp_path), "severity", HOURS)


def test_a_column_is_stated_where_no_name_tells(tmp_path: Path) -> None:
    """`--column version=Edition`: the role wins over what a name suggests."""
    lines = whole_log(40)
    lines[0] = lines[0].replace("version", "Edition")
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines))
    log = read_log(path, columns={"version": "Edition"})
    assert "protocol version" in {f.name for f in measured(log, "dwell", HOURS).factors}


def test_the_record_holds_severity_material_and_viability() -> None:
    """A ledger's triage, created material and measured viability stand on the rows they concern."""
    by = {"organisation": "clinic", "role": "apheresis", "person": "ada"}
    at = "2026-01-05T08:00:00Z"

    def said(what: str, **more: object) -> dict[str, object]:
        return {"type": what, "journey": "j1", "occurred_at": at, "by": by, "round": 1, **more}

    entries = [
        said("JourneyOpened", protocol="p", version="2", product="x"),
        said("StepStarted", step="collect"),
        said("CheckAnswered", activity="collect", side="step", check="viability", value=91.5,
             result="pass", method="typed"),
        said("DeviationRaised", deviation="d1", code="OOS", kind="timing", severity="minor",
             about="collect", note=""),
        said("MaterialCreated", material="bag", lot="bag/1", parents=[]),
        said("StepFinished", step="collect", result="done"),
        said("DeviationTriaged", deviation="d1", severity="critical"),
    ]  # fmt: skip
    row = log_from_journeys(list(enumerate(entries))).frame.row(0, named=True)
    assert (row["severity"], row["viability"], row["material"]) == ("critical", "91.5", "j1 bag/1")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_answers_on_one_case(outcome: str, tmp_path: Path) -> None:
    """Never a trace: no figure, and a note that says why."""
    figures, notes = layer_figures(read(whole_log(1), tmp_path), HOURS, outcome)
    assert figures == [] and notes[0].startswith("Layers: ")


def test_sites_have_shrunken_estimates_too(tmp_path: Path) -> None:
    """A slow site stands out with its interval; each row says on how many handoffs it rests."""
    log = read(whole_log(100), tmp_path)
    late = pl.col("hospital") == "h1"
    handed = log.steps.filter(late)["row"].implode()
    later = pl.when((pl.col("kind") == "handoff") & pl.col("row").is_in(handed))
    frame = log.frame.with_columns(
        later.then(pl.col("enqueue") - timedelta(hours=60)).otherwise("enqueue").alias("enqueue")
    )
    figures, _ = layer_figures(replace(log, frame=frame), HOURS)
    table = {figure.key: figure for figure in figures}["sites"].table
    assert table["site"][0] == "h1" and table["low"][0] > 1
    assert table["handoffs"].sum() == 200
