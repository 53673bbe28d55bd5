"""An event that a passkey signs: over its very bytes, by its person, once, in time; or not at all.

The other person's key, other bytes, an answer given before, too late, or turned down: nothing is
recorded, and whoever signs is told what to do.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect

from site_ import Site
from stafett.cli import main
from stafett.ledger import archive, export
from stafett.ledger.author import REGISTERED, RETIRED, STREAM
from stafett.ledger.policy import parse_policy
from stafett.service import demo
from web_hands import Under, authenticated, device, do_side, enrol, settled, sign_in

pytestmark = pytest.mark.browser
FIRST, SECOND, THIRD = (f"treating-clinic-{n}" for n in (1, 2, 3))

# Ask what `asked` signs; answer it with the passkeys `allowed`; send `sent` with that answer.
ACT = """async ([journey, asked, sent, allowed]) => {
  const { answer } = await import("/static/passkey.js");
  const headers = { "X-Stafett": "1", "Content-Type": "application/json" };
  const post = (path, body) => fetch(`/api/journeys/${journey}/${path}`,
    { method: "POST", headers, body: JSON.stringify(body) });
  const due = await (await post("signing", asked)).json();
  if (!due.options) return { due };
  const only = { ...due.options, ...(allowed && { allowCredentials: allowed.map((id) => ({ id, type: "public-key" })) }) };
  const passkey = { ...(await answer(only)), signed_at: due.at };
  return { due, passkey, said: await (await post("commands", { ...sent, passkey })).json() };
}"""  # noqa: E501
SEND = """async ([journey, body]) => (await fetch(`/api/journeys/${journey}/commands`, {
  method: "POST", headers: { "X-Stafett": "1", "Content-Type": "application/json" },
  body: JSON.stringify(body) })).json()"""


def offer(reason: str = "the clinic closes") -> dict[str, Any]:
    """Return an act that is signed: handing accountability over."""
    command = {
        "type": "OfferAccountability", "to": "case_management", "reason": reason,
        "occurred_at": "2026-11-01T08:00:00+01:00",
    }  # fmt: skip
    return {"key": uuid.uuid4().hex, "role": "treating_clinic", "command": command}


def events_of(site: Site, journey: str) -> list[Any]:
    """Return what the record holds of a journey."""
    return list(site.inside(site.tower.ledger.stream(journey)))


def test_an_answer_of_a_passkey_is_good_for_one_event_only(
    site: Site, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other bytes, a moved journey, too late, a second time: each is refused, nothing is kept."""
    journey = site.order()
    context, page = authenticated(chromium, site, FIRST)
    enrol(page)
    before = len(events_of(site, journey))

    def refused(asked: dict[str, Any], sent: dict[str, Any]) -> str:
        found = page.evaluate(ACT, [journey, asked, sent, None])
        assert found["said"]["type"] == "/problems/signature", found
        assert len(events_of(site, journey)) == before
        return str(found["said"]["reasons"][0])

    asked = offer()
    other = {**asked, "command": {**asked["command"], "reason": "another reason"}}
    assert "not what would be recorded" in refused(asked, other)
    assert "not what would be recorded" in refused(asked, {**asked, "key": uuid.uuid4().hex})
    with monkeypatch.context() as impatient:
        impatient.setattr("stafett.service.signer.SIGNED_WITHIN", timedelta())
        assert "took too long" in refused(asked, asked)

    done = page.evaluate(ACT, [journey, asked, asked, None])
    assert done["said"]["events"][-1]["type"] == "AccountabilityOffered", done
    again = {**asked, "passkey": done["passkey"]}
    assert page.evaluate(SEND, [journey, again])["replayed"] is True
    taken_back = {"type": "WithdrawAccountability", "reason": "it stays open",
                  "occurred_at": "2026-11-01T08:05:00+01:00"}  # fmt: skip
    assert site.send(FIRST, journey, taken_back).status_code == 200
    now = len(events_of(site, journey))
    replayed = page.evaluate(SEND, [journey, {**again, "key": uuid.uuid4().hex}])
    assert replayed["type"] == "/problems/signature", replayed  # offered anew by the old answer
    assert len(events_of(site, journey)) == now
    context.close()


def test_nobody_signs_with_another_persons_passkey(site: Site, chromium: Browser) -> None:
    """Two people's keys on one device: the other's key answers, and it is refused."""
    journey = site.order()
    context, page = authenticated(chromium, site, SECOND)
    enrol(page, "the second's key")
    second = site.inside(site.tower.accounts.person(SECOND))
    theirs = [key.id for key in site.inside(site.tower.passkeys.of(second))]
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    sign_in(page, FIRST)
    enrol(page, "the first's key")
    asked, before = offer(), len(events_of(site, journey))
    found = page.evaluate(ACT, [journey, asked, asked, theirs])
    assert found["said"]["type"] == "/problems/signature", found
    assert "another person's passkey" in str(found["said"]["reasons"])
    assert len(events_of(site, journey)) == before
    own = page.evaluate(ACT, [journey, asked, asked, None])
    assert own["said"]["events"], own
    context.close()


def test_a_person_who_turns_the_passkey_down_is_told_what_to_do_and_signs_by_keyboard(
    site: Site,
    chromium: Browser,
    brought_to: Callable[[str, str], Under],
    shoot: Callable[[Page, str], None],
) -> None:
    """Turned down, nothing has changed; the same page takes the signature next, without a mouse."""
    under = brought_to("H08", "release")
    page, willing = device(chromium, site)
    sign_in(page, "cell-laboratory-1")
    enrol(page)
    do_side(site, page, under, "H08", "release", password="",
            until=lambda view: view.kind == "release" and view.next is None
            and all(d.attached for d in view.documents if d.required))  # fmt: skip
    before = len(events_of(site, under.journey))
    page.reload()
    expect(page.locator("#password")).to_be_focused()
    willing(False)
    page.keyboard.press("Tab")
    expect(page.locator("[data-option=release]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("nothing was signed")
    expect(page.get_by_role("alert")).to_contain_text("Sign again, or enter your password")
    shoot(page, "passkey-turned-down")
    assert len(events_of(site, under.journey)) == before
    willing(True)
    page.locator("[data-option=release]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-option=release]")).to_have_count(0)
    made = events_of(site, under.journey)[before:]
    assert made[-1].signature["alg"] == "WebAuthn"
    page.context.close()


def test_the_offline_verifiers_say_whose_passkey_signed_which_bytes(
    site: Site, chromium: Browser, tmp_path: Path
) -> None:
    """`ledger verify`, `journey verify`, `journey signatures` and the dossier: all name it."""
    journey = site.order()
    context, page = authenticated(chromium, site, FIRST)
    enrol(page)
    asked = offer()
    page.evaluate(ACT, [journey, asked, asked, None])
    context.close()
    shown = site.call(FIRST, "GET", f"/api/journeys/{journey}/signatures").json()[-1]
    assert shown["over"].startswith("sha256:") and shown["by_key"], shown
    settled(site)
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(site.call(FIRST, "GET", f"/api/journeys/{journey}/proof").content)
    verified = CliRunner().invoke(main, ["journey", "verify", str(bundle)])
    assert verified.exit_code == 0 and "1 of them by a person's passkey" in verified.output
    listed = CliRunner().invoke(main, ["journey", "signatures", str(bundle)])
    assert f"signed by the passkey of {shown['name']}" in listed.output, listed.output
    assert shown["over"] in listed.output and listed.exit_code == 0
    dossier = site.call(FIRST, "GET", f"/api/journeys/{journey}/dossier").json()
    assert [s["over"] for s in dossier["signatures"]][-1] == shown["over"]

    policy = parse_policy(site.call(FIRST, "GET", "/api/record/policy").text)
    with psycopg.connect(site.tower.url, autocommit=True) as connection:
        size, note = export.best_checkpoint(connection, policy)
        path = tmp_path / "record.zip"
        rows = export.rows(connection, size)
        key = str(site.tower.publishing.signer.vkey)
        archive.write(archive.sink(path), rows, note, key, policy=policy.text)
    said = CliRunner().invoke(main, ["ledger", "verify", str(path), "--json"])
    whole = msgspec.json.decode(said.output[said.output.index("{") :])
    assert whole["sound"] and whole["by_passkey"] >= 1, said.output
    assert whole["with_a_key_of_their_own"] >= 1


def test_a_passkey_that_is_taken_away_signs_nothing_more_and_the_record_says_so(
    site: Site, chromium: Browser
) -> None:
    """From the first event that it signs the record knows it; taken away, it knows that too."""
    journey = site.order()
    context, page = authenticated(chromium, site, THIRD)
    known = len(events_of(site, STREAM))
    enrol(page)
    assert len(events_of(site, STREAM)) == known  # nothing is told of one that only signs in
    asked = offer()
    page.evaluate(ACT, [journey, asked, asked, None])
    assert [e.kind for e in events_of(site, STREAM)[known:]] == [REGISTERED]
    page.goto("/account")
    page.locator("#pk-password").fill(demo.PASSWORD)
    page.get_by_role("button", name="Remove").first.click()
    expect(page.get_by_text("You have none yet")).to_be_visible()
    assert [e.kind for e in events_of(site, STREAM)[known:]] == [REGISTERED, RETIRED]
    shown = site.call(FIRST, "GET", f"/api/journeys/{journey}/signatures").json()[-1]
    assert shown["holds"] and shown["by_key"]  # what it signed holds for ever
    context.close()
