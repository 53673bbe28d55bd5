"""A computation that fails tells a person what to do, and never only a Python name."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from stafett.design.incentives.shapley import exact
from stafett.service.computing import Busy
from stafett.service.unforeseen import words_of
from stafett.web.findings import in_language
from stafett.web.refusals import said


def caught(act: Callable[[], object]) -> Exception:
    """Return what `act` raises."""
    try:
        act()
    except Exception as problem:
        return problem
    raise AssertionError("nothing was raised")


def test_an_error_of_our_own_is_told_in_its_words() -> None:
    """It was worded for people."""
    assert words_of(Busy("three are going already")) == "three are going already"


def test_a_value_that_a_module_of_ours_refuses_is_told_in_its_words() -> None:
    """`ValueError` raised by Stafett says what is wrong with the value."""
    problem = caught(lambda: exact(np.ones(3)))
    assert words_of(problem) == str(problem)


@pytest.mark.parametrize(
    ("act", "ending"),
    [
        (lambda: [][0], "IndexError: list index out of range"),
        (lambda: {}["a"], "KeyError: 'a'"),
        (lambda: json.loads("{"), "JSONDecodeError: Expecting property name"),
        (lambda: next(iter(())), "StopIteration"),
    ],
)
def test_a_fault_of_the_program_is_said_to_be_one(act: Callable[[], object], ending: str) -> None:
    """The person reads what to do; what whoever mends it needs stands at the end."""
    told = words_of(caught(act))
    assert told.startswith("This failed in a way that was not foreseen, and nothing was changed.")
    assert f"give your administrator this: {ending}" in told


@pytest.mark.parametrize("language", ["sv", "es"])
def test_it_is_said_in_the_readers_language(language: str) -> None:
    """As a refusal on the pages that compute, and as a finding on those that learn."""
    told = words_of(IndexError("list index out of range"))
    for text in (said(told, language), in_language(told, language)):
        assert text is not None and "not foreseen" not in text
        assert text.endswith("IndexError: list index out of range")
