"""What `/openapi.json` says of each answer is what is answered: status, content type, body."""

from __future__ import annotations

import random
import re
from typing import Any

import httpx
import jsonschema_rs
import pytest

from site_ import Site
from stafett.journey.label import Labels
from web_walk import walk

# Between them they may read everything.
ASKING = ("treating-clinic-1", "administrator", "qualified-person-1", "quality-control-1")
ENDLESS = "text/event-stream"


@pytest.fixture(scope="module")
def journey(site: Site) -> str:
    """Carry a journey far enough that most of what can be read of one is there."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    product = next(iter(site.day().nets))
    name = site.order(labels.patient, coi=labels.coi, product=product)
    site.inside(walk(site, name, labels, ("H05", "accept")))
    return name


def _asked(operation: dict[str, Any]) -> dict[str, str]:
    required = [p for p in operation["parameters"] if p["in"] == "query" and p.get("required")]
    return {p["name"]: "x" for p in required}


def _best(site: Site, path: str, query: dict[str, str]) -> httpx.Response:
    """Give the first answer that is 200 to one of those who ask, else the last."""
    for login in ASKING:
        answer = site.call(login, "GET", path, params=query)
        if answer.status_code == 200:
            break
    return answer


def test_every_answer_is_as_the_description_says(site: Site, journey: str) -> None:
    """Each path that is read, of a journey where it is of one: nothing undescribed, nothing else.

    Formats are asserted: a date is one.
    """
    described = site.call(None, "GET", "/openapi.json").json()
    wrong: list[str] = []
    read = 0
    for path, operations in described["paths"].items():
        operation = operations.get("get")
        if operation is None or ENDLESS in operation["responses"]["200"].get("content", {}):
            continue
        known = path.replace("{journey}", journey).replace("{version}", "R5")
        where = re.sub(r"\{\w+\}", "x", known)
        answer = _best(site, where, _asked(operation))
        read += answer.status_code == 200
        said = operation["responses"].get(str(answer.status_code))
        if said is None:
            wrong.append(f"{path}: {answer.status_code} is not described: {answer.text[:200]}")
            continue
        content = said.get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if answer.content and content and kind not in content:
            wrong.append(f"{path}: {kind} is none of {list(content)}")
        elif kind.endswith("json") and content:
            schema = {**content[kind]["schema"], "components": described["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            wrong += [f"{path}: {e.message[:200]} at {list(e.instance_path)}"
                      for e in list(validator.iter_errors(answer.json()))[:2]]  # fmt: skip
    assert wrong == []
    assert read > 60
