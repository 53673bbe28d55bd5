"""HL7 v2 laboratory results (ORU^R01): read with the place of each mistake, and acknowledged.

Segments are told apart by `hl7apy` (extra `hl7`); what they must hold is judged here. Of the
patient nothing is read: results are matched by specimen or order (`exchange.hl7_mapping`). Fields
are named as in HL7 v2.5.1: chapter 2 (MSH, MSA, ERR, escapes, acknowledgement), 7 (OBR, OBX, SPM).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from stafett.exchange.problem import Finding, Problem

MAX_BYTES: Final = 1_000_000
MAX_SEGMENTS: Final = 5_000
_OLD: Final = ("2.3", "2.3.1", "2.4")  # with an ERR of other fields
_NEW: Final = ("2.7", "2.8")  # without MSA-3
VERSIONS: Final = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8")
# MSH-18, HL7 table 0211.
CHARACTERS: Final = {
    "": "utf-8", "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8", "ASCII": "ascii",
    "8859/1": "iso8859-1", "8859/15": "iso8859-15",
}  # fmt: skip
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
# A message that goes on elsewhere (chapter 2.10.2), or another one: neither is one message whole.
_NOT_WHOLE: Final = ("MSH", "ADD", "DSC", "FHS", "BHS", "BTS", "FTS")
_NULL: Final = '""'  # "there is none" (chapter 2.5.3): nobody's number
_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:\.(\d{1,4}))?)?([+-]\d{4})?")
# Segments that say who the patient is, or whom they belong to: never kept, never shown.
PERSONAL: Final = ("PID", "PD1", "NK1", "GT1", "IN1", "IN2", "IN3", "PV1", "PV2", "MRG", "ZPI")


class Unread(Problem):
    """A message that is not taken. `code` is of HL7 table 0357; from 200 on the message itself
    (its type, version or sender) is not for us, below it is wrong in itself.
    """

    def __init__(self, code: int, detail: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(400, "ValidationException", detail, findings)
        self.code = code

    @property
    def answer(self) -> str:
        """AR for what is rejected unread, AE for what is wrong in it (HL7 table 0008)."""
        return "AR" if self.code >= 200 else "AE"


class Observation(msgspec.Struct, frozen=True):
    """One OBX. `values` are the repetitions of OBX-5; `at` is OBX-14, else OBR-22 or OBR-7."""

    place: str
    code: str
    system: str
    text: str
    sub: str
    kind: str
    values: tuple[str, ...]
    unit: str
    range: str
    flags: tuple[str, ...]
    status: str
    at: str


class Order(msgspec.Struct, frozen=True):
    """One OBR with its observations; `numbers` are its identifiers by field (``SPM-2``)."""

    place: str
    code: str
    numbers: dict[str, str]
    observations: tuple[Observation, ...]


class Message(msgspec.Struct, frozen=True):
    """An ORU^R01; `sender` is MSH-3|MSH-4."""

    control: str
    sender: str
    version: str
    processing: str
    sent: str
    orders: tuple[Order, ...]


class Head(msgspec.Struct, frozen=True):
    """What an acknowledgement needs of a message, as far as it can be read."""

    application: str = ""
    facility: str = ""
    ours: str = ""
    control: str = ""
    processing: str = "P"
    version: str = "2.5.1"
    enhanced: bool = False


def text_of(data: bytes) -> str:
    """Decode a message as its MSH-18 says, segments ended by carriage returns; raise Unread."""
    if len(data) > MAX_BYTES:
        raise Unread(207, f"the message has {len(data):,} bytes; at most {MAX_BYTES:,} are taken")
    if data[:3] != b"MSH" or len(data) < 8:
        raise Unread(
            100, "the message does not begin with a segment MSH", (_at("MSH", "it is missing"),)
        )
    first = re.split(rb"[\r\n]", data, maxsplit=1)[0]
    if len(first) < 8:
        what = "the segment MSH ends before its separators"
        raise Unread(100, what, (_at("MSH", "it is cut off"),))
    fields = first.split(first[3:4])
    said = fields[17].decode("latin-1").split("~")[0].strip() if len(fields) > 17 else ""
    if said not in CHARACTERS:
        known = ", ".join(k for k in CHARACTERS if k)
        raise Unread(
            103, f"MSH-18 is {said!r}; known are {known}", (_at("MSH-18", "it is not known"),)
        )
    try:
        text = data.decode(CHARACTERS[said])
    except UnicodeDecodeError as wrong:
        what = f"the bytes are not {said or 'UTF-8 (MSH-18 says nothing else)'}: {wrong.reason}"
        raise Unread(102, what, (_at("MSH-18", f"byte {wrong.start} does not fit"),)) from None
    odd = _CONTROL.search(text)
    if odd is not None:
        # A start block within a message is a second one that began before the first had ended.
        what = f"the message holds the control character U+{ord(odd[0]):04X}"
        where = f"{text[: odd.start()].count(chr(13)) + 1}"
        raise Unread(102, what, (_at("", f"it stands in segment {where} of the message"),))
    return text.replace("\r\n", "\r").replace("\n", "\r").strip("\r")


def read(data: bytes) -> Message:
    """Read a message; raise Unread that names segment and field."""
    text = text_of(data)
    if text.count("\r") >= MAX_SEGMENTS:
        raise Unread(207, f"the message has more than {MAX_SEGMENTS:,} segments")
    lines = text.split("\r")
    cut = _Cut(lines[0])
    head = _fields(lines[0], cut.field)
    head.insert(1, cut.field)  # MSH-1 is the separator itself
    kind = cut.components(_get(head, 9))
    if kind[:2] != ["ORU", "R01"]:
        shown = "^".join(kind)[:40]
        raise Unread(200, f"{shown or 'nothing'} is not taken; only results, ORU^R01, are",
                     (_at("MSH-9", shown or "it is empty"),))  # fmt: skip
    version = cut.components(_get(head, 12))[0]
    if version not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise Unread(
            203, f"version {version!r} is not taken; {known} are", (_at("MSH-12", version),)
        )
    control = _get(head, 10)
    if not control or len(control) > 199:
        raise Unread(101, "the message has no control number", (_at("MSH-10", "it is required"),))
    _parse(text)
    sender = "|".join(cut.components(_get(head, n))[0] for n in (3, 4))
    orders = _orders(lines[1:], cut)
    if not orders:
        raise Unread(
            100, "the message holds no result (OBR with OBX)", (_at("OBR", "it is missing"),)
        )
    return Message(
        control, sender, version, cut.components(_get(head, 11))[0], _get(head, 7), orders
    )


def head_of(data: bytes) -> Head:
    """Read what of a message's head can be read, for the answer to it; never raises."""
    first = re.split(rb"[\r\n]", data[:4000], maxsplit=1)[0].decode("latin-1")
    if not first.startswith("MSH") or len(first) < 5:
        return Head()
    fields = first.split(first[3])
    fields.insert(1, first[3])
    plain = [re.sub(r"[^\x20-\x7e]", "?", f) for f in fields]
    version = re.split(r"[\^~&]", _get(plain, 12))[0]
    return Head(
        _get(plain, 3)[:180], _get(plain, 4)[:180], _get(plain, 6)[:180], _get(plain, 10)[:199],
        (_get(plain, 11) or "P")[:3], version if version in VERSIONS else "2.5.1",
        _get(plain, 15) in ("AL", "ER", "SU"),
    )  # fmt: skip


def acknowledge(
    head: Head, number: str, now: datetime, wrong: Unread | None = None, note: str = ""
) -> bytes:
    """Write the acknowledgement of a message: MSH, MSA (with a note), and an ERR a finding.

    In enhanced mode (MSH-15 asks for it) it is the accept acknowledgement: CA, CE or CR. The sender
    names its own encoding characters; the answer's are the recommended ones.
    """
    code = "AA" if wrong is None else wrong.answer
    if head.enhanced:
        code = "C" + code[1]
    stamp = now.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
    old = head.version in _OLD
    said = note
    new = head.version in _NEW
    errors = [f"ERR|||0^^HL70357|I||||{_escape(note[:250])}"] if note and new else []
    if wrong is not None:
        found = wrong.findings[:20] or (Finding("", wrong.detail),)
        said = wrong.detail
        if old and wrong.findings:  # their ERR has no place for words
            said = "; ".join((_told(wrong.findings[0]), said))
        errors = _old_errors(wrong.code, found) if old else _errors(wrong.code, found)
    kind = "ACK" if head.version == "2.3" else "ACK^R01^ACK"
    lines = [
        f"MSH|^~\\&|STAFETT|{head.ours}|{head.application}|{head.facility}|{stamp}||{kind}"
        f"|{number}|{head.processing}|{head.version}||||||UNICODE UTF-8",
        f"MSA|{code}|{head.control}" + (f"|{_escape(said[:200])}" if said and not new else ""),
        *errors,
    ]
    return ("\r".join(lines) + "\r").encode()


def _told(finding: Finding) -> str:
    return ": ".join(filter(None, (finding.pointer, finding.detail)))


def _errors(code: int, found: Iterable[Finding]) -> list[str]:
    """Write an ERR for each finding, as HL7 has it since 2.5."""
    return [
        f"ERR||{_location(f.pointer)}|{code}^^HL70357|E||||" + _escape(_told(f)[:250])
        for f in found
    ]


def _old_errors(code: int, found: Iterable[Finding]) -> list[str]:
    """Write the one ERR of before 2.5: places with the code, and no words."""
    places = []
    for f in found:
        where = _location(f.pointer).split("^")
        if where != [""]:
            places.append("^".join([*where, *[""] * (3 - len(where)), str(code)]))
    return ["ERR|" + "~".join(places)] if places else []


def shown(data: bytes) -> str:
    """Give a message as it may be shown: its segments one a line, without those on the patient.

    What is no HL7 at all is not shown: nobody knows what it holds.
    """
    try:
        lines = text_of(data).split("\r")
    except Unread:
        return ""
    return "\n".join(f"{line[:3]}{line[3:4]}…" if line[:3] in PERSONAL else line for line in lines)[
        :50_000
    ]


def moment(text: str) -> datetime | tuple[datetime, None]:
    """Read a time of HL7 (TS, at least to the minute); one without offset is returned in a pair.

    Raises ValueError for anything else, such as a bare day.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time to the minute (YYYYMMDDHHMM[SS][+ZZZZ])")
    year, month, day, hour, minute = (int(found[n]) for n in range(1, 6))
    micro = int((found[7] or "0").ljust(6, "0"))
    naive = datetime(year, month, day, hour, minute, int(found[6] or 0), micro)  # noqa: DTZ001
    if found[8] is None:
        return naive, None
    sign = -1 if found[8][0] == "-" else 1
    offset = timedelta(hours=int(found[8][1:3]), minutes=int(found[8][3:]))
    if offset > timedelta(hours=14):
        raise ValueError(f"{text!r} has no offset of this world")
    return naive.replace(tzinfo=timezone(sign * offset))


class _Cut:
    """How a message's fields are cut (MSH-1, MSH-2), and its escapes undone."""

    def __init__(self, msh: str) -> None:
        self.field = msh[3]
        marks = msh[4:].split(self.field, 1)[0]
        if len(marks) < 3 or len({self.field, *marks}) != len(marks) + 1 or marks[:4].isalnum():
            raise Unread(102, "MSH-2 must name four different marks", (_at("MSH-2", repr(marks)),))
        self.component, self.repeat, self.escape = marks[0], marks[1], marks[2]
        self.sub = marks[3] if len(marks) > 3 else "&"
        own = {"F": self.field, "S": self.component, "R": self.repeat, "E": self.escape,
               "T": self.sub}  # fmt: skip
        mark = re.escape(self.escape)
        self._escapes, self._own = re.compile(f"{mark}([^{mark}]*){mark}"), own

    def components(self, field: str) -> list[str]:
        """Give the components of a field's first repetition, plain."""
        return [self.plain(c) for c in field.split(self.repeat, 1)[0].split(self.component)]

    def number(self, component: str) -> str:
        """Give the first subcomponent of an identifier, plain (EI.1 of SPM-2.1)."""
        return self.plain(component.split(self.sub, 1)[0]).strip()

    def plain(self, text: str) -> str:
        """Undo the escapes; one that is not known is left as it stands."""
        return self._escapes.sub(lambda m: self._own.get(m[1], m[0]), text).strip()


def _orders(lines: list[str], cut: _Cut) -> tuple[Order, ...]:
    """Group segments: an OBR, what stands before it (ORC), and its OBX and SPM."""
    found: list[Order] = []
    before: dict[str, str] = {}
    numbers: dict[str, str] = {}
    seen: list[Observation] = []
    obr: list[str] | None = None
    counts = {"OBR": 0, "OBX": 0}

    def close() -> None:
        if obr is not None and seen:
            code = cut.components(_get(obr, 4))[0]
            found.append(Order(f"OBR[{counts['OBR']}]", code, dict(numbers), tuple(seen)))

    for n, line in enumerate(lines, 2):
        fields = _fields(line, cut.field)
        name = fields[0]
        if line and (not _SEGMENT.fullmatch(name) or name in _NOT_WHOLE):
            what = f"segment {n} is {name[:10]!r}: one message is taken, whole and of segments"
            raise Unread(100, what, (_at("", what),))
        if name == "PID":  # what follows is about somebody else, and about no order of before
            close()
            obr, seen, before = None, [], {}
        elif name == "ORC":
            close()
            obr, seen = None, []
            before = _numbers(fields, "ORC", (2, 3, 4), cut)
        elif name == "OBR":
            close()
            counts["OBR"] += 1
            obr, seen = fields, []
            mine = _numbers(fields, "OBR", (2, 3), cut)
            for k in ("2", "3"):  # chapter 4.5.1.2: if both are valued, they are the same
                pair = {before.get(f"ORC-{k}"), mine.get(f"OBR-{k}")} - {None}
                if len(pair) > 1:
                    place = f"OBR[{counts['OBR']}]-{k}"
                    what = f"{place} is not what its ORC-{k} says"
                    raise Unread(103, what, (_at(place, what),))
            numbers = {**before, **mine}
            before = {}  # an ORC belongs to the one OBR after it (ORU_R01: ORDER_OBSERVATION)
        elif name == "SPM":
            more = _numbers(fields, "SPM", (2, 3), cut)
            if obr is not None and any(numbers.get(k, v) != v for k, v in more.items()):
                place = f"OBR[{counts['OBR']}]"
                what = f"{place} has several specimens: of which one is each result?"
                raise Unread(103, what, (_at("SPM-2", what),))
            numbers |= more
        elif name == "OBX":
            counts["OBX"] += 1
            place = f"OBX[{counts['OBX']}]"
            if obr is None:
                raise Unread(
                    100, f"{place} stands before any OBR", (_at(place, "no OBR is before it"),)
                )
            seen.append(_observation(fields, obr, place, cut))
    close()
    return tuple(found)


def _observation(fields: list[str], obr: list[str], place: str, cut: _Cut) -> Observation:
    code = cut.components(_get(fields, 3))
    if not code[0]:
        raise Unread(
            101, f"{place} does not say what was observed", (_at(f"{place}-3", "it is required"),)
        )
    # Of a coded value the code; a number has no components, and is not cut to make it one.
    number = _get(fields, 2).strip() == "NM"
    values = tuple(
        cut.plain(v if number else v.split(cut.component, 1)[0])
        for v in _get(fields, 5).split(cut.repeat)
    )
    flags = tuple(f for f in (cut.plain(x) for x in _get(fields, 8).split(cut.repeat)) if f)
    at = _get(fields, 14) or _get(obr, 22) or _get(obr, 7)
    part = dict(enumerate(code))
    return Observation(
        place, code[0], part.get(2, ""), part.get(1, ""), cut.plain(_get(fields, 4)),
        _get(fields, 2).strip(), values, cut.components(_get(fields, 6))[0],
        cut.plain(_get(fields, 7)), flags, _get(fields, 11).strip(), at.strip(),
    )  # fmt: skip


def _numbers(fields: list[str], name: str, which: tuple[int, ...], cut: _Cut) -> dict[str, str]:
    """Give a segment's identifiers: `SPM-2` the first component that is there, `SPM-2.2` each."""
    out: dict[str, str] = {}
    for n in which:
        said = {one for one in _get(fields, n).split(cut.repeat) if one}
        if len(said) > 1:
            what = f"{name}-{n} names {len(said)} things: which one is it?"
            raise Unread(103, what, (_at(f"{name}-{n}", what),))
        parts = [cut.number(c) for one in said for c in one.split(cut.component)]
        if name != "SPM":
            parts = parts[:1]  # EI: what follows names the authority, not the thing
        for k, part in enumerate(parts, 1):
            if part and part != _NULL:
                out.setdefault(f"{name}-{n}", part)
                out[f"{name}-{n}.{k}"] = part
    return out


def _parse(text: str) -> None:
    try:
        from hl7apy.exceptions import HL7apyException
        from hl7apy.parser import parse_message
    except ImportError:
        raise Unread(207, "HL7 needs hl7apy: install stafett[hl7]") from None
    try:
        parse_message(text, find_groups=False)
    except (HL7apyException, ValueError, KeyError, IndexError, AttributeError) as wrong:
        why = " ".join(str(wrong).split())[:200] or type(wrong).__name__
        raise Unread(100, f"the message does not fit its version of HL7: {why}") from None


def _fields(line: str, mark: str) -> list[str]:
    return line.split(mark)


def _get(fields: list[str], n: int) -> str:
    return fields[n] if n < len(fields) else ""


def _at(pointer: str, detail: str) -> Finding:
    return Finding(pointer, detail)


def _escape(text: str) -> str:
    marks: dict[str, Any] = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
    return "".join(marks.get(c, c) for c in text if c.isprintable())


def _location(pointer: str) -> str:
    """Write `OBX[2]-3` as ERL (segment, its number, field), `MSH-9` as MSH^1^9."""
    found = re.fullmatch(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+))?(?:\.\d+)?", pointer)
    if found is None:
        return ""
    return f"{found[1]}^{found[2] or 1}" + (f"^{found[3]}" if found[3] else "")
