"""Where in an EPCIS document in XML a finding of the schema lies: its element and line.

XML is judged as the JSON that it became. A finding's pointer into that JSON is walked down the tree
of elements, as far as there are elements: what is an attribute lies at its element. Only a document
with findings pays for this second look.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import msgspec

from stafett.exchange import epcis_xml
from stafett.exchange.epcis import Document
from stafett.exchange.epcis_xml import WRAPPERS, Node
from stafett.exchange.problem import Finding, Problem

# Lists of JSON whose elements XML calls by another name; others differ in upper and lower case.
_CALLED: Final = {"attributes": "attribute"}


class Places:
    """The places of one document in XML; of a document in JSON (no bytes) nothing is said."""

    def __init__(self, xml: bytes) -> None:
        self._xml = xml

    @cached_property
    def _tree(self) -> Node:
        return epcis_xml.parsed(self._xml)[0]

    def of(self, findings: Sequence[Finding]) -> list[Finding]:
        """Give findings with their places in the XML added."""
        return [Finding(f.pointer, f.detail + self._said(f.pointer)) for f in findings]

    def refusal(self, wrong: Problem) -> Problem:
        """Give a refusal with the places in the XML added."""
        first = self._said(wrong.findings[0].pointer) if wrong.findings else ""
        return Problem(wrong.status, wrong.name, wrong.detail + first, self.of(wrong.findings))

    def document(self, read: Document) -> Document:
        """Give a document that was read, the places of what is odd about it added."""
        return msgspec.structs.replace(read, warnings=tuple(self.of(read.warnings)))

    def _said(self, pointer: str) -> str:
        if not self._xml or (pointer and not pointer.startswith("/")):
            return ""
        node = _walk(self._tree, pointer)
        return f" (<{node.name}>, line {node.line} of the XML)"


def _walk(node: Node, pointer: str) -> Node:
    """Go down a JSON pointer; stop at the last element that is there."""
    named: list[Node] = []  # what the last name stands for: one element, or each of a list
    for part in pointer.split("/")[1:]:
        if part.isascii() and part.isdigit():
            among = named if len(named) > 1 else _children(node)
            found = among[int(part) : int(part) + 1]
            named = []
        else:
            name = _CALLED.get(part, part.rpartition(":")[2]).lower()
            found = named = [c for c in _children(node) if c.name.lower() == name]
        if found:
            node = found[0]
        elif named or not part.isdigit():
            break
    return node


def _children(node: Node) -> list[Node]:
    out: list[Node] = []
    for child in node.children:
        out += _children(child) if not child.space and child.name in WRAPPERS else [child]
    return out


def in_xml(data: bytes, wrong: Problem) -> Problem:
    """Give a refusal of what `read_xml` made of `data` with its places in the XML added."""
    return Places(data).refusal(wrong)
