"""Where in an EPCIS document in XML a finding of the schema lies: its line and element.

XML is judged as the JSON that it became; only a refused document pays for this second look.
"""

from __future__ import annotations

from stafett.exchange import epcis_xml
from stafett.exchange.problem import Finding, Problem


def in_xml(data: bytes, wrong: Problem) -> Problem:
    """Give a refusal of what `read_xml` made of `data` with its places in the XML added."""
    findings = [Finding(f.pointer, f"{f.detail}{_place(data, f.pointer)}") for f in wrong.findings]
    detail = (
        f"{wrong.detail}{_place(data, wrong.findings[0].pointer)}" if findings else wrong.detail
    )
    return Problem(wrong.status, wrong.name, detail, findings)


def _place(data: bytes, pointer: str) -> str:
    parts = pointer.split("/")[1:]
    if "eventList" not in parts:
        return ""
    number, *rest = [*parts[parts.index("eventList") + 1 :], ""]
    if not number.isdigit():
        return ""
    found = epcis_xml.event_place(data, int(number), rest[0].rpartition(":")[2])
    return "" if found is None else f" (<{found[1]}>, line {found[0]} of the XML)"
