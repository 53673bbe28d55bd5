"""The proof says everything that is wrong, at its place."""

from __future__ import annotations

import pytest

from stafett.protocol.check import check, prove
from stafett.protocol.finding import Finding
from stafett.protocol.read import parse


def found(text: str, code: str) -> list[Finding]:
    return [finding for finding in check(parse(text, "x.yaml")) if finding.code == code]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("role: clinic", "role: klinic", "did you mean 'clinic'"),
        ("carries: [bag]", "carries: [bagg]", "no material 'bagg'"),
        ("after: [collect]", "after: [collekt]", "no step or handoff 'collekt'"),
        ("after: [collect]", "after: [collect=well]", "no result of collect 'well'"),
        ("{end: stopped}}", "{end: stoped}}", "no outcome 'stoped'"),
        ("{decide: judge}", "{decide: jugde}", "no step 'jugde'"),
        ("owner: clinic", "owner: klinic", "no role 'klinic'"),
    ],
)
def test_a_misspelt_name_is_found_with_the_nearest_one(
    small: str, old: str, new: str, says: str
) -> None:
    """Each kind of reference is resolved before anything else is examined."""
    findings = found(small.replace(old, new, 1), "unknown-name")
    assert any(says in finding.what for finding in findings)
    assert all(finding.place.line > 1 for finding in findings)


def test_all_misspelt_names_are_reported_at_once(small: str) -> None:
    """Two wrong names in one file are two findings."""
    text = small.replace("carries: [bag]", "carries: [bagg]").replace("decide: judge", "decide: j")
    assert len({f.what for f in found(text, "unknown-name")}) >= 2


def test_nothing_else_is_examined_while_names_do_not_resolve(small: str) -> None:
    """A net with unknown names has no meaning: the other groups say nothing, not even `holds`."""
    proof = prove(parse(small.replace("carries: [bag]", "carries: [bagg]")))
    assert proof.groups == ("names",)
    assert proof.held == ()


def test_the_sound_chain_has_no_error(sound: str) -> None:
    """A complete small chain checks clean, and all seven properties are said to hold."""
    proof = prove(parse(sound, "sound.yaml"))
    assert proof.errors == ()
    assert len(proof.held) == 7
    assert proof.markings > 100


def test_a_trace_can_be_made_step_by_step(sound: str) -> None:
    """The trace of a finding begins at the opened journey and ends at the move that breaks."""
    text = sound.replace(
        "giver: courier\n    receiver: plant", "giver: clinic\n    receiver: plant"
    )
    gap = next(finding for finding in found(text, "custody-gap"))
    assert gap.trace is not None
    assert gap.trace[0] == "clinic starts consent"
    assert gap.trace[-1] == "clinic releases H2 to plant"
    assert "clinic needs box_out, but courier holds it" in gap.what


def test_a_trace_counts_attempts(sound: str) -> None:
    """What happens only when the attempts are used up is shown after as many attempts."""
    text = sound.replace(
        "    exhausted: {end: not_treated}", "    exhausted: {end: nothing}", 1
    ).replace(
        "outcomes:\n",
        "outcomes:\n  nothing: {title: Nothing, owner: clinic, materials: none-left}\n",
    )
    (left,) = found(text, "material-left")
    assert left.trace is not None
    assert sum(move == "clinic starts collect" for move in left.trace) == 2


def test_death_does_not_count_as_a_way_out(sound: str) -> None:
    """A path that only ends when the patient dies stands still all the same."""
    text = sound.replace("after: [H8]", "after: [H8, make=failed]")
    stuck = found(text, "deadlock")
    assert any("infuse waits for make=failed" in finding.what for finding in stuck)


FRESH = (
    (
        "shelf_life: {at_most: 365 d, counts_from: make",
        "shelf_life: {at_most: 48 d, counts_from: make",
    ),
    ("after: [unpack_back, H7]", "after: [H3]"),
    ("after: [condition]", "after: [condition, unpack_back, H7]"),
    (
        "require: [consent=given, certify]\n    on_site: [dose]\n    at: lab",
        "require: [consent=given]",
    ),
)


def changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def test_lymphodepletion_before_a_product_that_keeps_is_an_error(sound: str) -> None:
    """A frozen dose can wait on site: lymphodepletion has to wait for it."""
    assert found(changed(sound, *FRESH), "conditioning-unready")


def test_lymphodepletion_before_a_fresh_product_is_a_warning(sound: str) -> None:
    """A fresh dose cannot wait for the lymphodepletion: the risk is named, not forbidden."""
    fresh = changed(sound, *FRESH).replace("at_most: 48 d, counts", "at_most: 48 h, counts")
    assert found(fresh, "conditioning-fresh")
    assert not found(fresh, "conditioning-unready")


def test_a_hole_that_all_products_share_is_reported_once(sound: str) -> None:
    """Two products, one missing route: one finding."""
    text = changed(sound, ("    on_lost: {go: collect}\n", "")).replace(
        "products:\n",
        "products:\n  other: {title: Other, parameters: {thawed_for: "
        "{value: 90 min, source: label}}}\n",
    )
    assert len(found(text, "no-loss-route")) == 1


@pytest.mark.parametrize(
    ("nasty", "said"), [(r"Con\u202Esent", "U+202E"), (r"Con\asent", "U+0007")]
)
def test_a_character_that_nobody_sees_is_found(sound: str, nasty: str, said: str) -> None:
    """What turns the text round, or is no letter, is named where it stands."""
    (one,) = found(sound.replace("title: Consent\n", f'title: "{nasty}"\n'), "unfit-part")
    assert said in one.what
    assert one.place.column == 5


@pytest.mark.parametrize("people", [0, -1, 10, 1_000_000])
def test_a_number_of_people_that_there_is_not_is_found(sound: str, people: int) -> None:
    """Nobody, and more than ever stand round one bag: nobody could make that check."""
    text = sound.replace("critical: true, people: 2", f"critical: true, people: {people}", 1)
    assert any("people" in one.what for one in found(text, "contradictory-limits"))


def test_a_million_signatures_are_found(sound: str) -> None:
    """A step that so many must sign never ends."""
    text = sound.replace("right patient, people: 2}", "right patient, people: 1000000}")
    assert found(text, "contradictory-limits")
