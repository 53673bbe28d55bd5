"""What was published and is entered when a registry is first furnished (catalogue/registry)."""

from __future__ import annotations

from importlib import resources
from typing import Any

import msgspec
import yaml

from stafett.registry.adoption import Assessment
from stafett.registry.requirement import RequirementList
from stafett.registry.site import SiteEntry


def _file(name: str) -> dict[str, Any]:
    file = resources.files("stafett.catalogue") / "registry" / f"{name}.yaml"
    found: dict[str, Any] = yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)
    return found


def assessments(country: str) -> list[Assessment]:
    """Return the assessments that `country`'s bodies have published."""
    return msgspec.convert(_file(country)["assessments"], list[Assessment])


def sites(country: str) -> list[SiteEntry]:
    """Return the sites that were published as qualified, with where that was said."""
    found = _file(country)
    return [
        msgspec.convert({**site, "sources": found["site_sources"]}, SiteEntry)
        for site in found["sites"]
    ]


def requirement_lists() -> list[RequirementList]:
    """Return the made-up lists that show how requirements compare."""
    return msgspec.convert(_file("requirements")["lists"], list[RequirementList])
