"""OCEL 2.0 in XML (specification 2.0 of 2023, §6), read by expat; document types are refused.

What stands where the specification has no place for it is refused as well: an event whose objects
are under a misspelt tag would touch nothing, and nobody would see it.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from stafett.eventlog.ocel_model import Attribute, Event, Log, Object, Relation
from stafett.eventlog.problems import LogUnreadableError

# tag -> the attributes that it needs, and those that it may have
_NEEDS: Final[dict[tuple[str, ...], tuple[frozenset[str], frozenset[str]]]] = {
    path: (frozenset(needs.split()), frozenset(may.split()))
    for path, needs, may in (
        (("log",), "", ""),
        *(
            line
            for kind in ("event", "object")
            for line in (
                (("log", f"{kind}-types"), "", ""),
                (("log", f"{kind}-types", f"{kind}-type"), "name", ""),
                (("log", f"{kind}-types", f"{kind}-type", "attributes"), "", ""),
                (("log", f"{kind}-types", f"{kind}-type", "attributes", "attribute"), "name type",
                 ""),
                (("log", f"{kind}s"), "", ""),
                (("log", f"{kind}s", kind, "attributes"), "", ""),
                (("log", f"{kind}s", kind, "objects"), "", ""),
                (("log", f"{kind}s", kind, "objects", "relationship"), "object-id", "qualifier"),
            )
        ),
        (("log", "events", "event"), "id type time", ""),
        (("log", "objects", "object"), "id type", ""),
        (("log", "events", "event", "attributes", "attribute"), "name", ""),
        (("log", "objects", "object", "attributes", "attribute"), "name time", ""),
    )
}  # fmt: skip
_EVENT: Final = ("log", "events", "event")
_VALUE: Final = (*_EVENT, "attributes", "attribute")
_NAMESPACES: Final = ("xmlns", "xsi:", "xml:")


class _Reader:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.opened
        self.parser.EndElementHandler = self.closed
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.path: tuple[str, ...] = ()
        self.seen: set[tuple[str, ...]] = set()
        self.log = Log([], [])
        self.value: list[str] = []

    def wrong(self, what: str, todo: str = "") -> LogUnreadableError:
        return LogUnreadableError(f"line {self.parser.CurrentLineNumber:,}: {what}", todo)

    def doctype(self, *_: object) -> None:
        what = "it declares a document type, which OCEL does not need"
        raise self.wrong(what, "Remove the <!DOCTYPE ...> if you trust the file.")

    def opened(self, tag: str, given: dict[str, str]) -> None:
        self.path = (*self.path, tag)
        if len(self.path) == 1 and (tag != "log" or any("xes" in name for name in given)):
            what = "an XES log" if tag == "log" else f"a <{tag}>"
            raise self.wrong(f"it is {what}, and no log of OCEL 2.0", "XES is read from .xes.")
        if self.path not in _NEEDS:
            raise self.wrong(f"OCEL has no <{tag}> in <{'/'.join(self.path[:-1])}>")
        needs, may = _NEEDS[self.path]
        own = {name for name in given if not name.startswith(_NAMESPACES)}
        for name in sorted(needs - own):
            raise self.wrong(f"<{tag}> has no {name}")
        for name in sorted(own - needs - may):
            raise self.wrong(f"<{tag}> has a {name}, which OCEL does not know")
        self.seen.add(self.path)
        if self.path == _EVENT:
            event = Event(given["id"], given["type"], given["time"], [], [])
            self.log.events.append(event)
        elif self.path == ("log", "objects", "object"):
            self.log.objects.append(Object(given["id"], given["type"]))
        elif self.path == (*_EVENT, "objects", "relationship"):
            relation = Relation(given["object-id"], given.get("qualifier", ""))
            self.log.events[-1].relationships.append(relation)
        elif self.path == _VALUE:
            self.value = []
            self.log.events[-1].attributes.append(Attribute(given["name"]))

    def text(self, data: str) -> None:
        if self.path and self.path[-1] == "attribute":
            self.value.append(data)
        elif data.strip():
            raise self.wrong(f"text stands in <{self.path[-1]}>: {data.strip()[:40]!r}")

    def closed(self, tag: str) -> None:
        if self.path == _VALUE:
            self.log.events[-1].attributes[-1].value = "".join(self.value)
        self.value = []
        self.path = self.path[:-1]


def read(data: bytes) -> Log:
    """Read a log. Raises LogUnreadableError with the line."""
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        what = expat.errors.messages[error.code]
        raise LogUnreadableError(f"line {error.lineno:,}: the XML is broken: {what}") from error
    except (ValueError, LookupError) as error:  # an encoding that there is not
        raise LogUnreadableError(f"the XML cannot be read: {error}") from error
    for part in ("events", "objects"):
        if ("log", part) not in reader.seen:
            raise LogUnreadableError(f"the log has no <{part}>")
    return reader.log
