"""The reference of the protocol language names all of the language."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import get_args

import msgspec

from stafett.protocol import model
from stafett.protocol.duration import UNITS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "protocol-language.md"


def named() -> set[str]:
    """Return everything that the page sets as code, split into words."""
    page = PAGE.read_text("utf-8")
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    return {word for span in spans for word in re.findall(r"[\w-]+", span)} | set(spans)


def structs() -> list[type[model.Base]]:
    """Return every part of the language."""
    found = [c for _, c in inspect.getmembers(model, inspect.isclass) if issubclass(c, model.Base)]
    return [c for c in found if c is not model.Base]


def test_every_field_is_on_the_page() -> None:
    """No field of any part is missing from the reference."""
    words = named()
    for struct in structs():
        for field in msgspec.structs.fields(struct):
            assert field.name in words, f"{struct.__name__}.{field.name}"


def test_every_word_of_a_field_is_on_the_page() -> None:
    """Each value that a field may have is listed."""
    words = named()
    hints = {(s, f.name): f.type for s in structs() for f in msgspec.structs.fields(s)}
    for (struct, name), hint in hints.items():
        for value in get_args(hint):
            if isinstance(value, str):
                assert value in words, f"{struct.__name__}.{name}: {value}"


def test_every_unit_of_time_is_on_the_page() -> None:
    """The units that a duration may have are listed."""
    assert set(UNITS) <= named()


def test_the_page_names_no_stranger() -> None:
    """A field named at the start of a table's row exists."""
    known = {f.name for s in structs() for f in msgspec.structs.fields(s)}
    rows = re.findall(r"^\| (`[^|]+`) \|", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", " ".join(rows)):
        assert name in known, name
