"""A JSON object that says one name twice is found, wherever it stands and however it is written."""

import msgspec
import pytest

from stafett.protocol.doubled import Doubled, doubled


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "a": 1}', Doubled((), "a")),
        ('{"a": [1, {"b": {"c": 1, "d": 2, "c": 3}}]}', Doubled(("a", 1, "b"), "c")),
        (r'{"a": 1, "\u0061": 2}', Doubled((), "a")),
        (r'{"a\"": "\"", "b": 1, "b": {}}', Doubled((), "b")),
        ('{"a": {"x": 1}, "a": {"x": 1, "y": 2}}', Doubled((), "a")),
        ('{"": 1, "": 2}', Doubled((), "")),
        ('{"å": "ä", "å": "ö"}', Doubled((), "å")),
        ('{"n": 1e999, "m": ' + "9" * 5000 + ', "\\u006d": 2}', Doubled((), "m")),
    ],
)
def test_a_name_that_is_said_twice_is_found_with_its_place(text: str, found: Doubled) -> None:
    """Also where the two are written differently, and where another name has a quote in it."""
    assert doubled(text.encode(), {} if "1e999" in text else None) == found


@pytest.mark.parametrize(
    "text",
    [
        "[]", '"a"', "1", '{"a": {"a": {"a": "a"}}, "b": [{"a": 1}, {"a": 1}]}',
        r'{"a": "\"a\": 1, \"a\": 2", "b\\": 1}', '{"a": "b: {}", "A": 1, " a": 2}', '{"n": 1.0e3}',
    ],
)  # fmt: skip
def test_what_only_looks_like_it_passes(text: str) -> None:
    """The same name in different objects, in a text, or in another spelling is no double."""
    assert doubled(text.encode()) is None
    assert doubled(text.encode(), msgspec.json.decode(text)) is None
