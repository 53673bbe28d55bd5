"""What the EPCIS interface says besides events, as XML: a refusal, and a capture job.

Names and namespace are those of GS1's OpenAPI document of 2.0.0 (the `xml` of its schemas
`RFC7807ProblemResponseBody` and `CaptureJob`). What Stafett says beyond it are elements of their
own; a list is its element again and again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from stafett.exchange.epcis_xml_write import DOCUMENT

_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ATTRIBUTES: Final = ("captureID", "running", "success")


def problem_xml(body: Mapping[str, Any]) -> bytes:
    """Write a problem document as `epcis:EPCISException`."""
    return _whole("EPCISException", {}, body)


def job_xml(body: Mapping[str, Any]) -> bytes:
    """Write a capture job as `epcis:EPCISCaptureJob`, each of its errors as an exception."""
    rest = {"epcis:EPCISException" if k == "errors" else k: v
            for k, v in body.items() if k not in _ATTRIBUTES}  # fmt: skip
    return _whole("EPCISCaptureJob", {name: body[name] for name in _ATTRIBUTES}, rest)


def _whole(name: str, attributes: Mapping[str, Any], inner: Mapping[str, Any]) -> bytes:
    said = "".join(f" {k}={quoteattr(_text(v))}" for k, v in attributes.items())
    held = "".join(_element(k, v) for k, v in inner.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<epcis:{name} xmlns:epcis="{DOCUMENT}"{said}>'
        f"{held}</epcis:{name}>\n"
    ).encode()


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    held = "".join(_element(k, v) for k, v in value.items()) if isinstance(value, dict) else (
        escape(_text(value)))  # fmt: skip
    return f"<{name}>{held}</{name}>"


def _text(value: Any) -> str:
    """Give a value as XML has it; a character that XML cannot hold is told by its number."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _NOT_XML.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
