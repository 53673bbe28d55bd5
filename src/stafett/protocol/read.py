"""Reading a protocol file, so that each error names file, line and column.

YAML is parsed to nodes, which keep their positions; the plain value is then checked against
`stafett.protocol.model`. A path in an error (`$.handoffs.H08.release.checks[2].kind`) is led back
to the node it came from. `${name}` is replaced by the product's parameter before the check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from stafett.protocol.duration import Duration
from stafett.protocol.model import Protocol

MAX_BYTES = 2_000_000
MAX_DEPTH = 40
_PARAMETER = re.compile(r"^\$\{([a-z][a-z0-9_]*)\}$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]|`([^`]*)`")

Path_ = tuple[str | int, ...]


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

    def place(self, *path: str | int) -> Place:
        """Return the place of `path`, or of the nearest part around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return Place(self.file, 1, 1)

    @property
    def products(self) -> tuple[str, ...]:
        """The products that this protocol can be bound to; none if it takes no parameters."""
        products = self.value.get("products")
        return tuple(products) if isinstance(products, dict) else ()

    def bind(self, product: str | None = None) -> Protocol:
        """Fill in the parameters of `product` (default: the first) and check the types."""
        if product is None:
            product = next(iter(self.products), None)
        elif product not in self.products:
            known = ", ".join(self.products) or "none"
            raise ReadError(self.place("products"), f"no product {product!r}", f"it knows: {known}")
        value = self.value
        parameters: dict[str, Any] = {}
        if product is not None:
            entry = value["products"][product]
            given = entry.get("parameters", {}) if isinstance(entry, dict) else {}
            if isinstance(given, dict):
                parameters = {k: v.get("value") for k, v in given.items() if isinstance(v, dict)}
        bound = self._fill(value, parameters, product, ())
        try:
            return msgspec.convert(bound, Protocol, dec_hook=_decode, strict=True)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at ")
            path = self._path(where.strip("`"))
            raise ReadError(self.place(*path), f"{what} (at {_dotted(path)})") from None

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
                raise ReadError(
                    self.place(*at),
                    f"product {product!r} has no parameter {found[1]!r}",
                    f"it has: {known}",
                )
            return parameters[found[1]]
        return value

    def _path(self, dotted: str) -> Path_:
        """Lead msgspec's path, in which keys of mappings are `[...]`, back to real keys."""
        path: Path_ = ()
        for name, index, _ in _STEP.findall(dotted):
            if index == "...":
                return self._unnamed(path, dotted)
            path = (*path, int(index) if index else name)
        return path

    def _unnamed(self, path: Path_, dotted: str) -> Path_:
        # msgspec does not say which key of a mapping it was in: try each one by itself.
        value = self._at(path)
        if not isinstance(value, dict) or len(path) != 1:
            return path
        for key in value:
            only: dict[str, Any] = {**self.value, str(path[0]): {key: value[key]}}
            try:
                msgspec.convert(only, Protocol, dec_hook=_decode, strict=True)
            except msgspec.ValidationError as error:
                tail = str(error).partition(" - at ")[2].strip("`").partition("[...]")[2]
                return (*path, key, *self._path(tail))
        return path

    def _at(self, path: Path_) -> Any:
        value: Any = self.value
        for part in path:
            value = value[part]
        return value


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
        raise ReadError(start, f"larger than {MAX_BYTES} bytes", "is it a protocol?")
    try:
        node = yaml.compose(data, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else start
        raise ReadError(place, f"not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ReadError(start, f"not YAML: {error}") from None
    except RecursionError:
        raise ReadError(start, "nested too deeply", "a protocol needs few levels") from None
    if not isinstance(node, yaml.MappingNode):
        raise ReadError(start, "not a mapping at the top", "begin with `stafett: 1`")
    places: dict[Path_, Place] = {}
    value = _plain(node, (), places, file)
    return Document(file, value, places)


def _plain(node: yaml.Node, path: Path_, places: dict[Path_, Place], file: str) -> Any:
    place = Place(file, node.start_mark.line + 1, node.start_mark.column + 1)
    places.setdefault(path, place)
    if len(path) > MAX_DEPTH:
        raise ReadError(place, "nested too deeply", "a protocol needs few levels")
    if len(places) > 200_000:
        raise ReadError(place, "too many parts", "anchors that repeat themselves are not allowed")
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


def _scalar(node: yaml.Node, place: Place) -> Any:
    try:
        return _CONSTRUCTOR.construct_object(node)
    except (yaml.YAMLError, ValueError):
        raise ReadError(place, f"{node.value!r} cannot be read as {node.tag}") from None


class _Constructor(yaml.constructor.SafeConstructor):
    """Plain scalars only: text, numbers, true/false, null; a date stays text."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda constructor, node: node.value)
_CONSTRUCTOR = _Constructor()


def _decode(kind: type, value: Any) -> Any:
    if kind is Duration:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a duration: write a number and a unit, like 48 h")
        return Duration.parse(value)
    raise NotImplementedError(kind)


def _dotted(path: Path_) -> str:
    return ".".join(str(part) for part in path) or "the top"
