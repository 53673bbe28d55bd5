"""What an answer to a check means: pass, fail or unknown."""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

from stafett.journey import clock, deviation, specification
from stafett.journey.command import Answer, Value
from stafett.journey.event import CheckResult
from stafett.journey.identifier import Unreadable, of_kind, same
from stafett.journey.refusal import Refusal, Refused, refuse
from stafett.journey.state import PATIENT, Lot, Sheet, State, ancestors
from stafett.protocol import units
from stafett.protocol.model import Check, Handoff
from stafett.protocol.net import Net


class Verdict(NamedTuple):
    """What an answer means, the deviation it is, and the label it binds (if it records one)."""

    value: Value
    result: CheckResult
    code: str | None = None
    why: str = ""
    expected: str | None = None
    binds: str | None = None


def evaluate(net: Net, state: State, check: Check, answer: Answer) -> Verdict:
    """Return what `answer` means; raise Refused if it is no answer to `check` at all."""
    if answer.unit is not None and not _fits(check, answer.unit):
        raise refuse(
            "bad-value", "unit", f"{check.id} is asked in {check.unit or 'no unit'}", "convert it"
        )
    if answer.value is None:
        code = check.deviation or deviation.UNKNOWN_ANSWER
        return Verdict(None, "unknown", code, "it could not be told")
    match check.kind:
        case "scan":
            return _scan(net, state, check, answer)
        case "choice":
            return _choice(net, state, check, answer)
        case "quantity":
            return _quantity(check, answer.value, answer.unit or check.unit)
        case "time":
            return _time(answer.value)


def known(net: Net, state: State, activity: str, material: str, identifier: str) -> str | None:
    """Return what the record knows `material` (or the patient) by, as seen from `activity`.

    What an activity makes has, within it, the label that was bound in this round.
    """
    if material == PATIENT:
        return of_journey(net, state, identifier)
    label = _bound(state, activity, material, identifier)
    lot = state.lot(material)
    if label is not None or lot is None or lot.ended is not None:
        return label
    return lot.identifiers.get(identifier)


def first_label(net: Net, state: State, activity: str, check: Check) -> bool:
    """Say whether `check` is where a label first becomes the identifier of what it records."""
    if check.records is None or check.by is None:
        return False
    if _makes(net, activity, check.records):
        return _bound(state, activity, check.records, check.by) is None
    return known(net, state, activity, check.records, check.by) is None


def inherited(net: Net, state: State, activity: str, material: str, identifier: str) -> str | None:
    """Return which of the materials that `material` is made of gives it its `identifier`.

    None where the protocol does not keep it, where none of them carries it, and where they carry
    different ones: what is pooled is numbered anew.
    """
    if not net.protocol.identifiers[identifier].kept or not _makes(net, activity, material):
        return None
    carried = {one.material: one.identifiers[identifier] for one in _sources(net, state, activity,
               material) if identifier in one.identifiers}  # fmt: skip
    return next(iter(carried)) if len(set(carried.values())) == 1 else None


def _sources(net: Net, state: State, activity: str, material: str) -> list[Lot]:
    """Return the lots that `activity` makes `material` of."""
    part = net.activity(activity)
    if isinstance(part, Handoff):
        names = tuple(old for old, new in part.becomes.items() if new == material)
    else:
        names = part.inputs
    return [lot for name in names if (lot := state.lot(name)) is not None]


def carrier(
    net: Net, state: State, activity: str, material: str, identifier: str, label: str
) -> str | None:
    """Return what carries `label` as its `identifier` already, beside `material`; None: nothing.

    That is whatever there is now in the journey, and what `material` is made of, used up or not: a
    bag scanned as its own successor would be followed by one number through both. A box that has
    come to its end may go round again.
    """
    for sheet in state.sheets.values():
        for other, labels in sheet.bound.items():
            if other != material and labels.get(identifier) == label:
                return other
    before = [] if material == PATIENT else _sources(net, state, activity, material)
    past = {one.lot for one in before} | {p for one in before for p in ancestors(state, one.lot)}
    for lot in state.lots.values():
        if lot.identifiers.get(identifier) == label and (lot.ended is None or lot.lot in past):
            return lot.material
    return None


def _bound(state: State, activity: str, material: str, identifier: str) -> str | None:
    for key, sheet in state.sheets.items():
        if key.partition(":")[0] == activity and identifier in sheet.bound.get(material, {}):
            return sheet.bound[material][identifier]
    return None


def _makes(net: Net, activity: str, material: str) -> bool:
    return material in net.made_by(frozenset((activity,)))


def of_journey(net: Net, state: State, identifier: str) -> str | None:
    """Return the journey's own identifier: the CoI, the patient's commitment, or a bound one."""
    if identifier in state.identifiers:
        return state.identifiers[identifier]
    kind = net.protocol.identifiers[identifier]
    if kind.of != "journey":
        return None
    if kind.direct:
        return state.patient
    return state.coi if kind.structure == "isbt128-coi" else None


def _scan(net: Net, state: State, check: Check, answer: Answer) -> Verdict:
    if answer.method == "seen":
        raise refuse(
            "bad-value", "method", f"{check.id} is scanned or typed, not looked at", "scan it"
        )
    identifier = check.by or ""
    kind = net.protocol.identifiers[identifier]
    try:
        got = of_kind(kind, answer.value, typed=answer.method == "typed")
    except Unreadable as error:
        raise refuse("unreadable-scan", "value", error.what, error.todo) from None
    material = check.identifies or check.records or ""
    code = check.deviation or deviation.IDENTITY_MISMATCH
    if first_label(net, state, answer.activity, check):
        own = of_journey(net, state, identifier)
        if material != PATIENT and own is not None and not same(got, own):
            # A label of the whole journey (its CoI) is never made known by sticking it on: it must
            # be this journey's, or the bag would carry another patient's name from the start.
            return Verdict(got, "fail", code, f"this is not this journey's {identifier}", own)
        source = inherited(net, state, answer.activity, material, identifier)
        if source is not None:
            lot = state.lot(source)
            of_source = lot.identifiers[identifier] if lot is not None else ""
            if not same(got, of_source):
                why = f"{material} keeps the {identifier} of {source}, and this is another"
                return Verdict(got, "fail", code, why, of_source)
        elif own is None:
            _own_label(net, state, answer.activity, material, identifier, got)
        if _can_be_labelled(net, state, answer.activity, material):
            return Verdict(got, "pass", binds=got)
        return Verdict(got, "unknown", code, f"there is no {material} to label")
    expected = known(net, state, answer.activity, material, identifier)
    if expected is None:
        return Verdict(got, "unknown", code, f"the record knows no {identifier} of {material}")
    if same(got, expected):
        return Verdict(got, "pass")
    return Verdict(got, "fail", code, f"this is not the {identifier} of {material}", expected)


def _own_label(
    net: Net, state: State, activity: str, material: str, identifier: str, label: str
) -> None:
    """Raise Refused where `label` is on something else; nothing is known by it then."""
    other = carrier(net, state, activity, material, identifier, label)
    if other is not None:
        what = f"this label is on {other} already"
        raise refuse("bad-value", "value", what, f"scan the label of {material}: each has its own")


def _can_be_labelled(net: Net, state: State, activity: str, material: str) -> bool:
    if material == PATIENT or _makes(net, activity, material):
        return True
    lot = state.lot(material)
    return lot is not None and lot.ended is None


def _choice(net: Net, state: State, check: Check, answer: Answer) -> Verdict:
    choice = check.choices.get(answer.value) if isinstance(answer.value, str) else None
    if choice is None:
        names = ", ".join(check.choices)
        raise refuse(
            "bad-value", "value", f"{shown(answer.value)} is no choice", f"one of: {names}"
        )
    code = choice.deviation or check.deviation
    if choice.means == "fail":
        return Verdict(answer.value, "fail", code or deviation.CHECK_FAILED, "answered so")
    if choice.means == "unknown":
        return Verdict(answer.value, "unknown", code or deviation.UNKNOWN_ANSWER, "answered so")
    wrong = specification.fits(net, state, check, answer.value)
    if wrong is not None:
        raise Refused(Refusal(code="not-possible-now", reasons=(wrong,)))
    if _disagrees(state.sheet(answer.activity, answer.side, answer.about), check, answer):
        why = "two people answered it differently"
        return Verdict(answer.value, "unknown", deviation.UNKNOWN_ANSWER, why)
    return Verdict(answer.value, "pass")


def _disagrees(sheet: Sheet, check: Check, answer: Answer) -> bool:
    others = (a for a in sheet.standing(check.id) if a.person != answer.by.person)
    return any(a.result == "pass" and a.value != answer.value for a in others)


def _fits(check: Check, unit: str) -> bool:
    """Say whether a value in `unit` can be held against the limits of `check`."""
    asked = check.unit or ""
    return units.same(unit, asked) or (check.kind == "quantity" and units.comparable(unit, asked))


def _quantity(check: Check, value: Value, unit: str | None) -> Verdict:
    """Judge a number; one in another unit is converted, and the record keeps what was read."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refuse("bad-value", "value", f"{shown(value)} is not a number", f"in {check.unit}")
    code = check.deviation or deviation.CHECK_FAILED
    read = ""
    if unit is not None and check.unit is not None and not units.same(unit, check.unit):
        read = f"read as {value} {unit}"
        value = units.convert(value, unit, check.unit)
    if check.min is not None and value < check.min:
        why = f"{value} is below {check.min} {check.unit}"
    elif check.max is not None and value > check.max:
        why = f"{value} is above {check.max} {check.unit}"
    else:
        return Verdict(value, "pass", why=read)
    return Verdict(value, "fail", code, f"{why}, {read}" if read else why)


def shown(value: Value) -> str:
    """Return `value` as an error may repeat it: never more than a line."""
    return repr(value) if len(repr(value)) <= 40 else repr(value)[:36] + "..."


def moment(value: Value) -> datetime | None:
    """Return an aware moment from ISO 8601 text, or None if it is not one that a record keeps."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if found is None or found.utcoffset() is None:
        return None
    return found if clock.is_kept(found) else None


def _time(value: Value) -> Verdict:
    if moment(value) is None:
        raise refuse(
            "bad-value",
            "value",
            f"{shown(value)} is no time with its zone",
            "like 2026-11-23T08:30+01:00",
        )
    return Verdict(value, "pass")
