"""`stafett people`: what administrators do on their pages, for who works in a terminal."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from click.testing import CliRunner, Result

from site_ import Site
from stafett.cli import main
from stafett.service import demo

ADMIN = "courier-admin"
WHY = ("--reason", "the rota of the spring")
Run = Callable[..., Result]


@pytest.fixture
def run(site: Site) -> Run:
    """Run `stafett people` as the courier's administrator."""

    def command(*words: str, login: str = ADMIN, answers: str = "") -> Result:
        asked = ["--url", site.base, "--login", login, "--password", demo.PASSWORD]
        return CliRunner().invoke(main, ["people", *words, *asked], input=answers)

    return command


def invited(run: Run, *words: str) -> str:
    """Invite somebody new; return their login."""
    login = f"driver-{uuid.uuid4().hex[:6]}"
    said = run("invite", login, "--name", "Disa Driver", *WHY, *words)
    assert said.exit_code == 0, said.output
    return login


def about(run: Run, login: str) -> dict[str, Any]:
    """Return what the list says of one person."""
    listed = json.loads(run("list", "--all", "--json").stdout)
    return next(one for one in listed if one["person"]["id"] == login)


def test_a_person_is_invited_changed_suspended_and_let_back(site: Site, run: Run) -> None:
    """Each step is in the trail with its reason; the link opens the way in, and only once."""
    login = invited(run, "--role", "courier")
    found = about(run, login)
    assert found["person"]["roles"] == ["courier"] and found["active"] and found["ways"] == []
    link = run("link", login, *WHY).output.split()[-1]
    assert link.startswith(f"{site.base}/welcome/")
    changed = run("change", login, "--add-duty", "quality", "--remove-role", "courier", *WHY)
    assert changed.exit_code == 0, changed.output
    person = about(run, login)["person"]
    assert (person["duties"], person["roles"]) == (["quality"], [])
    assert person["name"] == "Disa Driver"
    assert run("suspend", login, *WHY).exit_code == 0
    assert not about(run, login)["active"]
    assert login not in run("list").output
    assert run("resume", login, *WHY).exit_code == 0
    assert login in run("list").output
    trail = site.call(ADMIN, "GET", "/api/audit/changes").json()
    mine = [c["what"] for c in trail if c["about"] == login and c["reason"] == WHY[1]]
    assert mine == ["person resumed", "person suspended", "person changed",
                    "one-time link made", "person added"]  # fmt: skip


def test_competence_is_granted_listed_and_withdrawn(run: Run) -> None:
    """A grant holds until its day; withdrawn it does not; the numbers are those of the list."""
    login = invited(run, "--role", "courier")
    day = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    given = run("grant", login, "--protocol", "autologous-car-t", "--role", "courier",
                "--until", day, *WHY)  # fmt: skip
    assert given.exit_code == 0, given.output
    (grant,) = json.loads(run("competence", "--person", login, "--json").stdout)
    assert grant["holds"] and grant["role"] == "courier" and grant["version"] == "*"
    assert run("withdraw", str(grant["id"]), *WHY).exit_code == 0
    (grant,) = json.loads(run("competence", "--person", login, "--json").stdout)
    assert not grant["holds"] and grant["withdrawn"]
    assert "withdrawn" in run("competence", "--person", login).output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("change", "ward-1", "--add-duty", "quality", *WHY), "no person 'ward-1'"),
        (("suspend", "ward-1", *WHY), "ward-1"),
        (("suspend", ADMIN, *WHY), "nobody suspends themselves"),
        (("change", ADMIN, "--add-duty", "quality", *WHY), "their own roles"),
        (("change", "courier-1", "--remove-duty", "quality", *WHY), "do not have the duty"),
        (("invite", "courier-1", "--name", "N N", *WHY), "somebody's login already"),
        (("suspend", "courier-1", "--reason", " "), "reason"),
        (("grant", "courier-1", "--protocol", "no-such", "--role", "courier",
          "--until", "2099-01-01", *WHY), "not in the library"),
        (("withdraw", "999999", *WHY), "999999"),
    ],
)  # fmt: skip
def test_what_the_pages_refuse_is_refused_in_a_line(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    """Another organisation's people, one's own rights, no reason: exit status 2, one line."""
    found = run(*words)
    assert found.exit_code == 2, found.output
    assert said in found.output and "Traceback" not in found.output


def test_who_administers_nothing_is_told_so(run: Run) -> None:
    """The policy table is asked, as everywhere."""
    found = run("list", login="courier-1")
    assert found.exit_code == 2 and "may not do this" in found.output


def test_a_second_factor_is_asked_for(site: Site, run: Run) -> None:
    """An administrator with a code enters it; a wrong one opens nothing."""
    headers = {"Authorization": f"Bearer {site.token(ADMIN)}"}
    body = {"password": demo.PASSWORD}
    offer = site.call(None, "POST", "/api/account/code/offer", json=body, headers=headers).json()
    totp = pyotp.TOTP(offer["secret"])
    before = int(datetime.now(UTC).timestamp()) - 30
    on = {**body, "secret": offer["secret"], "code": totp.at(before)}
    answer = site.call(None, "POST", "/api/account/code", json=on, headers=headers)
    assert answer.status_code == 201, answer.text
    wrong = run("list", answers="000000\n")
    assert wrong.exit_code == 2 and "the code is wrong" in wrong.output
    right = run("list", answers=f"{totp.now()}\n")
    assert right.exit_code == 0 and ADMIN in right.output
    site.call(None, "POST", "/api/account/code/remove", json=body, headers=headers)
