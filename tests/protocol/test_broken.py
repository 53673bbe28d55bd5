"""Every broken example gives its diagnostic, at its line, and no other hole."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from stafett.protocol.check import prove
from stafett.protocol.diagnostics import DIAGNOSTICS, GROUPS
from stafett.protocol.read import read

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/examples/broken"
HOLES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "holes.yaml").read_text("utf-8"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(number: int, hole: dict[str, Any]) -> Path:
    return FOLDER / f"{number:02}-{hole['name']}.yaml"


@pytest.mark.parametrize(
    ("number", "hole"), list(enumerate(HOLES, 1)), ids=[hole["name"] for hole in HOLES]
)
def test_each_hole_is_found_at_its_line(number: int, hole: dict[str, Any]) -> None:
    """The diagnostic of the hole is given on the line that has it; nothing unrelated is found."""
    file = example(number, hole)
    lines = file.read_text("utf-8").splitlines()
    errors = prove(read(file)).errors
    hits = [e for e in errors if e.code == hole["code"] and hole["at"] in lines[e.place.line - 1]]
    assert hits, [(e.code, e.place.line, e.what) for e in errors]
    assert {e.code for e in errors} <= {hole["code"], *hole.get("also", [])}
    if DIAGNOSTICS[hole["code"]].group == "paths" and not hole["code"].startswith("never-"):
        assert hits[0].trace, "a hole on a path has a trace that leads to it"


def test_the_example_files_are_current() -> None:
    """docs/examples/broken is what scripts/broken_examples.py writes: run it after a change."""
    made = script("broken_examples")
    for number, hole in enumerate(HOLES, 1):
        assert example(number, hole).read_text("utf-8") == made.broken(hole)
    assert len(list(FOLDER.glob("[0-9]*.yaml"))) == len(HOLES) >= 25


def test_the_diagnostics_page_is_current() -> None:
    """docs/reference/diagnostics.md is what scripts/reference_pages.py writes."""
    page = (ROOT / "docs/reference/diagnostics.md").read_text("utf-8")
    assert page == script("reference_pages").diagnostics_page()


def test_the_page_of_units_is_current() -> None:
    """docs/reference/units.md is what scripts/reference_pages.py writes."""
    page = (ROOT / "docs/reference/units.md").read_text("utf-8")
    assert page == script("reference_pages").units_page()


def test_each_diagnostic_belongs_to_a_documented_group() -> None:
    """Every code says why it matters and how to mend it, in a group of the reference."""
    for code, entry in DIAGNOSTICS.items():
        assert entry.group in GROUPS, code
        assert entry.why.endswith("."), code
        assert entry.mend.endswith("."), code
