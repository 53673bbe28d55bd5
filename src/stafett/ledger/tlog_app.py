"""The record over HTTP, read-only, as C2SP tlog-tiles: what witnesses, mirrors and auditors fetch.

    GET /checkpoint                              the newest tree head that a quorum has cosigned
    GET /checkpoint/newest                       the newest signed one, for mirrors that cosign
    GET /tile/<level>/<N>[.p/<width>]            hashes: salted, so they give nothing away
    GET /tile/entries/<N>[.p/<width>]            entries: only to those who may see all of them

Full tiles never change and may be cached for ever. Only what a signed checkpoint covers is served:
a reader can check every byte. A reader who holds the log's policy must refuse a checkpoint without
a quorum (C2SP tlog-policy), so an older one with it is served while witnesses are away; where no
checkpoint has one yet, the newest is, and says itself whose cosignatures it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stafett.ledger import tiles, tree
from stafett.ledger.note import NoteSigner
from stafett.ledger.policy import Policy
from stafett.ledger.publish import believed
from stafett.ledger.seal import newest
from stafett.ledger.tiles import WIDTH, BadTile, Tile

FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
FRESH = {"cache-control": "no-cache"}
# What is not there yet will be: no cache may go on saying that it is not (RFC 9111, 4.2.2).
NOT_YET = {"cache-control": "no-store"}
ENTRIES: LiteralString = """
SELECT leaf FROM ledger.event_store WHERE position > %s AND position <= %s ORDER BY position
"""

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]


def tlog_app(
    pool: Pool,
    signer: NoteSigner,
    policy: Callable[[], Policy],
    may_mirror: Callable[[Request], bool] = lambda request: False,
) -> Starlette:
    """Return the ASGI application; mount it at the log's prefix.

    `policy` says what is a quorum, now. `may_mirror` says whether this request comes from someone
    who may read *every* entry (an entry bundle cannot be served in part); by default nobody may.
    """

    async def checkpoint(request: Request) -> Response:
        async with pool.connection() as connection:
            if request.url.path.endswith("/newest"):
                signed = await newest(connection, signer)
            else:
                signed = await believed(connection, signer, policy())
        if signed is None:
            return PlainTextResponse("nothing has been signed yet\n", 404, NOT_YET)
        return PlainTextResponse(signed.text, headers=FRESH)

    async def tile(request: Request) -> Response:
        try:
            wanted = tiles.parse_path("tile/" + request.path_params["path"])
        except BadTile as error:
            return PlainTextResponse(f"{error}\n", 404, NOT_YET)
        if wanted.level is None and not may_mirror(request):
            return PlainTextResponse("entries are served to mirrors only\n", 403, NOT_YET)
        async with pool.connection() as connection:
            signed = await newest(connection, signer)
            size = signed.checkpoint.size if signed else 0
            if tiles.width_at(wanted.level or 0, wanted.index, size) < wanted.width:
                return PlainTextResponse("no signed checkpoint has this tile\n", 404, NOT_YET)
            data = await _content(connection, wanted)
        # A partial tile's bytes never change either, but a log may drop it later.
        headers = FOREVER if wanted.full else {"cache-control": "public, max-age=3600"}
        if wanted.level is None:
            headers = {"cache-control": "private, max-age=3600"}
        return Response(data, headers=headers, media_type="application/octet-stream")

    return Starlette(
        routes=[
            Route("/checkpoint", checkpoint),
            Route("/checkpoint/newest", checkpoint),
            Route("/tile/{path:path}", tile),
        ]
    )


async def _content(connection: psycopg.AsyncConnection[Any], wanted: Tile) -> bytes:
    if wanted.level is not None:
        row = await tree.tile(connection, wanted.level, wanted.index, wanted.width)
        return tiles.encode_hashes(row)
    first = wanted.index * WIDTH
    cursor = await connection.execute(ENTRIES, [first, first + wanted.width], binary=True)
    return tiles.encode_bundle([bytes(row[0]) for row in await cursor.fetchall()])
