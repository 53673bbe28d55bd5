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
from stafett.journey.command import Proof
from stafett.service import demo
from stafett.service.signatures import Line, check
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
    """The challenge is the hash of the bytes signed; the proof verifies offline, from the record.

    Every change to the content, the event or the proof is found.
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
    expect(page.locator("[aria-labelledby=signed-h]")).to_contain_text("verified by the signer")
    shoot(page, "journey-signatures")
    context.close()

    lines = site.inside(_lines(site, under.journey))
    assert all(c.holds for c in check(under.journey, lines))
    _every_change_is_found(under.journey, lines)


async def _lines(site: Site, journey: str) -> list[Line]:
    return [
        Line(e.position, e.version, e.author.organisation, e.body["event"], e.body.get("signed"))
        for e in await site.tower.ledger.stream(journey)
    ]


def _every_change_is_found(journey: str, lines: list[Line]) -> None:
    """Change each field of what is signed, of the event and of the proof; none may still hold."""
    line = next(
        one for one in lines
        if any(s.get("proof") for s in one.event.get("signatures", ()))
    )  # fmt: skip
    signed = dict(line.signed or {})

    def holds(event: Any = None, content: Any = None, name: str = journey) -> bool:
        changed = Line(
            line.position, line.version, line.organisation, event or line.event, content or signed
        )
        return all(c.holds for c in check(name, [changed]))

    assert holds()
    assert not holds(name="another journey")
    for field in signed:
        other = copy.deepcopy(signed)
        other[field] = {"x": 1} if isinstance(other[field], dict) else "other"
        assert not holds(content=other), field
        # An attacker who also writes the new digest still lacks the key.
        event = copy.deepcopy(dict(line.event))
        event["signatures"][0]["digest"] = f"sha256:{digest_of(other).hex()}"
        assert not holds(event, other), field
    for field in set(signed) & set(line.event) - {"type", "round"}:
        event = copy.deepcopy(dict(line.event))
        event[field] = {"person": "x"} if isinstance(event[field], dict) else "other"
        assert not holds(event), field
    for field in ("person", "meaning", "digest", "at"):
        event = copy.deepcopy(dict(line.event))
        event["signatures"][0][field] = "2026-01-01T00:00:00+01:00" if field == "at" else "other"
        assert not holds(event), field
    for proof_field in msgspec.structs.fields(Proof):
        event = copy.deepcopy(dict(line.event))
        text = event["signatures"][0]["proof"][proof_field.name]
        middle = len(text) // 2
        event["signatures"][0]["proof"][proof_field.name] = (
            text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]
        )
        if proof_field.name != "credential":  # a name of the key; the key itself proves
            assert not holds(event), proof_field.name


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
    assert answer.status_code in (409, 403), answer.text


def test_the_command_line_reads_a_bundle(site: Site, brought_to: Any, tmp_path: Path) -> None:
    """`stafett journey signatures` verifies each from a proof bundle, and says what is wrong."""
    under = brought_to("H08", "release")
    lines = site.inside(_lines(site, under.journey))
    entries = []
    for line in lines:
        body = {"event": line.event, **({"signed": line.signed} if line.signed else {})}
        leaf = {
            "version": line.version,
            "author": {"organisation": line.organisation},
            "body": body,
        }
        entries.append({"index": line.position - 1, "leaf": json.dumps(leaf), "proof": []})
    made = {
        "format": "stafett-journey-proof/1", "stream": under.journey, "log": "x", "policy": None,
        "checkpoint": "x", "keys": [], "entries": entries,
    }  # fmt: skip
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(made))
    said = CliRunner().invoke(main, ["journey", "signatures", str(file)])
    assert said.exit_code == 0 and "0 do not hold" in said.output, said.output
    file.write_text(json.dumps(made).replace(lines[0].organisation, "somebody-else"))
    said = CliRunner().invoke(main, ["journey", "signatures", str(file)])
    assert said.exit_code == 1 and "WRONG" in said.output
