"""The table from Stafett's own record: journey events as plain JSON objects.

Only the JSON is read (the words of `stafett.journey.event`), so that a record of thirty years ago,
exported anywhere, still reads. Two shapes are taken: a journey event with the name of its journey
beside it, and a ledger entry, whose ``body`` holds the event and whose ``stream`` the journey.

A group is written ``organisation / role``. A handoff runs from the release until the receiver
accepted, quarantined or refused it; it *starts* with the first thing the receiver recorded. A
step's wait since the journey's previous row is its queue. Deviations go to the row at which they
were detected, with the place of origin that the assessment named. A silence (nothing happened for
too long) is a deviation of the row that is open then, in timing, until anything else is found
there; it makes no row other than right first time, and says nothing of where a failure began until
a person has named its cause: the record's own word is whose turn it was, and not why.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from stafett.eventlog.derive import AS_IT_IS, Reading
from stafett.eventlog.problems import LogUnreadableError, Problem
from stafett.eventlog.table import JUDGEMENTS, STAMP, EventLog, validated

CLOSING = {"Accepted": "ok", "Quarantined": "quarantined", "Refused": "refused"}
SILENCE = "SILENCE"
FAILED_RESULTS = ("fail", "oos", "out_of_spec", "out-of-spec", "reject", "lost")


@dataclass
class _Row:
    """One step or handoff while its journey is read."""

    activity: str
    kind: str
    giver: str
    receiver: str | None
    enqueue: datetime
    start: datetime | None
    line: int
    round: int
    person: str | None
    end: datetime | None = None
    outcome: str | None = None
    deviation: str | None = None
    detected_at: str | None = None
    origin: str | None = None
    result: str | None = None
    severity: str | None = None
    viability: str | None = None
    material: str | None = None
    silent: bool = False  # no more is known of it than that nothing happened for a while


@dataclass
class _Journey:
    """What is known of one journey so far."""

    rows: list[_Row] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    deviations: dict[str, _Row] = field(default_factory=dict)
    judgements: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    reached: datetime | None = None
    material: str | None = None

    def open_row(self, kind: str, activity: str, round_: int) -> _Row | None:
        """Return the row of this activity and round that has not ended."""
        for row in reversed(self.rows):
            if (row.kind, row.activity, row.round, row.end) == (kind, activity, round_, None):
                return row
        return None


class _BadEntry(ValueError):
    """An entry that does not fit; the message says why."""


def log_from_journeys(
    entries: Iterable[tuple[int, Mapping[str, Any]]], *, source: str = "", skip_bad: bool = False
) -> EventLog:
    """Build the table from numbered entries, in the order in which they were recorded.

    Raises:
        LogUnreadableError: entries that do not fit (unless skipped), or no journey at all.
    """
    journeys: dict[str, _Journey] = {}
    problems: list[Problem] = []
    for line, entry in entries:
        try:
            name, event = _unwrapped(entry)
            _take(journeys.setdefault(name, _Journey()), event, line)
        except _BadEntry as error:
            problems.append(Problem(str(error), line))
    if problems and not skip_bad:
        raise LogUnreadableError(problems, "Mend them, or leave them out with --skip-bad.")
    journeys = {name: journey for name, journey in journeys.items() if journey.rows}
    if not journeys:
        raise LogUnreadableError(problems or "no journey has a step or a handoff")
    frame, invalid = validated(_frame(journeys), skip_bad=skip_bad)
    left_out = (*problems, *invalid)
    notes = []
    if left_out:
        notes.append(f"{len(left_out):,} entries left out; the first: {left_out[0]}.")
    return EventLog(frame, source, "UTC", tuple(notes), left_out, _judgements(journeys))


def _judgements(journeys: Mapping[str, _Journey]) -> pl.DataFrame:
    rows = [
        (name, activity, check, f"{name} {unit}", judge, answer, journey.about.get("case:version"))
        for name, journey in journeys.items()
        for activity, check, unit, judge, answer in journey.judgements
    ]
    return pl.DataFrame(rows, schema=JUDGEMENTS, orient="row")


def read_journeys(path: Path, *, reading: Reading = AS_IT_IS) -> EventLog:
    """Read a record as JSON lines: one entry a line (a leading index, as in archives, is allowed).

    Raises:
        LogUnreadableError: lines that are no JSON objects, or entries that do not fit.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise LogUnreadableError(f"the file cannot be read: {error}") from error
    entries: list[tuple[int, Mapping[str, Any]]] = []
    problems = []
    for line, text in enumerate(data.splitlines(), start=1):
        body = text.strip()
        if body[:1].isdigit():
            body = body.partition(b" ")[2]
        if not body:
            continue
        try:
            entries.append((line, msgspec.json.decode(body, type=dict[str, Any])))
        except msgspec.DecodeError as error:
            problems.append(Problem(f"it is no JSON object: {error}", line))
    if problems and not reading.skip_bad:
        raise LogUnreadableError(problems, "Mend them, or leave them out with --skip-bad.")
    log = log_from_journeys(entries, source=path.name, skip_bad=reading.skip_bad)
    if problems:
        log = replace(log, skipped=(*problems, *log.skipped))
        log = log.with_notes([f"{len(problems):,} lines were no JSON objects and were left out."])
    return log


def _unwrapped(entry: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the journey's name and the event of a bare event or a ledger entry."""
    body = entry.get("body")
    event = entry
    if isinstance(body, Mapping):
        inner = body.get("event", body)
        event = inner if isinstance(inner, Mapping) else body
    name = entry.get("stream") or entry.get("journey") or event.get("journey")
    if not isinstance(name, str):
        raise _BadEntry("it names no journey (stream or journey)")
    if not isinstance(event.get("type"), str):
        raise _BadEntry("it has no type of event")
    return name, event


def _time(event: Mapping[str, Any]) -> datetime:
    text = event.get("occurred_at")
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise _BadEntry(f"its occurred_at cannot be read: {text!r}") from error
    if at.tzinfo is None:
        raise _BadEntry(f"its occurred_at names no time zone: {text!r}")
    return at.astimezone(UTC)


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str):
        raise _BadEntry(f"a {event['type']} without {name}")
    return value


def _group(event: Mapping[str, Any]) -> tuple[str, str | None]:
    by = event.get("by")
    if not isinstance(by, Mapping) or not isinstance(by.get("organisation"), str):
        raise _BadEntry(f"a {event['type']} that does not say who did it (by)")
    role = by.get("role")
    name = f"{by['organisation']} / {role}" if isinstance(role, str) else str(by["organisation"])
    person = by.get("person")
    return name, person if isinstance(person, str) else None


def _take(journey: _Journey, event: Mapping[str, Any], line: int) -> None:
    """Take in one event; kinds that say nothing about steps and handoffs are passed over."""
    kind, number = event["type"], int(event.get("round") or 1)
    _understand(journey, event, line, kind, number)
    if journey.rows and journey.rows[-1].material is None:
        journey.rows[-1].material = journey.material


def _understand(
    journey: _Journey, event: Mapping[str, Any], line: int, kind: str, number: int
) -> None:
    match kind:
        case "JourneyOpened":
            for name in ("protocol", "version", "product"):
                if isinstance(event.get(name), str):
                    journey.about[f"case:{name}"] = event[name]
        case "StepStarted":
            at, (group, person) = _time(event), _group(event)
            ready = min(journey.reached or at, at)
            step = _text(event, "step")
            journey.rows.append(_Row(step, "step", group, group, ready, at, line, number, person))
        case "StepFinished":
            _finish_step(journey, event, number)
        case "Released":
            at, (group, person) = _time(event), _group(event)
            handoff = _text(event, "handoff")
            journey.rows.append(
                _Row(handoff, "handoff", group, None, at, None, line, number, person)
            )
        case "Accepted" | "Quarantined" | "Refused":
            _close_handoff(journey, event, kind, number)
        case "CheckAnswered" | "IdentifierBound" | "DocumentAttached":
            _judge(journey, event, number)
            _measure(journey, event, number)
            if event.get("side") == "accept":
                row = journey.open_row("handoff", _text(event, "activity"), number)
                if row is not None and row.start is None:
                    row.start = _time(event)
        case "MaterialCreated":
            # What is made from nothing else is starting material; until there is one, all that
            # was done was done for the first.
            if not event.get("parents"):
                journey.material, before = _text(event, "lot"), journey.material
                for row in journey.rows if before is None else journey.rows[-1:]:
                    row.material = journey.material
        case "DeviationRaised":
            _deviate(journey, event)
        case "DeviationTriaged":
            deviating = journey.deviations.get(_text(event, "deviation"))
            if deviating is not None and isinstance(event.get("severity"), str):
                deviating.severity = event["severity"]
        case "DeviationClosed" | "CauseNamed":
            deviating = journey.deviations.get(_text(event, "deviation"))
            if deviating is not None and isinstance(event.get("originated"), str):
                deviating.origin = event["originated"]
                deviating.detected_at = deviating.detected_at or deviating.activity
        case "JourneyEnded":
            treated = event.get("treated") is True
            journey.about["case:outcome"] = _text(event, "outcome")
            for row in journey.rows:
                if row.end is None and not treated:
                    row.end, row.outcome = _time(event), "withdrawn"


def _judge(journey: _Journey, event: Mapping[str, Any], number: int) -> None:
    """Keep what a person judged; a scan is matched by the program and is no judgement."""
    answer, check = event.get("result"), event.get("check")
    if event["type"] != "CheckAnswered" or event.get("method") == "scan":
        return
    if isinstance(answer, str) and isinstance(check, str):
        activity = _text(event, "activity")
        unit = f"{activity} {number} {check} {event.get('about') or ''}"
        journey.judgements.append((activity, check, unit, _group(event)[0], answer))


def _measure(journey: _Journey, event: Mapping[str, Any], number: int) -> None:
    """Keep a measured viability with the piece of work at which it was measured."""
    if "viability" not in str(event.get("check")).lower():
        return
    activity, value = event.get("activity"), event.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return
    for kind in ("step", "handoff"):
        row = journey.open_row(kind, str(activity), number)
        if row is not None:
            row.viability = str(value)
            return


def _finish_step(journey: _Journey, event: Mapping[str, Any], number: int) -> None:
    at, step = _time(event), _text(event, "step")
    row = journey.open_row("step", step, number)
    if row is None:
        # A step of one moment is finished without having been started.
        group, person = _group(event)
        row = _Row(step, "step", group, group, at, at, 0, number, person)
        journey.rows.append(row)
    if row.start is not None and at < row.start:
        raise _BadEntry(f"{step} is finished before it was started")
    result = str(event.get("result") or "")
    failed = any(word in result.lower() for word in FAILED_RESULTS)
    deviating = bool(event.get("deviations")) or (row.deviation is not None and not row.silent)
    row.end, row.result = at, result
    row.outcome = "failed" if failed else "deviation" if deviating else "ok"
    journey.reached = max(journey.reached or at, at)


def _close_handoff(journey: _Journey, event: Mapping[str, Any], kind: str, number: int) -> None:
    at, handoff = _time(event), _text(event, "handoff")
    row = journey.open_row("handoff", handoff, number)
    if row is None:
        raise _BadEntry(f"{handoff} is {kind.lower()}, but it was not released")
    if at < row.enqueue:
        raise _BadEntry(f"{handoff} is {kind.lower()} before it was released")
    row.receiver, row.person = _group(event)
    row.start = min(row.start or at, at)
    row.end = at
    deviating = event.get("with_deviation") is True or bool(event.get("deviations"))
    row.outcome = "deviation" if kind == "Accepted" and deviating else CLOSING[kind]
    journey.reached = max(journey.reached or at, at)


def _deviate(journey: _Journey, event: Mapping[str, Any]) -> None:
    places = [event.get("detected"), event.get("about")]
    for place in places:
        row = next((r for r in reversed(journey.rows) if r.activity == place), None)
        if row is not None:
            silent = event.get("code") == SILENCE
            if silent and (row.end is not None or row.deviation is not None):
                return  # it is about what is still to begin, or tells less than what is known
            if row.silent:
                # Whatever else is found there is what it was about, and says where it began.
                row.deviation = row.origin = row.severity = None
                journey.deviations = {k: r for k, r in journey.deviations.items() if r is not row}
            row.silent = silent
            row.deviation = row.deviation or _text(event, "kind")
            if isinstance(event.get("severity"), str):
                row.severity = row.severity or event["severity"]
            if not silent:
                row.detected_at = row.detected_at or row.activity
            if not silent and isinstance(event.get("originated"), str):
                row.origin = event["originated"]
            journey.deviations[_text(event, "deviation")] = row
            return


def _frame(journeys: Mapping[str, _Journey]) -> pl.DataFrame:
    """Lay the rows out, each journey in order of time."""
    extra = sorted({name for journey in journeys.values() for name in journey.about})
    columns = [
        "case", "activity", "kind", "giver", "receiver", "enqueue", "start", "end", "outcome",
        "deviation", "detected_at", "origin", "row", "person", "result",
        "severity", "viability", "material",
    ]  # fmt: skip
    data: dict[str, list[Any]] = {name: [] for name in [*columns, *extra]}
    for name, journey in journeys.items():
        for row in sorted(journey.rows, key=lambda r: (r.start or r.enqueue, r.enqueue)):
            values = (
                name, row.activity, row.kind, row.giver, row.receiver, row.enqueue,
                row.start or row.enqueue, row.end, row.outcome or "open", row.deviation,
                row.detected_at, row.origin, row.line, row.person, row.result,
                row.severity, row.viability, row.material and f"{name} {row.material}",
            )  # fmt: skip
            for column, value in zip(columns, values, strict=True):
                data[column].append(value)
            for column in extra:
                data[column].append(journey.about.get(column))
    times = {"enqueue", "start", "end"}
    schema: dict[str, Any] = {
        name: STAMP if name in times else pl.Int64 if name == "row" else pl.String for name in data
    }
    return pl.DataFrame(data, schema=schema)
