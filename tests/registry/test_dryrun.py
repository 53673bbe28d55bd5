"""The dry run of a site, interface by interface, and the signatures of an onboarding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from stafett.registry import readiness as rules
from stafett.registry.dryrun import Leg, is_of, left, run
from stafett.registry.practice import Result
from stafett.registry.requirement import Requirement, RequirementList
from stafett.service.accounts import Person
from stafett.service.ready_signature import sealed, to_sign

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LEGS = (
    Leg(activity="H01", side="release", role="nurse"),
    Leg(activity="H02", side="accept", role="nurse"),
)
LIST = RequirementList(
    id="maker", organisation="maker", protocol="car-t", version="1",
    requirements=(Requirement(topic="run", title="Dry run", kind="dry-run"),),
)  # fmt: skip


def drilled(activity: str, side: str, verdict: str, hours: float) -> Result:
    plain: dict[str, Any] = {
        "person": "p", "organisation": "o", "protocol": "car-t", "version": "1.1.0",
        "role": "nurse", "activity": activity, "side": side, "fault": "", "verdict": verdict,
        "seconds": 3.0, "at": NOW + timedelta(hours=hours),
    }  # fmt: skip
    return msgspec.convert(plain, Result)


def test_the_newest_drill_of_an_interface_counts() -> None:
    """A miss is mended by doing it again, and undone by missing again; giving up is no drill."""
    done = [
        drilled("H01", "release", "missed", 1),
        drilled("H01", "release", "clean", 2),
        drilled("H02", "accept", "recognised", 3),
        drilled("H02", "accept", "abandoned", 4),
    ]
    assert left(run(LEGS, done, NOW)) == []
    again = run(LEGS, [*done, drilled("H01", "release", "false-alarm", 5)], NOW)
    assert [leg.activity for leg in left(again)] == ["H01"]


def test_what_was_done_before_the_onboarding_or_elsewhere_counts_not() -> None:
    """Another side, another interface or an earlier day leave the leg open."""
    done = [
        drilled("H01", "accept", "clean", 1),
        drilled("H02", "accept", "clean", -1),
        drilled("H09", "release", "clean", 1),
    ]
    assert left(run(LEGS, done, NOW)) == list(LEGS)


@pytest.mark.parametrize(
    ("version", "asked", "holds"),
    [("1.1.0", "1", True), ("1.1.0", "1.1.0", True), ("11.0.0", "1", False), ("2.0", "1", False)],
)
def test_a_version_is_named_whole_or_by_its_beginning(
    version: str, asked: str, holds: bool
) -> None:
    """ "1" asks for any 1.x, never for 11."""
    assert is_of(version, asked) is holds


def test_an_unfinished_run_cannot_be_shown() -> None:
    """The reason names the interfaces that are left; a finished one stands with the item."""
    state = rules.replay([rules.Opened(at=NOW, by="a", site="s", asks=LIST)])
    shown = rules.Shown(at=NOW, by="a", topic="run", evidence="done", run=LEGS)
    with pytest.raises(rules.Not, match="H01 release, H02 accept"):
        rules.decide(state, shown, "site", NOW)
    legs = run(LEGS, [drilled("H01", "release", "clean", 0),
                      drilled("H02", "accept", "clean", 0)], NOW)  # fmt: skip
    good = msgspec.structs.replace(shown, run=legs)
    after = rules.evolve(state, rules.decide(state, good, "site", NOW))
    assert after.items["run"].run == legs
    assert rules.from_json(msgspec.json.decode(msgspec.json.encode(good))) == good


def test_a_signature_that_is_not_of_this_content_is_told() -> None:
    """Other content, place, person or digest: each is wrong; the right one holds."""
    state = rules.replay([rules.Opened(at=NOW, by="a", site="s", asks=LIST)])
    person = Person("ann", "ann", "Ann Berg", "hospital", ("nurse",), ())
    due = to_sign("s.maker", state, 3, ("ann", "hospital"), "site", NOW)
    body = {"signature": msgspec.to_builtins(due.by(person, "password")), "signed": due.value}
    found = sealed(body, due)
    assert found is not None and found.wrong == "" and found.name == "Ann Berg"
    assert sealed({}, due) is None
    other = to_sign("s.maker", state, 4, ("ann", "hospital"), "site", NOW)
    one = due.by(person, "password")
    bob = msgspec.structs.replace(person, id="bob")
    for what, changed in {
        "another place": {**body, "signed": other.value},
        "another digest": {**body, "signature": msgspec.to_builtins(other.by(person, "password"))},
        "another person": {**body, "signature": msgspec.to_builtins(due.by(bob, "password"))},
        "a passkey without its proof": {
            **body, "signature": msgspec.to_builtins(msgspec.structs.replace(one, method="passkey"))
        },
    }.items():  # fmt: skip
        wrong = sealed(changed, due)
        assert wrong is not None and wrong.wrong, what
