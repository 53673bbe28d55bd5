"""The EPCIS 2.0 REST interface as a Starlette application of its own, mounted by whoever serves.

    app = epcis_app(store, who)      # who: gives the caller of a request, or raises Problem 401/403
    routes = [Mount("/epcis", app)]

The paths are read from the raw URL, because an EPC in a path is a URI with slashes of its own
(`/epcs/https%3A%2F%2Fid.gs1.org%2F...`). Logic is in `stafett.exchange`; here is only HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from stafett.exchange import epcis
from stafett.exchange.captures import Captures
from stafett.exchange.epcis_answers import query_document
from stafett.exchange.epcis_identifiers import LINKS, URNS
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
    job_answer,
    negotiate,
    page_size,
    refusal,
)
from stafett.web.epcis_path import (
    Caller,
    Who,
    collection,
    format_of,
    refuse_rest,
    segments,
    url_of,
    uuid_of,
)
from stafett.web.epcis_standing import Standing

log = logging.getLogger(__name__)


Handler = Callable[[Request, Caller, list[str]], Awaitable[Response]]
TOP: Final = ("queries", "capture", "events", *RESOURCES)


class Epcis(Standing):
    """The handlers of one store."""

    def __init__(
        self,
        store: EpcisStore,
        who: Who,
        captures: Captures | None = None,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        super().__init__(store, who, subscriptions)
        self.captures = captures or Captures(store)
        self.listing = Listing(store)
        # What gives events gives them in XML too.
        events = (self.event, self.events, self.resource_events, self.query_events)
        # Who sends XML gets the job in XML, and asks for it where a document is sent.
        self.in_xml = (*events, self.capture, self.job)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or WebSocket."""
        if scope["type"] == "websocket":
            await self.websocket(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        try:
            reply = await self.reply(request)
        except Problem as refused:
            reply = refusal(refused, request.url.path, _accept(request))
        except Exception:
            log.exception("EPCIS request failed")
            reply = refusal(
                Problem(500, "ImplementationException", "the server failed; it wrote down why"),
                request.url.path,
                _accept(request),
            )
        await reply(scope, receive, send)

    async def reply(self, request: Request) -> Response:
        """Find the handler and call it."""
        parts = segments(request.scope)
        methods, names = self.route(parts)
        if request.method == "OPTIONS":
            return await self.discover(request, parts, methods)
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allow = ", ".join(["OPTIONS", *methods])
            why = f"{request.method} is not allowed here, only {allow}"
            problem = Problem(405, "MethodNotAllowedException", why)
            reply = refusal(problem, request.url.path, _accept(request))
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
        known = self.store.namespaces(known_caller.may_read) if known_caller else {}
        spaces = [f"{p}={u}" for p, us in sorted(known.items()) for u in us]
        if spaces:
            headers["GS1-Extensions"] = ",".join(spaces[:50])
        if known_caller and parts[:1] == ["queries"] and len(parts) == 4:
            headers.update(await self.reached(known_caller, parts))
        if parts[:1] == ["capture"]:
            headers.update(LIMITS)
        return answer(None, 204, headers)

    async def documented(
        self, request: Request, caller: Caller, events: Sequence[Stored], name: str
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Give events as a query document, with identifiers as the client asks, and its header."""
        wanted = format_of(request)
        known = await self.store.companies(caller.may_read) if wanted == URNS else frozenset[str]()
        document = query_document(events, name=name, wanted=wanted, prefixes=known)
        return document, {"GS1-EPC-Format": wanted}

    async def top(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List the top-level resources."""
        return answer(collection(list(TOP)))

    async def capture(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Accept a document."""
        data, xml = await document_of(request)
        behaviour = request.headers.get("gs1-capture-error-behaviour", "rollback")
        job = await self.captures.submit(
            data, owner=caller.organisation, behaviour=behaviour, xml=xml
        )
        headers = {"Location": url_of(request, "capture", str(job)), **LIMITS}
        headers["GS1-Capture-Error-Behaviour"] = behaviour
        return answer(None, 202, headers)

    async def jobs(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List the caller's capture jobs."""
        rest, limit, token = await self.asked(request, caller)
        refuse_rest(rest)
        jobs, following = await self.captures.page(
            limit=limit, after=token, owners=[caller.organisation]
        )
        return answer([j.body() for j in jobs], headers=self.following(request, caller, following))

    async def job(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Show one capture job of the caller's."""
        number = uuid_of(names[1])
        job = await self.captures.get(number, [caller.organisation])
        headers = {"GS1-Capture-Error-Behaviour": job.behaviour}
        return job_answer(request, job.body(), headers)

    async def put_event(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Capture a single event, at once, and give it as it is kept: with the ID it now has."""
        document = epcis.read(await body_of(request))
        if document.kind in ("EPCISDocument", "EPCISQueryDocument"):
            raise Problem(
                400, "ValidationException", "this takes one event; documents go to /capture"
            )
        outcome = await self.store.capture(document, owner=caller.organisation)
        status = 201 if outcome.captured else 200
        (name,) = outcome.event_ids
        kept = {"@context": document.context, **document.events[0], "eventID": name}
        return answer(kept, status, {"Location": url_of(request, "events", name)})

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
        given, limit, token = await self.asked(request, caller)
        query = await self.read(request, caller, given)
        for name, value in fixed.items():
            extra = read_query({name: value})
            conditions = (*query.conditions, *extra.conditions)
            query = msgspec.structs.replace(query, conditions=conditions)
        return await self.page(request, caller, query, limit, token)

    async def read(self, request: Request, caller: Caller, given: dict[str, Any]) -> Query:
        """Check a URL's query; extension prefixes mean what the client says, else as captured."""
        if any(":" in name for name in given):
            await self.store.refresh()
        context = extensions_of(request)
        own = caller.may_read
        return read_query(given, lambda n: self.store.names(n, context, own), text=True)

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
        headers |= self.following(request, caller, page.next_token)
        return events_answer(request, document, headers)

    async def members(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List a top-level resource's members."""
        rest, limit, token = await self.asked(request, caller)
        refuse_rest(rest)
        members, following = await self.listing.members(names[0], limit, token, caller.may_read)
        headers = self.following(request, caller, following)
        if names[0] in ("epcs", "readPoints", "bizLocations"):
            # Listed once, however often and in whatever spelling it was captured: as a link.
            wanted = URNS if format_of(request) == URNS else LINKS
            if wanted == URNS:
                members = in_format(members, URNS, await self.store.companies(caller.may_read))
            headers["GS1-EPC-Format"] = wanted
        return answer(collection(members), headers=headers)

    async def resource(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List what lies below one resource."""
        await self.listing.require(names[0], names[1], caller.may_read)
        return answer(collection(["events"]))

    async def query_events(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Answer a named query."""
        named = await self.subscriptions.query(names[1], caller.organisation)
        rest, limit, token = await self.asked(request, caller)
        limit = page_size(str(named.query["perPage"])) if "perPage" in named.query else limit
        refuse_rest(rest)
        return await self.page(
            request, caller, self.subscriptions.read(named), limit, token, named.name
        )

    async def forget_token(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Give up a page token of the caller's: no page is given for it any more."""
        await self.tokens.give_up(names[1], owner=caller.organisation)
        return answer(None, 204)


def _accept(request: Request) -> str:
    return request.headers.get("accept", "*/*")


def epcis_app(store: EpcisStore, who: Who) -> Starlette:
    """Give the application; the store must be open while it serves."""
    handlers: ASGIApp = Epcis(store, who)
    return Starlette(routes=[Mount("", app=handlers)])
