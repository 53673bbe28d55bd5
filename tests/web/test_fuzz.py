"""The API under fuzz: whatever is sent, the answer is one that the description promises."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from site_ import Site
from stafett.web import api
from stafett.web.areas import ENDPOINTS

TRIED = [e for e in ENDPOINTS if e.path != "/api/stream"]


@pytest.fixture(scope="module")
def description(site: Site) -> schemathesis.schemas.BaseSchema:
    """Load the description that the server itself gives."""
    return schemathesis.openapi.from_url(site.base + "/openapi.json")


@pytest.mark.parametrize("endpoint", TRIED, ids=lambda e: f"{e.method} {e.path}")
def test_no_input_breaks_an_endpoint(
    site: Site, description: schemathesis.schemas.BaseSchema, endpoint: api.Endpoint
) -> None:
    """Fifteen requests per endpoint, right and wrong: never a 5xx, always a promised status."""
    operation = description[endpoint.path.replace(":path", "")][endpoint.method]
    headers = {"Authorization": f"Bearer {site.token('treating-clinic-2')}"}
    promised = {int(status) for status in operation.definition.raw["responses"]}

    from hypothesis import given

    @given(case=operation.as_strategy())
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    def send(case: schemathesis.Case) -> None:
        answer = case.call(headers=headers, timeout=30)
        assert answer.status_code < 500, answer.text
        assert answer.status_code in promised | {404, 405}, (answer.status_code, answer.text)
        if answer.status_code >= 400 and not endpoint.path.startswith("/epcis"):
            assert answer.json()["type"].startswith("/problems/")

    send()
