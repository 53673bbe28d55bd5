"""The audit trail in words: names, labels and the site's times; what was kept stays reachable."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from site_ import Site
from stafett.service.changes import Change
from stafett.service.competence import Wanted
from stafett.web import changed, zone
from stafett.web.language import words

SERVICE = Path(__file__).resolve().parents[2] / "src" / "stafett" / "service"
NAMES = changed.Names(
    people={"p-1": "Paula Holm"},
    organisations={"hub": "The Hub", "lab": "The Lab"},
    sites={"ward-9": "Ward 9"},
    networks={"north": "North"},
    providers={"idp": "The region's sign-in"},
    roles={"courier": "Transportör", "qualified_person": "Sakkunnig"},
    protocols={"car-t": "Autolog CAR-T"},
)
WHY = {"reason": "she moved to the ward"}


def change(what: str, about: str, before: Any = None, after: Any = None, **more: Any) -> Change:
    """A change as the trail keeps it."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    reason = more.get("reason", "a reason of its own")
    return Change(1, at, "admin", "hub", what, about, reason, before, after, 7)


def lines(one: Change, language: str = "sv") -> list[tuple[str, str, str]]:
    """The fields that are told."""
    return [(f.label, f.before, f.after) for f in changed.told(one, NAMES, language).fields]


def test_of_what_was_changed_only_what_differs_is_told_by_its_names() -> None:
    """A network is replaced whole; one role moved, one is no longer played."""
    old = {"title": "North", "courier": "hub", "qualified_person": "lab", "ward": "hub"}
    new = {"title": "North", "courier": "lab", "ward": "hub"}
    assert lines(change("network changed", "north", old, new)) == [
        ("Transportör", "The Hub", "The Lab"),
        ("Sakkunnig", "The Lab", "–"),
    ]
    assert changed.told(change("network changed", "north"), NAMES, "sv").about == "North"


def test_a_moment_is_told_in_the_readers_zone_and_every_version_in_words() -> None:
    """A grant is kept in UTC and with `*`; nobody reads those."""
    after = [{"person": "p-1", "protocol": "car-t", "version": "*", "role": "courier",
              "valid_until": "2027-06-30T22:00:00+00:00"}]  # fmt: skip
    stockholm = copy_context()  # as a request has one of its own
    stockholm.run(zone.stand_in, "Europe/Stockholm")
    given = change("competence granted", "p-1", None, after)
    told = stockholm.run(changed.told, given, NAMES, "sv")
    (field,) = told.fields
    assert (told.about, field.label) == ("Paula Holm", "Paula Holm")
    assert "1 juli 2027 00:00:00 CEST" in field.after
    assert "Autolog CAR-T" in field.after and "alla versioner" in field.after


def granted(people: list[str], **more: str) -> list[dict[str, Any]]:
    """Many grants at once, as the trail keeps them."""
    until = {"valid_until": "2027-06-30T22:00:00+00:00"}
    one = {"protocol": "car-t", "version": "*", "role": "courier", **until, **more}
    return [{"person": person, **one} for person in people]


def test_many_at_once_are_counted_and_each_is_told_below() -> None:
    """Sixteen grants: three names and how many more; what all share is said once."""
    many = [f"p-{n}" for n in range(1, 16)]
    after = [*granted(many), *granted(["p-1"], role="qualified_person")]
    cut = ", ".join(many)[:50]  # as the trail kept it before: in the middle of a name
    told = changed.told(change("competence granted", cut, None, after), NAMES, "sv")
    assert told.about == "Paula Holm, p-2, p-3 och 12 till"
    said = {f.label: f.after for f in told.fields}
    assert (said["Antal på en gång"], said["Personer"]) == ("16", "15")
    assert said["Roll"] == "Transportör (15), Sakkunnig (1)"
    assert said["Protokoll"] == "Autolog CAR-T"
    assert len(told.each) == 16
    assert (told.each[0].label, told.each[0].after) == ("Paula Holm", "Roll: Transportör")


def test_a_few_at_once_are_told_one_by_one() -> None:
    """Four lines are read faster than what sums them up."""
    four = granted(["p-1", "p-2", "p-3", "p-4"])
    told = changed.told(change("competence granted", "p-1, p-2, p-3, p-4", None, four), NAMES, "en")
    assert told.about == "Paula Holm, p-2, p-3, p-4"
    assert len(told.fields) == 4 and told.each == []


def test_codes_are_told_by_the_words_of_the_page() -> None:
    """Duties, kinds, countries and languages, in lists too."""
    old = {"duties": ["quality"], "language": "", "site": ""}
    new = {"duties": ["quality", "auditor"], "language": "es", "site": "ward-9"}
    assert lines(change("person changed", "p-1", old, new)) == [
        ("Enhet", "–", "Ward 9"),
        ("Uppdrag i Stafett", "Kvalitet", "Kvalitet, Revisor"),
        ("Språk", "–", "Español"),
    ]
    made = {"id": "lab", "kind": "laboratory", "country": "ES"}
    told = lines(change("organisation added", "lab", None, made))
    assert ("Land", "", "Spanien") in told and ("Slags organisation", "", "laboratorium") in told


def test_what_nobody_has_a_name_for_stays_as_it_is() -> None:
    """An organisation that is gone, a field of a later release: shown, not lost."""
    told = lines(change("network changed", "x", {"new_role": "gone"}, {"new_role": "hub"}))
    assert told == [("new role", "gone", "The Hub")]


def test_what_was_kept_is_there_whole() -> None:
    """Whoever doubts the words finds the values."""
    old, new = {"courier": "hub"}, {"courier": "lab"}
    kept = json.loads(changed.told(change("network changed", "north", old, new), NAMES, "es").raw)
    assert (kept["before"], kept["after"], kept["about"]) == (old, new, "north")


@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_every_change_that_the_service_makes_has_words(language: str) -> None:
    """Also the next one: whoever makes a new kind of change names it."""
    kinds = set()
    for file in SERVICE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "making":
                kinds |= {
                    one.value for one in ast.walk(node.args[1])
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }  # fmt: skip
    whole = {kind for kind in kinds if not kind.endswith(" ")}  # "label " is put together
    assert len(whole) > 8
    known = {key.removeprefix("change.") for key in words(language) if key.startswith("change.")}
    assert whole <= known


def test_the_page_shows_names_and_unfolds_what_was_kept(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """In the reader's language, clean by axe, at the width of a telephone too."""
    place = {"name": "Avdelning 9", "time_zone": "Europe/Stockholm"}
    for body in (place, {**place, "name": "Avdelning 9, plan 3"}):
        path = "/api/admin/sites/ward-9"
        assert site.call("administrator", "PUT", path, json={**body, **WHY}).status_code == 204
    page = browser_of("administrator", "sv")
    page.goto("/audit/changes")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("enhet ändrad")
    expect(row.locator("li")).to_have_text(
        re.compile(r"Namn\s+Före: Avdelning 9\s+→\s+Efter: Avdelning 9, plan 3")
    )
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text('"about": "ward-9"')
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert Axe().run(page).response["violations"] == []
    shoot(page, "audit-changes-sv-320")


def test_a_grant_to_many_keeps_whole_names_and_is_found_by_each(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """The line that is kept ends with a name; the last of them finds the change too."""
    own = [p for p in site.people if p.organisation == "university-hospital" and p.roles]
    admin = next(p for p in site.people if p.id == "administrator")
    ahead, why, last = datetime.now(UTC) + timedelta(days=300), "the yearly round", own[-1]
    grants = [Wanted(p.id, "*", "*", role, ahead) for p in own for role in p.roles]
    site.inside(site.tower.competences.grant(admin, grants, why))
    asked = {"person": last.id}
    kept = site.call("administrator", "GET", "/api/audit/changes", params=asked).json()[0]
    *named, more = kept["about"].split(", ")
    assert len(kept["about"]) <= 210 and more == f"+{len(own) - len(named)}"
    assert named == [p.id for p in own][: len(named)]
    page = browser_of("administrator")
    page.goto(f"/audit/changes?person={last.id}")
    row = page.locator("tbody tr").filter(has_text=why)
    expect(row.locator("td").nth(3)).to_have_text(
        f"{', '.join(p.name for p in own[:3])} and {len(own) - 3} more"
    )
    assert row.evaluate("(e) => e.offsetHeight") < 400
    row.locator("details.each > summary").click()
    expect(row.locator("details.each li")).to_have_count(len(grants))
    expect(row).to_contain_text(last.name)
    assert Axe().run(page).response["violations"] == []
    shoot(page, "audit-changes-many")
