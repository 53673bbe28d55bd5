"""Errors of a protocol file name the place."""

from __future__ import annotations

import pytest

from stafett.protocol.read import ReadError, parse


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("kind: collect", "kind: colect", 24, "colect"),
        ("attempts: 2", "attempts: two", 26, "int"),
        ("object: bag", "objekt: bag", 37, "objekt"),
        ("container: bag", "container: bag\n    container: bag", 17, "twice"),
    ],
)
def test_a_wrong_part_is_named_with_its_line(
    small: str, old: str, new: str, line: int, says: str
) -> None:
    """A misspelt word, a wrong type, a missing field, a repeated key: each has its line."""
    with pytest.raises(ReadError) as error:
        parse(small.replace(old, new), "small.yaml").bind()
    assert says in error.value.what
    assert abs(error.value.place.line - line) <= 4


@pytest.mark.parametrize("text", ["", "[]", "a: [", "\x00", "- 1", "a: &x [*x]", "!!python/none x"])
def test_text_that_is_no_protocol_is_refused(text: str) -> None:
    """Whatever is not a mapping in YAML is refused with a place."""
    with pytest.raises(ReadError):
        parse(text, "x.yaml").bind()
