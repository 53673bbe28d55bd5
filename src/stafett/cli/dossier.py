"""`stafett dossier`: one journey for the file, and its check years later."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stafett.cli.group import Sentences
from stafett.cli.ledger import _errors, _json, _say, _trusting
from stafett.cli.remote import ok, reach, signed_in


@click.group(cls=Sentences)
def dossier() -> None:
    """Make a journey's dossier, and check one with no database and no network."""


@dossier.command()
@click.argument("journey")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to write it; JOURNEY.zip or JOURNEY.pdf if not given.")  # fmt: skip
@click.option("--pdf", "only_pdf", is_flag=True, help="The PDF/A alone, without proof.")
@click.option("--language", type=click.Choice(["en", "sv", "es"]), default="en", show_default=True)
@reach
@_json
def make(
    journey: str,
    output: Path | None,
    only_pdf: bool,
    language: str,
    url: str,
    login: str,
    password: str,
    as_json: bool,
) -> None:
    """Fetch the dossier of JOURNEY from a running tower, as LOGIN may read it.

    Exit status: 0 it is written; 2 the tower says no or does not answer.
    """
    ending = "pdf" if only_pdf else "zip"
    target = output or Path(f"{journey}.{ending}")
    with signed_in(url, login, password) as client:
        path = f"/api/journeys/{journey}/dossier.{ending}"
        data = ok(client.get(path, params={"language": language})).content
    partial = target.with_name(target.name + ".partial")
    partial.write_bytes(data)
    partial.replace(target)
    more = "" if only_pdf else f"\nCheck it with: stafett dossier verify {target}"
    _say(f"{target}{more}", {"file": str(target), "bytes": len(data)}, as_json)


@dossier.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_trusting
@_json
def verify(file: Path, key: str | None, policy_file: Path | None, as_json: bool) -> None:
    """Check a dossier's package: its files, its proof, and that both tell the same.

    Exit status: 0 it holds; 1 it does not, and what is wrong is named; 2 it cannot be read.
    """
    from stafett.exchange.dossier_check import NotADossier, check
    from stafett.ledger.policy import parse_policy

    with _errors():
        policy = parse_policy(policy_file.read_bytes()) if policy_file else None
        try:
            found = check(file.read_bytes(), key=key, policy=policy)
        except (NotADossier, OSError) as error:
            click.echo(f"stafett dossier: {file}: {error}", err=True)
            sys.exit(2)
    proof = found.proof
    assert proof is not None
    lines = [f"WRONG  {problem}" for problem in found.problems[:50]]
    lines.append(
        f"{'the dossier holds' if found.sound else 'THE DOSSIER DOES NOT HOLD'}: {found.journey},"
        f" {proof.entries} events ({proof.signatures} signed by their authors),"
        f" {found.documents} documents" + (f" in it, {found.missing} not" if found.missing else "")
    )
    if proof.verdict and proof.verdict.cosigned:
        lines.append(f"cosigned by: {', '.join(sorted(proof.verdict.cosigned))}")
    if found.unarranged:
        lines.append(
            "Whether the events make what dossier.json tells of them was not checked: "
            f"{found.unarranged}. Read `events` in it."
        )
    lines.append(
        "Proven are the events and documents; dossier.pdf, temperatures and names of organisations "
        "are as the tower wrote them."
    )
    if not proof.trusted:
        lines.append(
            "Key and policy were taken from the file itself: this shows that it fits itself. Give "
            "--key or --policy to know whose it is."
        )
    answer = {
        "sound": found.sound, "journey": found.journey, "as_of": found.as_of,
        "events": proof.entries, "signatures": proof.signatures, "documents": found.documents,
        "documents_elsewhere": found.missing, "key_from_elsewhere": proof.trusted,
        "arranged_checked": not found.unarranged and found.sound, "problems": found.problems,
    }  # fmt: skip
    _say("\n".join(lines), answer, as_json)
    sys.exit(0 if found.sound else 1)
