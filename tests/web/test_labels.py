"""Labels of a journey: printed with a number each, accounted for once, and the counts add up."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zxingcpp
from playwright.sync_api import Page, expect

from site_ import Site
from stafett.identity import scan
from web_hands import Under


def labels(site: Site, login: str, journey: str, method: str = "GET", tail: str = "", **b: Any):  # type: ignore[no-untyped-def]
    path = f"/api/journeys/{journey}/labels{tail}"
    return site.call(login, method, path, **({"json": b} if b else {}))


def test_labels_are_printed_used_and_spoiled_and_add_up(site: Site) -> None:
    """Each has its own number; its fate is said once; another print needs a reason."""
    login, journey = "treating-clinic-1", site.order()
    sheet = labels(site, login, journey, "POST", identifier="coi", copies=3)
    assert sheet.status_code == 201, sheet.text
    paper = site.call(login, "GET", sheet.json()["pdf"])
    assert paper.content.startswith(b"%PDF") and paper.headers["content-type"] == "application/pdf"
    assert site.call(login, "GET", sheet.json()["pdf"]).content == paper.content
    thermal = site.call(login, "GET", sheet.json()["zpl"]).text
    found = labels(site, login, journey).json()
    assert found["count"] == {"printed": 3, "used": 0, "spoiled": 0, "open": 3}
    numbers = [one["id"] for one in found["labels"]]
    assert len(set(numbers)) == 3 and all(number in thermal for number in numbers)

    again = labels(site, login, journey, "POST", identifier="coi", copies=1)
    assert again.status_code == 422 and again.json()["type"] == "/problems/reason-missing"
    one, two, three = numbers
    assert labels(site, login, journey, "POST", f"/{one}", fate="used").status_code == 204
    assert labels(site, login, journey, "POST", f"/{one}", fate="spoiled").status_code >= 404
    assert labels(site, login, journey, "POST", f"/{two}", fate="spoiled").status_code == 422
    spoiled = labels(site, login, journey, "POST", f"/{two}", fate="spoiled", reason="it tore")
    assert spoiled.status_code == 204
    count = labels(site, login, journey).json()["count"]
    assert count == {"printed": 3, "used": 1, "spoiled": 1, "open": 1}
    assert labels(site, login, journey, "POST", f"/{three}", fate="used").status_code == 204
    trail = site.call("administrator", "GET", "/api/audit/changes").json()
    mine = [c for c in trail if c["about"] == journey]
    assert [c["what"] for c in mine] == [
        "label used", "label spoiled", "label used", "labels printed",
    ]  # fmt: skip
    assert all(c["recorded"] for c in mine)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("sv", ("Identitetskedja", "Gäller inte utan skanning")),
        ("es", ("Cadena de identidad", "No es válida sin escanear")),
    ],
)
def test_labels_are_in_the_language_of_who_prints_them(
    site: Site, language: str, words: tuple[str, ...]
) -> None:
    """What a hand reads on the bag is in its own language; the sheet stays as it was printed."""
    login, journey = "treating-clinic-1", site.order()
    path = f"/api/journeys/{journey}/labels?language={language}"
    body = {"identifier": "coi", "lot": "", "copies": 2, "reason": ""}
    sheet = site.call(login, "POST", path, json=body)
    assert sheet.status_code == 201, sheet.text
    thermal = site.call(login, "GET", sheet.json()["zpl"]).text
    assert all(word in thermal for word in words) and "Not valid" not in thermal
    paper = site.call(login, "GET", sheet.json()["pdf"]).content
    assert f"({language})".encode() in paper or f"<{language}".encode() in paper


def test_labels_are_another_organisations_business(site: Site) -> None:
    """Who takes part in the journey sees its own labels only; who does not sees nothing at all."""
    journey = site.order()
    sheet = labels(site, "treating-clinic-1", journey, "POST", identifier="coi").json()
    assert labels(site, "courier-1", journey).json()["count"]["printed"] == 0
    assert site.call("courier-1", "GET", sheet["pdf"]).status_code == 404


def test_nobody_says_that_labels_add_up_while_they_do_not(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """Where the protocol asks whether all printed labels are there, the count decides with it."""
    under = brought_to("KIT", "step")
    login, journey = "supply-1", under.journey
    labels(site, login, journey, "POST", identifier="coi", copies=2)
    net = site.inside(site.tower.journeys.live(journey)).net
    check = next(
        c for c in net.protocol.steps["KIT"].checks if c.deviation == "LABEL_RECONCILIATION_GAP"
    )
    choice = next(name for name, c in check.choices.items() if c.means == "pass")
    answer = {
        "type": "Answer", "activity": "KIT", "side": "step", "check": check.id, "value": choice,
    }  # fmt: skip
    said = site.send(login, journey, answer)
    assert said.status_code == 409 and said.json()["type"] == "/problems/labels", said.text
    for one in labels(site, login, journey).json()["labels"]:
        labels(site, login, journey, "POST", f"/{one['id']}", fate="used")
    assert site.send(login, journey, answer).json().get("type") != "/problems/labels"


def test_what_comes_out_of_the_thermal_printer_is_read_back(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """Each graphic that the API sends to a printer says the journey's own identifier."""
    under = brought_to("H08", "release")
    login = "cell-laboratory-1"
    sheet = labels(site, login, under.journey, "POST", identifier="coi", copies=2)
    zpl = site.call(login, "GET", sheet.json()["zpl"]).text
    graphics = re.findall(r"\^GFA,\d+,\d+,(\d+),([0-9A-F]+)\^FS", zpl)
    assert len(graphics) == 2
    for row, data in graphics:
        packed = np.frombuffer(bytes.fromhex(data), np.uint8).reshape(-1, int(row))
        image = np.where(np.unpackbits(packed, axis=1), 0, 255).astype(np.uint8)
        (symbol,) = zxingcpp.read_barcodes(np.pad(image, 24, constant_values=255))
        found = scan.read(symbol.text).find(scan.Kind.COI)
        assert found is not None and found.canonical == under.journey


@pytest.mark.browser
def test_a_label_is_printed_and_accounted_for_on_its_page(
    site: Site,
    browser_of: Callable[..., Page],
    brought_to: Callable[[str, str], Under],
    shoot: Callable[[Page, str], None],
) -> None:
    """From the journey's page to the sheet, and back to say what became of it."""
    under = brought_to("H08", "release")
    page = browser_of("cell-laboratory-1")
    page.goto(f"/journeys/{under.journey}")
    page.get_by_role("link", name="Labels", exact=True).click()
    page.locator("#target").select_option(index=1)
    page.get_by_role("button", name="Print").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_text("1 printed label is not accounted for")).to_be_visible()
    page.get_by_role("button", name="Used").click()
    expect(page.get_by_text("Every printed label is accounted for")).to_be_visible()
    shoot(page, "labels")
