"""What a protocol means: moves and what they do."""

from __future__ import annotations

import pytest

from stafett.protocol.net import GONE, LIVE, QUARANTINED, Marking, Move, Net, NotPossible
from stafett.protocol.read import parse


@pytest.fixture
def net(small: str) -> Net:
    return Net(parse(small).bind())


def run(net: Net, *moves: Move) -> Marking:
    marking = net.initial()
    for move in moves:
        marking = net.fire(marking, move)
    return marking


COLLECT = (Move("start", "collect"), Move("finish", "collect", result="done"))


def bag(marking: Marking) -> tuple[int, int]:
    return marking.materials[0].state, marking.materials[0].custodian


def test_custody_moves_at_acceptance(net: Net) -> None:
    """The giver holds the bag until the receiver has accepted it."""
    released = run(net, *COLLECT, Move("release", "H1"))
    assert bag(released) == (LIVE, net.role["clinic"])
    assert bag(net.fire(released, Move("accept", "H1"))) == (LIVE, net.role["courier"])


def test_a_quarantined_bag_is_held_by_the_receiver(net: Net) -> None:
    """A receiver who quarantines holds the bag, and nobody may use it until it is decided."""
    marking = run(net, *COLLECT, Move("release", "H1"), Move("quarantine", "H1"))
    assert bag(marking) == (QUARANTINED, net.role["courier"])
    again = net.fire(marking, Move("decide", "judge", "H1", "again"))
    assert bag(again) == (LIVE, net.role["courier"])
    assert net.is_done(again, "H1")


def test_a_refused_bag_stays_with_the_giver_and_is_offered_again(net: Net) -> None:
    """After a refusal that is taken up again, both sides begin afresh."""
    marking = run(net, *COLLECT, Move("release", "H1"), Move("refuse", "H1"))
    assert bag(marking) == (LIVE, net.role["clinic"])
    again = net.fire(marking, Move("decide", "judge", "H1", "again"))
    assert Move("release", "H1") in net.moves(again)


def test_nothing_new_starts_while_a_decision_is_pending(net: Net) -> None:
    """A stop before release holds the journey: only the decision and mishaps remain."""
    marking = run(net, *COLLECT, Move("stop", "H1"))
    assert bag(marking)[0] == QUARANTINED
    assert {m.kind for m in net.moves(marking)} == {"decide", "lose", "interrupt"}


def test_a_lost_bag_is_collected_again_until_attempts_run_out(net: Net) -> None:
    """Two attempts are two collections; after the second loss the journey ends."""
    once = run(net, *COLLECT, Move("lose", "bag"))
    assert bag(once)[0] == GONE
    twice = once
    for move in (*COLLECT, Move("lose", "bag")):
        twice = net.fire(twice, move)
    assert net.outcomes[twice.outcome] == "stopped"
    assert net.moves(twice) == []


def test_a_move_out_of_order_is_refused(net: Net) -> None:
    """The courier cannot accept what has not been released."""
    with pytest.raises(NotPossible):
        run(net, *COLLECT, Move("accept", "H1"))
