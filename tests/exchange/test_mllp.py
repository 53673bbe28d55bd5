"""HL7 over TLS: both ends show a certificate, or nothing is heard."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stafett.exchange.mllp import CERTIFICATE, END, KEY, SENDERS, START, Listener, secured

pytestmark = pytest.mark.anyio


def certify(folder: Path, name: str) -> Path:
    """Write a key and a certificate that it signed itself; return their folder."""
    place = folder / name
    place.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (place / CERTIFICATE).write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (place / KEY).write_bytes(key.private_bytes(*form, serialization.NoEncryption()))
    return place


@pytest.fixture
def tower(tmp_path: Path) -> Path:
    """A tower's folder that knows one laboratory; a stranger's certificate lies beside it."""
    tower, laboratory = certify(tmp_path, "tower"), certify(tmp_path, "laboratory")
    certify(tmp_path, "stranger")
    (tower / SENDERS).write_bytes((laboratory / CERTIFICATE).read_bytes())
    return tower


async def said(tower: Path, sender: str | None) -> bytes:
    """Send one message as `sender` (None: without TLS); return what came back."""

    async def receive(message: bytes, peer: str) -> bytes:
        return b"got " + message

    listener = Listener("127.0.0.1", 0, receive, tls=secured(tower))
    await listener.start()
    try:
        context = None
        if sender is not None:
            context = ssl.create_default_context(cafile=str(tower / CERTIFICATE))
            if sender:
                own = tower.parent / sender
                context.load_cert_chain(own / CERTIFICATE, own / KEY)
        name = "localhost" if context else None
        reader, writer = await asyncio.open_connection(
            *listener.address, ssl=context, server_hostname=name
        )
        writer.write(START + b"MSH" + END)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(100), 20)
        writer.close()
        return answer
    finally:
        await listener.close()


async def test_a_sender_that_is_known_is_answered(tower: Path) -> None:
    """With a certificate on each end, a message crosses encrypted and its answer comes back."""
    assert await said(tower, "laboratory") == START + b"got MSH" + END


@pytest.mark.parametrize("sender", ["stranger", "", None], ids=["stranger", "nobody", "in clear"])
async def test_nobody_else_is_heard(tower: Path, sender: str | None) -> None:
    """A stranger's certificate, none at all, or a line in clear: the message reaches nobody."""
    try:
        answer = await said(tower, sender)
    except (ssl.SSLError, ConnectionError):
        return
    assert b"MSH" not in answer


@pytest.mark.parametrize("missing", [CERTIFICATE, KEY, SENDERS])
async def test_what_is_missing_is_named(tower: Path, missing: str) -> None:
    """Half a set-up is no TLS: the file that is missing, or is no certificate, is named."""
    (tower / missing).write_text("no certificate")
    with pytest.raises(ValueError, match=missing):
        secured(tower)
    (tower / missing).unlink()
    with pytest.raises(ValueError, match=missing):
        secured(tower)
