"""The pages of conditions as people see them: the lane, the chart with its limits, the loggers."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import psycopg
import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import Page, expect

from carried_ import send, travelling
from site_ import Site
from stafett.cli.ledger import _missing
from stafett.cli.main import main
from stafett.journey.label import Labels
from stafett.service import demo
from stafett.web import shipments
from web_walk import walk


@pytest.fixture
def quick(site: Site) -> Iterator[Site]:
    """Let an excursion take two seconds, so that a test can wait for one."""
    watch, usual = site.tower.conditions, site.tower.conditions.profile
    watch.profile = msgspec.structs.replace(usual, sustained_s=2.0, cumulative_s=4.0)
    yield site
    watch.profile = usual


def test_an_excursion_is_seen_on_the_lane_the_chart_and_in_words(
    quick: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """The limit is a line, what was outside is shaded, and the same stands in the tables below."""
    journey, logger, since = travelling(quick)
    page = browser_of("courier-1")
    page.goto("/shipments")
    line = page.locator(
        "article", has=page.locator(f"a[href='/shipments/{journey}/shipper_out/1']")
    )
    expect(line.locator("svg.lane")).to_be_visible()
    warm = [-150.0] * 5 + [-60.0 - 0.1 * n for n in range(20)] + [-150.2] * 5
    time.sleep(max(since + 6.5 - time.time(), 0))  # nothing is read before it was measured
    send(quick, logger, warm, since + 0.1)
    expect(line.locator(".tag.red")).to_contain_text("Excursion", timeout=60_000)
    line.get_by_role("link").first.click()
    page.wait_for_url(f"**/shipments/{journey}/shipper_out/1")
    expect(page.locator("p[role=alert]")).to_contain_text("at a stretch")
    chart = page.locator("svg.conditions:not(.lane)")
    expect(chart.locator("line.limit")).to_have_count(1)
    assert chart.locator("rect[fill*='-out']").count() >= 1
    assert chart.locator("title").first.text_content()
    table = page.get_by_role("region", name="What was found").locator("tbody tr")
    assert table.count() >= 1
    expect(page.get_by_text("Temperature out of range").first).to_be_visible()
    shoot(page, "shipment-excursion")
    page.goto(f"/journeys/{journey}")  # the same chart, looking the same
    curve = page.locator("svg.conditions .curve").first
    expect(curve).to_have_css("fill", "none")
    expect(page.locator("svg.conditions line.limit").first).not_to_have_css("stroke", "none")
    small = browser_of("plant-receiving-1", width=320)
    small.goto(f"/shipments/{journey}/shipper_out/1")
    expect(small.locator("p[role=alert]")).to_be_visible()
    stranger = browser_of("peer-quality-1")
    assert stranger.goto(f"/shipments/{journey}/shipper_out/1").status == 404  # type: ignore[union-attr]


def test_a_logger_that_stores_is_registered_on_its_page(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Its key is shown once, and how it is heard stands in the list."""
    page = browser_of("courier-1")
    page.goto("/loggers")
    number = f"STORE-{uuid.uuid4().hex[:8].upper()}"
    form = page.locator("#register")
    form.locator("[name=number]").fill(number)
    form.locator("[name=live]").select_option("false")
    form.get_by_role("button").click()
    expect(page.locator("#told code").first).to_be_visible()
    page.reload()
    expect(page.locator("tr", has_text=number)).to_contain_text("read as a file on arrival")
    shoot(page, "loggers")


def test_of_many_shipments_the_worst_are_shown(
    quick: Site, browser_of: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest comes first in the list, and not before an older one with an excursion."""
    journey, logger, since = travelling(quick)
    later, _, _ = travelling(quick)
    time.sleep(max(since + 5 - time.time(), 0))
    send(quick, logger, [-60.0 - 0.1 * n for n in range(20)], since + 0.1)
    page = browser_of("courier-1")
    page.goto("/shipments")
    expect(page.locator(f"article.alarm a[href^='/shipments/{journey}/']")).to_be_visible()
    expect(page.locator(f"article a[href^='/shipments/{later}/']")).to_be_visible()
    monkeypatch.setattr(shipments, "MOST", 1)
    page.reload()
    expect(page.locator("article.alarm")).to_have_count(1)
    expect(page.locator("article")).to_have_count(1)
    expect(page.locator("main")).to_contain_text("The worst 1 of")


def test_the_file_of_a_logger_is_looked_at_and_read_in_where_the_shipment_arrives(
    quick: Site,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
    tmp_path: Path,
) -> None:
    """Whoever receives it needs no key of the courier's; the record says who brought the file."""
    journey, logger, since = travelling(quick)
    time.sleep(max(since + 4.5 - time.time(), 0))
    first = datetime.fromtimestamp(since + 0.5, UTC).replace(tzinfo=None)
    rows = "".join(
        f"{(first + timedelta(seconds=n / 4)).isoformat(' ', 'milliseconds')};-60,{n % 10}\n"
        for n in range(16)
    )
    file = tmp_path / "trip.csv"
    file.write_text(f"Gerät;{logger['number']}\nDatum/Zeit;Kanal 1\n{rows}", "utf-16")
    page = browser_of("plant-receiving-1")
    page.goto(f"/shipments/{journey}/shipper_out/1")
    page.locator("#logfile").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("#logfile-said")).to_contain_text("'Kanal 1' has no unit")
    shoot(page, "logger-file-refused")
    page.locator("#logfile-unit").select_option("C")
    page.locator("#logfile-zone").fill("America/New_York")
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("#logfile-said")).to_contain_text("lies in the future")
    page.locator("#logfile-zone").fill("UTC")
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("#logfile-said")).to_contain_text("-60.9 °C … -60.0 °C")
    expect(page.locator("#logfile-said .amber")).to_have_count(0)  # it names this logger
    shoot(page, "logger-file")
    page.get_by_role("button", name="Read it in").click()
    expect(page.locator("#logfile-said")).to_contain_text("16 readings are in the record")
    expect(page.locator("p[role=alert]")).to_contain_text("Excursion", timeout=60_000)
    id = f"{logger['organisation']}.{logger['number']}"
    assert read_in(quick, id) == [("plant-receiving-1", "trip.csv")]
    assert "Sent." in imported(quick, file, id, logger["key"]).output  # by the courier: not twice
    assert len(read_in(quick, id)) == 1
    row = quick.call("courier-1", "GET", f"/api/shipments/{journey}/shipper_out/1").json()
    assert (row["readings"], [f for f in row["findings"] if f["kind"] == "clock-set"]) == (16, [])
    # It was another shipper's: it is withdrawn, and read in again when that turns out to be wrong.
    page.reload()
    (listed,) = quick.call(
        "courier-1", "GET", f"/api/shipments/{journey}/shipper_out/1/files"
    ).json()
    assert withdrawing(quick, "treating-clinic-1", journey, listed["read"]).status_code == 403
    page.get_by_text("This is the wrong file").click()
    shoot(page, "logger-file-wrong")
    page.get_by_label("Why it is wrong").fill("the file of the shipper beside it")
    page.locator("#logger-files").get_by_label("Password").fill("not this")
    page.get_by_role("button", name="Sign and withdraw it").click()
    expect(page.locator("#logger-files [role=alert]")).to_contain_text("not your password")
    page.locator("#logger-files").get_by_label("Password").fill(demo.PASSWORD)
    page.get_by_role("button", name="Sign and withdraw it").click()
    expect(page.locator("#logger-files")).to_contain_text("the file of the shipper beside it")
    expect(page.locator("main")).to_contain_text("A file of 16 readings was withdrawn")
    shoot(page, "logger-file-withdrawn")
    assert withdrawing(quick, "courier-1", journey, listed["read"]).status_code == 409
    row = quick.call("courier-1", "GET", f"/api/shipments/{journey}/shipper_out/1").json()
    assert (row["readings"], row["verdict"]) == (0, "unknown")
    assert "Sent." in imported(quick, file, id, logger["key"]).output
    row = quick.call("courier-1", "GET", f"/api/shipments/{journey}/shipper_out/1").json()
    assert (row["readings"], len(read_in(quick, id))) == (16, 2)
    assert listed["sha256"] not in {name for name, _ in _missing(quick.tower.url)}
    with psycopg.connect(quick.tower.url) as connection:
        for table in ("document_reader", "document"):
            gone = f"DELETE FROM service.{table} WHERE sha256 = %s"
            connection.execute(gone.encode(), [listed["sha256"]])
    assert (listed["sha256"], f"logger/{id}") in _missing(quick.tower.url)


def withdrawing(site: Site, login: str, journey: str, read: int) -> httpx.Response:
    """Ask for a file of a shipment to be withdrawn."""
    path = f"/api/shipments/{journey}/shipper_out/1/files/{read}/withdrawal"
    body = {"reason": "another trip", "password": demo.PASSWORD}
    return site.call(login, "POST", path, json=body)


def imported(site: Site, file: Path, id: str, key: str) -> Result:
    """Send a logger's file from the terminal, with its key."""
    how = ["--zone", "UTC", "--unit", "C", "--logger", id, "--key", key, "--url", site.base]
    done = CliRunner().invoke(main, ["readings", "import", str(file), *how])
    assert done.exit_code == 0, done.output
    return done


def read_in(site: Site, id: str) -> list[tuple[str | None, str]]:
    """Return (person, name) of every file that the record says was read in for a logger."""
    return [
        (event.author.person, event.body["file"]["name"])
        for event in site.inside(site.tower.ledger.stream(f"logger/{id}"))
        if event.kind == "LoggerFileRead"
    ]


def test_a_logger_is_fixed_to_a_tank_on_the_page_and_the_lot_there_is_listed_with_its_place(
    quick: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Who keeps the store says where the logger is; the product in it is among the shipments."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    journey = quick.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    quick.inside(walk(quick, journey, labels, ("THAW", "step")))
    number = f"TANK-{uuid.uuid4().hex[:6]}"
    body = {"number": number, "calibrated_until": "2036-01-01T00:00:00Z"}
    logger = quick.call("pharmacy-1", "POST", "/api/loggers", json=body).json()
    page = browser_of("pharmacy-1")
    page.goto("/shipments")
    store = page.get_by_role("region", name="Stores that send nothing")
    store = store.get_by_role("row").filter(has_text=labels.coi)
    expect(store).to_contain_text("sends nothing")
    shoot(page, "store-that-sends-nothing")
    store.get_by_role("link", name="Fix a logger to it").click()
    page.wait_for_url("**/loggers")
    page.locator("#which").select_option(number)
    page.locator("#role").select_option("pharmacy")
    page.get_by_label("Place", exact=True).fill("Cryo tank 7")
    page.get_by_role("button", name="Fix a logger to a place").click()
    line = page.get_by_role("row").filter(has_text=number)
    expect(line).to_contain_text("Cryo tank 7")
    shoot(page, "loggers-fixed")
    send(quick, logger, [-155.0] * 10, time.time())
    page.goto("/shipments")
    expect(store).to_have_count(0)
    stay = page.locator("article").filter(has_text=labels.coi).filter(has_text="Cryo tank 7")
    expect(stay.get_by_role("heading")).to_contain_text("Cassette with the frozen product")
    stay.get_by_role("link").first.click()
    expect(page.locator("main")).to_contain_text("Cryo tank 7")
    expect(page.locator("main")).to_contain_text(number)
    shoot(page, "shipment-in-a-tank")
