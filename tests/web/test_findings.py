"""Findings in the reader's language: every sentence of the chapters, with the same values."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import polars as pl
import pytest

from outcome_log import whole_log
from stafett.eventlog import read_log
from stafett.insight.chapters import OUTCOMES
from stafett.insight.hours import WorkingHours
from stafett.insight.layers import Factor, NotIdentifiableError, design, fit
from stafett.insight.registered import Trial
from stafett.insight.report.assemble import CHAPTERS, Options
from stafett.insight.report.layer_figures import layer_figures
from stafett.insight.trials import interrupted, wedge
from stafett.insight.trials.series import SeriesError
from stafett.service.demo_learning import EXPECTED, INTERFACE, SITES, made_up, start
from stafett.web.findings import in_language, picture, said

MONDAY = datetime(2025, 11, 24, tzinfo=UTC)
LANGUAGES = ("sv", "es")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Return every text that the chapters say of the demo's log, and their pictures."""
    path = tmp_path_factory.mktemp("log") / "log.csv"
    path.write_bytes(made_up(MONDAY))
    log = read_log(path)
    starts = {name: start(MONDAY, n).date() for n, name in enumerate(SITES)}
    trial = Trial("a" * 32, MONDAY, "ada", "hospital", (), "log:x", INTERFACE, "papers first",
                  "dwell", EXPECTED, starts)  # fmt: skip
    found, drawn = [], []
    for make in CHAPTERS.values():
        figures, notes = make(log, Options(trials=(trial,)))
        found += notes
        for figure in figures:
            if not figure.key.startswith("trial-"):  # its title is its people's own words
                found.append(figure.title)
            found += [figure.sentence, figure.basis, figure.headline]
            drawn.append(figure.svg)
    return [text for text in found if text], drawn


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Return what the layers say of each outcome, of a log that holds all and of one without."""
    folder = tmp_path_factory.mktemp("outcomes")
    (folder / "whole.csv").write_text("\n".join(whole_log(60)))
    (folder / "poor.csv").write_bytes(made_up(MONDAY))
    found, drawn = [], []
    for name in ("whole.csv", "poor.csv"):
        for outcome in OUTCOMES:
            figures, notes = layer_figures(read_log(folder / name), WorkingHours(), outcome)
            found += notes
            for figure in figures:
                found += [figure.title, figure.sentence, figure.basis, figure.headline]
                found += [column.replace("_", " ") for column in figure.table.columns]
                drawn.append(figure.svg)
    return [text for text in found if text], drawn


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_layers_of_each_outcome_are_said(
    layers: tuple[list[str], list[str]], language: str
) -> None:
    """Every sentence, note, title and column; of the pictures, every word but their sources."""
    assert [text for text in layers[0] if in_language(text, language) is None] == []
    english = re.compile(r"\b(the|of|and|was|were|which|it|is|differs|not)\b")
    again = [in_language(text, language) or "" for text in layers[0]]
    assert [text for text in again if english.search(text)] == []
    for svg in layers[1]:
        assert "Shares of the variation" not in picture(svg, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_every_chapter_is_said(
    texts: tuple[list[str], list[str]], language: str
) -> None:
    """None is left English: whoever words a finding anew adds it to findings.yaml."""
    assert len(texts[0]) > 60
    assert [text for text in texts[0] if in_language(text, language) is None] == []
    again = [in_language(text, language) or "" for text in texts[0]]
    english = re.compile(r"\b(the|of|and|was|were|which|it|is)\b")
    assert [text for text in again if english.search(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_pictures_are_said_too(texts: tuple[list[str], list[str]], language: str) -> None:
    """Their axes; names of the log stay as they are."""
    for svg in texts[1]:
        assert " 95 % interval<" not in picture(svg, language)
        assert picture(svg, "en") == svg


def refusal(rows: pl.DataFrame) -> str:
    """Return why a stepped wedge cannot be judged from `rows`."""
    with pytest.raises(NotIdentifiableError) as refused:
        wedge(rows)
    return str(refused.value)


def refusals() -> list[str]:
    """Return what the trials' methods say of data from which nothing can be told."""
    rows = pl.DataFrame(
        [
            {"site": f"s{s}", "period": f"p{p}", "changed": int(p > s), "outcome": float(s * p + k)}
            for s in range(4) for p in range(5) for k in range(2)
        ]
    )  # fmt: skip
    found = [
        refusal(rows.filter(pl.col("site") < "s2")),
        refusal(rows.with_columns(changed=pl.lit(0))),
        refusal(rows.with_columns(outcome=pl.lit(1.0))),
        refusal(rows.with_columns(outcome=pl.lit(None, pl.Float64))),
        refusal(rows.with_columns(outcome=pl.col("changed").cast(float))),
    ]
    for values in ([1.0] * 20, [float("nan")] * 20, [1.0] * 9):
        with pytest.raises(SeriesError) as refused:
            interrupted(values, len(values) // 2 + 3)
        found.append(str(refused.value))
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_why_a_trial_cannot_be_judged_is_said(language: str) -> None:
    """Each reason, as the page words it, has its sentence in the language."""
    for why in refusals():
        text = f"papers first (H08): cannot be judged yet: {why}."
        again = in_language(text, language)
        assert again is not None, text
        assert why not in again


@pytest.mark.parametrize("language", LANGUAGES)
def test_why_there_are_no_layers_is_said(language: str) -> None:
    """Rows that are alike on each level: the refusal, as the page words it."""
    frame = pl.DataFrame(
        {"site": [f"s{i // 6}" for i in range(48)], "y": [float((i // 6) ** 2) for i in range(48)]}
    )
    with pytest.raises(NotIdentifiableError) as refused:
        fit(design(frame, "y", [Factor("site", "institutional")]))
    again = in_language(f"Layers: {refused.value}", language)
    assert again is not None and "outcome" not in again


def test_values_stay_and_are_written_as_the_language_writes_them() -> None:
    """Thousands, decimals, per cent and days; a name with a full stop in it is no end."""
    text = (
        "1,234 of 5,678 journeys were late; 36% of that began before the point where it was seen."
        " Most hours of lateness began at St. Olav (1,050 h)."
    )
    assert in_language(text, "sv") == (
        "1\u00a0234 av 5\u00a0678 resor var försenade; 36\u00a0% av det började före den punkt där"
        " det syntes. Flest försenade timmar började vid St. Olav (1\u00a0050 h)."
    )
    basis = "n = 2,025 handoffs, 16 Jan 2026 – 4 Jan 2027"
    assert in_language(basis, "es") == "n = 2\u00a0025 traspasos, 16 ene 2026 – 4 ene 2027"
    assert in_language("0.25", "sv") == "0,25" and in_language("0.25", "en") == "0.25"


def test_what_is_not_known_stays_english_and_says_so() -> None:
    """Marked for readers of screens, and never taken for markup."""
    assert said("Something <new> was found.", "sv") == (
        '<span lang="en">Something &lt;new&gt; was found.</span>'
    )
    assert said("Something <new> was found.", "en") == "Something &lt;new&gt; was found."
