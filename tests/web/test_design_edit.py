"""Editing a network: by API, and on the page by keyboard; own systems run like built-in ones."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from axe_ import violations
from site_ import Site
from stafett.design.reading import document, document_of

CLINIC, COURIER = "treating-clinic-1", "courier-1"


def text(name: str, base: str = "sweden-aav", **more: Any) -> str:
    """A network of one's own, as JSON."""
    return json.dumps({**document(base).value, "network": name, **more})


def put(site: Site, name: str, after: int = 0, login: str = CLINIC, **more: Any) -> Any:
    """Save one."""
    body = {"text": text(name, **more), "reason": "a test of it", "after": after}
    return site.call(login, "PUT", f"/api/design/own/{name}", json=body)


def test_an_own_network_is_saved_listed_looked_at_and_downloaded_as_a_file(
    site: Site, tmp_path: Path
) -> None:
    """The file goes straight into `stafett design check`."""
    first = put(site, "api-net").json()
    assert (first["version"], first["reason"]) == (1, "a test of it")
    assert put(site, "api-net", 1, title="Newer").json()["version"] == 2
    listed = site.call(CLINIC, "GET", "/api/design/own").json()
    assert [(x["version"], x["title"]) for x in listed if x["name"] == "api-net"] == [(2, "Newer")]
    both = site.call(CLINIC, "GET", "/api/design/own/api-net").json()
    assert [x["version"] for x in both] == [2, 1]
    looked = site.call(CLINIC, "GET", "/api/design/own/api-net/1").json()
    assert looked["version"]["saved_by"] == both[1]["saved_by"]
    file = site.call(CLINIC, "GET", "/api/design/own/api-net/2/network.yaml")
    assert "api-net-v2.yaml" in file.headers["content-disposition"]
    (tmp_path / "net.yaml").write_text(file.text, "utf-8")
    command = [Path(sys.executable).with_name("stafett"), "design", "check", "net.yaml"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and "nothing wrong" in checked.stdout, checked.stderr
    known = [x["name"] for x in site.call(CLINIC, "GET", "/api/design/networks").json()]
    assert "sweden" in known and "api-net@2" in known
    figures = site.call(CLINIC, "GET", "/api/design/networks/api-net@1").json()
    assert any(x["path"] == "patients.per_year" for x in figures)


def test_another_organisation_gets_404_and_can_run_none_of_it(site: Site) -> None:
    """As if it were not there, by every way."""
    assert put(site, "only-ours").status_code == 200
    for path in (
        "own/only-ours",
        "own/only-ours/1",
        "own/only-ours/1/network.yaml",
        "networks/only-ours@1",
    ):
        assert site.call(CLINIC, "GET", f"/api/design/{path}").status_code == 200, path
        assert site.call(COURIER, "GET", f"/api/design/{path}").status_code == 404, path
    assert "only-ours" not in str(site.call(COURIER, "GET", "/api/design/own").json())
    assert "only-ours" not in str(site.call(COURIER, "GET", "/api/design/networks").json())
    wish = {"networks": ["only-ours@1"], "replications": 2, "years": 0.25}
    refused = site.call(COURIER, "POST", "/api/design/runs", json=wish)
    assert refused.status_code == 422 and refused.json()["reasons"][0]["field"] == "/networks"
    page = {"Accept": "text/html"}
    for address in ("/design/edit?from=only-ours@1", "/design?network=only-ours@1"):
        assert site.call(COURIER, "GET", address, headers=page).status_code == 404


def test_a_network_is_withdrawn_by_its_own_organisation_and_stays_readable(site: Site) -> None:
    """Offered nowhere any more; by its exact version it is shown, downloaded and run again."""
    for name in ("goes", "stays"):
        assert put(site, name).status_code == 200
    why = {"reason": "nobody wants it", "version": 1}
    assert site.call(COURIER, "DELETE", "/api/design/own/goes", json=why).status_code == 404
    gone = site.call(CLINIC, "DELETE", "/api/design/own/goes", json=why).json()
    assert gone["withdrawn"]["reason"] == "nobody wants it"
    for path in ("own", "networks"):
        names_ = str(site.call(CLINIC, "GET", f"/api/design/{path}").json())
        assert "stays" in names_ and "goes" not in names_, path
    looked = site.call(CLINIC, "GET", "/api/design/own/goes").json()
    assert looked[0]["withdrawn"] == gone["withdrawn"]
    for path in ("own/goes/1", "own/goes/1/network.yaml", "networks/goes@1"):
        assert site.call(CLINIC, "GET", f"/api/design/{path}").status_code == 200, path
        assert site.call(COURIER, "GET", f"/api/design/{path}").status_code == 404, path
    wish = {"networks": ["goes"], "replications": 2, "years": 0.25}
    assert site.call(CLINIC, "POST", "/api/design/runs", json=wish).status_code == 422
    exact = site.call(CLINIC, "POST", "/api/design/runs", json={**wish, "networks": ["goes@1"]})
    assert exact.status_code == 202
    site.call(CLINIC, "DELETE", f"/api/design/runs/{exact.json()['id']}")
    for body, status in ((why, 409), ({"version": 1}, 422), ({**why, "reason": " "}, 422)):
        assert site.call(CLINIC, "DELETE", "/api/design/own/goes", json=body).status_code == status
    assert put(site, "goes", 0).json()["version"] == 2
    assert "goes" in str(site.call(CLINIC, "GET", "/api/design/own").json())


@pytest.mark.parametrize(
    ("name", "body", "status", "field"),
    [
        ("bad", {}, 422, "/text"),
        ("bad", {"text": "x"}, 422, "/reason"),
        ("bad", {"text": 7, "reason": "because"}, 422, "/text"),
        ("bad", {"text": "x", "reason": "because", "own": 1}, 422, ""),
        ("bad", {"text": "network: [", "reason": "because"}, 422, ""),
        ("bad", {"text": text("bad"), "reason": "x"}, 422, "reason"),
        ("BAD", {"text": text("BAD"), "reason": "because"}, 422, "name"),
        ("spain", {"text": text("spain"), "reason": "because"}, 409, "name"),
        ("bad", {"text": text("worse"), "reason": "because"}, 422, "network"),
        ("bad", {"text": text("bad"), "reason": "because", "after": 3}, 409, "after"),
        ("bad", {"text": text("bad", owners={}), "reason": "because"}, 422, "organisations"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_part(
    site: Site, name: str, body: dict[str, Any], status: int, field: str
) -> None:
    """And nothing is kept."""
    answer = site.call(CLINIC, "PUT", f"/api/design/own/{name}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["reasons"][0]["field"].startswith(field)
    assert site.call(CLINIC, "GET", f"/api/design/own/{name}").status_code == 404


@pytest.mark.parametrize(
    ("act", "status", "field"),
    [
        ({"do": "fly"}, 422, "/act"),
        ({"do": "remove-site", "site": "atlantis"}, 422, "/act/site"),
        ({"do": "add-site", "title": "X", "owner": "", "roles": ["centre"]}, 422, "/act/owner"),
        ({"do": "add-lane", "origin": "huddinge", "to": "maker", "days": "1"}, 422, "/act/days"),
        ({"do": "change-site", "site": "huddinge", "share": 1.5}, 422, "/act/share"),
        ({"do": "change-site", "site": "huddinge", "share": None}, 422, "/act/share"),
        ({"do": "change-site", "site": "huddinge", "at": [1]}, 422, "/act/at"),
        ({"do": "change-lane", "kind": "lanes", "lane": "x", "days": 1}, 422, "/act/lane"),
        ({"do": "change-lane", "kind": "lanes", "lane": "x", "mode": "sea"}, 422, "/act/mode"),
    ],
)
def test_a_change_that_cannot_be_made_says_which_part(
    site: Site, act: dict[str, Any], status: int, field: str
) -> None:
    """A draft is kept nowhere, so nothing can be left half done."""
    body = {"network": json.loads(text("draft")), "act": act}
    answer = site.call(CLINIC, "POST", "/api/design/draft", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["reasons"][0]["field"].startswith(field)


def test_a_published_figure_that_is_changed_is_said_to_be_an_assumption(site: Site) -> None:
    """By its path in the answer, and beside its field on the page."""
    network = json.loads(text("draft", "sweden"))
    source = next(iter(network["sources"]))
    days = {"value": 1.0, "low": 0.5, "high": 2.0, "source": source}
    network["lanes"]["TRANSPORT_OUT"]["median"] = days
    act = {"do": "change-lane", "kind": "lanes", "lane": "TRANSPORT_OUT", "days": 3.0}
    body = {"network": network, "act": act}
    answer = site.call(CLINIC, "POST", "/api/design/draft", json=body).json()
    assert answer["assumed"] == ["lanes.TRANSPORT_OUT.median"] and answer["findings"] == []
    assert answer["network"]["lanes"]["TRANSPORT_OUT"]["median"]["assumption"] is True
    said = "(assumption, 1.5 to 6 · changed in the studio, where a published figure stood)"
    assert said in answer["page"]
    body = {"network": network}
    before = site.call(CLINIC, "POST", "/api/design/draft", json=body).json()
    assert (
        before["assumed"] == [] and "(published: " in before["page"] and said not in before["page"]
    )


@pytest.mark.parametrize("network", [{}, {"network": 1}, {"centres": []}, {"roles": None}])
def test_a_draft_that_is_no_network_is_found_wrong(site: Site, network: dict[str, Any]) -> None:
    """Looked at, it has findings; changed, it is refused."""
    looked = site.call(CLINIC, "POST", "/api/design/draft", json={"network": network})
    assert looked.status_code == 200 and looked.json()["findings"]
    act = {"do": "remove-site", "site": "x"}
    body = {"network": network, "act": act}
    assert site.call(CLINIC, "POST", "/api/design/draft", json=body).status_code == 422


@pytest.mark.parametrize("at", [(90, 180), (-90, -180), (0, 0), (1000, 0), (1e15, -1e15)])
def test_a_site_at_the_end_of_the_world_is_drawn_or_found_wrong(
    site: Site, at: tuple[float, float]
) -> None:
    """The map is drawn all the same; what is no place is said."""
    act = {"do": "add-site", "title": "X", "owner": "Y", "roles": ["centre"], "at": at}
    body = {"network": json.loads(text("draft")), "act": act}
    answer = site.call(CLINIC, "POST", "/api/design/draft", json=body)
    assert answer.status_code == 200 and "network-map" in answer.json()["page"]
    said = [x for x in answer.json()["findings"] if "is no place" in x["what"]]
    assert bool(said) == (abs(at[0]) > 90)


def test_a_run_keeps_the_very_version_that_it_was_asked_of(site: Site) -> None:
    """Saved anew meanwhile, it still tells of the old one; another text is another answer."""
    own = site.tower.studio.own
    more = json.loads(text("runs"))["patients"]
    more["per_year"] = {**more["per_year"], "value": more["per_year"]["low"]}
    assert put(site, "runs").status_code == 200
    wish = {"networks": ["runs"], "replications": 2, "years": 0.25}
    asked = {**wish, "changes": {"runs": {"habits.digital": 0.9}}}
    begun = site.call(CLINIC, "POST", "/api/design/runs", json=asked).json()
    assert begun["networks"] == ["runs@1"]
    assert put(site, "runs", 1, patients=more).status_code == 200
    again = site.call(CLINIC, "POST", "/api/design/runs", json=wish).json()
    assert again["networks"] == ["runs@2"]
    old = site.inside(site.tower.studio.of("university-hospital", begun["id"])).wish
    new = site.inside(site.tower.studio.of("university-hospital", again["id"])).wish
    assert list(old.own) == ["runs@1"] and list(old.changes) == ["runs@1"]
    for ref, kept in (("runs@1", old), ("runs@2", new)):
        assert kept.own[ref] == site.inside(own.content("university-hospital", ref))[1]
    for run in (begun, again):  # one person has two at most, and others wait behind them
        site.call(CLINIC, "DELETE", f"/api/design/runs/{run['id']}")
    sent = {**wish, "own": {"runs": "x"}}
    assert site.call(CLINIC, "POST", "/api/design/runs", json=sent).status_code == 422


def tab_to(page: Page, selector: str, most: int = 400) -> None:
    """Move by Tab alone until an element has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} was not reached")


@pytest.mark.browser
def test_a_site_and_a_lane_are_added_by_keyboard_saved_and_run(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Copy, add, save with a reason, compare with the original; all without a pointer."""
    page, north = browser_of(CLINIC), f"north-{secrets.token_hex(3)}"
    page.goto("/design?network=sweden-aav")
    tab_to(page, "#edit")
    page.keyboard.press("Enter")
    page.wait_for_url("**/design/edit?from=sweden-aav")
    sites = page.locator("[data-site]").count()
    tab_to(page, "#d-site > summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("Bodø")
    tab_to(page, "#s-owner")
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.keyboard.type("Helse Nord")
    page.keyboard.press("Tab")
    page.keyboard.type("67.28")
    page.keyboard.press("Tab")
    page.keyboard.type("14.4")
    shoot(page, "design-edit-form")
    page.keyboard.press("Enter")
    expect(page.locator("[data-site]")).to_have_count(sites + 1)
    expect(page.locator("#told")).to_contain_text("Nothing is wrong")
    assert page.evaluate("document.activeElement.id") == "s-lon"
    row = page.locator("[data-site=bod]").inner_text()
    assert "Helse Nord" in row and "67.28, 14.4" in row and "10 % of the patients" in row
    assert page.locator(".network-map [data-key='centre:bod']").count() == 1
    tab_to(page, "#d-lane > summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("Supply")
    page.keyboard.press("Tab")
    page.keyboard.type("Bod")
    page.keyboard.press("Tab")
    page.keyboard.type("by air")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    lane = page.locator("[data-lane='routes-maker_bod']")
    expect(lane).to_contain_text("3 days · by air")
    assert violations(page) == []
    shoot(page, "design-edit")
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(page, "design-edit-320")
    page.set_viewport_size({"width": 1280, "height": 900})
    tab_to(page, "#save [name=name]")
    page.keyboard.press("Control+a")
    page.keyboard.type(north)
    tab_to(page, "#save [name=reason]")
    page.keyboard.type("Bodø would like to treat")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/design?network={north}@1")
    assert page.locator(f"input.pick[value='{north}@1']").is_checked()
    assert "Bodø would like to treat" in page.locator(f"[data-own={north}]").inner_text()
    assert violations(page) == []
    shoot(page, "design-own")
    kept = site.call(CLINIC, "GET", f"/api/design/own/{north}/1").json()["text"]
    centres = list(document_of(kept, "x.yaml").value["centres"])
    assert centres == [*document("sweden-aav").value["centres"], "bod"]  # luck goes by their order
    for box in page.locator("input.pick").all():
        box.set_checked(box.get_attribute("value") in ("sweden-aav", f"{north}@1"))
    page.locator("[name=replications]").fill("2")
    page.locator("[name=years]").fill("0.25")
    page.locator("#wish button").click()
    page.wait_for_url("**/design/runs/*")
    page.locator(".design-exports").wait_for(timeout=90_000)
    shown = page.locator("main").inner_text()
    assert f"{north}, version 1" in shown and "Sweden, gene therapy" in shown
    shoot(page, "design-own-compared")
    base = f"/api/design/runs/{page.url.rpartition('/')[2]}"
    pdf = site.call(CLINIC, "GET", f"{base}/report.pdf?language=sv")
    assert pdf.status_code == 200 and pdf.content.startswith(b"%PDF")
    for picture in ("tornado", "lanes"):
        drawn = site.call(CLINIC, "GET", f"{base}/pictures/{picture}/{north}@1")
        assert drawn.status_code == 200 and drawn.text.startswith("<svg"), picture
    assert f"{north}@1" in site.call(CLINIC, "GET", f"{base}/table.csv").text


@pytest.mark.browser
def test_a_site_and_a_lane_are_changed_in_place_by_keyboard(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """The form holds what is there; what else is being filled in stays; all is undone again."""
    page = browser_of(CLINIC, "es")
    page.goto("/design/edit?from=sweden&language=es")
    row = page.locator("[data-site=umea]")
    was = row.locator("> div").inner_text()
    page.locator("#c-lund > summary").press("Enter")
    page.locator("#c-lund-title").fill("Lund, a medias")
    tab_to(page, "#c-umea > summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") in was
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_contain_text("nada ha cambiado")
    page.keyboard.press("Control+a")
    page.keyboard.type("Umeå norte")
    tab_to(page, "#c-umea-owner")
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.keyboard.type("Norrland")
    tab_to(page, "#c-umea-share")
    page.keyboard.press("Control+a")
    page.keyboard.type("40")
    shoot(page, "design-change-site-es")
    page.keyboard.press("Enter")
    expect(row.locator("> div")).to_contain_text("Umeå norte")
    expect(row.locator("> div")).to_contain_text("Norrland")
    expect(row.locator("> div")).to_contain_text("40 % de los pacientes")
    expect(page.locator("#told")).to_contain_text("No hay errores")
    assert page.evaluate("document.activeElement.id") == "c-umea-share"
    assert page.locator("#c-lund-title").input_value() == "Lund, a medias"
    tab_to(page, "#c-lanes-TRANSPORT_OUT > summary")
    page.keyboard.press("Enter")
    tab_to(page, "#c-lanes-TRANSPORT_OUT-days")
    page.keyboard.press("Control+a")
    page.keyboard.type("0.01")
    page.keyboard.press("Enter")
    lane = page.locator("[data-lane='lanes-TRANSPORT_OUT']")
    expect(lane.locator(".problem").first).to_contain_text("no se alcanza")
    assert violations(page) == []
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(page, "design-change-320-es")
    for _ in range(2):
        page.locator("#undo").press("Enter")
    expect(row.locator("> div")).to_have_text(was)
    expect(page.locator("#undo")).to_be_disabled()


@pytest.mark.browser
def test_a_site_or_a_lane_on_the_map_opens_its_form(
    site: Site, browser_of: Callable[..., Page]
) -> None:
    """By pointer and by keyboard; after a change the new map does the same."""
    page = browser_of(CLINIC)
    page.goto("/design/edit?from=sweden")
    page.locator(".network-map [data-key='centre:umea']").click()
    expect(page.locator("#c-umea")).to_have_attribute("open", "")
    expect(page.locator("#c-umea > summary")).to_be_focused()
    page.locator("#c-umea-title").fill("Umeå norte")
    page.locator("#c-umea-go").press("Enter")
    expect(page.locator("#told")).to_contain_text("Nothing is wrong")
    page.locator(".network-map [data-key='lane:manufacturer']").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#c-lanes-TRANSPORT_OUT > summary")).to_be_focused()
    page.locator(".network-map [data-key='lane:referrer']").first.focus()
    page.keyboard.press(" ")  # nothing is carried there: its site
    expect(page.locator("[data-site=referrer] .design-change > summary")).to_be_focused()


def place(page: Page, name: str) -> tuple[float, float]:
    """Where the form of a site says that it stands."""
    lat, lon = (page.locator(f"#c-{name}-{field}").input_value() for field in ("lat", "lon"))
    return float(lat), float(lon)


@pytest.mark.browser
def test_a_site_is_dragged_on_the_map_and_its_form_says_where(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """The same act as the form's; a click still chooses; beside the map it goes back; undone."""
    page = browser_of(CLINIC, "sv", width=1400)
    page.goto("/design/edit?from=sweden&language=sv")
    mark = page.locator("[id='m-centre:umea'] .seen")
    was = place(page, "umea")
    box = mark.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    with page.expect_request("**/api/design/draft") as sent:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 20, y - 30, steps=4)
        shoot(page, "design-drag-sv")
        page.mouse.up()
    act = sent.value.post_data_json["act"]
    assert (act["do"], act["site"], set(act)) == ("change-site", "umea", {"do", "site", "at"})
    expect(page.locator("#told")).to_contain_text("latitud")
    expect(page.locator("#undo")).to_be_enabled()
    now = place(page, "umea")
    assert now == tuple(act["at"]) and now[0] > was[0] and now[1] < was[1]
    expect(page.locator("[id='m-centre:umea']")).to_be_focused()
    assert page.locator("#c-umea").get_attribute("open") is None  # a drag chooses nothing
    page.locator("#undo").click()
    expect(page.locator("#undo")).to_be_disabled()
    assert place(page, "umea") == was
    mark.hover()
    page.mouse.down()
    page.mouse.move(3, 3, steps=4)
    page.mouse.up()
    expect(page.locator("#told")).to_contain_text("bredvid kartan")
    assert place(page, "umea") == was and page.locator("#undo").is_disabled()
    mark.click()
    expect(page.locator("#c-umea > summary")).to_be_focused()


@pytest.mark.browser
def test_a_site_is_moved_by_the_arrow_keys_which_say_where_it_comes(
    site: Site, browser_of: Callable[..., Page]
) -> None:
    """Each step is read out; where it rests it is put down; Escape leaves it where it was."""
    page = browser_of(CLINIC)
    page.goto("/design/edit?from=sweden")
    group = page.locator("[id='m-centre:umea']")
    described = group.get_attribute("aria-describedby")
    assert "arrow keys" in page.locator(f"#{described}").inner_text()
    was = place(page, "umea")
    group.focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("#told")).to_have_text(
        re.compile(r"Umeå.*: latitude 6[34][\d.]*, longitude [\d.]+\.$")
    )
    page.keyboard.press("Escape")
    expect(page.locator("#told")).to_contain_text("stays where it was")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#told")).to_contain_text("Nothing is wrong")
    expect(group).to_be_focused()
    first = place(page, "umea")
    assert first[0] > was[0] and first[1] > was[1]
    with page.expect_response("**/api/design/draft"):
        page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#c-umea-lat")).not_to_have_value(f"{first[0]:g}")
    expect(page.locator("#told")).to_contain_text("Nothing is wrong")
    second = place(page, "umea")
    assert 0 < first[0] - second[0] < (first[0] - was[0]) / 10 and first[1] == second[1]
    assert violations(page) == []
    for _ in range(2):
        page.locator("#undo").click()
    expect(page.locator("#undo")).to_be_disabled()
    assert place(page, "umea") == was


@pytest.mark.browser
def test_a_network_is_withdrawn_on_the_page_with_a_reason(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Asked once more, it leaves the list; who, when and why stand where the withdrawn are."""
    page, name = browser_of(CLINIC, "sv"), f"page-{secrets.token_hex(3)}"
    assert put(site, name, title="Prov").status_code == 200
    page.goto(f"/design?network={name}@1&language=sv")
    row = page.locator(f"[data-own={name}]")
    row.locator("summary").press("Enter")
    row.locator("[name=reason]").fill("ingen vill ha det")
    page.once("dialog", lambda dialog: dialog.dismiss())
    row.locator("button").press("Enter")
    expect(row).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    row.locator("button").press("Enter")
    expect(row).to_have_count(0)
    assert page.locator(f"input.pick[value='{name}@1']").count() == 0
    page.locator("#withdrawn > summary").press("Enter")
    gone = page.locator(f"[data-withdrawn={name}]")
    expect(gone).to_contain_text("tillbakadraget av")
    expect(gone).to_contain_text("ingen vill ha det")
    assert violations(page) == []
    shoot(page, "design-withdrawn-sv")
    gone.locator("a").press("Enter")
    expect(page.locator("#is-withdrawn")).to_contain_text("erbjuds det igen")
    page.locator("#save [name=reason]").fill("någon ville ändå")
    page.locator("#save button").press("Enter")
    page.wait_for_url(f"**/design?network={name}@2")
    expect(page.locator(f"[data-own={name}]")).to_have_count(1)


@pytest.mark.browser
def test_a_lane_to_nowhere_is_refused_in_swedish_and_taken_back(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Beside the lane, in words; saving is refused with the same words; then it is undone."""
    page = browser_of(CLINIC, "sv")
    page.goto("/design/edit?from=sweden&language=sv")
    page.locator("#d-lane > summary").press("Enter")
    page.locator("#l-origin").select_option("umea")
    page.locator("#l-add").press("Enter")
    lane = page.locator("[data-lane='routes-umea']")
    expect(lane.locator(".problem")).to_have_text("! leden umea går ingenstans – ange en plats")
    expect(page.locator("#told")).to_contain_text("1 sak är fel")
    assert violations(page) == []
    shoot(page, "design-edit-wrong-sv")
    page.locator("#save [name=name]").fill("ingenstans")
    page.locator("#save [name=reason]").fill("ett försök")
    page.locator("#save button").press("Enter")
    expect(page.locator("#saved")).to_contain_text("Nätverket sparas inte")
    expect(page.locator("#saved")).to_contain_text("leden umea går ingenstans")
    assert site.call(CLINIC, "GET", "/api/design/own/ingenstans").status_code == 404
    page.locator("#undo").press("Enter")
    expect(lane).to_have_count(0)
    expect(page.locator("#told")).to_contain_text("Inget är fel")
    page.locator("#rs-manufacturer").press("Enter")
    role = page.locator(".design-role", has=page.locator("#r-manufacturing"))
    expect(page.locator("#parts .note")).to_contain_text("ingen har rollen")
    page.locator("#undo").press("Enter")
    expect(page.locator("#parts .note")).to_have_count(0)
    assert role.locator("select").input_value() == "manufacturer"


@pytest.mark.browser
def test_a_network_file_is_uploaded_and_a_faulty_one_refused_with_its_parts(
    site: Site, browser_of: Callable[..., Page], tmp_path: Path
) -> None:
    """The next version of its name, whose versions stand in the editor with who and why."""
    page = browser_of(CLINIC)
    file = tmp_path / "upload.yaml"
    for version in (1, 2):
        file.write_text("extends: sweden-aav\nnetwork: uploaded\ntitle: From a file\n", "utf-8")
        page.goto("/design")
        page.locator("summary", has_text="Upload").click()
        page.locator("#upload [name=file]").set_input_files(file)
        page.locator("#upload [name=reason]").fill(f"upload {version}")
        page.locator("#upload button").click()
        page.wait_for_url(f"**/design?network=uploaded@{version}")
    page.goto("/design/edit?from=uploaded@1")
    assert ["upload 2" in x for x in page.locator("#versions ~ ul li").all_inner_texts()] == [
        True, False,
    ]  # fmt: skip
    page.goto("/design")
    file.write_text("extends: sweden-aav\nnetwork: uploaded\nowners: {industry: null}\n", "utf-8")
    page.locator("summary", has_text="Upload").click()
    page.locator("#upload [name=file]").set_input_files(file)
    page.locator("#upload [name=reason]").fill("a faulty one")
    page.locator("#upload button").click()
    expect(page.locator("#uploaded")).to_contain_text("organisations.maker.owner")
