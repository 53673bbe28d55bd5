"""A training that is asked of a site is met by what its people are competent for, now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from site_ import Site
from stafett.registry import readiness as r
from stafett.registry.competence import Grant
from stafett.registry.requirement import Requirement, RequirementList, compare
from stafett.registry.trained import Trained, trained

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
YEAR = NOW + timedelta(days=365)
SITE, ASKER = "administrator", "manufacturer-admin"


def grant(person: str, role: str = "lab", until: datetime = YEAR, **more: Any) -> Grant:
    begins = NOW - timedelta(days=30)
    return Grant(person, "p", more.pop("version", "1.0"), role, begins, until, "a", "", **more)


def asks(number: int | None = None, *roles: str) -> Requirement:
    limit: dict[str, Any] = {"ask": "at-least", "number": number, "unit": "people"}
    return Requirement(
        topic="training.thaw",
        title="Thaw",
        kind="training",
        roles=roles,
        **(limit if number else {}),
    )


def count(asked: Requirement, *grants: Grant, at: datetime = NOW) -> Trained:
    roles = {g.person: frozenset({"lab", "ward"}) for g in grants}
    return trained(asked, grants, roles, "p", "1.0", at)


def test_so_many_different_people_as_are_asked_for() -> None:
    """One person twice is one; another version, an ended or withdrawn grant is none."""
    assert count(asks(2), grant("a"), grant("b")).met
    assert not count(asks(2), grant("a"), grant("a", "ward")).met
    for not_now in (
        grant("b", version="0.9"),
        grant("b", until=NOW),
        grant("b", withdrawn=NOW - timedelta(days=1)),
    ):
        found = count(asks(2), grant("a"), not_now)
        assert (found.people, found.needed, found.met) == (1, 2, False)
    assert count(asks(), grant("a")).met and not count(asks()).met


def test_somebody_in_each_role_that_is_named() -> None:
    """Two on the ward are no laboratory; a role that the person no longer has does not count."""
    assert not count(asks(2, "lab", "ward"), grant("a", "ward"), grant("b", "ward")).met
    assert count(asks(2, "lab", "ward"), grant("a", "ward"), grant("b")).met
    found = trained(asks(1), [grant("a")], {"a": frozenset({"ward"})}, "p", "1.0", NOW)
    assert not found.met


def test_it_ends_when_one_too_few_are_left() -> None:
    """Three where two are asked for: it holds until the second of them ends."""
    ends = [NOW + timedelta(days=d) for d in (10, 20, 30)]
    found = count(asks(2), *(grant(p, until=e) for p, e in zip("abc", ends, strict=True)))
    assert found.met and found.until == ends[1]


def test_an_acceptance_holds_no_longer_than_the_competence_it_rests_on() -> None:
    """Twelve months are asked for, the grants end in ten days: so does the acceptance."""
    asked = RequirementList(
        id="m", organisation="m", protocol="p", version="1", requirements=(asks(1),)
    )
    state = r.evolve(None, r.Opened(at=NOW, by="a", site="s", asks=asked))
    now_met = count(asks(1), grant("a", until=NOW + timedelta(days=10)))
    shown = r.Shown(at=NOW, by="s", topic="training.thaw", evidence="x", trained=now_met)
    state = r.evolve(state, r.decide(state, shown, "site", NOW))
    accepted = r.decide(state, r.Accepted(at=NOW, by="a", topic="training.thaw"), "asker", NOW)
    assert isinstance(accepted, r.Accepted) and accepted.until == NOW + timedelta(days=10)


def test_other_roles_are_another_requirement() -> None:
    """A ward that is trained says nothing of a laboratory; a document names no roles."""
    assert compare(asks(2, "lab"), asks(2, "ward")) == "different"
    with pytest.raises(ValueError, match="only a training"):
        Requirement(topic="a.b", title="t", kind="document", roles=("lab",))


def test_the_site_shows_its_training_by_the_competence_of_its_people(site: Site) -> None:
    """Words alone do not: refused with the grants withdrawn, shown with them back, in counts."""
    topic = "training.crs"
    body = {"site": "university-hospital", "list": "malaren-cell-works"}
    site.call(SITE, "POST", "/api/onboardings", json=body)
    path = "/api/onboardings/university-hospital.malaren-cell-works"
    show = {"act": "show", "topic": topic, "text": "they were trained, believe us"}
    before = site.call(SITE, "GET", path).json()["trained"][topic]
    assert before["met"] and before["people"] >= 1
    assert {one["role"] for one in before["roles"]} == {"treating_clinic"}
    people = {p.id for p in site.people if "treating_clinic" in p.roles}

    async def withdrawn() -> list[Any]:
        tower = site.tower
        by = next(p for p in site.people if p.login == SITE)
        gone = [
            g
            for g in await tower.competences.of_organisation("university-hospital")
            if g.person in people and g.protocol == "autologous-car-t" and g.withdrawn is None
            and g.role == "treating_clinic"
        ]  # fmt: skip
        for one in gone:
            await tower.competences.withdraw(by, one.id, "test")
        return gone

    gone = site.inside(withdrawn())
    refused = site.call(SITE, "POST", f"{path}/acts", json=show)
    assert refused.status_code == 409 and refused.json()["reasons"][0]["field"] == "training"
    assert "0 of 1 people are competent now" in refused.text
    assert not site.call(ASKER, "GET", path).json()["trained"][topic]["met"], "both sides see it"

    async def back() -> None:
        from stafett.service.competence import Wanted

        by = next(p for p in site.people if p.login == SITE)
        await site.tower.competences.grant(
            by,
            [Wanted(g.person, g.protocol, g.version, g.role, g.valid_until) for g in gone],
            "test",
        )

    site.inside(back())
    shown = site.call(SITE, "POST", f"{path}/acts", json=show).json()["items"][topic]
    assert shown["status"] == "shown" and shown["trained"]["met"]
    told = str(site.call(ASKER, "GET", path).json()["items"][topic]["trained"])
    assert not any(person in told for person in people), "counts, no names"
    accepted = site.call(ASKER, "POST", f"{path}/acts", json={"act": "accept", "topic": topic})
    until = accepted.json()["items"][topic]["until"]
    assert until is not None and until <= shown["trained"]["until"]
    # A grant that is withdrawn afterwards withdraws no acceptance: both sides are told, and decide.
    site.inside(withdrawn())
    for side in (SITE, ASKER):
        seen = site.call(side, "GET", path).json()
        assert seen["items"][topic]["status"] == "accepted" and not seen["trained"][topic]["met"]
    for side in (SITE, ASKER):
        page = site.call(side, "GET", "/onboarding/university-hospital.malaren-cell-works")
        assert "not met by current competence" in page.text
    site.inside(back())
    assert site.call(ASKER, "GET", path).json()["trained"][topic]["met"]
