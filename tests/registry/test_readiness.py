"""Requirements compare as sets of what meets them; onboarding goes forward by both sides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.registry import readiness as r
from stafett.registry.requirement import (
    Requirement,
    RequirementList,
    carries_over,
    compare,
    shared,
    table,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def asks(topic: str = "dewar", kind: str = "facility", **more: Any) -> Requirement:
    return Requirement(topic=topic, title=topic, kind=kind, **more)  # type: ignore[arg-type]


WORLD = [float(n) for n in range(6)]
LIMITS = st.builds(
    lambda ask, n: asks(ask=ask, number=n, unit="h"),
    st.sampled_from(["at-least", "at-most"]),
    st.sampled_from(WORLD),
)
CHOICES = st.builds(
    lambda c: asks(ask="one-of", choices=tuple(sorted(c))),
    st.sets(st.sampled_from("abc"), min_size=1),
)


def meets(requirement: Requirement) -> set[Any]:
    """Return everything in a small world that meets a requirement."""
    if requirement.ask == "one-of":
        return set(requirement.choices)
    assert requirement.number is not None
    if requirement.ask == "at-least":
        # beyond the world there is always something larger
        return {n for n in [*WORLD, 99.0] if n >= requirement.number}
    return {n for n in [-99.0, *WORLD] if n <= requirement.number}


@given(st.one_of(st.tuples(LIMITS, LIMITS), st.tuples(CHOICES, CHOICES)))
def test_a_comparison_says_what_the_sets_say(pair: tuple[Requirement, Requirement]) -> None:
    """Same is the same set, stricter a part of it, contradictory nothing in common."""
    a, b = pair
    x, y = meets(a), meets(b)
    expected = (
        "same" if x == y
        else "contradictory" if not x & y
        else "stricter" if x < y
        else "weaker" if x > y
        else "different"
    )  # fmt: skip
    assert compare(a, b) == expected
    assert carries_over(a, b) == (x <= y)


def test_what_cannot_be_compared_is_said_and_not_guessed() -> None:
    """Hours and days, a limit and a choice: a person must settle it."""
    assert compare(asks(ask="at-least", number=1, unit="h"),
                   asks(ask="at-least", number=1, unit="d")) == "unlike"  # fmt: skip
    assert compare(asks(ask="one-of", choices=("a",)),
                   asks(ask="at-most", number=1, unit="h")) == "unlike"  # fmt: skip
    assert compare(asks(ask="at-most", number=1, unit="h"), asks()) == "stricter"


def test_more_frequent_renewal_is_stricter() -> None:
    """Every six months is stricter than every twelve, and never is the weakest."""
    often, seldom, never = asks(months=6), asks(months=12), asks()
    assert compare(often, seldom) == "stricter" and compare(never, seldom) == "weaker"
    long_hold = asks(ask="at-least", number=5, unit="d", months=12)
    assert compare(long_hold, asks(ask="at-least", number=3, unit="d", months=6)) == "different"
    assert carries_over(seldom, often)


def a_list(name: str, *requirements: Requirement) -> RequirementList:
    return RequirementList(
        id=name, organisation=name, protocol="autologous-car-t", version="1",
        requirements=requirements,
    )  # fmt: skip


JACIE = asks("jacie", "accreditation", months=36)
DEWAR5 = asks("dewar", ask="at-least", number=5, unit="d")
DEWAR10 = asks("dewar", ask="at-least", number=10, unit="d")
DRY_RUN = asks("dry-run", "dry-run")
ONE = a_list("one", JACIE, DEWAR10, DRY_RUN)
TWO = a_list("two", JACIE, DEWAR5, DRY_RUN, asks("portal", "training", months=12))


def test_lists_are_compared_topic_by_topic() -> None:
    """The strictest of graded ones is named; what one alone asks is told apart."""
    lines = {line.topic: line for line in table([ONE, TWO])}
    assert lines["jacie"].verdict == "same"
    assert (lines["dewar"].verdict, lines["dewar"].strictest) == ("graded", "one")
    assert lines["portal"].verdict == "one"
    assert shared(lines.values()) == (3, 3)
    short = a_list("three", asks("dewar", ask="at-most", number=3, unit="d"))
    assert table([ONE, short])[0].verdict == "contradictory"


def test_a_list_asks_for_each_thing_once() -> None:
    """Two requirements under one topic would leave open which one holds."""
    with pytest.raises(ValueError, match="asked twice: dewar"):
        a_list("x", DEWAR5, DEWAR10)
    with pytest.raises(ValueError, match="number and a unit"):
        asks(ask="at-least", number=3)


class Desk:
    """Two sides at one onboarding."""

    def __init__(self, asked: RequirementList, at: datetime = NOW) -> None:
        self.events: list[r.Event] = [r.Opened(at=at, by="a", site="s", asks=asked)]
        self.now = at

    @property
    def state(self) -> r.Onboarding:
        return r.replay(self.events)

    def act(self, event: r.Event, side: str) -> None:
        self.events.append(r.decide(self.state, event, side, self.now))

    def show(self, topic: str) -> None:
        self.act(r.Shown(at=self.now, by="s", topic=topic, evidence="see file"), "site")

    def accept(self, topic: str) -> None:
        self.act(r.Accepted(at=self.now, by="a", topic=topic), "asker")

    def all(self) -> None:
        for topic in self.state.open_topics(self.now):
            self.show(topic)
            self.accept(topic)

    def sign(self, side: str) -> None:
        self.act(r.Signed(at=self.now, by=side, side=side), side)  # type: ignore[arg-type]


def test_a_site_is_ready_when_all_is_accepted_and_both_have_signed() -> None:
    """Not before; the site first; and the days it took are counted from the opening."""
    desk = Desk(ONE)
    with pytest.raises(r.Not, match="not accepted yet"):
        desk.sign("site")
    desk.all()
    with pytest.raises(r.Not, match="the site signs first"):
        desk.sign("asker")
    desk.sign("site")
    assert not desk.state.is_ready(desk.now)
    desk.now += timedelta(days=10)
    desk.sign("asker")
    assert desk.state.is_ready(desk.now) and desk.state.days_to_ready() == 10


def test_each_side_does_its_own_part() -> None:
    """The site cannot accept its own evidence, the asker cannot show it, nobody signs twice."""
    desk = Desk(ONE)
    with pytest.raises(r.Not, match="the site shows"):
        desk.act(r.Shown(at=NOW, by="a", topic="jacie", evidence="x"), "asker")
    with pytest.raises(r.Not, match="nothing new"):
        desk.accept("jacie")
    desk.show("jacie")
    with pytest.raises(r.Not, match="who asks"):
        desk.act(r.Accepted(at=NOW, by="s", topic="jacie"), "site")
    with pytest.raises(r.Not, match="each side"):
        desk.act(r.Signed(at=NOW, by="s", side="asker"), "site")
    with pytest.raises(r.Not, match="is not asked"):
        desk.show("moon")


def test_what_was_refused_is_shown_again() -> None:
    """A refusal has a reason and leads back to showing; it never becomes accepted by itself."""
    desk = Desk(ONE)
    desk.show("jacie")
    desk.act(r.Refused(at=NOW, by="a", topic="jacie", reason="expired certificate"), "asker")
    assert desk.state.items["jacie"].status == "refused"
    with pytest.raises(r.Not, match="nothing new"):
        desk.accept("jacie")
    desk.show("jacie")
    desk.accept("jacie")
    assert desk.state.items["jacie"].status == "accepted"


def test_an_acceptance_lapses_and_with_it_the_readiness() -> None:
    """36 months on the accreditation no longer holds: the site is not ready until it is renewed."""
    desk = Desk(ONE)
    desk.all()
    desk.sign("site")
    desk.sign("asker")
    later = NOW + timedelta(days=36 * 31)
    assert not desk.state.is_ready(later)
    assert desk.state.open_topics(later) == ["jacie"]
    desk.now = later
    desk.show("jacie")
    desk.accept("jacie")
    assert desk.state.is_ready(later)


def test_what_one_has_accepted_counts_for_the_next() -> None:
    """Same or stricter carries over, for as long as it holds; a dry run never does."""
    first = Desk(ONE)
    first.all()
    found = {a.topic: a for a in r.carried(TWO, [first.state], "two", NOW)}
    assert set(found) == {"jacie", "dewar"}
    assert found["jacie"].carried == "one"
    assert found["jacie"].until == first.state.items["jacie"].until
    lapsed = NOW + timedelta(days=4 * 365)
    assert {a.topic for a in r.carried(TWO, [first.state], "two", lapsed)} == {"dewar"}
    # The weaker one does not carry back, and what was carried is not carried on.
    second = Desk(TWO)
    second.events += list(found.values())
    assert r.carried(ONE, [second.state], "one", NOW) == []
    other = Desk(TWO)
    other.all()
    assert {a.topic for a in r.carried(ONE, [other.state], "one", NOW)} == {"jacie"}


@given(st.lists(st.tuples(st.sampled_from(["show", "accept", "refuse", "sign"]),
                          st.sampled_from(["site", "asker"]),
                          st.sampled_from(["jacie", "dewar", "dry-run"]),
                          st.integers(0, 900)), max_size=40))  # fmt: skip
def test_no_order_of_acts_makes_a_site_ready_unchecked(
    acts: list[tuple[str, str, str, int]],
) -> None:
    """Ready means: all of it accepted by the asker after the site showed it, and not lapsed."""
    desk = Desk(ONE)
    for what, side, topic, days in acts:
        desk.now += timedelta(days=days)
        made: dict[str, r.Event] = {
            "show": r.Shown(at=desk.now, by=side, topic=topic, evidence="x"),
            "accept": r.Accepted(at=desk.now, by=side, topic=topic),
            "refuse": r.Refused(at=desk.now, by=side, topic=topic, reason="x"),
            "sign": r.Signed(at=desk.now, by=side, side=side),  # type: ignore[arg-type]
        }
        try:
            desk.act(made[what], side)
        except r.Not:
            continue
    if desk.state.is_ready(desk.now):
        last: dict[str, r.Event] = {}
        for event in desk.events:
            if isinstance(event, r.Shown | r.Accepted | r.Refused):
                last[event.topic] = event
        assert set(last) == {"jacie", "dewar", "dry-run"}
        assert all(isinstance(e, r.Accepted) and e.by == "asker" for e in last.values())
        assert len({e.side for e in desk.events if isinstance(e, r.Signed)}) == 2


def test_events_are_read_back_as_they_were_written() -> None:
    """What the record keeps gives the same state again."""
    import msgspec

    desk = Desk(ONE)
    desk.all()
    again = [r.from_json(msgspec.to_builtins(event)) for event in desk.events]
    assert r.replay(again) == desk.state
