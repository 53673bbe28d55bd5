"""Who asks of the EPCIS interface, and for what: the parts of an address, as they were written."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from stafett.exchange import epcis
from stafett.exchange.epcis_identifiers import check_format
from stafett.exchange.problem import Problem


class Caller(msgspec.Struct, frozen=True):
    """Who asks: an organisation, and whose captures it may read (None: everybody's)."""

    organisation: str
    may_read: tuple[str, ...] | None = None


Who = Callable[[HTTPConnection], Awaitable[Caller]]


def segments(scope: Scope) -> list[str]:
    """Give the parts of a path, each decoded by itself; `Problem` 404 for what is no text."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    root = quote(scope.get("root_path", "")).encode()
    path = raw.split(b"?")[0]
    path = path[len(root) :] if root and path.startswith(root) else path
    try:
        parts = [unquote(p, errors="strict") for p in path.decode("ascii").strip("/").split("/")]
    except UnicodeDecodeError:
        raise Problem(404, "NoSuchResourceException", "the path is not UTF-8") from None
    if any("\x00" in p for p in parts):
        raise Problem(404, "NoSuchResourceException", "the path holds the character NUL")
    return [] if parts == [""] else parts


def url_of(request: Request, *parts: str) -> str:
    """Give the path of something of this interface."""
    root = request.scope.get("root_path", "")
    return quote(root) + "/" + "/".join(quote(p, safe="") for p in parts)


def format_of(request: Request) -> str:
    """Give the form of identifiers that is asked for; `Problem` 406 for another word."""
    return check_format(request.headers.get("gs1-epc-format"))


def uuid_of(text: str) -> uuid.UUID:
    """Read a number in a path; `Problem` 404 if it is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Problem(404, "NoSuchResourceException", f"there is no {text[:80]!r}") from None


def own(owner: str, caller: Caller) -> None:
    """Refuse with 403 what is another organisation's."""
    if owner != caller.organisation:
        raise Problem(403, "SecurityException", "it belongs to another organisation")


def refuse_rest(rest: dict[str, str]) -> None:
    """Refuse parameters where only paging is known."""
    if rest:
        name = next(iter(rest))
        raise Problem(
            400, "QueryParameterException", f"{name[:80]}: only perPage and nextPageToken here"
        )


def collection(members: list[str]) -> dict[str, Any]:
    """Give a list of members as the REST binding writes it."""
    return {"@context": [epcis.CONTEXT_URI], "type": "Collection", "member": members}
