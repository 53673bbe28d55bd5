"""The words that travel with a page: all that its scripts say, and nothing of other pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stafett.web import spoken
from stafett.web.language import words

WEB = Path(__file__).resolve().parents[2] / "src" / "stafett" / "web"
SAID = re.compile(r'\bt\(\s*"([\w.-]+)"\s*[,)]')
TEMPLATES = sorted(p for p in WEB.glob("templates/*.html") if 'type="module"' in p.read_text())


def sent(template: str, language: str = "en") -> dict[str, str]:
    """Return the words that go with a page."""
    markup = (WEB / "templates" / template).read_text()
    return dict(json.loads(str(spoken.words(markup, language))))


@pytest.mark.parametrize("template", [p.name for p in TEMPLATES])
def test_every_message_that_a_pages_scripts_name_goes_with_it(template: str) -> None:
    """Also those of the modules that are loaded only when a person asks for them."""
    tags = re.findall(r"/static/([\w-]+\.js)", (WEB / "templates" / template).read_text())
    named = {
        key
        for module in spoken.reached(frozenset(tags))
        for key in SAID.findall((WEB / "static" / module).read_text())
    }
    assert named <= set(sent(template))


def test_a_key_that_is_put_together_brings_every_message_it_may_become() -> None:
    """`t(`field.${id}`)` may name any field of a document, `stop.${code}` any reason to stop."""
    found = set(sent("station.html"))
    for head in ("field.", "field-choice.", "stop.", "station.result."):
        assert {key for key in words("en") if key.startswith(head)} <= found


def test_the_singular_goes_with_its_plural() -> None:
    """A script that counts asks for one key and may get either."""
    found = sent("board.html", "sv")
    assert found["held.count.one"] == words("sv")["held.count.one"]


def test_nothing_goes_with_a_page_that_its_scripts_never_say() -> None:
    """The page of a journey needs few of some thousand messages, and none of the registry's."""
    found = sent("journey.html")
    assert "journey.new-value" in found and len(found) < 80
    assert not any(key.startswith(("registry.", "design.", "record.")) for key in found)
