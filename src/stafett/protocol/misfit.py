"""What does not fit the types of the language, in words: what stands there, and what to write.

The reader of a protocol file is a person who knows therapies, not types: `Expected `array`, got
`str`` says nothing to them. This knows each field's type, and what was likely meant.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

import msgspec

from stafett.protocol.fit import choices, is_struct, types_at
from stafett.protocol.model import Protocol

Path = tuple[str | int, ...]

_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_LACKING = re.compile(r"Object missing required field `([^`]+)`")
_ENUM = re.compile(r"Invalid enum value (.+)", re.S)
_EXPECTED = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_MERGE = "<<"
_SCALARS = ("str", "int", "float", "bool")
_LONGEST = 60  # of a value that is shown

# What msgspec calls a type, and what a person calls it: what is to stand there, and what does.
WANTED = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "names with what each is",
}
STANDING = {
    "str": "the text {}",
    "int": "the number {}",
    "float": "the number {}",
    "bool": "a word that means yes or no",
    "array": "a list",
    "object": "names with what each is",
    "null": "nothing",
}


TRANSLATED = "text, or text by language"


def plainer(what: str, value: Any, path: Path) -> tuple[str, Path, str]:
    """Say msgspec's `what` about the part at `path` of `value` plainly.

    Returns what is wrong, the path of the part to look at, and what to do; `what` as it is, with
    nothing to do, where it is about something else (a duration says all itself).
    """
    kinds = list(types_at(Protocol, path))
    where = _dotted(path)
    if found := _UNKNOWN.fullmatch(what):
        return _unknown(found[1], kinds, path)
    if found := _LACKING.fullmatch(what):
        known = choices(list(types_at(Protocol, (*path, found[1]))))
        todo = f"one of: {', '.join(known)}" if known else "write it"
        return f"`{found[1]}` is missing in {where}", path, todo
    if found := _ENUM.fullmatch(what):
        known = choices(kinds)
        near = get_close_matches(found[1].strip("'"), known, 1)
        todo = f"did you mean `{near[0]}`?" if near else f"one of: {', '.join(known)}"
        return f"`{where}` cannot be {found[1]}", path, todo
    if found := _EXPECTED.fullmatch(what):
        wanted = [w for w in found[1].split(" | ") if w != "null"]
        there = STANDING.get(found[2], found[2]).format(_shown(_at(value, path)))
        said = TRANSLATED if {"str", "object"} <= set(wanted) else WANTED.get(wanted[0], wanted[0])
        what = f"`{where}` is to be {said}, not {there}"
        return what, path, _todo(wanted, found[2], kinds)
    return f"{what} (at {where})", path, ""


def _unknown(name: str, kinds: list[Any], path: Path) -> tuple[str, Path, str]:
    fields = [f for kind in kinds if is_struct(kind) for f in kind.__struct_encode_fields__]
    near = get_close_matches(name, fields, 1, 0.6)
    if name == _MERGE:
        todo = "merge keys are not read: write the fields out, or share a whole part by `*name`"
    elif near:
        todo = f"did you mean `{near[0]}`?"
    else:
        todo = f"it knows: {', '.join(fields)}"
    return f"`{name}` is no field of {_dotted(path)}", (*path, name), todo


def _todo(wanted: list[str], got: str, kinds: list[Any]) -> str:
    if got == "null":
        return "write it, or take the field away"
    if "str" in wanted:
        return "put it in quotes" if got in _SCALARS else "write plain text"
    if wanted == ["bool"]:
        return "write true or false, without quotes"
    if got == "float":
        return "write a whole number"
    if "int" in wanted or "float" in wanted:
        return "write the number alone, without unit or quotes"
    if wanted == ["array"]:
        return "write it in brackets: [one, another]"
    for kind in kinds:
        if is_struct(kind):
            fields = msgspec.structs.fields(kind)
            needed = [f.encode_name for f in fields if f.required]
            shown = needed or [f.encode_name for f in fields][:4]
            return f"write its fields: {', '.join(shown)}"
    return "write each name, and what it is after a colon"


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _shown(value: Any) -> str:
    """Write a value as the file has it."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return f"'{text}'" if isinstance(value, str) else text


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path) or "the file"
