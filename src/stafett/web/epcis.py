"""The EPCIS 2.0 REST interface as a Starlette application of its own, mounted by whoever serves.

    app = epcis_app(store, who)      # who: gives the caller of a request, or raises Problem 401/403
    routes = [Mount("/epcis", app)]

The paths are read from the raw URL, because an EPC in a path is a URI with slashes of its own
(`/epcs/https%3A%2F%2Fid.gs1.org%2F...`). Logic is in `stafett.exchange`; here is only HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from stafett.exchange import epcis
from stafett.exchange.captures import Captures
from stafett.exchange.epcis_answers import query_document
from stafett.exchange.epcis_identifiers import LINKS, URNS, check_format
from stafett.exchange.epcis_identifiers import members as in_format
from stafett.exchange.epcis_listing import RESOURCES, Listing
from stafett.exchange.epcis_pages import Stored
from stafett.exchange.epcis_query import Query, read_query
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.problem import Problem
from stafett.exchange.subscriptions import Subscriptions
from stafett.web.epcis_http import (
    DISCOVERY,
    EVENT_TYPES,
    JSON_TYPES,
    LIMITS,
    answer,
    body_of,
    document_of,
    events_answer,
    extensions_of,
    negotiate,
    next_link,
    page_size,
    parameters_of,
    refusal,
)
from stafett.web.epcis_stream import initial, stream

log = logging.getLogger(__name__)


class Caller(msgspec.Struct, frozen=True):
    """Who asks: an organisation, and whose captures it may read (None: everybody's)."""

    organisation: str
    may_read: tuple[str, ...] | None = None


Who = Callable[[HTTPConnection], Awaitable[Caller]]
Handler = Callable[[Request, Caller, list[str]], Awaitable[Response]]
TOP: Final = ("queries", "capture", "events", *RESOURCES)


class Epcis:
    """The handlers of one store."""

    def __init__(self, store: EpcisStore, who: Who, captures: Captures | None = None) -> None:
        self.store = store
        self.who = who
        self.captures = captures or Captures(store)
        self.subscriptions = Subscriptions(store)
        self.listing = Listing(store)
        # What gives events gives them in XML too.
        self.in_xml = (self.event, self.events, self.resource_events, self.query_events)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or WebSocket."""
        if scope["type"] == "websocket":
            await self.websocket(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        try:
            reply = await self.reply(request)
        except Problem as refused:
            reply = refusal(refused, request.url.path)
        except Exception:
            log.exception("EPCIS request failed")
            reply = refusal(
                Problem(500, "ImplementationException", "the server failed; it wrote down why"),
                request.url.path,
            )
        await reply(scope, receive, send)

    async def reply(self, request: Request) -> Response:
        """Find the handler and call it."""
        parts = _segments(request.scope)
        methods, names = self.route(parts)
        if request.method == "OPTIONS":
            return await self.discover(request, parts, methods)
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allow = ", ".join(["OPTIONS", *methods])
            reply = refusal(
                Problem(405, "ValidationException", f"{request.method} is not allowed here")
            )
            reply.headers["Allow"] = allow
            return reply
        negotiate(request, EVENT_TYPES if handler in self.in_xml else JSON_TYPES)
        return await handler(request, await self.who(request), names)

    def route(self, parts: list[str]) -> tuple[dict[str, Handler], list[str]]:
        """Give the methods of a path and the names in it; raise `Problem` 404."""
        head, rest = (parts[0], parts[1:]) if parts else ("", [])
        found: dict[str, Handler] | None = None
        if head == "":
            found = {"GET": self.top}
        elif head == "capture":
            if not rest:
                found = {"POST": self.capture, "GET": self.jobs}
            elif len(rest) == 1:
                found = {"GET": self.job}
        elif head == "events" and len(rest) < 2:
            found = {"GET": self.event} if rest else {"GET": self.events, "POST": self.put_event}
        elif head == "queries":
            found = self.route_queries(rest)
        elif head == "nextPageToken" and len(rest) == 1:
            found = {"DELETE": self.forget_token}
        elif head in RESOURCES:
            if not rest:
                found = {"GET": self.members}
            elif len(rest) == 1:
                found = {"GET": self.resource}
            elif len(rest) == 2 and rest[1] == "events":
                found = {"GET": self.resource_events}
        if found is None:
            raise Problem(404, "NoSuchResourceException", f"there is no /{'/'.join(parts)[:200]}")
        return found, parts

    def route_queries(self, rest: list[str]) -> dict[str, Handler] | None:
        """Give the methods below /queries."""
        if not rest:
            return {"GET": self.queries, "POST": self.define}
        if len(rest) == 1:
            return {"GET": self.definition, "DELETE": self.undefine}
        if len(rest) == 2 and rest[1] == "events":
            return {"GET": self.query_events}
        if rest[1] == "subscriptions" and len(rest) == 2:
            return {"GET": self.hooks, "POST": self.subscribe}
        if rest[1] == "subscriptions" and len(rest) == 3:
            return {"GET": self.hook, "DELETE": self.unsubscribe, "POST": self.replay}
        return None

    async def discover(
        self, request: Request, parts: list[str], methods: dict[str, Handler]
    ) -> Response:
        """Answer OPTIONS: versions, limits, methods; to a caller that is known, extensions too."""
        headers = {**DISCOVERY, "Allow": ", ".join(["OPTIONS", *methods])}
        try:
            known_caller: Caller | None = await self.who(request)
        except Problem:
            known_caller = None
        known = self.store.namespaces() if known_caller else {}
        spaces = [f"{p}={u}" for p, us in sorted(known.items()) for u in us]
        if spaces:
            headers["GS1-Extensions"] = ",".join(spaces[:50])
        if known_caller and parts[:1] == ["queries"] and len(parts) == 4:
            headers.update(await self.reached(known_caller, parts))
        if parts[:1] == ["capture"]:
            headers.update(LIMITS)
        return answer(None, 204, headers)

    async def reached(self, caller: Caller, parts: list[str]) -> dict[str, str]:
        """Say from which record time on a subscription of the caller's has not told yet."""
        hook = await self.subscriptions.webhook(_uuid(parts[3]), parts[1])
        _own(hook.owner, caller)
        moment = hook.last_run or hook.initial_time or hook.created
        return {"GS1-Query-Min-Record-Time": moment.isoformat()}

    async def documented(
        self, request: Request, caller: Caller, events: Sequence[Stored], name: str
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Give events as a query document, with identifiers as the client asks, and its header."""
        wanted = _format(request)
        known = await self.store.companies(caller.may_read) if wanted == URNS else frozenset[str]()
        document = query_document(events, name=name, wanted=wanted, prefixes=known)
        return document, {"GS1-EPC-Format": wanted}

    async def top(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List the top-level resources."""
        return answer(_collection(list(TOP)))

    async def capture(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Accept a document."""
        data, xml = await document_of(request)
        behaviour = request.headers.get("gs1-capture-error-behaviour", "rollback")
        job = await self.captures.submit(
            data, owner=caller.organisation, behaviour=behaviour, xml=xml
        )
        headers = {"Location": _url(request, "capture", str(job)), **LIMITS}
        headers["GS1-Capture-Error-Behaviour"] = behaviour
        return answer(None, 202, headers)

    async def jobs(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List the caller's capture jobs."""
        rest, limit, token = parameters_of(request)
        _refuse_rest(rest)
        jobs, following = await self.captures.page(
            limit=limit, after=token, owners=[caller.organisation]
        )
        return answer([j.body() for j in jobs], headers=next_link(request, following))

    async def job(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Show one capture job of the caller's."""
        number = _uuid(names[1])
        job = await self.captures.get(number, [caller.organisation])
        return answer(job.body(), headers={"GS1-Capture-Error-Behaviour": job.behaviour})

    async def put_event(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Capture a single event, at once."""
        document = epcis.read(await body_of(request))
        if document.kind in ("EPCISDocument", "EPCISQueryDocument"):
            raise Problem(
                400, "ValidationException", "this takes one event; documents go to /capture"
            )
        outcome = await self.store.capture(document, owner=caller.organisation)
        status = 201 if outcome.captured else 200
        return answer(None, status, {"Location": _url(request, "events", outcome.event_ids[0])})

    async def event(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Give what is known under an eventID: the event, and its error declarations."""
        query = read_query({"EQ_eventID": [names[1]]})
        page = await self.store.query(query, limit=1000, owners=caller.may_read)
        if not page.events:
            raise Problem(404, "NoSuchResourceException", f"there is no event {names[1][:200]}")
        return events_answer(
            request, *await self.documented(request, caller, page.events, "SimpleEventQuery")
        )

    async def events(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Answer a query in the URL."""
        return await self.answer_query(request, caller, {})

    async def resource_events(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Answer a query in the URL, of one step, place, type or EPC."""
        await self.listing.require(names[0], names[1], caller.may_read)
        return await self.answer_query(request, caller, {RESOURCES[names[0]][2]: [names[1]]})

    async def answer_query(
        self, request: Request, caller: Caller, fixed: dict[str, Any]
    ) -> Response:
        """Answer a query in the URL together with what the path fixes."""
        given, limit, token = parameters_of(request)
        query = await self.read(request, given)
        for name, value in fixed.items():
            extra = read_query({name: value})
            conditions = (*query.conditions, *extra.conditions)
            query = msgspec.structs.replace(query, conditions=conditions)
        return await self.page(request, caller, query, limit, token)

    async def read(self, request: Request, given: dict[str, Any]) -> Query:
        """Check a URL's query; extension prefixes mean what the client says, else as captured."""
        if any(":" in name for name in given):
            await self.store.refresh()
        context = extensions_of(request)
        return read_query(given, lambda n: self.store.names(n, context), text=True)

    async def page(
        self,
        request: Request,
        caller: Caller,
        query: Query,
        limit: int,
        token: str | None,
        name: str = "SimpleEventQuery",
    ) -> Response:
        """Give one page as a query document."""
        page = await self.store.query(query, limit=limit, token=token, owners=caller.may_read)
        document, headers = await self.documented(request, caller, page.events, name)
        return events_answer(request, document, {**next_link(request, page.next_token), **headers})

    async def members(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List a top-level resource's members."""
        rest, limit, token = parameters_of(request)
        _refuse_rest(rest)
        members, following = await self.listing.members(names[0], limit, token, caller.may_read)
        headers = next_link(request, following)
        if names[0] in ("epcs", "readPoints", "bizLocations"):
            # Listed once, however often and in whatever spelling it was captured: as a link.
            wanted = URNS if _format(request) == URNS else LINKS
            if wanted == URNS:
                members = in_format(members, URNS, await self.store.companies(caller.may_read))
            headers["GS1-EPC-Format"] = wanted
        return answer(_collection(members), headers=headers)

    async def resource(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List what lies below one resource."""
        await self.listing.require(names[0], names[1], caller.may_read)
        return answer(_collection(["events"]))

    async def queries(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List the named queries."""
        rest, limit, token = parameters_of(request)
        _refuse_rest(rest)
        found = await self.subscriptions.queries(limit + 1, token)
        following = found[limit - 1].name if len(found) > limit else None
        return answer(
            [{"name": q.name, "query": q.query} for q in found[:limit]],
            headers=next_link(request, following),
        )

    async def define(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Keep a query under a name."""
        body = epcis.parse(await body_of(request))
        if not isinstance(body, dict) or "name" not in body or "query" not in body:
            raise Problem(400, "ValidationException", "give an object with 'name' and 'query'")
        context = body.get("@context") or extensions_of(request) or None
        named = await self.subscriptions.define(
            body["name"], body["query"], owner=caller.organisation, context=context
        )
        return answer(None, 201, {"Location": _url(request, "queries", named.name)})

    async def definition(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Show a named query."""
        named = await self.subscriptions.query(names[1])
        return answer({"name": named.name, "query": named.query})

    async def undefine(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Remove a named query and its subscriptions; only who defined it may."""
        named = await self.subscriptions.query(names[1])
        _own(named.owner, caller)
        await self.subscriptions.remove(named.name)
        return answer(None, 204)

    async def query_events(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Answer a named query."""
        named = await self.subscriptions.query(names[1])
        rest, limit, token = parameters_of(request)
        limit = page_size(str(named.query["perPage"])) if "perPage" in named.query else limit
        _refuse_rest(rest)
        return await self.page(
            request, caller, self.subscriptions.read(named), limit, token, named.name
        )

    async def hooks(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List the caller's subscriptions to a query."""
        await self.subscriptions.query(names[1])
        rest, limit, token = parameters_of(request)
        _refuse_rest(rest)
        found = [h for h in await self.subscriptions.webhooks(names[1])
                 if h.owner == caller.organisation]  # fmt: skip
        if token is not None:
            ids = [str(h.id) for h in found]
            if token not in ids:
                why = "the subscription that the page began after is gone; begin again"
                raise Problem(400, "QueryParameterException", f"nextPageToken: {why}")
            found = found[ids.index(token) + 1 :]
        following = str(found[limit - 1].id) if len(found) > limit else None
        return answer([h.body() for h in found[:limit]], headers=next_link(request, following))

    async def subscribe(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Subscribe a webhook to a query."""
        wish = epcis.parse(await body_of(request))
        hook = await self.subscriptions.subscribe(
            names[1], wish, owner=caller.organisation, epc_format=_format(request)
        )
        location = _url(request, "queries", names[1], "subscriptions", str(hook.id))
        return answer(hook.body(), 201, {"Location": location})

    async def hook(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Show one subscription."""
        hook = await self.subscriptions.webhook(_uuid(names[3]), names[1])
        _own(hook.owner, caller)
        return answer(hook.body())

    async def unsubscribe(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """End one subscription."""
        hook = await self.subscriptions.webhook(_uuid(names[3]), names[1])
        _own(hook.owner, caller)
        await self.subscriptions.unsubscribe(hook.id)
        return answer(None, 204)

    async def replay(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Revive a subscription, with `{"position": n}` from there (an addition of Stafett's)."""
        hook = await self.subscriptions.webhook(_uuid(names[3]), names[1])
        _own(hook.owner, caller)
        wish = epcis.parse(await body_of(request))
        position = wish.get("position") if isinstance(wish, dict) else None
        if position is not None and (isinstance(position, bool) or not isinstance(position, int)):
            raise Problem(400, "SubscriptionControlsException", "position is a whole number")
        return answer((await self.subscriptions.replay(hook.id, position)).body())

    async def forget_token(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Say that page tokens hold no state that could be given up."""
        raise Problem(
            501, "ImplementationException", "page tokens keep nothing on the server; just drop it"
        )

    async def websocket(self, socket: WebSocket) -> None:
        """Serve /queries/{name}/events as a WebSocket subscription."""
        parts = _segments(socket.scope)
        try:
            caller = await self.who(socket)
            if len(parts) != 3 or parts[0] != "queries" or parts[2] != "events":
                raise Problem(404, "NoSuchResourceException", "subscribe at /queries/{name}/events")
            named = await self.subscriptions.query(parts[1])
            wish = dict(socket.query_params)
            wanted = check_format(socket.headers.get("gs1-epc-format"))
            feed = stream(self.store, self.subscriptions, named, wish, caller.may_read, wanted)
            first = await anext(feed)  # nothing yet, but the wish is checked before accepting
            assert first is None
        except Problem as refused:
            await socket.close(4000 + refused.status % 1000, refused.detail[:120])
            return
        since = (initial(wish) or datetime.now(UTC)).isoformat()
        told = {"GS1-Query-Min-Record-Time": since, "GS1-EPC-Format": wanted}
        await socket.accept(headers=[(k.lower().encode(), v.encode()) for k, v in told.items()])
        listener = asyncio.create_task(_until_gone(socket))
        try:
            async for document in feed:
                if listener.done():
                    break
                if document is not None:
                    await socket.send_text(msgspec.json.encode(document).decode())
        except WebSocketDisconnect:
            log.debug("subscriber of %s went away", named.name)
        except Problem as refused:  # an identifier that has no EPC URN: not left out, but said
            await socket.close(4000 + refused.status % 1000, refused.detail[:120])
        finally:
            listener.cancel()
            await feed.aclose()


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue  # a subscriber has nothing to say


def epcis_app(store: EpcisStore, who: Who) -> Starlette:
    """Give the application; the store must be open while it serves."""
    handlers: ASGIApp = Epcis(store, who)
    return Starlette(routes=[Mount("", app=handlers)])


def _segments(scope: Scope) -> list[str]:
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


def _url(request: Request, *parts: str) -> str:
    root = request.scope.get("root_path", "")
    return quote(root) + "/" + "/".join(quote(p, safe="") for p in parts)


def _collection(members: list[str]) -> dict[str, Any]:
    return {"@context": [epcis.CONTEXT_URI], "type": "Collection", "member": members}


def _format(request: Request) -> str:
    return check_format(request.headers.get("gs1-epc-format"))


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Problem(404, "NoSuchResourceException", f"there is no {text[:80]!r}") from None


def _own(owner: str, caller: Caller) -> None:
    if owner != caller.organisation:
        raise Problem(403, "SecurityException", "it belongs to another organisation")


def _refuse_rest(rest: dict[str, str]) -> None:
    if rest:
        name = next(iter(rest))
        raise Problem(
            400, "QueryParameterException", f"{name[:80]}: only perPage and nextPageToken here"
        )
