"""A refusal that names the place: RFC 9457 problem details with an EPCIS exception name.

EPCIS 2.0 (REST bindings) names its exceptions `epcisException:...`; the HTTP layer turns a
`Problem` into `application/problem+json`, the command line into one line per error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

TITLES = {
    "ValidationException": "The document is not valid EPCIS 2.0",
    "QueryParameterException": "The query has a wrong parameter",
    "QueryTooLargeException": "The result is larger than maxEventCount",
    "QueryTooComplexException": "The query needs more than this server will do",
    "SubscriptionControlsException": "The subscription's controls are wrong",
    "CaptureLimitExceededException": "The capture payload is too large",
    "NoSuchResourceException": "There is no such resource",
    "NoSuchNameException": "There is no query of that name",
    "ResourceAlreadyExistsException": "A resource with that identifier exists",
    "NotAcceptableException": "The response cannot be given in the form asked for",
    "UnsupportedMediaTypeException": "The content type is not supported",
    "URITooLongException": "The query string is too long",
    "MethodNotAllowedException": "This is not done here",
    "SecurityException": "The caller may not do this",
    "ImplementationException": "The server failed",
}

TOO_MANY = "Too many acts at once"  # EPCIS names no exception of its own for a caller's pace


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: where (a JSON pointer, RFC 6901), what, and what to do."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.detail}"


class Problem(Exception):
    """A refused document, query or request.

    `status` is the HTTP status; `name` the EPCIS exception; `findings` the places in the input;
    `retry_after_s` the seconds to wait before the same is sent again, where that helps.
    """

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        findings: Sequence[Finding] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.name = name
        self.detail = detail
        self.findings = tuple(findings)
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """Give the members of the `application/problem+json` document."""
        out: dict[str, Any] = {
            "type": f"epcisException:{self.name}",
            "title": TOO_MANY if self.status == 429 else TITLES.get(self.name, self.name),
            "status": self.status,
            "detail": self.detail,
        }
        if self.findings:
            out["errors"] = [{"pointer": f.pointer, "detail": f.detail} for f in self.findings]
        return out


def pointer(*parts: str | int) -> str:
    """Join reference tokens to a JSON pointer.

    >>> pointer("epcisBody", "eventList", 0, "ct:a/b")
    '/epcisBody/eventList/0/ct:a~1b'
    """
    return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in parts)
