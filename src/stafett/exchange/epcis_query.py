"""The EPCIS 2.0 query language: parameters in, one condition per parameter out.

All parameters are joined by AND; the values of one by OR (EPCIS 2.0 §8.2.7.1). A condition asks
for one of some tokens, compares numbers or times, or tests a pattern. `matches` evaluates a query
on an event's facts in memory; the store turns the same query into SQL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from stafett.exchange import cbv
from stafett.exchange.epcis_facts import (
    SENSOR_TEXTS,
    SENSOR_VALUES,
    SENSOR_WORDS,
    Facts,
    micros,
    plain,
    word,
)
from stafett.exchange.gs1link import canonical, pattern
from stafett.exchange.problem import Finding, Problem, pointer
from stafett.exchange.units import base

Json = dict[str, Any]
MAX_VALUES: Final = 2_000  # values in one parameter


class OneOf(msgspec.Struct, frozen=True):
    """The event holds at least one of these tokens."""

    tokens: frozenset[str]


class Compare(msgspec.Struct, frozen=True):
    """A number of the event under one of these names compares so with one of the values."""

    names: tuple[str, ...]
    operator: str
    values: tuple[float, ...]


class When(msgspec.Struct, frozen=True):
    """A time of the event (`event`, `record`, `error`; µs since 1970) compares so."""

    clock: str
    operator: str
    value: int


class Like(msgspec.Struct, frozen=True):
    """A token under one of these names matches one of the patterns, or is one of the tokens."""

    names: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    tokens: frozenset[str]


class Within(msgspec.Struct, frozen=True):
    """The place is one of these or lies below one, by master data (`WD_readPoint`)."""

    name: str
    places: frozenset[str]


class Attribute(msgspec.Struct, frozen=True):
    """The field's value has, by master data, one of these attributes (with one of the values)."""

    names: tuple[str, ...]
    attributes: frozenset[str]
    values: frozenset[str] | None = None


Condition = OneOf | Compare | When | Like | Within | Attribute


class Query(msgspec.Struct, frozen=True):
    """A checked query. `limit` is eventCountLimit, `ceiling` is maxEventCount.

    `order_by` is eventTime, recordTime or an extension's field; `order_fields` are the names that
    the latter may have in an event's facts.
    """

    conditions: tuple[Condition, ...] = ()
    order_by: str = ""
    descending: bool = True
    limit: int | None = None
    ceiling: int | None = None
    order_fields: tuple[str, ...] = ()


OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "EQ": lambda a, b: a == b,
    "GT": lambda a, b: a > b,
    "GE": lambda a, b: a >= b,
    "LT": lambda a, b: a < b,
    "LE": lambda a, b: a <= b,
}
ANY_EPC: Final = ("epc", "parentID", "inputEPC", "outputEPC")
ANY_CLASS: Final = ("epcClass", "inputEPCClass", "outputEPCClass")
MATCHES: Final = {
    "MATCH_epc": ("epc",), "MATCH_parentID": ("parentID",), "MATCH_inputEPC": ("inputEPC",),
    "MATCH_outputEPC": ("outputEPC",), "MATCH_anyEPC": ANY_EPC, "MATCH_epcClass": ("epcClass",),
    "MATCH_inputEPCClass": ("inputEPCClass",), "MATCH_outputEPCClass": ("outputEPCClass",),
    "MATCH_anyEPCClass": ANY_CLASS,
}  # fmt: skip
URIS: Final = {"EQ_readPoint": "readPoint", "EQ_bizLocation": "bizLocation",
               "EQ_transformationID": "transformationID"}  # fmt: skip
WORDS: Final = {
    "EQ_bizStep": ("bizStep", "bizStep"), "EQ_disposition": ("disposition", "disposition"),
    "EQ_persistentDisposition_set": ("persistent.set", "disposition"),
    "EQ_persistentDisposition_unset": ("persistent.unset", "disposition"),
    "EQ_errorReason": ("errorReason", "errorReason"),
}  # fmt: skip
TIMES: Final = {"eventTime": "event", "recordTime": "record", "errorDeclarationTime": "error",
                "errorDeclaration_Time": "error"}  # fmt: skip
LEVELS: Final = ("ILMD", "ERROR_DECLARATION", "SENSORELEMENT", "SENSORMETADATA", "SENSORREPORT",
                 "readPoint", "bizLocation")  # fmt: skip
EXISTS: Final = {"errorDeclaration", "sensorElementList", "persistentDisposition", "ilmd"}
CONTROLS: Final = ("orderBy", "orderDirection", "eventCountLimit", "maxEventCount")
_SIDES: Final = ("SENSORMETADATA", "SENSORREPORT")
_READING: Final = re.compile(
    rf"^(?:SENSORREPORT_)?({'|'.join(sorted(SENSOR_VALUES | {'sDev'}))})(?:_([A-Z0-9]{{2,4}}))?$"
)


class _Reader:
    """Turns parameters into conditions; holds what names mean."""

    def __init__(self, names: Callable[[str], Sequence[str]], text: bool) -> None:
        self.names = names
        self.text = text

    def condition(self, name: str, value: Any) -> Condition:
        if name == "eventType":
            return self.event_types(name, value)
        operator, _, field = name.partition("_")
        if operator == "MATCH" and name in MATCHES:
            return self.match(name, value)
        if operator == "WD" and field in ("readPoint", "bizLocation"):
            return Within(field, frozenset(canonical(v) for v in self.texts(name, value)))
        if operator == "HASATTR":
            return Attribute(
                self.holders(name, field), frozenset(self.texts(name, value, single=True))
            )
        if operator == "EQATTR":
            field, _, attribute = field.partition("_")
            if not attribute:
                raise _wrong(name, "write EQATTR_field_attribute")
            values = frozenset(plain(v) for v in self.texts(name, value))
            return Attribute(self.holders(name, field), frozenset([attribute]), values)
        if operator == "EXISTS" and field:
            return self.exists(name, field, value)
        if operator == "EQ" and field:
            return self.equal(name, field, value)
        if operator in OPERATORS and field:
            return self.compare(name, operator, field, value)
        raise _unknown(name)

    def event_types(self, name: str, value: Any) -> Condition:
        found = set()
        for kind in self.texts(name, value):
            if kind in cbv.EVENT_TYPES:
                found.add(f"type={kind}")
            elif ":" in kind:
                found |= {f"type={full}" for full in self.names(kind)}
            else:
                raise _wrong(name, f"{kind!r} is no event type of EPCIS 2.0 and no URI")
        return OneOf(frozenset(found))

    def match(self, name: str, value: Any) -> Condition:
        fields, tokens, patterns = MATCHES[name], set(), []
        for uri in self.texts(name, value):
            link = canonical(uri)
            regex = pattern(uri)
            if regex is None:
                tokens |= {f"{field}={link}" for field in fields}
            elif link != uri:  # fixed down to the class: the class has its own token
                tokens |= {f"{field}^{link}" for field in fields}
                tokens |= {f"{field}={link}" for field in fields}
            else:
                patterns.append(regex)
        if patterns:
            return Like(fields, tuple(patterns), frozenset(tokens))
        return OneOf(frozenset(tokens))

    def equal(self, name: str, field: str, value: Any) -> Condition:
        if field == "action":
            actions = self.texts(name, value)
            for action in actions:
                if action not in cbv.ACTIONS:
                    raise _wrong(name, f"{action!r} is none of {', '.join(cbv.ACTIONS)}")
            return OneOf(frozenset(f"action={a}" for a in actions))
        if name in WORDS:
            token, vocabulary = WORDS[name]
            return self.word_tokens([token], vocabulary, self.texts(name, value))
        if name in URIS:
            return OneOf(frozenset(f"{URIS[name]}={canonical(v)}" for v in self.texts(name, value)))
        if field in ("eventID", "correctiveEventID"):
            return OneOf(frozenset(f"{field}={v}" for v in self.texts(name, value)))
        for kind, vocabulary in (
            ("bizTransaction", "bizTransaction"),
            ("source", "sourceDest"),
            ("destination", "sourceDest"),
        ):
            if field == kind or field.startswith(kind + "_"):
                types = self.word_forms(vocabulary, field[len(kind) + 1 :])
                links = [canonical(v) for v in self.texts(name, value)]
                return OneOf(frozenset(f"{kind}.{t}={link}" for t in types for link in links))
        side, inner = _side(field)
        if inner in SENSOR_WORDS:
            tokens = [f"{s}.{inner}" for s in side]
            return self.word_tokens(tokens, SENSOR_WORDS[inner], self.texts(name, value))
        if inner in SENSOR_TEXTS:
            values = self.scalars(name, value)
            return OneOf(frozenset(f"{s}.{inner}={plain(v)}" for s in side for v in values))
        numbers = self.number_names(name, field)
        if numbers is not None:
            names, shift = numbers
            return Compare(
                names, "EQ", tuple(shift(self.number(name, v)) for v in self.scalars(name, value))
            )
        if inner == "time":
            moments = [self.moment(name, v) / 1e6 for v in self.texts(name, value)]
            return Compare(tuple(f"{s}.time@t" for s in side), "EQ", tuple(moments))
        keys = self.extension(name, field)
        return OneOf(frozenset(f"{k}={plain(v)}" for k in keys for v in self.scalars(name, value)))

    def compare(self, name: str, operator: str, field: str, value: Any) -> Condition:
        if field in TIMES:
            return When(TIMES[field], operator, self.moment(name, value))
        side, inner = _side(field)
        if inner in ("time", "startTime", "endTime"):
            return Compare(
                tuple(f"{s}.{inner}@t" for s in side), operator, (self.moment(name, value) / 1e6,)
            )
        numbers = self.number_names(name, field)
        if numbers is not None:
            names, shift = numbers
            return Compare(names, operator, (shift(self.number(name, value)),))
        keys = tuple(self.extension(name, field))
        try:
            return Compare(keys, operator, (self.number(name, value),))
        except Problem:
            moment = self.moment(name, value) / 1e6
            return Compare(tuple(f"{k}@t" for k in keys), operator, (moment,))

    def number_names(
        self, name: str, field: str
    ) -> tuple[tuple[str, ...], Callable[[float], float]] | None:
        if field == "percRank":
            return ("percRank",), float
        if field == "quantity" or re.fullmatch(r"quantity_[A-Z0-9]{2,4}", field):
            unit = field.partition("_")[2]
            if not unit:
                return ("quantity:",), float
            return (f"quantity:{base(0, unit)[1]}",), lambda v: base(v, unit)[0]
        reading = _READING.match(field)
        if reading is None:
            return None
        kind, unit = reading[1], reading[2] or ""
        return (f"{kind}:{base(0, unit)[1]}",), lambda v: base(v, unit, difference=kind == "sDev")[
            0
        ]

    def exists(self, name: str, field: str, value: Any) -> Condition:
        if value is False or value == "false":
            raise _wrong(name, "EXISTS_ parameters can only ask that a field is there")
        if field == "sensorElement":  # so written in TCR-53
            field = "sensorElementList"
        if field in EXISTS:
            return OneOf(frozenset([f"has={field}"]))
        return OneOf(frozenset(self.extension(name, field)))

    def extension(self, name: str, field: str) -> list[str]:
        inner = ""
        if field.startswith("INNER_"):
            inner, field = "INNER_", field[6:]
        level = next((lv for lv in LEVELS if field.startswith(lv + "_")), "")
        if level:
            field = field[len(level) + 1 :]
        if ":" not in field:
            raise _unknown(name)
        return [f"{inner}{level}:{full}" for full in self.names(field)]

    def holders(self, name: str, field: str) -> tuple[str, ...]:
        """Give the token names under which a field's value stands, for master data."""
        known = {
            "readPoint": ("readPoint",), "bizLocation": ("bizLocation",), "bizStep": ("bizStep",),
            "disposition": ("disposition",), "epcClass": ANY_CLASS, "epc": ANY_EPC,
            "bizTransaction": ("bizTransaction.",), "source": ("source.",),
            "destination": ("destination.",),
        }  # fmt: skip
        if field in known:
            return known[field]
        return tuple(self.extension(name, field))

    def word_forms(self, vocabulary: str, value: str) -> list[str]:
        uri = cbv.web_uri(vocabulary, value) if value else ""
        if uri == value and ":" in value and "//" not in value and not value.startswith("urn:"):
            return [_unbrace(full) for full in self.names(value)]
        return [uri]

    def word_tokens(self, tokens: list[str], vocabulary: str, values: list[str]) -> Condition:
        return OneOf(
            frozenset(
                f"{t}={word(vocabulary, form, {})}"
                for t in tokens
                for v in values
                for form in self.word_forms(vocabulary, v)
            )
        )

    def texts(self, name: str, value: Any, *, single: bool = False) -> list[str]:
        values = self.scalars(name, value)
        for item in values:
            if not isinstance(item, str) or not item:
                raise _wrong(name, f"{item!r} is no text; give a list of texts")
        return values

    def scalars(self, name: str, value: Any) -> list[Any]:
        if self.text and isinstance(value, str):
            value = value.split("|")
        values = value if isinstance(value, list) else [value]
        if not values or any(isinstance(v, dict | list) or v is None for v in values):
            raise _wrong(name, "give at least one value, and only single values")
        if len(values) > MAX_VALUES:
            raise Problem(
                413,
                "QueryTooComplexException",
                f"{name} has {len(values):,} values; this server takes {MAX_VALUES:,}",
            )
        return values

    def number(self, name: str, value: Any) -> float:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise _wrong(name, f"{value!r} is no number")
        try:
            found = float(value)
        except (ValueError, OverflowError):
            raise _wrong(name, f"{value!r} is no number") from None
        if not math.isfinite(found):
            raise _wrong(name, f"{value!r} is no finite number")
        return found

    def moment(self, name: str, value: Any) -> int:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        try:
            # A plus sign in a URL arrives as a blank when the client did not escape it.
            return micros(value.replace(" ", "+") if self.text else value)
        except (ValueError, OverflowError, AttributeError, TypeError):
            raise _wrong(name, f"{value!r} is no time with zone (RFC 3339)") from None


def _side(field: str) -> tuple[tuple[str, ...], str]:
    for side in _SIDES:
        if field.startswith(side + "_"):
            return (side,), field[len(side) + 1 :]
    return _SIDES, field


def _unbrace(full: str) -> str:
    return full[1:].replace("}", "", 1) if full.startswith("{") else full


def _wrong(name: str, why: str) -> Problem:
    return Problem(400, "QueryParameterException", f"{name}: {why}", [Finding(pointer(name), why)])


def _unknown(name: str) -> Problem:
    return _wrong(name, "no parameter of EPCIS 2.0 (an extension's field is written prefix:name)")


def read_query(
    parameters: Mapping[str, Any],
    names: Callable[[str], Sequence[str]] = lambda name: [name],
    *,
    text: bool = False,
) -> Query:
    """Check parameters and give the query; raise `Problem` 400 that names the parameter.

    `names` gives the full names an extension's `prefix:name` may stand for. `text` says that the
    values come from a URL: lists are joined by `|`, numbers are texts.
    """
    reader = _Reader(names, text)
    conditions = [
        reader.condition(name, value) for name, value in parameters.items() if name not in CONTROLS
    ]
    order, direction = parameters.get("orderBy"), parameters.get("orderDirection", "DESC")
    fields: tuple[str, ...] = ()
    if order is not None and order not in ("eventTime", "recordTime"):
        if not isinstance(order, str) or ":" not in order:
            raise _wrong("orderBy", f"{order!r} is none of eventTime, recordTime and prefix:name")
        fields = tuple(reader.extension("orderBy", order))
    if direction not in ("ASC", "DESC"):
        raise _wrong("orderDirection", f"{direction!r} is neither ASC nor DESC")
    if "orderDirection" in parameters and order is None:
        raise _wrong("orderDirection", "needs orderBy")
    limit = _count(reader, parameters, "eventCountLimit")
    ceiling = _count(reader, parameters, "maxEventCount")
    if limit is not None and ceiling is not None:
        raise _wrong("maxEventCount", "cannot be given together with eventCountLimit")
    if limit is not None and order is None:
        raise _wrong("eventCountLimit", "needs orderBy: which events come first?")
    return Query(tuple(conditions), order or "", direction == "DESC", limit, ceiling, fields)


def _count(reader: _Reader, parameters: Mapping[str, Any], name: str) -> int | None:
    if name not in parameters:
        return None
    found = reader.number(name, parameters[name])
    if found != int(found) or found < 1:
        raise _wrong(name, f"{parameters[name]!r} is no count of at least 1")
    return int(found)


def matches(query: Query, event: Facts, record_time: int = 0) -> bool:
    """Tell whether an event answers a query (without its order and limits).

    `Within` and `Attribute` need master data and must have been resolved (see `resolve`).
    """
    return all(_holds(c, event, record_time) for c in query.conditions)


def _holds(condition: Condition, event: Facts, record_time: int) -> bool:
    if isinstance(condition, OneOf):
        return not condition.tokens.isdisjoint(event.tokens)
    if isinstance(condition, Compare):
        compare = OPERATORS[condition.operator]
        return any(
            n in condition.names and any(compare(v, w) for w in condition.values)
            for n, v in event.numbers
        )
    if isinstance(condition, When):
        clock = {
            "event": event.event_time, "record": record_time, "error": event.error_time,
        }[condition.clock]  # fmt: skip
        return clock is not None and OPERATORS[condition.operator](clock, condition.value)
    if isinstance(condition, Like):
        return like(condition, event.tokens)
    raise TypeError(f"{type(condition).__name__} needs master data: resolve the query first")


def like(condition: Like, tokens: set[str]) -> bool:
    """Tell whether one of the tokens meets a pattern condition."""
    if not condition.tokens.isdisjoint(tokens):
        return True
    for token in tokens:
        name, equals, value = token.partition("=")
        if not equals or name not in condition.names:
            continue
        if any(p.fullmatch(value) for p in condition.patterns):
            return True
    return False


def resolve(
    query: Query,
    below: Callable[[frozenset[str]], set[str]],
    having: Callable[[frozenset[str], frozenset[str] | None], set[str]],
) -> Query:
    """Replace what needs master data by plain tokens.

    `below(places)` gives them and all their descendants; `having(attributes, values)` gives the
    vocabulary elements with one of the attributes (with one of the values, if not None).
    """
    out: list[Condition] = []
    for condition in query.conditions:
        if isinstance(condition, Within):
            condition = OneOf(frozenset(f"{condition.name}={p}" for p in below(condition.places)))
        elif isinstance(condition, Attribute):
            elements = having(condition.attributes, condition.values)
            condition = OneOf(
                frozenset(t for n in condition.names for e in elements for t in _holding(n, e))
            )
        out.append(condition)
    return msgspec.structs.replace(query, conditions=tuple(out))


def _holding(name: str, element: str) -> list[str]:
    if name.endswith("."):  # business transactions, sources and destinations carry a type
        vocabulary = "bizTransaction" if name == "bizTransaction." else "sourceDest"
        kinds = [cbv.web_uri(vocabulary, w) for w in cbv.KINDS[vocabulary][2]]
        return [f"{name}{kind}={element}" for kind in kinds]
    if name in ANY_CLASS or name in ANY_EPC:
        return [f"{name}={element}", f"{name}^{element}"]
    return [f"{name}={element}"]
