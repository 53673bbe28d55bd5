"""Measures: every unit is one that exists, and no number is held against another kind of number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from stafett.protocol import units
from stafett.protocol.chain import Chain, sides
from stafett.protocol.finding import Finding
from stafett.protocol.model import Check, Condition, Step
from stafett.protocol.read import Path_

# What a logger tells each of these in, and so what a condition of it is in where it says nothing.
LOGGED: Final = {"temperature": "Cel", "tilt": "deg", "shock": "[g]"}
# The ending of a name that says its unit (`weight_kg`, `${storage_max_c}`).
ENDINGS: Final = {
    "c": "Cel", "celsius": "Cel", "kg": "kg", "mg": "mg", "ml": "mL", "l": "L", "h": "h", "d": "d",
    "hours": "h", "days": "d", "minutes": "min", "deg": "deg", "percent": "%", "kpa": "kPa",
    "hpa": "hPa", "mbar": "mbar", "cm2": "cm2", "mm": "mm", "cm": "cm",
}  # fmt: skip
# One letter may also be the end of a word (`vitamin_c`): it counts where the unit is as plain.
_PLAIN: Final = frozenset({"temperature", "time", "volume", "pressure"})


class Use(NamedTuple):
    """Where a number stands: its path, the unit it is in, and what people call the place."""

    path: Path_
    unit: str
    where: str


def measures(chain: Chain) -> Iterator[Finding]:
    """Yield units that are none, and numbers that are compared across dimensions or units."""
    uses: list[Use] = []
    for path, name, _, check in chain.checks():
        if check.kind == "quantity" and check.unit:
            use = Use(path, check.unit, f"{check.id} in {name}")
            yield from _unit(chain, use, check.id)
            uses.append(use)
    for name, document in chain.protocol.documents.items():
        if isinstance(document.fields, dict):
            for field, holds in document.fields.items():
                if holds.kind == "number" and holds.unit:
                    at = ("documents", name, "fields", field)
                    use = Use(at, holds.unit, f"{field} of {name}")
                    yield from _unit(chain, use, field)
                    uses.append(use)
    for name, material in chain.protocol.materials.items():
        for i, condition in enumerate(material.conditions):
            limit: Path_ = ("materials", name, "conditions", i)
            yield from _condition(chain, limit, name, condition)
            if unit := condition.unit or LOGGED.get(condition.of):
                uses.append(Use(limit, unit, f"{condition.of} of {name}"))
    yield from _parameters(chain, uses)
    yield from _names(chain)
    yield from _interfaces(chain)


def logged(condition: Condition) -> Condition:
    """Return the condition with its bounds in the unit that loggers tell."""
    unit, into = condition.unit, LOGGED.get(condition.of)
    if unit is None or into is None or units.same(unit, into):
        return condition

    def bound(value: float | None) -> float | None:
        return None if value is None else units.convert(value, unit, into)

    return Condition(
        of=condition.of, deviation=condition.deviation, min=bound(condition.min),
        max=bound(condition.max), at_most=condition.at_most, in_all=condition.in_all,
        source=condition.source, proposal=condition.proposal,
    )  # fmt: skip


def _unit(chain: Chain, use: Use, name: str) -> Iterator[Finding]:
    """Find a unit that is none, and a name that says another unit."""
    if units.find(use.unit) is None:
        near = units.nearest(use.unit)
        hint = f"; did you mean {near!r}?" if near else ""
        what = f"{use.where}: there is no unit {use.unit!r}{hint}"
        yield chain.found("unknown-unit", (*use.path, "unit"), what)
    elif (said := _says(name, use.unit)) is not None:
        what = f"{use.where}: its name says {said}, its unit {use.unit}"
        yield chain.found("unit-mismatch", (*use.path, "unit"), what)


def _says(name: str, unit: str) -> str | None:
    """Return the unit that `name` ends with, where that is another than `unit`."""
    head, _, ending = name.rpartition("_")
    said = ENDINGS.get(ending.lower()) if head else None
    known = units.find(unit)
    if said is None or known is None or units.same(said, unit):
        return None
    return said if len(ending) > 1 or known.of in _PLAIN else None


def _condition(chain: Chain, at: Path_, name: str, condition: Condition) -> Iterator[Finding]:
    unit, told = condition.unit, LOGGED.get(condition.of)
    if unit is None:
        return
    where = f"{condition.of} of {name}"
    if units.find(unit) is None:
        yield from _unit(chain, Use(at, unit, where), "")
    elif told is None or not units.comparable(unit, told):
        what = f"{where} is not measured in {unit}"
        yield chain.found("unit-mismatch", (*at, "unit"), what)


def _parameters(chain: Chain, uses: list[Use]) -> Iterator[Finding]:
    """Find a product's figure that stands for a number of two units, or belies its name."""
    first: dict[str, Use] = {}
    for use in uses:
        if units.find(use.unit) is None:
            continue
        for bound in ("min", "max"):
            raw = chain.document.at(*use.path, bound)
            if not (isinstance(raw, str) and raw.startswith("${")):
                continue
            other = first.setdefault(raw, use)
            if (said := _says(raw[2:-1], use.unit)) is not None:
                what = f"{use.where}: {raw} says {said}, the unit is {use.unit}"
                yield chain.found("unit-mismatch", (*use.path, bound), what)
            elif not units.same(other.unit, use.unit):
                what = (
                    f"{raw} is in {other.unit} at {other.where}, and in {use.unit} at {use.where}"
                )
                yield chain.found("unit-mismatch", (*use.path, bound), what)


def _names(chain: Chain) -> Iterator[Finding]:
    """Find one name for two kinds of number: what asks for `volume` asks for a volume."""
    uses: dict[str, list[Use]] = {}
    for path, name, _, check in chain.checks():
        if check.kind == "quantity" and check.unit and units.find(check.unit) is not None:
            uses.setdefault(check.id, []).append(Use(path, check.unit, name))
    for called, found in uses.items():
        kinds = [one.of for use in found if (one := units.find(use.unit)) is not None]
        usual = found[kinds.index(max(kinds, key=kinds.count))]  # the odd one out is the slip
        for use in found:
            if not units.comparable(use.unit, usual.unit):
                what = (
                    f"{called} is in {use.unit} in {use.where},"
                    f" and in {usual.unit} in {usual.where}"
                )
                yield chain.found("unit-mismatch", (*use.path, "unit"), what)


def _interfaces(chain: Chain) -> Iterator[Finding]:
    """Find a handoff whose sides ask for the same, and allow no value in common."""
    for path, name, activity in chain.activities():
        if isinstance(activity, Step):
            continue
        given = {c.id: c for c in activity.release.checks if _bounded(c)}
        _, more, checks = sides(activity)[1]
        for i, check in enumerate(checks):
            other = given.get(check.id)
            if other is None or not _bounded(check):
                continue
            a, b = other.unit or "", check.unit or ""
            if units.comparable(a, b) and _apart(other, check):
                what = f"{check.id} in {name}: no value is allowed by both sides ({a}, {b})"
                yield chain.found("contradictory-limits", (*path, *more, "checks", i), what)


def _bounded(check: Check) -> bool:
    return check.kind == "quantity" and bool(check.unit) and (check.min, check.max) != (None, None)


def _apart(one: Check, other: Check) -> bool:
    def base(check: Check, value: float | None) -> object:
        return None if value is None else units.exact(value, check.unit or "")

    for low, high in ((one, other), (other, one)):
        least, most = base(low, low.min), base(high, high.max)
        if least is not None and most is not None and least > most:  # type: ignore[operator]
            return True
    return False
