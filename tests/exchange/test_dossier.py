"""A journey's dossier: complete, the same bytes each time, and honest about what is not known."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pdfa_
from stafett.exchange import dossier_making as dossiers
from stafett.exchange.dossier import Condition, Dossier
from stafett.exchange.dossier_making import package
from stafett.exchange.dossier_pdf import _say_codes, pdf
from stafett.exchange.release import behind, releases
from stafett.journey import command as c
from stafett.journey import specification
from stafett.journey.accountability import receivers
from stafett.journey.command import Signature
from stafett.journey.event import to_json
from stafett.journey.evolve import replay
from stafett.journey.refusal import Refusal
from stafett.journey.script import Fault, Story, play
from stafett.protocol import builtin
from stafett.protocol.net import Net
from stafett.web.dossiers import paper_words

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


@dataclass
class Recorded:
    """One event of the record."""

    position: int
    version: int
    recorded_at: datetime
    leaf_hash: str
    event: dict[str, Any]
    passkey_over: str = ""


def recorded(story: Story) -> list[Recorded]:
    """Give a story as its record."""
    return [
        Recorded(n, n, START + timedelta(seconds=n), hashlib.sha256(b"%d" % n).hexdigest(),
                 to_json(e))
        for n, e in enumerate(story.events, 1)
    ]  # fmt: skip


def made(net: Net, story: Story, *conditions: Condition, language: str = "en") -> Dossier:
    """Make the dossier of a story."""
    assert story.state is not None
    return dossiers.build(
        net, story.state, recorded(story), pinned="ab" * 32, pseudonym="P-TEST2345",
        reader="org-hospital", names={"org-hospital": "Norra <sjukhuset> & \x07 مستشفى"},
        conditions=conditions, language=language,
    )  # fmt: skip


@pytest.fixture(scope="module")
def net() -> Net:
    """Return the built-in CAR-T chain."""
    return Net(builtin.builtin("autologous-car-t").bind("kymriah"))


@pytest.fixture(scope="module")
def walked(net: Net) -> Story:
    """Walk a journey on which a label is wrong once."""
    return play(net, START, faults=(Fault("WRONG_LABEL", "H07"),))


def test_nothing_of_the_record_is_left_out(net: Net, walked: Story) -> None:
    """Each check, signature, document, custody and deviation of the record is in the dossier."""
    found = made(net, walked)
    kinds = [e["type"] for e in found.events]
    assert len(found.events) == len(walked.events) == len(found.leaves)
    assert len(found.checks) == kinds.count("CheckAnswered")
    assert len(found.documents) == kinds.count("DocumentAttached") > 0
    assert len(found.deviations) == kinds.count("DeviationRaised") > 0
    assert len(found.corrections) == kinds.count("Corrected")
    signed = sum(len(e.get("signatures") or ()) + ("signature" in e) for e in found.events)
    assert len(found.signatures) == signed > 10
    assert all(s.meaning and s.digest and s.name for s in found.signatures)
    moved = kinds.count("CustodyMoved") + kinds.count("MaterialCreated")
    assert len(found.custody) == moved
    wrong = [c for c in found.checks if c.result == "fail"]
    assert wrong and all(c.expected for c in wrong)


@pytest.mark.parametrize("language", ["en", "sv"])
def test_the_pdf_is_the_same_bytes_each_time_and_says_what_it_is(
    net: Net, walked: Story, language: str
) -> None:
    """PDF/A-2a, tagged for screen readers, independent of clock and fonts; odd text harms none."""
    unknown = Condition(
        lot="shipper/1", logger=None, since=START, until=None, verdict="unknown", readings=0,
        coldest=None, warmest=None, limits="", findings=("no logger was scanned",),
    )  # fmt: skip
    found = made(net, walked, unknown, language=language)
    first, second = pdf(found, language=language), pdf(found, language=language)
    assert first == second
    assert first.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>2</pdfaid:part>" in first
    assert b"<pdfaid:conformance>A</pdfaid:conformance>" in first
    assert b"<pdfuaid:part>1</pdfuaid:part>" in first
    later = made(net, play(net, START), language=language)
    assert pdf(later, language=language) != first


def test_the_pdf_says_codes_in_words(net: Net, walked: Story) -> None:
    """Verdicts, findings, severities, causes, as the reader says them; unknown codes stay."""
    words = paper_words("sv")
    seen = Condition(
        lot="shipper/1", logger="L1", since=START, until=None, verdict="alarm", readings=9,
        coldest=1.0, warmest=9.0, limits="2 to 8",
        findings=("sustained (alarm)", "no readings", "new-kind (attention)"),
    )  # fmt: skip
    plain = msgspec.to_builtins(made(net, walked, seen, language="sv"))
    _say_codes(plain, words)
    (condition,) = plain["conditions"]
    assert condition["verdict"] == words["code.verdict.alarm"] != "alarm"
    assert condition["findings"][:2] == [
        f"utanför, i sträck ({condition['verdict']})", "inga mätvärden",
    ]  # fmt: skip
    assert condition["findings"][2].startswith("new-kind (")
    assert {c["passed"] for c in plain["checks"]} == {True, False}
    assert not {"pass", "fail"} & {c["result"] for c in plain["checks"]}
    assert not {"minor", "major", "critical"} & {d["severity"] for d in plain["deviations"]}
    assert pdf(made(net, walked, seen, language="sv"), words, "sv").startswith(b"%PDF")


@pytest.fixture(scope="module")
def printed(net: Net, walked: Story) -> bytes:
    """Print a dossier."""
    return pdf(made(net, walked, language="es"), language="es")


def test_the_pdf_keeps_what_the_standards_ask(net: Net, walked: Story, printed: bytes) -> None:
    """Fonts, colours, metadata, tags, order and language, read from the bytes without Typst."""
    odd = "<tag> & ünïcode مستشفى 医院 \u200b" * 3
    found = msgspec.structs.replace(made(net, walked), patient=odd, coi=odd)
    for data in (printed, pdf(found)):
        assert pdfa_.findings(data) == []


@pytest.mark.parametrize(
    ("right", "wrong", "clause"),
    [
        (b"%PDF-1.7", b"%PDF-2.0", "6.1.2"),
        (b"/Type/Catalog", b"/Type /Catalog", "6.1.4"),
        (b"/GTS_PDFA1", b"/GTS_PDFX1", "6.2.3"),
        (b"/ToUnicode ", b"/ToUnicorn ", "6.2.11.7"),
        (b"/FontFile3", b"/FontFilx3", "6.2.11.4"),
        (b"pdfaid:part>2<", b"pdfaid:part>3<", "6.6.4"),
        (b"pdfuaid:part>1<", b"pdfuaid:part>2<", "UA 5"),
        (b"/DisplayDocTitle true", b"/DisplayDocTitle fals", "UA 7.1"),
        (b"/Marked true", b"/Marked fals", "6.7.2"),
        (b"/Lang(es)", b"/Lung(es)", "6.7.4"),
        (b"/S/H1/", b"/S/H4/", "UA 7.4"),
        (b"/S/Table/", b"/S/Tuble/", "6.7.3"),
        (b"/Scope/Column", b"/Scapo/Column", "UA 7.5"),
        (b"/Tabs/S", b"/Tabs/R", "UA 7.18.3"),
        (b"/Outlines", b"/AA/lines", "forbidden"),
    ],
)
def test_a_file_that_breaks_a_clause_is_found(
    printed: bytes, right: bytes, wrong: bytes, clause: str
) -> None:
    """The reader of the test above is no rubber stamp: each mangling is named by its clause."""
    assert right in printed
    assert any(clause in what for what in pdfa_.findings(printed.replace(right, wrong)))


def test_the_package_proves_itself_and_refuses_a_changed_document(net: Net, walked: Story) -> None:
    """Each file's digest is in the manifest; bytes that do not fit their name are not exported."""
    found = made(net, walked)
    data = b"a consent form"
    name = hashlib.sha256(data).hexdigest()
    one = package(found, b"%PDF", b"{}", {name: data})
    assert one == package(found, b"%PDF", b"{}", {name: data})
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        files = {n: archive.read(n) for n in archive.namelist()}
    for line in files["MANIFEST"].decode().splitlines():
        digest, _, entry = line.partition("  ")
        assert hashlib.sha256(files[entry]).hexdigest() == digest
    assert set(files) == {"README.txt", "dossier.json", "dossier.pdf", "proof.json", "MANIFEST",
                          f"documents/{name}"}  # fmt: skip
    assert json.loads(files["dossier.json"])["format"] == "stafett-dossier/1"
    with pytest.raises(ValueError, match="has changed in the store"):
        package(found, b"", None, {name: data + b"!"})


def test_the_release_view_says_what_blocks_before_and_the_evidence_after(
    net: Net, walked: Story
) -> None:
    """At the start all that comes before blocks; at the end the certificate lists its evidence."""
    first = replay(net, walked.events[:3])
    early = Story(net, walked.labels, walked.cast, events=walked.events[:3], state=first)
    (start,) = releases(net, first, made(net, early), START)
    assert start.standing == "waiting" and start.evidence == ()
    assert {p.about for p in start.blocks if p.kind == "activity"} == set(behind(net, "CERTIFY"))
    assert walked.state is not None
    (end,) = releases(net, walked.state, made(net, walked), START)
    assert end.standing == "certified" and end.certified_by and not end.blocks
    own = end.evidence[0]
    assert own.activity == "CERTIFY" and own.signatures[0].meaning == end.meaning
    assert {"coi", "chain", "deviations", "specification"} <= {c.check for c in own.checks}
    assert {"H14", "TEST"} <= {e.activity for e in end.evidence}


def test_a_stop_at_the_certification_blocks_it(net: Net) -> None:
    """A wrong label on the batch record: blocked, with the decision that is awaited."""
    story = play(net, START, faults=(Fault("WRONG_LABEL", "CERTIFY"),))
    stopped = next(i for i, e in enumerate(story.events) if type(e).__name__ == "Stopped")
    state = replay(net, story.events[: stopped + 6])
    part = Story(net, story.labels, story.cast, events=story.events[: stopped + 6], state=state)
    (view,) = releases(net, state, made(net, part), START)
    assert view.standing == "blocked"
    assert {"decision", "deviation"} & {p.kind for p in view.blocks}


def test_the_release_view_says_on_whose_word_a_product_is_supplied(net: Net) -> None:
    """Out of specification: blocked with the deviation's name before, all four parts after."""
    story = play(net, START, faults=(Fault("OOS_RESULT", "TEST"),))
    kinds = [type(e).__name__ for e in story.events]
    before = kinds.index("DeviationDecided")
    state = replay(net, story.events[:before])
    part = Story(net, story.labels, story.cast, events=story.events[:before], state=state)
    (view,) = releases(net, state, made(net, part), START)
    assert view.supplied == () and view.standing != "ready"
    assert story.state is not None
    (end,) = releases(net, story.state, made(net, story), START)
    assert end.standing == "certified"
    (point,) = end.supplied
    assert [said.split(",")[0] for said in point.todo.split("; ")] == [
        "request", "risk-evaluation", "acceptance", "acceptance",
    ]  # fmt: skip


def test_a_supply_out_of_specification_is_in_the_dossier_with_each_signature(net: Net) -> None:
    """Request, evaluation, both acceptances and the decision (0213): who said it and signed it."""
    story = play(net, START, faults=(Fault("OOS_RESULT", "TEST"),))
    found = made(net, story)
    (deviation,) = (d for d in found.deviations if d.disposition == specification.SUPPLY)
    assert deviation.reason and len(deviation.statements) == 4
    stated = [(n, e) for n, e in enumerate(found.events, 1)
              if e["type"] == "OutOfSpecificationStated"]  # fmt: skip
    decided = [n for n, e in enumerate(found.events, 1) if e["type"] == "DeviationDecided"]
    signed = {s.position: s for s in found.signatures}
    assert len(stated) == 4
    for n, event in stated:
        assert signed[n].activity == deviation.deviation
        assert signed[n].person == event["by"]["person"]
        assert any(event["statement"] in said for said in deviation.statements)
    assert signed[decided[-1]].meaning
    assert b"%PDF" in pdf(found)


def test_accountability_that_was_handed_over_is_in_the_dossier_with_both_signatures(
    net: Net,
) -> None:
    """Declined, taken back, taken, then open (0214): who, why, signed by whom; release says it."""
    walked = play(net, START)
    first = walked.events[:3]
    story = Story(net, walked.labels, walked.cast, events=first, state=replay(net, first))
    assert story.state is not None
    owner = story.state.owner.role
    to = receivers(net, story.state)[0]
    when = [story.events[-1].occurred_at]

    def signed(role: str) -> dict[str, Any]:
        by = story.cast.actor(role)
        when[0] += timedelta(minutes=1)
        signature = Signature(
            person=by.person, name=f"Name of {role}", meaning="I hand over or take over",
            at=when[0], method="password", digest="ab" * 32,
        )  # fmt: skip
        return {"occurred_at": when[0], "by": by, "signatures": (signature,)}

    def submit(command: Any) -> None:
        assert not isinstance(said := story.submit(command), Refusal), said

    offer = partial(c.OfferAccountability, reason="the clinic closes")
    submit(offer(**signed(owner), to=to))
    submit(c.AnswerAccountability(**signed(to), accept=False, reason="we close too"))
    submit(offer(**signed(owner), to=to))
    taken_back = signed(owner)
    del taken_back["signatures"]
    submit(c.WithdrawAccountability(**taken_back, reason="it stays open"))
    submit(offer(**signed(owner), to=to))
    submit(c.AnswerAccountability(**signed(to), accept=True, reason=""))
    submit(offer(**signed(to), to=owner))
    found = made(net, story)
    assert [(h.giver, h.to, h.answer, h.why, len(h.signatures)) for h in found.handovers] == [
        (owner, to, "declined", "we close too", 2),
        (owner, to, "withdrawn", "it stays open", 1),
        (owner, to, "accepted", "", 2),
        (to, owner, "open", "", 1),
    ]  # fmt: skip
    taken = found.handovers[2]
    assert [s.name for s in taken.signatures] == [f"Name of {owner}", f"Name of {to}"]
    assert [h.role for h in found.accountability][-2:] == [owner, to]
    for view in releases(net, story.state, found, when[0]):
        assert [p.about for p in view.open if p.kind == "accountability"] == [
            found.handovers[3].offer
        ]
    page = pdf(found)
    assert page != pdf(msgspec.structs.replace(found, handovers=()))
    if where := os.environ.get("STAFETT_SCREENSHOTS"):
        (Path(where) / "handovers.pdf").write_bytes(page)


def test_every_built_in_protocol_has_a_release_view() -> None:
    """The five built-in chains each certify at least once."""
    for name in builtin.names():
        document = builtin.builtin(name)
        net = Net(document.bind(next(iter(document.products), None)))
        story = play(net, START)
        assert story.state is not None
        found = releases(net, story.state, made(net, story), START)
        assert found and all(v.standing == "certified" for v in found), name


def test_the_dossier_template_ships_with_the_package() -> None:
    """The Typst template is where the code looks for it."""
    assert (Path(dossiers.__file__).parent / "dossier.typ").is_file()
