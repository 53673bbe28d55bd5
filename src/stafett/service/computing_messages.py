"""What the server and the process that computes say to each other: length, then MessagePack."""

from __future__ import annotations

import msgspec


class Task(msgspec.Struct, frozen=True):
    """What to compute; `keep` is a file for what is finished, `url` the record's address."""

    kind: str
    wish: bytes
    keep: str
    url: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """So many parts are finished."""

    parts: int


class Seen(msgspec.Struct, frozen=True, tag=True):
    """What was found so far, encoded as its kind is."""

    so_far: bytes


class Answered(msgspec.Struct, frozen=True, tag=True):
    """The answer, encoded as its kind is."""

    answer: bytes


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Why there is no answer."""

    problem: str


Message = Done | Seen | Answered | Failed


def frame(message: Task | Message) -> bytes:
    """A message as it travels."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4) + body
