"""The relay drawn: gaps are gaps, and what was done is held against its plan."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib import resources

import msgspec
import pytest

from stafett.journey.evolve import evolve
from stafett.journey.script import Story, play
from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.protocol.read import read
from stafett.web import language, relay
from stafett.web.relay import Mark

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
EN = language.translator("en")
H08 = "H08"


@pytest.fixture(scope="module")
def net() -> Net:
    """Return the net of the built-in chain for one product."""
    text = resources.files("stafett.catalogue") / "protocols" / "autologous-car-t.yaml"
    with resources.as_file(text) as path:
        return Net(read(path).bind("kymriah"))


@pytest.fixture(scope="module")
def story(net: Net) -> Story:
    """Walk one journey on which everything goes well."""
    return play(net, START)


def until(net: Net, story: Story, kind: str, late: timedelta = timedelta(0)) -> State:
    """Return the state after the first event of `kind` about H08, which happened `late`."""
    state: State | None = None
    for event in story.events:
        last = type(event).__name__ == kind and getattr(event, "handoff", "") == H08
        if last:
            event = msgspec.structs.replace(event, occurred_at=event.occurred_at + late)
        state = evolve(net, state, event)
        if last:
            assert state is not None
            return state
    raise AssertionError(f"no {kind} of {H08}")


def drawn(net: Net, state: State, kind: str, after: timedelta = timedelta(0)) -> list[Mark]:
    """Return the marks of `kind` on H08, as seen `after` its release."""
    now = state.begun[H08] + after
    return [m for m in relay.marks(net, state, "en", now)
            if m.kind == kind and m.title.startswith(H08)]  # fmt: skip


def test_what_is_released_and_not_accepted_is_a_gap_that_grows(net: Net, story: Story) -> None:
    """From the release until now, on the lane of who has not taken over."""
    state = until(net, story, "Released")
    (gap,) = drawn(net, state, "gap", timedelta(minutes=40))
    assert (gap.start, gap.end - gap.start) == (state.begun[H08], timedelta(minutes=40))
    assert gap.lane == net.protocol.handoffs[H08].receiver
    (window,) = drawn(net, state, "planned")
    assert window.end - window.start == timedelta(hours=1)
    assert drawn(net, state, "limit") == []


@pytest.mark.parametrize("late", [timedelta(minutes=20), timedelta(hours=3)])
def test_what_is_done_is_held_against_its_plan(net: Net, story: Story, late: timedelta) -> None:
    """In time, a tick lies ahead of it; too late, what lies beyond the tick is drawn."""
    state = until(net, story, "Accepted", late)
    (limit,) = drawn(net, state, "limit")
    assert limit.start == state.begun[H08] + timedelta(hours=1)
    overrun = drawn(net, state, "overrun")
    if late < timedelta(hours=1):
        assert overrun == []
    else:
        assert [(m.start, m.end) for m in overrun] == [(limit.start, state.done[H08])]


def test_the_plan_is_said_in_words_too(net: Net, story: Story) -> None:
    """How much was to spare, or how much later it was: beside what happened, not by colour."""
    names = {organisation: organisation for organisation in story.state.parties.values()}  # type: ignore[union-attr]
    for late, said in ((timedelta(minutes=20), "to spare"), (timedelta(hours=3), "late")):
        state = until(net, story, "Accepted", late)
        lines = relay.story(net, state, names, EN, "en")
        (line,) = [x for x in lines if x.what.startswith(H08)]
        assert line.plan.endswith(said) and line.late == (said == "late")
    assert line.plan.endswith(": 2 h 2 min late")


def test_the_picture_names_every_mark_and_escapes_names(net: Net, story: Story) -> None:
    """Each group has a title for who cannot see it; a name with markup in it stays a name."""
    state = until(net, story, "Accepted", timedelta(hours=3))
    names = dict.fromkeys(state.parties.values(), "<b>Clinic</b> & Co")
    svg = str(relay.draw(net, state, names, EN, "en"))
    assert svg.count("<g>") == svg.count("<g><title>") > 10
    assert re.search(r"later than planned</title><rect class=\"overrun\"", svg)
    assert "&lt;b&gt;Clinic&lt;/b&gt; &amp; Co" in svg and "<b>" not in svg
