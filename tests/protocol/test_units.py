"""Units: what is one, what was meant, and what may be compared with what."""

from __future__ import annotations

import re

import pytest

from stafett.protocol import schema
from stafett.protocol.check import prove
from stafett.protocol.measures import logged
from stafett.protocol.model import Condition
from stafett.protocol.read import parse
from stafett.protocol.units import NAMES, UNITS, comparable, convert, find, nearest, same

CHECK = "unit: mL, min: 50, max: 500"


def errors(text: str) -> list[tuple[str, str]]:
    """Return the code and the words of each error."""
    return [(one.code, one.what) for one in prove(parse(text)).errors]


def asked(sound: str, check: str) -> list[tuple[str, str]]:
    """Return what is found when the volume of the sound chain is asked for so."""
    assert sound.count(CHECK) == 1
    return errors(sound.replace(CHECK, check))


@pytest.mark.parametrize(
    ("value", "unit", "into", "expected"),
    [
        (-4, "[degF]", "Cel", -20.0),
        (77.15, "K", "Cel", -196.0),
        (0.1, "L", "mL", 100.0),
        (90, "min", "h", 1.5),
        (2, "10*6/kg", "{cells}/kg", 2e6),
        (36, "km/h", "m/s", 10.0),
        (1, "[g]", "m/s2", 9.80665),
        (760, "mm[Hg]", "kPa", 101.3250144),
        (70, "%", "1", 0.7),
        (5, "°C", "Cel", 5.0),
    ],
)
def test_values_are_converted(value: float, unit: str, into: str, expected: float) -> None:
    """A value is the same value in another unit of its dimension."""
    assert convert(value, unit, into) == expected


@pytest.mark.parametrize("code", UNITS)
def test_every_unit_goes_there_and_back(code: str) -> None:
    """Into any other unit of the dimension and back is where it began."""
    for other in UNITS:
        if comparable(code, other):
            assert convert(convert(12.5, code, other), other, code) == pytest.approx(12.5, rel=1e-8)


@pytest.mark.parametrize(("one", "other"), [("Cel", "h"), ("{vial}", "{bag}"), ("[EU]", "[IU]"),
                                            ("mL", "g"), ("%", "{cells}"), ("x", "x")])  # fmt: skip
def test_what_has_no_common_dimension_is_never_converted(one: str, other: str) -> None:
    """Vials are no bags, and a millilitre is no gram."""
    assert not comparable(one, other)
    with pytest.raises(ValueError, match="cannot be converted"):
        convert(1, one, other)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("ml", "mL"), ("Celsius", "Cel"), ("celcius", "Cel"), ("hours", "h"), ("°F", "[degF]"),
     ("mmHg", "mm[Hg]"), ("vials", "{vial}"), ("µg", "ug"), ("Kg", "kg"),
     ("cells/kg", "{cells}/kg"),
     ("rpm", "/min"), ("kilogramm", "kg"), ("IU", "[IU]")],
)  # fmt: skip
def test_what_was_meant_is_suggested(written: str, meant: str) -> None:
    """What people write is no code, and the code for it is known."""
    assert find(written) is None
    assert nearest(written) == meant


def test_of_bananas_nothing_is_suggested(sound: str) -> None:
    """A word that means no unit is refused, and nothing is guessed."""
    found = asked(sound, "unit: bananas, min: 50, max: 500")
    assert found == [("unknown-unit", "volume in collect: there is no unit 'bananas'")]


def test_an_unknown_unit_is_told_at_its_own_place(sound: str) -> None:
    """The finding stands at the unit, not at the check."""
    text = sound.replace(CHECK, "unit: millilitre, min: 50, max: 500")
    (found,) = prove(parse(text)).errors
    line = text.splitlines()[found.place.line - 1]
    assert line[found.place.column - 1 :].startswith("unit: millilitre")
    assert found.what.endswith("did you mean 'mL'?")


def test_two_spellings_of_one_unit_are_one() -> None:
    """°C and Cel are the same, a litre and a millilitre are not."""
    assert same("°C", "Cel")
    assert not same("L", "mL")
    assert not same("bananas", "pears")


def condition(sound: str, text: str) -> list[str]:
    """Return what is found of one condition of the first shipper."""
    old = "    title: Shipper to the plant\n"
    return [code for code, _ in errors(sound.replace(old, f"{old}    conditions: [{text}]\n"))]


@pytest.mark.parametrize(
    ("unit", "codes"),
    [("K", []), ("'[degF]'", []), ("h", ["unit-mismatch"]), ("kelvins", ["unknown-unit"])],
)
def test_a_temperature_is_limited_in_units_of_temperature(
    sound: str, unit: str, codes: list[str]
) -> None:
    """A limit in kelvin is as good as one in Celsius; one in hours is none."""
    rest = f"unit: {unit}, max: 300, in_all: 5 min, deviation: TOO_WARM, proposal: true"
    assert condition(sound, f"{{of: temperature, {rest}}}") == codes


def test_a_door_has_no_unit(sound: str) -> None:
    """What is open or shut is not measured."""
    text = "{of: door, unit: Cel, deviation: SEAL_BROKEN, proposal: true}"
    assert condition(sound, text) == ["unit-mismatch"]


def test_readings_are_held_against_a_limit_in_another_unit() -> None:
    """Loggers tell °C: a limit in Fahrenheit is brought to it, its source with it."""
    told = logged(Condition(of="temperature", deviation="X", unit="[degF]", max=-4, source="s"))
    assert (told.max, told.min, told.unit, told.source) == (-20.0, None, None, "s")
    same_one = Condition(of="tilt", deviation="X", unit="deg", max=45)
    assert logged(same_one) is same_one


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ("{gross_kg: {kind: number, unit: kg}}", []),
        ("{gross_kg: {kind: number, unit: g}}", ["unit-mismatch"]),
        ("{coldest_c: {kind: number, unit: h}}", ["unit-mismatch"]),
        ("{vitamin_c: {kind: number, unit: mg/dL}}", []),
        ("{boxes: {kind: number, unit: boxes}}", ["unknown-unit"]),
    ],
)
def test_the_name_of_a_field_does_not_belie_its_unit(
    sound: str, fields: str, codes: list[str]
) -> None:
    """`gross_kg` is in kilograms; `vitamin_c` says nothing of a temperature."""
    found = errors(sound.replace("fields: [batch, results]", f"fields: {fields}"))
    assert [code for code, _ in found] == codes


def test_a_figure_is_not_used_in_two_units(sound: str) -> None:
    """A bound of 500 is not 500 mL in one place and 500 L in another."""
    text = sound.replace(CHECK, "unit: mL, min: 50, max: '${most}'").replace(
        "unit: °C, max: 25", "unit: L, max: '${most}'", 1
    )
    text = re.sub(
        r"^( +)parameters: *\n", r"\g<0>\1  most: {value: 500, proposal: true}\n", text, flags=re.M
    )
    assert "${most} is in mL at volume in collect, and in L at temperature in H1" in [
        what for _, what in errors(text)
    ]


def test_the_editor_knows_every_unit() -> None:
    """The schema names exactly the units that the language reads."""
    made = schema.schema()["$defs"]
    for part in ("Check", "Field", "Condition"):
        first, parameter = made[part]["properties"]["unit"]["anyOf"][:2]
        assert tuple(first["enum"]) == NAMES, part
        assert parameter == schema.PARAMETER
