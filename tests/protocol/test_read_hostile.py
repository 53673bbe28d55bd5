"""Whatever the bytes, only ReadError leaves the reader: with a place, soon, and no crash."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stafett.protocol.read import MAX_BYTES, ReadError, parse

SMALL = Path(__file__).with_name("small.yaml").read_text()
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
HOSTILE = {
    "deeply nested, would overflow the C stack": "a: " + "[" * 100_000,
    "deeply nested and closed": "a: " + "[" * 20_000 + "]" * 20_000,
    "aliases that multiply": LAUGHS,
    "an alias of itself": "a: &x {b: *x}",
    "not UTF-8": b"title: \xff\xfe",
    "a NUL": b"title: \x00",
    "a number of 5000 digits": "a: " + "9" * 5000,
    "larger than a protocol": "a: " + "x" * MAX_BYTES,
    "a Python object": "a: !!python/object/apply:os.system [ls]",
    "a list as key": "? [a]\n: 1",
    "two documents": "a: 1\n---\nb: 2",
    "a set": "a: !!set {x, y}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_with_a_place(name: str) -> None:
    """Each kind of hostile file gives a ReadError that names the file."""
    with pytest.raises(ReadError) as error:
        parse(HOSTILE[name], "x.yaml").bind()
    assert error.value.place.file == "x.yaml"
    assert len(str(error.value)) < 400


def test_a_file_that_is_too_large_says_how_large_and_what_is_read() -> None:
    """Of a network's file too, which is read as a protocol's is."""
    with pytest.raises(ReadError) as error:
        parse("a: " + "x" * MAX_BYTES, "x.yaml")
    assert error.value.what == "the file has 2,000,003 bytes, and at most 2,000,000 are read"
    assert error.value.todo.startswith("is it the right file?")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("attempts: 2", "attempts: .nan", "number"),
        ("attempts: 2", "attempts: .inf", "number"),
        ("attempts: 2", "attempts: yes", "a whole number, not a word that means yes or no"),
        ("attempts: 2", "attempts: 2\n    takes: {at_most: 48}", "write a number and a unit"),
        ("attempts: 2", "attempts: 2\n    takes: {at_most: 2 fortnights}", "not a duration"),
        ("attempts: 2", "attempts: ${tries}", "no parameter 'tries'"),
        ("version: 1.0.0", "version: 1.0", "text, not the number 1.0"),
        ("stafett: 1", "stafett: 2", "2"),
    ],
)
def test_a_value_of_the_wrong_kind_says_what_is_expected(
    small: str, old: str, new: str, says: str
) -> None:
    """Not-a-number, booleans, bare numbers for durations, unknown parameters: each said plainly."""
    with pytest.raises(ReadError) as error:
        parse(small.replace(old, new), "x.yaml").bind()
    assert says in error.value.what
    assert error.value.place.line > 0


def test_the_place_is_that_of_the_one_wrong_entry_among_many(small: str) -> None:
    """msgspec does not name mapping keys; the reader finds the entry all the same."""
    text = small.replace("{title: Stop, then: {end: stopped}}", "{title: Stop, then: {end: [x]}}")
    with pytest.raises(ReadError) as error:
        parse(text, "x.yaml").bind()
    assert "steps.judge.results.end.then.end" in error.value.what
    line = text.splitlines()[error.value.place.line - 1]
    assert line.strip().startswith("end: {title: Stop")


def test_durations_are_read_as_people_write_them(small: str) -> None:
    """`takes: {at_most: 1.5 d}` is 36 hours."""
    text = small.replace("attempts: 2", "attempts: 2\n    takes: {at_most: 1.5 d}")
    takes = parse(text).bind().steps["collect"].takes
    assert takes is not None
    assert takes.at_most.seconds == 36 * 3600


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data: bytes) -> None:
    """Arbitrary bytes are a protocol or a ReadError."""
    with pytest.raises(ReadError):
        parse(data).bind()


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(data=st.data(), junk=JSONISH)
def test_junk_in_any_place_is_a_read_error_or_a_protocol(data: st.DataObject, junk: object) -> None:
    """Replace any part of a good protocol by any YAML value: read it, or say where it is wrong."""

    document = parse(SMALL)
    value = document.value
    paths = [path for path in document.places if path]
    path = data.draw(st.sampled_from(paths))
    part = value
    for step in path[:-1]:
        part = part[step]  # type: ignore[index]
    part[path[-1]] = junk  # type: ignore[index]
    text = yaml.safe_dump(value, allow_unicode=True)
    try:
        parse(text).bind()
    except ReadError as error:
        assert error.place.line >= 1


@given(st.integers(0, 3000), st.sampled_from(["", "\t", "[", "}", "&", "*", ":", "- ", "\n", "%"]))
def test_a_slip_of_the_keyboard_anywhere(at: int, slip: str) -> None:
    """Insert or delete one character anywhere: read it, or say where it is wrong."""
    at %= len(SMALL)
    text = SMALL[:at] + slip + SMALL[at + (not slip) :]
    try:
        parse(text).bind()
    except ReadError as error:
        assert error.place.line >= 1
