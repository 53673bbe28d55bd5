"""Whatever a protocol says, the proof ends with findings or a ReadError, and soon."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.protocol.check import check, prove
from stafett.protocol.read import Document, ReadError, parse

SOUND = parse((Path(__file__).parent / "sound.yaml").read_text(), "sound.yaml")
LEAVES = [p for p in SOUND.places if p and not isinstance(SOUND.at(*p), dict | list)]
PARTS = [p for p in SOUND.places if len(p) > 1]


def put(value: Any, path: tuple[str | int, ...], new: object) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = new


def no_crash(value: dict[str, Any]) -> None:
    try:
        for finding in check(replace(SOUND, value=value)):
            assert finding.what
            assert finding.as_dict()["why"]
    except ReadError as error:
        assert error.what


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LEAVES), st.sampled_from(LEAVES)), min_size=1, max_size=3)
)
def test_parts_put_in_each_others_place(swaps: list[tuple[Any, Any]]) -> None:
    """Replace some values by others of the same file: names that fit badly, never a crash."""
    value = copy.deepcopy(SOUND.value)
    for to, other in swaps:
        put(value, to, SOUND.at(*other))
    no_crash(value)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=2))
def test_any_part_left_out(paths: list[tuple[str | int, ...]]) -> None:
    """Leave out any one or two parts: a finding or a ReadError or nothing, never a crash."""
    value = copy.deepcopy(SOUND.value)
    for path in paths:
        part: Any = value
        try:
            for step in path[:-1]:
                part = part[step]
            del part[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # it went with the first
    no_crash(value)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(PARTS), st.sampled_from(["", "a=b", "patient", "owner", "ö", "x" * 300, "-"])
)
def test_odd_names(path: tuple[str | int, ...], name: str) -> None:
    """Give any entry an odd name: never a crash."""
    value = copy.deepcopy(SOUND.value)
    part: Any = value
    for step in path[:-1]:
        part = part[step]
    if isinstance(part, dict):
        part[name] = part.pop(path[-1])
    no_crash(value)


def wide(branches: int, length: int) -> Document:
    """Return a chain with many branches side by side: length ** branches markings."""
    value = copy.deepcopy(SOUND.value)
    for b in range(branches):
        for i in range(length):
            value["steps"][f"b{b}s{i}"] = {
                "title": "Side by side",
                "role": "clinic",
                "kind": "record",
                "after": [f"b{b}s{i - 1}"] if i else ["consent"],
            }
    return parse(yaml.safe_dump(value))


def test_more_markings_than_can_be_explored_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not explored is not proven: it is said, and paths are not said to hold."""
    monkeypatch.setattr(
        "stafett.protocol.explore.explore.__kwdefaults__", {"exact": False, "limit": 3000}
    )
    proof = prove(wide(4, 4))
    assert "too-large" in {finding.code for finding in proof.errors}
    assert "paths" not in proof.held


def test_hundreds_of_names_are_refused_before_exploring() -> None:
    """A file with more activities than can be explored is refused at once."""
    proof = prove(wide(25, 10))
    assert [finding.code for finding in proof.errors] == ["too-large"]
    assert "paths" not in proof.held
