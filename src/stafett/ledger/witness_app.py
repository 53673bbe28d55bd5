"""The witness as a small HTTP service: `add-checkpoint`, and what it has seen.

    POST /add-checkpoint     C2SP tlog-witness
    GET  /                   its key, the logs it knows, the sizes it saw, forks it holds proof of
    GET  /evidence           the evidence, word for word
    GET  /<SHA-256 of the origin>/checkpoint
                             the newest checkpoint that it cosigned, with its cosignature: who reads
                             it here is not shown another one by the log

It needs no access to any entry. State is on the disk before an answer leaves.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stafett.ledger.witness import LONGEST_REQUEST, PLAIN, Answer, add_checkpoint
from stafett.ledger.witness_store import WitnessFolder

logger = logging.getLogger(__name__)


class Witness:
    """A running witness: one call at a time, each durable before it is answered."""

    def __init__(
        self, folder: WitnessFolder, now: Callable[[], int] = lambda: int(time.time())
    ) -> None:
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self.cosigner = folder.cosigner()
        self.logs = folder.logs()
        self.state = folder.load()

    def add(self, body: bytes) -> Answer:
        """Answer one `add-checkpoint` call; the state is stored before this returns."""
        with self._lock:
            answer = add_checkpoint(
                self.state, body, logs=self.logs, cosigners=[self.cosigner], now=self._now
            )
            if answer.state is not self.state:
                # If this fails nothing was promised: the old state stands, no one has an answer.
                self._folder.save(answer.state)
                new = len(answer.state.evidence) - len(self.state.evidence)
                self.state = answer.state
                if new:
                    logger.error("evidence kept: %s", answer.state.evidence[-1].what)
            return answer


def witness_app(witness: Witness) -> Starlette:
    """Return the ASGI application of `witness`."""

    async def add(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_REQUEST:
                return Response("the request is too long\n", 413, media_type=PLAIN)
        answer = await run_in_threadpool(witness.add, body)
        return Response(answer.body, answer.status, headers={"content-type": answer.media_type})

    async def about(request: Request) -> Response:
        state = witness.state
        logs = {
            origin: {
                "size": state.latest[origin].size if origin in state.latest else 0,
                "at": _time(state.latest[origin].at) if origin in state.latest else None,
                "forked": state.forked(origin) is not None,
            }
            for origin in witness.logs
        }
        return JSONResponse({"witness": str(witness.cosigner.vkey), "logs": logs})

    async def evidence(request: Request) -> Response:
        kept = [
            {"kind": e.kind, "origin": e.origin, "what": e.what, "signed": e.signed,
             "at": _time(e.at)}
            for e in witness.state.evidence
        ]  # fmt: skip
        return JSONResponse(kept)

    async def latest(request: Request) -> Response:
        for origin, seen in witness.state.latest.items():
            if sha256(origin.encode()).hexdigest() == request.path_params["origin"]:
                headers = {"content-type": PLAIN, "cache-control": "no-cache"}
                return Response(seen.signed, headers=headers)
        what = "this witness has cosigned nothing of such a log\n"
        return Response(what, 404, {"cache-control": "no-store"}, PLAIN)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add, methods=["POST"]),
            Route("/{origin}/checkpoint", latest),
            Route("/", about),
            Route("/evidence", evidence),
        ]
    )


def _time(posix: int) -> str:
    return datetime.fromtimestamp(posix, UTC).isoformat()
