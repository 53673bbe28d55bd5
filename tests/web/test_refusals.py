"""Refusals in the reader's language: every sentence of the core, with the same names."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import stafett
from site_ import Site
from stafett.web.refusals import knows, said
from web_hands import Under

SOURCE = Path(stafett.__file__).parent
FILES = [
    *(SOURCE / "journey" / f"{name}.py" for name in (
        "accountability", "assess", "check", "clock", "decide", "draft", "excursion", "gate",
        "handling", "identifier", "passing", "specification", "working",
    )),
    SOURCE / "protocol" / "violations.py",
]  # fmt: skip
# The registry's rooms say other things beside their refusals: here only what a refusal is made of.
ROOMS = [
    SOURCE / f"{name}.py" for name in (
        "registry/adoption", "registry/importing", "registry/readiness", "service/competence",
        "service/practice", "service/readiness", "service/registry", "service/training",
        "web/readiness", "web/registry", "web/registry_pages", "web/training",
    )
]  # fmt: skip
ROWS = [SOURCE / "registry" / f"{name}.py" for name in ("ctgov", "ctis", "importing")]
SAYING = ("No", "Not", "NotALayout", "Part", "Problem", "Reason")
NAMED = ("what", "todo", "title")  # a sentence that is put together before it is said
# What is joined to another sentence, or is the record's and not a refusal.
NOT_ALONE = (
    "does not exist yet", "is used up", "is gone", "already being passed", "is NAME in NAME",
    " (NAME from NAME)",
)  # fmt: skip


def sentences(file: Path) -> Iterator[str]:
    """Give every sentence that a module says, with a name in each of its places."""
    tree = ast.parse(file.read_text("utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            skipped.add(ast.get_docstring(node, clean=False))
        if isinstance(node, ast.JoinedStr):
            skipped |= {v.value for v in node.values if isinstance(v, ast.Constant)}
    for node in ast.walk(tree):
        text = _text(node)
        words = text.replace("NAME", "").strip(" ;,:.{}").split() if text else []
        if text and len(words) > 1 and text not in skipped and not text.startswith("; "):
            yield text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "NAME" for v in node.values)
    return ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_sentence_of_the_core_is_said_in_each_language(file: Path) -> None:
    """None is left English: whoever words a refusal anew adds it to refusals.yaml."""
    found = {s for s in sentences(file) if s.removeprefix("NAME ") not in NOT_ALONE}
    assert found
    assert sorted(s for s in found if not knows(s)) == []


def told(file: Path, saying: tuple[str, ...], named: tuple[str, ...] = ()) -> Iterator[str]:
    """Give every sentence that a module hands to what refuses, or keeps under such a name."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in saying:
            yield from (text for arg in node.args for text in _pieces(arg))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in named:
            yield from _pieces(node.value)
        if isinstance(node, ast.Return) and node.value is not None and named:
            yield from _pieces(node.value)


def _pieces(node: ast.AST) -> Iterator[str]:
    parts: list[ast.expr] = []
    if isinstance(node, ast.IfExp):
        parts = [node.body, node.orelse]
    elif isinstance(node, ast.Tuple):
        parts = node.elts
    elif isinstance(node, ast.BoolOp):
        parts = node.values
    yield from (text for part in parts for text in _pieces(part))
    text = _text(node)
    if len(text.replace("NAME", "").strip(" ;,:.{}").split()) > 1:
        yield text


@pytest.mark.parametrize("file", ROOMS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_refusal_of_the_registrys_rooms_is_said_in_each_language(file: Path) -> None:
    """Registry, readiness, training, practice and competence, as the core."""
    found = set(told(file, SAYING, NAMED))
    assert sorted(text for text in found if not knows(text)) == []


def test_the_registrys_rooms_are_searched_for_what_they_refuse() -> None:
    """The search finds refusals in most rooms: were it blind, nothing would be untranslated."""
    found = {file: len(set(told(file, SAYING, NAMED))) for file in ROOMS}
    assert sum(count > 0 for count in found.values()) > len(ROOMS) // 2, found
    assert sum(found.values()) > 50, found


@pytest.mark.parametrize("file", ROWS, ids=lambda file: file.stem)
def test_every_fault_of_a_row_is_said_in_each_language(file: Path) -> None:
    """An import that is refused names the row's identifier, its field and the fault."""
    found = {f"ID: NAME: {text}" for text in told(file, ("BadRow",))}
    assert found and sorted(text for text in found if not knows(text)) == []


@pytest.mark.parametrize(
    ("text", "swedish"),
    [
        ("'seal' is not answered", "'seal' är inte besvarad"),
        ("the colour is wrong", "the colour is wrong"),
        ("seal: 7.5 is above 5 C", "seal: 7.5 är över 5 C"),
        ("in the colour that is wrong", "in the colour that is wrong"),
        ("a is used up; b is in quarantine", "a är förbrukat; b är i karantän"),
        ("2 different people must sign as 'I saw it'; 1 did",
         "2 olika personer måste skriva under som 'I saw it'; 1 har gjort det"),
        ("There is no such onboarding", "Det finns ingen sådan anslutning"),
        ("the dry run is not carried through: H01 release, H02 accept",
         "provkörningen är inte genomförd: H01 release, H02 accept"),
        ("NCT1: sex: 'X' is none of ALL, FEMALE, MALE",
         "NCT1: sex: 'X' är ingen av ALL, FEMALE, MALE"),
        ("seal, corrected: 7 is above 5 C", "seal, rättat: 7 är över 5 C"),
    ],
)  # fmt: skip
def test_names_stay_and_what_is_not_known_stays_english(text: str, swedish: str) -> None:
    """Sentences within a sentence and beside it are said too."""
    assert said(text, "sv") == swedish
    assert said(text, "en") == text


def test_a_station_says_in_swedish_why_it_refuses(
    site: Site,
    brought_to: Callable[[str, str], Under],
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """What the record answers to an act is in the page's language; a program reads English."""
    under = brought_to("H08", "accept")
    page = browser_of("courier-1", language="sv")
    page.goto(f"/journeys/{under.journey}/H08/accept?language=sv")
    page.locator("[data-scan]").wait_for()
    command = {"type": "Receive", "handoff": "H08", "decision": "accept"}
    english = site.send("courier-1", under.journey, command).json()
    assert "is not answered" in english["reasons"][0]["what"]
    body = {"key": "k" * 20, "role": "courier", "password": "",
            "command": {**command, "occurred_at": "2026-11-01T08:00:00+01:00"}}  # fmt: skip
    answer = page.request.post(
        f"/api/journeys/{under.journey}/commands", data=body, headers={"X-Stafett": "1"}
    )
    assert answer.json()["title"] == "Underskriften håller inte"
    assert answer.json()["reasons"][0]["what"] == "det är inte ditt lösenord"
    page.locator("[data-scan]").fill("x\x01y")
    page.keyboard.press("Enter")
    refusal = page.locator(".refusal, .note.red").first
    expect(refusal).to_be_visible()
    shoot(page, "refusal-sv")
