"""The API under fuzz: whatever is sent, the answer is one that the description promises.

Who sends has every role and every duty, so that what is sent is read and not turned away at the
door. Half of the requests name what is really there. Each endpoint gets eight of them;
`STAFETT_EXAMPLES=100 pytest tests/web/test_fuzz.py` sends more.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from site_ import Site
from stafett.service import demo, policy
from stafett.service.accounts import Person
from stafett.web import api
from stafett.web.areas import ENDPOINTS
from stafett.web.pace import Paces

MOMENTS = st.datetimes().map(lambda at: f"{at.isoformat()}Z")
schemathesis.openapi.format("date-time", MOMENTS)
EXAMPLES = int(os.environ.get("STAFETT_EXAMPLES", "8"))  # for each endpoint
TRIED = [e for e in ENDPOINTS if e.answer != "text/event-stream"]
FUZZER, PASSWORD = "fuzzer", "violet tractor seven lakes"


@pytest.fixture(scope="module")
def description(site: Site) -> schemathesis.schemas.BaseSchema:
    """Load the description that the server itself gives."""
    return schemathesis.openapi.from_url(site.base + "/openapi.json")


@pytest.fixture(scope="module")
def real(site: Site) -> dict[str, str]:
    """Let somebody who may do everything come to work, at no pace; name what is there."""
    site.app.state.paces = Paces({"person": 0, "program": 0, "address": 0})
    here = [p for p in site.people if p.organisation == "university-hospital"]
    roles = tuple(sorted({role for p in here for role in p.roles}))
    person = Person(FUZZER, FUZZER, "Freja Fuzz", here[0].organisation, roles, policy.DUTIES)
    site.inside(site.tower.accounts.add_person(person, PASSWORD))
    return {
        "journey": site.order(), "activity": "CONSENT", "side": "step", "network": demo.NETWORK,
        "organisation": "university-hospital", "person": "pharmacy-1", "kind": "trial",
        "protocol": "autologous-car-t", "role": "treating_clinic", "form": "pdf",
        "chapter": "interfaces", "password": PASSWORD,
    }  # fmt: skip


@pytest.mark.parametrize("endpoint", TRIED, ids=lambda e: f"{e.method} {e.path}")
def test_no_input_breaks_an_endpoint(
    site: Site,
    description: schemathesis.schemas.BaseSchema,
    real: dict[str, str],
    endpoint: api.Endpoint,
) -> None:
    """Right and wrong requests to each endpoint: never a 5xx, always a promised status."""
    operation = description[endpoint.path.replace(":path", "")][endpoint.method]
    promised = {int(status) for status in operation.definition.raw["responses"]}
    # A session of its own: what was tried before may have ended the last one, or locked it out.
    accounts = site.tower.accounts
    person = site.inside(accounts.person(FUZZER))
    site.inside(accounts.set_password(person, PASSWORD))
    token = site.inside(site.tower.sessions.open(person, "password"))
    headers = {"Authorization": f"Bearer {token}"}
    seen: Counter[int] = Counter()

    @given(case=operation.as_strategy(), there=st.booleans())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def send(case: schemathesis.Case, there: bool) -> None:
        if there:
            known = {k: v for k, v in real.items() if k in (case.path_parameters or {})}
            case.path_parameters = {**(case.path_parameters or {}), **known}
            case.body = _named(case.body, real)
        answer = case.call(headers=headers, timeout=60)
        seen[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        assert answer.status_code in promised | {404, 405}, (answer.status_code, answer.text)
        if answer.status_code >= 400 and not endpoint.path.startswith("/epcis"):
            assert answer.json()["type"].startswith("/problems/")

    send()
    # Whoever may do everything is turned away at no door that asks who they are.
    assert endpoint.may == "anyone" or not set(seen) <= {401, 429}, seen


def _named(body: Any, real: dict[str, str]) -> Any:
    """Return a body whose names are of what is there: its role, journey, activity and so on."""
    if isinstance(body, dict):
        return {
            k: real[k] if k in real and isinstance(v, str) else _named(v, real)
            for k, v in body.items()
        }
    return [_named(one, real) for one in body] if isinstance(body, list) else body
