"""`stafett capacity`: slot chains and their replanning, at a running control tower."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click


@click.group()
def capacity() -> None:
    """See slot chains; plan anew when something happened, and accept a plan.

    Exit status: 0 it worked; 1 the control tower said no, and why; 2 it was called wrongly or the
    control tower cannot be reached.
    """


def _at(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--server", default="http://127.0.0.1:8321", show_default=True),
        click.option("--login", envvar="STAFETT_LOGIN", required=True,
                     help="Who you are (STAFETT_LOGIN)."),
        click.option("--password", envvar="STAFETT_PASSWORD", required=True,
                     help="Your password (STAFETT_PASSWORD)."),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _call(
    server: str, login: str, password: str, method: str, path: str, body: Any = None
) -> Any:  # fmt: skip
    """Sign in, make one call, and return what it answers; exit where it says no."""
    import httpx

    try:
        with httpx.Client(base_url=server, timeout=60) as client:
            signed = client.post("/api/session", json={"login": login, "password": password})
            if signed.status_code == 200 and "token" in signed.json():
                head = {"Authorization": f"Bearer {signed.json()['token']}"}
                answer = client.request(method, path, json=body, headers=head)
            else:
                answer = signed
    except httpx.HTTPError as error:
        click.echo(f"{server}: {error}", err=True)
        sys.exit(2)
    said = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    if answer.is_error:
        why = "; ".join(f"{r['field']}: {r['what']}" for r in said.get("reasons", []))
        click.echo(f"{said.get('title', answer.status_code)} {why}".strip(), err=True)
        sys.exit(1)
    if answer is signed and "token" not in said:
        click.echo("this person signs in with a second factor: use the pages", err=True)
        sys.exit(1)
    return said


def _print(answer: Any, as_json: bool, lines: Callable[[Any], list[str]]) -> None:
    click.echo(json.dumps(answer) if as_json else "\n".join(lines(answer)))


@capacity.command()
@click.option("--weeks", default=5, show_default=True, type=click.IntRange(1, 52))
@_at
def chains(weeks: int, server: str, login: str, password: str, as_json: bool) -> None:
    """List the slot chains of the coming weeks that your organisation is in."""
    from urllib.parse import urlencode

    now = datetime.now(UTC)
    end = now + timedelta(weeks=weeks)
    query = urlencode({"begin": now.isoformat(), "end": end.isoformat()})
    found = _call(server, login, password, "GET", f"/api/capacity/chains?{query}")

    def lines(chains: Any) -> list[str]:
        out = []
        for c in chains:
            out.append(f"{c['id']}  {c['patient']}  {c['status']}, urgency class {c['urgency']}")
            out += [f"    {s['link']:16} {s['begins']}  {s['resource']}" for s in c["slots"]]
        return out or ["no slot chain in these weeks"]

    _print(found, as_json, lines)


@capacity.command()
@_at
def rule(server: str, login: str, password: str, as_json: bool) -> None:
    """Show the rule by which freed slots are offered."""
    found = _call(server, login, password, "GET", "/api/capacity/rule")

    def lines(adopted: Any) -> list[str]:
        points = adopted["rule"]
        return [
            f"version {adopted['version']}: {adopted['reason']}",
            *(f"  urgency class {c}: {p:g} points" for c, p in sorted(points["urgency"].items())),
            f"  each week waited: {points['per_week']:g} (at most {points['weeks_cap']:g} weeks)",
            f"  times the probability to complete: {points['completion']:g}",
        ]

    _print(found, as_json, lines)


@capacity.command()
@click.argument("kind", type=click.Choice(["late", "missed", "failed", "closed"]))
@click.argument("what", metavar="CHAIN|RESOURCE")
@click.argument("link", required=False)
@click.argument("at", required=False)
@_at
def replan(
    kind: str, what: str, link: str | None, at: str | None, server: str, login: str, password: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Work out what follows of what happened. Nothing moves.

    `late CHAIN LINK AT`: the link ends only then. `missed` or `failed CHAIN LINK AT`: it is done
    again, from then on at the earliest. `closed RESOURCE`: a calendar of your own has changed. AT
    is a moment with its zone, such as 2026-03-02T14:00+01:00.
    """
    if kind == "closed":
        body = {"kind": kind, "resource": what}
    elif link is None or at is None:
        raise click.UsageError(f"{kind} needs CHAIN LINK AT")
    else:
        body = {"kind": kind, "chain": what, "link": link, "at": at}
    found = _call(server, login, password, "POST", "/api/capacity/replans", body)
    _print(found, as_json, _told)


@capacity.command()
@click.argument("id_", metavar="[REPLAN]", required=False)
@_at
def replans(id_: str | None, server: str, login: str, password: str, as_json: bool) -> None:
    """List your organisation's replans, or show one."""
    if id_ is not None:
        found = _call(server, login, password, "GET", f"/api/capacity/replans/{id_}")
        _print(found, as_json, _told)
        return
    found = _call(server, login, password, "GET", "/api/capacity/replans")

    def lines(every: Any) -> list[str]:
        return [
            f"{r['id']}  {r['cause']['kind']}  {r['status']}"
            + (f", waits for {', '.join(_waits(r))}" if r["status"] == "chosen" else "")
            for r in every
        ] or ["nothing has been planned anew"]

    _print(found, as_json, lines)


@capacity.command()
@click.argument("id_", metavar="REPLAN")
@click.argument("option", type=click.IntRange(1, 20))
@click.option("--reason", required=True, help="Why; all whom it concerns read it.")
@_at
def choose(
    id_: str, option: int, reason: str, server: str, login: str, password: str, as_json: bool
) -> None:
    """Propose OPTION (the first is 1) of a replan, and accept it for your organisation."""
    _act(server, login, password, id_, "choose", as_json, option=option - 1, reason=reason)


@capacity.command()
@click.argument("id_", metavar="REPLAN")
@_at
def accept(id_: str, server: str, login: str, password: str, as_json: bool) -> None:
    """Accept what was proposed; the last to accept makes it so."""
    _act(server, login, password, id_, "accept", as_json)


@capacity.command()
@click.argument("id_", metavar="REPLAN")
@click.option("--reason", required=True, help="Why; all whom it concerns read it.")
@_at
def decline(id_: str, reason: str, server: str, login: str, password: str, as_json: bool) -> None:
    """Decline what was proposed: nothing moves."""
    _act(server, login, password, id_, "decline", as_json, reason=reason)


def _act(
    server: str, login: str, password: str, id_: str, act: str, as_json: bool, **said: Any
) -> None:
    path = f"/api/capacity/replans/{id_}"
    seen = _call(server, login, password, "GET", path)["version"]
    body = {"key": f"cli-{uuid.uuid4().hex}", "seen": seen, **said}
    _print(_call(server, login, password, "POST", f"{path}/{act}", body), as_json, _told)


def _waits(found: Any) -> list[str]:
    return [name for name in found["needs"] if name not in found["accepted"]]


def _told(found: Any) -> list[str]:
    """Return a replan in lines."""
    out = [f"{found['id']}: {found['status']}"]
    hits = len(found["hits"]) + found["other_hits"]
    out.append(f"what no longer holds: {hits} chain(s)" if hits else "all still holds")
    out += [f"  {h['patient']}: {', '.join(h['links'])}" for h in found["hits"]]
    for n, option in enumerate(found["options"]):
        if found["chosen"] not in (None, n):
            continue
        moved, left = len(option["moves"]) + option["others"], len(option["left"])
        out.append(
            f"option {n + 1} ({option['way']}): moves {moved}, no place for"
            f" {left + option['others_left']}; must accept: {', '.join(option['needs'])}"
        )
        for m in option["moves"]:
            out.append(f"  {m['patient']} ({m['why']}), last link {m['later_h']:+g} h")
            units = zip(m["units_before"], m["units"], strict=True)
            for before, after, (old, new) in zip(m["before"], m["after"], units, strict=True):
                if before == after and old != new:
                    out.append(f"    {before['link']:16} the same time, another unit")
                elif before != after:
                    out.append(
                        f"    {before['link']:16} {before['begins']} -> {after['begins']}"
                        f"  {after['resource']}"
                    )
    if found["status"] == "chosen":
        out.append(f"waits for: {', '.join(_waits(found))}")
    return out
