"""One journey's dossier, made: what its record says, arranged for a file, an inspector or a court.

Pure: made from the journey's events and its protocol, the same bytes each time. Nothing is judged
here and nothing left out. `package` puts it into a zip with the proof bundle that shows each event
to be in the signed record.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from stafett.exchange.dossier import (
    FORMAT,
    Attached,
    Check,
    Condition,
    Correction,
    Deviation,
    Dossier,
    Handover,
    Held,
    Party,
    Passed,
    Signature,
    Thing,
)
from stafett.journey import deviation
from stafett.journey.state import State, custody
from stafett.protocol.model import Text, text
from stafett.protocol.net import Net

# The first moment that a zip can name: the bytes must not depend on the clock.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class Recorded(Protocol):
    """One event as the record holds it."""

    @property
    def position(self) -> int:
        """Its place in the whole record."""

    @property
    def version(self) -> int:
        """Its place in the journey."""

    @property
    def recorded_at(self) -> datetime:
        """When it was recorded."""

    @property
    def leaf_hash(self) -> str:
        """Its leaf in the tree, in hex."""

    @property
    def passkey_over(self) -> str:
        """SHA-256 of the entry's own bytes, where a person's passkey signed those."""

    @property
    def event(self) -> dict[str, Any]:
        """The journey's event."""


def build(
    net: Net,
    state: State,
    record: Sequence[Recorded],
    *,
    pinned: str,
    pseudonym: str,
    reader: str,
    names: Mapping[str, str],
    conditions: Iterable[Condition] = (),
    language: str = "en",
) -> Dossier:
    """Arrange a journey's record. `names` are organisations' names; `record` must not be empty."""
    events = [(one, one.event) for one in record]
    outcome = ended = None
    for _, e in events:
        if e["type"] == "JourneyEnded":
            outcome, ended = e["outcome"], e["treated"]
    return Dossier(
        format=FORMAT,
        journey=state.journey,
        coi=state.coi,
        patient=pseudonym,
        protocol=state.protocol,
        version=state.version,
        protocol_sha256=pinned,
        title=text(net.protocol.title, language),
        product=state.product,
        reader=reader,
        as_of=record[-1].version,
        as_of_at=record[-1].recorded_at.astimezone(UTC),
        opened_at=state.opened_at,
        ended_at=state.ended_at,
        outcome=text(net.protocol.outcomes[outcome].title, language) if outcome else None,
        treated=ended,
        parties=tuple(
            Party(
                role=role, title=text(net.protocol.roles[role].title, language),
                organisation=organisation, name=names.get(organisation, organisation),
            )
            for role, organisation in state.parties.items()
        ),
        materials=_materials(net, state, language),
        custody=tuple(
            Held(lot=c.lot, role=c.role, organisation=c.organisation, since=c.since, until=c.until)
            for c in custody(state)
        ),
        accountability=tuple(
            Held(lot=None, role=s.role, organisation=s.organisation, since=s.since, until=s.until)
            for s in state.accountability
        ),
        passed=tuple(p for one, e in events if (p := _passed(net, one, e, language)) is not None),
        checks=tuple(
            _check(net, one, e, language) for one, e in events if e["type"] == "CheckAnswered"
        ),
        conditions=tuple(conditions),
        documents=tuple(
            _document(net, one, e, language) for one, e in events if e["type"] == "DocumentAttached"
        ),
        signatures=tuple(s for one, e in events for s in _signatures(one, e)),
        deviations=_deviations(net, state, language),
        corrections=tuple(
            Correction(
                position=one.position, at=_at(e), of=e["position"], field=e["field"],
                old=_plain(e["old"]), new=_plain(e["new"]), reason=e["reason"],
                person=e["by"]["person"],
            )
            for one, e in events
            if e["type"] == "Corrected"
        ),
        events=tuple(e for _, e in events),
        leaves=tuple(one.leaf_hash for one in record),
        handovers=_handovers(events),
    )  # fmt: skip


def _at(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["occurred_at"])


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _part(net: Net, activity: str) -> Any:
    return net.protocol.steps.get(activity) or net.protocol.handoffs.get(activity)


def _title(net: Net, activity: str, language: str) -> str:
    part = _part(net, activity)
    return text(part.title, language) if part is not None else activity


def _materials(net: Net, state: State, language: str) -> tuple[Thing, ...]:
    return tuple(
        Thing(
            lot=lot.lot, title=text(net.protocol.materials[lot.material].title, language),
            made_in=lot.made_in, made_at=lot.made_at, parents=lot.parents,
            identifiers=dict(lot.identifiers), ended=lot.ended, ended_at=lot.ended_at,
        )
        for lot in state.lots.values()
    )  # fmt: skip


_ACTS: Final = {
    "StepFinished": "step",
    "Released": "handoff",
    "Accepted": "handoff",
    "Quarantined": "handoff",
    "Refused": "handoff",
    "Decided": "decision",
    "Stopped": "activity",
    "Interrupted": "interrupt",
}


def _passed(net: Net, one: Recorded, e: Mapping[str, Any], language: str) -> Passed | None:
    field = _ACTS.get(e["type"])
    if field is None:
        return None
    activity = e[field]
    result = e.get("result") or ""
    part = _part(net, activity)
    options: Mapping[str, Any] = getattr(part, "results", {})
    if result in options:
        title: Text = options[result].title
        result = text(title, language)
    if e["type"] == "Accepted" and e["with_deviation"]:
        result = "with deviation"
    return Passed(
        position=one.position, at=_at(e), activity=activity,
        title=_title(net, activity, language), act=e["type"], round=e.get("round", 1),
        result=result, reason=e.get("reason", ""), person=e["by"]["person"],
        organisation=e["by"]["organisation"],
    )  # fmt: skip


def _check(net: Net, one: Recorded, e: Mapping[str, Any], language: str) -> Check:
    part = _part(net, e["activity"])
    side = getattr(part, e["side"], part) if e["side"] != "step" else part
    found = next((c for c in getattr(side, "checks", ()) if c.id == e["check"]), None)
    value = _plain(e["value"])
    if found is not None and value in found.choices:
        value = text(found.choices[value].title, language)
    return Check(
        position=one.position, at=_at(e), activity=e["activity"], side=e["side"],
        round=e["round"], check=e["check"], ask=text(found.ask, language) if found else e["check"],
        value=value, unit=e.get("unit"), result=e["result"], expected=e.get("expected"),
        critical=e.get("critical", False), method=e["method"], person=e["by"]["person"],
        organisation=e["by"]["organisation"],
    )  # fmt: skip


def _document(net: Net, one: Recorded, e: Mapping[str, Any], language: str) -> Attached:
    kind = net.protocol.documents.get(e["document"])
    return Attached(
        position=one.position, at=_at(e), activity=e["activity"], document=e["document"],
        title=text(kind.title, language) if kind else e["document"], sha256=e["sha256"],
        fields=dict(e["fields"]), person=e["by"]["person"],
    )  # fmt: skip


def _signatures(one: Recorded, e: Mapping[str, Any]) -> Iterable[Signature]:
    given = [*(e.get("signatures") or ()), *([e["signature"]] if "signature" in e else [])]
    about = next(
        (e[f] for f in ("step", "handoff", "decision", "activity", "deviation", "offer")
         if f in e), ""
    )  # fmt: skip
    for s in given:
        yield Signature(
            position=one.position, at=datetime.fromisoformat(s["at"]), activity=about,
            act=e["type"], meaning=s["meaning"], person=s["person"], name=s["name"],
            organisation=e["by"]["organisation"], method=s["method"], digest=s["digest"],
            over=one.passkey_over if s["method"] == "passkey" else "",
        )  # fmt: skip


_ANSWERS: Final = {
    "AccountabilityAccepted": "accepted",
    "AccountabilityDeclined": "declined",
    "AccountabilityWithdrawn": "withdrawn",
    "AccountabilityMoved": "overtaken",
    "JourneyEnded": "lapsed",
}


def _handovers(events: Sequence[tuple[Recorded, dict[str, Any]]]) -> tuple[Handover, ...]:
    """Return each offer with its answer; at most one is open at a time."""
    found: list[Handover] = []
    for one, e in events:
        if e["type"] == "AccountabilityOffered":
            found.append(
                Handover(
                    position=one.position, at=_at(e), offer=e["offer"], giver=e["giver"],
                    to=e["to"], organisation=e["organisation"], reason=e["reason"],
                    person=e["by"]["person"], answer="open", answered_at=None, answered_by="",
                    why="", signatures=tuple(_signatures(one, e)),
                )
            )  # fmt: skip
        elif found and found[-1].answer == "open" and e["type"] in _ANSWERS:
            last = found[-1]
            found[-1] = msgspec.structs.replace(
                last, answer=_ANSWERS[e["type"]], answered_at=_at(e),
                answered_by=e["by"]["person"], why=e.get("reason", ""),
                signatures=(*last.signatures, *_signatures(one, e)),
            )  # fmt: skip
    return tuple(found)


def _deviations(net: Net, state: State, language: str) -> tuple[Deviation, ...]:
    found = []
    for d in state.deviations.values():
        title = deviation.entry(net.protocol, d.code).title
        found.append(
            Deviation(
                deviation=d.deviation, code=d.code,
                title=text(title, language), kind=d.kind,
                severity=d.severity, about=d.about, detected=d.detected, originated=d.originated,
                note=d.noted, stage=d.stage, raised_at=d.raised_at, closed_at=d.closed_at,
                conclusion=d.conclusion, cause=d.work.cause, why=d.work.why,
                disposition=d.work.disposition, reason=d.work.reason,
                statements=tuple(
                    f"{s.part}, {s.role} ({s.person}): {s.statement}" for s in d.work.statements
                ),
                actions=tuple(f"{a.what} -> {a.result or 'open'}" for a in d.work.actions),
            )
        )  # fmt: skip
    return tuple(found)


README: Final = """\
This folder is the dossier of one journey, as `stafett` wrote it.

dossier.json   chain of identity, custody, conditions, checks, documents by hash, signatures with
               their meaning, deviations and decisions; `events` is the record itself
dossier.pdf    the same for people (PDF/A-2a)
proof.json     each event with its path to the root that the log signed and witnesses cosigned:
               `stafett journey verify proof.json` checks it, with no database and no network
protocol.yaml  the protocol of the journey, whose SHA-256 its first event pins: by it the events
               make all that dossier.json tells of them (`stafett dossier verify` does it again)
documents/     attached documents, each named by the SHA-256 of its bytes
MANIFEST       the SHA-256 of each file (`sha256sum -c MANIFEST`)
"""


def package(
    dossier: Dossier,
    pdf: bytes,
    proof: bytes | None,
    documents: Mapping[str, bytes],
    protocol: bytes | None = None,
) -> bytes:
    """Return the zip: the same bytes for the same content. `protocol` is the file of the protocol.

    Raises ValueError where a document's bytes do not have the hash that names them.
    """
    for name, data in documents.items():
        if hashlib.sha256(data).hexdigest() != name:
            raise ValueError(f"document {name} has changed in the store: it is not exported")
    here = tuple(msgspec.structs.replace(d, here=d.sha256 in documents) for d in dossier.documents)
    dossier = msgspec.structs.replace(dossier, documents=here)
    files = {
        "README.txt": README.encode(),
        "dossier.json": msgspec.json.format(msgspec.json.encode(dossier), indent=1) + b"\n",
        "dossier.pdf": pdf,
        **({"proof.json": proof} if proof is not None else {}),
        **({"protocol.yaml": protocol} if protocol is not None else {}),
        **{f"documents/{name}": data for name, data in sorted(documents.items())},
    }
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {n}\n" for n, data in files.items())
    files["MANIFEST"] = sums.encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return out.getvalue()
