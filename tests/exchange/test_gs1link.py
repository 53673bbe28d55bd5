from __future__ import annotations

import doctest
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.exchange import cbv, gs1link, gs1urn, units

LINK = "https://id.gs1.org"


@pytest.mark.parametrize("module", [cbv, gs1link, gs1urn, units])
def test_examples_in_docstrings_hold(module: object) -> None:
    """Every example printed in the module's documentation is what the code answers."""
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_every_published_urn_has_its_published_link(shared: Path) -> None:
    """The 66 URN and Digital Link pairs agree, and a canonical link is its own canonical form."""
    pairs = json.loads((shared / "standards/celltherapy/gs1_uris.json").read_text())
    assert len(pairs) == 66
    for pair in pairs:
        assert gs1link.canonical(pair["urn"]) == pair["digital_link"]
        assert gs1link.canonical(pair["digital_link"]) == pair["digital_link"]


def test_short_names_other_domains_and_queries_are_one_identifier() -> None:
    """A link in another domain, with short key names or a query string, is the same identifier."""
    assert gs1link.canonical("https://example.com/gtin/9780345418913/ser/765tz?abc=1") == (
        f"{LINK}/01/09780345418913/21/765tz"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "urn:uuid:4ef8aa38-9227-4658-9e27-a1c08a6a63ec",
        "urn:epc:id:sgtin:123",  # too few parts
        "urn:epc:id:sscc:9529003.12",  # wrong width
        "urn:epc:id:sgtin:95290a4.067890.X",  # letters in the company prefix
        "https://ns.example.org/01/notdigits",
        "https://example.org/gtin/09780345418913/unknown/1",  # a qualifier nobody defined
        "geo:47.5,11.1",
        "",
    ],
)
def test_what_is_no_gs1_identifier_stays_as_it_is(uri: str) -> None:
    """Other URIs and malformed URNs come back unchanged: nothing is guessed."""
    assert gs1link.canonical(uri) == uri


@given(
    company=st.integers(10**6, 10**7 - 1),
    item=st.integers(10**5, 10**6 - 1),
    serial=st.from_regex(r"[A-Za-z0-9\-]{1,20}", fullmatch=True),
)
def test_urn_to_link_and_back_is_the_identity(company: int, item: int, serial: str) -> None:
    """With the length of the company prefix known, a URN survives the way to a link and back."""
    for urn in (
        f"urn:epc:id:sgtin:{company}.{item}.{serial}",
        f"urn:epc:class:lgtin:{company}.{item}.{serial}",
        f"urn:epc:id:sscc:{company}.{item}1234",
        f"urn:epc:id:sgln:{company}.{str(item)[:5]}.{serial}",
        f"urn:epc:id:pgln:{company}.{str(item)[:5]}",
        f"urn:epc:id:giai:{company}.{serial}",
    ):
        link = gs1link.canonical(urn)
        assert link.startswith(LINK)
        assert gs1urn.to_urn(link, 7) == urn


def test_every_published_link_has_its_published_urn(shared: Path) -> None:
    """All schemes go the way back, once one URN has told how long the company prefix is."""
    for pair in json.loads((shared / "standards/celltherapy/gs1_uris.json").read_text()):
        known = gs1urn.prefixes_in(pair["urn"].encode())
        assert gs1urn.urn_of(pair["digital_link"], known) == pair["urn"]


@pytest.mark.parametrize(
    "urn",
    [
        "urn:epc:id:sgtin:9529004.067890.A%2FB%26C!(1)",  # what TDS escapes stays escaped
        "urn:epc:idpat:sgtin:9529004.067890.*",
        "urn:epc:idpat:grai:9529004.00001.*",
        "urn:epc:id:grai:9529004.00001.S1",
        "urn:epc:id:gdti:9529004.00002.77",
        "urn:epc:id:sgcn:9529004.00002.77",
        "urn:epc:id:cpi:9529004.AB.77",
        "urn:epc:id:ginc:9529004.xyz47",
        "urn:epc:id:gsin:9529004.000000001",
        "urn:epc:id:itip:9529004.067890.04.04.32a",
        "urn:epc:id:upui:9529004.067890.51",
        "urn:epc:id:gsrnp:9529004.0000000012",
    ],
)
def test_each_scheme_goes_to_a_link_and_back(urn: str) -> None:
    """A URN of any scheme is the same after the way to a link and back."""
    link = gs1link.canonical(urn)
    assert link != urn
    assert gs1urn.urn_of(link, {"9529004"}) == urn


@pytest.mark.parametrize(
    ("link", "known"),
    [
        (f"{LINK}/00/095290030037165080", ()),  # nobody said how long
        (f"{LINK}/00/095290030037165080", ("952900", "9529003")),  # two say it
        (f"{LINK}/00/095290030037165081", ("9529003",)),  # wrong check digit: it would be lost
        (f"{LINK}/01/09529004678905/10/L1/21/S1", ("9529004",)),  # a lot beside a serial
        (f"{LINK}/8018/952900400000000014/8019/7", ("9529004",)),
    ],
)
def test_a_link_with_no_one_urn_is_refused(link: str, known: tuple[str, ...]) -> None:
    """Nothing is guessed and nothing left out."""
    with pytest.raises(gs1urn.Untold):
        gs1urn.urn_of(link, known)


def test_what_is_settled_must_be_company_prefixes() -> None:
    """A list with blanks is read; what is no prefix is named."""
    assert gs1urn.settled(" 9529004, 735000,") == {"9529004", "735000"}
    with pytest.raises(ValueError, match="95290"):
        gs1urn.settled("95290")


def test_a_pattern_matches_its_items_and_no_others() -> None:
    """`idpat` with a star for the serial matches one GTIN; for the item, one company."""
    item = gs1link.canonical("urn:epc:id:sgtin:9529004.067890.DP7000A")
    other = gs1link.canonical("urn:epc:id:sgtin:9529004.067891.DP7000A")
    foreign = gs1link.canonical("urn:epc:id:sgtin:9529005.067890.DP7000A")
    by_item = gs1link.pattern("urn:epc:idpat:sgtin:9529004.067890.*")
    by_company = gs1link.pattern("urn:epc:idpat:sgtin:9529004.*.*")
    assert by_item is not None and by_company is not None
    assert by_item.fullmatch(item) and not by_item.fullmatch(other)
    assert by_company.fullmatch(item) and by_company.fullmatch(other)
    assert not by_company.fullmatch(foreign)
    assert gs1link.pattern("urn:epc:id:sgtin:9529004.067890.DP7000A") is None


@pytest.mark.parametrize(
    ("kind", "word", "urn"),
    [
        ("bizStep", "shipping", "urn:epcglobal:cbv:bizstep:shipping"),
        ("disposition", "in_transit", "urn:epcglobal:cbv:disp:in_transit"),
        ("bizTransaction", "po", "urn:epcglobal:cbv:btt:po"),
    ],
)
def test_a_word_has_one_meaning_in_each_spelling(kind: str, word: str, urn: str) -> None:
    """Bare word, Web URI and URN of the vocabulary normalise to the same Web URI and back."""
    web = cbv.web_uri(kind, word)
    assert cbv.web_uri(kind, urn) == web == cbv.web_uri(kind, web)
    assert cbv.bare_word(kind, urn) == word


def test_units_of_one_dimension_compare_and_unknown_ones_do_not_convert() -> None:
    """Celsius, Fahrenheit and kelvin meet in kelvin; an unknown unit stays itself."""
    assert units.base(-150, "CEL") == (123.15, "KEL")
    assert units.base(1500, "MLT") == (1.5, "LTR")
    assert units.base(3.0, "XYZ") == (3.0, "XYZ")
