from __future__ import annotations

import doctest
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.exchange import cbv, gs1link, units

LINK = "https://id.gs1.org"


@pytest.mark.parametrize("module", [cbv, gs1link, units])
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
        back = gs1link.to_urn(link, 7)
        assert gs1link.canonical(back) == link


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
