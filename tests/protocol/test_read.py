"""Errors of a protocol file name the place."""

from __future__ import annotations

import pytest

from stafett.protocol.read import ReadError, parse


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("kind: collect", "kind: colect", 24, "colect"),
        ("attempts: 2", "attempts: two", 26, "a whole number"),
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


def test_every_entry_that_is_wrong_is_named(small: str) -> None:
    """Three entries of the wrong type are three errors, each with its line."""
    text = (
        small.replace("kind: collect", "kind: colect")
        .replace("object: bag", "objekt: bag")
        .replace("materials: custodian-destroys", "materials: somewhere")
    )
    errors = parse(text, "small.yaml").problems()
    said = " ".join(error.what for error in errors)
    assert all(word in said for word in ("colect", "objekt", "somewhere"))
    assert len({error.place.line for error in errors}) == 3


def test_a_good_file_has_no_problems(small: str) -> None:
    """What can be read has nothing to be said about its types."""
    assert parse(small).problems() == []
