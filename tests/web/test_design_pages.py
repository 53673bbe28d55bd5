"""The design studio: choose, change, run in the background, compare, export."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

import http_
from axe_ import violations
from drawn_ import bars, spots
from site_ import Site
from stafett.design.activities import order
from stafett.design.assumptions import numbers
from stafett.design.compare import disruptions
from stafett.design.experiment import Plan
from stafett.design.reading import load, names
from stafett.service.design_report import source
from stafett.service.studio import Unusable, Wish, systems_of
from stafett.web.design_sayings import Sayings
from stafett.web.design_words import event
from stafett.web.language import translator, words

SMALL = {"networks": ["sweden-tissue"], "replications": 2, "years": 0.25}


def signed(site: Site, login: str) -> httpx.Client:
    """A client with a session of its own."""
    headers = {"Authorization": f"Bearer {site.token(login)}"}
    return httpx.Client(verify=http_.TLS, base_url=site.base, headers=headers, timeout=60)


def wait(client: httpx.Client, run: str) -> dict:
    """Look until a run has ended."""
    for _ in range(600):
        now = client.get(f"/api/design/runs/{run}").json()
        if now["state"] not in ("waiting", "running"):
            return now
        time.sleep(0.1)
    raise AssertionError("the run did not end")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"networks": []}, "networks"),
        ({"networks": ["atlantis"]}, "networks"),
        ({"networks": ["us", "us"]}, "networks"),
        ({"replications": 1}, "replications"),
        ({"years": 90.0}, "years"),
        ({"changes": {"spain": {}}}, "changes/spain"),
        ({"changes": {"us": {"habits.joy": 1.0}}}, "changes/us/habits.joy"),
        ({"changes": {"us": {"habits.digital": 1.5}}}, "changes/us/habits.digital"),
        ({"changes": {"us": {"patients.per_year": 99999.0}}}, "changes/us"),
    ],
)
def test_a_wish_that_cannot_be_run_says_which_part(change: dict, field: str) -> None:
    """Nothing is started; the field is named."""
    with pytest.raises(Unusable) as no:
        systems_of(Wish(**{"networks": ["us"], **change}))
    assert no.value.field == field


def test_a_changed_figure_is_what_is_run() -> None:
    """And only that figure."""
    s = systems_of(Wish(["us"], {"us": {"habits.digital": 0.9}}))["us"]
    assert s.network.habits.digital.value == 0.9
    assert s.network.work == systems_of(Wish(["us"]))["us"].network.work


def test_a_run_is_begun_looked_at_and_exported_and_is_the_organisations_own(site: Site) -> None:
    """CSV, JSON, SVG and a PDF; another organisation gets 404, a wrong wish 422 with the field."""
    mine, theirs = signed(site, "treating-clinic-1"), signed(site, "courier-1")
    begun = mine.post("/api/design/runs", json=SMALL)
    assert begun.status_code == 202, begun.text
    run = begun.json()["id"]
    early = mine.get(f"/api/design/runs/{run}/table.csv")
    assert early.status_code in (200, 409)
    assert wait(mine, run)["state"] == "done"
    base = f"/api/design/runs/{run}"
    table = mine.get(f"{base}/table.csv").text.splitlines()
    assert table[0].startswith("assumptions,table,system") and len(table) > 60
    assert "sweden-tissue" in mine.get(f"{base}/answer.json").json()["comparison"]["figures"]
    assert mine.get(f"{base}/report.pdf").content.startswith(b"%PDF")
    for picture in ("tornado/sweden-tissue", "lanes/sweden-tissue", "forest/cost", "frontier/all"):
        found = mine.get(f"{base}/pictures/{picture}")
        assert found.status_code == 200 and found.text.startswith("<svg"), picture
    assert mine.get(f"{base}/pictures/cake/cost").status_code == 404
    assert theirs.get(base).status_code == 404
    assert theirs.delete(base).status_code == 404
    wrong = mine.post("/api/design/runs", json={**SMALL, "replications": 1})
    assert wrong.status_code == 422
    assert "replications" in str(wrong.json())


def test_the_pictures_of_a_run_show_its_figures(site: Site) -> None:
    """Each bar is a lever's effect; each point a design's cost and patients treated."""
    mine = signed(site, "treating-clinic-1")
    run = mine.post("/api/design/runs", json=SMALL).json()["id"]
    assert wait(mine, run)["state"] == "done"
    base = f"/api/design/runs/{run}"
    answer = mine.get(f"{base}/answer.json").json()["comparison"]
    now = [answer["figures"]["sweden-tissue"][x]["mean"] for x in ("cost", "treated_share")]
    moves = [
        [e["cost"]["mean"], e["treated_share"]["mean"]]
        for e in answer["marginal"]["sweden-tissue"].values()
    ]
    drawn = bars(mine.get(f"{base}/pictures/tornado/sweden-tissue").text)
    wide = max(b.high for b in drawn) - min(b.low for b in drawn)
    ends = sorted(max(b.begins, b.ends, key=abs) for b in drawn)
    assert ends == pytest.approx(sorted(treated for _, treated in moves), abs=wide / 200)
    points = spots(mine.get(f"{base}/pictures/frontier/all").text)
    for axis, places in enumerate(([p.across for p in points], [p.up for p in points])):
        expected = sorted([now[axis], *(now[axis] + move[axis] for move in moves)])
        span = expected[-1] - expected[0]
        assert sorted(places) == pytest.approx(expected, abs=span / 200 or 0.1)


@pytest.mark.parametrize("language", ["sv", "es"])
def test_the_report_is_in_the_readers_language(site: Site, language: str) -> None:
    """No message of the English words is in it, and every figure has a name; it is a PDF."""
    mine = signed(site, "treating-clinic-1")
    wish = {**SMALL, "changes": {"sweden-tissue": {"centres.lund.share": 0.4}}}
    run = mine.post("/api/design/runs", json=wish).json()["id"]
    assert wait(mine, run)["state"] == "done"
    found = site.inside(site.tower.studio.of("university-hospital", run))
    assert found is not None and found.answer is not None
    systems, say = found.answer.systems, Sayings(language)
    orders = {n: order(s.protocol) for n, s in systems.items()}
    text = source(found.answer, found.wish, orders, say)
    own = set(words(language).values())
    for key, message in words("en").items():
        if key.startswith("design.") and len(message) > 10 and message not in own:
            assert f'"{message}"' not in text and f">{message}<" not in text, key
    for system in systems.values():
        for path, _ in numbers(system.network):
            assert say.path(system, ".".join(path)) != ".".join(path), path
    assert words(language)["design.report.changed"] in text and "0,4" in text
    pdf = mine.get(f"/api/design/runs/{run}/report.pdf", params={"language": language})
    assert pdf.content.startswith(b"%PDF")


def test_the_studio_from_choice_to_comparison(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Pick two systems, change a figure, run, read the comparison; three languages."""
    page = browser_of("treating-clinic-1")
    page.goto("/design?network=sweden-aav")
    for box in page.locator("input.pick").all():
        box.set_checked(box.get_attribute("value") in ("sweden-aav", "sweden-allogeneic"))
    shoot(page, "design-studio")
    page.locator("details summary", has_text="Change figures").click()
    field = page.locator("input.figure[data-path='habits.digital']")
    field.fill("0.95")
    field.press("Tab")
    assert "1 changed" in page.locator("#changed").inner_text()
    shoot(page, "design-change")
    page.locator("[name=replications]").fill("4")
    page.locator("[name=years]").fill("0.5")
    page.locator("#wish button").click()
    page.wait_for_url("**/design/runs/*")
    page.locator(".design-exports").wait_for(timeout=60_000)
    assert "electronic identification = 0.95" in page.locator("main").inner_text()
    assert page.locator("svg").count() >= 6
    shown = page.locator("main").inner_text()
    # The list of the design: per interface, where time goes, capacity used, scale, resilience.
    for what in ("A04 Order with weight", "L04 ", "on the way", "Capacity in use", "20x", "strike"):
        assert what in shown, what
    shoot(page, "design-comparison")
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(page, "design-comparison-320")
    page.goto("/design?language=sv")
    assert "Designstudio" in page.locator("h1").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(page, "design-studio-320-sv")
    page.goto("/design?language=es")
    assert "Estudio" in page.locator("h1").inner_text()


def test_a_site_of_the_map_is_chosen_with_the_keyboard_and_its_figures_changed(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Its figures only; the map marks what is changed; the list chooses too; the run has it."""
    page = browser_of("treating-clinic-1")
    page.goto("/design?network=sweden-aav")
    rows = page.locator("#figures tbody tr:visible")
    huddinge = page.locator("[data-key='centre:huddinge']")
    huddinge.focus()
    page.keyboard.press("Enter")
    assert huddinge.get_attribute("aria-pressed") == "true"
    assert page.locator("#site").input_value() == "centre:huddinge"
    assert "km to Supply of the manufacturer" in page.locator("#about").inner_text()
    said = rows.all_inner_texts()
    assert any("Karolinska Huddinge: beds" in x for x in said)
    assert not any("Sahlgrenska" in x or "on the way" in x for x in said)
    beds = page.locator("input[data-path='centres.huddinge.places.bed']")
    beds.fill("7")
    beds.press("Tab")
    assert "edited" in str(huddinge.get_attribute("class"))
    found = violations(page)
    assert found == []
    shoot(page, "design-map")
    page.locator("#site").select_option("lane:maker")
    assert page.locator("[data-key='lane:maker']").get_attribute("aria-pressed") == "true"
    assert any("days on the way" in x for x in rows.all_inner_texts())
    page.locator("[data-key='site:maker']").click()
    assert page.locator("#site").input_value() == "site:maker"
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shoot(page, "design-map-360")
    for box in page.locator("input.pick").all():
        box.set_checked(box.get_attribute("value") == "sweden-aav")
    page.locator("[name=replications]").fill("2")
    page.locator("[name=years]").fill("0.25")
    page.locator("#wish button").click()
    page.wait_for_url("**/design/runs/*")
    page.locator(".design-exports").wait_for(timeout=60_000)
    assert "Karolinska Huddinge: beds = 7" in page.locator("main").inner_text()


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "lane to the plant closed 30 days"),
     ("sv", "transport till anläggningen stängd 30 dagar"),
     ("es", "ruta a la planta cerrada 30 días")],
)  # fmt: skip
def test_a_closed_lane_is_called_by_where_it_leads(language: str, said: str) -> None:
    """Not by the name that it has in the protocol's file; a lane of one's own keeps its name."""
    t = translator(language)
    assert event(t, "lane TRANSPORT_OUT closed 30 days") == said
    assert "FERRY" in event(t, "lane FERRY closed 30 days")
    for name in names():
        for what in disruptions(load(name), Plan()):
            assert not re.search("[A-Z]{4}", event(t, what)), what


def test_a_run_is_watched_and_stopped_with_what_it_found_so_far(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Figures with intervals come in while it runs, marked as such; stopping leaves them there."""
    page = browser_of("treating-clinic-1")
    wish = {"networks": ["us", "uk"], "replications": 60, "years": 5.0, "seed": 7}
    run = signed(site, "treating-clinic-1").post("/api/design/runs", json=wish).json()["id"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/api/")[2]))
    page.goto(f"/design/runs/{run}")
    page.locator("#so-far table").wait_for(timeout=120_000)
    assert page.locator("#live").get_attribute("data-state") == "live"
    steps = [path for path in asked if path.startswith("design/")]
    assert steps == [f"design/runs/{run}/stream"]  # told, and never asked again
    assert re.search(r"So far: \d+ of 60 replications", page.locator("#so-far h2").inner_text())
    assert "still move" in page.locator("#so-far").inner_text()
    treated = page.locator("#so-far tr", has_text="treated").first.inner_text()
    assert treated.count("(") == 2 and treated.count(" to ") == 2  # one interval for each system
    problems = [v["id"] for v in violations(page)]
    assert problems == []
    shoot(page, "design-so-far")
    page.locator("#cancel").click()
    page.locator("#so-far", has_text="Stopped here").wait_for()
    assert page.locator("#so-far table").count() >= 1 and page.locator("#cancel").count() == 0
    expect(page.locator("#live")).to_have_count(0)  # there is nothing more to follow
    page.set_viewport_size({"width": 320, "height": 800})
    for language, words_ in (("sv", "Hittills"), ("es", "Hasta ahora")):
        page.goto(f"/design/runs/{run}?language={language}")
        assert words_ in page.locator("#so-far h2").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(page, "design-so-far-320-es")


def test_a_run_is_asked_for_where_its_stream_does_not_come(
    site: Site, browser_of: Callable[..., Page]
) -> None:
    """Behind a proxy that lets no stream through the page says so, and still gets to the end."""
    page = browser_of("treating-clinic-1")
    page.route("**/stream", lambda route: route.abort())
    wish = {**SMALL, "replications": 5, "seed": 4242}
    run = signed(site, "treating-clinic-1").post("/api/design/runs", json=wish).json()["id"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/design/runs/{run}")
    expect(page.locator("#live")).to_have_attribute("data-state", "lost")
    page.locator(".design-exports").wait_for(timeout=120_000)
    assert any(url.endswith(f"/api/design/runs/{run}") for url in asked)


def test_the_stream_of_a_run_tells_each_step_and_ends_with_it(site: Site) -> None:
    """The last `state` says that it is done; a run of others is not there."""
    client = signed(site, "treating-clinic-1")
    wish = {**SMALL, "networks": ["sweden-tissue", "sweden-aav"], "seed": 4243}
    run = client.post("/api/design/runs", json=wish).json()["id"]
    with client.stream("GET", f"/api/design/runs/{run}/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = list(answer.iter_lines())
    told = [json.loads(line[6:]) for line in lines if line.startswith("data: ") and "state" in line]
    assert told[-1]["state"] == "done" and told[-1]["done"] == told[-1]["total"]
    assert [one["done"] for one in told] == sorted(one["done"] for one in told) and len(told) > 1
    elsewhere = signed(site, "courier-1").get(f"/api/design/runs/{run}/stream")
    assert elsewhere.status_code == 404


def test_levers_are_watched_while_disruptions_and_scale_are_still_to_come(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """A table of its own below the systems' figures, by itself; stopped, it stays."""
    page, client = browser_of("treating-clinic-1", "sv"), signed(site, "treating-clinic-1")
    wish = {"networks": ["sweden-tissue", "sweden-aav"], "replications": 60, "years": 5.0,
            "seed": 11, "assumptions": "sampled"}  # fmt: skip
    run = client.post("/api/design/runs", json=wish).json()["id"]
    page.goto(f"/design/runs/{run}?language=sv")
    table = page.locator("#so-far .scroll[aria-label='Åtgärder']")
    table.wait_for(timeout=120_000)
    row = table.locator("tr", has_text="tillverkningstid").inner_text()
    assert row.count("(") == 3 and row.count(" – ") == 2  # one interval for each system
    shoot(page, "design-so-far-levers-sv")
    assert client.get(f"/api/design/runs/{run}").json()["seen"] > 60
    page.locator("#cancel").click()
    page.locator("#so-far", has_text="Stoppad här").wait_for()
    assert table.count() == 1
    problems = [v["id"] for v in violations(page)]
    assert problems == []
