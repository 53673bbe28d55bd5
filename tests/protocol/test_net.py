"""What a protocol means: moves and what they do."""

from __future__ import annotations

import pytest

from stafett.protocol.net import GONE, LIVE, OPEN, QUARANTINED, Marking, Move, Net, NotPossible
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


LOST = "on_lost: {go: collect}"
DECIDED = "on_lost: {decide: judge}"


def with_(small: str, *changes: tuple[str, str]) -> Net:
    for old, new in changes:
        assert old in small
        small = small.replace(old, new, 1)
    return Net(parse(small).bind())


def test_a_lost_bag_cannot_be_accepted(small: str) -> None:
    """Loss on the way: the receiver cannot receive it, though the decision is still awaited."""
    net = with_(small, (LOST, DECIDED))
    marking = run(net, *COLLECT, Move("release", "H1"), Move("lose", "bag"))
    assert Move("accept", "H1") not in net.moves(marking)
    assert Move("quarantine", "H1") not in net.moves(marking)


def test_nothing_lost_is_resumed(small: str) -> None:
    """A bag lost in quarantine is not released from it: only the other results remain."""
    net = with_(small, (LOST, DECIDED))
    marking = run(net, *COLLECT, Move("release", "H1"), Move("quarantine", "H1"))
    assert Move("decide", "judge", "H1", "again") in net.moves(marking)
    lost = net.fire(marking, Move("lose", "bag"))
    assert {m.result for m in net.moves(lost) if m.kind == "decide"} == {"end"}


def test_going_back_keeps_decisions_about_other_things(small: str) -> None:
    """An interrupt's decision is still awaited after another one has sent the journey back."""
    net = with_(
        small,
        ("then: {resume: true}", "then: {go: collect}"),
        ("interrupts:", "interrupts:\n  worse: {title: Patient worse, then: {decide: judge}}"),
    )
    marking = run(net, *COLLECT, Move("interrupt", "worse"), Move("lose", "bag"))
    assert [p.about for p in marking.pending] == ["worse"]


def test_a_decision_that_asks_another_lifts_no_quarantine(small: str) -> None:
    """While the second decision is awaited the bag stays isolated."""
    net = with_(
        small,
        ("then: {resume: true}", "then: {decide: board}"),
        (
            "  judge:\n",
            "  board: {title: B, role: clinic, kind: decision, on_demand: true,"
            " results: {end: {title: E, then: {end: stopped}}}}\n  judge:\n",
        ),
    )
    held = run(net, *COLLECT, Move("stop", "H1"), Move("decide", "judge", "H1", "again"))
    assert bag(held)[0] == QUARANTINED


def test_routes_that_exhaust_each_other_are_refused(small: str) -> None:
    """Two activities that send the journey to each other for ever are not possible."""
    net = with_(small, ("exhausted: {end: stopped}", "exhausted: {go: collect}"))
    marking = run(net, *COLLECT, Move("lose", "bag"), *COLLECT)
    with pytest.raises(NotPossible, match="circle"):
        net.fire(marking, Move("lose", "bag"))


WORK = """  culture:
    title: Culture
    role: clinic
    kind: process
    after: [collect]
    inputs: [bag]
    consumes: [bag]
"""


def test_a_bag_in_use_is_not_passed_on(small: str) -> None:
    """What a step is working on cannot be released, and what is being passed cannot be used up."""
    net = with_(small, ("handoffs:", WORK + "handoffs:"))
    used = run(net, *COLLECT, Move("start", "culture"))
    assert {v.rule for v in net.violations(used, Move("release", "H1"))} == {"custody"}
    passed = run(net, *COLLECT, Move("release", "H1"))
    assert {v.rule for v in net.violations(passed, Move("start", "culture"))} == {"custody"}


BOX = """  box: {title: Shipper, container: shipper, purpose: packaging}
steps:
  fetch: {title: Fetch, role: clinic, kind: prepare, outputs: [box]}
  pack:
    {title: Pack, role: clinic, kind: pack, after: [collect, fetch], inputs: [bag, box],
     packs: {bag: box}}
"""


def test_a_packed_bag_is_taken_out_before_it_is_worked_on(small: str) -> None:
    """Work on a bag that is still in its shipper, or packing it twice, is a violation."""
    net = with_(small, ("steps:\n", BOX + WORK.replace("[collect]", "[pack]")))
    packing = (
        Move("start", "fetch"),
        Move("finish", "fetch", result="done"),
        Move("start", "pack"),
    )
    marking = run(net, *COLLECT, *packing, Move("finish", "pack", result="done"))
    assert {v.rule for v in net.violations(marking, Move("start", "culture"))} == {"container"}
    assert {v.rule for v in net.violations(marking, Move("start", "pack"))} == {"container"}
    assert net.contents(marking, "box") == ("bag",)


def test_a_discarded_container_holds_nothing(small: str) -> None:
    """Going back to fetch a new shipper leaves the bag outside the old one."""
    net = with_(
        small,
        (
            "steps:\n",
            BOX.replace("purpose: packaging", "purpose: packaging, on_lost: {go: fetch}").replace(
                "kind: prepare", "kind: prepare, attempts: 3, exhausted: {end: stopped}"
            ),
        ),
        ("after: [collect]\n    carries: [bag]", "after: [pack]\n    carries: [box]"),
        (
            "then: {resume: true}",
            "then: {go: fetch}",
        ),
    )
    marking = run(
        net,
        *COLLECT,
        Move("start", "fetch"),
        Move("finish", "fetch", result="done"),
        Move("start", "pack"),
        Move("finish", "pack", result="done"),
        Move("stop", "H1"),
        Move("decide", "judge", "H1", "again"),
    )
    assert marking.materials[0].inside == -1
    assert marking.materials[0].state == LIVE


def test_accountability_handed_over_again_after_going_back(small: str) -> None:
    """A repeated handover to whoever is already accountable changes nothing and breaks nothing."""
    net = with_(
        small,
        ("    on_stop:", "    transfers_accountability: true\n    on_stop:"),
    )
    marking = run(net, *COLLECT, Move("release", "H1"), Move("accept", "H1"), Move("lose", "bag"))
    assert net.roles[marking.owner] == "courier"
    for move in (*COLLECT, Move("release", "H1"), Move("accept", "H1")):
        assert net.violations(marking, move) == []
        marking = net.fire(marking, move)
    assert net.roles[marking.owner] == "courier"


def test_one_move_is_permitted_exactly_when_it_is_listed(net: Net) -> None:
    """Asking for one move and listing all of them agree in every marking within six moves."""
    seen, todo = {net.initial()}, [net.initial()]
    every = set(net.moves(net.initial()))
    for _ in range(6):
        following = [(m, net.after(m, move)) for m in todo for move in net.moves(m)]
        every |= {move for m in todo for move in net.moves(m)}
        todo = [after for _, after in following if after not in seen]
        seen |= set(todo)
    for marking in seen:
        listed = set(net.moves(marking))
        assert {move for move in every if net.permits(marking, move)} == listed & every
    assert len(seen) > 10


def test_possible_is_what_is_under_way_or_enabled(sound: str) -> None:
    """At every marking within eight moves: asked of the table that is kept, or one by one."""
    net = Net(parse(sound).bind())
    seen = {net.initial()}
    edge = list(seen)
    for _ in range(8):
        edge = [net.fire(marking, move) for marking in edge for move in net.moves(marking)]
        edge = list({marking for marking in edge if marking not in seen})
        seen.update(edge)
    assert len(seen) > 50
    for marking in seen:
        assert list(net.possible(marking)) == [
            name
            for name in net.activities
            if net.state(marking, name) == OPEN or net.is_enabled(marking, name)
        ]
