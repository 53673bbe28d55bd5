"""The report: one command from a log to a page, and words instead of stack traces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest
from click.testing import CliRunner, Result

from outcome_log import whole_log
from stafett.cli.insight import insight
from stafett.eventlog import EventLog, Reading, read_log
from stafett.insight.afterwards import remarks
from stafett.insight.pictures.svg import Canvas, day_ticks, number, ticks
from stafett.insight.report import as_html, as_json, make_report

Chain = Callable[..., EventLog]


def run(*arguments: str | Path) -> Result:
    """Call `stafett insight`."""
    return CliRunner().invoke(insight, [str(a) for a in arguments])


def exported(log: EventLog, path: Path) -> Path:
    """Write a log's table as CSV."""
    log.frame.with_columns(
        pl.col("enqueue", "start", "end").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    ).write_csv(path)
    return path


@pytest.fixture(scope="module")
def page(chain: Chain) -> tuple[str, str]:
    """Return the HTML and the JSON of the small chain's report."""
    report = make_report(chain(120))
    return as_html(report), as_json(report)


def test_the_page_needs_nothing_else(page: tuple[str, str]) -> None:
    """No scripts, and no address outside but the SVG name space."""
    html, _ = page
    assert "<script" not in html
    outside = set(re.findall(r"https?://[^\s\"'<>]+", html))
    assert outside <= {"http://www.w3.org/2000/svg"}


def test_every_figure_states_n_period_sentence_and_table(page: tuple[str, str]) -> None:
    """Each figure has its basis, its sentence, its rows, and both downloads."""
    html, text = page
    figures = [f for c in json.loads(text)["chapters"] for f in c["figures"]]
    assert len(figures) >= 9
    for figure in figures:
        assert re.match(r"n = [\d,]+ [\w ]+, \d+ \w+ 2026 – ", figure["basis"])
        assert figure["sentence"].endswith(".")
        assert figure["rows"]
        assert f'download="{figure["key"]}.svg"' in html
        assert f'download="{figure["key"]}.csv"' in html


def test_every_picture_is_well_formed(page: tuple[str, str]) -> None:
    """Each SVG parses, has a title for readers of screens, and no number went astray."""
    pictures = re.findall(r"<figure>(<svg.*?</svg>)</figure>", page[0], re.S)
    assert len(pictures) >= 9
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
        assert "nan" not in picture and "inf" not in picture.replace("infuse", "")


def test_names_from_the_log_cannot_become_markup(chain: Chain) -> None:
    """A group called <script> is shown, not run."""
    log = chain(60)
    evil = "<script>alert(1)</script>"
    frame = log.frame.with_columns(
        pl.col("giver").cast(pl.String).replace("Factory", evil).cast(pl.Categorical),
        pl.col("receiver").cast(pl.String).replace("Factory", evil).cast(pl.Categorical),
    )
    html = as_html(make_report(EventLog(frame)))
    assert "<script" not in html and "&lt;script&gt;" in html


def test_one_command_makes_the_page(chain: Chain, tmp_path: Path) -> None:
    """The command writes the page and says what it made."""
    log = exported(chain(60), tmp_path / "chain.csv")
    result = run(log, "-o", tmp_path / "out.html")
    assert result.exit_code == 0, result.output
    assert "figures from 60 journeys" in result.output
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")


def test_json_is_json(chain: Chain, tmp_path: Path) -> None:
    """With --json the whole answer goes to standard output, with no infinities in it."""
    result = run(exported(chain(60), tmp_path / "chain.csv"), "--json")
    body = json.loads(result.stdout, parse_constant=pytest.fail)
    assert body["facts"]["journeys"] == "60"


HEAD = "case,activity,timestamp,group\n"
INSTANT = "".join(f"p{i},{s},2026-01-05T08:00:00Z,{s}\n" for i in range(40) for s in "ABC")
UNREADABLE = "row 3: its end time cannot be read: 'whenever'"
ONE = "p1,a,2026-01-05T08:00:00Z,A\n"
BAD = {
    "one case": (HEAD + ONE + "p1,b,2026-01-06T08:00:00Z,B\n", 0, ""),
    "one event": (HEAD + ONE, 0, ""),
    "no groups": ("case,activity,timestamp\np1,a,2026-01-05T08:00:00Z\n", 0, "names no groups"),
    "all at one instant": (HEAD + INSTANT, 0, "bear the same time"),
    "no zone": (HEAD + "p1,a,2026-01-05 08:00:00,A\n", 0, "name no time zone"),
    "broken row": (HEAD + ONE + "p1,b,whenever,B\n", 2, UNREADABLE),
    "no case column": ("who,what\n1,2\n", 2, "no column is recognised as the case"),
    "empty": ("", 2, "the file is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_answered_in_words(name: str, tmp_path: Path) -> None:
    """Whatever the log lacks, the answer is a sentence and an exit status, never a stack trace."""
    text, status, words = BAD[name]
    path = tmp_path / "log.csv"
    path.write_text(text)
    result = run(path, "-o", tmp_path / "out.html")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    assert words in result.output + result.stderr


def test_errors_are_json_too(tmp_path: Path) -> None:
    """With --json a refusal is a document with its problems."""
    path = tmp_path / "log.csv"
    path.write_text(BAD["broken row"][0])
    result = run(path, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["problems"] == [UNREADABLE]


@pytest.mark.parametrize("option", [["--column", "nonsense"], ["--column", "colour=group"]])
def test_a_wrong_call_is_status_two(option: list[str], tmp_path: Path) -> None:
    """An option that makes no sense is refused before anything is computed."""
    path = tmp_path / "log.csv"
    path.write_text(BAD["one case"][0])
    assert run(path, *option).exit_code == 2


def test_defects_detected_late_get_their_figure_where_units_differ(chain: Chain) -> None:
    """With two clinics, of which one's journeys fail late, there is an estimate; else a reason."""
    log = chain(150)
    odd = pl.col("case").cast(pl.String).str.slice(1).cast(pl.Int64) % 2 == 1
    infuse = pl.col("activity").cast(pl.String) == "infuse"
    collect = pl.col("activity").cast(pl.String) == "collect"
    clinic = pl.when(odd).then(pl.lit("Clinic A")).otherwise(pl.lit("Clinic B"))
    first = pl.int_range(pl.len()).over("case", "activity") == 0
    for late, expected in ((infuse & odd & first, True), (infuse & first, False)):
        frame = log.frame.with_columns(
            pl.when(late).then(pl.lit("infuse")).cast(pl.Categorical).alias("detected_at"),
            pl.when(collect).then(clinic).otherwise(pl.col("giver").cast(pl.String))
            .cast(pl.Categorical).alias("giver"),
        )  # fmt: skip
        found = make_report(EventLog(frame))
        assert ("origin-latent" in [figure.key for figure in found.figures]) is expected
        notes = [note for _, _, told in found.chapters for note in told]
        assert any("no estimate" in note for note in notes) is not expected


def test_the_sepsis_log_becomes_a_page(shared: Path, tmp_path: Path) -> None:
    """The hospital log gives fourteen figures with one command."""
    path = shared / "data" / "sepsis.csv.gz"
    if not path.is_file():
        pytest.skip("the sepsis log is not here")
    result = run(path, "-o", tmp_path / "sepsis.html")
    assert result.exit_code == 0
    assert "14 figures from 1,050 journeys" in result.output


def test_ticks_are_round_and_within() -> None:
    """Ticks are multiples of 1, 2, 2.5 or 5 inside the range."""
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(3, 3) == [3]
    days = day_ticks(datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert all(at.day == 1 for at, _ in days) and 3 <= len(days) <= 7


def test_text_is_escaped() -> None:
    """What is written on a canvas is text."""
    canvas = Canvas(10, 10, "a & b")
    canvas.text(0, 0, "<b>")
    assert "&lt;b&gt;" in str(canvas) and "a &amp; b" in str(canvas)


def test_numbers_are_short() -> None:
    """Three significant digits at most, and a dash for what is none."""
    assert [number(v) for v in (12345.6, 12.34, 0.5, float("nan"))] == [
        "12,346",
        "12.3",
        "0.50",
        "–",
    ]


@pytest.mark.parametrize("language", ["sv", "es"])
def test_the_report_is_said_in_ones_language(language: str, tmp_path: Path) -> None:
    """Page and JSON: sentences and the page's own words; names of fields and values stay."""
    path = tmp_path / "whole.csv"
    path.write_text("\n".join(whole_log()))
    done = CliRunner().invoke(insight, [str(path), "--language", language, "--json"])
    assert done.exit_code == 0, done.output
    chapters = json.loads(done.output)["chapters"]
    texts = [note for chapter in chapters for note in chapter["notes"]]
    for chapter in chapters:
        for figure in chapter["figures"]:
            texts += [figure["title"], figure["sentence"], figure["basis"]]
    english = re.compile(r"\b(the|of|and|was|were|which|is|cannot)\b")
    assert len(texts) > 40 and [text for text in texts if english.search(text)] == []
    page = tmp_path / "page.html"
    done = CliRunner().invoke(insight, [str(path), "--language", language, "-o", str(page)])
    assert done.exit_code == 0, done.output
    html = page.read_text()
    assert f'<html lang="{language}">' in html
    for word in ("What the record teaches", "Picture (SVG)", "Shares of the variation", "rows"):
        assert word not in html.split("<body>")[1].split("data:text/csv")[0], word


def test_an_activity_can_be_left_out(tmp_path: Path) -> None:
    """What stood around it stands together; the page says how many events; a wrong name is told."""
    path = tmp_path / "log.csv"
    rows = ["case,activity,timestamp,group"]
    for n in range(1, 21):
        rows += [
            f"c{n},collect,2026-01-{n:02d}T08:00:00Z,clinic",
            f"c{n},call,2026-01-{n:02d}T09:00:00Z,office",
            f"c{n},make,2026-01-{n:02d}T10:00:00Z,plant",
        ]
    path.write_text("\n".join(rows))
    done = run(path, "--json", "--without", "call")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["facts"]["handoffs"] == "20" and report["facts"]["steps"] == "40"
    assert "call: 20 events left out, as asked." in report["notes"]
    pairs = [r["interface"] for c in report["chapters"] for f in c["figures"] if f["key"] ==
             "interfaces" for r in f["rows"]]  # fmt: skip
    assert pairs == ["clinic → plant"]
    wrong = run(path, "--without", "kall")
    assert wrong.exit_code == 2 and "no activity 'kall'" in wrong.output


def test_what_comes_long_after_is_said_before_everything_else(shared: Path) -> None:
    """The patients' return months later bears on every chapter: first note, and only once."""
    whole = read_log(shared / "data" / "sepsis.csv.gz")
    shorter = read_log(shared / "data" / "sepsis.csv.gz", reading=Reading(without=("Return ER",)))
    assert remarks(whole) and not remarks(shorter)
    some = whole.frame["case"].cast(pl.String).unique(maintain_order=True).head(300)
    log = replace(whole, frame=whole.frame.filter(pl.col("case").is_in(some.implode())))
    report = make_report(log)
    assert report.log_notes[:1] == tuple(remarks(log)) and "Return ER" in report.log_notes[0]
    assert not any(report.log_notes[0] in notes for _, _, notes in report.chapters)
    assert "The largest part of its time is" in report.headlines[0][1]
