"""No words in a template or a script: they stand in the words files, in every language.

Cheap: only the source is read, so it also sees what no test opens. What the pages say when they
are open is held by `test_no_english.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import stafett
from english_ import FUNCTION

WEB = Path(stafett.__file__).parent / "web"
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
SCRIPTS = sorted(f for f in (WEB / "static").glob("*.js") if f.name != "proof.js")
# Names of the program, of standards, formats and algorithms, of a unit, of a key of a keyboard and
# of a zone: the same in every language.
NAMES = {
    "Stafett", "SHA-256", "JSON", "CSV", "PDF", "SVG", "XML", "ZPL", "Atom", "FHIR R5", "EPCIS 2.0",
    "Enter", "Esc", "min", "/log/checkpoint", "Europe/Stockholm", "stafett protocol show",
}  # fmt: skip
# What one script says to another: nobody reads it.
INNER = {
    "not an answer of the record", "this device has no key", "unsigned",
    "the challenge is not of these bytes",
}  # fmt: skip
SPOKEN = r"(?:aria-label|title|placeholder|alt|aria-description|aria-roledescription)"
WORD = re.compile(r"[^\W\d_]{2,}")
FIXED = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)


def pieces(template: str) -> list[str]:
    """Return the texts and the spoken labels of a template that stand in it as they are."""
    # What Jinja puts there goes first: an expression may hold a quote or an angle bracket.
    plain = re.sub(r"\{% block body_class %\}.*?\{% endblock %\}", "", template)
    plain = FIXED.sub("\0", plain)
    plain = re.sub(r"<(script|style)\b.*?</\1>", "", plain, flags=re.DOTALL)
    labels = re.findall(rf"""\b{SPOKEN}=(?:"([^"]*)"|'([^']*)')""", plain)
    texts = re.split(r"<[^<>]*>|\0", plain)
    found = [*texts, *(piece for a, b in labels for piece in (a or b).split("\0"))]
    return [piece.strip(" \n·:,()–") for piece in found]


def literals(script: str) -> list[str]:
    """Return the strings of a script, comments left out, without what is put into them."""
    found = []
    for line in script.splitlines():
        code = re.sub(r"(^|\s)//.*$", "", line)
        while (less := re.sub(r"\$\{[^{}]*\}", "\0", code)) != code:
            code = less
        for quoted in re.findall(r'"((?:[^"\\]|\\.)*)"|`([^`]*)`', code):
            found += (quoted[0] or quoted[1]).split("\0")
    return found


def sentence(text: str) -> bool:
    """Say whether there is an English sentence in it: a function word among other words."""
    return any(FUNCTION.fullmatch(word) for word in text.split()) and len(text.split()) > 1


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.stem)
def test_no_template_has_words_of_its_own(file: Path) -> None:
    """Each text and each label comes from the words files; only names stand there as they are."""
    found = {p for p in pieces(file.read_text("utf-8")) if WORD.search(p) and p not in NAMES}
    assert sorted(found) == []


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.stem)
def test_no_script_has_sentences_of_its_own(file: Path) -> None:
    """Neither a sentence, nor a label that is spoken, nor a text put into an element."""
    script = file.read_text("utf-8")
    said = {x for x in literals(script) if sentence(x)} - INNER
    labels = re.findall(rf"""["']?{SPOKEN}["']?: ["`]([^"`$]*)["`]""", script)
    texts = re.findall(r'\bh\("[\w-]+", \{[^{}]*\}, "([^"]*)"', script)
    texts += re.findall(r'\.textContent = "([^"]*)"', script)
    shown = {x for x in (*labels, *texts) if WORD.search(x)} - NAMES - INNER
    assert sorted(said | shown) == []


def test_words_in_a_page_would_be_seen() -> None:
    """The search finds what it is there for: a text, a label, a sentence in each kind of string."""
    page = '<h1 title="Old {{ n }}">{{ t("a") }} left</h1>{% if x > 1 %}<p>New</p>{% endif %}'
    assert {p for p in pieces(page) if WORD.search(p)} == {"Old", "left", "New"}
    script = 'say(`${n} of ${f(`${m}`)} is gone`); // the end of it\nsay("you are out")'
    assert {x.strip() for x in literals(script) if sentence(x)} == {"is gone", "you are out"}
    assert not sentence("main details:not([open], .no-print)")
