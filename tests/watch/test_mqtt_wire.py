"""The subscriber's side of MQTT 3.1.1: packets as they come over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stafett.service import mqtt_wire
from stafett.service.mqtt_wire import (
    Connection,
    Message,
    MqttError,
    _packet,
    _text,
    connected,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run on either loop: the server's is uvloop, a command's is asyncio's own."""
    return "asyncio", {"use_uvloop": request.param}


def published(n: int, payload: bytes, qos: int = 1) -> bytes:
    """Return the packet of a message that a broker hands on."""
    mid = n.to_bytes(2, "big") if qos else b""
    return _packet(0x30 | qos << 1, _text(f"t/{n}") + mid + payload)


SENT = [Message("t/1", b"", 1), Message("t/2", b"x" * 200, 2), Message("t/300", b"y" * 20_000, 300)]
BYTES = b"".join(published(one.mid, one.payload) for one in SENT)


@pytest.mark.parametrize("piece", [1, 2, 7, 127, 4096, len(BYTES)])
async def test_messages_are_the_same_however_the_bytes_are_cut(piece: int) -> None:
    """Lengths of one, two and three bytes, read in pieces of any size."""
    heard: list[Message] = []
    connection = Connection(heard.extend)
    for at in range(0, len(BYTES), piece):
        connection.data_received(BYTES[at : at + piece])
    assert heard == SENT


async def test_what_came_with_one_read_is_handed_on_together() -> None:
    """One call for three messages; the beginning of a fourth waits for its end."""
    calls: list[list[Message]] = []
    connection = Connection(calls.append)
    fourth = published(4, b"late")
    connection.data_received(BYTES + fourth[:5])
    connection.data_received(fourth[5:])
    assert calls == [SENT, [Message("t/4", b"late", 4)]]


async def test_a_message_without_assurance_has_nothing_to_acknowledge() -> None:
    """QoS 0: no message identifier."""
    heard: list[Message] = []
    Connection(heard.extend).data_received(published(9, b"z", qos=0))
    assert heard == [Message("t/9", b"z", 0)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (b"\x30\xff\xff\xff\xff\x01", "has no end"),
        (b"\x30\xff\xff\xff\x7f", "is more than"),
        (b"\x32\x03\x00\x09t", "cut off"),
        (b"\x30\x00", "cut off"),
        (b"\x32\x04\x00\x01t\x00", "cut off"),
        (_packet(0x34, _text("t") + b"\x00\x01"), "cannot be given"),
        (_packet(0x32, _text("t") + b"\x00\x00"), "cannot be given"),
        (b"\x82\x00", "not asked for"),
    ],
    ids=[
        "endless length",
        "too long",
        "topic beyond its end",
        "nothing in it",
        "identifier beyond its end",
        "QoS 2",
        "identifier 0",
        "a SUBSCRIBE",
    ],
)
async def test_what_is_no_mqtt_ends_the_connection(wrong: bytes, said: str) -> None:
    """Nothing is guessed: the session keeps what was not acknowledged."""
    heard: list[Message] = []
    connection = Connection(heard.extend)
    connection.data_received(wrong)
    with pytest.raises(MqttError, match=said):
        await connection.lost()
    assert heard == []


# -- against a broker of the test's own, that says exactly what the test wants ---------------------

WELCOME = b"\x20\x02\x00\x00"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def packet(reader: asyncio.StreamReader) -> bytes:
    """Return the next packet, whole; each is short here."""
    head = await reader.readexactly(2)
    return head + await reader.readexactly(head[1])


@contextlib.asynccontextmanager
async def broker(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve one script for each connection, and give the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def until(what: Callable[[], object]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.01)


async def test_it_signs_in_to_a_session_that_the_broker_keeps() -> None:
    """CONNECT of section 3.1, byte for byte: no clean session, no will, 60 s of keepalive."""
    said: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await packet(reader))
        writer.write(WELCOME)
        said.append(await packet(reader))

    async with (
        broker(script) as port,
        connected("127.0.0.1", port, print, identifier="me", user="u", password="pw"),
    ):
        pass
    await until(lambda: len(said) == 2)
    assert said == [
        b"\x10\x15\x00\x04MQTT\x04\xc0\x00\x3c\x00\x02me\x00\x01u\x00\x02pw",
        b"\xe0\x00",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\x20\x02\x00\x04", "the user or the password is wrong"),
        (b"\x20\x02\x00\x05", "not authorised"),
        (b"\x20\x02\x00\x63", "no answer"),
        (b"\x20\x01\x00", "no answer"),
        (b"\x90\x03\x00\x01\x01", "no answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "ended the connection"),
        (b"", "ended the connection"),
    ],
)
async def test_who_is_not_let_in_is_told_why(answer: bytes, said: str) -> None:
    """What is no CONNACK, and a broker that hangs up, end the attempt as well."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(answer)

    async with broker(script) as port:
        with pytest.raises(MqttError, match=said):
            async with connected("127.0.0.1", port, print, identifier="me"):
                pass


async def test_a_broker_that_says_nothing_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that is taken and never answered ends (TimeoutError is an OSError)."""
    monkeypatch.setattr(mqtt_wire, "CONNECT_S", 0.2)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with broker(script) as port:
        with pytest.raises(OSError):
            async with connected("127.0.0.1", port, print, identifier="me"):
                pass


async def test_what_the_session_kept_is_heard_with_the_very_first_answer() -> None:
    """A broker may send before it is asked to subscribe (section 3.1.4): nothing of it is lost."""
    heard: list[Message] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME + BYTES)
        await reader.read()

    async with (
        broker(script) as port,
        connected("127.0.0.1", port, heard.extend, identifier="me"),
    ):
        await until(lambda: len(heard) == 3)
    assert heard == SENT


async def test_a_refused_subscription_is_an_error() -> None:
    """SUBACK 0x80 (section 3.9.3): nobody would ever hear anything."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME)
        assert await packet(reader) == b"\x82\x06\x00\x01\x00\x01t\x01"
        writer.write(b"\x90\x03\x00\x01\x80")
        await reader.read()

    async with (
        broker(script) as port,
        connected("127.0.0.1", port, print, identifier="me") as connection,
    ):
        with pytest.raises(MqttError, match="subscribe to t"):
            await connection.subscribe("t")


async def test_what_is_delivered_again_is_heard_again_and_each_time_acknowledged() -> None:
    """DUP (section 3.3.1.1) and an identifier that is used anew are one more message each."""
    heard: list[Message] = []
    acknowledged: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME)
        body = _text("t") + b"\x00\x07"
        writer.write(_packet(0x32, body + b"one") + _packet(0x3A, body + b"one"))
        acknowledged.extend([await packet(reader), await packet(reader)])
        writer.write(_packet(0x32, body + b"two"))
        acknowledged.append(await packet(reader))

    async with broker(script) as port:
        made: list[Connection] = []
        early: list[Message] = []

        def take(messages: list[Message]) -> None:
            heard.extend(messages)
            if made:
                made[0].send([one.mid for one in messages])
            else:
                early.extend(messages)

        async with connected("127.0.0.1", port, take, identifier="me") as connection:
            made.append(connection)
            connection.send([one.mid for one in early])
            await until(lambda: len(acknowledged) == 3)
    assert heard == [Message("t", b"one", 7), Message("t", b"one", 7), Message("t", b"two", 7)]
    assert acknowledged == [b"\x40\x02\x00\x07"] * 3


async def test_answers_go_out_before_the_acknowledgements() -> None:
    """One write; QoS 0 has no acknowledgement; what comes too late for the connection is let go."""
    said: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME)
        said.extend([await packet(reader), await packet(reader)])

    async with broker(script) as port:
        async with connected("127.0.0.1", port, print, identifier="me") as connection:
            connection.send([0, 513], [("a", b"kept")])
            await until(lambda: len(said) == 2)
            with pytest.raises(MqttError):
                await connection.lost()
        connection.send([514])
    assert said == [b"\x30\x07\x00\x01akept", b"\x40\x02\x02\x01"]


async def test_a_message_that_is_cut_by_the_end_of_the_connection_is_never_heard() -> None:
    """Its beginning is forgotten: the broker sends the whole of it to the next connection."""
    heard: list[Message] = []
    parts = [BYTES[:200], BYTES]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME + parts.pop(0))

    async with broker(script) as port:
        for _ in range(2):
            async with connected("127.0.0.1", port, heard.extend, identifier="me") as connection:
                with pytest.raises(MqttError, match="ended the connection"):
                    await connection.lost()
    assert heard == [SENT[0], *SENT]


@pytest.mark.parametrize("alive", [True, False], ids=["one that answers", "one that is dead"])
async def test_a_broker_is_asked_now_and_then_whether_it_is_there(
    alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PINGREQ within the keepalive (section 3.1.2.10); silence for longer ends the connection."""
    monkeypatch.setattr(mqtt_wire, "KEEPALIVE_S", 0.3)
    monkeypatch.setattr(mqtt_wire.Connection, "_begin", _without_a_keepalive)
    asked: list[float] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME)
        while (told := await packet(reader)) == b"\xc0\x00":
            asked.append(time.monotonic())
            if alive:
                writer.write(b"\xd0\x00")
        assert told == b"\xe0\x00"  # the farewell

    async with (
        broker(script) as port,
        connected("127.0.0.1", port, print, identifier="me") as connection,
    ):
        lost = asyncio.ensure_future(connection.lost())
        done, _ = await asyncio.wait([lost], timeout=1.5)
        assert bool(done) is not alive
        lost.cancel()
        if done:
            assert "silent" in str(lost.exception())
    assert max(b - a for a, b in itertools.pairwise(asked)) < 0.3


async def _without_a_keepalive(self: Connection, *_: object) -> None:
    await self._ask(_packet(0x10, b""))


async def test_what_is_not_wanted_yet_stays_in_the_socket() -> None:
    """After `reads(False)` nothing is heard, until `reads(True)`."""
    heard: list[Message] = []
    more = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME)
        await more.wait()
        writer.write(BYTES)
        await reader.read()

    async with (
        broker(script) as port,
        connected("127.0.0.1", port, heard.extend, identifier="me") as connection,
    ):
        connection.reads(False)
        more.set()
        await asyncio.sleep(0.1)
        assert heard == []
        connection.reads(True)
        await until(lambda: heard == SENT)


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_broker_over_tls_has_to_prove_who_it_is(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mqtts://`: a certificate that nobody vouches for is refused before a password is said."""
    said: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await packet(reader))
        writer.write(WELCOME)
        await reader.read()

    certificate = certified(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with broker(script, tls) as port:
        attempt = connected(
            "127.0.0.1", port, print, identifier="me", user="u", password="p", secure=True
        )
        if trusted:
            async with attempt:
                assert len(said) == 1
            return
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            async with attempt:
                pass
    assert said == []


def certified(folder: Path) -> Path:
    """Make a key and a certificate of 127.0.0.1 in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "broker.pem"
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file
