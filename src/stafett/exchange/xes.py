"""Event logs out in XES (IEEE 1849-2016), one trace after the other, as a stream."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from stafett.exchange.ocel import stamp, type_of
from stafett.exchange.ocel import xml_attribute as _q

_TAGS: Final = {"string": "string", "integer": "int", "float": "float", "boolean": "boolean",
                "time": "date"}  # fmt: skip
_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849-2016" xes.features="" xmlns="http://www.xes-standard.org/">
<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
<extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
<global scope="trace"><string key="concept:name" value=""/></global>
<global scope="event"><string key="concept:name" value=""/>
<date key="time:timestamp" value="1970-01-01T00:00:00Z"/></global>
<classifier name="Activity" keys="concept:name"/>
"""
Trace = tuple[str, Iterable[Mapping[str, Any]]]


def write_xes(path: Path, traces: Iterable[Trace]) -> tuple[int, int]:
    """Write traces of (case, events); events map keys to values, None being left out.

    A name that ends in `.gz` is compressed. Gives how many traces and events were written. The
    file appears when it is complete. Each event needs `concept:name` and `time:timestamp`.
    """
    partial = path.with_name(path.name + ".partial")
    cases = count = 0
    try:
        with _open(partial, path.suffix == ".gz") as out:
            out.write(_HEAD)
            for case, events in traces:
                cases += 1
                out.write(f"<trace>{_attribute('concept:name', case)}\n")
                for event in events:
                    for needed in ("concept:name", "time:timestamp"):
                        if event.get(needed) is None:
                            raise ValueError(f"an event of case {case!r} has no {needed}")
                    count += 1
                    inner = "".join(_attribute(k, v) for k, v in event.items() if v is not None)
                    out.write(f"<event>{inner}</event>\n")
                out.write("</trace>\n")
            out.write("</log>\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return cases, count


def _open(path: Path, compressed: bool) -> IO[str]:
    if compressed:
        return gzip.open(path, "wt", encoding="utf-8")
    return path.open("w", encoding="utf-8")


def _attribute(key: str, value: Any) -> str:
    text = stamp(value) if isinstance(value, datetime) else value
    if isinstance(value, bool):
        text = "true" if value else "false"
    return f"<{_TAGS[type_of(value)]} key={_q(key)} value={_q(str(text))}/>"
