"""No text makes a document impossible: what the fonts lack is spelled out."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
import typst

from stafett.exchange import glyphs
from stafett.exchange.glyphs import with_every_text


def printed(text: str) -> str:
    """Print a text as PDF/A; give it as it was printed."""
    shown: list[str] = []

    def make(spell: Any) -> bytes:
        shown.append(spell([text])[0])
        found = typst.compile(
            b"#sys.inputs.text", format="pdf", ignore_system_fonts=True, pdf_standards=["a-2b"],
            sys_inputs={"text": shown[-1]},
        )  # fmt: skip
        assert isinstance(found, bytes) and found.startswith(b"%PDF")
        return found

    with_every_text(make)
    return shown[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Åsa Öberg, Muñoz, Łódź, Ωmega, Жанна", None),
        ("北京 hospital 医院", "[U+5317][U+4EAC] hospital [U+533B][U+9662]"),
        ("ok \N{PACKAGE} ✓", None),
        ("ส and \N{HANGUL SYLLABLE GA}", "[U+0E2A] and [U+AC00]"),
        ('" \\ # $ [U+0041] <b>', None),
    ],
)
def test_a_text_is_shown_as_it_is_or_spelled_out(text: str, expected: str | None) -> None:
    """European scripts stay; what has no shape is its code point; the rest of it stays."""
    got = printed(text)
    if expected is not None:
        assert got == expected
    elif "\N{PACKAGE}" in text:
        assert got.startswith("ok ") and "[U+1F4E6]" in got
    else:
        assert got == text


def test_many_scripts_at_once_are_printed_all_the_same() -> None:
    """Two hundred characters of scripts that no font here has: a bounded number of attempts."""
    text = "".join(chr(first + n) for first in (0x904, 0xE01, 0x1820, 0x1200) for n in range(50))
    got = printed("Å " + text)
    assert not set(got) & set(text)
    assert got.count("[U+") >= len(text)


def test_the_example_in_the_module_is_true() -> None:
    """What the documentation shows is what the code answers."""
    assert doctest.testmod(glyphs).failed == 0


def test_what_is_not_about_a_character_is_raised() -> None:
    """A mistake in a template is no reason to try again."""
    calls = []

    def make(spell: Any) -> bytes:
        calls.append(1)
        found: bytes = typst.compile(b"#nothing", format="pdf")
        return found

    with pytest.raises(typst.TypstError):
        with_every_text(make)
    assert calls == [1]
