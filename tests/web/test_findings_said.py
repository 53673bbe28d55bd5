"""What a proof of a protocol, a partner's document and a laboratory's message are refused for.

Each is found with a code or at a place, in English; whoever reads it on a page reads it in their
language: `refusals_protocol.yaml` and `refusals_exchange.yaml`.
"""

from __future__ import annotations

import ast
import itertools
import re
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import stafett
from english_ import FUNCTION, english
from site_ import Site
from stafett.exchange import epcis
from stafett.exchange.epcis_xml import read_xml
from stafett.exchange.problem import Problem
from stafett.protocol.check import prove
from stafett.protocol.diagnostics import DIAGNOSTICS
from stafett.protocol.finding import Finding
from stafett.protocol.read import parse
from stafett.web.language import LANGUAGES, words
from stafett.web.refusals import change_said, knows, move_said, of_part_said, said

SOURCE = Path(stafett.__file__).parent
OTHERS = sorted(set(LANGUAGES) - {"en"})
PROOF = [
    SOURCE / "protocol" / f"{name}.py" for name in (
        "acts", "consequences", "explore", "figures", "gates", "independence", "labels", "matching",
        "questions", "read", "references", "safeguards", "safety", "shelf", "texts",
    )
]  # fmt: skip
# What is refused on a channel whose letters wait on the page: captures (EPCIS) and results (HL7).
EXCHANGE = [
    *(SOURCE / "exchange" / f"{name}.py" for name in (
        "captures", "deliveries", "epcis", "epcis_facts", "epcis_odd", "epcis_store", "epcis_xml",
        "hl7", "hl7_mapping",
    )),
    SOURCE / "service" / "results.py",
]  # fmt: skip
SAYING = {
    "Finding", "NotPossible", "Problem", "ReadError", "Refused", "Unread", "ValueError", "_Odd",
    "_at", "_must", "_sourced", "_unreadable", "_wrong", "at", "deep", "found", "missing",
}  # fmt: skip
KEPT = {"fault", "said", "what", "why"}  # names under which a sentence is put together first
RETURNING = {"_no_field", "_say", "_unfit_condition"}  # what returns a sentence
# What goes before a sentence or into one, in full.
PUT_TOGETHER = {
    "NAME has no NAME": [
        "NAME has no `on_stop`: its checks can fail",
        "NAME has no `on_quarantine`, though it carries material",
        "NAME has no `on_refuse`, though it carries material", "NAME has no time limit",
    ],
    "`on_stop`: its checks can fail": [], "`on_quarantine`, though it carries material": [],
    "`on_refuse`, though it carries material": [], "time limit": [],
    "there is no NAME NAMENAME": [
        f"there is no {kind} NAME; did you mean NAME?" for kind in (
            "role", "material", "document", "deviation", "identifier", "outcome", "step",
            "step or handoff", "result of NAME",
        )
    ],
    "step or handoff": [], "result of NAME": [],
    "NAME is NAME with no way on": [
        f"NAME is {how} with no way on" for how in (
            "under way", "stopped", "in quarantine", "refused",
        )
    ],
    "NAME has no source": [
        f"{what} has no source" for what in (
            "the age that a scan may have", "the time NAME takes", "the deadline of NAME",
            "the escalation of NAME to NAME", "the shelf life of NAME", "NAME of NAME",
        )
    ],
    "the age that a scan may have": [], "the time NAME takes": [], "the deadline of NAME": [],
    "the escalation of NAME to NAME": [], "the shelf life of NAME": [], "NAME of NAME": [],
    "NAME does not record the new label of NAME": [
        "relabelling in NAME does not record the new label of NAME"
    ],
    "NAME begins while NAME": [
        "NAME begins while NAME is quarantined or not yet with a hospital"
    ],
    "NAME is quarantined or not yet with a hospital": [],
    "NAME keeps for NAME from NAME; NAME may be NAME after it, and with NAME NAME": [
        "NAME keeps for NAME from NAME; NAME may be NAME after it, and with NAME held by NAME and"
        " made once more NAME"
    ],
    "NAME (NAME of NAME)": [
        "NAME (NAME of NAME) does not identify NAME",
        "NAME (NAME of NAME) scans NAME, but a mismatch does not stop the journey",
    ],
    "relabelling in NAME": [
        "relabelling in NAME does not identify NAME",
        "relabelling in NAME scans NAME, but a mismatch does not stop the journey",
    ],
    "NAME: it ends too early": ["the document is not JSON: it ends too early"],
    "a field of NAME only": ["NAME: a field of NAME only"],
    "a name has at most NAME characters": ["NAME: a name has at most NAME characters"],
    "NAME: NAME": [], "NAME (NAME NAME)": [], "NAME NAME": [],
    "NAME (at NAME)": [],
    "NAMENAME mistakeNAME; first at NAME": [
        "NAME mistake; first at NAME", "NAME mistakes; first at NAME",
        "NAME or more mistakes; first at NAME",
    ],
    "NAME (NAME)": [],
    "the document holds NAME": ["the document holds U+0000 (\\u0000) in a text"],
    "the bytes are not NAME: NAME": [
        "the bytes are not NAME: NAME",
        "the bytes are not UTF-8 (MSH-18 says nothing else): NAME",
    ],
    "NAME is not taken; only results, ORU^R01, are": [
        "NAME is not taken; only results, ORU^R01, are",
        "nothing is not taken; only results, ORU^R01, are",
    ],
    "status NAME NAME an earlier result: somebody must decide": [
        "status NAME deletes an earlier result: somebody must decide",
        "status NAME takes back an earlier result: somebody must decide",
    ],
    "NAME has no parameter NAME": [
        "product NAME has no parameter NAME", "a protocol without products has no parameter NAME",
    ],
    "GS1-Capture-Error-Behaviour: NAME": [
        "GS1-Capture-Error-Behaviour: NAME is neither rollback nor proceed"
    ],
    "NAME (known: NAME)": ["the unit NAME is not in the mapping of NAME (known: NAME)"],
    "the unit NAME is not in the mapping of NAME": [],
    "NAME: it is no XML: NAME": ["line NAME: it is no XML: NAME"],
    "NAME is neither rollback nor proceed": [],
    "a route says exactly one way on; this says NAME": [
        "a route says exactly one way on; this says NAME",
        "a route says exactly one way on; this says nothing",
    ],
}  # fmt: skip
NOT_SAID = (
    "conformant, non_conformant, ...",  # words of the vocabulary
    "not YAML: NAME", "a time is not in the calendar, or a number too large: NAME",
    # In whose words a parser says it is not ours.
    "the message does not fit its version of HL7: NAME",
    "NAME: NAME is no address; write HOST:PORT, as 127.0.0.1:2575",  # whoever starts the process
)  # fmt: skip


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "NAME" for v in node.values)
    return ""


def _sentences(node: ast.AST) -> Iterator[str]:
    """Give the sentences that an expression may be."""
    if isinstance(node, ast.IfExp):
        yield from (*_sentences(node.body), *_sentences(node.orelse))
    elif isinstance(node, ast.Tuple | ast.BoolOp):
        yield from itertools.chain(
            *map(_sentences, node.elts if isinstance(node, ast.Tuple) else node.values)
        )
    elif len((text := _text(node)).split()) > 1:
        yield from PUT_TOGETHER.get(text, [text])


def sentences(file: Path) -> set[str]:
    """Return what a module says when it finds something."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in SAYING:
                found |= {s for arg in node.args for s in _sentences(arg)}
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in KEPT:
            found |= set(_sentences(node.value))
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            found |= set(_sentences(node.value.elts[-1]))
        elif isinstance(node, ast.FunctionDef) and node.name in RETURNING:
            for one in ast.walk(node):
                if isinstance(one, ast.Return) and one.value is not None:
                    found |= set(_sentences(one.value))
    # Questions name the check and the activity, or the field and the document.
    return {_where(s) for s in found} if file.stem == "questions" else found


def _where(text: str) -> str:
    return text if "NAME in NAME" in text else text.replace("NAME", "NAME in NAME", 1)


@pytest.mark.parametrize("code", DIAGNOSTICS)
def test_every_diagnostic_has_its_title_reason_and_remedy_in_each_language(code: str) -> None:
    """The words files say in English what the table says, and the others say it otherwise."""
    table, english = DIAGNOSTICS[code], words("en")
    for part, text in (("title", table.title), ("why", table.why), ("mend", table.mend)):
        key = f"refusal.proof.{code}.{part}"
        assert english[key] == text
        for language in OTHERS:
            assert said(text, language) == words(language)[key] != text


def test_no_diagnostic_is_said_that_the_table_does_not_have() -> None:
    """A code that is taken out of the table is taken out of the words too."""
    said_ = {key.split(".")[2] for key in words("en") if key.startswith("refusal.proof.")}
    assert said_ == set(DIAGNOSTICS)


@pytest.mark.parametrize("file", [*PROOF, *EXCHANGE], ids=lambda file: file.stem)
def test_every_finding_is_said_in_each_language(file: Path) -> None:
    """Whoever words a finding anew adds it to its words file."""
    found = sentences(file) - set(NOT_SAID)
    assert found
    assert sorted(s for s in found if not knows(s.replace("NAMENAME", "NAME"))) == []


SPELT = {
    "now NAME NAME, it was NAME NAME": ["now from A, it was from B", "now to A, it was to B"],
    "NAME NAME -> NAMENAME (NAME)": ["min A -> B (stricter)", "max A -> B (looser)"],
    "NAME -> NAME (NAME)": ["A -> B (stricter)", "A -> B (looser)"],
    "NAME NAME -> NAME": ["kind A -> none"], "NAME: NAME -> NAME": ["inputs: A -> none"],
    "NAME needs NAME first: NAME": ["now needs A first: B", "no longer needs A first: B"],
    ": NAME": [
        "A changed: now states B", "A changed: no longer states B",
        "A changed: now states B; no longer states C",
    ],
    "NAME NAMENAME": ["A is new", "A is gone", "A changed"],
    ": shelf life NAME": [f"A {how}: shelf life B" for how in ("is new", "is gone", "changed")],
}  # fmt: skip


def _changes(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name != "lines":
            for one in ast.walk(node):
                if isinstance(one, ast.Yield | ast.Return) and one.value is not None:
                    value = one.value
                    args = value.args[-1:] if isinstance(value, ast.Call) else [value]
                    yield from (s for arg in args for s in _sentences(arg))
                if isinstance(one, ast.Assign) and getattr(one.targets[0], "id", "") == "what":
                    yield from _sentences(one.value)


@pytest.mark.parametrize("language", OTHERS)
def test_every_change_of_a_protocol_is_said_in_each_language(language: str) -> None:
    """What a new version asks of whom: the page shows it before the version is admitted."""
    said_ = set(_changes(SOURCE / "protocol" / "diff.py"))
    found = {text for s in said_ for text in SPELT.get(s, [s])}
    assert len(found) > 25
    assert sorted(s for s in found if change_said(s, language) == s) == []


BROKEN = sorted((Path(__file__).resolve().parents[2] / "docs/examples/broken").glob("[0-9]*.yaml"))


@cache
def findings_of(file: Path) -> tuple[Finding, ...]:
    """Prove an example once for all languages."""
    return tuple(prove(parse(file.read_bytes(), "protocol.yaml")).findings)


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_each_broken_example_is_explained_in_each_language(file: Path, language: str) -> None:
    """The sentence of a real finding is said whole: with its names, and nothing else in English."""
    findings = findings_of(file)
    assert findings
    for one in findings:
        for text in (
            of_part_said(one.what, language),
            *(move_said(m, language) for m in one.trace or ()),
        ):
            assert not FUNCTION.search(re.sub(r"[`'\"][^`'\"]*[`'\"]|\([^)]*\)", "", text)), (
                one.what,
                text,
            )


@pytest.mark.parametrize("language", OTHERS)
def test_an_operator_reads_in_their_language_what_is_wrong_with_a_protocol(
    language: str,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """Kind, place, sentence, reason, remedy and the way there: nothing on the page is English."""
    page = browser_of("administrator")
    page.goto(f"/admin/protocols?language={language}")
    for number, file in enumerate(BROKEN[::4]):
        page.locator("#file").set_input_files(file)
        card = page.locator("#proof .note.red")
        expect(card).to_be_visible()
        expect(page.locator("#proof h2")).to_contain_text("sound")
        for one in page.locator("#proof details").all():
            one.evaluate("(e) => { e.open = true; }")
        assert page.locator("#proof [lang]").count() == 0
        assert english(page, language, {"Not checked"}) == [], file.name
        if number == 0:
            shoot(page, f"protocol-broken-{language}")
        page.reload()
    page.locator("#file").set_input_files(
        {"name": "x.yaml", "mimeType": "text/yaml", "buffer": b"- a list\n- no mapping\n"}
    )
    expect(page.locator("#said")).to_be_visible()
    assert english(page, language, set()) == []


@pytest.mark.parametrize("language", OTHERS)
def test_an_operator_is_warned_of_a_lower_version(
    language: str,
    site: Site,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """Said before it is admitted, in their language; nothing is sent until it is ticked."""
    library = site.tower.library
    current = library.current()["allogeneic"]
    old = site.inside(library.text(current.sha256))
    text = old.replace(b"version: " + current.version.encode(), b"version: 0.0.1", 1)
    page = browser_of("administrator")
    page.goto(f"/admin/protocols?language={language}")
    page.locator("#file").set_input_files(
        {"name": "x.yaml", "mimeType": "text/yaml", "buffer": text}
    )
    expect(page.locator("#lower")).to_contain_text("0.0.1")
    expect(page.locator("#lower")).to_contain_text(current.version)
    assert english(page, language, set()) == []
    shoot(page, f"protocol-lower-{language}")
    page.locator("#reason").fill("as agreed")
    page.locator("#admit button").click()
    assert page.evaluate("document.activeElement.id") == "back"
    assert library.current()["allogeneic"].sha256 == current.sha256


def refused(*events: dict[str, Any]) -> set[str]:
    """Return what an EPCIS document of these events is refused for."""
    with pytest.raises(Problem) as problem:
        epcis.judge(epcis.document(list(events), created="2026-11-01T08:00:00Z"))
    return {one.detail for one in problem.value.findings}


def event(**more: Any) -> dict[str, Any]:
    """Return an event that is right, but for `more`."""
    good = {
        "type": "ObjectEvent", "eventID": uuid.uuid4().urn, "action": "OBSERVE",
        "eventTime": "2026-11-01T08:00:00+01:00", "eventTimeZoneOffset": "+01:00",
        "epcList": [uuid.uuid4().urn], "bizStep": "transporting",
    }  # fmt: skip
    return {k: v for k, v in {**good, **more}.items() if v is not None}


WRONG: dict[str, dict[str, Any]] = {
    "no time": {"eventTime": None}, "a bare day": {"eventTime": "2026-11-01"},
    "a word of nobody": {"bizStep": "handing over"}, "a strange field": {"nurse": "Anna"},
    "a field of another event": {"parentID": "urn:x:y"}, "ilmd": {"ilmd": {"a:b": 1}},
    "an offset of nowhere": {"eventTimeZoneOffset": "+99:00"}, "no list": {"epcList": "urn:x:y"},
    "an action of nobody": {"action": "LOOK"}, "nothing named": {"epcList": []},
    "no URI": {"epcList": ["a bag"]}, "a number for a text": {"eventID": 7},
    "a list for a text": {"action": ["ADD"]}, "twice the same": {"bizTransactionList": []},
    "a long name": {"a:" + "n" * 600: 1}, "sensors of no kind": {"sensorElementList": [{}]},
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_an_event_is_said_in_each_language(name: str) -> None:
    """Whatever the schema finds has words: those of ours, and those of its keywords."""
    try:
        found = refused(event(**WRONG[name]))
    except pytest.fail.Exception:
        pytest.skip("the standard lets it pass")
    assert sorted(text for text in found if not knows(text)) == []


JSON = [b"{", b"[1,]", b'{"a" 1}', b'{"a": 1,}', b"{1: 2}", b"[1 2]", b'"\\q"', b"01", b"{} x",
        b'{"a": tru}', b"\xff", b'{"a": "\\u0000"}', b"[" * 5000, b'"\\ud800x"', b"1e999",
        b""]  # fmt: skip


@pytest.mark.parametrize("data", JSON, ids=repr)
def test_where_a_document_stops_being_json_is_said_in_each_language(data: bytes) -> None:
    """The parser's own words too, as far as it goes wrong in one of these ways."""
    with pytest.raises(Problem) as problem:
        epcis.parse(data)
    found = {problem.value.detail, *(one.detail for one in problem.value.findings)}
    for text in found:
        assert knows(text), text
        assert not FUNCTION.search(said(text, "sv")), said(text, "sv")


XML = [b"<a", b"<a>", b"<a></b>", b"<a/><b/>", b"<a x='1' x='2'/>", b"<a>&b;</a>", b"<p:a/>", b"",
       b"<!DOCTYPE a><a/>", b"<EPCISDocument xmlns='urn:epcglobal:epcis:xsd:2'/>"]  # fmt: skip


@pytest.mark.parametrize("data", XML, ids=repr)
def test_where_a_document_stops_being_xml_is_said_in_each_language(data: bytes) -> None:
    """The line, and what the parser says of it."""
    with pytest.raises(Problem) as problem:
        read_xml(data)
    for one in problem.value.findings:
        assert knows(one.detail) and knows(one.pointer), one
        assert not FUNCTION.search(said(one.detail, "sv")), said(one.detail, "sv")


@pytest.mark.parametrize("language", OTHERS)
def test_a_partners_refused_document_waits_in_the_readers_language(
    language: str,
    site: Site,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """Why each event of a capture was refused, on the page of those who answer for it."""
    body = epcis.document(
        [event(), *(event(**WRONG[n]) for n in ("no time", "a bare day", "a strange field"))],
        created="2026-11-01T08:00:00Z",
    )
    headers = {"GS1-Capture-Error-Behaviour": "proceed"}
    answer = site.call("administrator", "POST", "/epcis/capture", json=body, headers=headers)
    job = site.call("administrator", "GET", answer.headers["location"]).json()["captureID"]
    page = browser_of("administrator")
    page.goto(f"/exchange/letters?language={language}")
    card = page.locator("section.card", has_text=job)
    assert card.locator(".points li").count() == 3
    assert card.locator(".points [lang]").count() == 0
    assert english(page, language, {"administrator", "treating-clinic"}) == []
    one = {"sv": "'eventTime' måste finnas här", "es": "aquí falta 'eventTime', que es obligatorio"}
    expect(card).to_contain_text(one[language])
    shoot(page, f"letters-refused-{language}")
    waits = site.call("administrator", "GET", "/api/exchange/letters").json()
    (letter,) = [one for one in waits if one["number"] == job]
    gone = site.call("administrator", "POST", f"/api/exchange/letters/{letter['id']}/drop",
                     json={"reason": "only a test"})  # fmt: skip
    assert gone.status_code == 200
