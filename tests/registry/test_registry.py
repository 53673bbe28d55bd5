"""The registry over a real record: public to read, kept by registrars, every version kept."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from register_exports import study
from site_ import Site
from stafett.registry import builtin
from stafett.registry.adoption import Assessment, may_follow


def put(site: Site, kind: str, value: dict[str, Any], login: str = "administrator", **more: Any):
    body = {"value": value, "reason": "test", **more}
    return site.call(login, "PUT", f"/api/registry/{kind}/{value['id']}", json=body)


def a_trial(**changes: Any) -> dict[str, Any]:
    return {
        "id": "TEST-100", "title": "A trial", "sponsor": "S", "status": "recruiting",
        "indications": ["Lymphoma"], **changes,
    }  # fmt: skip


def test_everyone_reads_the_list_and_its_open_data(site: Site) -> None:
    """With no sign-in: search, JSON, CSV, feed, sites, assessments, uptake after disclosure."""
    hits = site.call(None, "GET", "/api/registry/trials", params={"q": "lymphoma"}).json()
    assert hits["total"] > 0
    every = site.call(None, "GET", "/registry/trials.json").json()["trials"]
    lines = site.call(None, "GET", "/registry/trials.csv").text.splitlines()
    assert len(lines) == len(every) + 1
    assert "made up" in lines[1]
    assert site.call(None, "GET", "/registry/feed.atom").status_code == 200
    bodies = site.call(None, "GET", "/api/registry/assessments").json()
    assert {a["recommendation"] for a in bodies} >= {"wait", "not-recommended"}
    shown = site.call(None, "GET", "/api/registry/uptake").json()
    values = [p["value"] for line in shown for p in line["parts"].values()]
    assert all(v is None or v == 0 or v >= 5 for v in values) and None in values


def test_an_entry_keeps_every_version_with_its_reason(site: Site) -> None:
    """A change is a new version in the record; what was said before stays readable."""
    assert put(site, "trial", a_trial()).status_code == 200
    changed = put(site, "trial", a_trial(status="completed"), after=1)
    assert changed.json()["version"] == 2
    history = site.call(None, "GET", "/api/registry/trial/TEST-100").json()
    assert [(v["version"], v["value"]["status"], v["reason"]) for v in history] == [
        (1, "recruiting", "test"),
        (2, "completed", "test"),
    ]
    same = put(site, "trial", a_trial(status="completed"))
    assert same.json()["version"] == 2


def test_a_change_that_did_not_see_the_last_one_is_refused(site: Site) -> None:
    """Two people who change the same entry do not overwrite each other."""
    value = a_trial(id="TEST-101")
    put(site, "trial", value)
    put(site, "trial", {**value, "title": "Another title"}, after=1)
    late = put(site, "trial", {**value, "title": "A third title"}, after=1)
    assert late.status_code == 503 and late.json()["reasons"][0]["field"] == "after"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"status": "perhaps"}, "/value/status"),
        ({"indications": []}, "/value"),
        ({"url": "javascript:alert(1)"}, "/value/url"),
        ({"contact": {"email": "no"}}, "/value/contact/email"),
        ({"surprise": 1}, "/value/surprise"),
    ],
)
def test_what_does_not_fit_names_the_field(site: Site, changes: dict, field: str) -> None:
    """A wrong entry is refused with the place of the mistake, and nothing changes."""
    answer = put(site, "trial", a_trial(id="TEST-102", **changes))
    assert answer.status_code == 422
    assert answer.json()["reasons"][0]["field"] == field
    assert site.call(None, "GET", "/api/registry/trial/TEST-102").status_code == 404


def test_only_registrars_keep_the_registry(site: Site) -> None:
    """A nurse is refused; so is one who gives no reason."""
    assert put(site, "trial", a_trial(), login="apheresis-unit-1").status_code == 403
    no_reason = put(site, "trial", a_trial(id="TEST-103"), reason=" ")
    assert no_reason.status_code == 422 and "reason" in no_reason.text


def test_an_import_is_all_or_nothing_unless_asked(site: Site) -> None:
    """A broken row stops the whole file and is named; with `partial` the others are imported."""
    good = [study(f"NCT1000000{n}") for n in range(3)]
    data = json.dumps([*good, study("NCT9")]).encode()
    whole = site.call("administrator", "POST", "/api/registry/import", content=data)
    assert whole.status_code == 422 and whole.json()["reasons"][0]["field"] == "row 4"
    assert site.call(None, "GET", "/api/registry/trial/NCT10000000").status_code == 404
    tried = site.call(
        "administrator", "POST", "/api/registry/import?partial=true&dry_run=true", content=data
    )
    assert tried.json()["new"] == 3 and not tried.json()["written"]
    rest = site.call("administrator", "POST", "/api/registry/import?partial=true", content=data)
    assert (rest.json()["new"], len(rest.json()["problems"])) == (3, 1)
    again = site.call("administrator", "POST", "/api/registry/import?partial=true", content=data)
    assert (again.json()["new"], again.json()["same"]) == (0, 3)
    assert site.call(None, "GET", "/api/registry/trial/NCT10000000").status_code == 200


def test_another_process_sees_the_entries_and_a_restart_keeps_them(site: Site) -> None:
    """The registry is what the record says: a fresh reader of the ledger holds the same."""
    from stafett.service.registry import Registry

    async def fresh() -> list[Any]:
        other = Registry(site.tower.ledger, site.tower.documents)
        await other.refresh()
        return other.all("trial")

    assert site.inside(fresh()) == site.tower.registry.all("trial") != []


def test_the_board_is_not_disturbed_by_a_rooms_own_streams(site: Site) -> None:
    """An entry of the registry is no journey: the board goes on past it."""
    journey = site.order()
    put(site, "trial", a_trial(id="TEST-104"))
    rows = site.call("treating-clinic-1", "GET", "/api/journeys").json()
    assert journey in {row["journey"] for row in rows["rows"]}


def test_an_assessment_moves_forward_only() -> None:
    """What is decided is not un-decided: a new assessment replaces it."""
    wait = builtin.assessments("sweden")[0]
    back = msgspec.structs.replace(
        wait, stage="proposed", recommendation=None, decided=None, reasons=""
    )
    assert "decided" in (may_follow(wait, back) or "")
    assert may_follow(wait, msgspec.structs.replace(wait, stage="replaced")) is None
    other = msgspec.structs.replace(wait, product="Another")
    assert "product" in (may_follow(wait, other) or "")


def test_a_decision_needs_its_reasons() -> None:
    """A recommendation without reasons, date or named conditions cannot be written."""
    plain = msgspec.to_builtins(builtin.assessments("sweden")[1])
    for field in ("reasons", "decided", "recommendation", "conditions"):
        broken = {k: v for k, v in plain.items() if k != field}
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(broken, Assessment)


def test_the_bars_of_uptake_are_to_scale(site: Site) -> None:
    """One scale for all years: the longest is the whole width, each other as long as its rate."""
    page = site.call(None, "GET", "/registry/adoption", headers={"Accept": "text/html"}).text
    tables = [part for part in page.split("<h3>")[1:] if "<rect" in part]
    assert tables
    found = [
        pair
        for table in tables
        for pair in re.findall(
            r'<td class="n">([\d.]+)</td><td><svg[^>]*><rect width="([\d.]+)"', table
        )
    ]
    rates = [(float(rate), float(width)) for rate, width in found]
    top = max(rate for rate, _ in rates)
    assert max(width for _, width in rates) == 200
    assert all(abs(width - 200 * rate / top) < 1.5 for rate, width in rates), rates
