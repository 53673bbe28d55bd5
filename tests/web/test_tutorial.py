"""The tutorial, done: what docs/tutorial/first-journey.md tells a newcomer is what happens."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Page, expect

from site_ import Site
from stafett.cli.main import main
from stafett.journey.label import Labels
from web_hands import Under, do_side, scan

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "tutorial"
TUTORIAL = (FOLDER / "first-journey.md").read_text("utf-8")
Open = Callable[..., Page]


def section(number: int) -> str:
    """Return the text of one numbered section, on one line."""
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", TUTORIAL, re.MULTILINE | re.DOTALL)
    assert found is not None
    return " ".join(found[0].split())


def logins() -> tuple[str, str]:
    """Return who signs in, in browser A and in browser B, as the table says."""
    rows = re.findall(r"^\| ([AB]) \| `([a-z0-9-]+)` \|", TUTORIAL, re.MULTILINE)
    assert [browser for browser, _ in rows] == ["A", "B"]
    return rows[0][1], rows[1][1]


class Worn(Labels):
    """The labels of a patient whose wristband is what was typed into the order."""

    band = ""

    @property
    def patient(self) -> str:
        """The number on the wristband."""
        return self.band


def open_from_my_handoffs(page: Page, journey: str, name: str) -> None:
    """Choose *My handoffs*, and there the work of the journey."""
    page.goto("/board")
    page.get_by_role("link", name="My handoffs").first.click()
    line = page.get_by_role("row").filter(has_text=journey).filter(has_text=name)
    line.get_by_role("link").first.click()
    page.wait_for_url(f"**/journeys/{journey}/**")


@pytest.mark.browser
@pytest.mark.timeout(180)
def test_a_newcomer_carries_the_first_handoff_and_stops_the_journey(
    site: Site, browser_of: Open
) -> None:
    """Sections 2 to 6 by what they name: people, links, headings, the red screen, the record."""
    clinic, referring = logins()
    a, b = browser_of(clinic), browser_of(referring)

    a.goto("/board")
    assert "**New order**" in section(3)
    a.get_by_role("link", name="New order").first.click()
    for box in ("protocol", "product"):
        named = re.search(rf"as {box} \*([^*]+)\*", section(3))
        assert named is not None
        offered = a.locator(f"#{box} option").filter(has_text=named[1])
        a.locator(f"#{box}").select_option(value=offered.get_attribute("value"))
    example = re.search(r"four characters or more: `([^`]+)`", section(3))
    assert example is not None
    labels = Worn(1)
    labels.band = f"{example[1]}-{uuid.uuid4().hex[:6]}"
    a.locator("#wristband").fill(labels.band)
    a.locator("#order button").click()
    a.wait_for_url("**/journeys/CH*")
    journey = a.url.rpartition("/")[2]
    expect(a.locator(".identity")).to_contain_text(journey)
    assert "*What happens next*" in section(3)
    assert "`H01 Referral`" in section(3)
    expect(a.get_by_role("heading", name="What happens next")).to_be_visible()
    expect(a.locator("main")).to_contain_text("Referral")

    assert section(4).count("**My handoffs**") == 2
    open_from_my_handoffs(b, journey, "Referral")
    do_side(site, b, Under(journey, labels), "H01", "release")
    open_from_my_handoffs(a, journey, "Referral")
    expect(a.locator(".ask")).to_be_visible()
    expect(a.locator("main")).not_to_contain_text(labels.band)  # what the giver scanned
    do_side(site, a, Under(journey, labels), "H01", "accept")

    b.goto("/board")
    row = b.locator(f'tr[data-journey="{journey}"]')
    expect(row).to_be_visible()
    open_from_my_handoffs(a, journey, "consent")
    a.locator("[data-first]").click()
    other = re.search(r"Scan `([^`]+)`", section(5))
    assert other is not None
    scan(a, other[1])
    expect(a.get_by_role("alertdialog")).to_contain_text("STOP")
    expect(row).to_have_attribute("data-act", "red")  # with no reload

    a.goto(f"/journeys/{journey}")
    assert "*Chain of identity and custody*" in section(5)
    expect(a.get_by_role("heading", name="Chain of identity and custody")).to_be_visible()
    assert "open *The record*" in section(6)
    a.locator("summary").filter(has_text="The record").click()
    expect(a.locator("main")).to_contain_text("JourneyOpened")


def test_what_the_tutorial_types_exists() -> None:
    """Each command and option in it is known; the check that it ends with finds no error."""
    typed = re.findall(r"`\.venv/bin/stafett ([^`]+)`", TUTORIAL)
    assert len(typed) >= 4
    for line in typed:
        words = [word for word in shlex.split(line) if word != "FILE"]
        told = CliRunner().invoke(main, [*(w for w in words if w.islower()), "--help"])
        assert told.exit_code == 0, line
        assert all(word in told.output for word in words if word.startswith("--")), line
    proof = CliRunner().invoke(main, ["protocol", "check", "autologous-car-t"])
    assert proof.exit_code == 0
    assert "0 errors" in proof.output


def test_where_the_tutorial_leads_there_is_a_page() -> None:
    """Each link of the tutorial goes to a page of the documentation."""
    for link in re.findall(r"\]\(([^)#]+)\)", TUTORIAL):
        assert (FOLDER / link).is_file(), link
