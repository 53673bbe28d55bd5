"""Refusals in the reader's language: every sentence of the core, with the same names."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import stafett
from site_ import Site
from stafett.protocol.builtin import load
from stafett.protocol.net import Net
from stafett.web.naming import names_of
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
# Every other room that refuses: what stands in it is found, so that none is forgotten.
# EPCIS and FHIR (and the exchange room under them) answer programs, in their standards' English;
# the commands write to a terminal; the record's own tools (ledger) and the analyses speak through
# findings (see test_findings.py).
PROGRAMS = (
    "web/epcis.py", "web/epcis_http.py", "web/epcis_path.py", "web/epcis_standing.py",
    "web/epcis_stream.py", "web/fhir.py", "service/fhir.py",
)  # fmt: skip
ROOMS = [
    file
    for room in ("capacity", "eventlog", "identity", "registry", "service", "watch", "web")
    for file in sorted((SOURCE / room).rglob("*.py"))
    if str(file.relative_to(SOURCE)) not in PROGRAMS
]
# The registry's rooms put a sentence together before it is said, or return it.
RETURNING = [
    SOURCE / f"{name}.py" for name in (
        "registry/adoption", "registry/importing", "registry/readiness", "service/competence",
        "service/practice", "service/readiness", "service/ready_signature", "service/registry",
        "service/signatures", "service/training",
        "web/readiness", "web/registry", "web/registry_pages", "web/training",
    )
]  # fmt: skip
# Modules whose errors a use case hands on as they are: all that they raise is a refusal.
RAISING = [
    SOURCE / f"{name}.py" for name in (
        "capacity/disruption", "registry/adoption", "registry/disclosure", "registry/requirement",
        "registry/trial", "service/accounts", "service/administration", "service/documents",
        "service/factors", "service/incentives", "service/passkeys", "service/passwords",
        "service/signin", "web/signin",
    )
]  # fmt: skip
ROWS = [SOURCE / "registry" / f"{name}.py" for name in ("ctgov", "ctis", "importing")]
SAYING = (
    "BadChunk", "Busy", "IdentifierError", "KeyLost", "LogUnreadableError", "No", "Not",
    "NotALayout", "NotYet", "Overtaken", "Part", "PasskeyRefused", "Problem", "ProviderRefused",
    "Reason", "SignInRefused", "Unsettled", "Unusable", "_BadEntry", "_refused",
)  # fmt: skip
NO_REFUSAL = ("NAME: a fifth better, patients treated of 100",)  # a picture's title
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


def told(file: Path, saying: tuple[str, ...]) -> Iterator[str]:
    """Give every sentence that a module hands to what refuses, or keeps under such a name."""
    aside = file in (*RETURNING, *RAISING) or file.parent.name in ("service", "web")
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in saying:
            yield from (text for arg in node.args for text in _pieces(arg))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and file in RAISING:
            yield from (text for arg in node.exc.args for text in _pieces(arg))
        if isinstance(node, ast.Assign) and aside and getattr(node.targets[0], "id", "") in NAMED:
            yield from _pieces(node.value)
        if isinstance(node, ast.Return) and node.value is not None and file in RETURNING:
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
def test_every_refusal_of_every_room_is_said_in_each_language(file: Path) -> None:
    """As the core: whoever refuses something new adds its sentence to a refusals file."""
    found = {t for t in told(file, SAYING) if t not in NO_REFUSAL}
    unsaid = {t for t in found if not knows(t) and not knows(f"ID: NAME: {t}")}
    assert sorted(unsaid) == []


@pytest.mark.parametrize("name", ["edit", "interface_checks", "misfit", "reading", "routes"])
def test_every_finding_of_a_network_is_said_in_each_language(name: str) -> None:
    """The studio shows what `stafett design check` says of a file, in the reader's language."""
    file = SOURCE / "design" / f"{name}.py"
    tree = ast.parse(file.read_text("utf-8"))
    found = {
        t
        for node in ast.walk(tree)
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple)
        for t in _pieces(node.value)
    }
    found |= set(told(file, ("ReadError", "Wrong")))
    named = (n for n in ast.walk(tree) if isinstance(n, ast.Assign))
    found |= {
        t for n in named if getattr(n.targets[0], "id", "") in (*NAMED, "ALONE", "WHOLE")
        for t in _pieces(n.value)
    }  # fmt: skip
    assert found
    by_way = {t for t in found if "cannot be reached NAME in" in t}  # said for each way: by road …
    assert sorted(t for t in found - by_way if not knows(t)) == []


@pytest.mark.parametrize("name", ["misfit", "read", "texts"])
def test_what_a_protocol_file_does_wrong_is_said_in_each_language(name: str) -> None:
    """Whoever brings a protocol to the page reads what is wrong with it in their own language."""
    tree = ast.parse((SOURCE / "protocol" / f"{name}.py").read_text("utf-8"))
    named = (n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.Return) and n.value)
    found = {t for n in named for t in _pieces(n.value) if "NAME" in t or t.islower()}
    found |= {t for n in ast.walk(tree) if isinstance(n, ast.Dict) for v in n.values
              for t in _pieces(v)}  # fmt: skip
    found |= set(told(SOURCE / "protocol" / f"{name}.py", ("ReadError",)))
    passed_on = {t for t in found if t.startswith(("NAME (at", "NAME: ", "(at"))}
    assert found
    parts = {"NAME has no parameter NAME", "the top"}  # of a sentence that is said as a whole
    said = {t.replace("{}", "NAME") for t in found - passed_on - parts}
    assert sorted(t for t in said if not knows(t)) == []


def test_the_rooms_are_searched_for_what_they_refuse() -> None:
    """The search finds refusals in most rooms: were it blind, nothing would be untranslated."""
    found = {file: len(set(told(file, SAYING))) for file in ROOMS}
    assert sum(count > 0 for count in found.values()) > len(ROOMS) // 4, found
    assert sum(found.values()) > 600, found


def whys(file: Path) -> Iterator[str]:
    """Give every reason for telling somebody that a module of the watch writes down."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg in ("why", "note", "what", "todo"):
            yield from _pieces(node.value)
        if isinstance(node, ast.Assign) and "why" in {
            getattr(name, "id", "") for name in ast.walk(node.targets[0])
        }:
            yield from _pieces(node.value)


WATCH = sorted((SOURCE / "watch").glob("*.py"))


@pytest.mark.parametrize(
    "file", [*WATCH, SOURCE / "exchange" / "release.py"], ids=lambda file: file.stem
)
def test_why_somebody_is_told_is_said_in_each_language(file: Path) -> None:
    """A cause of an alert, a limit that passed: on pages, in mail and at a handover of a shift."""
    assert sorted(text for text in set(whys(file)) if not knows(text)) == []


def test_the_watch_is_searched_for_why_somebody_is_told() -> None:
    """The search finds the reasons: were it blind, nothing would be untranslated."""
    assert sum(len(set(whys(file))) for file in WATCH) >= 5


def test_what_a_text_names_is_called_as_the_page_calls_it() -> None:
    """An activity by identifier and title, a check by its question, a moment as it is read."""
    net = Net(load("autologous-car-t").bind("kymriah"))
    swedish = names_of(net, "sv")
    late = "H08 within 24 h of H05: due 2026-03-02T07:30:00+00:00"
    assert said(late, "sv", swedish) == (
        "H08 Plomberad transportbehållare till transportören inom 24 h från"
        " H05 Patienten kommer till aferesen: senast 2 mars 2026 07:30 UTC"
    )
    asks = "courier asks treating-clinic to answer for the journey: Anna is on leave; call her"
    assert said(asks, "sv").endswith("att ansvara för resan: Anna is on leave; call her")
    english = names_of(net, "en")
    assert said("H08 waits for courier since 2026-03-02T07:30:00+00:00", "en", english) == (
        "H08 Sealed shipper to the courier waits for Courier since 2 Mar 2026 07:30 UTC"
    )


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
        ("seal: 7.5 is above 5 C", "seal: 7,5 är över 5 C"),
        ("in the colour that is wrong", "in the colour that is wrong"),
        ("seal: this is not the seal of shipper_out",
         "seal: detta är inte rätt seal för shipper_out"),
        ("the file has 1,048,577 bytes; at most 1,048,576 are read",
         "filen har 1\u00a0048\u00a0577 byte; högst 1\u00a0048\u00a0576 läses"),
        ("version 2.0 is not taken; 1.2, 2.1 are", "version 2.0 tas inte emot; 1.2, 2.1 gör det"),
        ("a is used up; b is in quarantine", "a har förbrukats; b är i karantän"),
        ("2 different people must sign as 'I saw it'; 1 did",
         "2 olika personer måste signera som 'I saw it'; 1 har gjort det"),
        ("There is no such onboarding", "Det finns ingen sådan anslutning"),
        ("the dry run is not carried through: H01 release, H02 accept",
         "provkörningen är inte genomförd: H01 release, H02 accept"),
        ("NCT1: sex: 'X' is none of ALL, FEMALE, MALE",
         "NCT1: sex: 'X' är ingen av ALL, FEMALE, MALE"),
        ("seal, corrected: 7 is above 5 C", "seal, rättat: 7 är över 5 C"),
        ("procedure: answered so", "procedure: besvarat så"),
        ("expired at 2026-03-02T07:30:00+00:00 (48 h from PACK)",
         "gick ut 2 mars 2026 07:30 UTC (48 h från PACK)"),
        ("A1 is still to be checked: did it help?", "A1 är ännu inte kontrollerad: did it help?"),
        ("D1 (TEMP): out of specification, it waits for: risk-evaluation",
         "D1 (TEMP): utanför specifikation, väntar på: tillverkarens riskbedömning"),
        ("BAG1: outside 2 to 8 °C for 12.1 min at a stretch (10 to 14 min in all), warmest 9.1 °C;"
         " logger L1",
         "BAG1: utanför 2 till 8 °C i 12,1 min i sträck (10 till 14 min totalt), varmast 9,1 °C;"
         " logger L1"),
        ("BAG1: a shock of 8 g; logger L1", "BAG1: en stöt på 8 g; logger L1"),
        ("is to have at least 3 characters", "ska ha minst 3 tecken"),
        ("is to be a number, not text", "ska vara ett tal, inte text"),
        ("`lanes.A.days` is to be 0.5 or more", "`lanes.A.days` ska vara 0,5 eller mer"),
        ("row 7: the log has no events\n... and 2 more",
         "rad 7: loggen har inga händelser\n... och 2 till"),
        ("pick-up (2 h, 0-4 h after the link before) must begin 2026-03-02T07:30+00:00 to"
         " 2026-03-02T09:00+00:00: nothing is open",
         "pick-up (2 h, 0-4 h efter länken före) måste börja 2 mars 2026 07:30 UTC till"
         " 2 mars 2026 09:00 UTC: inget är öppet"),
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
    assert answer.json()["title"] == "Signaturen är inte giltig"
    assert answer.json()["reasons"][0]["what"] == "det är inte ditt lösenord"
    page.locator("[data-scan]").fill("x\x01y")
    page.keyboard.press("Enter")
    refusal = page.locator(".refusal, .note.red").first
    expect(refusal).to_be_visible()
    shoot(page, "refusal-sv")
