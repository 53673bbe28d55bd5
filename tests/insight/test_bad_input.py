"""Poor logs through the command and every chapter: an answer in words, never a trace or a nan."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stafett.cli.insight import insight
from stafett.eventlog import read_log
from stafett.insight.chapters import OUTCOMES
from stafett.insight.report.assemble import CHAPTERS, Options

HEADER = "case,activity,timestamp,group,outcome"
START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def rows(cases: int = 30, zone: str = "Z") -> list[str]:
    """Return a plain log: three steps a case, two handoffs, a fifth of them refused."""
    rng = np.random.default_rng(3)
    out = []
    for i in range(cases):
        at = START + timedelta(days=2 * i)
        for k, (step, group) in enumerate(
            (("collect", "clinic"), ("make", "factory"), ("infuse", f"ward {i % 3}"))
        ):
            at += timedelta(hours=float(rng.exponential(5)))
            outcome = "refused" if rng.random() < 0.2 and k else "ok"
            out.append(f"c{i},{step},{at:%Y-%m-%dT%H:%M:%S}{zone},{group},{outcome}")
    return out


def without_groups(lines: list[str]) -> list[str]:
    """Blank three groups in ten."""
    rng = np.random.default_rng(4)
    return [
        re.sub(r",[^,]+,(\w+)$", r",,\1", line) if rng.random() < 0.3 else line for line in lines
    ]


CASES: dict[str, list[str]] = {
    "one case": rows(1),
    "two cases": rows(2),
    "30 % of the groups missing": without_groups(rows()),
    "no group at all": [re.sub(r",[^,]+,(\w+)$", r",,\1", line) for line in rows()],
    "one site": [re.sub(r",(clinic|factory|ward \d),", ",clinic,", line) for line in rows()],
    "no zone": rows(zone=""),
    "unordered": rows()[::-1],
    "all at one time": [re.sub(r"T[\d:]+", "T08:00:00", line) for line in rows(1)] * 1
    + [re.sub(r"2026-\d\d-\d\dT[\d:]+", "2026-02-02T08:00:00", line) for line in rows(20)][3:],
    "every outcome the same": [re.sub(r"\w+$", "ok", line) for line in rows()],
    "every handoff refused": [re.sub(r"\w+$", "refused", line) for line in rows()],
    "a group for every case": [
        re.sub(r"^(c\d+)(.*),([^,]+),(\w+)$", r"\1\2,\3 of \1,\4", line) for line in rows()
    ],
    "ward decides the outcome": [
        re.sub(r"\w+$", "refused" if "ward 0" in line else "ok", line) for line in rows(60)
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_every_chapter_answers(name: str, tmp_path: Path) -> None:
    """Figures or notes in each chapter; no nan or infinity in any sentence, SVG or note."""
    path = tmp_path / "log.csv"
    path.write_text("\n".join([HEADER, *CASES[name]]))
    log = read_log(path)
    for chapter, make in CHAPTERS.items():
        figures, notes = make(log, Options())
        assert figures or notes or chapter in ("control",), f"{chapter} says nothing"
        said = [*notes, *(f.sentence for f in figures), *(f.headline for f in figures)]
        said += [f.svg for f in figures]
        for text in said:
            assert not re.search(r"\b(nan|inf)\b", text), f"{chapter}: {text[:300]}"


def test_the_command_answers_too(tmp_path: Path) -> None:
    """One case, as JSON and with a site's page that does not exist: status 0 and words."""
    path = tmp_path / "log.csv"
    path.write_text("\n".join([HEADER, *CASES["one case"]]))
    done = CliRunner().invoke(insight, [str(path), "--json", "--site", "nowhere"])
    assert done.exit_code == 0, done.output
    chapters = json.loads(done.output)["chapters"]
    notes = [note for chapter in chapters for note in chapter["notes"]]
    assert any("nowhere neither gives nor receives" in note for note in notes)


ANSWERS: dict[str, tuple[str, str, str]] = {
    # What is wrong -> the log, the outcome of the layers, and what is said of it.
    "missing groups": ("30 % of the groups missing", "dwell", "events name no group"),
    "unordered times": ("unordered", "dwell", "stand before an earlier event of their case"),
    "equal times": ("all at one time", "dwell", "bear the same time as the event before them"),
    "no zone": ("no zone", "dwell", "name no time zone and none was stated"),
    "one case": ("one case", "dwell", "2 handoffs are too few to split their variation"),
    "one site": ("one site", "dwell", "the log shows no handoff"),
    "constant outcome": (
        "every outcome the same", "right_first_time", "all 90 steps with an outcome are right",
    ),
    "perfect separation": (
        "ward decides the outcome", "right_first_time",
        "levels of team the outcome never varies .perfect separation",
    ),
    "singular fit": ("two kinds of nothing", "dwell", "is estimated as none"),
    "30 % missing values": ("30 % of the groups missing", "dwell", "handoffs beside them cannot"),
}  # fmt: skip


def chance_alone() -> list[str]:
    """Return handoffs whose dwell has nothing to do with case, ward or pair."""
    return rows(120)


@pytest.mark.parametrize("name", ANSWERS)
def test_each_named_case_has_its_answer(name: str, tmp_path: Path) -> None:
    """What the issue names: the sentence that answers it, among the notes or as the sentence."""
    which, outcome, words = ANSWERS[name]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([HEADER, *(CASES.get(which) or chance_alone())]))
    log = read_log(path)
    figures, notes = CHAPTERS["layers"](log, Options(outcome=outcome))
    said = [*log.notes, *notes, *(f.sentence for f in figures)]
    assert any(re.search(words, text) for text in said), said


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", CASES)
def test_every_outcome_answers_on_every_poor_log(name: str, outcome: str, tmp_path: Path) -> None:
    """A figure with numbers, or a note in words; never a trace."""
    path = tmp_path / "log.csv"
    path.write_text("\n".join([HEADER, *CASES[name]]))
    figures, notes = CHAPTERS["layers"](read_log(path), Options(outcome=outcome))
    assert figures or any(note.startswith("Layers: ") for note in notes)
    for text in [*notes, *(f.sentence for f in figures), *(f.svg for f in figures)]:
        assert not re.search(r"\b(nan|inf)\b", text), text[:300]
