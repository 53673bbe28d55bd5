"""MLLP: HL7 v2 messages over a stream, one answer for each, in order.

A block is <VT> message <FS><CR> (HL7 v3 Transport: MLLP, release 1). A sender that has no answer
sends again, so nothing is answered before it is durable; when it cannot be made so, the connection
is closed without an answer. Without TLS the line is not encrypted and names its sender itself: let
it end on this machine, or behind a VPN. With TLS (`secured`) both ends show a certificate.
Source: IHE ITI TF-2, 3.19 (Authenticate Node); RFC 9325 for the versions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from stafett.ledger.ending import ended

log = logging.getLogger(__name__)
START: Final = b"\x0b"
END: Final = b"\x1c\r"
MOST_CONNECTIONS: Final = 64
IDLE_S: Final = 600.0
# Of a block; more than a message may have (hl7.MAX_BYTES): one that is too large is answered and
# waits as a letter. A line that is only closed has its sender repeat it, and all behind it wait.
MOST_BLOCK: Final = 4 * 2**20
MOST_BETWEEN: Final = 1_000  # bytes outside a block before the line is given up: it is no MLLP

HANDSHAKE_S: Final = 10.0
CERTIFICATE: Final = "certificate.pem"  # ours, with what leads from it to its authority
KEY: Final = "key.pem"
SENDERS: Final = "senders.pem"  # the authorities, or the very certificates, that senders show

# Gives the answer to a message that came from an address; raises when it cannot be kept.
Receive = Callable[[bytes, str], Awaitable[bytes]]


class Listener:
    """Listens at one address. `port` 0 takes any free one; see `address` once it is started."""

    def __init__(
        self,
        host: str,
        port: int,
        receive: Receive,
        *,
        idle_s: float = IDLE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host, self._port, self._receive, self._idle_s = host, port, receive, idle_s
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def start(self) -> None:
        """Begin to listen; raise OSError when the address cannot be had."""
        self._server = await asyncio.start_server(
            self._line,
            self._host,
            self._port,
            limit=MOST_BLOCK,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
        )

    async def close(self) -> None:
        """Take no more, and end what is open; what has no answer is sent again by its sender."""
        if self._server is not None:
            self._server.close()
        await ended(*self._lines)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str((writer.get_extra_info("peername") or ("?",))[0])
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(self._lines) >= MOST_CONNECTIONS:
                log.warning(
                    "a line for HL7 from %s is refused: %d are open", peer, len(self._lines)
                )
                return
            self._lines.add(task)
            while (message := await self._block(reader)) is not None:
                answer = await self._receive(message, peer)
                writer.write(START + answer + END)
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side is gone, or silent: it begins again when it has something
        except asyncio.LimitOverrunError:
            log.warning(
                "a line for HL7 from %s is closed: over %d bytes a message", peer, MOST_BLOCK
            )
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception(
                "a message from %s could not be kept; the line is closed unanswered", peer
            )
        finally:
            self._lines.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, OSError):
                await writer.wait_closed()

    async def _block(self, reader: asyncio.StreamReader) -> bytes | None:
        """Return the next message; None when the line has ended, or is no MLLP."""
        between = 0
        async with asyncio.timeout(self._idle_s):
            while (byte := await reader.read(1)) != START:
                between += 1
                if not byte or between > MOST_BETWEEN:
                    return None
            return (await reader.readuntil(END))[: -len(END)]


def secured(folder: Path) -> ssl.SSLContext:
    """Return TLS by the files of `folder`: CERTIFICATE, KEY and SENDERS, all three needed.

    Who shows no certificate that SENDERS knows is not heard. Raises ValueError naming the file.
    """
    for name in (CERTIFICATE, KEY, SENDERS):
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder / name} is not there: TLS needs {CERTIFICATE}, {KEY}, {SENDERS}"
            )
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    found.verify_mode = ssl.CERT_REQUIRED
    # The very certificate of a sender may be listed, without the authority that made it.
    found.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        found.load_cert_chain(folder / CERTIFICATE, folder / KEY, password="")
    except (ssl.SSLError, OSError) as error:
        what = f"{folder / CERTIFICATE} and {folder / KEY} are no certificate and its key: {error}"
        raise ValueError(what) from None
    try:
        found.load_verify_locations(folder / SENDERS)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"{folder / SENDERS} holds no certificates: {error}") from None
    return found
