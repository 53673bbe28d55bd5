"""The text of a file that a logger exported, whatever program wrote it. Pure."""

from __future__ import annotations

import codecs
from typing import Final

from stafett.watch.reading import BadChunk

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # zip (xlsx, ods), OLE (xls)
_LOOKED_AT: Final = 400


def text_of(data: bytes) -> str:
    """Decode UTF-8 and UTF-16, with or without a mark, else Windows-1252. Raises BadChunk."""
    if data.startswith(b"%PDF"):
        raise BadChunk("file", "is a PDF", "export the table of readings as CSV")
    if data.startswith(_WORKBOOKS):
        raise BadChunk("file", "is a workbook", "export the table of readings as CSV")
    if data.startswith(_UTF16):
        return _whole(data, "utf-16")
    if data.startswith(codecs.BOM_UTF8):
        return _whole(data, "utf-8-sig")
    head = data[:_LOOKED_AT]
    if b"\0" in head:  # two bytes a character, and nothing says so
        return _whole(
            data, "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # the signs it may hold besides: °, and letters


def _whole(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise BadChunk("file", "is no text", "export the table of readings as CSV") from None
