"""Conditions of a material: what cannot be judged is found."""

from __future__ import annotations

import pytest

from stafett.protocol.check import prove
from stafett.protocol.read import parse


def found(sound: str, condition: str) -> set[str]:
    """Return the errors that the sound chain has with one condition for its first shipper."""
    old = "    title: Shipper to the plant\n"
    assert sound.count(old) == 1
    text = sound.replace(old, f"{old}    conditions: [{condition}]\n")
    return {finding.code for finding in prove(parse(text)).errors}


@pytest.mark.parametrize(
    "condition",
    [
        "{of: door, deviation: SEAL_BROKEN, proposal: true}",
        "{of: tilt, max: 45, at_most: 5 min, deviation: TOO_WARM, source: label}",
        "{of: temperature, min: 2, max: 8, in_all: 5 min, deviation: TOO_WARM, proposal: true}",
    ],
)
def test_a_condition_that_can_be_judged_is_in_order(sound: str, condition: str) -> None:
    """Nothing is found."""
    assert found(sound, condition) == set()


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("{of: door, deviation: NOBODY_KNOWS, proposal: true}", "unknown-name"),
        ("{of: door, max: 1, deviation: SEAL_BROKEN, proposal: true}", "unfit-part"),
        ("{of: tilt, at_most: 5 min, deviation: TOO_WARM, proposal: true}", "unfit-part"),
        ("{of: shock, min: 2, max: 9, deviation: TOO_WARM, proposal: true}", "unfit-part"),
        ("{of: silence, deviation: TOO_WARM, proposal: true}", "unfit-part"),
        ("{of: temperature, max: 8, deviation: TOO_WARM, proposal: true}", "unfit-part"),
        ("{of: temperature, in_all: 1 h, deviation: TOO_WARM, proposal: true}", "unfit-part"),
        (
            "{of: temperature, min: 8, max: 2, in_all: 1 h, deviation: TOO_WARM, proposal: true}",
            "contradictory-limits",
        ),
        ("{of: shock, max: 25, deviation: TOO_WARM}", "unsourced"),
    ],
)
def test_a_condition_that_cannot_be_judged_is_found(sound: str, condition: str, code: str) -> None:
    """An unknown deviation, a bound that does not fit, no time, no source: each is named."""
    assert code in found(sound, condition)
