"""Read a PDF by other people's parsers, and say what of PDF/A-2a and PDF/UA-1 it breaks.

    python -m venv /tmp/pdfa && /tmp/pdfa/bin/pip install pikepdf fonttools
    /tmp/pdfa/bin/python scripts/pdfa.py dossier.pdf ...

An independent look at what Typst wrote: qpdf (by pikepdf) reads the file, fontTools the fonts. Each
check names its clause of ISO 19005-2 ("6.x") or ISO 14289-1 ("UA"). It is no whole validator: the
tables within the ICC profile, the glyph programs, XMP extension schemas and the reading order are
not looked at. Exit status: 0 all checks hold, 1 one is broken.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pikepdf
from fontTools.cffLib import CFFFontSet
from fontTools.pens.basePen import NullPen
from fontTools.ttLib import TTFont

_OPERATORS = (
    "b B b* B* BDC BI BMC BT BX c cm CS cs d d0 d1 Do DP EI EMC ET EX f F f* G g gs h i ID j J K k "
    "l m M MP n q Q re RG rg ri s S SC sc SCN scn sh T* Tc Td TD Tf Tj TJ TL Tm Tr Ts Tw Tz v w W "
    "W* y ' \""
)
OPERATORS = frozenset(_OPERATORS.split())
_PAINTS = "Tj TJ f F f* S s B b B* b* Do sh"
PAINTS = frozenset(_PAINTS.split())
_BLENDS = (
    "/Normal /Compatible /Multiply /Screen /Overlay /Darken /Lighten /ColorDodge /ColorBurn "
    "/HardLight /SoftLight /Difference /Exclusion /Hue /Saturation /Color /Luminosity"
)
BLENDS = frozenset(_BLENDS.split())
_STRUCTURE = (
    "Document Part Art Sect Div BlockQuote Caption TOC TOCI Index NonStruct Private P H H1 H2 H3 "
    "H4 H5 H6 L LI Lbl LBody Table TR TH TD THead TBody TFoot Span Quote Note Reference BibEntry "
    "Code Link Annot Figure Formula Form Ruby Warichu"
)
STRUCTURE = frozenset(_STRUCTURE.split())
Check = tuple[str, bool]


def whole(pdf: pikepdf.Pdf, data: bytes) -> Iterator[Check]:
    """Check what holds for the file as such: structure, metadata, output intent, tagging."""
    root, info = pdf.Root, pdf.docinfo
    yield "6.1.2 the header names 1.0 to 1.7", data[:7] == b"%PDF-1."
    yield "6.1.2 a comment of four high bytes", all(b > 127 for b in data.split(b"\n")[1][1:5])
    yield "6.1.3 nothing follows the end", data.rstrip(b"\r\n").endswith(b"%%EOF")
    yield "6.1.3 an ID, no encryption", "/ID" in pdf.trailer and not pdf.is_encrypted
    with pdf.open_metadata() as told:
        yield "6.6.4 it says that it is PDF/A-2a", (
            told.get("pdfaid:part"), told.get("pdfaid:conformance")) == ("2", "A")  # fmt: skip
        yield "UA 5 it says that it is PDF/UA-1", told.get("pdfuaid:part") == "1"
        title = told.get("dc:title", "")
        yield "6.6.3 one title", bool(title) and str(info.get("/Title", "")) == title
    yield "6.6.2 metadata can be read without a filter", "/Filter" not in root.Metadata
    yield "6.7.2 it is tagged", root.get("/MarkInfo", {}).get("/Marked") is True
    yield "6.7.4 it says its language", "/Lang" in root
    yield "UA 7.1 the title is shown", root.get("/ViewerPreferences", {}).get("/DisplayDocTitle")
    intent = root.OutputIntents[0]
    icc = intent.DestOutputProfile.read_bytes()
    yield "6.2.3 one output intent with an ICC profile", (
        len(root.OutputIntents) == 1 and intent.S == "/GTS_PDFA1" and icc[36:40] == b"acsp"
        and icc[8] <= 4 and int.from_bytes(icc[:4], "big") == len(icc))  # fmt: skip
    names = root.get("/Names", {})
    yield "6.5 no script, no form, no action at opening", not (
        {"/AA", "/AcroForm"} & set(root.keys()) or "/JavaScript" in names)  # fmt: skip
    yield "6.8 no file within", "/EmbeddedFiles" not in names


def things(pdf: pikepdf.Pdf) -> Iterator[Check]:
    """Check each object: filters, annotations, graphic states, images."""
    for one in pdf.objects:
        if not isinstance(one, pikepdf.Stream | pikepdf.Dictionary):
            continue
        held: Any = one.stream_dict if isinstance(one, pikepdf.Stream) else one
        kind = str(held.get("/Subtype", ""))
        if isinstance(one, pikepdf.Stream):
            found = held.get("/Filter", [])
            filters = [found] if isinstance(found, pikepdf.Name) else list(found)
            bad = any(str(f) in ("/LZWDecode", "/Crypt") for f in filters) or "/F" in held
            yield "6.1.7 no LZW, no stream elsewhere", not bad
        if "/Rect" in held and kind:
            flags = int(held.get("/F", 0))
            yield "6.3.2 an annotation is printed and not hidden", flags & 0b100111 == 0b100
            yield "UA 7.18.5 a link says where it leads", kind != "/Link" or "/Contents" in held
            if "/A" in held:
                yield "6.5.1 only links and jumps", str(held.A.S) in ("/URI", "/GoTo")
        if held.get("/Type") == "/ExtGState":
            yield "6.2.5 no transfer function", "/TR" not in held and "/HTP" not in held
            yield "6.2.10 a known blend mode", str(held.get("/BM", "/Normal")) in BLENDS
        if kind == "/Image":
            plain = not ({"/Alternates", "/OPI"} & set(held.keys()))
            yield "6.2.8 plain images", plain and held.get("/Interpolate", False) is not True
        if held.get("/Type") == "/Font" and kind not in ("/CIDFontType0", "/CIDFontType2"):
            yield from font(held)


def font(held: Any) -> Iterator[Check]:
    """Check one font: embedded, mapped to Unicode, its widths those of its program."""
    yield "6.2.11.7 a font maps to Unicode", "/ToUnicode" in held
    descendants = held.get("/DescendantFonts")
    inner = held if descendants is None else descendants[0]
    where = inner.get("/FontDescriptor", {})
    program = next(
        (where[k] for k in ("/FontFile2", "/FontFile3", "/FontFile") if k in where), None
    )
    yield "6.2.11.4 a font is embedded", program is not None
    if program is None or descendants is None:
        return
    yield "6.2.11.3 a font's codes are its glyphs", str(held.Encoding).startswith("/Identity-")
    true = program.get("/Subtype") is None
    yield "6.2.11.3.2 CIDs map to glyphs", not true or "/CIDToGIDMap" in inner
    measured = advances(program.read_bytes(), true)
    told = widths(list(inner.get("/W", [])))
    wrong = [c for c, w in told.items() if c in measured and abs(measured[c] - w) > 1]
    yield "6.2.11.5 the widths are those of the program", bool(told) and not wrong


def widths(given: list[Any]) -> dict[int, float]:
    """Read a /W array: CID to width in thousandths."""
    found, at = {}, 0
    while at < len(given):
        first = int(given[at])
        if isinstance(given[at + 1], pikepdf.Array):
            found |= {first + n: float(w) for n, w in enumerate(given[at + 1])}
            at += 2
        else:
            found |= dict.fromkeys(range(first, int(given[at + 1]) + 1), float(given[at + 2]))
            at += 3
    return found


def advances(data: bytes, true: bool) -> dict[int, float]:
    """Measure the glyphs of a font program, in thousandths."""
    if true:
        read = TTFont(io.BytesIO(data))
        em = read["head"].unitsPerEm
        metrics = [read["hmtx"].metrics[name][0] for name in read.getGlyphOrder()]
        return {n: width * 1000 / em for n, width in enumerate(metrics)}
    fonts = CFFFontSet()
    fonts.decompile(io.BytesIO(data), None)
    top = fonts[0]
    scale = (getattr(top, "FontMatrix", None) or [0.001])[0] * 1000
    found = {}
    names = top.CharStrings.keys()  # it cannot be looped over itself
    for name in names:
        if name.startswith("cid"):
            glyph = top.CharStrings[name]
            glyph.draw(NullPen())
            found[int(name[3:])] = glyph.width * scale
    return found


def pages(pdf: pikepdf.Pdf) -> Iterator[Check]:
    """Check what is painted: known operators, all of it marked, no missing glyph."""
    for page in pdf.pages:
        marked = saved = 0
        for step in pikepdf.parse_content_stream(page):
            name = str(step.operator)
            yield "6.2.2 known operators", name in OPERATORS
            marked += (name in ("BDC", "BMC")) - (name == "EMC")
            saved += (name == "q") - (name == "Q")
            yield "6.1.13 at most 28 states are saved", saved <= 28
            if name in PAINTS:
                yield "6.7.2 what is painted is content or artifact", marked > 0
            if name in ("Tj", "TJ"):
                shown = step.operands[0] if name == "TJ" else step.operands
                texts = [bytes(s) for s in shown if isinstance(s, pikepdf.String)]
                codes = {t[n : n + 2] for t in texts for n in range(0, len(t), 2)}
                yield "6.2.11.8 no glyph is missing", b"\0\0" not in codes
        yield "6.7.2 marks are closed", marked == 0
        yield "UA 7.18.3 tabs follow the structure", (
            "/Annots" not in page.obj or page.obj.get("/Tabs") == "/S")  # fmt: skip


def structure(pdf: pikepdf.Pdf) -> Iterator[Check]:
    """Check the structure tree: standard types, figures with words, headers with a scope."""
    tree = pdf.Root.get("/StructTreeRoot")
    yield "6.7.3 there is a structure tree", tree is not None
    roles = {str(k): str(v) for k, v in tree.get("/RoleMap", {}).items()}
    todo = [tree]
    while todo:
        node = todo.pop()
        if not isinstance(node, pikepdf.Dictionary) or ("/Pg" in node and "/S" not in node):
            continue
        if "/S" in node:
            role = roles.get(str(node.S), str(node.S))[1:]
            yield "6.7.3.4 standard types", role in STRUCTURE
            if role in ("Figure", "Formula"):
                yield "UA 7.3 a figure is said in words", "/Alt" in node or "/ActualText" in node
            if role == "TH":
                given = node.get("/A", [])
                told = [given] if isinstance(given, pikepdf.Dictionary) else list(given)
                yield "UA 7.5 a header has a scope", any("/Scope" in one for one in told)
        below = node.get("/K", [])
        todo += list(below) if isinstance(below, pikepdf.Array) else [below]


def main(paths: list[str]) -> int:
    """Check files; print what was checked and what is broken."""
    broken = 0
    for path in paths:
        data = Path(path).read_bytes()
        done: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        with pikepdf.open(io.BytesIO(data)) as pdf:
            for source in (whole(pdf, data), things(pdf), pages(pdf), structure(pdf)):
                for what, holds in source:
                    done[what] += 1
                    failed[what] += not holds
            said = f"{path}: {len(pdf.pages)} pages, {done.total():,} checks of {len(done)} kinds"
        print(said + (": all hold" if not failed.total() else ""))
        for what, times in sorted((+failed).items()):
            print(f"  broken {times} times: {what}")
        broken += failed.total()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
