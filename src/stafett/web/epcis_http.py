"""What every answer of the EPCIS interface has in common: headers, negotiation, limits, errors."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import stafett
from stafett.exchange import epcis, epcis_xml, epcis_xml_said, epcis_xml_write
from stafett.exchange.epcis_pages import MAX_PAGE
from stafett.exchange.problem import Finding, Problem

VERSION: Final = "2.0.0"
JSON_TYPES: Final = ("application/json", "application/ld+json")
XML_TYPES: Final = ("application/xml", "text/xml")
EVENT_TYPES: Final = (*JSON_TYPES, *XML_TYPES)
PROBLEM_XML: Final = "application/problem+xml"
PROBLEM_TYPES: Final = ("application/problem+json", *JSON_TYPES, PROBLEM_XML, *XML_TYPES)
DEFAULT_PAGE: Final = 30
MAX_QUERY: Final = 16_000  # bytes of a query string
STANDARD: Final = {
    "GS1-EPCIS-Version": VERSION,
    "GS1-CBV-Version": VERSION,
    "GS1-EPCIS-Min": VERSION,
    "GS1-EPCIS-Max": VERSION,
    "GS1-CBV-Min": VERSION,
    "GS1-CBV-Max": VERSION,
    "GS1-Vendor-Version": f"stafett/{stafett.__version__}",
}
# One word each, as the published schema of the headers has it: any format may be asked for.
DISCOVERY: Final = {
    **STANDARD,
    "GS1-EPC-Format": "No_Preference",
    "GS1-CBV-XML-Format": "No_Preference",
}
LIMITS: Final = {
    "GS1-EPCIS-Capture-Limit": str(epcis.MAX_EVENTS),
    "GS1-EPCIS-Capture-File-Size-Limit": str(epcis.MAX_BYTES),
    "GS1-Capture-Error-Behaviour": "all",  # rollback and proceed,
}


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Give a JSON answer with the standard's headers."""
    return Response(
        b"" if body is None else msgspec.json.encode(body),
        status,
        {**STANDARD, **(headers or {})},
        "application/json" if body is not None else None,
    )


def events_answer(
    request: Request, document: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    """Give a document of events as JSON, or as XML where the client wishes that more."""
    kind = negotiate(request, EVENT_TYPES)
    headers = {**(headers or {}), "Vary": "Accept"}
    if kind not in XML_TYPES:
        return answer(document, headers=headers)
    words = epcis_xml_write.check_words(request.headers.get("gs1-cbv-xml-format", "No_Preference"))
    told = {**STANDARD, **headers, "GS1-CBV-XML-Format": words}
    return Response(epcis_xml_write.xml_of(document, words), 200, told, f"{kind}; charset=utf-8")


def job_answer(request: Request, body: dict[str, Any], headers: Mapping[str, str]) -> Response:
    """Give a capture job as JSON, or as XML where the client wishes that more."""
    kind = negotiate(request, EVENT_TYPES)
    headers = {**headers, "Vary": "Accept"}
    if kind not in XML_TYPES:
        return answer(body, headers=headers)
    told = {**STANDARD, **headers}
    return Response(epcis_xml_said.job_xml(body), 200, told, f"{kind}; charset=utf-8")


def refusal(problem: Problem, instance: str = "", accept: str = "") -> Response:
    """Give a problem document (RFC 9457, which replaced RFC 7807).

    It is XML for who asks for XML rather than JSON, as GS1's description has it.
    """
    body = problem.body()
    if instance:
        body["instance"] = instance
    headers = dict(STANDARD)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status == 415:
        headers["Accept-Encoding"] = "identity"  # RFC 9110, section 12.5.3
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == 413 and problem.name == "CaptureLimitExceededException":
        headers.update(LIMITS)
    if _best(accept, PROBLEM_TYPES) in (PROBLEM_XML, *XML_TYPES):
        return Response(epcis_xml_said.problem_xml(body), problem.status, headers, PROBLEM_XML)
    return Response(msgspec.json.encode(body), problem.status, headers, "application/problem+json")


def negotiate(request: Request, kinds: Sequence[str] = JSON_TYPES) -> str:
    """Choose the format of the answer among `kinds`, by the wishes and weights of Accept.

    Refuses with 406 what cannot be answered: a format or a version that this server lacks.
    """
    chosen = _best(request.headers.get("accept", "*/*"), kinds)
    if chosen is None:
        raise Problem(406, "NotAcceptableException", f"this server answers {', '.join(kinds)}")
    _versions(request)
    return chosen


def _best(accept: str, kinds: Sequence[str]) -> str | None:
    """Give the kind that is wished most; among equals the first that is offered (RFC 9110)."""
    weights: dict[str, float] = {}
    for part in accept.lower().split(","):
        kind, *parameters = (p.strip() for p in part.split(";"))
        text = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        weights[kind] = float(text) if _WEIGHT.fullmatch(text) else 0.0

    def wish(kind: str) -> float:
        ranges = (kind, kind.partition("/")[0] + "/*", "*/*", "")
        return next((weights[r] for r in ranges if r in weights), 0.0)

    best = max(kinds, key=wish)
    # Who takes only problem documents gets what there is, as JSON.
    problems = {"application/problem+json", PROBLEM_XML} & weights.keys()
    return best if wish(best) > 0 else kinds[0] if problems else None


_WEIGHT: Final = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


def _versions(request: Request) -> None:
    for name in ("GS1-EPCIS-Min", "GS1-CBV-Min"):
        if name in request.headers and _version(name, request.headers[name]) > (2, 0, 0):
            raise Problem(406, "NotAcceptableException", f"{name}: this server speaks {VERSION}")
    for name in ("GS1-EPCIS-Max", "GS1-CBV-Max"):
        if name in request.headers and _version(name, request.headers[name]) < (2, 0, 0):
            raise Problem(406, "NotAcceptableException", f"{name}: this server speaks {VERSION}")
    for name in ("GS1-EPCIS-Version", "GS1-CBV-Version"):
        if name in request.headers and _version(name, request.headers[name])[:2] != (2, 0):
            raise Problem(406, "NotAcceptableException", f"{name}: this server speaks {VERSION}")


def _version(name: str, text: str) -> tuple[int, int, int]:
    parts = text.strip().split(".")
    if len(parts) > 3 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts):
        raise Problem(400, "ValidationException", f"{name}: {text[:40]!r} is no version like 2.0.0")
    numbers = [int(p) for p in parts] + [0, 0]
    return numbers[0], numbers[1], numbers[2]


async def document_of(request: Request) -> tuple[bytes, bytes]:
    """Read a document to capture, in JSON; with it the XML that it was brought from, if any."""
    data = await body_of(request, EVENT_TYPES)
    if _kind(request) in XML_TYPES:
        return msgspec.json.encode(epcis_xml.read_xml(data)), data
    return data, b""


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def body_of(request: Request, kinds: Sequence[str] = JSON_TYPES) -> bytes:
    """Read a body of these kinds within the limit; raise `Problem` 415 or 413, this early."""
    kind = _kind(request)
    if kind not in kinds:
        raise Problem(
            415, "UnsupportedMediaTypeException",
            f"{kind or 'no content type'!r}: this server takes {' and '.join(kinds)} here",
        )  # fmt: skip
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", ""):
        raise Problem(
            415, "UnsupportedMediaTypeException",
            f"Content-Encoding: {coding[:40]!r}: this server takes bodies that are not compressed",
        )  # fmt: skip
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > epcis.MAX_BYTES:
        raise _too_large()
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > epcis.MAX_BYTES:
            raise _too_large()
    # RFC 8259, section 8.1: nobody should send a byte order mark, and whoever reads may pass it by.
    return bytes(data.removeprefix(codecs.BOM_UTF8) if kind in JSON_TYPES else data)


def _too_large() -> Problem:
    return Problem(
        413, "CaptureLimitExceededException",
        f"the body is larger than the {epcis.MAX_BYTES:,} bytes that this server takes at a time",
    )  # fmt: skip


def parameters_of(request: Request) -> tuple[dict[str, str], int, str | None]:
    """Give a URL's query parameters (lists joined by `|`), the page size and the page token."""
    raw = request.scope.get("query_string", b"")
    if len(raw) > MAX_QUERY:
        raise Problem(
            414, "URITooLongException",
            f"the query string has {len(raw):,} bytes of at most {MAX_QUERY:,}: define a named "
            "query with POST /queries instead",
        )  # fmt: skip
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise Problem(
            400, "QueryParameterException", "the query string is not UTF-8, percent-encoded"
        ) from None
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise Problem(400, "QueryParameterException", "a parameter holds the character NUL")
        found[name] = f"{found[name]}|{value}" if name in found else value
    token = found.pop("nextPageToken", None)
    return found, page_size(found.pop("perPage", None)), token


def page_size(text: str | None) -> int:
    """Check `perPage`: 1 or more; above 1,000 the server gives 1,000."""
    if text is None:
        return DEFAULT_PAGE
    if not text.isascii() or not text.isdigit() or int(text[:9]) < 1 or len(text) > 9:
        why = f"{text[:40]!r} is no count of at least 1"
        raise Problem(400, "QueryParameterException", f"perPage: {why}", [Finding("/perPage", why)])
    return min(int(text), MAX_PAGE)


def next_link(request: Request, token: str, expires: datetime) -> dict[str, str]:
    """Give the Link header of the next page (RFC 8288), and when its token runs out."""
    pairs = [
        (k, v) for k, v in parse_qsl(request.scope["query_string"].decode("ascii"),
                                     keep_blank_values=True) if k != "nextPageToken"
    ]  # fmt: skip
    query = urlencode([*pairs, ("nextPageToken", token)], quote_via=quote)
    url = f"{request.url.scheme}://{request.url.netloc}{_raw_path(request)}?{query}"
    until = expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"Link": f'<{url}>; rel="next"', "GS1-Next-Page-Token-Expires": until}


def _raw_path(request: Request) -> str:
    raw: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    return raw.split(b"?")[0].decode("ascii")


def extensions_of(request: Request) -> dict[str, str]:
    """Read the prefixes that a client's GS1-Extensions header defines: `ext=https://...`, ..."""
    out = {}
    for part in request.headers.get("gs1-extensions", "").split(","):
        prefix, equals, uri = part.strip().partition("=")
        if equals and prefix and ":" in uri:
            out[prefix] = uri
    return out
