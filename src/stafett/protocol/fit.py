"""What msgspec says of a value that does not fit, in plain words: what, where, what to do.

`Expected `float`, got `str` - at `$.lanes[...].days`` says nothing to whoever filled in a form or
wrote a file. Every room that shows a person such an error says it by this. (Of a protocol file
`misfit` says more: it knows the fields.) The pages have each sentence in every language.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

WANTED = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "names with what each is",
    "datetime": "a moment",
    "date": "a day",
    "duration": "a length of time",
    "null": "nothing",
    "either": "text or a number",
}
STANDING = {**WANTED, "int": "a number"}
TODO = {
    "str": "put it in quotes",
    "int": "write the number alone, without unit or quotes",
    "float": "write the number alone, without unit or quotes",
    "bool": "write true or false, without quotes",
    "array": "write it in brackets: [one, another]",
    "object": "write each name, and what it is after a colon",
    "datetime": "write 2026-03-02T07:30:00Z",
    "date": "write 2026-03-02",
    "duration": "write PT48H",
    "either": "write text in quotes, or the number alone",
}
MOMENT = "write 2026-03-02T07:30:00Z"
INVALID = {
    "Invalid RFC3339 encoded datetime": ("is no moment", MOMENT),
    "Invalid RFC3339 encoded date": ("is no day", "write 2026-03-02"),
    "Invalid RFC3339 encoded time": ("is no time of day", "write 07:30:00"),
    "Invalid ISO8601 duration": ("is no length of time", "write PT48H"),
    "Invalid UUID": ("is no UUID", ""),
    "Invalid base64 encoded string": ("is not base64", ""),
    "Integer value out of range": ("is too large a number", ""),
}
BOUND = {">=": "is to be {} or more", "<=": "is to be {} or less", ">": "is to be more than {}",
         "<": "is to be less than {}"}  # fmt: skip
LENGTH = {">=": "at least ", "<=": "at most ", "": ""}
_TYPE = r"Expected `([^`]+)`"
_GOT = re.compile(_TYPE + r", got `([^`]+)`")
_LONG = re.compile(_TYPE + r" of length (>=|<=|) ?(\d+)")
_BOUND = re.compile(_TYPE + r" (>=|<=|>|<) (\S+)")
_MULTIPLE = re.compile(_TYPE + r" that's a multiple of (\S+)")
_FORM = re.compile(_TYPE + r" matching regex (.+)", re.S)
_ZONE = re.compile(_TYPE + r" with a timezone component")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_ONE_OF = re.compile(r"Invalid (?:enum )?value (.+)", re.S)
_STEP = re.compile(r"\.([^.\[\]]+)|\[([^\]]*)\]")


class Misfit(NamedTuple):
    """What is wrong with the part at `path`, and what to do ("" where the first says it).

    A step "..." of the path is some name of a mapping: msgspec does not say which.
    """

    what: str
    path: tuple[str, ...]
    todo: str

    @property
    def where(self) -> str:
        """The path with dots; "" for the whole."""
        return ".".join(self.path)

    def __str__(self) -> str:
        """All of it in one line, for a command and for a text that has no parts."""
        said = f"{self.where}: {self.what}" if self.path else self.what
        return f"{said} ({self.todo})" if self.todo else said


def plain(error: Exception | str, kind: Any = None) -> Misfit:
    """Say msgspec's `error` plainly. `kind`, the type asked for, knows what was meant.

    What is no sentence of msgspec's (a model says why a value is none) stays as it is. A field that
    is missing or unknown is the last step of the path.
    """
    what, _, at = str(error).partition(" - at ")
    path = tuple(name or index for name, index in _STEP.findall(at.rpartition("`$")[2].strip("`")))
    if found := _MISSING.fullmatch(what):
        return Misfit(f"`{found[1]}` is missing", (*path, found[1]), "write it")
    if found := _UNKNOWN.fullmatch(what):
        known = [f for one in types_at(kind, path) if is_struct(one)
                 for f in one.__struct_encode_fields__]  # fmt: skip
        near = get_close_matches(found[1], known, 1, 0.5)
        todo = f"did you mean `{near[0]}`?" if near else ""
        return Misfit(f"`{found[1]}` is no field here", (*path, found[1]), todo)
    known = choices(list(types_at(kind, path))) if _ONE_OF.fullmatch(what) else []
    return Misfit(_said(what), path, f"one of: {', '.join(known)}" if known else _todo(what))


def types_at(kind: Any, path: Sequence[str | int]) -> Iterator[Any]:
    """Give every type that may stand at `path` below `kind`, unions taken apart."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from types_at(get_args(kind)[0], path)
    elif origin in (Union, types.UnionType):
        for one in get_args(kind):
            yield from types_at(one, path)
    elif not path:
        yield kind
    elif is_struct(kind):
        for field in msgspec.structs.fields(kind):
            if field.encode_name == path[0]:
                yield from types_at(field.type, path[1:])
    elif origin is dict:
        yield from types_at(get_args(kind)[1], path[1:])
    elif origin in (tuple, list):
        yield from types_at(get_args(kind)[0], path[1:])


def choices(kinds: Iterable[Any]) -> list[str]:
    """Return what may be chosen, of types that are each a choice."""
    some = (str(c) for kind in kinds if get_origin(kind) is Literal for c in get_args(kind))
    return list(dict.fromkeys(some))


def is_struct(kind: Any) -> bool:
    """Say whether a type has fields."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _said(what: str) -> str:
    if what in INVALID:
        return INVALID[what][0]
    if found := _GOT.fullmatch(what):
        wanted, got = _wanted(found[1]), found[2]
        return f"is to be {WANTED.get(wanted, wanted)}, not {STANDING.get(got, got)}"
    if found := _LONG.fullmatch(what):
        if (found[2], found[3]) == (">=", "1"):
            return "may not be empty"
        many = f"{LENGTH[found[2]]}{found[3]}"
        return f"is to have {many} characters" if found[1] == "str" else f"is to hold {many}"
    if found := _BOUND.fullmatch(what):
        return BOUND[found[2]].format(found[3])
    if found := _MULTIPLE.fullmatch(what):
        return f"is to be a multiple of {found[2]}"
    if _FORM.fullmatch(what):
        return "is not of the form that is asked for"
    if _ZONE.fullmatch(what):
        return "has no zone"
    if found := _ONE_OF.fullmatch(what):
        return f"cannot be {found[1]}"
    return what


def _todo(what: str) -> str:
    if what in INVALID:
        return INVALID[what][1]
    if found := _GOT.fullmatch(what):
        if found[2] == "null":
            return "write it, or take the field away"
        return "write a whole number" if found[2] == "float" else TODO.get(_wanted(found[1]), "")
    if found := _FORM.fullmatch(what):
        return f"it must match {found[2]}"
    return MOMENT if _ZONE.fullmatch(what) else ""


def _wanted(kinds: str) -> str:
    """The type to write, of those that may stand there: never "nothing", a number over a whole."""
    some = [one for one in kinds.split(" | ") if one != "null"] or ["null"]
    if "str" in some and {"int", "float"} & set(some):
        return "either"
    return "float" if "float" in some else some[0]
