"""The PDF reports of contracts, capital and settlement say everything in the reader's language."""

from __future__ import annotations

import re

import pytest

from stafett.design.capital.map import Spot
from stafett.design.capital.reading import load as load_capital
from stafett.design.estimate import Estimate
from stafett.design.incentives.reading import load as load_game
from stafett.design.incentives.statement import Contribution, Line, Statement
from stafett.design.incentives.workbench import assess, bounds
from stafett.service import incentives_report as report
from stafett.service.incentives import Workbench
from stafett.service.settlement import Counted, Settlement, Settling
from stafett.web.design_sayings import Sayings

ADDRESS = re.compile(r"https?://[^\s\"]+")
WORDS = re.compile(r"\b(the|of|which|what|each|journeys?|with|left|range|between|who|at)\b", re.I)


def judge(text: str, language: str) -> None:
    """Figures, notes and titles of sources too are in the report's language; addresses are none."""
    found = WORDS.search(ADDRESS.sub("", text))
    assert (found is not None) == (language == "en"), found


def settlement() -> str:
    """Write the statement of an organisation."""
    found = Settlement(
        counted=Counted(40, 36, 3, 2), interfaces=(Contribution("H10", 40, 2, 1.5),),
        targets={"H10": 0.975}, organisations=5,
        statement=Statement("nuh", (Line("fixed, each", 40, 12.5), Line("success", 36, -3.25),
                                    Line("bond", 2, 1.0, "H10"))),
    )  # fmt: skip
    return report.settlement_source(found, WISH, "Norra", Sayings(LANGUAGE))


WISH = Settling("nuh", 4711, 500.0, "bond", 0.25)
LANGUAGE = "sv"
NAMES = ("today", "penalties")


def test_a_settlement_is_said_in_swedish_with_its_numbers() -> None:
    """Headings, lines, assumptions; decimal commas; nothing English is left."""
    text = settlement()
    for said in (
        "97,5\u00a0%",
        "+10,2",
        "25\u00a0%",
        "tusen US-dollar",
        "Norra",
        "4711",
        'lang: "sv"',
    ):
        assert said in text, said
    assert not WORDS.search(text), WORDS.search(text)


@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_a_capital_map_names_systems_and_investments(language: str) -> None:
    """As the page does; every published figure stands in it with its source, and it compiles."""
    catalogue = load_capital()
    spots = [
        Spot("sweden", name, one.title, Estimate(1.5, 1.0, 2.0), Estimate(0.25, 0.2, 0.3))
        for name, one in catalogue.categories.items()
    ]
    say = Sayings(language)
    text = report.map_source(spots, say, "today", 0.4, 0.0)
    for name in catalogue.categories:
        assert say.t(f"incentives.investment.{name}") in text
    for name, source in catalogue.sources.items():
        assert f'"{name}"' in text and (source.url or "") in text
    judge(text, language)
    assert (language == "en") == (
        "thousand US dollars for each journey" in text or "Capital map" in text
    )
    assert report.map_report(spots, say, "today", 0.4, 0.0).startswith(b"%PDF")


@pytest.fixture(scope="module")
def bench() -> Workbench:
    """Return the built-in game under two of its contracts."""
    table = load_game()
    ends = bounds(table.game)
    found = {n: assess(table.contracts[n], table.game, ends) for n in NAMES}
    return Workbench(table, ends, found)


@pytest.mark.parametrize("language", ["en", "es"])
def test_contracts_are_compared_by_name_with_what_to_beware_of(
    bench: Workbench, language: str
) -> None:
    """Each contract with its figures; figures of the game with ranges or sources."""
    say = Sayings(language)
    text = report.contracts_source(bench, say)
    for name in NAMES:
        assert text.count(say.t(f"incentives.contract.{name}")) >= 2
    loses = bench.findings["penalties"].warnings
    assert loses and say.t(f"incentives.actor.{loses[0].values['who']}") in text
    judge(text, language)
    assert report.contracts_report(bench, say).startswith(b"%PDF")
