"""The log's side of tlog-witness: ask every witness for its cosignature of a new checkpoint.

A witness that is away costs nothing but its cosignature. A witness that remembers a *larger* tree
than ours is another matter: then our own store was rolled back (a restored backup, a lost
fail-over), and signing on would fork the log. `RolledBack` must stop the appender; nothing may
"mend" it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import httpx

from stafett.ledger import cosignature, note
from stafett.ledger.checkpoint import Signed
from stafett.ledger.note import BadNote, Signature
from stafett.ledger.policy import Party
from stafett.ledger.witness import Request

Post = Callable[[str, str], tuple[int, str]]
"""Send a body to an address; returns status and body, or raises httpx.HTTPError."""

Prove = Callable[[int], Sequence[bytes]]
"""Return the consistency proof from an old size to the checkpoint's; called from any thread."""


class RolledBack(RuntimeError):
    """A witness has cosigned a larger tree than the one we hold: stop appending, ask a person."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a witness answered: its verified cosignature, or why there is none.

    `between` is when it was asked and when its answer had come, by our clock (POSIX seconds).
    """

    witness: str
    signature: Signature | None
    why: str = ""
    between: tuple[float, float] = (0.0, 0.0)

    @property
    def time(self) -> int | None:
        """The time that the witness has signed, by its own clock (POSIX seconds)."""
        return None if self.signature is None else cosignature.timestamp_of(self.signature.value)


class OverHttp:
    """Posts over HTTP, with connections kept open from one round to the next."""

    def __init__(self, timeout_s: float = 10.0) -> None:
        self._client = httpx.Client(timeout=timeout_s)

    def __call__(self, url: str, body: str) -> tuple[int, str]:
        """Send `body` to `url`; return status and body."""
        status, answer = self._read("POST", url, note.LONGEST, body.encode())
        return status, answer.decode(errors="replace")

    def get(self, url: str, most: int = 2_000_000) -> bytes:
        """Return what is at `url`, nothing if it is too long or not there."""
        status, answer = self._read("GET", url, most + 1)
        return answer if 200 <= status < 300 and len(answer) <= most else b""

    def _read(self, method: str, url: str, most: int, body: bytes = b"") -> tuple[int, bytes]:
        """Return status and the answer's first `most` bytes: no witness fills our memory."""
        with self._client.stream(method, url, content=body) as answer:
            found = bytearray()
            for block in answer.iter_bytes():
                found += block
                if len(found) >= most:
                    break
            return answer.status_code, bytes(found[:most])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def ask(witness: Party, signed: Signed, prove: Prove, post: Post, old: int = 0) -> Outcome:
    """Ask one witness. `old` is the size it last cosigned, as far as we know (0: ask).

    Raises RolledBack; every other failure is an Outcome without signature.
    """
    if witness.url is None:
        return Outcome(witness.name, None, "the policy has no address for it")
    size, text = signed.checkpoint.size, signed.text
    url = witness.url.rstrip("/") + "/add-checkpoint"
    old = min(old, size)
    for _ in range(3):
        proof = prove(old)
        asked = time.time()
        try:
            status, body = post(url, Request(old, tuple(proof), text).text)
        except httpx.HTTPError as error:
            return Outcome(witness.name, None, f"not reached: {error}")
        if status == 200:
            return replace(_read(witness, signed, body), between=(asked, time.time()))
        if status != 409:
            return Outcome(witness.name, None, f"status {status}: {body.strip()[:200]}")
        if not (body.strip().isascii() and body.strip().isdecimal() and len(body) < 22):
            return Outcome(witness.name, None, "status 409 without a size")
        old = int(body)
        if old > size:
            raise RolledBack(
                f"the witness {witness.name!r} has cosigned {old} entries, we hold {size}: our "
                "store was rolled back. Stop, and restore the missing entries from a mirror"
            )
    return Outcome(witness.name, None, "it answered with another size each time")


def round_of(
    witnesses: Sequence[Party],
    signed: Signed,
    prove: Prove,
    *,
    post: Post,
    known: dict[str, int] | None = None,
) -> list[Outcome]:
    """Ask all witnesses at once; returns their outcomes in the order given.

    `known` maps a witness's name to the size it last cosigned; it is updated.
    """
    sizes = known if known is not None else {}
    with ThreadPoolExecutor(max(1, len(witnesses))) as pool:
        outcomes = list(
            pool.map(lambda w: ask(w, signed, prove, post, sizes.get(w.name, 0)), witnesses)
        )
    for outcome in outcomes:
        if outcome.signature is not None:
            sizes[outcome.witness] = signed.checkpoint.size
    return outcomes


def _read(witness: Party, signed: Signed, body: str) -> Outcome:
    """Return the witness's own valid line of an answer; other lines are ignored."""
    try:
        answered = note.parse(f"{signed.note.text}\n{body}")
        opened = note.open_note(answered, [cosignature.verifier(witness.vkey)])
    except BadNote as error:
        return Outcome(witness.name, None, f"its answer is no cosignature: {error}")
    return Outcome(witness.name, opened.verified[0])
