"""Practice that scores recognition, learning curves, and the check on what changed for you."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills_ import drive
from site_ import Site
from stafett.journey.script import Fault
from stafett.protocol.diff import Change
from stafett.protocol.net import Net
from stafett.registry.practice import Result, curve, draw, judge
from stafett.registry.quiz import make, mine, passed
from stafett.service import practice as service
from stafett.service.refusal import No

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fault", "told_truth", "alarmed", "ended", "verdict"),
    [
        (True, True, False, True, "recognised"),
        (True, True, True, True, "recognised"),
        (True, False, False, True, "missed"),
        (True, False, True, True, "missed"),
        (True, None, True, True, "recognised"),
        (True, None, False, True, "missed"),
        (False, None, False, True, "clean"),
        (False, None, True, True, "false-alarm"),
        (True, None, False, False, "abandoned"),
    ],
)
def test_a_verdict_says_what_the_person_made_of_what_they_saw(
    fault: bool, told_truth: bool | None, alarmed: bool, ended: bool, verdict: str
) -> None:
    """Whoever answers what is wrong as if it were right has missed it, whatever else they did."""
    assert judge(fault=fault, told_truth=told_truth, alarmed=alarmed, ended=ended) == verdict


def result(person: str, verdict: str, at: int, seconds: float | None = None) -> Result:
    return Result(
        person=person, organisation="h", protocol="p", version="1", role="r", activity="H1",
        side="accept", fault="X" if verdict in ("recognised", "missed") else "",
        verdict=verdict, seconds=seconds, at=NOW + timedelta(hours=at),  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_learning_curve_counts_each_persons_attempts() -> None:
    """First drills of all people are the first point; what was given up is no attempt."""
    points = curve(
        [
            result("a", "missed", 1),
            result("b", "recognised", 2, 9.0),
            result("a", "abandoned", 3),
            result("a", "recognised", 4, 5.0),
            result("b", "clean", 5),
        ]
    )
    assert [(p.attempt, p.drills, p.right, p.seconds) for p in points] == [
        (1, 2, 1, 9.0),
        (2, 2, 2, 5.0),
    ]
    assert points[0].low < 0.5 < points[0].high
    root = ET.fromstring(draw(points, "Curve"))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 2
    assert draw([], "Curve") == ""


CHANGES = [
    Change("nurse", "limit", "H05", "time out of the cold: at most 4 h -> 2 h"),
    Change("nurse", "check", "H05", "new question: is the seal intact?"),
    Change("courier", "check", "H07", "new question: is the lid closed?"),
    Change("*", "gate", "infuse", "infuse needs the certificate first"),
    Change("qp", "sign", "H14", "1 -> 2 people sign"),
]


def test_the_check_asks_about_ones_own_changes_only() -> None:
    """One question a change; exactly one choice is true of the place that is asked about."""
    quiz = make(CHANGES, "nurse", "seed")
    own = mine(CHANGES, "nurse")
    assert len(quiz.questions) == len(own) == 3
    for question, right in zip(quiz.questions, quiz.right, strict=True):
        true_here = {c.what for c in own if c.where == question.where}
        assert [c in true_here for c in question.choices].count(True) == 1
        assert question.choices[right] in true_here
        assert len(set(question.choices)) == 3


@given(st.text(max_size=8), st.lists(st.integers(-1, 3), max_size=5))
def test_only_all_right_passes(seed: str, answers: list[int]) -> None:
    """Too few, too many or one wrong answer does not pass; the same seed asks the same."""
    quiz = make(CHANGES, "nurse", seed)
    assert make(CHANGES, "nurse", seed) == quiz
    assert (passed(quiz, answers) == []) == (tuple(answers) == quiz.right)
    assert passed(quiz, quiz.right) == []


def test_a_careful_person_recognises_and_a_careless_one_misses(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a receiving station with a choice that is wrong: the truth stops it, "fine" misses it."""
    login = "apheresis-unit-1"
    places = site.call(login, "GET", "/api/practice/places").json()
    assert places
    person = next(p for p in site.people if p.login == login)
    monkeypatch.setattr(service, "NOTHING_WRONG", 0.0)
    chosen = service._choose

    def answerable(net: Net, place: service.Place, rng: Random) -> Fault:
        """Choose what is answered and not scanned, where anything such can be wrong."""
        parts = service._sides(net.activity(place.activity))
        kinds = {k.id: k.kind for side, _, checks in parts if side == place.side for k in checks}
        faults = [chosen(net, place, rng) for _ in range(50)]
        waved = [f for f in faults if kinds[f.check] in ("choice", "quantity")]
        return (waved or faults)[0]

    monkeypatch.setattr(service, "_choose", answerable)
    seen: set[str] = set()
    for place in places[:6]:
        body = {k: place[k] for k in ("protocol", "activity", "side")}
        for careless in (False, True):
            try:
                drill = site.call(login, "POST", "/api/practice", json=body).json()
                kept = site.tower.practice._drills[drill["id"]]
            except KeyError:
                continue
            kind = next(
                c["kind"] for c in drill["station"]["checks"] if c["id"] == kept.fault.check
            )
            found = drive(site, login, drill, careless=careless)["result"]
            # A wrong label cannot be waved through: scanning it stops whoever scans it.
            expected = "missed" if careless and kind in ("choice", "quantity") else "recognised"
            assert found["verdict"] == expected, (place, kept.fault, found)
            seen.add(found["verdict"])
    assert seen == {"recognised", "missed"}
    results = site.inside(site.tower.practice.results(person.organisation))
    assert {r.person for r in results} == {person.id}
    curves = site.call(login, "GET", "/api/practice/curves").json()
    assert sum(p["drills"] for p in curves["organisation"]) == len(results)


def test_a_drill_is_its_persons_own_and_no_journey(site: Site) -> None:
    """Nobody else sees it; the board knows nothing of it; giving up is no attempt."""
    login = "apheresis-unit-1"
    place = site.call(login, "GET", "/api/practice/places").json()[0]
    body = {k: place[k] for k in ("protocol", "activity", "side")}
    drill = site.call(login, "POST", "/api/practice", json=body).json()
    path = f"/api/practice/{drill['id']}"
    assert site.call("apheresis-unit-2", "GET", path).status_code == 404
    rows = site.call(login, "GET", "/api/journeys").json()["rows"]
    assert all(row["journey"] != "PRACTICE" for row in rows)
    assert site.call(login, "DELETE", path).json()["result"]["verdict"] == "abandoned"
    again = site.call(login, "POST", f"{path}/commands", json={"command": {
        "type": "Start", "step": "x", "occurred_at": "2026-11-25T10:00:00Z"}})  # fmt: skip
    assert again.status_code == 409
    other = site.call(login, "POST", "/api/practice", json={**body, "activity": "H99"})
    assert other.status_code == 404


def test_reading_what_changed_grants_the_new_version(site: Site) -> None:
    """A new version takes the competence away; all answers right give it back until the old end."""
    login, role = "courier-1", "courier"
    person = next(p for p in site.people if p.login == login)
    library, training = site.tower.library, site.tower.training
    old = library.current()["autologous-car-t"]
    before = {(s.protocol, s.role): s for s in site.inside(training.standing(person))}
    ends = before[("autologous-car-t", role)].until
    assert ends is not None
    text = site.inside(_text(site, old.sha256)).replace(
        f'version: {old.version}'.encode(), b'version: "99.0"', 1
    ).replace(f'version: "{old.version}"'.encode(), b'version: "99.0"', 1)  # fmt: skip
    new = site.inside(library.admit(text))
    try:
        assert new.version == "99.0"
        standing = {(s.protocol, s.role): s for s in site.inside(training.standing(person))}
        mine_ = standing[("autologous-car-t", role)]
        assert (mine_.gap, mine_.can_read) == ("other-version", True)
        path = f"/api/training/autologous-car-t/{role}"
        reading = site.call(login, "GET", path).json()
        assert (reading["old"], reading["new"]) == (old.version, "99.0")
        done = site.call(login, "POST", path, json={"answers": [0] * len(reading["questions"])})
        if not done.json()["passed"]:
            pytest.fail(f"nothing changed for the courier, yet there were questions: {reading}")
        now = {(s.protocol, s.role): s for s in site.inside(training.standing(person))}
        assert now[("autologous-car-t", role)].until == ends
        assert site.call(login, "GET", path).status_code == 409
    finally:
        library._current["autologous-car-t"] = old.sha256
    with pytest.raises(No):
        site.inside(training.reading(person, "autologous-car-t", "qualified_person"))


async def _text(site: Site, sha256: str) -> bytes:
    async with site.tower.pool.connection() as connection:
        row = await (
            await connection.execute(
                "SELECT text FROM service.protocol WHERE sha256 = %s", (sha256,)
            )
        ).fetchone()
    assert row is not None
    return bytes(row[0])
