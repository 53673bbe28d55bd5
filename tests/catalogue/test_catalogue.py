"""What every built-in protocol promises."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stafett.journey.script import play
from stafett.protocol.check import prove
from stafett.protocol.model import Handoff
from stafett.protocol.net import NONE, Marking, Move, Net
from stafett.protocol.read import Document

LANGUAGES = {"en", "sv", "es"}
TEXTS = ("title", "summary", "ask", "object", "meaning", "why")
FIGURES = ("at_most", "min", "max", "value")
MOST_CHECKS = 7


def mappings(
    value: Any, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], dict[Any, Any]]]:
    """Yield every mapping in a parsed file with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, part in value.items():
            yield from mappings(part, (*path, key))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from mappings(part, (*path, i))


def test_binds_to_every_product(document: Document) -> None:
    """Each product fills in every parameter, and the result has the types of the language."""
    for product in document.products or (None,):
        assert document.bind(product).protocol == Path(document.file).stem


def test_is_proven(document: Document) -> None:
    """`stafett protocol check` finds no hole in it, for any product."""
    proof = prove(document)
    assert proof.errors == ()
    assert proof.products == document.products


def test_speaks_three_languages(document: Document) -> None:
    """Every text is in English, Swedish and Spanish, unless it is a document's own name."""
    for path, part in mappings(document.value):
        for field in TEXTS if path[:1] != ("sources",) else ():
            text = part.get(field)
            if text is None or (isinstance(text, str) and text.startswith("${")):
                continue
            assert isinstance(text, dict), (path, field, text)
            assert text.keys() == LANGUAGES, (path, field)
            assert all(text.values()), (path, field)


def test_every_figure_is_sourced(document: Document) -> None:
    """Each limit and parameter cites a known source, or says that it is a proposal."""
    sources = document.value.get("sources", {})
    seen = 0
    for path, part in mappings(document.value):
        figures = [part[field] for field in FIGURES if field in part]
        if "tell" in part or any(not str(figure).startswith("${") for figure in figures):
            seen += 1
            assert part.get("source") in sources or part.get("proposal") is True, path
    assert seen > 20


def test_no_source_is_idle(document: Document) -> None:
    """Each source is cited by something, and where it has an address, that is a web address."""
    cited = {part.get("source") for _, part in mappings(document.value)}
    for name, source in document.value.get("sources", {}).items():
        assert name in cited, name
        assert source.get("url", "https://").startswith("https://"), name


def test_every_deviation_can_be_raised(document: Document) -> None:
    """No entry of the deviation catalogue is only decoration."""
    raised = {part.get("deviation") for _, part in mappings(document.value)}
    assert document.value["deviations"].keys() <= raised


def test_sides_are_short(document: Document) -> None:
    """Nobody faces more than seven questions at once (STYLE.md, rule 6)."""
    protocol = document.bind()
    for name, handoff in protocol.handoffs.items():
        assert 0 < len(handoff.release.checks) <= MOST_CHECKS, name
        assert 0 < len(handoff.accept.checks) <= MOST_CHECKS, name
    for name, step in protocol.steps.items():
        assert len(step.checks) <= MOST_CHECKS, name


def good(net: Net, marking: Marking) -> Move | None:
    """Return what happens next when all goes well."""
    for move in net.moves(marking):
        if move.kind in ("start", "release", "accept"):
            return move
        if move.kind == "finish" and move.result == net.results(move.subject)[0]:
            return move
    return None


def test_a_patient_is_treated_when_all_goes_well(document: Document) -> None:
    """The first result of every step, and acceptance on both sides, lead to a treated patient."""
    for product in document.products or (None,):
        net = Net(document.bind(product))
        marking = net.initial()
        while (move := good(net, marking)) is not None:
            assert net.violations(marking, move) == []
            marking = net.fire(marking, move)
        assert marking.outcome != NONE
        assert net.protocol.outcomes[net.outcomes[marking.outcome]].treated


def test_is_carried_out_by_people(document: Document) -> None:
    """A scripted team takes it from the first handoff to its end, with nothing refused."""
    for product in document.products or (None,):
        story = play(Net(document.bind(product)), datetime(2026, 11, 2, 8, tzinfo=UTC))
        assert story.state is not None
        outcome = story.net.outcomes[story.state.marking.outcome]
        assert story.net.protocol.outcomes[outcome].treated
        assert story.refusals == []
        assert story.state.deviations == {}


def test_every_handoff_can_be_quarantined_or_refused(document: Document) -> None:
    """A receiver may always say no; material may be taken into quarantine."""
    for name, handoff in document.bind().handoffs.items():
        if handoff.on_demand:
            continue
        assert isinstance(handoff, Handoff)
        assert handoff.on_refuse is not None, name
        assert handoff.on_quarantine is not None or not handoff.carries, name


def test_the_page_is_current() -> None:
    """docs/reference/built-in-protocols.md is what scripts/catalogue_page.py writes."""
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location("page", root / "scripts" / "catalogue_page.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = root / "docs" / "reference" / "built-in-protocols.md"
    assert page.read_text("utf-8") == script.page()


def test_who_opens_a_shipper_with_a_logger_says_what_it_was_exposed_to(document: Document) -> None:
    """Without the logger's number, a warmest temperature and its report nobody opens it: an unknown
    answer blocks there, so that the watch raises nothing more for a logger that nobody knows."""
    protocol = document.bind()
    for name, step in protocol.steps.items():
        boxes = [protocol.materials[m] for m in step.consumes if step.kind == "unpack"]
        for box in (b for b in boxes if "logger" in b.identifiers):
            asked = {(c.kind, c.deviation) for c in step.checks}
            assert ("scan", "LOGGER_MISSING") in asked, name
            assert ("quantity", "TEMP_EXCURSION") in asked, name
            assert "temperature_report" in step.documents, name
            silent = [one.deviation for one in box.conditions if one.of == "silence"]
            assert silent == ["LOGGER_MISSING"], name
