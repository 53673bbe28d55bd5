"""EPCIS under fuzz from the OpenAPI document that GS1 publishes: no 5xx, always a problem."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from site_ import Site

METHODS = ("get", "post", "delete")


@pytest.fixture(scope="module")
def description(shared: Path) -> schemathesis.schemas.BaseSchema:
    """Load the description that GS1 publishes."""
    text = (shared / "standards/schema/openapi.json").read_text()
    return schemathesis.openapi.from_dict(json.loads(text))


def test_no_input_of_the_published_description_breaks_the_interface(
    site: Site, description: schemathesis.schemas.BaseSchema
) -> None:
    """Each operation of GS1's document, right and wrong: no 5xx; what is refused says why."""
    headers = {"Authorization": f"Bearer {site.token('courier-1')}"}
    tried: set[tuple[str, str]] = set()
    missed: set[tuple[str, str]] = set()
    for path, operations in description.items():
        for method in METHODS:
            if method not in list(operations):
                continue
            operation = operations[method]

            @given(case=operation.as_strategy())
            @settings(max_examples=5, deadline=None, database=None, derandomize=True,
                      phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
            def send(case: schemathesis.Case) -> None:
                answer = case.call(base_url=f"{site.base}/epcis", headers=headers, timeout=60)
                assert answer.status_code < 500, (case.method, case.path, answer.text)
                if answer.text.startswith("Failed to open a WebSocket connection"):
                    return  # refused before any interface: the handshake was none
                if answer.status_code >= 400 and answer.content:
                    problem = answer.json()
                    assert problem["status"] == answer.status_code and problem["title"]
                    # A path with a line break belongs to nobody: the tower itself says 404.
                    assert problem["type"].startswith(("epcisException:", "/problems/")), problem

            try:
                send()
            except Unsatisfiable:  # patterns of GS1's that nothing drawn at random fits
                missed.add((path, method))
            else:
                tried.add((path, method))
    assert len(tried) > 30, sorted(missed)
