"""A laboratory's codes in the protocol's terms: the file that a hospital edits, and its use.

    stafett_hl7: 1
    organisation: university-hospital   # whose captures the results become
    senders: ["LAB|NORRA"]              # MSH-3|MSH-4; a message of any other is refused
    protocol: autologous-car-t          # the terms of `means` are its checks and document fields
    zone: Europe/Stockholm              # of times that say none
    about:                              # what names the thing; the first that is there counts
      - {field: SPM-2, as: din}
      - {field: OBR-2, as: coi}
    tests:
      VIAB: {means: viability, units: {"%": "%"}}
      STER: {means: sterility, words: {NEG: none, PEND: pending}}
    verdicts: {N: conformant, A: non_conformant}   # OBX-8, optional
    ignore: [COMMENT]                   # codes that are left out on purpose

A code, unit, word or flag that the file does not know refuses the whole message: what is not
understood is never guessed. The patient's own numbers (PID) cannot be used: they stay in the
hospital's vault, and a result finds its journey by specimen or order.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, Literal

import msgspec

from stafett.exchange import cbv, hl7, tables
from stafett.exchange.epcis import CONTEXT_URI, Json
from stafett.exchange.problem import Finding
from stafett.protocol import builtin
from stafett.protocol.model import Check, Protocol
from stafett.protocol.read import Document, ReadError, parse
from stafett.protocol.units import same

NAMESPACE: Final = "urn:stafett:laboratory:"
CONTEXT: Final = [CONTEXT_URI, {"laboratory": NAMESPACE}]
FIELDS: Final = ("SPM-2", "SPM-2.1", "SPM-2.2", "SPM-3", "OBR-2", "OBR-3", "ORC-2", "ORC-3",
                 "ORC-4")  # fmt: skip
_IDS: Final = uuid.UUID("6f0f1c1e-6b6f-5a59-9d6c-7a2d6b1f9d10")
# OBX-11, HL7 table 0085: what is final, or takes the place of what was; the rest is not there yet.
FINAL: Final = ("F", "C")
NOT_YET: Final = ("I", "O", "P", "R", "S", "X", "N", "B", "V")


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which field names the thing, and what kind of identifier it is."""

    field: str
    as_: Literal["sscc", "giai", "uri", "coi", "din", "text"] = msgspec.field(name="as")


class Test(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a code means: a quantity whose units are translated, or a choice whose words are."""

    means: str
    units: dict[str, str] = {}
    words: dict[str, str] = {}


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping file, read and checked."""

    stafett_hl7: Literal[1]
    organisation: str
    senders: list[str]
    about: list[About]
    tests: dict[str, Test]
    protocol: str | None = None
    zone: str | None = None
    verdicts: dict[str, str] = {}
    ignore: list[str] = []


Read = tuple[Mapping | None, list[ReadError]]


def read_mapping(data: bytes | str, file: str = "<mapping>") -> Read:
    """Read a mapping: it and nothing else, or None and all that is wrong, each with its line."""
    try:
        document = parse(data, file)
        mapping = document.convert(document.value, Mapping)
    except ReadError as error:
        return None, [error]
    wrong = [*_judged(document, mapping)]
    return (None, sorted(wrong, key=lambda e: e.place)) if wrong else (mapping, [])


def _judged(document: Document, mapping: Mapping) -> Iterator[ReadError]:
    def at(what: str, todo: str, *path: str | int) -> ReadError:
        return ReadError(document.place(*path), what, todo)

    for name in ("senders", "about", "tests"):
        if not getattr(mapping, name):
            yield at(f"{name} is empty", "name at least one", name)
    if not mapping.organisation.strip():
        yield at("organisation is empty", "say whose captures the results become", "organisation")
    for i, sender in enumerate(mapping.senders):
        if sender.count("|") != 1 or not sender.strip("|"):
            yield at(f"{sender!r} is no sender", "write MSH-3|MSH-4, as LAB|NORRA", "senders", i)
    for i, about in enumerate(mapping.about):
        if about.field.startswith("PID"):
            todo = "a patient's own number stays in the vault: use specimen or order"
            yield at(f"{about.field} may not be used", todo, "about", i, "field")
        elif about.field not in FIELDS:
            yield at(f"{about.field} is not known", f"one of {', '.join(FIELDS)}",
                     "about", i, "field")  # fmt: skip
    if mapping.zone is not None:
        try:
            tables.zone(mapping.zone)
        except ValueError:
            yield at(f"{mapping.zone!r} is no zone", "one of the IANA database", "zone")
    for flag, word in mapping.verdicts.items():
        if word not in cbv.DISPOSITIONS and ":" not in word:
            yield at(f"{word!r} is no disposition of CBV 2.0", "conformant, non_conformant, ...",
                     "verdicts", flag)  # fmt: skip
    for code in mapping.ignore:
        if code in mapping.tests:
            yield at(f"{code} is both translated and left out", "decide which", "ignore")
    if mapping.protocol is not None:
        try:
            protocol = _protocol(mapping.protocol)
        except ReadError as error:
            yield at(f"{mapping.protocol!r} is no protocol: {error.what}", error.todo, "protocol")
            return
        yield from _terms(document, mapping, protocol)


def _protocol(name: str) -> Protocol:
    return _builtin(name) if name in builtin.names() else builtin.load(name).bind()


@cache
def _builtin(name: str) -> Protocol:
    return builtin.builtin(name).bind()


def _terms(document: Document, mapping: Mapping, protocol: Protocol) -> Iterator[ReadError]:
    """Hold each test against the protocol: its term, the term's unit, the term's choices."""
    checks = _checks(protocol)
    fields = {f for d in protocol.documents.values() for f in d.fields}
    for code, test in mapping.tests.items():
        known = checks.get(test.means, [])
        where = document.place("tests", code, "means")
        if not known and test.means not in fields:
            near = [n for n in (*checks, *fields) if n[:3] == test.means[:3]][:5]
            hint = f"near are {', '.join(sorted(set(near)))}" if near else "see its checks"
            yield ReadError(where, f"{protocol.protocol} knows no {test.means!r}", hint)
            continue
        units = {c.unit for c in known if c.kind == "quantity"} - {None}
        for own, unit in test.units.items():
            if units and not any(same(unit, one) for one in units):
                yield ReadError(
                    document.place("tests", code, "units", own),
                    f"{test.means} is measured in {', '.join(sorted(map(str, units)))},"
                    f" not in {unit!r}", "values are not converted: have the laboratory report so",
                )  # fmt: skip
        choices = {c for check in known if check.kind == "choice" for c in check.choices}
        for own, word in test.words.items():
            if choices and word not in choices:
                place = document.place("tests", code, "words", own)
                known_ = ", ".join(sorted(choices))
                yield ReadError(place, f"{word!r} is no answer of {test.means}", f"one of {known_}")


def _checks(protocol: Protocol) -> dict[str, list[Check]]:
    out: dict[str, list[Check]] = {}
    for step in protocol.steps.values():
        for check in step.checks:
            out.setdefault(check.id, []).append(check)
    for handoff in protocol.handoffs.values():
        for side in (handoff.release, handoff.accept):
            for check in side.checks:
                out.setdefault(check.id, []).append(check)
    return out


def events(message: hl7.Message, mapping: Mapping) -> tuple[list[Json], int]:
    """Translate a message into EPCIS events, one for each final result; raise Unread for the whole.

    Returned beside them is how many results are not final yet and were left out. A message sent
    again gives the same events under the same eventIDs.
    """
    if message.sender not in mapping.senders:
        raise hl7.Unread(207, f"{message.sender} is not among the senders of this mapping",
                         (Finding("MSH-3", message.sender),))  # fmt: skip
    if message.processing != "P":
        what = f"processing {message.processing!r} is not taken; only P (production)"
        raise hl7.Unread(202, what, (Finding("MSH-11", message.processing),))
    wrong: list[Finding] = []
    out: list[Json] = []
    waiting = 0
    for order in message.orders:
        for seen in order.observations:
            if seen.code in mapping.ignore:
                continue
            try:
                event = _event(message, order, seen, mapping)
            except _Odd as odd:
                wrong.append(Finding(f"{seen.place}-{odd.field}", str(odd)))
            else:
                out += [event] if event else []
                waiting += event is None
    if wrong:
        what = f"{len(wrong)} result(s) are not understood; nothing of the message was taken"
        raise hl7.Unread(103, what, tuple(wrong))
    return out, waiting


class _Odd(ValueError):
    def __init__(self, field: int, what: str) -> None:
        super().__init__(what)
        self.field = field


def _event(
    message: hl7.Message, order: hl7.Order, seen: hl7.Observation, mapping: Mapping
) -> Json | None:
    if seen.status in NOT_YET:
        return None
    if seen.status not in FINAL:
        what = {"D": "deletes", "W": "takes back"}.get(seen.status)
        if what is None:
            raise _Odd(11, f"status {seen.status!r} is not known")
        raise _Odd(11, f"status {seen.status} {what} an earlier result: somebody must decide")
    test = mapping.tests.get(f"{seen.code}^{seen.system}") or mapping.tests.get(seen.code)
    if test is None:
        raise _Odd(3, f"the code {seen.code} ({seen.text[:40]}) is not in the mapping")
    about = next((a for a in mapping.about if a.field in order.numbers), None)
    if about is None:
        fields = ", ".join(a.field for a in mapping.about)
        raise _Odd(3, f"nothing says what it is about: none of {fields} is there")
    try:
        thing = tables.identifier(order.numbers[about.field], about.as_, about.field)
    except ValueError as wrong:
        raise _Odd(3, str(wrong)) from None
    at = _moment(seen, mapping)
    report = {"type": "Dimensionless", **_value(seen, test), "time": at.isoformat(),
              "laboratory:term": test.means, "laboratory:code": seen.code}  # fmt: skip
    report |= {f"laboratory:{k}": v for k, v in (("range", seen.range), ("sub", seen.sub)) if v}
    key = f"{message.sender}|{message.control}|{seen.place}"
    out: Json = {
        "type": "ObjectEvent", "action": "OBSERVE", "epcList": [thing],
        "eventID": f"urn:uuid:{uuid.uuid5(_IDS, key)}", "eventTime": at.isoformat(),
        "eventTimeZoneOffset": at.isoformat()[-6:], "bizStep": "inspecting",
        "sensorElementList": [{"sensorReport": [report]}],
        "laboratory:message": message.control, "laboratory:sender": message.sender,
    }  # fmt: skip
    if seen.status == "C":
        out["laboratory:corrects"] = "an earlier result"
    if mapping.verdicts and seen.flags:
        unknown = [f for f in seen.flags if f not in mapping.verdicts]
        if unknown:
            raise _Odd(8, f"the flag {unknown[0]!r} is not in the mapping")
        words = {mapping.verdicts[f] for f in seen.flags}
        if len(words) > 1:
            raise _Odd(8, f"the flags {', '.join(seen.flags)} contradict each other")
        out["disposition"] = words.pop()
    return out


def _value(seen: hl7.Observation, test: Test) -> Json:
    if len(seen.values) != 1 or not seen.values[0]:
        raise _Odd(5, "has no value" if not any(seen.values) else "has several values")
    text = seen.values[0]
    if test.words:
        if text not in test.words:
            known = ", ".join(list(test.words)[:8])
            raise _Odd(5, f"{text[:40]!r} is not in the mapping of {test.means} (known: {known})")
        return {"stringValue": test.words[text]}
    if seen.kind != "NM":
        raise _Odd(5, f"{text[:40]!r} ({seen.kind or 'no type'}) is no number (NM)")
    if not re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", text):
        raise _Odd(5, f"{text[:40]!r} is no number")
    if seen.unit not in test.units:
        known = ", ".join(test.units) or "none"
        what = f"the unit {seen.unit!r} is not in the mapping of {test.means}"
        raise _Odd(6, f"{what} (known: {known})")
    return {"value": float(text), "laboratory:unit": test.units[seen.unit]}


def _moment(seen: hl7.Observation, mapping: Mapping) -> Any:
    try:
        at = hl7.moment(seen.at)
        if not isinstance(at, tuple):
            return at
        if mapping.zone is None:
            raise ValueError(f"{seen.at!r} has no zone; say `zone` in the mapping")
        return tables.in_zone(at[0], mapping.zone, repr(seen.at))
    except ValueError as wrong:
        raise _Odd(14, str(wrong)) from None
