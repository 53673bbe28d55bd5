"""`stafett people`: an organisation's people and what they may do, over the API of a tower."""

from __future__ import annotations

import json
from datetime import datetime, time
from typing import Any
from urllib.parse import quote

import click
import httpx

from stafett.cli.group import Sentences
from stafett.cli.ledger import _json, _say
from stafett.cli.remote import No, ok, reach, signed_in

PATH = "/api/admin/people"
COMPETENCE = "/api/admin/competence"
_reason = click.option("--reason", required=True, help="Why; it stands in the audit trail.")


@click.group(cls=Sentences)
def people() -> None:
    """People of the own organisation: invite, change, suspend, and what they are competent for.

    LOGIN is an administrator; every change takes a reason.
    """


@people.command("list")
@click.option("--all", "everybody", is_flag=True, help="Suspended people too.")
@reach
@_json
def list_(everybody: bool, url: str, login: str, password: str, as_json: bool) -> None:
    """List the people: roles, duties, and the ways in that they have."""
    with signed_in(url, login, password) as client:
        found = [a for a in ok(client.get(PATH)).json() if a["active"] or everybody]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for one in found:
        _tell(one)
    click.echo(f"{len(found)} people")


def _tell(one: dict[str, Any]) -> None:
    person = one["person"]
    state = "" if one["active"] else ", suspended"
    click.secho(f"{person['id']}  {person['name']}{state}", bold=True)
    click.echo(f"   roles: {', '.join(person['roles']) or '-'}")
    click.echo(f"   duties: {', '.join(person['duties']) or '-'}")
    ways = ", ".join(one["ways"]) or "none yet: the one-time link is not used"
    click.echo(f"   signs in with: {ways}{' (locked for a while)' if one['locked'] else ''}")


@people.command()
@click.argument("new", metavar="PERSON")
@click.option("--name", required=True, help="The name that is printed with their signatures.")
@click.option("--role", "roles", multiple=True, help="A role of a protocol; may be repeated.")
@click.option("--duty", "duties", multiple=True, help="Such as quality; may be repeated.")
@click.option("--language", default="", help="en, sv or es (default: as their browser asks).")
@click.option("--site", default="", help="The site that they work at.")
@click.option("--organisation", help="For an operator: the organisation whose first"
              " administrator this is.")  # fmt: skip
@_reason
@reach
@_json
def invite(
    new: str, name: str, roles: tuple[str, ...], duties: tuple[str, ...], language: str,
    site: str, organisation: str | None, reason: str, url: str, login: str, password: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Add PERSON, whose login this is; print the one-time link by which they come in."""
    body = {
        "login": new, "name": name, "roles": roles, "duties": duties, "language": language,
        "site": site, "organisation": organisation, "reason": reason,
    }  # fmt: skip
    with signed_in(url, login, password) as client:
        _link(url, ok(client.post(PATH, json=body)).json(), as_json)


@people.command()
@click.argument("person")
@_reason
@reach
@_json
def link(person: str, reason: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Make a new one-time link for PERSON, who lost their way in."""
    with signed_in(url, login, password) as client:
        answer = ok(client.post(_of(person, "/link"), json={"reason": reason})).json()
        _link(url, answer, as_json)


def _link(url: str, answer: dict[str, str], as_json: bool) -> None:
    answer = {**answer, "link": url.rstrip("/") + answer["link"]}
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=1))
        return
    click.echo(f"{answer['person']} comes in by this link, once, within two days:")
    click.echo(answer["link"])


@people.command()
@click.argument("person")
@_reason
@reach
@_json
def suspend(person: str, reason: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Let PERSON act no more, at once: every session of theirs ends."""
    with signed_in(url, login, password) as client:
        ok(client.post(_of(person, "/suspend"), json={"reason": reason}))
    _say(f"{person} is suspended", {"person": person, "active": False}, as_json)


@people.command()
@click.argument("person")
@_reason
@reach
@_json
def resume(person: str, reason: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Let PERSON act again, and open a locked account."""
    with signed_in(url, login, password) as client:
        ok(client.post(_of(person, "/resume"), json={"reason": reason}))
    _say(f"{person} may act again", {"person": person, "active": True}, as_json)


@people.command()
@click.argument("person")
@click.option("--add-role", multiple=True, help="May be repeated, as those below.")
@click.option("--remove-role", multiple=True)
@click.option("--add-duty", multiple=True)
@click.option("--remove-duty", multiple=True)
@click.option("--name", help="The new name.")
@_reason
@reach
@_json
def change(
    person: str, add_role: tuple[str, ...], remove_role: tuple[str, ...],
    add_duty: tuple[str, ...], remove_duty: tuple[str, ...], name: str | None, reason: str,
    url: str, login: str, password: str, as_json: bool,
) -> None:  # fmt: skip
    """Give PERSON roles and duties, or take them away. What is not named stays as it is."""
    with signed_in(url, login, password) as client:
        now = _account(client, person)["person"]
        body = {
            "name": name or now["name"],
            "roles": _altered(now["roles"], add_role, remove_role, "role"),
            "duties": _altered(now["duties"], add_duty, remove_duty, "duty"),
            "language": now["language"],
            "site": now["site"],
            "reason": reason,
        }
        ok(client.put(_of(person), json=body))
        after = _account(client, person)
    if as_json:
        click.echo(json.dumps(after, ensure_ascii=False, indent=1))
    else:
        _tell(after)


def _of(person: str, what: str = "") -> str:
    return f"{PATH}/{quote(person, safe='')}{what}"


def _account(client: httpx.Client, person: str) -> dict[str, Any]:
    for one in ok(client.get(PATH)).json():
        if one["person"]["id"] == person:
            found: dict[str, Any] = one
            return found
    raise No(f"no person {person!r} in your organisation")


def _altered(now: list[str], add: tuple[str, ...], remove: tuple[str, ...], what: str) -> list[str]:
    if missing := [name for name in remove if name not in now]:
        raise No(f"they do not have the {what} {', '.join(missing)}")
    return sorted({*now, *add} - set(remove))


@people.command()
@click.option("--person", help="Only this person's.")
@reach
@_json
def competence(person: str | None, url: str, login: str, password: str, as_json: bool) -> None:
    """List who is competent for what, until when: without it nobody signs."""
    with signed_in(url, login, password) as client:
        found = [g for g in ok(client.get(COMPETENCE)).json() if person in (None, g["person"])]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for g in found:
        state = "holds" if g["holds"] else "withdrawn" if g["withdrawn"] else "does not hold"
        click.echo(
            f"{g['id']:>6}  {g['person']}  {g['protocol']} {g['version']}  {g['role']}"
            f"  until {g['valid_until']}  {state}"
        )
    click.echo(f"{len(found)} grants")


@people.command()
@click.argument("person")
@click.option("--protocol", required=True)
@click.option("--version", default="*", show_default=True, help="* is every version.")
@click.option("--role", "roles", multiple=True, required=True, help="May be repeated.")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]),
              help="The last day, in this machine's time zone.")  # fmt: skip
@_reason
@reach
@_json
def grant(
    person: str, protocol: str, version: str, roles: tuple[str, ...], until: datetime,
    reason: str, url: str, login: str, password: str, as_json: bool,
) -> None:  # fmt: skip
    """Say that PERSON is competent for roles of a protocol. Nobody says it of themselves."""
    end = datetime.combine(until.date(), time(23, 59, 59)).astimezone()
    body = {
        "person": person, "protocol": protocol, "version": version, "roles": roles,
        "valid_until": end.isoformat(), "reason": reason,
    }  # fmt: skip
    with signed_in(url, login, password) as client:
        ok(client.post(COMPETENCE, json=body))
    said = f"{person} is competent for {', '.join(roles)} until {end.isoformat()}"
    _say(said, {k: v for k, v in body.items() if k != "reason"}, as_json)


@people.command()
@click.argument("number", metavar="GRANT", type=int)
@_reason
@reach
@_json
def withdraw(number: int, reason: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Withdraw GRANT, a number that `competence` lists: at once."""
    with signed_in(url, login, password) as client:
        ok(client.post(f"{COMPETENCE}/{number}/withdraw", json={"reason": reason}))
    _say(f"grant {number} is withdrawn", {"grant": number, "withdrawn": True}, as_json)
