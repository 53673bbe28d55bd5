"""Every change that an administrator makes takes a reason, by the description of the API itself."""

from __future__ import annotations

import re

import msgspec
import pytest

from site_ import Site
from stafett.service import policy
from stafett.web.areas import ENDPOINTS
from stafett.web.endpoint import Endpoint

# What changes nothing: a proof of a file.
NO_CHANGE = {"/api/admin/protocols/proof"}
CHANGES = [
    e
    for e in ENDPOINTS
    if e.path.startswith("/api/admin/") and e.method != "GET" and e.path not in NO_CHANGE
]


def required(kind: type) -> set[str]:
    """Return the fields that must be sent."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return set()
    return {f.name for f in msgspec.structs.fields(kind) if f.required}


@pytest.mark.parametrize("endpoint", CHANGES, ids=lambda e: f"{e.method} {e.path}")
def test_no_change_is_made_without_a_reason(site: Site, endpoint: Endpoint) -> None:
    """It is a required field of each, and what is sent without it is refused naming it."""
    assert "reason" in required(endpoint.body) | required(endpoint.query)
    path = re.sub(r"{(\w+)}", "1", endpoint.path)
    by = "administrator"
    person = next(p for p in site.people if p.login == by)
    assert policy.allows(endpoint.may, person)
    before = site.call(by, "GET", "/api/audit/changes").json()
    file = {"content": b"x"} if endpoint.body is bytes else {"json": {}}
    answer = site.call(by, endpoint.method, path, **file)
    assert answer.status_code == 422, answer.text
    assert "reason" in answer.json()["reasons"][0]["field"] + answer.json()["reasons"][0]["what"]
    assert site.call(by, "GET", "/api/audit/changes").json() == before
