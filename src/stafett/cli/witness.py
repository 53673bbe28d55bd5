"""`stafett witness`: an organisation's own witness and mirror of the record."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click

from stafett.cli.group import Sentences
from stafett.ledger import cosignature, witness_store
from stafett.ledger.mirror import Mirror, Refused
from stafett.ledger.note import BadNote
from stafett.ledger.policy import BadPolicy, Policy, parse_policy
from stafett.ledger.source import Http, Missing, Unreadable
from stafett.ledger.verify import verify
from stafett.ledger.witness_app import Witness, witness_app
from stafett.ledger.witness_store import BadFolder, WitnessFolder

FOLDER = click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("witness"), show_default=True,
    help="The witness's folder: its key, the logs it trusts, what it has seen.",
)  # fmt: skip
JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.group(cls=Sentences)
def witness() -> None:
    """Watch a shared record, so that no one can rewrite it: run a witness or a mirror."""


@witness.command()
@click.argument("name")
@click.option("--log", "logs", multiple=True, required=True, help="Verifier key of a log to trust.")
@click.option("--url", default="", help="Where the log can reach this witness.")
@click.option("--ml-dsa", is_flag=True, help="Sign with ML-DSA-44 instead of Ed25519.")
@FOLDER
@JSON
def join(
    name: str, logs: tuple[str, ...], url: str, ml_dsa: bool, folder: Path, as_json: bool
) -> None:
    """Enrol an organisation: make its witness key and print what to send to the log's owner.

    NAME is the key name, best an address of the organisation, such as karolinska.example/witness.
    Called again, it adds logs and keeps the key.
    """
    try:
        keys = [witness_store.log_key(text) for text in logs]
        known = WitnessFolder(folder)
        if (folder / "key").exists():
            if known.cosigner().vkey.name != name:
                _wrong(
                    f"{folder} is the witness {known.cosigner().vkey.name!r}: use another folder"
                )
        else:
            WitnessFolder.create(folder, name, mldsa=ml_dsa)
        for key in keys:
            known.trust(key)
        vkey = known.cosigner().vkey
    except (BadNote, BadFolder, OSError) as error:
        _wrong(str(error))
    line = f"witness {name.replace('/', '-')} {vkey}{' ' + url if url else ''}"
    if as_json:
        click.echo(json.dumps({"witness": str(vkey), "policy_line": line}))
        return
    click.echo("Send this line to whoever runs the log; it goes into the trust policy:\n")
    click.echo(line + "\n")
    click.echo(f"Back up {folder / 'key'}: it is secret, and it is this witness.", err=True)


@witness.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8790, show_default=True)
@FOLDER
def run(host: str, port: int, folder: Path) -> None:
    """Serve add-checkpoint (C2SP tlog-witness) until stopped."""
    import uvicorn

    try:
        with WitnessFolder(folder).opened() as opened:
            running = Witness(opened)
            if opened.exposed:
                click.echo(f"WARNING {folder / 'key'} can be read by others: chmod 600", err=True)
            click.echo(f"witness {running.cosigner.vkey}")
            click.echo(f"watching {', '.join(running.logs) or 'no log yet'}")
            click.echo(f"listening on http://{host}:{port}")
            uvicorn.run(
                witness_app(running), host=host, port=port, log_level="warning",
                timeout_graceful_shutdown=5,
            )  # fmt: skip
    except BadFolder as error:
        _wrong(str(error))


@witness.command()
@JSON
@FOLDER
def status(folder: Path, as_json: bool) -> None:
    """Say what the witness has seen. Exit status 1 when it holds proof of a fork."""
    try:
        opened = WitnessFolder(folder)
        state, logs, vkey = opened.load(), opened.logs(), opened.cosigner().vkey
    except BadFolder as error:
        _wrong(str(error))
    rows = {
        origin: {
            "size": state.latest[origin].size if origin in state.latest else 0,
            "at": _time(state.latest[origin].at) if origin in state.latest else None,
            "forked": state.forked(origin) is not None,
        }
        for origin in logs
    }
    if as_json:
        click.echo(json.dumps({"witness": str(vkey), "logs": rows}, indent=1))
    else:
        click.echo(f"witness {vkey}")
        for origin, row in rows.items():
            seen = f"{row['size']} entries, cosigned {row['at']}" if row["at"] else "not seen yet"
            click.echo(
                f"{origin}: {'FORKED: two signed histories; ' if row['forked'] else ''}{seen}"
            )
    sys.exit(1 if any(row["forked"] for row in rows.values()) else 0)


@witness.command()
@click.argument("prefix")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), required=True)
@click.option("--copy", "copy_folder", type=click.Path(path_type=Path), default=Path("mirror"),
              show_default=True, help="The folder of the copy.")  # fmt: skip
@click.option("--hashes-only", is_flag=True, help="Keep tree hashes only, not the entries.")
@click.option("--cosign", type=click.Path(path_type=Path), help="Key file to cosign the copy with.")
@JSON
def mirror(
    prefix: str, policy_file: Path, copy_folder: Path, hashes_only: bool, cosign: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Take what is new from the log at PREFIX (an address) into a checked copy.

    Exit status 1 when the log shows something that does not continue the copy.
    """
    if "://" not in prefix:
        _wrong(
            f"{prefix} is no address of a log, such as https://log.example/log. An archive that "
            "you were given is a copy already: check it, and that it continues the last one, with "
            "`stafett ledger verify NEW --continues OLD`"
        )
    policy = _policy(policy_file)
    try:
        key = cosignature.cosigner_from_text(cosign.read_text()) if cosign else None
        taken = Mirror(copy_folder, policy, entries=not hashes_only).pull(
            Http(prefix, newest=key is not None), key, now=lambda: int(time.time())
        )
    except Refused as error:
        for finding in error.findings:
            click.echo(f"{finding.kind}: {finding}", err=True)
        sys.exit(1)
    except (Unreadable, Missing, ValueError, OSError) as error:
        _wrong(str(error))  # what cannot be read is no proof against the log
    if as_json:
        new = taken.after - taken.before
        told = {"entries": taken.after, "new": new, "cosignature": taken.cosignature or None}
        click.echo(json.dumps(told))
        return
    click.echo(f"{taken.after} entries ({taken.after - taken.before} new), each hashed and checked")
    if taken.cosignature:
        click.echo(taken.cosignature, nl=False)


@witness.command("audit")
@click.argument("prefix")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), required=True)
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--hashes-only", is_flag=True, help="Check the tree's hashes only, not the entries.")
@JSON
def audit_command(
    prefix: str, policy_file: Path, jobs: int, hashes_only: bool, as_json: bool
) -> None:
    """Hash the whole record at PREFIX (a folder or an address) again; name what is wrong."""
    from stafett.ledger.source import Folder, Source

    policy = _policy(policy_file)
    source: Source = Http(prefix) if "://" in prefix else Folder(Path(prefix))
    try:
        entries = not hashes_only
        one = isinstance(source, Http)
        report = verify(source, policy=policy, entries=entries, jobs=1 if one else jobs)
    except Unreadable as error:
        _wrong(str(error))
    if as_json:
        found = [{"kind": f.kind, "what": str(f)} for f in report.findings]
        told = {"sound": report.sound, "entries": report.size, "findings": found}
        click.echo(json.dumps(told, indent=1))
        sys.exit(0 if report.sound else 1)
    for finding in report.findings:
        click.echo(f"{finding.kind}: {finding}")
    if report.sound:
        seen = f"; {report.authors.signed} signed by their authors" if entries else ""
        click.echo(
            f"sound: {report.size} entries hash to the signed root, cosigned by a quorum{seen}"
        )
    sys.exit(0 if report.sound else 1)


def _policy(path: Path) -> Policy:
    try:
        return parse_policy(path.read_bytes())
    except (OSError, BadPolicy) as error:
        _wrong(f"{path}: {error}")


def _wrong(what: str) -> NoReturn:
    click.echo(what, err=True)
    sys.exit(2)


def _time(posix: int) -> str:
    return datetime.fromtimestamp(posix, UTC).isoformat()
