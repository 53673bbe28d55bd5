"""`stafett registry`: check and import a file, export the public pages as files."""

from __future__ import annotations

import http.server
import json
import re
import threading
from functools import partial
from pathlib import Path

import httpx
from click.testing import CliRunner

from register_exports import study
from site_ import Site
from stafett.cli.main import main
from stafett.registry import static
from stafett.service import demo


def run(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["registry", *words])
    return found.exit_code, found.output


def test_check_names_the_broken_rows(tmp_path: Path) -> None:
    """Exit 0 when all is right, 1 with the rows named, 2 for what is no export."""
    file = tmp_path / "x.json"
    file.write_text(json.dumps([study()]))
    assert run("check", str(file)) == (0, "ClinicalTrials.gov JSON: 1 trials, 0 broken rows.\n")
    file.write_text(json.dumps([study(), study("NCT7")]))
    status, said = run("check", str(file))
    assert status == 1 and "row 2 (NCT7): id:" in said
    file.write_text("a,b\n1,2\n")
    status, said = run("check", str(file))
    assert status == 2 and "no known layout" in said


def test_import_sends_all_or_nothing(site: Site, tmp_path: Path) -> None:
    """One broken row stops it before anything is sent; --partial leaves it out and says so."""
    file = tmp_path / "x.json"
    file.write_text(json.dumps([study("NCT20000001"), study("NCT7")]))
    who = ("--url", site.base, "--login", "administrator", "--password", demo.PASSWORD)
    status, said = run("import", str(file), *who)
    assert status == 1 and "Nothing was imported" in said
    assert site.call(None, "GET", "/api/registry/trial/NCT20000001").status_code == 404
    status, said = run("import", str(file), *who, "--partial", "--json")
    assert status == 1 and json.loads(said.splitlines()[-1])["new"] == 1
    wrong = run("import", str(file), *who[:-1], "not it", "--partial")
    assert wrong[0] == 2 and "Not signed in" in wrong[1]


def test_the_exported_pages_work_on_a_plain_server(site: Site, tmp_path: Path) -> None:
    """Every link of every page leads to a file, with no tower behind it."""
    folder = tmp_path / "public"
    status, said = run("export", str(folder), "--url", site.base, "--language", "sv")
    assert status == 0, said
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    pages = sorted(folder.rglob("*.html"))
    assert len(pages) > 120
    links = {
        link
        for page in pages
        for link in re.findall(r'(?:href|src)="(/[^"#]*)"', page.read_text())
        if not link.startswith("/api/")
    } - {"/"}
    with httpx.Client(base_url=base) as client:
        broken = [link for link in links if client.get(link).status_code != 200]
    server.shutdown()
    assert broken == []
    trials = json.loads((folder / "registry/trials.json").read_text())["trials"]
    assert len(trials) == len(site.tower.registry.all("trial"))
    assert "Kliniska prövningar" in (folder / "registry/trials/index.html").read_text()


def test_file_names_are_those_that_a_server_looks_for() -> None:
    """A page is a folder with an index; data keep their names; pages of the list are numbered."""
    assert static.name("/registry/trials") == "registry/trials/index.html"
    assert static.name("/registry/trials?page=3") == "registry/trials/page-3/index.html"
    assert static.name("/registry/trials.json") == "registry/trials.json"
    site = static.Site("http://x:1")
    assert site.key("?&page=2", "/registry/trials") == "/registry/trials?page=2"
    assert site.key("https://elsewhere/registry/trials") is None
    assert site.key("/board") is None
