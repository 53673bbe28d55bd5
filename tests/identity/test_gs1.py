"""GS1 keys in all their spellings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.identity import gs1
from stafett.identity.check import gs1_check_digit
from stafett.identity.errors import IdentifierError, Reason


@pytest.mark.parametrize(
    "key", ["09506000134352", "106141412345678908", "9506000134307", "735000012345000011"]
)
def test_published_check_digits(key: str) -> None:
    """GTIN, SSCC, GLN and GSRN examples have their check digit."""
    assert gs1_check_digit(key[:-1]) == key[-1]


def test_shared_uris_both_ways(shared: Path) -> None:
    """Each EPC URN gives its canonical Digital Link, and the link gives the URN back."""
    rows = json.loads((shared / "standards/celltherapy/gs1_uris.json").read_text())
    assert len(rows) == 66
    for row in rows:
        urn, link = row["urn"], row["digital_link"]
        assert gs1.parse_urn(urn).digital_link() == link
        company = len(urn.split(":")[4].split(".")[0])
        assert gs1.to_urn(gs1.parse_link(link), company) == urn


def test_element_string_with_separators() -> None:
    """A lot of free length ends at GS; fixed lengths need none."""
    value = gs1.parse("0109506000134352172512311012A\x1d21XYZ")
    assert value.key_name == "GTIN"
    assert [value.value(ai) for ai in ("17", "10", "21", "11")] == ["251231", "12A", "XYZ", None]
    assert value.text == "(01)09506000134352(10)12A(17)251231(21)XYZ"
    assert gs1.parse(value.wire()) == value == gs1.parse(value.text)


@pytest.mark.parametrize(
    "text",
    [
        "(00)106141412345678908(4331)000200-",
        "(414)9506000134307(254)WARD7",
        "(8003)09529141707049F48GL91Z",
        "(8004)9529141F48GL91Z",
        "(8018)735000012345000011(8019)0000000001",
        "(8017)735000012345000011",
        "(01)09506000134352(7003)2512311530(7240)CART-19(7242)3",
        "(01)09506000134352(4324)2512311530(4325)2512311630(8030)abc",
    ],
)
def test_the_keys_in_use_read_back(text: str) -> None:
    """Each key of the project with its attributes reads back from bracket, wire and link form."""
    value = gs1.parse(text)
    assert gs1.parse(value.wire()) == value
    assert gs1.parse_link(value.digital_link()) == value


@pytest.mark.parametrize(
    "text",
    ["(01)09506000134352", "(00)106141412345678908", "(414)9506000134307",
     "(8018)735000012345000011", "(8003)09529141707049X"],
)  # fmt: skip
def test_every_wrong_digit_is_refused(text: str) -> None:
    """Every single substitution of a digit of a checked key is refused."""
    start = text.index(")") + 1
    digits = text[start:].removesuffix("X")
    first = 1 if text.startswith("(8003)") else 0
    for place in range(first, len(digits)):
        for wrong in "0123456789":
            if wrong != digits[place]:
                mangled = text[:start] + digits[:place] + wrong + text[start + place + 1 :]
                with pytest.raises(IdentifierError) as refusal:
                    gs1.parse(mangled)
                assert refusal.value.reason is Reason.CHECK
                assert refusal.value.expected


@pytest.mark.parametrize(
    "text",
    ["(10)LOT1", "(8017)735000012345000011(8018)735000012345000011", "(8019)1",
     "(01)09506000134352(4331)000200", "(01)0950600013435", "(999)1", "(01)", "()", "(01",
     "(01)09506000134352(10)A(10)B", "0109506000134352 "],
)  # fmt: skip
def test_impossible_combinations_are_refused(text: str) -> None:
    """Attributes without a key, keys that exclude each other and malformed values are refused."""
    with pytest.raises(IdentifierError):
        gs1.parse(text)


@pytest.mark.parametrize(
    "urn",
    ["urn:epc:id:sgtin:9529141.777631", "urn:epc:id:sscc:9529141.74068124150",
     "urn:epc:id:nonsense:9529141.1.2", "urn:epc:id:sgtin:x.1.2", "urn:epc:id:gsrn:9529141.1.2",
     "urn:epc:id:pgln:9529141.86834.1", "urn:uuid:1"],
)  # fmt: skip
def test_malformed_urns_are_refused(urn: str) -> None:
    """A wrong scheme, length or number of parts is refused."""
    with pytest.raises(IdentifierError):
        gs1.parse_urn(urn)


@pytest.mark.parametrize(
    "link",
    ["https://id.gs1.org", "https://id.gs1.org/01", "ftp://id.gs1.org/01/09506000134352",
     "https://id.gs1.org/01/09506000134353", "https://[/01/1", "https://x/10/A"],
)  # fmt: skip
def test_malformed_links_are_refused(link: str) -> None:
    """A link without a key, with a wrong digit or of another scheme is refused."""
    with pytest.raises(IdentifierError):
        gs1.parse_link(link)


def test_link_of_any_host_is_the_same_key() -> None:
    """A link of a company's own resolver names the same thing."""
    a = gs1.parse_link("https://id.gs1.org/01/09506000134352/21/X%2F1?17=251231")
    b = gs1.parse_link("https://brand.example/some/path/01/09506000134352/21/X%2F1?linkType=all")
    assert a.identity == b.identity == "(01)09506000134352(21)X/1"
    assert a != b


def test_a_key_without_serial_has_no_urn() -> None:
    """A GTIN alone names a class of things; no instance URN is invented."""
    for text in ("(01)09506000134352", "(8003)09529141707049"):
        with pytest.raises(IdentifierError):
            gs1.to_urn(gs1.parse(text), 7)


@given(st.text(max_size=40), st.sampled_from(["", "01", "(01)", "8004", "https://x/01/"]))
def test_garbage_never_crashes(text: str, start: str) -> None:
    """Any text gives a value or the room's own error, in each reader."""
    for reader in (gs1.parse, gs1.parse_link, gs1.parse_urn):
        try:
            assert reader(start + text).elements
        except IdentifierError as error:
            assert error.todo
