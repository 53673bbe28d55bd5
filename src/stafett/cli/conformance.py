"""`stafett conformance`: does an endpoint keep what a handoff owes?"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from stafett.cli.bars import progress
from stafett.cli.group import Sentences
from stafett.protocol.fit import plain


@click.group(cls=Sentences)
def conformance() -> None:
    """Try a partner's endpoint, or one's own, against what a handoff owes."""


@conformance.command()
@click.argument("url", metavar="URL")
@click.option("--protocol", default="autologous-car-t", show_default=True,
              help="Built-in protocol, or a file; the endpoint must have it too.")  # fmt: skip
@click.option("--network", default="sweden-demo", show_default=True, help="Its network.")
@click.option("--people", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="Who signs in, by role (YAML: {role: [login, ...]}); ROLE-1 to ROLE-3 if not "
              "given.")  # fmt: skip
@click.option("--password", envvar="STAFETT_PASSWORD", default="stafett-demo",
              help="Their password (STAFETT_PASSWORD); the demo's if not given.")  # fmt: skip
@click.option("--outsider", help="Somebody of an organisation that takes no part.")
@click.option("--outsider-password", envvar="STAFETT_OUTSIDER_PASSWORD",
              help="Their password, if another one.")  # fmt: skip
@click.option("--only", multiple=True, metavar="NAME",
              help="Try only this obligation (may be given several times).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def run(
    url: str,
    protocol: str,
    network: str,
    people: Path | None,
    password: str,
    outsider: str | None,
    outsider_password: str | None,
    only: tuple[str, ...],
    as_json: bool,
) -> None:
    """Play handoffs against URL, right and wrong, and report which obligations hold.

    It opens journeys for made-up patients and leaves them there: never run it where there are real
    ones. What could not be tried is said; it does not count as kept.

    Exit status: 0 everything that was tried holds; 1 something is broken; 2 it cannot be run.
    """
    from stafett.client.conformance import OBLIGATIONS, Kit, Unusable
    from stafett.protocol.builtin import load
    from stafett.protocol.net import Net
    from stafett.protocol.read import ReadError

    strange = [name for name in only if name not in OBLIGATIONS]
    if strange:
        raise click.UsageError(f"{strange[0]!r} is none of: {', '.join(OBLIGATIONS)}")
    try:
        document = load(protocol)
        product = next(iter(document.products), None)
        nets: dict[str | None, Net] = {product: Net(document.bind(product))}
        roles = next(iter(nets.values())).protocol.roles
        who = _people(people) if people else {}
    except (ReadError, OSError, ValueError) as wrong:
        raise click.UsageError(str(wrong)) from None
    logins = {
        role: who.get(role) or [f"{role.replace('_', '-')}-{n}" for n in (1, 2, 3)]
        for role in roles
    }
    parties = dict.fromkeys(roles, "")
    kit = Kit(
        url.rstrip("/"), nets, network, parties, logins, password, pace=0.0, outsider=outsider,
        outsider_password=outsider_password,
    )  # fmt: skip
    try:
        with progress(len(only or OBLIGATIONS), "obligations tried") as kit.tried:
            report = asyncio.run(kit.check(only))
    except Unusable as why:
        click.echo(f"stafett conformance: {why}", err=True)
        sys.exit(2)
    if as_json:
        plain = {**msgspec.to_builtins(report), "conforms": report.conforms}
        click.echo(msgspec.json.format(msgspec.json.encode(plain), indent=1).decode())
    else:
        marks = {"holds": "holds     ", "broken": "BROKEN    ", "not tried": "not tried "}
        for one in report.obligations:
            click.echo(f"{marks[one.verdict]} {one.name:<11} {one.obligation}")
            if one.verdict != "holds":
                click.echo(f"{'':22} {one.what}" + (f" ({one.journey})" if one.journey else ""))
        verdicts = [one.verdict for one in report.obligations]
        click.echo(
            f"\n{report.endpoint}, {report.protocol}, {report.network}: "
            f"{verdicts.count('holds')} hold, {verdicts.count('broken')} broken, "
            f"{verdicts.count('not tried')} not tried, in {report.seconds} s"
        )
    sys.exit(0 if report.conforms else 1)


def _people(file: Path) -> dict[str, list[str]]:
    import yaml

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
        return msgspec.convert(found, dict[str, list[str]])
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as wrong:
        raise ValueError(f"{file}: {plain(wrong)}") from None
