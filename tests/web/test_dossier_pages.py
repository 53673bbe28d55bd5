"""Dossier, release view and traceability in the tower: who may read what, and that it is noted."""

from __future__ import annotations

import hashlib
import io
import json
import random
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from playwright.sync_api import Page

from site_ import Site
from stafett.cli.main import main
from stafett.journey.label import Labels
from stafett.ledger import bundle
from stafett.service.demo import PASSWORD
from stafett.web.language import words
from web_hands import Under
from web_walk import walk

CLINIC, COURIER, QP = "treating-clinic-1", "courier-1", "qualified-person-1"


@pytest.fixture(scope="module")
def treated(site: Site) -> Under:
    """Carry one journey up to the follow-up."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    product = next(iter(site.day().nets))
    journey = site.order(labels.patient, coi=labels.coi, product=product)
    site.inside(walk(site, journey, labels, ("FOLLOW_UP", "step")))
    return Under(journey, labels)


def cosigned(site: Site) -> None:
    """Wait until all that is recorded is signed and cosigned."""
    for _ in range(100):
        found = site.call(CLINIC, "GET", "/api/record").json()
        if found["signed"] == found["size"] and found["quorum"]:
            return
        time.sleep(0.2)
    raise AssertionError(found)


def package(site: Site, login: str, journey: str) -> dict[str, bytes]:
    """Get the package; wait until it is sealed."""
    for _ in range(60):
        answer = site.call(login, "GET", f"/api/journeys/{journey}/dossier.zip")
        if answer.status_code != 409:
            break
        time.sleep(0.5)
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def test_the_package_of_a_treated_patient_holds_and_proves_the_whole_chain(
    site: Site, treated: Under
) -> None:
    """Its proof verifies, is of exactly the dossier's events, and its leaves are the dossier's."""
    cosigned(site)
    files = package(site, CLINIC, treated.journey)
    proof = bundle.parse(files["proof.json"])
    assert bundle.verify(proof).sound
    found = json.loads(files["dossier.json"])
    assert len(found["events"]) == len(proof.entries) == found["as_of"]
    assert files["dossier.pdf"].startswith(b"%PDF-1.7")
    assert found["patient"].startswith("P-")
    assert treated.labels.patient not in files["dossier.json"].decode()
    assert found["signatures"] and all(s["meaning"] for s in found["signatures"])
    assert all(c["verdict"] == "unknown" for c in found["conditions"] if not c["readings"])


def _again(files: dict[str, bytes], *, sums: bool = True) -> bytes:
    """Write a package of these files; with `sums`, its MANIFEST fits them."""
    if sums:
        listed = (f"{hashlib.sha256(d).hexdigest()}  {n}\n" for n, d in files.items()
                  if n != "MANIFEST")  # fmt: skip
        files = {**files, "MANIFEST": "".join(listed).encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_a_dossier_is_made_and_verified_by_command_and_every_mangling_is_named(
    site: Site, treated: Under, tmp_path: Path
) -> None:
    """The command fetches it and checks it offline; what is wrong with a forged one is said."""
    cosigned(site)
    file = tmp_path / "one.zip"
    asked = ["--url", site.base, "--login", CLINIC, "--password", PASSWORD]
    made = CliRunner().invoke(main, ["dossier", "make", treated.journey, "-o", str(file), *asked])
    assert made.exit_code == 0, made.output
    good = CliRunner().invoke(main, ["dossier", "verify", str(file), "--json"])
    assert good.exit_code == 0, good.output
    said = json.loads(good.output)
    assert said["arranged_checked"]
    assert said["sound"] and said["journey"] == treated.journey and said["events"] == said["as_of"]
    with zipfile.ZipFile(file) as archive:
        files = {n: archive.read(n) for n in archive.namelist()}
    told = json.loads(files["dossier.json"])
    renamed = {**told, "journey": "CHA000000000000"}
    attached, *others = told["documents"]
    document = f"documents/{attached['sha256']}"
    claimed = {**told, "documents": [{**attached, "here": True}, *others]}
    retold = {**told, "events": [{**told["events"][0], "coi": "other"}, *told["events"][1:]]}
    signed = {**told, "signatures": [{**told["signatures"][0], "name": "N. N."},
                                     *told["signatures"][1:]]}  # fmt: skip
    clean = {**told, "passed": told["passed"][1:]}
    fewer = {**told, "events": told["events"][:-1], "leaves": told["leaves"][:-1]}
    forged = {
        "a changed file": (_again({**files, "dossier.pdf": b"%PDF"}, sums=False), "dossier.pdf"),
        "another journey": (_again({**files, "dossier.json": _json(renamed)}), "is about"),
        "an event told otherwise": (_again({**files, "dossier.json": _json(retold)}), "event 1"),
        "an event left out": (_again({**files, "dossier.json": _json(fewer)}), "tells of"),
        "a signature told otherwise": (_again({**files, "dossier.json": _json(signed)}),
                                       "signatures"),
        "a decision left out": (_again({**files, "dossier.json": _json(clean)}), "passed"),
        "another protocol": (_again({**files, "protocol.yaml": b"protocol: x"}), "protocol.yaml"),
        "a file added": (_again({**files, "more.txt": b"x"}), "no dossier holds"),
        "a file unlisted": (_again({**files, "documents/" + "0" * 64: b"x"}, sums=False),
                            "does not list"),
        "a document changed": (_again({**files, document: b"x"}), "another hash"),
        "a document taken out": (_again({**files, "dossier.json": _json(claimed)}),
                                 "says that it is here"),
    }  # fmt: skip
    for name, (data, what) in forged.items():
        file.write_bytes(data)
        wrong = CliRunner().invoke(main, ["dossier", "verify", str(file)])
        assert wrong.exit_code == 1 and "WRONG" in wrong.output and what in wrong.output, name
    for name, data in {
        "no zip": b"PK",
        "cut short": _again(files)[:-50],
        "empty": b"",
        "no proof": _again({n: d for n, d in files.items() if n != "proof.json"}),
        "a dossier that is none": _again({**files, "dossier.json": b"{}"}),
    }.items():
        file.write_bytes(data)
        wrong = CliRunner().invoke(main, ["dossier", "verify", str(file)])
        assert wrong.exit_code == 2 and "stafett dossier:" in wrong.output, name


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_the_command_says_why_it_has_no_dossier(site: Site, tmp_path: Path) -> None:
    """A journey that is not there, a wrong password, no tower: one line, exit status 2."""
    for journey, url, password in (
        ("CHA000000000000", site.base, PASSWORD), ("X", site.base, "wrong"),
        ("X", "http://127.0.0.1:9", PASSWORD), ("X", "nowhere", PASSWORD),
    ):  # fmt: skip
        result = CliRunner().invoke(
            main, ["dossier", "make", journey, "-o", str(tmp_path / "x.zip"), "--url", url,
                   "--login", CLINIC, "--password", password],
        )  # fmt: skip
        assert result.exit_code == 2 and "Error:" in result.output, result.output
        assert not list(tmp_path.iterdir())


def test_a_stranger_gets_no_dossier_and_nobody_one_without_signing_in(
    site: Site, treated: Under
) -> None:
    """What is not there and what is not yours look alike."""
    for form in ("dossier", "dossier.pdf", "dossier.zip", "release"):
        path = f"/api/journeys/{treated.journey}/{form}"
        assert site.call(None, "GET", path).status_code == 401
        assert site.call(CLINIC, "GET", f"/api/journeys/none/{form}").status_code == 404
    bad = site.call(CLINIC, "GET", f"/api/journeys/{treated.journey}/dossier?language=xx")
    assert bad.status_code == 422


def test_the_release_view_names_the_certificate_and_its_evidence(
    site: Site, treated: Under
) -> None:
    """Certified, by whom, on which checks; the same for every party of the journey."""
    (view,) = site.call(QP, "GET", f"/api/journeys/{treated.journey}/release").json()
    assert view["standing"] == "certified" and view["certified_by"].startswith("qualified-person")
    assert view["evidence"][0]["activity"] == "CERTIFY"
    (other,) = site.call(COURIER, "GET", f"/api/journeys/{treated.journey}/release").json()
    assert [e["position"] for e in other["evidence"]] == [e["position"] for e in view["evidence"]]
    fresh = site.order()
    (early,) = site.call(QP, "GET", f"/api/journeys/{fresh}/release").json()
    assert early["standing"] == "waiting" and len(early["blocks"]) > 5


def test_conditions_are_said_in_the_readers_language(site: Site, treated: Under) -> None:
    """What the loggers tell, or that they tell nothing, stands in words, not as a code."""
    (view,) = site.call(QP, "GET", f"/api/journeys/{treated.journey}/release").json()
    codes = {p["todo"] for p in view["open"] if p["kind"] == "condition"}
    assert codes == {"unregistered (unknown); no readings"}
    for language in ("en", "sv", "es"):
        page = site.call(
            QP, "GET", f"/journeys/{treated.journey}/release?language={language}",
            headers={"Accept": "text/html"},
        ).text  # fmt: skip
        assert not any(code in page for code in codes), language
        assert words(language)["finding.unregistered"] in page, language


def find(site: Site, login: str, **query: str) -> Any:
    """Search the traceability record."""
    return site.call(login, "GET", "/api/traceability", params=query)


def test_patient_and_products_lead_to_each_other(site: Site, treated: Under) -> None:
    """From any label, however it is spelled, to the pseudonym and the hospital; and all back."""
    dossier = site.call(CLINIC, "GET", f"/api/journeys/{treated.journey}/dossier").json()
    patient = dossier["patient"]
    back = find(site, CLINIC, patient=patient).json()
    (trace,) = back["traces"]
    assert trace["hospital"] == "university-hospital" and trace["patient"] == patient
    given = [p for p in trace["products"] if p["administered_at"]]
    used = str(int(given[0]["administered_at"][:4]) + 30) + given[0]["administered_at"][4:]
    must = site.call(CLINIC, "GET", f"/api/journeys/{treated.journey}/retention").json()["until"]
    assert given and trace["keep_until"] == max(filter(None, (used, must)))
    labels = {v for p in trace["products"] for v in p["identifiers"].values()}
    assert labels
    for label in sorted(labels):
        for _ in range(50):
            found = find(site, CLINIC, product=label).json()["traces"]
            if found:
                break
            time.sleep(0.1)
        mine = [t for t in found if t["journey"] == treated.journey]
        assert mine and mine[0]["patient"] == patient, label
        assert any(p["matches"] for p in mine[0]["products"])


def test_traceability_is_for_those_who_answer_for_it_and_each_search_is_noted(site: Site) -> None:
    """A courier may not search; a search is in the audit of reads, also one that finds nothing."""
    assert find(site, COURIER, patient="P-ABCDEFGH").status_code == 403
    assert find(site, CLINIC, patient="P-NOBODY22").json()["traces"] == []
    for query in ({}, {"patient": "P"}, {"patient": "P-ABCDEFGH", "product": "A9999"}):
        assert find(site, CLINIC, **query).status_code == 422, query
    looks = site.call("administrator", "GET", "/api/audit/readings").json()
    assert any("traceability by patient P-NOBODY22" in str(look) for look in looks), looks[:3]


def test_the_pages_show_release_and_traceability(
    site: Site,
    treated: Under,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """From the journey's page to the release view; from a pseudonym to its products; all fits."""
    page = browser_of(CLINIC)
    page.goto(f"/journeys/{treated.journey}")
    page.get_by_role("link", name="Release view").click()
    page.wait_for_url("**/release")
    assert page.locator(".verdict.certified").count() == 1
    shoot(page, "release-1280")
    patient = site.call(CLINIC, "GET", f"/api/journeys/{treated.journey}/dossier").json()["patient"]
    page.goto("/traceability")
    page.locator("#patient").fill(patient)
    page.locator("#patient").press("Enter")
    page.wait_for_url("**/traceability?patient=*")
    assert page.get_by_text("given to the patient").count() >= 1
    shoot(page, "traceability-1280")
    narrow = browser_of(CLINIC, "sv", 320)
    for where in (f"/journeys/{treated.journey}/release", f"/traceability?patient={patient}"):
        narrow.goto(where)
        wide = narrow.evaluate("document.documentElement.scrollWidth")
        shoot(narrow, "narrow-" + where.split("/")[1])
        assert wide <= 320, (where, wide)


@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_the_decision_is_reached_on_a_telephone_without_scrolling(
    brought_to: Callable[[str, str], Under], browser_of: Callable[..., Page], language: str
) -> None:
    """What stands, and the way to decide, on the first screen; the evidence folded, and there.

    What did not pass as expected is named before the fold, and who certified is a name.
    """
    ready = brought_to("CERTIFY", "step")
    page = browser_of(QP, language, 390)
    page.goto(f"/journeys/{ready.journey}/release")
    screen = page.viewport_size
    way = page.locator("a.button.main").bounding_box()
    assert way is not None and screen is not None
    assert way["y"] + way["height"] <= min(screen["height"], 844), way
    assert page.locator(".verdict.ready").bounding_box()["y"] < way["y"]
    assert page.evaluate("document.documentElement.scrollHeight") < 2000
    folded = page.locator("details.all")
    assert not folded.locator("table").first.is_visible()
    folded.locator("summary").first.click()
    assert folded.locator("details").count() > 25
    page.locator("a.button.main").click()
    page.wait_for_url("**/CERTIFY/step")
