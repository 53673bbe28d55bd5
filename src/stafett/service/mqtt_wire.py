"""MQTT 3.1.1 as one subscriber needs it: what has come is handed on as a list, and so acknowledged.

A client library hands on one message at a time, each with a read of its own from the socket; that
costs more than all the rest of taking a reading in. Here one read takes what is there, and one
write acknowledges what is kept. Only what the intake needs: a persistent session, QoS 1 inward with
the acknowledgement left to the caller, QoS 0 outward. Section numbers are those of the OASIS
standard "MQTT Version 3.1.1".
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, NamedTuple, cast

KEEPALIVE_S: Final = 60
CONNECT_S: Final = 10.0
LONGEST: Final = 2_000_000  # bytes of one packet: twice what the broker is told to let through
_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0
_REFUSED: Final = {
    1: "it speaks another version of MQTT", 2: "it refuses the client identifier",
    3: "it is not available", 4: "the user or the password is wrong", 5: "not authorised",
}  # fmt: skip


class MqttError(ConnectionError):
    """The broker refused, said what is no MQTT, or has gone."""


class Message(NamedTuple):
    """What was published. `mid` is what acknowledges it; 0 with QoS 0: nothing to acknowledge."""

    topic: str
    payload: bytes
    mid: int


class Connection(asyncio.Protocol):
    """One connection to a broker. `heard` gets all that came with one read, in order."""

    def __init__(self, heard: Callable[[list[Message]], None]) -> None:
        self._heard = heard
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[tuple[int, bytes]] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()
        self._quiet = 0  # beats since the broker was last heard

    # -- what the loop calls -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        """Take every whole packet out of what has come; hand on what was published."""
        self._quiet = 0
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        try:
            at = self._packets(messages)
        except MqttError as error:
            self._end(error)
            return
        del buffer[:at]
        if messages:
            self._heard(messages)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits."""
        self._end(MqttError(str(error) if error else "the broker ended the connection"))

    def _packets(self, messages: list[Message]) -> int:
        buffer, at, size = self._buffer, 0, len(self._buffer)
        while at + 2 <= size:
            head, length, body = buffer[at], buffer[at + 1], at + 2
            if length & 0x80:  # section 2.2.3: seven bits a byte, the lowest first
                length &= 0x7F
                for shift in (7, 14, 21):
                    if body >= size:
                        return at
                    more = buffer[body]
                    length |= (more & 0x7F) << shift
                    body += 1
                    if not more & 0x80:
                        break
                else:
                    raise MqttError("a packet's length has no end")
            if length > LONGEST:
                raise MqttError(f"a packet of {length} bytes is more than {LONGEST}")
            end = body + length
            if end > size:
                return at
            if head & 0xF0 == _PUBLISH:
                messages.append(_published(buffer, head, body, end))
            elif head & 0xF0 in (_CONNACK, _SUBACK) and not self._answer.done():
                self._answer.set_result((head & 0xF0, bytes(buffer[body:end])))
            elif head & 0xF0 not in (_PUBACK, _PINGRESP):
                raise MqttError(f"a packet of kind {head >> 4} was not asked for")
            at = end
        return at

    def _end(self, error: Exception) -> None:
        for waits in (self._answer, self._lost):
            if not waits.done():
                waits.set_exception(error)
                waits.exception()  # whoever asks gets it; nobody must
        if self._transport is not None:
            self._transport.abort()

    # -- what the subscriber calls -------------------------------------------------------------

    async def lost(self) -> None:
        """Wait until the connection is lost. Raises MqttError then; never returns."""
        await asyncio.shield(self._lost)

    async def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1. Raises MqttError: the broker refuses."""
        kind, said = await self._ask(_packet(0x82, b"\x00\x01" + _text(topic) + b"\x01"))
        if kind != _SUBACK or said[2:] not in (b"\x00", b"\x01"):
            raise MqttError(f"the broker lets nobody subscribe to {topic} as this user")

    def send(self, mids: Iterable[int], answers: Iterable[tuple[str, bytes]] = ()) -> None:
        """Publish answers (QoS 0), then acknowledge messages, with one write."""
        parts, last, name = [], None, b""
        for topic, payload in answers:
            if topic is not last:  # many in a row are to one
                last, name = topic, _text(topic)
            parts.append(_packet(_PUBLISH, name + payload))
        parts += [b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids if mid]
        self._write(b"".join(parts))

    def reads(self, more: bool) -> None:
        """Go on reading, or leave what comes to the socket and the broker until told again."""
        if self._transport is None or self._transport.is_closing():
            return
        if more and not self._transport.is_reading():
            self._transport.resume_reading()
        elif not more and self._transport.is_reading():
            self._transport.pause_reading()

    async def _ask(self, packet: bytes) -> tuple[int, bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        self._write(packet)
        async with asyncio.timeout(CONNECT_S):
            return await self._answer

    async def _begin(self, identifier: str, user: str | None, password: str | None) -> None:
        flags = 0x00 if user is None else 0x80 if password is None else 0xC0  # no clean session
        told = b"".join(_text(each) for each in (identifier, user, password) if each is not None)
        head = _text("MQTT") + bytes((4, flags)) + KEEPALIVE_S.to_bytes(2, "big")
        kind, said = await self._ask(_packet(0x10, head + told))
        if kind != _CONNACK or len(said) != 2 or said[1]:
            code = said[1] if kind == _CONNACK and len(said) == 2 else 0
            why = _REFUSED.get(code, "it answers what is no answer")
            raise MqttError(f"the broker let this user not in: {why}")

    async def _beat(self) -> None:
        """Say now and then that we are here (section 3.1.2.10); hear when the broker is not."""
        while True:
            await asyncio.sleep(KEEPALIVE_S / 3)
            self._quiet += 1
            reading = self._transport is not None and self._transport.is_reading()
            if self._quiet > 3 and reading:
                self._end(MqttError(f"the broker has been silent for {KEEPALIVE_S} s"))
            self._write(b"\xc0\x00")

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data and not self._transport.is_closing():
            self._transport.write(data)


@contextlib.asynccontextmanager
async def connected(
    host: str,
    port: int,
    heard: Callable[[list[Message]], None],
    *,
    identifier: str,
    user: str | None = None,
    password: str | None = None,
    secure: bool = False,
) -> AsyncIterator[Connection]:
    """Connect with a persistent session of this name. Raises OSError (MqttError is one).

    `heard` is called from the first moment: the session may have kept something for us.
    """
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context() if secure else None
    async with asyncio.timeout(CONNECT_S):
        _, connection = await loop.create_connection(
            lambda: Connection(heard), host, port, ssl=context
        )
    beat = None
    try:
        await connection._begin(identifier, user, password)
        beat = asyncio.create_task(connection._beat(), name="mqtt beat")
        yield connection
        connection._write(b"\xe0\x00")
    finally:
        if beat is not None:
            beat.cancel()
        if connection._transport is not None:
            connection._transport.close()


def _published(buffer: bytearray, head: int, body: int, end: int) -> Message:
    start = body + 2
    name = start + (buffer[body] << 8 | buffer[body + 1]) if start <= end else end + 1
    at = name + 2 if head & 0x06 else name
    if at > end:
        raise MqttError("a message is cut off")
    mid = buffer[name] << 8 | buffer[name + 1] if head & 0x06 else 0
    if head & 0x04 or (head & 0x02 and not mid):  # we subscribed with QoS 1 (sections 3.3.1, 2.3.1)
        raise MqttError("a message has an assurance that cannot be given")
    topic = buffer[start:name].decode("utf-8", "replace")
    return Message(topic, bytes(buffer[at:end]), mid)


def _packet(kind: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes((kind, len(body))) + body
    left, length = len(body), bytearray()
    while True:
        left, digit = left >> 7, left & 0x7F
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes((kind,)) + length + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
