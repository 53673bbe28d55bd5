"""`stafett letters`: what came to a tower and was refused, and what is done about it."""

from __future__ import annotations

import json
from typing import Any

import click

from stafett.cli.group import Sentences
from stafett.cli.ledger import _json
from stafett.cli.remote import ok, reach, signed_in

PATH = "/api/exchange/letters"


@click.group(cls=Sentences)
def letters() -> None:
    """Dead letters: list what was refused, try it again after mending, or drop it."""


@letters.command("list")
@click.option("--state", type=click.Choice(["waiting", "taken", "dropped"]), default="waiting",
              show_default=True)  # fmt: skip
@reach
@_json
def list_(state: str, url: str, login: str, password: str, as_json: bool) -> None:
    """List the letters that LOGIN answers for, the latest first."""
    with signed_in(url, login, password) as client:
        found = ok(client.get(PATH, params={"state": state})).json()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for one in found:
        _tell(one)
    click.echo(f"{len(found)} {state}")


@letters.command()
@click.argument("letter")
@reach
@_json
def show(letter: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Show what came, without the segments on the patient."""
    with signed_in(url, login, password) as client:
        found = ok(client.get(f"{PATH}/{letter}")).json()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    _tell(found["letter"])
    click.echo(found["text"] or "(what came is not shown)")


@letters.command()
@click.argument("letter")
@click.option("--reason", required=True, help="What was mended.")
@reach
@_json
def retry(letter: str, reason: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Take LETTER as if it came now. Exit status: 0 it was taken; 2 it is refused again."""
    _decide("retry", letter, reason, url, login, password, as_json)


@letters.command()
@click.argument("letter")
@click.option("--reason", required=True, help="Why it is given up.")
@reach
@_json
def drop(letter: str, reason: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Give LETTER up: what it held is erased, what it was stays known."""
    _decide("drop", letter, reason, url, login, password, as_json)


def _decide(
    what: str, letter: str, reason: str, url: str, login: str, password: str, as_json: bool
) -> None:
    with signed_in(url, login, password) as client:
        found = ok(client.post(f"{PATH}/{letter}/{what}", json={"reason": reason})).json()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        _tell(found)


def _tell(one: dict[str, Any]) -> None:
    number = one["number"] or "without a number"
    click.secho(f"{one['id']}  {one['channel']} {number}: {one['state']}", bold=True)
    click.echo(
        f"   came {one['came']} from {one['peer']}, {one['times']} times, {one['size']} bytes"
    )
    for reason in one["reasons"][:10]:
        where = f"{reason['pointer']}: " if reason["pointer"] else ""
        click.echo(f"   {where}{reason['detail']}")
    if one["decided"]:
        click.echo(f"   {one['decided']} {one['decided_by']}: {one['why']}")
