"""An adoption decision with its documents: stored by content, named in the record, open to all."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import psycopg
from click.testing import CliRunner

from site_ import Site
from stafett.cli.ledger import _missing
from stafett.cli.main import main
from stafett.journey.label import Labels
from web_walk import walk

REGISTRAR, OUTSIDER = "administrator", "courier-admin"
PDF = b"%PDF-1.7 a recommendation with its reasons"
HEADERS = {"Content-Type": "application/pdf"}


def store(site: Site, data: bytes, login: str = REGISTRAR) -> str:
    answer = site.call(login, "POST", "/api/documents", content=data, headers=HEADERS)
    found: str = answer.json()["sha256"]
    return found


def assessment(id_: str, *documents: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_, "product": "P", "indication": "I", "body": "B", "country": "SE",
        "question": "Should the regions use it?", "stage": "in-assessment",
        "documents": [
            {"title": "Recommendation", "file_name": "decision.pdf", "sha256": d} for d in documents
        ],
        **more,
    }  # fmt: skip


def put(site: Site, value: dict[str, Any]) -> Any:
    body = {"value": value, "reason": "decided"}
    return site.call(REGISTRAR, "PUT", f"/api/registry/assessment/{value['id']}", json=body)


def test_a_decision_s_document_is_open_once_the_decision_names_it(site: Site) -> None:
    """Before, nobody but its owner reads it; after, everybody, byte by byte, and ever after."""
    sha256 = store(site, PDF)
    assert sha256 == hashlib.sha256(PDF).hexdigest()
    path = f"/registry/documents/{sha256}/decision.pdf"
    assert site.call(None, "GET", path).status_code == 404
    recorded = put(site, assessment("se-doc-open", sha256))
    assert recorded.status_code == 200, recorded.text
    public = site.call(None, "GET", path)
    assert public.content == PDF and public.headers["content-type"] == "application/pdf"
    assert public.headers["content-disposition"] == "attachment"
    events = site.call(None, "GET", "/api/registry/assessment/se-doc-open").json()
    assert events[-1]["value"]["documents"][0]["sha256"] == sha256, "the hash is in the record"
    page = site.call(None, "GET", "/registry/adoption/se-doc-open")
    assert path in page.text and "decision.pdf" in page.text
    # A later version without it leaves the earlier one readable.
    assert put(site, assessment("se-doc-open")).status_code == 200
    assert site.call(None, "GET", path).status_code == 200


def test_only_what_is_kept_and_one_s_own_can_be_named(site: Site) -> None:
    """A document that nobody stored, or another organisation's, is refused, and nothing changes."""
    theirs = store(site, b"%PDF another's secret", OUTSIDER)
    for sha256 in ("0" * 64, theirs):
        refused = put(site, assessment("se-doc-not-ours", sha256))
        assert refused.status_code == 404, refused.text
    assert site.call(None, "GET", "/api/registry/assessment/se-doc-not-ours").status_code == 404
    assert site.call(None, "GET", f"/registry/documents/{theirs}/x.pdf").status_code == 404


def test_the_static_export_holds_the_documents(site: Site, tmp_path: Path) -> None:
    """The page of the decision links to the file, and the file is the document."""
    sha256 = store(site, PDF + b" exported")
    evidence = [{"title": "The report", "sha256": sha256, "file_name": "report.pdf"}]
    assert put(site, assessment("se-doc-export", evidence=evidence)).status_code == 200
    folder = tmp_path / "public"
    done = CliRunner().invoke(main, ["registry", "export", str(folder), "--url", site.base])
    assert done.exit_code == 0, done.output
    link = f"/registry/documents/{sha256}/report.pdf"
    assert link in (folder / "registry/adoption/se-doc-export/index.html").read_text()
    assert (folder / link.lstrip("/")).read_bytes() == PDF + b" exported"
    assert (folder / "registry/system/SE/Norra/index.html").exists(), "and each region's chain"


def test_scrub_misses_a_document_that_a_decision_names(site: Site) -> None:
    """A document that was deleted behind the record's back is named, with who names it."""
    sha256 = store(site, b"%PDF to be lost")
    assert put(site, assessment("se-doc-lost", sha256)).status_code == 200
    assert _missing(site.tower.url) == []
    with psycopg.connect(site.tower.url) as connection:
        connection.execute("DELETE FROM service.document_reader WHERE sha256 = %s", (sha256,))
        connection.execute("DELETE FROM service.document WHERE sha256 = %s", (sha256,))
    assert _missing(site.tower.url) == [(sha256, "registry/assessment/se-doc-lost")]
    json.dumps(_missing(site.tower.url))
    store(site, b"%PDF to be lost")
    assert _missing(site.tower.url) == []


def test_a_paper_of_a_journey_is_never_published(site: Site) -> None:
    """Its own organisation keeps and may read it; a decision that names it is refused."""
    labels = Labels(8131)
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    papers = [
        e["event"]
        for e in site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}/events").json()
        if e["kind"] == "DocumentAttached"
    ]
    assert papers, "the walk attaches what the protocol asks for"
    one = papers[0]
    # The bytes that the walk's script made its paper of.
    content = f"{journey} {one['document']} {one['activity']} {one.get('round')}".encode()
    sha256 = store(site, content)
    assert sha256 == one["sha256"], "the registrar's organisation keeps it"
    refused = put(site, assessment("se-doc-journey", sha256))
    assert refused.status_code == 422 and "attached to a journey" in refused.text, refused.text
    assert site.call(None, "GET", f"/registry/documents/{sha256}/x.pdf").status_code == 404
