"""FHIR under fuzz from `/openapi.json`: each answer is one that is described, as it is described.

`STAFETT_EXAMPLES=100 pytest tests/web/test_fhir_fuzz.py` sends more than six to each operation.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from site_ import Site
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.web.fhir_described import described
from stafett.web.pace import Paces

EXAMPLES = int(os.environ.get("STAFETT_EXAMPLES", "6"))  # for each operation
OPERATIONS = [(path, method) for path, some in described()["paths"].items() for method in some]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance,
          response_schema_conformance]  # fmt: skip
FUZZER, PASSWORD = "fhir-fuzzer", "violet tractor seven lakes"


@pytest.fixture(scope="module")
def description(site: Site) -> schemathesis.schemas.BaseSchema:
    """Load the description that the server itself gives."""
    return schemathesis.openapi.from_url(site.base + "/openapi.json")


@pytest.fixture(scope="module")
def token(site: Site) -> str:
    """Let somebody in who may do everything, at no pace, and give them an order to find."""
    site.app.state.paces = Paces({"person": 0, "program": 0, "address": 0})
    here = [p for p in site.people if p.organisation == "university-hospital"]
    roles = tuple(sorted({role for p in here for role in p.roles}))
    person = Person(FUZZER, FUZZER, "Freja Fuzz", here[0].organisation, roles, policy.DUTIES)
    site.inside(site.tower.accounts.add_person(person, PASSWORD))
    site.order()
    return site.inside(site.tower.sessions.open(person, "password"))


def _first(site: Site, token: str, path: str) -> str:
    """Give the id of one resource of the operation's type, if there is one."""
    kind = path.split("/")[3] if path.count("/") > 2 else ""
    version = "R4B" if kind == "SupplyDelivery" else "R5"
    headers = {"Authorization": f"Bearer {token}"}
    found = site.call(None, "GET", f"/fhir/{version}/{kind}?_count=1", headers=headers)
    entries = found.json().get("entry", []) if found.status_code == 200 else []
    return str(entries[0]["resource"]["id"]) if entries else "none"


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda one: str(one))
def test_no_input_breaks_what_is_described(
    site: Site, description: schemathesis.schemas.BaseSchema, token: str, path: str, method: str
) -> None:
    """Right and wrong requests: no 5xx, a promised status, the media type and schema of it."""
    operation = description[path][method]
    headers = {"Authorization": f"Bearer {token}"}
    real = _first(site, token, path) if "{id}" in path and method != "delete" else "none"
    seen: Counter[int] = Counter()

    @given(case=operation.as_strategy(), there=st.booleans())
    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
    def send(case: schemathesis.Case, there: bool) -> None:
        if there and "id" in (case.path_parameters or {}):
            case.path_parameters = {**case.path_parameters, "id": real, "number": "1"}
        answer = case.call(base_url=site.base, headers=headers, timeout=60)
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    send()
    assert not set(seen) <= {401, 403, 429}, seen


def test_every_route_of_fhir_is_described() -> None:
    """What the CapabilityStatement names for a type has its path and its parameters."""
    paths = described()["paths"]
    asked = {p["name"] for p in paths["/fhir/{version}/Task"]["get"]["parameters"]}
    assert {"patient", "patient.identifier", "authored-on", "_sort", "_include"} <= asked
    assert "get" in paths["/fhir/{version}/Task/{id}/_history/{number}"]
    assert "/fhir/{version}/AuditEvent/{id}/_history" not in paths
    assert {"get", "post"} == set(paths["/fhir/{version}/Subscription"])
    versions = paths["/fhir/{version}/SupplyDelivery"]["get"]["parameters"][0]["schema"]["enum"]
    assert versions == ["R4B", "R4"]
