"""Named queries and who is told of their answers: the EPCIS interface below /queries."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from stafett.exchange import epcis
from stafett.exchange.epcis_identifiers import check_format
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.page_tokens import PageTokens
from stafett.exchange.problem import Finding, Problem, pointer
from stafett.exchange.subscriptions import Subscriptions
from stafett.web.epcis_http import answer, body_of, extensions_of, next_link, parameters_of, refusal
from stafett.web.epcis_path import (
    Caller,
    Who,
    format_of,
    own,
    refuse_rest,
    segments,
    url_of,
    uuid_of,
)
from stafett.web.epcis_stream import initial, stream

log = logging.getLogger(__name__)


class Standing:
    """The handlers of queries that are kept under a name, and of their subscriptions."""

    def __init__(
        self, store: EpcisStore, who: Who, subscriptions: Subscriptions | None = None
    ) -> None:
        self.store = store
        self.who = who
        self.subscriptions = subscriptions or Subscriptions(store)
        self.tokens = PageTokens(store)

    async def asked(
        self, request: Request, caller: Caller
    ) -> tuple[dict[str, str], int, str | None]:
        """Give a URL's parameters, the page size, and where the page starts (None: first)."""
        given, limit, token = parameters_of(request)
        if token is None:
            return given, limit, None
        path = segments(request.scope)
        return given, limit, await self.tokens.read(token, owner=caller.organisation, path=path)

    def following(self, request: Request, caller: Caller, place: str | None) -> dict[str, str]:
        """Give the headers of a page that goes on at `place` (None: it is the last)."""
        if place is None:
            return {}
        path = segments(request.scope)
        token, expires = self.tokens.write(place, owner=caller.organisation, path=path)
        return next_link(request, token, expires)

    async def reached(self, caller: Caller, parts: list[str]) -> dict[str, str]:
        """Say from which record time on a subscription of the caller's has not told yet."""
        hook = await self.subscriptions.webhook(uuid_of(parts[3]), parts[1])
        own(hook.owner, caller)
        moment = hook.last_run or hook.initial_time or hook.created
        return {"GS1-Query-Min-Record-Time": moment.isoformat()}

    async def queries(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List the caller's named queries: what somebody asks for is nobody else's to know."""
        rest, limit, token = await self.asked(request, caller)
        refuse_rest(rest)
        found = await self.subscriptions.queries(caller.organisation, limit + 1, token)
        following = found[limit - 1].name if len(found) > limit else None
        return answer(
            [{"name": q.name, "query": q.query} for q in found[:limit]],
            headers=self.following(request, caller, following),
        )

    async def define(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Keep a query under a name."""
        body = epcis.parse(await body_of(request))
        if not isinstance(body, dict) or "name" not in body or "query" not in body:
            raise Problem(400, "ValidationException", "give an object with 'name' and 'query'")
        _refuse_others(body, ("name", "query", "@context"), "ValidationException")
        context = body.get("@context") or extensions_of(request) or None
        named = await self.subscriptions.define(
            body["name"], body["query"], owner=caller.organisation, context=context
        )
        return answer(None, 201, {"Location": url_of(request, "queries", named.name)})

    async def definition(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Show a named query."""
        named = await self.subscriptions.query(names[1], caller.organisation)
        return answer({"name": named.name, "query": named.query})

    async def undefine(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Remove a named query of the caller's, and its subscriptions."""
        await self.subscriptions.remove(names[1], caller.organisation)
        return answer(None, 204)

    async def hooks(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """List the caller's subscriptions to a query."""
        await self.subscriptions.query(names[1], caller.organisation)
        rest, limit, token = await self.asked(request, caller)
        refuse_rest(rest)
        found = [h for h in await self.subscriptions.webhooks(names[1])
                 if h.owner == caller.organisation]  # fmt: skip
        if token is not None:
            ids = [str(h.id) for h in found]
            if token not in ids:
                why = "the subscription that the page began after is gone; begin again"
                raise Problem(400, "QueryParameterException", f"nextPageToken: {why}")
            found = found[ids.index(token) + 1 :]
        following = str(found[limit - 1].id) if len(found) > limit else None
        return answer(
            [h.body() for h in found[:limit]], headers=self.following(request, caller, following)
        )

    async def subscribe(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Subscribe a webhook to a query."""
        wish = epcis.parse(await body_of(request))
        hook = await self.subscriptions.subscribe(
            names[1], wish, owner=caller.organisation, epc_format=format_of(request)
        )
        location = url_of(request, "queries", names[1], "subscriptions", str(hook.id))
        return answer(hook.body(), 201, {"Location": location})

    async def hook(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Show one subscription."""
        hook = await self.subscriptions.webhook(uuid_of(names[3]), names[1])
        own(hook.owner, caller)
        return answer(hook.body())

    async def unsubscribe(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """End one subscription."""
        hook = await self.subscriptions.webhook(uuid_of(names[3]), names[1])
        own(hook.owner, caller)
        await self.subscriptions.unsubscribe(hook.id)
        return answer(None, 204)

    async def replay(self, request: Request, caller: Caller, names: list[str]) -> Response:
        """Revive a subscription, with `{"position": n}` from there (an addition of Stafett's)."""
        hook = await self.subscriptions.webhook(uuid_of(names[3]), names[1])
        own(hook.owner, caller)
        wish = epcis.parse(await body_of(request))
        if not isinstance(wish, dict):
            raise Problem(400, "SubscriptionControlsException", "give an object")
        _refuse_others(wish, ("position",), "SubscriptionControlsException")
        position = wish.get("position")
        if position is not None and (isinstance(position, bool) or not isinstance(position, int)):
            raise Problem(400, "SubscriptionControlsException", "position is a whole number")
        return answer((await self.subscriptions.replay(hook.id, position)).body())

    async def websocket(self, socket: WebSocket) -> None:
        """Serve /queries/{name}/events as a WebSocket subscription."""
        parts = segments(socket.scope)
        try:
            caller = await self.who(socket)
            if len(parts) != 3 or parts[0] != "queries" or parts[2] != "events":
                raise Problem(404, "NoSuchResourceException", "subscribe at /queries/{name}/events")
            named = await self.subscriptions.query(parts[1], caller.organisation)
            wish = dict(socket.query_params)
            wanted = check_format(socket.headers.get("gs1-epc-format"))
            feed = stream(self.store, self.subscriptions, named, wish, caller.may_read, wanted)
            first = await anext(feed)  # nothing yet, but the wish is checked before accepting
            assert first is None
        except Problem as refused:
            if "websocket.http.response" in socket.scope.get("extensions", {}):
                await socket.send_denial_response(refusal(refused, socket.url.path))
            else:
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


def _refuse_others(body: dict[str, Any], known: tuple[str, ...], name: str) -> None:
    """Refuse a member that nothing is done with: whoever misspelt one is not left to wonder."""
    for key in body:
        if key not in known:
            why = f"{str(key)[:80]!r} is not known here: {', '.join(known)}"
            raise Problem(400, name, why, [Finding(pointer(str(key)[:80]), why)])


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue  # a subscriber has nothing to say
