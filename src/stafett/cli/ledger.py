"""`stafett ledger`: export, verify, back up, restore and scrub the record; tampering shown."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from stafett.cli.group import Sentences

if TYPE_CHECKING:
    from stafett.ledger.archive import Archive
    from stafett.ledger.checkpoint import Checkpoint

FOLDER = Path(".stafett")
MOST_TOLD = 20  # of what is wrong with an archive: one changed key makes thousands unverifiable
OF_A_KIND = 3  # of each kind the first ones are told before more of another

_folder = click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER,
    show_default=True, help="Where the control tower keeps its data.",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


def _trusting(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say whose keys the reader trusts."""
    for option in (
        click.option(
            "--policy", "policy_file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
            help="Whose cosignatures are needed (C2SP tlog-policy).",
        ),
        click.option("--key", help="The log's public key (vkey), from elsewhere."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(cls=Sentences)
def ledger() -> None:
    """Export, verify, back up and restore the record."""


@ledger.command()
@click.argument("target", type=click.Path(path_type=Path))
@_folder
@click.option(
    "--as", "reader", metavar="ORGANISATION", help="Only what this organisation may read."
)
@click.option("--policy", "policy_file",
              type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="A trust policy to put in, instead of the record's own.")  # fmt: skip
@_json
def export(
    target: Path, folder: Path, reader: str | None, policy_file: Path | None, as_json: bool
) -> None:
    """Write the record to TARGET (a folder, or a file ending in .zip) that needs no database.

    The record is sealed first: checked from the stored bytes and signed with the log's key. The
    archive holds the trust policy, and goes as far as a quorum of it has cosigned.
    """
    import psycopg

    from stafett.ledger import archive
    from stafett.ledger import export as rows
    from stafett.ledger.database import database
    from stafett.ledger.policy import parse_policy
    from stafett.ledger.schema import migrate
    from stafett.ledger.seal import log_key
    from stafett.service.belongings import examine_log_key

    with _errors(), database(folder / "postgres", existing=True) as server:
        migrate(server.url)
        examine_log_key(server.url, folder)
        signer = log_key(folder / "log.key")
        _seal(server.url, signer)
        kept = policy_file or folder / "trust-policy"
        policy = parse_policy(kept.read_bytes()) if kept.exists() else None
        with psycopg.connect(server.url, autocommit=True) as connection:
            newest, _ = rows.best_checkpoint(connection)
            size, text = rows.best_checkpoint(connection, policy)
            with _bar("exporting", size) as step:
                about = archive.write(
                    archive.sink(target),
                    rows.rows(connection, size, reader),
                    text,
                    str(signer.vkey),
                    reader=reader,
                    documents=_documents(server.url, reader),
                    policy=kept.read_text() if policy else None,
                    progress=step,
                )
    answer = {
        "archive": str(target), "size": about.size, "entries": about.entries,
        "key": str(signer.vkey), "not_cosigned_yet": newest - size,
        "quorum": policy is None or policy.judge(text).quorum,
    }  # fmt: skip
    lacking = ""
    if newest > size:
        lacking = f"{newest - size:,} entries are left out: no quorum has cosigned them yet.\n"
    elif not answer["quorum"]:
        lacking = "No quorum of the trust policy has cosigned it: who verifies it will be told.\n"
    _say(
        f"{target}: {about.entries:,} of {about.size:,} entries.\n{lacking}"
        f"Check it with: stafett ledger verify {target} --key '{signer.vkey}'",
        answer, as_json,
    )  # fmt: skip


@ledger.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--key", "keys", multiple=True, help="The log's public key (vkey), from elsewhere.")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path, dir_okay=False),
              help="Whose cosignatures are needed (C2SP tlog-policy).")  # fmt: skip
@click.option("--continues", "older", type=click.Path(path_type=Path, exists=True),
              help="What you kept earlier, which ARCHIVE must continue: an archive, a mirror, a"
              " checkpoint or a .tlog-proof.")  # fmt: skip
@_json
def verify(
    archive: Path, keys: tuple[str, ...], policy_file: Path | None, older: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Check ARCHIVE: every entry, the tree, who signed it. Needs no database and no network.

    Signatures are the log's, the witnesses', each entry's author's, and people's own.

    Exit status: 0 sound; 1 something is wrong, and named; 2 it cannot be read.
    """
    from stafett.ledger.archive import Archive
    from stafett.ledger.policy import parse_policy
    from stafett.ledger.verify import verify as check
    from stafett.service.signatures import inspect

    with _errors():
        policy = parse_policy(policy_file.read_bytes()) if policy_file else None
        known, held = _kept(older) if older else (None, None)
        with _bar("verifying", None) as step:
            report = check(
                Archive(archive), keys=keys, policy=policy, known=known, held=held,
                inspect=inspect, jobs=os.cpu_count() or 1, progress=step,
            )  # fmt: skip
    head, said = report.checkpoint, report.authors
    answer = {
        "sound": report.sound, "origin": head.origin if head else None, "size": report.size,
        "root": head.root.hex() if head else None,
        "entries": report.entries, "hidden": report.hidden, "documents": report.documents,
        "signed_by_authors": said.signed, "by_passkey": said.by_passkey,
        "not_signed": said.unsigned,
        "signed_by_people": said.personal, "with_a_key_of_their_own": said.by_key,
        "cannot_be_checked": said.early,
        "unvouched_keys": [{"key": k.id, "organisation": k.organisation, "position": k.since}
                           for k in report.unvouched],
        "key_from_elsewhere": report.trusted,
        "continues": known.size if known is not None else None,
        "cosigned_by": sorted(report.verdict.cosigned) if report.verdict else [],
        "problems": [{"kind": f.kind, "what": f.what, "position": f.position}
                     for f in report.findings],
    }  # fmt: skip
    lines = [f"WRONG  {finding}" for finding in _told(report.findings)]
    if len(report.findings) > MOST_TOLD:
        more = len(report.findings) - MOST_TOLD
        lines.append(f"       ... and {more:,} more, which may follow from the first (all: --json)")
    if head is not None:
        lines += [
            f"{'sound' if report.sound else 'NOT SOUND'}: {head.origin}, {head.size:,} entries "
            f"({report.entries:,} to read, {report.hidden:,} as hashes), "
            f"{report.documents} documents",
            f"{said.signed:,} entries are signed by their authors, {said.by_passkey:,} of them by "
            f"a person's passkey over the entry's bytes, {said.unsigned:,} by nobody; they hold "
            f"{said.personal:,} signatures of people, {said.by_key:,} of them "
            "with a key of their own",
        ]
    if said.early:
        lines.append(
            f"NOT CHECKED  {said.early:,} signatures of people at positions {said.early_at[0]:,} "
            f"to {said.early_at[1]:,} are of a form (until 25 November 2026) that did not keep "
            "what was signed: whether it is this cannot be shown. That their entries are as they "
            "were is, as of all others"
        )
    if known is not None and report.sound:
        lines.append(f"continues what you kept: {known.size:,} entries, each as it was")
    if report.verdict is not None:
        lines.append(f"cosigned by: {', '.join(sorted(report.verdict.cosigned)) or 'nobody'}")
    lines += [
        f"NOTE  {k.organisation} replaced a lost key at position {k.since}: nobody vouches for it"
        for k in report.unvouched
    ]
    if not report.trusted:
        lines.append(
            "Key and policy were taken from the archive itself: this shows that the archive fits "
            "itself. Give --key or --policy to know whose it is."
        )
    _say("\n".join(lines), answer, as_json)
    sys.exit(0 if report.sound else 1)


@ledger.command("demo-tamper")
@_json
def demo_tamper(as_json: bool) -> None:
    """Tamper with a throw-away record in three ways, and show who notices what."""
    from stafett.ledger.tamper import demonstrate

    with tempfile.TemporaryDirectory() as folder:
        crimes = demonstrate(Path(folder), secrets.token_bytes(32))
    lines = []
    for number, crime in enumerate(crimes, 1):
        lines.append(f"{number}. {crime.title}")
        for check in crime.checks:
            lines.append(f"   {'FOUND ' if check.found else 'unseen'}  {check.party}: {check.said}")
    answer = [
        {
            "crime": crime.title,
            "checks": [{"party": c.party, "found": c.found, "said": c.said} for c in crime.checks],
        }
        for crime in crimes
    ]
    _say("\n".join(lines), answer, as_json)


@ledger.command()
@click.argument("target", type=click.Path(path_type=Path))
@_folder
@_json
def backup(target: Path, folder: Path, as_json: bool) -> None:
    """Copy the running database to the new folder TARGET and check the copy.

    Keys are not in it: whoever holds backup and keys could sign in the log's name.
    """
    from stafett.ledger.database import Configured, database
    from stafett.ledger.keeping import backup as copy
    from stafett.service.belongings import kept

    with _errors(), database(folder / "postgres", existing=True) as server:
        if isinstance(server, Configured):
            _fail(
                "STAFETT_DATABASE_URL is set: back that server up with its own tools (its keeper "
                "knows how), and keep `stafett ledger export` beside it", 2,
            )  # fmt: skip
        copy(server.url, target)
    beside = kept(folder)
    _say(
        f"{target}: copied and checked. Not in it, and to be kept elsewhere, is what else is in "
        f"{folder}: {', '.join(beside) or 'nothing yet'}.",
        {"backup": str(target), "keys_elsewhere": beside}, as_json,
    )  # fmt: skip


@ledger.command()
@click.argument("backup", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--archive",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The archive of the server's log (serve --archive): brings back what came later.",
)
@click.option("--until", metavar="TIME", help="Stop at this moment (RFC 3339, with its offset).")
@_json
def restore(
    backup: Path, folder: Path, archive: Path | None, until: str | None, as_json: bool
) -> None:
    """Put BACKUP into the new data folder FOLDER, start it, and hash the whole record again."""
    from stafett.ledger.keeping import restore as put
    from stafett.service.belongings import NAMES

    try:
        moment = datetime.fromisoformat(until) if until else None
    except ValueError:
        raise click.BadParameter(
            f"{until!r} is no time, such as 2026-11-25T14:03:00+01:00"
        ) from None
    with _errors(), _bar("verifying", None) as step:
        kept = put(backup, folder / "postgres", step, archive=archive, until=moment)
    answer = {"folder": str(folder), "size": kept.size, "root": kept.root.hex()}
    _say(
        f"{folder}: {kept.size:,} entries, root {kept.root.hex()}. Before you serve, put back into "
        f"it what was kept elsewhere: {', '.join(NAMES)}.",
        answer, as_json,
    )  # fmt: skip


@ledger.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.argument("folder", type=click.Path(path_type=Path))
@_trusting
@_json
def refill(
    source: Path, folder: Path, key: str | None, policy_file: Path | None, as_json: bool
) -> None:
    """Put the record of a mirror or an archive (SOURCE) into the new data folder FOLDER.

    Where host and backups are lost. Entries, tree, checkpoint and cosignatures come back;
    documents, accounts and the vault don't. SOURCE must be sound by --policy or --key.
    """
    from stafett.ledger.archive import Archive
    from stafett.ledger.database import database
    from stafett.ledger.policy import parse_policy
    from stafett.ledger.refill import refill as put
    from stafett.ledger.schema import migrate
    from stafett.ledger.source import Folder

    if not key and not policy_file:
        raise click.UsageError("say whom you trust: --policy, or --key")
    is_archive = source.is_file() or (source / "about.json").is_file()
    with (
        _errors(),
        database(folder / "postgres") as server,
        _bar("checking and writing entries", None) as step,
    ):
        migrate(server.url)
        kept = put(
            Archive(source) if is_archive else Folder(source), server.url,
            keys=[key] if key else [],
            policy=parse_policy(policy_file.read_bytes()) if policy_file else None,
            jobs=os.cpu_count() or 1, progress=step,
        )  # fmt: skip
    _say(
        f"{folder}: {kept.size:,} entries, root {kept.root.hex()}. Before you serve, put back into "
        "it what was kept elsewhere: log.key, author-keys, trust-policy.",
        {"folder": str(folder), "size": kept.size, "root": kept.root.hex()}, as_json,
    )  # fmt: skip


@ledger.command("rotate-key")
@click.argument("organisation")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--lost", is_flag=True, help="Nobody holds the old key: nobody vouches for the new.")
@_folder
@_json
def rotate_key(organisation: str, reason: str, lost: bool, folder: Path, as_json: bool) -> None:
    """Give a hosted ORGANISATION a new key to sign its events with, recorded with its history."""
    from stafett.ledger import Ledger
    from stafett.ledger.database import database
    from stafett.ledger.schema import migrate
    from stafett.service.author_keys import AuthorKeys

    async def rotate(url: str) -> str:
        async with Ledger(url) as ledger:
            keys = AuthorKeys(folder / "author-keys", ledger)
            return (await keys.rotate(organisation, reason, lost=lost)).id

    with _errors(), database(folder / "postgres", existing=True) as server:
        migrate(server.url)
        known = _organisations(server.url)
        if organisation not in known:
            near = get_close_matches(organisation, known, 1) or known
            _fail(f"there is no organisation {organisation!r} here; there is {', '.join(near)}", 2)
        key = asyncio.run(rotate(server.url))
    _say(f"{organisation} signs with the key {key} from now on", {"key": key}, as_json)


@ledger.command()
@_folder
@_json
def scrub(folder: Path, as_json: bool) -> None:
    """Hash every entry and every document in the database again; miss what the record says is kept.

    Exit status: 0 all is as it was; 1 something is not, and named.
    """
    from stafett.ledger import keeping
    from stafett.ledger.database import database
    from stafett.ledger.schema import migrate

    with _errors(), database(folder / "postgres", existing=True) as server:
        migrate(server.url)
        with _bar("hashing entries", None) as step:
            kept = keeping.verify_database(server.url, step)
        documents = 0

        def counted() -> Iterator[tuple[str, bytes]]:
            nonlocal documents
            for one in _documents(server.url, None):
                documents += 1
                yield one

        wrong = list(keeping.scrub(counted()))
        missing, elsewhere = _missing(server.url), _elsewhere(server.url)
    lines = [f"WRONG  document {name} was changed" for name in wrong]
    lines += [f"WRONG  document {name}, named by {by}, is missing" for name, by in missing]
    bad = len(wrong) + len(missing)
    lines.append(
        f"{kept.size:,} entries and {documents - len(wrong):,} documents are as they were"
        + (f"; {len(wrong):,} are changed and {len(missing):,} missing" if bad else "")
    )
    if elsewhere:
        lines.append(
            f"NOTE  {elsewhere:,} documents that journeys name are not kept here: erased, or kept "
            "by whoever attached them"
        )
    told = {
        "not_kept_here": elsewhere,
        "size": kept.size,
        "documents": documents,
        "wrong_documents": wrong,
        "missing_documents": missing,
    }
    _say("\n".join(lines), told, as_json)
    sys.exit(1 if bad else 0)


def _told(findings: list[Any]) -> list[Any]:
    """Return MOST_TOLD of these in their order, so that many of one kind hide none of another."""
    seen = Counter[str]()
    places = []
    for n, finding in enumerate(findings):
        places.append((seen[finding.kind] >= OF_A_KIND, n))
        seen[finding.kind] += 1
    return [findings[n] for n in sorted(n for _, n in sorted(places)[:MOST_TOLD])]


def _organisations(url: str) -> list[str]:
    """Return who has an account here or a key in the record: after a refill only the latter."""
    import psycopg

    from stafett.ledger.author import STREAM

    with psycopg.connect(url) as connection:
        query = "SELECT DISTINCT organisation FROM ledger.event_store WHERE stream = %s"
        found = {str(row[0]) for row in connection.execute(query, [STREAM])}
        if connection.execute("SELECT to_regclass('service.organisation')").fetchone() != (None,):
            rows = connection.execute("SELECT id FROM service.organisation")
            found |= {str(row[0]) for row in rows}
    return sorted(found)


def _seal(url: str, signer: Any) -> None:
    import psycopg

    from stafett.ledger.seal import seal

    async def sign() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("SET ROLE stafett_append")
            await seal(connection, signer)

    asyncio.run(sign())


def _documents(url: str, reader: str | None) -> Iterator[tuple[str, bytes]]:
    """Yield the service's documents: all, or those that `reader` may read."""
    import psycopg

    query = "SELECT sha256, bytes FROM service.document"
    if reader is not None:
        query += " JOIN service.document_reader USING (sha256) WHERE organisation = %s"
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('service.document')").fetchone() == (None,):
            return
        with connection.cursor("documents") as cursor:
            cursor.itersize = 20
            for name, data in cursor.execute(query.encode(), [reader] if reader else []):
                yield str(name), bytes(data)


def _missing(url: str) -> list[tuple[str, str]]:
    """Return what the record says was kept, and who says so, where nobody keeps it any more.

    Documents of the registry's decisions, and files of loggers. A journey may also name a document
    that its organisation keeps elsewhere (`_elsewhere`).
    """
    import psycopg

    query = """
    WITH entry AS (
      SELECT stream, convert_from(leaf, 'UTF8')::jsonb #> '{body,value}' AS value
      FROM ledger.event_store WHERE stream LIKE 'registry/assessment/%'),
    named AS (
      SELECT stream, one ->> 'sha256' AS sha256 FROM entry, jsonb_array_elements(
        coalesce(value -> 'documents', '[]') || coalesce(value -> 'evidence', '[]')) AS one
      UNION ALL
      SELECT stream, convert_from(leaf, 'UTF8')::jsonb #>> '{body,file,sha256}'
      FROM ledger.event_store WHERE kind = 'LoggerFileRead')
    SELECT DISTINCT sha256, stream FROM named
    WHERE sha256 IS NOT NULL AND sha256 NOT IN (SELECT sha256 FROM service.document)
    ORDER BY 2, 1
    """
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('service.document')").fetchone() == (None,):
            return []
        return [(str(name), str(by)) for name, by in connection.execute(query)]


def _elsewhere(url: str) -> int:
    """Return how many documents that journeys name are not kept here: erased, or elsewhere."""
    import psycopg

    query = """
    SELECT count(DISTINCT sha256) FROM (
      SELECT convert_from(leaf, 'UTF8')::jsonb #>> '{body,event,sha256}' AS sha256
      FROM ledger.event_store WHERE kind = 'DocumentAttached') AS named
    WHERE sha256 NOT IN (SELECT sha256 FROM service.document)
    """
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('service.document')").fetchone() == (None,):
            return 0
        row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Show progress on stderr where someone is looking; yields step(done[, total])."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)

        def step(done: int, size: int | None = None) -> None:
            progress.update(task, completed=done, total=size if size is not None else total)

        yield step


def _kept(path: Path) -> tuple[Checkpoint, Archive | None]:
    """Return the checkpoint that a reader kept, and the archive or mirror that it is of, if any."""
    from stafett.ledger import note, proof
    from stafett.ledger.archive import Archive, BadArchive
    from stafett.ledger.checkpoint import parse_text

    held = Archive(path) if path.is_dir() or zipfile.is_zipfile(path) else None
    raw = held.part("checkpoint") if held is not None else path.read_bytes()
    try:
        if raw.startswith(proof.HEADER.encode()):
            raw = proof.parse(raw).checkpoint.encode()
        return parse_text(note.parse(raw).text), held
    except (note.BadNote, proof.BadReceipt) as error:
        raise BadArchive(f"{path} holds no checkpoint: {error}") from None


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what the rooms raise into a line and an exit status."""
    from stafett.ledger.archive import BadArchive
    from stafett.ledger.event import NotAcknowledged, Refused
    from stafett.ledger.export import NothingSigned
    from stafett.ledger.keeping import KeepingFailed
    from stafett.ledger.note import BadNote
    from stafett.ledger.policy import BadPolicy
    from stafett.ledger.seal import NotReplicated, Tampered
    from stafett.ledger.unfit import Unfit

    try:
        yield
    except Tampered as error:
        _fail(f"TAMPERED: {error}", 1)
    except (BadArchive, BadNote, BadPolicy, NothingSigned, Unfit) as error:
        _fail(str(error), 2)
    except (KeepingFailed, NotAcknowledged, NotReplicated, OSError, Refused) as error:
        _fail(str(error), 2)


def _fail(text: str, status: int) -> NoReturn:
    context = click.get_current_context(silent=True)
    group = context.parent.info_name if context and context.parent else "ledger"
    click.echo(f"stafett {group}: {text}", err=True)
    sys.exit(status)


def _say(text: str, answer: object, as_json: bool) -> None:
    click.echo(json.dumps(answer, indent=1) if as_json else text)
