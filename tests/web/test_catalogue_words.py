"""The built-in catalogue is said in every language: its owners, sites, notes and sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from english_ import FUNCTION
from stafett.design.activities import order
from stafett.design.assumptions import numbers
from stafett.design.capital.reading import load as load_capital
from stafett.design.edit import NOTES
from stafett.design.incentives.reading import assumptions
from stafett.design.incentives.reading import load as load_game
from stafett.design.network import Network, Number
from stafett.design.reading import load, names
from stafett.registry import builtin
from stafett.service.demo import TITLE
from stafett.service.demo_capacity import RESOURCES
from stafett.service.incentives_words import called, price
from stafett.web import catalogue_words
from stafett.web.design_sayings import Sayings
from stafett.web.language import translator, words

# Names of hospitals, of regions that are called so in every language, and of works as they were
# published: nobody translates them.
NAMES = {
    "Region Stockholm", "Region Västra Götaland", "Västra Götalandsregionen", "Region Skåne",
    "Region Uppsala", "Region Östergötland", "Region Västerbotten", "National Health Service",
    "Karolinska Huddinge", "Sahlgrenska", "Akademiska, Uppsala", "Linköping",
    "Hospital Clínic, Barcelona", "Sant Pau, Barcelona", "Vall d’Hebron, Barcelona",
    "Clínica Universidad de Navarra", "Salamanca", "La Fe, Valencia",
    "Virgen de la Arrixaca, Murcia", "Virgen del Rocío, Sevilla", "Gregorio Marañón, Madrid",
    "12 de Octubre, Madrid", "Valdecilla, Santander", "Santiago de Compostela",
    "Doctor Negrín, Las Palmas", "University College London", "King’s College",
    "The Christie, Manchester", "Queen Elizabeth, Birmingham", "Bristol", "Freeman, Newcastle",
    "Leeds", "Addenbrooke’s, Cambridge", "Churchill, Oxford", "Southampton",
    "Hallamshire, Sheffield",
    "Informe Anual Terapias Avanzadas 2025 (notimerica, medicinaresponsable)",
}  # fmt: skip


def noted(figures: Iterator[tuple[object, Number]]) -> set[str]:
    """Return the notes of figures."""
    return {n.note for _, n in figures if n.note}


def of_network(n: Network) -> set[str]:
    """Return every text of a network that a page shows."""
    titled = (n.organisations, n.centres, n.pools, n.supplies, n.sources)
    titles = {one.title for kind in titled for one in kind.values()}
    return {n.summary, *n.owners.values(), *titles} | noted(iter(numbers(n)))


def texts() -> set[str]:
    """Return every text of the catalogue that a page shows."""
    found: set[str] = set()
    for name in names():
        found |= of_network(load(name).network)
    game, capital = load_game().spec, load_capital()
    found |= noted(assumptions(game)) | {s.title for s in game.sources.values()}
    for figure in capital.published.values():
        found |= {figure.title, figure.unit}
    found |= {s.title for s in capital.sources.values()}
    prices = {k: c.price for k, c in capital.categories.items()}
    for asked in builtin.requirement_lists():
        for one in asked.requirements:
            found |= {one.title, *one.choices} | ({one.unit} if one.unit == "people" else set())
    for known in builtin.assessments("sweden"):
        told = {known.product, known.indication, known.question, known.reasons, *known.conditions}
        found |= told - {"Kymriah (tisagenlecleucel)"}
        found |= {source for source in known.sources if not source.startswith("https://")}
    found |= {source for one in builtin.sites("sweden") for source in one.sources}
    found |= {TITLE, *NOTES, *(title for _, _, _, title, *_ in RESOURCES)}
    return found | noted(iter({**prices, **capital.split}.items()))


def test_every_text_of_the_catalogue_is_said_in_every_language() -> None:
    """Whoever adds an owner, a site, a note or a source says it thrice, or shows it is a name."""
    found = texts()
    assert len(found) > 180
    assert sorted(x for x in found if not catalogue_words.knows(x) and x not in NAMES) == []
    assert NAMES - found == set(), "a name that the catalogue has no longer"


def test_no_text_is_said_that_the_catalogue_no_longer_has() -> None:
    """A wording that changed in a file changes in the words files too."""
    said = {v for k, v in words("en").items() if k.startswith("catalogue.")}
    assert sorted(said - texts()) == []


@pytest.mark.parametrize("language", ["sv", "es"])
def test_what_is_said_is_not_english(language: str) -> None:
    """No translation of a text of the catalogue has an English function word in it."""
    for text in texts() - NAMES:
        said = catalogue_words.said(text, language)
        assert not FUNCTION.search(said.replace("Cell and Gene", "")), said


@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_every_figure_of_the_game_and_of_capital_is_called_something(language: str) -> None:
    """No figure is shown by its path in the file: each name is made of messages that exist."""
    t = translator(language)
    called_ = [called(path, t) for path, _ in assumptions(load_game().spec)]
    called_ += [price(name, t) for name in load_capital().categories]
    called_ += [t(f"incentives.split.{k}") for k in load_capital().split]
    assert [x for x in called_ if "incentives." in x or "{" in x] == []
    assert len(set(called_)) == len(called_)


@pytest.mark.parametrize(
    ("language", "rooms"),
    [("sv", "Renrum på Hospital Clínic"), ("es", "Salas limpias del Hospital")],
)
def test_the_lanes_are_drawn_in_the_readers_language(language: str, rooms: str) -> None:
    """Whose lane it is and who owns it are said before they are cut to fit."""
    system = load("spain")
    drawn = Sayings(language).lanes(system, order(system.protocol))
    assert rooms in drawn
    assert "Clean rooms" not in drawn and "Catalonia" not in drawn


def test_somebodys_own_words_stay_as_they_are() -> None:
    """A text that is no text of the catalogue is shown as it was written."""
    assert catalogue_words.said("Our own ward", "sv") == "Our own ward"
    assert catalogue_words.said("Manufacturer", "en") == "Manufacturer"
    assert catalogue_words.said("Academic centre 2", "sv") == "Akademiskt centrum 2"
