"""`stafett capacity`: slot chains and their replanning, at a running control tower."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from stafett.cli.group import Sentences
from stafett.cli.ledger import _json
from stafett.cli.remote import ok, reach, signed_in


@click.group(cls=Sentences)
def capacity() -> None:
    """See slot chains; plan anew when something happened, and accept a plan.

    Exit status: 0 it worked; 2 the control tower said no, and why, or it does not answer.
    """


def _call(url: str, login: str, password: str, method: str, path: str, body: Any = None) -> Any:
    """Make one call as a person, and return what it answers."""
    with signed_in(url, login, password) as client:
        return ok(client.request(method, path, json=body)).json()


def _print(answer: Any, as_json: bool, lines: Callable[[Any], list[str]]) -> None:
    click.echo(json.dumps(answer) if as_json else "\n".join(lines(answer)))


@capacity.command()
@click.option("--weeks", default=5, show_default=True, type=click.IntRange(1, 52))
@reach
@_json
def chains(weeks: int, url: str, login: str, password: str, as_json: bool) -> None:
    """List the slot chains of the coming weeks that your organisation is in."""
    now = datetime.now(UTC)
    window = {"begin": now.isoformat(), "end": (now + timedelta(weeks=weeks)).isoformat()}
    with signed_in(url, login, password) as client:
        found = ok(client.get("/api/capacity/chains", params=window)).json()

    def lines(chains: Any) -> list[str]:
        out = []
        for c in chains:
            out.append(f"{c['id']}  {c['patient']}  {c['status']}, urgency class {c['urgency']}")
            out += [f"    {s['link']:16} {s['begins']}  {s['resource']}" for s in c["slots"]]
        return out or ["no slot chain in these weeks"]

    _print(found, as_json, lines)


@capacity.command()
@reach
@_json
def rule(url: str, login: str, password: str, as_json: bool) -> None:
    """Show the rule by which freed slots are offered."""
    found = _call(url, login, password, "GET", "/api/capacity/rule")

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
@reach
@_json
def replan(
    kind: str, what: str, link: str | None, at: str | None, url: str, login: str, password: str,
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
    found = _call(url, login, password, "POST", "/api/capacity/replans", body)
    _print(found, as_json, _told)


@capacity.command()
@click.argument("id_", metavar="[REPLAN]", required=False)
@reach
@_json
def replans(id_: str | None, url: str, login: str, password: str, as_json: bool) -> None:
    """List your organisation's replans, or show one."""
    if id_ is not None:
        found = _call(url, login, password, "GET", f"/api/capacity/replans/{id_}")
        _print(found, as_json, _told)
        return
    found = _call(url, login, password, "GET", "/api/capacity/replans")

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
@reach
@_json
def choose(
    id_: str, option: int, reason: str, url: str, login: str, password: str, as_json: bool
) -> None:
    """Propose OPTION (the first is 1) of a replan, and accept it for your organisation."""
    _act(url, login, password, id_, "choose", as_json, option=option - 1, reason=reason)


@capacity.command()
@click.argument("id_", metavar="REPLAN")
@reach
@_json
def accept(id_: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Accept what was proposed; the last to accept makes it so."""
    _act(url, login, password, id_, "accept", as_json)


@capacity.command()
@click.argument("id_", metavar="REPLAN")
@click.option("--reason", required=True, help="Why; all whom it concerns read it.")
@reach
@_json
def decline(id_: str, reason: str, url: str, login: str, password: str, as_json: bool) -> None:
    """Decline what was proposed: nothing moves."""
    _act(url, login, password, id_, "decline", as_json, reason=reason)


def _act(
    url: str, login: str, password: str, id_: str, act: str, as_json: bool, **said: Any
) -> None:
    path = f"/api/capacity/replans/{id_}"
    with signed_in(url, login, password) as client:
        seen = ok(client.get(path)).json()["version"]
        body = {"key": f"cli-{uuid.uuid4().hex}", "seen": seen, **said}
        done = ok(client.post(f"{path}/{act}", json=body)).json()
    _print(done, as_json, _told)


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
