"""RFC 9457 problem documents: every refusal says what, where and what to do."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason: the `field` it is about (a JSON pointer or a name), what is wrong, what to do."""

    field: str
    what: str
    todo: str = ""


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a problem response (RFC 9457, section 3), with `reasons` as an extension."""

    type: str
    title: str
    status: int
    detail: str = ""
    reasons: tuple[Part, ...] = ()
    extra: dict[str, Any] = {}


class Problem(Exception):
    """Raise this anywhere below a route: the client gets the document, and nothing has changed."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        *reasons: Part,
        detail: str = "",
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {title}")
        self.document = Document(
            f"/problems/{code}", title, status, detail, tuple(reasons), extra or {}
        )
        self.headers = headers or {}


def response(problem: Problem) -> Response:
    """Return the HTTP response for `problem`."""
    return Response(
        msgspec.json.encode(problem.document),
        problem.document.status,
        {"Cache-Control": "no-store", **problem.headers},
        MEDIA_TYPE,
    )
