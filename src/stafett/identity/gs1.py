"""GS1 keys: element strings, check digits, EPC URN and Digital Link.

Application identifiers and their formats come from the library `biip` (GS1 General
Specifications); this module adds what it leaves out: check digits refuse, keys that exclude or
need each other, one canonical spelling for a key however it was written. Sources: GS1 General
Specifications, EPC Tag Data Standard (URN forms), GS1 Digital Link 1.x (paths).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from biip import ParseError
from biip.gs1_messages import GS1Message

from stafett.identity.check import gs1_check_digit
from stafett.identity.errors import IdentifierError, Reason

GS = "\x1d"
"""Group separator: what FNC1 becomes inside the scanned string."""

KEYS = {
    "00": "SSCC",
    "01": "GTIN",
    "253": "GDTI",
    **{f"41{n}": "GLN" for n in range(8)},
    "8003": "GRAI",
    "8004": "GIAI",
    "8017": "GSRN provider",
    "8018": "GSRN recipient",
}
"""Application identifiers that name something, and the name of the key."""

USED = {
    "10": "lot",
    "17": "expiry date",
    "21": "serial",
    "254": "GLN extension",
    "4324": "not before",
    "4325": "not after",
    "4331": "maximum temperature",
    "4333": "minimum temperature",
    "7003": "expiry date and time",
    "7240": "protocol",
    "7241": "AIDC media type",
    "7242": "version control number",
    "8019": "service relation instance",
    "8030": "digital signature",
}
"""Attributes that the project uses; others are read by shape and kept."""

QUALIFIERS = {"01": ("10", "21"), "414": ("254",), "8017": ("8019",), "8018": ("8019",)}
LINK = "https://id.gs1.org"
# Where the check digit ends in the value, for the keys that have one.
_CHECKED = {"00": 18, "01": 14, "253": 13, "8003": 14, "8017": 18, "8018": 18}
_CHECKED |= {f"41{n}": 13 for n in range(8)}


@dataclass(frozen=True, slots=True)
class Element:
    """One element string: application identifier and value."""

    ai: str
    value: str


@dataclass(frozen=True, slots=True)
class Gs1:
    """What one GS1 symbol, link or URN says: a key with its attributes, in canonical order."""

    elements: tuple[Element, ...]

    @property
    def key(self) -> Element:
        """The element that names the thing."""
        return self.elements[0]

    @property
    def key_name(self) -> str:
        """`GTIN`, `SSCC`, `GLN`, …."""
        return KEYS[self.key.ai]

    def value(self, ai: str) -> str | None:
        """Return the value of `ai`, or None."""
        return next((e.value for e in self.elements if e.ai == ai), None)

    @property
    def text(self) -> str:
        """Human readable form with the identifiers in brackets, the key first."""
        return "".join(f"({e.ai}){e.value}" for e in self.elements)

    @property
    def identity(self) -> str:
        """The part that names: the key and its qualifiers (lot, serial, extension), no more."""
        wanted = {self.key.ai, *QUALIFIERS.get(self.key.ai, ())}
        return "".join(f"({e.ai}){e.value}" for e in self.elements if e.ai in wanted)

    def wire(self) -> str:
        """Return the element string as encoded after FNC1, separators where a length may vary."""
        fixed: list[str] = []
        variable: list[str] = []
        for e in self.elements:
            (fixed if e.ai[:2] in _PREDEFINED else variable).append(e.ai + e.value)
        return "".join(fixed) + GS.join(variable)

    def digital_link(self) -> str:
        """Return the canonical Digital Link; attributes go into the query."""
        qualifiers = QUALIFIERS.get(self.key.ai, ())
        path = [self.key, *(e for e in self.elements if e.ai in qualifiers)]
        query = [e for e in self.elements if e not in path]
        link = LINK + "".join(f"/{e.ai}/{quote(e.value, safe='')}" for e in path)
        if query:
            link += "?" + "&".join(f"{e.ai}={quote(e.value, safe='')}" for e in query)
        return link


# AIs of predefined length need no separator (General Specifications, figure 7.8.5-2).
_PREDEFINED = {"00", "01", "02", "03", "04", "11", "12", "13", "14", "15", "16", "17", "18"}
_PREDEFINED |= {"19", "20", "31", "32", "33", "34", "35", "36", "41"}


def make(elements: dict[str, str]) -> Gs1:
    """Return the checked message of these application identifiers and values.

    Raises IdentifierError when a value is malformed, a check digit is wrong, nothing is named,
    two keys exclude each other or an attribute lacks the key it needs.
    """
    keys = [ai for ai in KEYS if ai in elements]
    if not keys:
        raise IdentifierError(
            "the symbol has attributes but names nothing",
            f"application identifiers {', '.join(elements) or 'none'}",
            "scan the symbol that holds a GTIN, SSCC, GLN, GRAI, GIAI or GSRN",
        )
    if "8017" in elements and "8018" in elements:
        raise _refused("8017 and 8018 exclude each other", "8017, 8018")
    if "8019" in elements and not {"8017", "8018"} & set(elements):
        raise _refused("8019 needs 8017 or 8018", "8019")
    if {"4331", "4333"} & set(elements) and "00" not in elements:
        raise _refused("4331 and 4333 need an SSCC", "4331, 4333")
    for ai, value in elements.items():
        _check_value(ai, value)
    key = keys[0]
    rest = sorted((ai for ai in elements if ai != key), key=lambda ai: (ai not in KEYS, ai))
    return Gs1(tuple(Element(ai, elements[ai]) for ai in (key, *rest)))


def parse(raw: str) -> Gs1:
    """Read an element string, as scanned (`<FNC1>` as GS) or in brackets (`(01)…(21)…`)."""
    text = raw.removeprefix(GS)
    try:
        if text.startswith("("):
            message = GS1Message.parse_hri(text)
        else:
            message = GS1Message.parse(text)
    except ParseError as error:
        raise _refused(f"{raw!r} is no GS1 element string", str(error)) from None
    read = "".join(e.ai.ai + e.value for e in message.element_strings)
    if read != re.sub(r"[\x1d()]" if text.startswith("(") else GS, "", text):
        # The library trims blanks; an identifier is its bytes, so nothing may have been dropped.
        raise _refused(f"{raw!r} is no GS1 element string", f"only {read!r} was understood")
    elements: dict[str, str] = {}
    for element in message.element_strings:
        if elements.setdefault(element.ai.ai, element.value) != element.value:
            raise _refused(f"({element.ai.ai}) is given twice, differently", element.ai.ai)
    return make(elements)


def parse_link(link: str) -> Gs1:
    """Read a Digital Link of any host: key and qualifiers in the path, the rest in the query."""
    try:
        parts = urlsplit(link)
    except ValueError:
        raise _refused(f"{link!r} is no Digital Link", "address") from None
    segments = [unquote(s) for s in parts.path.split("/")[1:]]
    start = next((i for i, s in enumerate(segments) if s in KEYS), None)
    if parts.scheme not in {"http", "https"} or start is None or (len(segments) - start) % 2:
        raise _refused(f"{link!r} is no Digital Link", "no key such as /01/ or /00/ in the path")
    pairs = list(zip(segments[start::2], segments[start + 1 :: 2], strict=True))
    pairs += [(k, v) for k, v in parse_qsl(parts.query) if k.isdigit()]
    if len({k for k, _ in pairs}) != len(pairs):
        raise _refused(f"{link!r} gives an application identifier twice", "path and query")
    return make(dict(pairs))


def parse_urn(urn: str) -> Gs1:
    """Read a pure-identity EPC URN of one of the ten schemes of `_URN` (sgtin, sscc, …)."""
    match = re.fullmatch(r"urn:epc:(id|class):([a-z]+):([^.]+)\.([^.]+?)(?:\.(.+))?", urn)
    shape = _URN.get(match.group(2)) if match else None
    if match is None or shape is None:
        raise _refused(f"{urn!r} is no EPC URN that Stafett knows", "scheme")
    company, reference, extra = match.group(3), match.group(4), match.group(5)
    if (shape.extra is None and extra is not None) or (shape.extra and extra is None):
        raise _refused(f"{urn!r} has a wrong number of parts", shape.ai)
    if not re.fullmatch("[0-9]{4,12}", company):
        raise _refused(f"{urn!r} has no company prefix of 4–12 digits", "company prefix")
    if shape.width is None:
        return make({shape.ai: company + unquote(reference)})
    if not re.fullmatch("[0-9]+", reference) or len(company + reference) != shape.width:
        raise _refused(f"{urn!r} needs {shape.width} digits before the serial", shape.ai)
    if shape.leading:
        digits = reference[0] + company + reference[1:]
    else:
        digits = company + reference
    value = shape.prefix + digits + gs1_check_digit(digits)
    serial = unquote(extra) if extra is not None else ""
    if shape.extra == "append":
        return make({shape.ai: value + serial})
    if shape.extra and not (shape.ai == "414" and serial == "0"):
        return make({shape.ai: value, shape.extra: serial})
    return make({shape.ai: value})


def to_urn(gs1: Gs1, company_prefix: int) -> str:
    """Return the EPC URN of `gs1`; `company_prefix` is the number of digits of its company prefix.

    The prefix length is not in the key (it is GS1's allocation), so the caller must know it.
    """
    scheme = _scheme(gs1)
    shape, kind = _URN[scheme], "class" if scheme == "lgtin" else "id"
    value = gs1.key.value
    if shape.width is None:
        parts = [value[:company_prefix], quote(value[company_prefix:], safe="")]
        return f"urn:epc:{kind}:{scheme}:{'.'.join(parts)}"
    digits = value[len(shape.prefix) :][: shape.width]
    serial = value[len(shape.prefix) + shape.width + 1 :]
    if shape.leading:
        company, item = digits[1 : 1 + company_prefix], digits[0] + digits[1 + company_prefix :]
    else:
        company, item = digits[:company_prefix], digits[company_prefix:]
    if not item:
        raise _refused("nothing is left for the reference", f"company prefix of {company_prefix}")
    parts = [company, item]
    if shape.extra == "append":
        if not serial:
            raise _refused(f"{gs1.text} has no serial: it names a class", gs1.key.ai)
        parts.append(quote(serial, safe=""))
    elif shape.extra:
        parts.append(quote(gs1.value(shape.extra) or "0", safe=""))
    return f"urn:epc:{kind}:{scheme}:{'.'.join(parts)}"


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a URN scheme spells a key: AI, digits before the check digit, and what follows."""

    ai: str
    width: int | None
    leading: bool = False
    extra: str | None = None
    prefix: str = ""


_URN = {
    "sgtin": _Shape("01", 13, leading=True, extra="21"),
    "lgtin": _Shape("01", 13, leading=True, extra="10"),
    "sscc": _Shape("00", 17, leading=True),
    "sgln": _Shape("414", 12, extra="254"),
    "pgln": _Shape("417", 12),
    "gsrn": _Shape("8018", 17),
    "gsrnp": _Shape("8017", 17),
    "giai": _Shape("8004", None),
    "gdti": _Shape("253", 12, extra="append"),
    "grai": _Shape("8003", 12, extra="append", prefix="0"),
}


def _scheme(gs1: Gs1) -> str:
    ai = gs1.key.ai
    if ai == "01":
        if gs1.value("21") is not None:
            return "sgtin"
        if gs1.value("10") is not None:
            return "lgtin"
        raise _refused(f"{gs1.text} has neither serial nor lot: it names a class", "01")
    for scheme, shape in _URN.items():
        if shape.ai == ai:
            return scheme
    raise _refused(f"no EPC scheme for ({ai})", ai)


def _check_value(ai: str, value: str) -> None:
    try:
        parsed = GS1Message.parse(ai + value)
    except ParseError as error:
        raise _refused(f"({ai}){value} is malformed", str(error)) from None
    if [(e.ai.ai, e.value) for e in parsed.element_strings] != [(ai, value)]:
        raise _refused(f"({ai}){value} is malformed", f"application identifier {ai}")
    end = _CHECKED.get(ai)
    if end is None:
        return
    start = 1 if ai == "8003" else 0
    expected = gs1_check_digit(value[start : end - 1])
    if value[end - 1] != expected:
        raise IdentifierError(
            f"the check digit of {KEYS[ai]} {value} is {value[end - 1]}, expected {expected}",
            f"({ai}), digit {end}",
            "scan the symbol again, else quarantine and call",
            Reason.CHECK,
            expected,
        )


def _refused(what: str, where: str) -> IdentifierError:
    return IdentifierError(what, where, "scan the symbol again, or another symbol of this label")
