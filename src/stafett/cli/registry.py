"""`stafett registry`: check and import a register's export; put the public pages on any server."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click
import httpx
import msgspec

from stafett.cli.group import Sentences
from stafett.cli.remote import No, ok, reach, signed_in
from stafett.registry.importing import read
from stafett.registry.rows import Found, NotALayout
from stafett.registry.static import Site, crawl

CHUNK = 500  # trials in one request


@click.group(cls=Sentences)
def registry() -> None:
    """Read registers' exports, import them, and export the public pages."""


@registry.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def check(file: Path, as_json: bool) -> None:
    """Say what FILE holds and which of its rows are broken; nothing is recorded.

    Exit status: 0 every row is right; 1 some are broken; 2 it is no known layout.
    """
    found = _read(file)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _tell(found)
    sys.exit(1 if found.problems else 0)


@registry.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@reach
@click.option("--partial", is_flag=True, help="Leave out broken rows; else one stops all.")
@click.option("--reason", default="", help="Why, as it stands in the history of each trial.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def import_(
    file: Path, url: str, login: str, password: str, partial: bool, reason: str, as_json: bool
) -> None:
    """Import FILE into a running tower; what stands there already is left alone.

    The whole file is checked before anything is sent. An import that was cut off is finished by
    running it again.

    Exit status: 0 all was imported; 1 there are broken rows (with --partial the others were
    imported); 2 it is no known layout, or the tower said no.
    """
    found = _read(file)
    if found.problems and not partial:
        _tell(found)
        click.echo(
            "Nothing was imported. Mend the rows, or leave them out with --partial.", err=True
        )
        sys.exit(1)
    done = {"new": 0, "changed": 0, "same": 0}
    with (
        signed_in(url, login, password) as client,
        click.progressbar(
            range(0, len(found.trials), CHUNK), label="Importing", file=sys.stderr
        ) as steps,
    ):
        for at in steps:
            part = msgspec.json.encode({"trials": found.trials[at : at + CHUNK]})
            params = {"reason": reason or f"import: {found.layout}"}
            answer = ok(client.post("/api/registry/import", content=part, params=params)).json()
            for key in done:
                done[key] += answer[key]
    if as_json:
        broken = [msgspec.to_builtins(p) for p in found.problems]
        click.echo(json.dumps({**done, "broken": broken}))
    else:
        click.echo(
            f"{found.layout}: {done['new']} new, {done['changed']} changed,"
            f" {done['same']} unchanged, {len(found.problems)} broken rows left out."
        )
        for problem in found.problems[:20]:
            click.echo(f"  {problem}", err=True)
    sys.exit(1 if found.problems else 0)


@registry.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--url", default="http://127.0.0.1:8321", show_default=True, help="The tower.")
@click.option("--language", type=click.Choice(["en", "sv", "es"]), default="en", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def export(folder: Path, url: str, language: str, as_json: bool) -> None:
    """Write the public pages and their data to FOLDER, for any web server to serve at its root.

    The finder works there too (it runs in the browser); searching the list does not, so the list
    is written page by page.
    """
    if folder.exists() and any(folder.iterdir()):
        raise No(f"{folder} is not empty: name a new folder")
    try:
        with httpx.Client(
            base_url=url, timeout=60, headers={"Accept-Language": language, "Accept": "text/html"}
        ) as client:
            client.get("/")  # nothing is written before the tower answers
            pages = 0
            with click.progressbar(length=1, label="Exporting", file=sys.stderr) as bar:
                for path, data, todo in crawl(_fetch(client), Site(url)):
                    target = folder / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
                    pages += 1
                    bar.length = pages + todo
                    bar.update(1)
    except httpx.HTTPError as error:
        raise No(f"the tower at {url} does not answer: {error}") from None
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": pages}))
    else:
        click.echo(f"{pages} files in {folder}; try: python3 -m http.server -d {folder}")


def _fetch(client: httpx.Client) -> Callable[[str], tuple[str, bytes] | None]:
    def fetch(address: str) -> tuple[str, bytes] | None:
        answer = client.get(address)
        if answer.status_code != 200:
            return None
        return answer.headers.get("content-type", ""), answer.content

    return fetch


def _read(file: Path) -> Found:
    try:
        return read(file.read_bytes())
    except (NotALayout, OSError) as error:
        raise No(f"{file}: {error}") from None


def _tell(found: Found) -> None:
    click.echo(f"{found.layout}: {len(found.trials)} trials, {len(found.problems)} broken rows.")
    for problem in found.problems[:50]:
        click.echo(f"  {problem}", err=True)
    if len(found.problems) > 50:
        click.echo(f"  and {len(found.problems) - 50} more (--json has all)", err=True)
