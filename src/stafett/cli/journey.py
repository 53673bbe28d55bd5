"""`stafett journey`: one journey's proof, made from the record and checked without it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import click

from stafett.cli.group import Sentences
from stafett.cli.ledger import _errors, _folder, _json, _say, _trusting
from stafett.protocol.fit import plain


@click.group(cls=Sentences)
def journey() -> None:
    """Prove what the record says of one journey."""


@journey.command()
@click.argument("name", metavar="JOURNEY")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to write it; JOURNEY.proof.json if not given.")  # fmt: skip
@click.option(
    "--as", "reader", metavar="ORGANISATION", help="Only what this organisation may read."
)
@_folder
@_json
def proof(name: str, output: Path | None, reader: str | None, folder: Path, as_json: bool) -> None:
    """Write the proof bundle of JOURNEY: its entries, each with its path to a cosigned root.

    What is recorded and not sealed yet is sealed first, and the witnesses of the trust policy are
    asked to cosign it. The proof is of the newest checkpoint that a quorum has cosigned.
    """
    from stafett.ledger.database import database
    from stafett.ledger.publish import NotYet
    from stafett.ledger.schema import migrate
    from stafett.service.belongings import examine

    target = output or Path(f"{name}.proof.json")
    with _errors(), database(folder / "postgres", existing=True) as server:
        migrate(server.url)
        examine(server.url, folder, trust_clock=True)
        try:
            text = asyncio.run(_prove(server.url, folder, name, reader))
        except NotYet:
            raise click.ClickException(
                f"the record has no journey {name!r}"
                + (f" that {reader!r} may read" if reader else "")
            ) from None
    target.write_bytes(text)
    _say(
        f"{target}\nCheck it with: stafett journey verify {target}, or on the page /record",
        {"proof": str(target), "bytes": len(text)}, as_json,
    )  # fmt: skip


async def _prove(url: str, folder: Path, name: str, reader: str | None) -> bytes:
    from stafett.ledger import Ledger
    from stafett.service.publishing import Publishing

    async with Ledger(url) as ledger:
        publishing = Publishing(ledger, folder)
        await publishing.start()
        try:
            return (await publishing.journey_proof(name, reader)).text
        finally:
            await publishing.close()


@journey.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_trusting
@_json
def verify(file: Path, key: str | None, policy_file: Path | None, as_json: bool) -> None:
    """Check a proof bundle. Needs no database and no network.

    Exit status: 0 it holds; 1 it does not, and what is wrong is named; 2 it cannot be read.
    """
    from stafett.ledger import bundle
    from stafett.ledger.policy import parse_policy

    with _errors():
        policy = parse_policy(policy_file.read_bytes()) if policy_file else None
        try:
            read = bundle.parse(file.read_bytes())
        except bundle.BadBundle as error:
            click.echo(f"stafett journey: {file}: {plain(error)}", err=True)
            sys.exit(2)
        found = bundle.verify(read, key=key, policy=policy)
    head = found.checkpoint
    cosigned = sorted(found.verdict.cosigned) if found.verdict else []
    lines = [f"WRONG  {problem}" for problem in found.problems]
    lines.append(
        f"{'the proof holds' if found.sound else 'THE PROOF DOES NOT HOLD'}: {read.stream}, "
        f"{found.entries} events ({found.signatures} signed by their authors, {found.passkeys} of "
        "them by a person's passkey)"
        + (f", log {head.origin}, tree of {head.size:,}" if head else "")
    )
    if cosigned:
        lines.append(f"cosigned by: {', '.join(cosigned)}")
    if found.sound:
        lines.append(
            f"It shows these {found.entries} events. Whether the journey has later ones no proof "
            "can show: an archive of the whole record does."
        )
    if not found.trusted:
        lines.append(
            "Key and policy were taken from the file itself: this shows that it fits itself. Give "
            "--key or --policy to know whose it is."
        )
    answer = {
        "sound": found.sound, "stream": read.stream, "entries": found.entries,
        "signatures": found.signatures, "by_passkey": found.passkeys, "cosigned_by": cosigned,
        "origin": head.origin if head else None, "size": head.size if head else None,
        "key_from_elsewhere": found.trusted,
        "problems": [{"where": p.where, "what": p.what} for p in found.problems],
    }  # fmt: skip
    _say("\n".join(lines), answer, as_json)
    sys.exit(0 if found.sound else 1)


@journey.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_json
def signatures(file: Path, as_json: bool) -> None:
    """List the electronic signatures in a proof bundle, each computed again.

    Needs no database and no network. What the record says is checked by `verify`; this says whether
    each signature is over exactly that. Exit status: 0 all hold; 1 one does not; 2 unreadable.
    """
    import msgspec

    from stafett.ledger import bundle
    from stafett.ledger.author import BadKey, Keys
    from stafett.service.signatures import check, line

    keys = Keys()
    try:
        read = bundle.parse(file.read_bytes())
        for entry in read.keys:
            with contextlib.suppress(BadKey):  # `verify` names it
                keys.learn(msgspec.json.decode(entry.leaf), entry.index + 1)
        lines = [line(e.index + 1, msgspec.json.decode(e.leaf), keys) for e in read.entries]
        found = check(read.stream, lines)
    except (bundle.BadBundle, msgspec.MsgspecError, KeyError, TypeError) as error:
        click.echo(f"stafett journey: {file}: {error}", err=True)
        sys.exit(2)
    text = []
    for one in found:
        word = (
            "EARLY"
            if one.early
            else "WRONG"
            if not one.holds
            else "key"
            if one.by_key
            else "record"
        )
        head = f"{word:6} {one.at.isoformat()}  {one.name} ({one.organisation}): {one.meaning}"
        text.append(f"{head} [{one.about}]" + (f"\n       {one.why}" if one.why else ""))
        if one.over and one.holds:
            text.append(f"       signed by the passkey of {one.name}, over the event's {one.over}")
    early = sum(one.early for one in found)
    wrong = sum(not one.holds for one in found) - early
    proven = sum(one.by_key for one in found)
    text.append(
        f"{len(found)} signatures: {proven} proven by the signer's own key, "
        f"{len(found) - proven - wrong - early} bound by the record, {wrong} do not hold"
        + (f", {early} cannot be checked" if early else "")
    )
    _say("\n".join(text), {"signatures": [msgspec.to_builtins(one) for one in found]}, as_json)
    sys.exit(1 if wrong else 0)
