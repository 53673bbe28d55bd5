"""What changed between two versions, and for whom."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.protocol import builtin
from stafett.protocol.diff import Change, diff, lines
from stafett.protocol.model import Protocol
from stafett.protocol.read import parse


def source() -> str:
    """Return the text of the built-in CAR-T protocol."""
    from importlib import resources

    folder = resources.files("stafett") / "catalogue" / "protocols"
    return (folder / "autologous-car-t.yaml").read_text("utf-8")


def bound(text: str) -> Protocol:
    """Return the protocol that `text` is."""
    return parse(text).bind()


@pytest.mark.parametrize("name", builtin.names())
def test_nothing_changes_between_a_protocol_and_itself(name: str) -> None:
    """The same file twice: no change, for every product."""
    document = builtin.load(name)
    for product in document.products or (None,):
        assert diff(document.bind(product), document.bind(product)) == []


def changes(small: str, old: str, new: str) -> list[Change]:
    """Return what replacing `old` by `new` in the small protocol changes."""
    assert old in small
    return diff(bound(small), bound(small.replace(old, new, 1)))


def test_a_new_question_is_the_business_of_the_side_that_answers_it(small: str) -> None:
    """A check added to the receiver's side is the receiver's change, and nobody else's."""
    check = "{id: look, ask: Intact?, kind: choice, choices: {y: {title: 'Yes', means: pass}}}"
    found = changes(
        small,
        "accept: {sign: {meaning: Accepted}}",
        f"accept: {{sign: {{meaning: Accepted}}, checks: [{check}]}}",
    )
    assert [(c.role, c.kind, c.where) for c in found] == [("courier", "check-added", "H1")]
    assert "Intact?" in found[0].what


def test_another_giver_concerns_all_who_meet(small: str) -> None:
    """Who gives or receives is told to the old party and to the new ones."""
    found = changes(small, "receiver: courier", "receiver: clinic")
    assert {c.role for c in found if c.kind == "parties"} == {"clinic", "courier"}


def test_a_limit_says_whether_it_is_stricter(small: str) -> None:
    """A limit that shrinks is stricter, one that grows is looser, with both numbers."""
    base = small.replace(
        "carries: [bag]", "carries: [bag]\n    takes: {at_most: 2 h, proposal: true}"
    )
    stricter = diff(bound(base), bound(base.replace("2 h", "90 min")))
    assert {c.role for c in stricter} == {"clinic", "courier"}
    assert all("2 h -> 90 min (stricter)" in c.what for c in stricter)
    looser = diff(bound(base.replace("2 h", "90 min")), bound(base))
    assert all("looser" in c.what for c in looser)


def test_a_step_that_is_gone_is_told_to_who_did_it(small: str) -> None:
    """What a role no longer has to do is its change."""
    without = small.replace("    after: [collect]\n", "").replace("    carries: [bag]\n", "")
    extra = small.replace(
        "  judge:", "  wash:\n    title: Wash\n    role: clinic\n    kind: process\n  judge:"
    )
    found = diff(bound(extra), bound(small))
    assert [(c.role, c.kind) for c in found] == [("clinic", "removed")]
    assert {c.kind for c in diff(bound(small), bound(without))} == {"order", "flow"}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("on_stop: {decide: judge}", "on_stop: {end: stopped}", "route"),
        ("attempts: 2", "attempts: 3", "flow"),
        ("meaning: Released", "meaning: Let go", "signature"),
        ("{title: Stopped, owner: clinic", "{title: Ended, owner: clinic", "outcomes"),
        ("title: Leukapheresis bag", "title: Apheresis bag", "materials"),
        ("then: {resume: true}", "then: {end: stopped}", "result"),
    ],
)
def test_each_kind_of_change_is_named(small: str, old: str, new: str, kind: str) -> None:
    """Routes, attempts, signatures, outcomes, materials and results each have their name."""
    assert kind in {c.kind for c in changes(small, old, new)}


def test_a_check_that_no_longer_stops_is_told_to_who_answers_it() -> None:
    """A critical check made harmless is told to each role that answers it, in the same words."""
    old = builtin.load("autologous-car-t").bind()
    text = source()
    flipped = text.replace("critical: true", "critical: false", 1)
    found = diff(old, bound(flipped))
    assert {c.kind for c in found} == {"check-changed"}
    assert len({c.what for c in found}) == 1
    assert "no longer stops" in found[0].what


def test_the_report_names_those_for_whom_nothing_changes(small: str) -> None:
    """Roles without a change are listed at the end."""
    new = bound(small.replace("meaning: Released", "meaning: Let go"))
    told = "\n".join(lines(bound(small), new, diff(bound(small), new)))
    assert "For Clinic:" in told and "Nothing changes for: Courier." in told


def test_the_command_says_no_change_by_its_exit_status() -> None:
    """Exit status 0 when nothing changed, 2 when a file is not there."""
    same = CliRunner().invoke(main, ["protocol", "diff", "allogeneic", "allogeneic"])
    assert same.exit_code == 0 and "Nothing changes for" in same.output
    missing = CliRunner().invoke(main, ["protocol", "diff", "allogeneic", "no-such.yaml"])
    assert missing.exit_code == 2 and "no-such.yaml" in missing.output


def test_a_document_is_told_of_to_who_attaches_it(sound: str) -> None:
    """Which fields came and went, to the role that writes them down; to nobody else."""
    new = sound.replace("fields: [batch, results]", "fields: [batch, method]")
    assert new != sound
    changes = diff(parse(sound).bind(), parse(new).bind())
    what = "now states method; no longer states results"
    assert [(c.role, what in c.what) for c in changes] == [("plant", True)]


def test_a_limit_that_comes_or_goes_is_not_called_unlimited(sound: str) -> None:
    """A deadline that is new had no limit before; one that is gone says what it was."""
    new = sound.replace("    takes: {at_most: 14 d, source: label}\n    esc", "    esc")
    assert new != sound
    said = [c.what for c in diff(parse(sound).bind(), parse(new).bind())]
    assert said == ["time allowed is gone (it was 14 d)"]
    back = [c.what for c in diff(parse(new).bind(), parse(sound).bind())]
    assert back == ["time allowed is now 14 d (there was none)"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [("min: 0.05, max: 0.5", []), ("min: 0.05, max: 0.4", ["max 0.5 -> 0.4 L (stricter)"])],
)
def test_a_limit_in_another_unit_is_the_same_limit(
    sound: str, limits: str, said: list[str]
) -> None:
    """500 mL that became 0.5 L changes the unit; 0.4 L is stricter, and not a thousand times."""
    old = "unit: mL, min: 50, max: 500"
    found = diff(bound(sound), bound(sound.replace(old, f"unit: L, {limits}")))
    told = " ".join(str(change) for change in found)
    assert "unit mL -> L" in told
    assert all(one in told for one in said)
    assert ("stricter" in told or "looser" in told) == bool(said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "identity, severity: critical}", "identity, severity: minor}",
            ["Identity does not match changed", "severity: critical -> minor"],
        ),
        (
            "then: {end: withdrawn}", "then: {decide: board}",
            ["Consent withdrawn changed", "then: end withdrawn -> decide board"],
        ),
        (", kept: true", "", ["Donation identification number changed", "kept: True -> False"]),
        ("owner: clinic\n\n", "owner: clinic\nscans: {at_most: 5 min, proposal: true}\n\n",
         ["the age that a scan may have is now 5 min (there was none)"]),
    ],
)  # fmt: skip
def test_what_is_nobodys_alone_is_told_with_what_it_was(
    sound: str, old: str, new: str, said: list[str]
) -> None:
    """A severity, a route, a scan's age: everybody reads from what to what."""
    changed = sound.replace(old, new, 1)
    assert changed != sound
    found = diff(bound(sound), bound(changed))
    assert [change.what for change in found] == said
    assert {change.role for change in found} == {"*"}


def test_an_answer_that_means_something_else_is_told_with_both(sound: str) -> None:
    """Who may not pass any longer, or all at once passes, reads it."""
    changed = sound.replace(
        "title: Could not be seen, means: unknown", "title: Could not be seen, means: pass", 1
    )
    said = [change.what for change in diff(bound(sound), bound(changed))]
    assert any("'Could not be seen' now means pass, it meant unknown" in one for one in said)
