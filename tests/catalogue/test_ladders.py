"""The first rung is a limit: passed with nothing begun it is a deviation, so it stands for one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

import pytest

from stafett.protocol.model import Handoff, Step
from stafett.protocol.read import parse

PROTOCOLS = sorted(
    path.name.removesuffix(".yaml")
    for path in (resources.files("stafett") / "catalogue" / "protocols").iterdir()
)
EARLIEST = 0.25  # of what the activity may take, where nothing waits for it but paper
# Why the first rung may come sooner where no material waits.
SOONER = {
    "D_PATIENT": "a patient who was to be treated waits, and the product ages",
    "CHARGE_SHIPPER": "charging fills most of its day, so it has to begin early in it",
}


class Ladder(NamedTuple):
    """An activity's first rung and its window, in seconds; whether a material waits for it."""

    activity: str
    first: float
    window: float
    waits: bool


def ladders(name: str) -> Iterator[Ladder]:
    """Yield the ladders of a built-in protocol, under each of its products."""
    folder = resources.files("stafett") / "catalogue" / "protocols"
    document = parse((folder / f"{name}.yaml").read_text("utf-8"))
    for product in document.bind().products or {None: None}:
        protocol = document.bind(product)
        every: dict[str, Step | Handoff] = {**protocol.steps, **protocol.handoffs}
        for activity, one in every.items():
            if one.escalation and one.takes is not None:
                waits = one.carries if isinstance(one, Handoff) else (*one.inputs, *one.consumes)
                first, window = one.escalation[0].after.seconds, one.takes.at_most.seconds
                yield Ladder(activity, first, window, bool(waits))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_silence_before_a_quarter_of_the_window_unless_material_or_a_patient_waits(
    name: str,
) -> None:
    """Bags, samples and shippers wait for hands within hours; a referral of 14 days does not."""
    early = {
        one.activity: f"{one.first / 3600:g} of {one.window / 3600:g} h"
        for one in ladders(name)
        if one.first < EARLIEST * one.window and not one.waits and one.activity not in SOONER
    }
    assert early == {}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_what_waits_for_weeks_tells_somebody_before_it_is_late(name: str) -> None:
    """Beyond four days the last rung too comes before the window ends: it can still be mended."""
    folder = resources.files("stafett") / "catalogue" / "protocols"
    protocol = parse((folder / f"{name}.yaml").read_text("utf-8")).bind()
    late = [
        activity
        for activity, one in {**protocol.steps, **protocol.handoffs}.items()
        if one.takes is not None
        and one.takes.at_most.seconds > 4 * 86400
        and one.escalation
        and one.escalation[-1].after.seconds >= one.takes.at_most.seconds
    ]
    assert late == []


def test_each_reason_is_still_needed() -> None:
    """A reason that no protocol needs any more is taken out of the list."""
    every = [one for name in PROTOCOLS for one in ladders(name)]
    needed = {one.activity for one in every if not one.waits and one.first < EARLIEST * one.window}
    assert needed == SOONER.keys()
