"""The units that the language knows: UCUM codes, each with its dimension and its size.

A closed list: a unit that nobody can convert is a unit that nobody can check. Codes and sizes are
those of the Unified Code for Units of Measure (UCUM 2.1, table 1 to 4); a count of things is an
annotation in braces (`{vial}`), and counts of different things are never compared. `°C`, as people
write it, is read as `Cel`.

Sizes are exact fractions: -4 °F is -20 °C and passes a limit of -20 °C.
"""

from __future__ import annotations

from difflib import get_close_matches
from fractions import Fraction
from typing import Final, NamedTuple


class Unit(NamedTuple):
    """One unit: its UCUM code, what people call it, and its dimension.

    A value v of it is (v + `offset`) × `size` of the dimension's base unit.
    """

    code: str
    called: str
    of: str
    size: Fraction
    offset: Fraction = Fraction(0)


# dimension -> (code, what it is called, size in the dimension's base unit)
_TABLE: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "time": (
        ("s", "second", "1"), ("min", "minute", "60"), ("h", "hour", "3600"),
        ("d", "day", "86400"), ("wk", "week", "604800"), ("mo", "month", "2629800"),
        ("a", "year", "31557600"),
    ),
    "volume": (
        ("uL", "microlitre", "1e-6"), ("mL", "millilitre", "1e-3"), ("dL", "decilitre", "0.1"),
        ("L", "litre", "1"),
    ),
    "mass": (
        ("pg", "picogram", "1e-12"), ("ng", "nanogram", "1e-9"), ("ug", "microgram", "1e-6"),
        ("mg", "milligram", "1e-3"), ("g", "gram", "1"), ("kg", "kilogram", "1e3"),
    ),
    "length": (
        ("um", "micrometre", "1e-6"), ("mm", "millimetre", "1e-3"), ("cm", "centimetre", "1e-2"),
        ("m", "metre", "1"), ("km", "kilometre", "1e3"),
    ),
    "area": (("mm2", "square millimetre", "1e-6"), ("cm2", "square centimetre", "1e-4"),
             ("m2", "square metre", "1")),
    "share": (("1", "one", "1"), ("%", "percent", "0.01"), ("[ppm]", "parts per million", "1e-6")),
    "number": (("10*3", "thousand", "1e3"), ("10*6", "million", "1e6"), ("10*8", "10 to the 8th",
               "1e8"), ("10*9", "billion", "1e9"), ("{cells}", "cells", "1")),
    "number per mass": (("/kg", "per kilogram", "1"), ("10*6/kg", "million per kilogram", "1e6"),
                        ("10*8/kg", "10 to the 8th per kilogram", "1e8"),
                        ("{cells}/kg", "cells per kilogram", "1")),
    "number per volume": (
        ("/uL", "per microlitre", "1e6"), ("/mL", "per millilitre", "1e3"),
        ("/L", "per litre", "1"),
        ("10*3/uL", "thousand per microlitre", "1e9"), ("10*6/mL", "million per millilitre", "1e9"),
        ("10*9/L", "billion per litre", "1e9"), ("{cells}/uL", "cells per microlitre", "1e6"),
        ("{cells}/mL", "cells per millilitre", "1e3"),
    ),
    "colonies per volume": (("{CFU}/mL", "colonies per millilitre", "1"),),
    "colonies": (("{CFU}", "colonies", "1"),),
    "vector genomes": (("{vg}", "vector genomes", "1"),),
    "vector genomes per mass": (("{vg}/kg", "vector genomes per kilogram", "1"),),
    "vector genomes per volume": (("{vg}/mL", "vector genomes per millilitre", "1"),),
    "copies per cell": (("{copies}/{cell}", "copies per cell", "1"),),
    "mass per mass": (("ug/kg", "microgram per kilogram", "1e-6"),
                      ("mg/kg", "milligram per kilogram", "1e-3")),
    "mass per area": (("mg/m2", "milligram per square metre", "1"),),
    "mass per volume": (
        ("pg/mL", "picogram per millilitre", "1e-9"), ("ng/mL", "nanogram per millilitre", "1e-6"),
        ("ug/L", "microgram per litre", "1e-6"), ("ug/mL", "microgram per millilitre", "1e-3"),
        ("mg/L", "milligram per litre", "1e-3"), ("mg/dL", "milligram per decilitre", "1e-2"),
        ("mg/mL", "milligram per millilitre", "1"), ("g/L", "gram per litre", "1"),
        ("g/dL", "gram per decilitre", "10"),
    ),
    "substance per volume": (("umol/L", "micromole per litre", "1e-6"),
                             ("mmol/L", "millimole per litre", "1e-3")),
    "osmolality": (("mosm/kg", "milliosmole per kilogram", "1"),),
    "acidity": (("[pH]", "pH", "1"),),
    "endotoxin": (("[EU]", "endotoxin unit", "1"),),
    "endotoxin per volume": (("[EU]/mL", "endotoxin units per millilitre", "1"),),
    "endotoxin per mass": (("[EU]/kg", "endotoxin units per kilogram", "1"),),
    "endotoxin per mass and time": (("[EU]/kg/h", "endotoxin units per kilogram and hour", "1"),),
    "international units": (("[IU]", "international unit", "1"),),
    "international units per volume": (("[IU]/L", "international units per litre", "1"),
                                       ("[IU]/mL", "international units per millilitre", "1e3")),
    "enzyme activity per volume": (("U/L", "enzyme units per litre", "1"),),
    "pressure": (
        ("Pa", "pascal", "1"), ("hPa", "hectopascal", "100"), ("kPa", "kilopascal", "1e3"),
        ("mbar", "millibar", "100"), ("bar", "bar", "1e5"), ("mm[Hg]", "mmHg", "133.322387415"),
        ("[psi]", "psi", "6894.757293168"),
    ),
    "speed": (("m/s", "metre per second", "1"), ("km/h", "kilometre per hour", "1/3.6")),
    "acceleration": (("m/s2", "metre per second squared", "1"), ("[g]", "gravity", "9.80665")),
    "angle": (("deg", "degree", "1"), ("rad", "radian", "57.29577951308232")),
    "rate": (("/min", "per minute", "1/60"), ("/s", "per second", "1"), ("Hz", "hertz", "1")),
    "flow": (("mL/h", "millilitre per hour", "1"), ("mL/min", "millilitre per minute", "60"),
             ("L/min", "litre per minute", "60000")),
    "radioactivity": (("Bq", "becquerel", "1"), ("kBq", "kilobecquerel", "1e3"),
                      ("MBq", "megabecquerel", "1e6"), ("GBq", "gigabecquerel", "1e9")),
    "absorbed dose": (("Gy", "gray", "1"), ("cGy", "centigray", "0.01")),
    "illuminance": (("lx", "lux", "1"),),
    "voltage": (("mV", "millivolt", "1e-3"), ("V", "volt", "1")),
    "titre": (("{titer}", "titre", "1"),),
}  # fmt: skip
# Things that are counted; each is a dimension of its own: a vial is no bag.
COUNTED: Final = ("bag", "box", "cassette", "centre", "copies", "dose", "event", "kit", "patient",
                  "person", "sample", "score", "straw", "syringe", "tube", "vial")  # fmt: skip
_TEMPERATURES: Final = (
    Unit("Cel", "degree Celsius", "temperature", Fraction(1), Fraction("273.15")),
    Unit("K", "kelvin", "temperature", Fraction(1)),
    Unit("[degF]", "degree Fahrenheit", "temperature", Fraction(5, 9), Fraction("459.67")),
)
ALSO: Final = {"°C": "Cel"}
# What people write, and what it is called in UCUM: never read, only suggested.
_MEANT: Final = {
    "c": "Cel", "celsius": "Cel", "centigrade": "Cel", "degc": "Cel", "°f": "[degF]",
    "f": "[degF]", "degf": "[degF]", "fahrenheit": "[degF]", "°": "deg", "mmhg": "mm[Hg]",
    "psi": "[psi]", "iu": "[IU]", "iu/ml": "[IU]/mL", "eu": "[EU]", "eu/ml": "[EU]/mL",
    "ph": "[pH]", "ppm": "[ppm]", "µl": "uL", "μl": "uL", "ul": "uL", "µg": "ug", "μg": "ug",
    "mcg": "ug", "mcl": "uL", "cc": "mL", "/µl": "/uL", "/μl": "/uL", "hr": "h", "hrs": "h",
    "sec": "s", "mins": "min", "yr": "a", "years": "a", "rpm": "/min", "bpm": "/min",
    "gforce": "[g]", "g-force": "[g]", "cells": "{cells}", "cells/kg": "{cells}/kg",
    "cells/ul": "{cells}/uL", "cells/ml": "{cells}/mL", "vg": "{vg}", "vg/kg": "{vg}/kg",
    "vg/ml": "{vg}/mL", "cfu": "{CFU}", "cfu/ml": "{CFU}/mL", "titre": "{titer}",
    "titer": "{titer}", "ratio": "1", "count": "1", "number": "1",
    "liter": "L", "milliliter": "mL", "microliter": "uL", "meter": "m",
}  # fmt: skip


def _size(text: str) -> Fraction:
    top, _, below = text.partition("/")
    return Fraction(top) / Fraction(below or "1")


UNITS: Final[dict[str, Unit]] = {
    one.code: one
    for one in (
        *_TEMPERATURES,
        *(
            Unit(code, called, of, _size(size))
            for of, rows in _TABLE.items()
            for code, called, size in rows
        ),
        *(Unit(f"{{{thing}}}", thing, f"number of {thing}", Fraction(1)) for thing in COUNTED),
    )
}
NAMES: Final[tuple[str, ...]] = (*UNITS, *ALSO)


def find(text: str) -> Unit | None:
    """Return the unit that `text` is a code of; None if the language knows no such unit."""
    return UNITS.get(ALSO.get(text, text))


def nearest(text: str) -> str | None:
    """Return the code that was likely meant by `text`, which is none."""
    low = " ".join(text.split()).lower()
    bare = low.removesuffix("s")
    called = {unit.called: unit.code for unit in UNITS.values()}
    for word in (low, bare):
        known = _MEANT.get(word) or called.get(word)
        if known is None:
            known = next((code for code in UNITS if code.lower() == word), None)
        if known is not None or f"{{{word}}}" in UNITS:
            return known or f"{{{word}}}"
    words = {**{w: c for w, c in _MEANT.items() if len(w) > 3}, **called}
    words |= {code.strip("{}[]").lower(): code for code in UNITS if len(code) > 2}
    close = get_close_matches(low, words, 1, 0.75)
    return words[close[0]] if close else None


def same(one: str | None, other: str | None) -> bool:
    """Say whether two texts name one unit; what is none is only the same as itself."""
    return one == other or (
        one is not None and other is not None and find(one) == find(other) is not None
    )


def comparable(one: str, other: str) -> bool:
    """Say whether values in the two units can be held against each other."""
    a, b = find(one), find(other)
    return a is not None and b is not None and a.of == b.of


def exact(value: float, unit: str) -> Fraction:
    """Return `value` in the base unit of its dimension, exactly as it is written.

    Raises KeyError for a unit that the language does not know.
    """
    known = UNITS[ALSO.get(unit, unit)]
    return (Fraction(repr(float(value))) + known.offset) * known.size


def convert(value: float, unit: str, into: str) -> float:
    """Return `value` of `unit` in the unit `into`, to ten significant digits.

    Raises ValueError where the two have not one dimension.

    >>> convert(-4, "[degF]", "Cel")
    -20.0
    """
    if not comparable(unit, into):
        raise ValueError(f"{unit} cannot be converted into {into}")
    if same(unit, into):
        return float(value)
    known = UNITS[ALSO.get(into, into)]
    return float(f"{float(exact(value, unit) / known.size - known.offset):.10g}")


def printed(unit: str) -> str:
    """Return a unit as people read it: °C for Cel, a count without its braces."""
    return {"Cel": "°C", "[degF]": "°F", "deg": "°", "[g]": "g", "mm[Hg]": "mmHg"}.get(
        unit, unit.translate({ord(c): None for c in "{}[]"})
    )
