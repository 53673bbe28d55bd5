"""At every instant one custodian and one owner; the time between hands has a length."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.watch.ownership import between_hands, gaps, interfaces

replace = msgspec.structs.replace


def test_no_state_of_a_journey_has_a_gap(states: tuple[Net, list[State]]) -> None:
    """The record cannot be written with one."""
    _, every = states
    assert all(gaps(state) == [] for state in every)


def test_a_broken_chain_would_be_found(states: tuple[Net, list[State]]) -> None:
    """The check can fail: a spell that ends before the next begins is a gap."""
    state = next(s for s in states[1] if len(s.accountability) > 1)
    first, second = state.accountability[:2]
    early = replace(first, until=second.since - timedelta(minutes=5))
    (found,) = gaps(replace(state, accountability=(early, second)))
    assert found.until - found.since == timedelta(minutes=5)


def test_time_between_hands_runs_until_somebody_accepts(states: tuple[Net, list[State]]) -> None:
    """Released and not accepted: it grows with the clock; what is over is beyond the permitted."""
    net, every = states
    state = next(s for s in every if "H07" in s.begun and "H07" not in s.done)
    takes = net.protocol.handoffs["H07"].takes
    assert takes is not None
    late = state.begun["H07"] + takes.at_most.timedelta + timedelta(hours=2)
    (one,) = [x for x in between_hands(net, state, late) if x.handoff == "H07"]
    assert (one.until, one.over) == (None, timedelta(hours=2))
    done = between_hands(net, every[-1], late + timedelta(days=400))
    assert all(x.until is not None for x in done)


def test_interfaces_count_what_their_stretches_say(states: tuple[Net, list[State]]) -> None:
    """Each interface's total is the sum of its stretches, also over several journeys."""
    net, every = states
    stretches = between_hands(net, every[-1], every[-1].latest_at) * 3
    found = interfaces(stretches)
    assert sum(x.n for x in found) == len(stretches)
    total = sum(x.length.total_seconds() for x in stretches) / 3600
    assert abs(sum(x.total_h for x in found) - total) < 1e-6


def test_nine_of_ten_are_never_said_to_take_longer_than_the_longest(
    states: tuple[Net, list[State]],
) -> None:
    """Of two or three, too: nothing is made up beyond what was seen."""
    net, every = states
    one, *_ = between_hands(net, every[-1], every[-1].latest_at)
    hours = (1, 2, 12)
    (found,) = interfaces([one._replace(length=timedelta(hours=h)) for h in hours])
    assert max(hours) >= found.p90_h > found.median_h


def test_handoffs_of_two_protocols_are_two_interfaces(states: tuple[Net, list[State]]) -> None:
    """H07 of one chain is not H07 of another, also between the same two organisations."""
    net, every = states
    stretches = between_hands(net, every[-1], every[-1].latest_at)
    other = [one._replace(protocol="another") for one in stretches]
    assert len(interfaces(stretches + other)) == 2 * len(interfaces(stretches))
