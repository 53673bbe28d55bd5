"""Passkeys and signatures with a real browser's authenticator, and the record verified after."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect

from site_ import Site
from stafett.cli import main
from stafett.ledger.author import Keys
from stafett.service import demo
from stafett.service.signatures import Line, check, line, passkey_over
from stafett.service.signing import digest_of
from web_hands import authenticated, do_side, enrol

pytestmark = pytest.mark.browser


def test_a_passkey_signs_in_without_a_password(
    site: Site, chromium: Browser, shoot: Callable[[Page, str], None]
) -> None:
    """Enrolled on the account's page, it opens a session alone; removed, it opens nothing."""
    context, page = authenticated(chromium, site, "ward-1")
    enrol(page)
    shoot(page, "account-passkey")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto("/sign-in?next=/account")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/account")
    expect(page.locator("table").first).to_contain_text("passkey")
    page.locator("#pk-password").fill(demo.PASSWORD)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("You have none yet")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    context.close()


def test_a_handoff_is_signed_by_a_passkey_and_verified_without_the_system(
    site: Site, chromium: Browser, brought_to: Any, shoot: Callable[[Page, str], None]
) -> None:
    """The challenge is the hash of the event's own bytes; the entry verifies offline.

    Every change to the entry or to the assertion is found.
    """
    login = "cell-laboratory-1"
    under = brought_to("H08", "release")
    context, page = authenticated(chromium, site, login)
    enrol(page)
    do_side(site, page, under, "H08", "release", password="")
    record = site.call(login, "GET", f"/api/journeys/{under.journey}/signatures").json()
    mine = [s for s in record if s["method"] == "passkey"]
    assert mine and all(s["holds"] for s in record), record
    assert mine[-1]["by_key"] and mine[-1]["name"] and mine[-1]["meaning"]
    page.goto(f"/journeys/{under.journey}")
    said = page.locator("[aria-labelledby=signed-h]")
    expect(said).to_contain_text(f"signed by the passkey of {mine[-1]['name']}")
    expect(said).to_contain_text(mine[-1]["over"].removeprefix("sha256:"))
    said.locator("details").evaluate_all("boxes => boxes.forEach((b) => { b.open = true; })")
    shoot(page, "journey-signatures")
    context.close()

    leaves = site.inside(_leaves(site, under.journey))
    keys = site.inside(site.tower.ledger.keys())
    assert all(c.holds for c in check(under.journey, _lines(leaves, keys)))
    position, leaf = next(one for one in leaves if passkey_over(one[1]))
    assert passkey_over(leaf) == mine[-1]["over"]
    assert keys.check(leaf, position).is_persons  # it is the author's signature of the entry
    assert "proof" not in leaf["body"]["event"]["signatures"][0]
    _every_change_is_found(under.journey, position, leaf, keys)


async def _leaves(site: Site, journey: str) -> list[tuple[int, dict[str, Any]]]:
    events = await site.tower.ledger.stream(journey)
    return [(e.position, msgspec.json.decode(e.leaf)) for e in events]


def _lines(leaves: list[tuple[int, dict[str, Any]]], keys: Keys) -> list[Line]:
    return [line(position, leaf, keys) for position, leaf in leaves]


def _every_change_is_found(journey: str, position: int, leaf: dict[str, Any], keys: Keys) -> None:
    """Change each part of what is signed, of the event and of the assertion; none may hold."""

    def holds(changed: dict[str, Any], name: str = journey) -> bool:
        return all(c.holds for c in check(name, _lines([(position, changed)], keys)))

    def with_(value: Any, *path: Any) -> dict[str, Any]:
        changed = at = copy.deepcopy(leaf)
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = value
        return changed

    assert holds(leaf)
    assert not holds(leaf, "another journey")
    signed, event = leaf["body"]["signed"], leaf["body"]["event"]
    for field in signed:
        other: Any = {"x": 1} if isinstance(signed[field], dict) else "other"
        changed = with_(other, "body", "signed", field)
        assert not holds(changed), field
        # A host that also writes the new digest still lacks the key.
        digest = f"sha256:{digest_of(changed['body']['signed']).hex()}"
        changed["body"]["event"]["signatures"][0]["digest"] = digest
        assert not holds(changed), field
    for field in set(event) - {"type", "signatures"}:
        other = {"person": "x"} if isinstance(event[field], dict) else "other"
        assert not holds(with_(other, "body", "event", field)), field
    for field in ("person", "meaning", "digest", "at", "name"):
        other = "2026-01-01T00:00:00+01:00" if field == "at" else "other"
        assert not holds(with_(other, "body", "event", "signatures", 0, field)), field
    for field in ("audience", "kind", "occurred_at"):
        other = ["somebody"] if field == "audience" else "2026-01-01T00:00:00+01:00"
        assert not holds(with_(other, field)), field
    for field, text in leaf["signature"].items():
        middle = len(text) // 2
        other = text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]
        if field != "credential":  # a name of the key; the key itself proves
            assert not holds(with_(other, "signature", field)), field
    assert not holds({name: value for name, value in leaf.items() if name != "signature"})


def test_an_assertion_for_other_bytes_signs_nothing(site: Site, brought_to: Any) -> None:
    """A passkey's answer to another question, an old moment, or no passkey at all: refused."""
    under = brought_to("H08", "release")
    login = "apheresis-unit-2"
    given = {
        "credential": "AAAA", "authenticator_data": "AAAA", "signature": "AAAA",
        "client_data": "eyJjaGFsbGVuZ2UiOiAiQUFBQSJ9",
    }  # fmt: skip
    for at in ("2020-01-01T00:00:00+00:00", "2099-01-01T00:00:00+00:00"):
        body = {
            "key": "k" * 20, "role": "apheresis_unit",
            "command": {"type": "CloseDeviation", "deviation": "x", "conclusion": "y",
                        "occurred_at": "2026-11-01T08:00:00+01:00"},
            "passkey": {**given, "signed_at": at},
        }  # fmt: skip
        answer = site.call(login, "POST", f"/api/journeys/{under.journey}/commands", json=body)
        assert answer.status_code in (403, 422), answer.text
    path = f"/api/journeys/{under.journey}/signing"
    body.pop("passkey")
    answer = site.call(login, "POST", path, json=body)
    assert answer.json()["type"] == "/problems/unknown-name"  # said before anybody signs


def test_the_command_line_reads_a_bundle(site: Site, brought_to: Any, tmp_path: Path) -> None:
    """`stafett journey signatures` verifies each from a proof bundle, and says what is wrong."""
    under = brought_to("H08", "release")
    entries = [
        {"index": position - 1, "leaf": json.dumps(leaf), "proof": []}
        for position, leaf in site.inside(_leaves(site, under.journey))
    ]
    organisation = json.loads(entries[0]["leaf"])["author"]["organisation"]
    made = {
        "format": "stafett-journey-proof/1", "stream": under.journey, "log": "x", "policy": None,
        "checkpoint": "x", "keys": [], "entries": entries,
    }  # fmt: skip
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(made))
    said = CliRunner().invoke(main, ["journey", "signatures", str(file)])
    assert said.exit_code == 0 and "0 do not hold" in said.output, said.output
    file.write_text(json.dumps(made).replace(organisation, "somebody-else"))
    said = CliRunner().invoke(main, ["journey", "signatures", str(file)])
    assert said.exit_code == 1 and "WRONG" in said.output
