"""Reading a protocol file, so that each error names file, line and column.

YAML is parsed to nodes, which keep their positions; the plain value is then checked against
`stafett.protocol.model`. A path in an error (`$.handoffs.H08.release.checks[2].kind`) is led back
to the node it came from. `${name}` is replaced by the product's parameter before the check.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from stafett.protocol.duration import Duration
from stafett.protocol.misfit import plainer
from stafett.protocol.model import Protocol

MAX_BYTES = 2_000_000
OVERSIZE = "is it the right file? A protocol or a network takes a tenth of that"
MAX_DEPTH = 40
_PARAMETER = re.compile(r"^\$\{([a-z][a-z0-9_]*)\}$")
_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]")
_MAPPING, _SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
# A protocol in which nothing is wrong, with nothing in it: what is tried by itself is put into it.
_FRAME: dict[str, Any] = {
    "stafett": 1,
    "protocol": "x",
    "version": "1",
    "title": "x",
    "family": "autologous",
    "owner": "x",
    **{
        section: {}
        for section in (
            "roles",
            "identifiers",
            "deviations",
            "materials",
            "steps",
            "handoffs",
            "interrupts",
            "outcomes",
        )
    },
}
_BIGGEST = 2**53  # the integers that JSON and a double carry exactly

Path_ = tuple[str | int, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file. Line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ReadError(ValueError):
    """A file that is not a protocol: `place`, `what` is wrong and what to do about it."""

    def __init__(self, place: Place, what: str, todo: str = "") -> None:
        super().__init__(f"{place}: {what}" + (f" ({todo})" if todo else ""))
        self.place, self.what, self.todo = place, what, todo


@dataclass(frozen=True)
class Document:
    """A parsed file: the plain value, and where each part of it stands."""

    file: str
    value: dict[str, Any]
    places: dict[Path_, Place] = field(repr=False)
    _bound: dict[str | None, Protocol] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def place(self, *path: str | int) -> Place:
        """Return the place of `path`, or of the nearest part around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return Place(self.file, 1, 1)

    def at(self, *path: str | int) -> Any:
        """Return the value written at `path` (parameters not filled in); None if there is none."""
        part: Any = self.value
        for step in path:
            try:
                part = part[step]
            except (KeyError, IndexError, TypeError):
                return None
        return part

    @property
    def products(self) -> tuple[str, ...]:
        """The products that this protocol can be bound to; none if it takes no parameters."""
        products = self.value.get("products")
        return tuple(products) if isinstance(products, dict) else ()

    def bind(self, product: str | None = None) -> Protocol:
        """Fill in the parameters of `product` (default: the first) and check the types.

        Done once for each product: a document does not change after it is read.
        """
        if product is None:
            product = next(iter(self.products), None)
        elif product not in self.products:
            known = ", ".join(self.products) or "none"
            raise ReadError(self.place("products"), f"no product {product!r}", f"it knows: {known}")
        if product not in self._bound:
            filled = self._fill(self.value, self._parameters(product), product, ())
            self._bound[product] = self.convert(filled, Protocol)
        return self._bound[product]

    def convert(self, value: Any, kind: type[T]) -> T:
        """Check `value` (of this document, or made from it) against `kind`; else ReadError."""
        try:
            return msgspec.convert(value, kind, dec_hook=_decode, strict=True)
        except msgspec.ValidationError as error:
            raise self._error(value, error, kind) from None

    def problems(self, product: str | None = None) -> list[ReadError]:
        """Return every ReadError of `bind`, not only the first: one for each wrong entry."""
        try:
            self.bind(product)
        except ReadError as error:
            first = error
        else:
            return []
        one = product if product in self.products else next(iter(self.products), None)
        try:
            bound = self._fill(self.value, self._parameters(one), one, ())
        except ReadError:
            return [first]
        # Each part is tried alone in a frame that is right: what is wrong elsewhere hides nothing.
        tries: list[dict[str, Any]] = []
        for known in msgspec.structs.fields(Protocol):
            if known.required and known.name not in bound:
                tries.append({k: v for k, v in _FRAME.items() if k != known.name})
        for key, part in bound.items():
            if isinstance(part, dict) and key not in ("title", "summary", "scans"):
                tries += [{**_FRAME, key: {name: entry}} for name, entry in part.items()]
                part = {}
            tries.append({**_FRAME, key: part})
        found = {str(first): first}
        for value in tries:
            try:
                msgspec.convert(value, Protocol, dec_hook=_decode, strict=True)
            except msgspec.ValidationError as error:
                one_error = self._error(value, error)
                found.setdefault(str(one_error), one_error)
        return sorted(found.values(), key=lambda error: error.place)

    def _error(
        self, value: Any, error: msgspec.ValidationError, kind: type[Any] = Protocol
    ) -> ReadError:
        what, path = _located(value, str(error), kind)
        if kind is not Protocol:
            return ReadError(self.place(*path), f"{what} (at {_dotted(path)})")
        plain, path, todo = plainer(what, value, path)
        return ReadError(self.place(*path), plain, todo)

    def _parameters(self, product: str | None) -> dict[str, Any]:
        entry = self.value["products"][product] if product is not None else {}
        given = entry.get("parameters", {}) if isinstance(entry, dict) else {}
        if not isinstance(given, dict):
            return {}
        return {k: v.get("value") for k, v in given.items() if isinstance(v, dict)}

    def _fill(self, value: Any, parameters: dict[str, Any], product: str | None, at: Path_) -> Any:
        if at == ("products",):
            return value
        if isinstance(value, dict):
            return {k: self._fill(v, parameters, product, (*at, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [self._fill(v, parameters, product, (*at, i)) for i, v in enumerate(value)]
        if isinstance(value, str) and (found := _PARAMETER.match(value)):
            if found[1] not in parameters:
                known = ", ".join(parameters) or "none"
                whose = f"product {product!r}" if product else "a protocol without products"
                raise ReadError(
                    self.place(*at),
                    f"{whose} has no parameter {found[1]!r}",
                    f"it has: {known}",
                )
            return parameters[found[1]]
        return value


def _located(value: Any, message: str, kind: type[Any] = Protocol) -> tuple[str, Path_]:
    """Split msgspec's message into what is wrong and the path of the part that is.

    msgspec does not say which key of a mapping it was in (`$.steps[...].after`): each one is tried
    by itself until the same message comes again.
    """
    what, _, where = message.partition(" - at ")
    path: Path_ = ()
    for name, index in _STEP.findall(where.rpartition("`$")[2].strip("`")):
        if index != "...":
            path = (*path, int(index) if index else name)
            continue
        part = value
        for step in path:
            part = part[step]
        for key in part:
            only = _replaced(value, path, {key: part[key]})
            try:
                msgspec.convert(only, kind, dec_hook=_decode, strict=True)
            except msgspec.ValidationError as error:
                if str(error) == message:
                    value, path = only, (*path, key)
                    break
        else:
            break
    return what, path


def _replaced(value: Any, path: Path_, part: Any) -> Any:
    """Return a copy of `value` with `part` at `path`."""
    if not path:
        return part
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], part)
    return copy


def read(file: Path | str) -> Document:
    """Parse `file`; raise ReadError (with its place) if it is not a YAML mapping."""
    path = Path(file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(
            Place(str(file), 1, 1), f"cannot be read: {error.strerror}", "check the path"
        ) from None
    return parse(data, str(file))


def parse(data: bytes | str, file: str = "<text>") -> Document:
    """Parse YAML text into a Document; `file` is only named in errors."""
    start = Place(file, 1, 1)
    if len(data) > MAX_BYTES:
        raise ReadError(
            start, f"the file has {len(data):,} bytes, and at most {MAX_BYTES:,} are read", OVERSIZE
        )
    try:
        _check_depth(data, file)
        node = yaml.compose(data, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else start
        problem = str(error.problem or error.context)
        raise ReadError(place, f"not YAML: {problem}", _yaml_todo(problem)) from None
    except yaml.reader.ReaderError as error:
        raise _unreadable(data, error, file) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ReadError(start, f"not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ReadError(start, "nested too deeply", "a protocol needs few levels") from None
    if not isinstance(node, yaml.MappingNode):
        raise ReadError(start, "not a mapping at the top", "begin with `stafett: 1`")
    places: dict[Path_, Place] = {}
    value = _plain(node, (), places, file)
    return Document(file, value, places)


def _unreadable(data: bytes | str, error: yaml.reader.ReaderError, file: str) -> ReadError:
    """Say where the bytes are no text (libyaml counts them from 0), or a character that is none."""
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "replace")
    at = error.position
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as wrong:
        at = wrong.start  # where the letter begins; libyaml names a byte within it
    before = raw[:at].decode("utf-8", "replace").splitlines(keepends=True) or [""]
    whole = before[-1].endswith(("\n", "\r"))
    line, column = len(before) + whole, 1 if whole else len(before[-1]) + 1
    place = Place(file, line, column)
    if "control" in str(error.reason):
        character = ord(error.character) if isinstance(error.character, str) else error.character
        what = f"the character U+{character:04X}, which nobody sees, is no text"
        return ReadError(place, what, "take it out: was the file cut off or copied badly?")
    return ReadError(place, "not text in UTF-8", "is it a protocol? Save it as UTF-8")


# What YAML's own words mean to who wrote the file.
_YAML_TODO = {
    "mapping values are not allowed": (
        "put text that holds `: ` in quotes; indent what belongs together alike"
    ),
    "did not find expected ',' or": (
        "close the brace, bracket or quote; inside braces, put `${name}` and text with a comma in "
        "quotes"
    ),
    "found character that cannot start any token": (
        "indent with spaces, not with tabs; put text that begins with @ or ` in quotes"
    ),
    "tab character": "indent with spaces, not with tabs",
    "found undefined alias": (
        "define it further up with `&name`; put text that begins with * in quotes"
    ),
    "found another document": "one protocol in a file: take `---` away",
    "found unexpected end of stream": "close the quote",
    "did not find expected key": "indent what belongs together alike",
    "could not find expected ':'": "write `name: value`; indent what belongs together alike",
}


def _yaml_todo(problem: str) -> str:
    return next((todo for said, todo in _YAML_TODO.items() if said in problem), "")


def _check_depth(data: bytes | str, file: str) -> None:
    # The composer of libyaml recurses on the C stack and would bring the process down.
    depth = 0
    for event in yaml.parse(data, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            mark = event.start_mark
            place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
            raise ReadError(place, "nested too deeply", "a protocol needs few levels")


def _plain(node: yaml.Node, path: Path_, places: dict[Path_, Place], file: str) -> Any:
    place = Place(file, node.start_mark.line + 1, node.start_mark.column + 1)
    places.setdefault(path, place)
    if len(path) > MAX_DEPTH:
        raise ReadError(place, "nested too deeply", "a protocol needs few levels")
    if len(places) > 200_000:
        raise ReadError(place, "too many parts", "anchors that repeat themselves are not allowed")
    if isinstance(node, yaml.CollectionNode) and node.tag not in (_MAPPING, _SEQUENCE):
        raise ReadError(place, f"the tag {node.tag!r} is not known here", "leave it out")
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = Place(file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                raise ReadError(at, "a key must be plain text")
            # `on`, `yes` and numbers are names here, not booleans.
            key = str(key_node.value)
            if key in result:
                raise ReadError(at, f"{key!r} is here twice", "keep one of them")
            places[(*path, key)] = at
            result[key] = _plain(value_node, (*path, key), places, file)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(n, (*path, i), places, file) for i, n in enumerate(node.value)]
    return _scalar(node, place)


def _scalar(node: yaml.Node, place: Place) -> str | int | float | bool | None:
    """Read text, numbers, true/false and null; all else, dates and times of day too, stays text."""
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "str" | "timestamp" | "value" | "merge":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() in ("true", "yes", "on")
        case "int" | "float" if ":" in text:
            return text  # 12:30 is a time of day, not 750
        case "int" | "float" as kind:
            return _number(text, kind, place)
    raise ReadError(place, f"the tag {node.tag!r} is not known here", "write it as plain text")


def _number(text: str, kind: str, place: Place) -> int | float:
    try:
        digits = text.replace("_", "")
        number = float(digits.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if kind == "int":
            number = int(digits, 0 if digits.lower().lstrip("+-").startswith(("0x", "0b")) else 10)
    except (ValueError, OverflowError):
        short = text if len(text) <= 40 else text[:40] + "..."
        raise ReadError(place, f"{short!r} is not a number", "put text in quotes") from None
    if not math.isfinite(number) or abs(number) > _BIGGEST:
        raise ReadError(place, "not a number that can be used", f"at most {_BIGGEST}")
    return number


def _decode(kind: type, value: Any) -> Any:
    if kind is Duration:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a duration: write a number and a unit, like 48 h")
        return Duration.parse(value)
    raise NotImplementedError(kind)


def _dotted(path: Path_) -> str:
    return ".".join(str(part) for part in path) or "the top"
