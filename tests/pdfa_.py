"""What PDF/A-2a (ISO 19005-2) and PDF/UA-1 (ISO 14289-1) ask of a file's structure, looked at anew.

No validator: Typst has judged what it wrote, and this reads the bytes without it. It knows files
with a plain cross-reference table and no encryption, which is what Typst writes.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

PDFA, DC = "{http://www.aiim.org/pdfa/ns/id/}", "{http://purl.org/dc/elements/1.1/}"
FORBIDDEN = ("JavaScript", "Launch", "Sound", "Movie", "ImportData", "ResetForm", "SubmitForm",
             "XFA", "NeedAppearances", "LZWDecode", "Crypt", "FFilter", "TR2", "AA",
             "EmbeddedFiles", "OpenAction", "RichMedia", "3D")  # fmt: skip
_KINDS = """Document Part Art Sect Div BlockQuote Caption TOC TOCI Index NonStruct Private P H H1 H2
    H3 H4 H5 H6 L LI Lbl LBody Table TR TH TD THead TBody TFoot Span Quote Note Reference BibEntry
    Code Link Annot Figure Formula Form"""
STANDARD = frozenset(_KINDS.split())


@dataclass
class Thing:
    """One object: its dictionary as text, and its stream as it is stored."""

    text: str
    stream: bytes

    def data(self) -> bytes:
        """Give the stream's content."""
        return zlib.decompress(self.stream) if "/FlateDecode" in self.text else self.stream

    def has(self, name: str) -> bool:
        """Tell whether a name stands in the dictionary."""
        return re.search(rf"/{re.escape(name)}(?![\w.#-])", self.text) is not None

    def to(self, name: str) -> int | None:
        """Give the number of the object that a key points to."""
        found = re.search(rf"/{name}\s*\[?\s*(\d+) 0 R", self.text)
        return int(found[1]) if found else None


def things(data: bytes) -> dict[int, Thing]:
    """Read the objects by the cross-reference table; raise ValueError where it leads elsewhere."""
    at = int(re.findall(rb"startxref\s+(\d+)", data)[-1])
    head = re.match(rb"xref\s+0 (\d+)\s+", data[at:])
    if head is None:
        raise ValueError("no cross-reference table where startxref leads")
    rows = data[at + head.end() : at + head.end() + 20 * int(head[1])]
    found = {}
    for number in range(int(head[1])):
        row = rows[20 * number : 20 * number + 20]
        if row[17:18] != b"n":
            continue
        start = int(row[:10])
        named = re.match(rb"(\d+) 0 obj\s*", data[start : start + 30])
        if named is None or int(named[1]) != number:
            raise ValueError(f"object {number} is not at byte {start}")
        body = data[start + named.end() : data.index(b"endobj", start)]
        text, mark, rest = body.partition(b"stream\n")
        length = re.search(rb"/Length (\d+)", text) if mark else None
        if length is not None:
            begin = start + named.end() + len(text) + len(mark)
            rest = data[begin : begin + int(length[1])]
            if not data[begin + int(length[1]) :].lstrip()[:9] == b"endstream":
                raise ValueError(f"the stream of object {number} does not end where it says")
        found[number] = Thing(text.decode("latin-1"), rest)
    return found


def findings(data: bytes) -> list[str]:
    """Say what a file lacks of PDF/A-2a and PDF/UA-1, as far as this looks; none is good."""
    try:
        every = things(data)
    except (ValueError, IndexError) as wrong:
        return [f"6.1.4: {wrong}"]
    trailer = data[data.rindex(b"trailer") :].decode("latin-1")
    root = Thing(trailer, b"").to("Root")
    if root is None or root not in every:
        return ["6.1.3: the trailer names no catalogue"]
    catalogue = every[root]
    return [
        *_frame(data, trailer, every), *_colours(catalogue, every), *_fonts(every),
        *_metadata(catalogue, trailer, every), *_structure(catalogue, every), *_pages(every),
    ]  # fmt: skip


def _frame(data: bytes, trailer: str, every: dict[int, Thing]) -> Iterator[str]:
    second = data.split(b"\n")[1]
    if not re.match(rb"%PDF-1\.[4-7]\n", data) or len([b for b in second if b > 127]) < 4:
        yield "6.1.2: the header"
    if "/ID[" not in trailer or "/Encrypt" in trailer:
        yield "6.1.3: an identifier, and no encryption"
    for number, thing in every.items():
        outside_texts = Thing(re.sub(r"\((?:\\.|[^\\)])*\)", "()", thing.text), b"")
        for name in FORBIDDEN:
            if outside_texts.has(name):
                yield f"object {number}: /{name} is forbidden"
        if "/Interpolate true" in thing.text:
            yield f"6.2.8: object {number}: an interpolated image"
        if "/Subtype/Link" in thing.text and "/F 4" not in thing.text:
            yield f"6.3.2: object {number}: a link that is not printed"


def _colours(catalogue: Thing, every: dict[int, Thing]) -> Iterator[str]:
    intents = catalogue.to("OutputIntents")
    intent = every.get(intents) if intents else None
    if intent is not None and "/GTS_PDFA1" not in intent.text:  # an array of one
        inner = re.search(r"(\d+) 0 R", intent.text)
        intent = every.get(int(inner[1])) if inner else None
    profile = every.get(intent.to("DestOutputProfile") or 0) if intent else None
    if intent is None or "/GTS_PDFA1" not in intent.text or profile is None:
        yield "6.2.3: no output intent with a profile"
    elif profile.data()[36:40] != b"acsp" or "/N 3" not in profile.text:
        yield "6.2.3: the profile is no ICC profile of three colours"


def _fonts(every: dict[int, Thing]) -> Iterator[str]:
    fonts = [t for t in every.values() if "/Type/Font/" in t.text]
    if not fonts:
        yield "6.2.11: no font at all"
    for font in fonts:
        if "/Subtype/Type0" in font.text:
            mapped = every.get(font.to("ToUnicode") or 0)
            if mapped is None or b"begincmap" not in mapped.data():
                yield "6.2.11.7: a font whose characters are unknown"
            continue
        described = every.get(font.to("FontDescriptor") or 0)
        file = described and (described.to("FontFile3") or described.to("FontFile2"))
        if not file or len(every[file].data()) < 1000:
            yield "6.2.11.4: a font that is not in the file"


def _metadata(catalogue: Thing, trailer: str, every: dict[int, Thing]) -> Iterator[str]:
    kept = every.get(catalogue.to("Metadata") or 0)
    if kept is None or "/Filter" in kept.text:
        yield "6.6.2: no metadata, or not in the clear"
        return
    text = kept.stream.decode()
    tree = ET.fromstring(text[text.index("<x:xmpmeta") : text.index("</x:xmpmeta>") + 12])
    if (tree.findtext(f".//{PDFA}part"), tree.findtext(f".//{PDFA}conformance")) != ("2", "A"):
        yield "6.6.4: it does not say PDF/A-2a"
    if "pdfuaid:part>1<" not in text:
        yield "UA 5: it does not say PDF/UA-1"
    if not "".join(tree.find(f".//{DC}title").itertext()).strip():  # type: ignore[union-attr]
        yield "UA 7.1: no title"
    if not re.search(r"/ViewerPreferences\s*<<[^>]*/DisplayDocTitle true", catalogue.text):
        yield "UA 7.1: the title is not shown"


def _structure(catalogue: Thing, every: dict[int, Thing]) -> Iterator[str]:
    tree = every.get(catalogue.to("StructTreeRoot") or 0)
    if "/Marked true" not in catalogue.text or tree is None or not tree.has("ParentTree"):
        yield "6.7.2: not tagged"
        return
    if not re.search(r"/Lang\s*\([a-z]{2}", catalogue.text):
        yield "6.7.4: no language"
    elements = [t for t in every.values() if "/Type/StructElem" in t.text]
    kinds = [m[1] for t in elements if (m := re.search(r"/S/(\w+)", t.text))]
    strange = {k for k in kinds if k not in STANDARD and f"/{k}" not in tree.text}
    if strange or len(kinds) < 10:
        yield f"6.7.3: elements of no standard kind: {sorted(strange)}"
    levels = [int(k[1:]) for k in kinds if re.fullmatch(r"H\d", k)]
    if not levels or any(b > a + 1 for a, b in zip([0, *levels], levels, strict=False)):
        yield f"UA 7.4: headings skip a level: {levels[:9]}"
    if any(t.has("TH") and not t.has("Scope") for t in elements):
        yield "UA 7.5: a heading of a table that says not of what"
    if any(t.has("Figure") and not t.has("Alt") for t in elements):
        yield "UA 7.3: a picture without words"


def _pages(every: dict[int, Thing]) -> Iterator[str]:
    pages = [t for t in every.values() if re.search(r"/Type\s*/Page(?!\w)", t.text)]
    if not pages:
        yield "no page"
    for page in pages:
        if not page.has("StructParents") or "/Tabs/S" not in page.text:
            yield "UA 7.18.3: a page whose order is not that of its structure"
        content = every.get(page.to("Contents") or 0)
        if content is None or not _all_marked(content.data()):
            yield "UA 7.1: content that is neither tagged nor an artifact"


def _all_marked(content: bytes) -> bool:
    """Tell whether each text is shown inside a marked sequence, and all are closed."""
    depth = 0
    plain = re.sub(rb"\((?:\\.|[^\\)])*\)|<[0-9A-Fa-f\s]*>", b"", content, flags=re.DOTALL)
    for word in re.findall(rb"(?<![\w/])(BDC|BMC|EMC|Tj|TJ|Do)(?!\w)", plain):
        depth += {b"BDC": 1, b"BMC": 1, b"EMC": -1}.get(word, 0)
        if depth < 0 or (word in (b"Tj", b"TJ", b"Do") and depth == 0):
            return False
    return depth == 0
