"""Three languages, each complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stafett.journey import event
from stafett.protocol.read import read
from stafett.web.language import translator

WEB = Path(__file__).resolve().parents[2] / "src" / "stafett" / "web"
PROTOCOLS = sorted((WEB.parent / "catalogue" / "protocols").glob("*.yaml"))


def words(language: str) -> dict[str, str]:
    """Return a language's own messages, from every area; none is said in two areas."""
    found: dict[str, str] = {}
    for area in sorted((WEB / "languages" / language).glob("*.yaml")):
        own = yaml.safe_load(area.read_text())
        assert not set(own) & set(found), f"{area.name} says again what another area says"
        found |= own
    return found


@pytest.mark.parametrize("language", ["sv", "es"])
def test_every_message_is_translated_with_the_same_places(language: str) -> None:
    """Each English message has its own in the language, with the same {places} in it."""
    english, other = words("en"), words(language)
    assert set(english) == set(other)
    for key, message in english.items():
        places = set(re.findall(r"{\w+}", message))
        assert set(re.findall(r"{\w+}", other[key])) == places, key


@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_of_one_thing_the_singular_is_said(language: str) -> None:
    """A count of one never stands before a plural where the language has another word for one."""
    t, english = translator(language), words("en")
    singular = [key.removesuffix(".one") for key in english if key.endswith(".one")]
    counted = [key for key in singular if "{n}" in english.get(key, "")]
    assert len(counted) > 20
    for key in counted:
        assert t(key, n=1) == t(f"{key}.one") != f"{key}.one", key
        assert t(key, n=2) != t(key, n=1) and "2" in t(key, n=2), key


def test_no_page_uses_a_message_that_does_not_exist() -> None:
    """Every key that a template or a script asks for is in the English file."""
    english = words("en")
    for path in (*WEB.glob("templates/*.html"), *WEB.glob("static/*.js")):
        for key in re.findall(r"""\bt\(\s*["']([a-z.A-Z_-]+)["']\s*[,)]""", path.read_text()):
            assert key in english, f"{path.name}: {key}"


@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_every_kind_of_event_has_words(language: str) -> None:
    """The record of a journey is read in words, not in the names of types."""
    kinds = {f"event.{kind.__name__}" for kind in event.Base.__subclasses__()}
    assert len(kinds) > 40
    assert {key for key in words(language) if key.startswith("event.")} == kinds


@pytest.mark.parametrize("file", PROTOCOLS, ids=lambda file: file.stem)
def test_every_field_of_the_built_in_documents_has_words(file: Path) -> None:
    """A station asks for each in the reader's language: whoever adds a field names it."""
    found = set()
    document = read(file)
    for product in document.products or (None,):
        for paper in document.bind(product).documents.values():
            fields = paper.fields if isinstance(paper.fields, dict) else {}
            found |= {f"field.{name}" for name in paper.fields}
            found |= {f"field-choice.{c}" for field in fields.values() for c in field.choices}
    assert found
    assert sorted(found - set(words("en"))) == []
