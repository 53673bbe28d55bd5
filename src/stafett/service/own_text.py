"""The text of an organisation's own network: read, checked as a file is, and written as one."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import yaml

from stafett.design.reading import System, document_of, examined
from stafett.protocol.builtin import names as protocols
from stafett.protocol.read import Document, Place, ReadError


class NetworkFinding(msgspec.Struct, frozen=True):
    """What is wrong: in which part (path with dots), at which place of the text, what to do."""

    field: str
    place: str
    what: str
    todo: str


@dataclass(frozen=True)
class Examined:
    """A text as a network: what it says, the system where it can be read, what is wrong."""

    document: Document | None
    system: System | None
    findings: tuple[NetworkFinding, ...]


class Faulty(ValueError):
    """A network that is not kept, with everything that is wrong with it."""

    def __init__(self, findings: tuple[NetworkFinding, ...]) -> None:
        super().__init__("; ".join(f"{f.place}: {f.what}" for f in findings))
        self.findings = findings


def examine(text: str, name: str) -> Examined:
    """Read a network and check it as a file of that name would be; never raises."""
    doc: Document | None = None
    try:
        doc = document_of(text, f"{name}.yaml")
        protocol = doc.value.get("protocol", "")
        # A network file on somebody's machine may name a protocol file beside it; a text that was
        # sent here must not make this machine read its own files.
        if isinstance(protocol, str) and "protocol" in doc.value and protocol not in protocols():
            what, todo = f"there is no protocol {protocol!r}", f"known: {', '.join(protocols())}"
            raise ReadError(doc.place("protocol"), what, todo)
        system, problems = examined(doc)
    except ReadError as problem:
        return Examined(doc, None, (_finding(doc, problem),))
    return Examined(doc, system, tuple(_finding(doc, problem) for problem in problems))


def _finding(doc: Document | None, problem: ReadError) -> NetworkFinding:
    return NetworkFinding(_path(doc, problem.place), str(problem.place), problem.what, problem.todo)


def _path(doc: Document | None, place: Place) -> str:
    """The part of a document that stands at a place: the outermost, where several begin there."""
    there = [path for path, at in doc.places.items() if at == place] if doc else []
    there.sort(key=lambda path: len(path))
    return ".".join(map(str, there[0])) if there else ""


def written(doc: Document) -> str:
    """A network as a file that stands by itself."""
    return str(
        yaml.dump(
            doc.value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=110,
            default_flow_style=None,
        )
    )  # fmt: skip
