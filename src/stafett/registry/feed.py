"""Subscribe: what was added and changed, as an Atom feed (RFC 4287)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import msgspec

ATOM = "http://www.w3.org/2005/Atom"


class Entry(msgspec.Struct, frozen=True):
    """One change: an address that never changes, what it is, and when the record took it in."""

    id: str
    title: str
    link: str
    updated: datetime
    summary: str


def atom(title: str, address: str, entries: Iterable[Entry]) -> bytes:
    """Return the feed, newest first. `address` is where it is served."""
    ET.register_namespace("", ATOM)
    feed = ET.Element(f"{{{ATOM}}}feed")
    listed = sorted(entries, key=lambda e: e.updated, reverse=True)
    latest = listed[0].updated if listed else datetime(1970, 1, 1, tzinfo=UTC)
    _add(feed, "title", title)
    _add(feed, "id", address)
    _add(feed, "updated", latest.isoformat())
    ET.SubElement(feed, f"{{{ATOM}}}link", {"rel": "self", "href": address})
    author = ET.SubElement(feed, f"{{{ATOM}}}author")
    _add(author, "name", "Stafett registry")
    for entry in listed:
        element = ET.SubElement(feed, f"{{{ATOM}}}entry")
        _add(element, "title", entry.title)
        _add(element, "id", entry.id)
        _add(element, "updated", entry.updated.isoformat())
        ET.SubElement(element, f"{{{ATOM}}}link", {"href": entry.link})
        _add(element, "summary", entry.summary)
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True))


def _add(parent: ET.Element, name: str, text: str) -> None:
    # XML 1.0 has no place for control characters.
    clean = "".join(ch for ch in text if ch in "\t\n\r" or ord(ch) >= 32)
    ET.SubElement(parent, f"{{{ATOM}}}{name}").text = clean
