"""Object-centric event logs, OCEL 2.0 (ocel-standard.org, specification 2.0 of 2023).

An object-centric event touches several objects; the table needs one case. The caller says which
object type is the case and which names the group; otherwise they are guessed and the guess is
said. An event that touches two objects of the case's type counts for both, and that is said too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import polars as pl

from stafett.eventlog import ocel_sqlite, ocel_xml
from stafett.eventlog.columns import ALIASES, guess_columns, plain
from stafett.eventlog.derive import AS_IT_IS, Reading, log_from_events
from stafett.eventlog.ocel_model import Event, Log, check, unpacked
from stafett.eventlog.problems import LogUnreadableError, Problem
from stafett.eventlog.table import EventLog
from stafett.protocol import fit

GROUP_TYPES = (*ALIASES["group"], "site", "organizationalunit", "location", "resource")
# Who does something is touched by each event too, and is no case where there is anything else.
NO_CASE = {*GROUP_TYPES, *ALIASES["resource"], "role", "employees", "system", "machine"}


def read_ocel(
    path: Path,
    *,
    form: str = "json",
    case_type: str | None = None,
    group_type: str | None = None,
    reading: Reading = AS_IT_IS,
) -> EventLog:
    """Read an OCEL 2.0 log (json, xml, sqlite), flattened to the objects of `case_type`.

    Rows in messages are positions in ``events``, from 1.

    Raises:
        LogUnreadableError: not of that form, not OCEL 2.0, an unknown object type,
            or broken events.
    """
    log = check(_parsed(path, form))
    type_of = {thing.id: thing.type for thing in log.objects}
    touched = _touched(log, type_of, reading)
    events, skipped = touched
    if not events:
        raise LogUnreadableError(skipped or "the log has no events")
    notes: list[str] = []
    case_type = case_type or _case_type(log, type_of, notes)
    group_type = group_type or _group_type(type_of, case_type, notes)
    for name in filter(None, (case_type, group_type)):
        if name not in set(type_of.values()):
            known = ", ".join(sorted(set(type_of.values())))
            raise LogUnreadableError(f"the log has no objects of type {name!r}; it has {known}")
    frame = _flat(events, type_of, case_type, group_type, notes)
    if frame.is_empty():
        raise LogUnreadableError(f"no event touches an object of type {case_type!r}")
    roles = guess_columns([c for c in frame.columns if c != "row"])
    return log_from_events(
        frame, roles, reading, source=path.name, skipped=tuple(skipped), notes=tuple(notes)
    )


def _parsed(path: Path, form: str) -> Log:
    if form == "sqlite":
        return ocel_sqlite.read(path)
    data = unpacked(path)
    if form == "xml":
        return ocel_xml.read(data)
    try:
        return msgspec.json.decode(data, type=Log)
    except msgspec.ValidationError as error:
        raise LogUnreadableError(
            f"the document is not OCEL 2.0 JSON: {fit.plain(error)}"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LogUnreadableError(f"the file cannot be read as JSON: {error}") from error


def _touched(
    log: Log, type_of: dict[str, str], reading: Reading
) -> tuple[list[tuple[int, Event]], list[Problem]]:
    """Keep the events whose objects all exist."""
    kept, problems = [], []
    for row, event in enumerate(log.events, start=1):
        absent = [r.objectId for r in event.relationships if r.objectId not in type_of]
        if absent:
            problems.append(
                Problem(
                    f"event {event.id!r} touches {absent[0]!r}, which is no object of the log", row
                )
            )
        else:
            kept.append((row, event))
    if problems and not reading.skip_bad:
        raise LogUnreadableError(problems, "Mend them, or leave them out with --skip-bad.")
    return kept, problems


def _case_type(log: Log, type_of: dict[str, str], notes: list[str]) -> str:
    """Guess the case: the type of which most events touch exactly one, and that is not who acts.

    Among equals one that is called a case, then the commoner.
    """
    single: Counter[str] = Counter()
    for event in log.events:
        kinds = Counter(type_of[r.objectId] for r in event.relationships if r.objectId in type_of)
        single.update(kind for kind, count in kinds.items() if count == 1)
    objects = Counter(type_of.values())
    if not single:
        raise LogUnreadableError("no event touches any object, so there are no cases")
    order = list(objects)
    case_type = max(
        single,
        key=lambda kind: (
            plain(kind) not in NO_CASE, single[kind], plain(kind) in ALIASES["case"],
            objects[kind], -order.index(kind),
        ),
    )  # fmt: skip
    notes.append(
        f"A case is an object of type {case_type!r} (guessed; of {', '.join(sorted(objects))}). "
        "State another with --case-type."
    )
    return case_type


def _group_type(type_of: dict[str, str], case_type: str, notes: list[str]) -> str | None:
    for kind in dict.fromkeys(type_of.values()):
        if plain(kind) in GROUP_TYPES and kind != case_type:
            notes.append(
                f"A group is an object of type {kind!r} (guessed). State another with --group-type."
            )
            return kind
    return None


def _flat(
    events: list[tuple[int, Event]],
    type_of: dict[str, str],
    case_type: str,
    group_type: str | None,
    notes: list[str],
) -> pl.DataFrame:
    columns: dict[str, list[str | None]] = defaultdict(list)
    rows: list[int] = []
    several = groups = 0
    for row, event in events:
        cases = [r.objectId for r in event.relationships if type_of[r.objectId] == case_type]
        owners = [r.objectId for r in event.relationships if type_of[r.objectId] == group_type]
        several += len(cases) > 1
        groups += len(owners) > 1
        for case in cases:
            values: dict[str, str | None] = {
                "case": case,
                "activity": event.type,
                "timestamp": event.time,
            }
            if group_type is not None:
                values["group"] = owners[0] if owners else None
            for attribute in event.attributes:
                name = attribute.name
                name = (
                    f"{name} (source)"
                    if name in ("case", "activity", "timestamp", "group", "row")
                    else name
                )
                values[name] = None if attribute.value is None else str(attribute.value)
            for name, value in values.items():
                column = columns[name]
                column.extend([None] * (len(rows) - len(column)))
                column.append(value)
            rows.append(row)
    if several:
        notes.append(f"{several:,} events touch more than one {case_type!r} and count for each.")
    if groups:
        notes.append(f"{groups:,} events touch more than one {group_type!r}; the first was taken.")
    data = {name: values + [None] * (len(rows) - len(values)) for name, values in columns.items()}
    frame = pl.DataFrame(data, schema=dict.fromkeys(data, pl.String))
    return frame.with_columns(pl.Series("row", rows, dtype=pl.Int64))
