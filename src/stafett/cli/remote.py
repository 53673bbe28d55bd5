"""A running tower, reached by the commands that ask it something as a person."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import click
import httpx

TIMEOUT_S = 300


def reach(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which tower, and who asks."""
    for option in (
        click.option("--password", prompt=True, hide_input=True, envvar="STAFETT_PASSWORD",
                     help="Asked for; or STAFETT_PASSWORD."),
        click.option("--login", required=True, help="Your login."),
        click.option("--url", default="http://127.0.0.1:8321", show_default=True,
                     help="The tower."),
    ):  # fmt: skip
        command = option(command)
    return command


class No(click.ClickException):
    """The tower said no, or does not answer: exit status 2."""

    exit_code = 2


@contextlib.contextmanager
def signed_in(url: str, login: str, password: str) -> Iterator[httpx.Client]:
    """Give a client that is signed in; every failure becomes one line and exit status 2."""
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            body = {"login": login, "password": password}
            answer = client.post("/api/session", json=body)
            if answer.status_code == 401 and "/problems/second-factor" in answer.text:
                body["code"] = click.prompt("Code of your second factor", err=True)
                answer = client.post("/api/session", json=body)
            signed = _signed(ok(answer))
            if "token" not in signed:
                raise No("this person signs in with a second factor: use the pages")
            client.headers["Authorization"] = f"Bearer {signed['token']}"
            yield client
    except httpx.HTTPError as error:
        raise No(f"the tower at {url} does not answer: {error}") from None
    except httpx.InvalidURL as error:
        raise No(f"{url}: {error}") from None


def _signed(answer: httpx.Response) -> dict[str, str]:
    try:
        found: dict[str, str] = answer.json()
    except json.JSONDecodeError:
        raise No(f"{answer.request.url.host} gave a page and no session: is it a tower?") from None
    return found


def reason(part: dict[str, str]) -> str:
    """Say one reason of a refusal: where, what, and what to do."""
    said = ": ".join(filter(None, (part.get("field"), part.get("what"))))
    return f"{said} ({part['todo']})" if part.get("todo") else said


def ok(answer: httpx.Response) -> httpx.Response:
    """Return a good answer; raise No with the reasons of any other."""
    if answer.is_success:
        return answer
    try:
        found = answer.json()
    except json.JSONDecodeError:
        where = answer.request.url.copy_with(path="/", query=None)
        raise No(
            f"{where} answered HTTP {answer.status_code} and no reason: is it a Stafett tower?"
        ) from None
    said = "; ".join(map(reason, found.get("reasons", [])))
    raise No(f"{found.get('title', answer.status_code)}" + (f" ({said})" if said else ""))
