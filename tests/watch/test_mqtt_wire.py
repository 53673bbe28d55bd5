"""The subscriber's side of MQTT 3.1.1: packets as they come over the wire."""

from __future__ import annotations

import pytest

from stafett.service.mqtt_wire import Connection, Message, MqttError, _packet, _text

pytestmark = pytest.mark.anyio


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
        (_packet(0x34, _text("t") + b"\x00\x01"), "cut off"),
        (b"\x82\x00", "not asked for"),
    ],
    ids=["endless length", "too long", "topic beyond its end", "QoS 2", "a SUBSCRIBE"],
)
async def test_what_is_no_mqtt_ends_the_connection(wrong: bytes, said: str) -> None:
    """Nothing is guessed: the session keeps what was not acknowledged."""
    heard: list[Message] = []
    connection = Connection(heard.extend)
    connection.data_received(wrong)
    with pytest.raises(MqttError, match=said):
        await connection.lost()
    assert heard == []
