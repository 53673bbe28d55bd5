"""The record as people and their tools check it: standing, receipts, proofs, tree over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page

from site_ import Site
from stafett.ledger import archive, bundle, export, proof
from stafett.ledger.policy import parse_policy
from stafett.ledger.source import Http
from stafett.ledger.verify import verify
from stafett.service.signatures import inspect
from web_hands import NURSE, Under, settled


def test_the_running_tower_seals_and_is_witnessed_by_itself(site: Site) -> None:
    """Nobody asks for it: a second after an event a quorum of organisations has cosigned."""
    before = site.call(NURSE, "GET", "/api/record").json()["size"]
    site.order()
    found = settled(site, before + 1)
    assert found["cosigned"] == found["witnesses"] == 5 and found["needed"] == 3
    own = [w for w in found["seen"] if not w["counts"]]
    assert [w["name"] for w in own] == ["demo-host"] and own[0]["current"]
    newest = site.call(NURSE, "GET", "/api/record/checkpoints?limit=1").json()[0]
    assert newest["size"] == found["signed"]
    assert {"demo-university-hospital", "demo-baltic-qc"} <= {c["name"] for c in newest["by"]}


def test_appending_goes_on_while_witnesses_are_away_and_it_is_told(site: Site) -> None:
    """Three of five away: events are taken, the standing says so; back again, it is whole."""
    journey = site.order()
    settled(site)
    inside = site.tower.publishing.inside
    away = {name: inside.pop(name) for name in ("baltic-qc", "malaren-qp", "nordic-cryo-courier")}
    try:
        site.order()
        end = time.monotonic() + 60
        while (found := site.call(NURSE, "GET", "/api/record").json())["cosigned"] != 2:
            assert time.monotonic() < end, found
            time.sleep(0.1)
        assert not found["quorum"] and found["signed"] == found["size"]
        policy = parse_policy(site.call(NURSE, "GET", "/api/record/policy").text)
        raw = site.call(NURSE, "GET", f"/api/journeys/{journey}/proof").content
        assert bundle.verify(bundle.parse(raw), policy=policy).sound  # from the last quorum
        told = {w["name"]: w["away"] for w in found["seen"]}
        assert "not reached" in told["demo-baltic-qc"] and not told["demo-university-hospital"]
    finally:
        inside.update(away)
    assert settled(site)["cosigned"] == 5


def test_each_event_has_a_receipt_that_others_can_check(site: Site) -> None:
    """The `.tlog-proof` of an event verifies offline under the policy; strangers get none."""
    journey = site.order()
    settled(site)
    event = site.call(NURSE, "GET", f"/api/journeys/{journey}/events").json()[0]
    answer = site.call(NURSE, "GET", f"/api/record/receipts/{event['position']}")
    policy = parse_policy(site.call(NURSE, "GET", "/api/record/policy").text)
    made = site.call(NURSE, "GET", f"/api/journeys/{journey}/proof")
    leaf = bundle.parse(made.content).entries[0].leaf.encode()
    assert proof.verify(proof.parse(answer.text), leaf, policy).quorum
    with pytest.raises(proof.BadReceipt):
        proof.verify(
            proof.parse(answer.text), leaf.replace(b"JourneyOpened", b"JourneyClosed"), policy
        )
    for position in ("0", "999999", "x", "99999999999999999999"):
        assert site.call(NURSE, "GET", f"/api/record/receipts/{position}").status_code == 404


def test_the_tree_is_served_to_tools_that_know_nothing_of_stafett(site: Site) -> None:
    """Anyone may read checkpoint and hash tiles, and rebuild the root; entries are not theirs."""
    site.order()
    found = settled(site)
    policy = parse_policy(site.call(NURSE, "GET", "/api/record/policy").text)
    report = verify(Http(site.base + "/log"), policy=policy, entries=False)
    assert report.sound and report.size >= found["signed"]
    assert site.call(None, "GET", "/log/tile/entries/000.p/1").status_code == 403


def test_an_order_is_accepted_with_the_hosts_signature(site: Site) -> None:
    """The answer to a command carries a signed acceptance with the hashes of its events."""
    from stafett.ledger import acceptance
    from stafett.ledger.note import note_verifier

    body = {
        "key": "accept-me-1234", "role": "treating_clinic", "protocol": "autologous-car-t",
        "network": "sweden-demo", "wristband": "19121212-1212",
    }  # fmt: skip
    answer = site.call(NURSE, "POST", "/api/journeys", json=body).json()
    said = acceptance.open_acceptance(
        answer["acceptance"], note_verifier(site.call(NURSE, "GET", "/api/record").json()["key"])
    )
    events = site.call(NURSE, "GET", f"/api/journeys/{answer['journey']}/events").json()
    assert said["key"] == "accept-me-1234" and said["stream"] == answer["journey"]
    assert said["leaf_hashes"] == [e["leaf_hash"] for e in events]
    assert said["first_position"] == events[0]["position"]
    again = site.call(NURSE, "POST", "/api/journeys", json=body).json()
    assert again["replayed"] and again["acceptance"] == answer["acceptance"]


Open = Callable[..., Page]
Mangle = Callable[[dict[str, Any]], None]


def _change_a_word(made: dict[str, Any]) -> None:
    made["entries"][0]["leaf"] = made["entries"][0]["leaf"].replace(
        "JourneyOpened", "JourneyOpenee", 1
    )


def _drop_the_first(made: dict[str, Any]) -> None:
    made["entries"].pop(0)


def _swap_proofs(made: dict[str, Any]) -> None:
    first = made["entries"][0]
    first["proof"] = first["proof"][::-1]


def _shrink_the_tree(made: dict[str, Any]) -> None:
    lines = made["checkpoint"].split("\n")
    lines[1] = str(int(lines[1]) + 1)
    made["checkpoint"] = "\n".join(lines)


def _drop_cosignatures(made: dict[str, Any]) -> None:
    text, _, signatures = made["checkpoint"].partition("\n\n")
    kept = [line for line in signatures.split("\n") if "demo." not in line]
    made["checkpoint"] = f"{text}\n\n" + "\n".join(kept)


def _another_stream(made: dict[str, Any]) -> None:
    made["stream"] = "CHA999926ZZZZZZ"


def _forget_the_keys(made: dict[str, Any]) -> None:
    made["keys"] = []


MANGLED: dict[str, tuple[Mangle, str]] = {
    "a word of an event": (_change_a_word, "event 1"),
    "an event left out": (_drop_the_first, "event 1"),
    "a path reversed": (_swap_proofs, "event 1"),
    "another tree size": (_shrink_the_tree, "checkpoint"),
    "cosignatures taken away": (_drop_cosignatures, "checkpoint"),
    "another journey's name": (_another_stream, "event 1"),
    "the authors' keys left out": (_forget_the_keys, "event 1"),
}


def test_a_proof_is_checked_in_the_browser_and_every_mangling_is_named(
    site: Site,
    browser_of: Open,
    brought_to: Callable[[str, str], Any],
    tmp_path: Path,
    shoot: Callable[[Page, str], None],
) -> None:
    """Chromium computes the proof itself; Python and it say the same of whole and mangled files."""
    journey = brought_to("H05", "accept").journey
    settled(site)
    raw = site.call(NURSE, "GET", f"/api/journeys/{journey}/proof").content
    policy = parse_policy(site.call(NURSE, "GET", "/api/record/policy").text)
    assert bundle.verify(bundle.parse(raw), policy=policy).sound
    page = browser_of(NURSE)
    page.goto(f"/journeys/{journey}")
    page.locator("a.button", has_text="Proof of this journey").click()
    page.locator('[data-sound="true"]').wait_for()
    said = page.locator("#outcome").inner_text()
    assert "demo-baltic-qc" in said and "demo-host" not in said
    page.locator("#outcome", has_text="The journey is open").wait_for()
    shoot(page, "record")
    for name, (mangle, where) in MANGLED.items():
        made = json.loads(raw)
        mangle(made)
        path = tmp_path / "mangled.json"
        path.write_text(json.dumps(made, ensure_ascii=False))
        page.goto("/record")
        page.locator("#file").set_input_files(path)
        page.locator('[data-sound="false"]').wait_for()
        cell = page.locator("#outcome tbody td").first.inner_text()
        assert cell.startswith(where), (name, cell)
        found = bundle.verify(bundle.parse(path.read_bytes()), policy=policy)
        assert not found.sound and found.problems[0].where.startswith(where), (name, found.problems)
    shoot(page, "record-mangled")
    (tmp_path / "none.json").write_text('{"format": "x"}')
    page.locator("#file").set_input_files(tmp_path / "none.json")
    page.locator("#outcome td", has_text="the format is not").wait_for()


def test_the_board_says_how_the_record_stands(
    site: Site, browser_of: Open, shoot: Callable[[Page, str], None]
) -> None:
    """A small element says how many witnesses have cosigned and when, and leads to the page."""
    settled(site)
    page = browser_of(NURSE, width=320)
    page.goto("/board")
    page.locator("#witnessed", has_text="witnessed by 5 of 5").wait_for()
    shoot(page, "board-witnessed-320")
    page.locator("#witnessed").click()
    page.wait_for_url("**/record")
    shoot(page, "record-320")
    wide = "[...document.querySelectorAll('main *')].filter((e) => !e.closest('.scroll')"
    wide += " && e.getBoundingClientRect().right > 320).map((e) => e.outerHTML.slice(0, 80))"
    assert page.evaluate(wide) == []


def test_the_one_verifier_looks_at_peoples_signatures(
    site: Site, brought_to: Callable[[str, str], Under], tmp_path: Path
) -> None:
    """An archive of real journeys is sound: authors' signatures, people's own, the quorum."""
    brought_to("H02", "accept")
    settled(site)
    policy = parse_policy(site.call(NURSE, "GET", "/api/record/policy").text)
    with psycopg.connect(site.tower.url, autocommit=True) as connection:
        size, note = export.best_checkpoint(connection, policy)
        rows = export.rows(connection, size)
        key = str(site.tower.publishing.signer.vkey)
        path = tmp_path / "record.zip"
        archive.write(archive.sink(path), rows, note, key, policy=policy.text)
    report = verify(archive.Archive(path), inspect=inspect)
    assert report.sound, report.findings
    assert report.authors.signed == size and report.authors.personal >= 2
