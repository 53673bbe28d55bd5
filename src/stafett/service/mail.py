"""Mail for those who are told: one message a person and alert, sent by whichever process is free.

`STAFETT_SMTP` is the server (`smtp://user:password@host:587`, `smtps://` for TLS from the start);
without it nothing is sent and everybody is told in the application only. `STAFETT_MAIL_FROM` is the
sender, `STAFETT_ADDRESS` the address of the tower that the link points to. A message that was taken
by the server and whose note of it was lost is sent again under the same Message-ID.
No patient identifier is ever in a mail; the chain-of-identity identifier is.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC
from email.message import EmailMessage
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import aiosmtplib
from psycopg import AsyncCursor
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.ledger.tending import said
from stafett.service import notices

log = logging.getLogger(__name__)
LOOK_S: Final = 0.5
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 600.0
GIVE_UP: Final = 12
TIMEOUT_S: Final = 10.0

# What a mail says, by the reader's language.
WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "warning": "About to be late", "minor": "Minor", "major": "Major",
        "critical": "CRITICAL", "at": "at", "together": "and {n} more of the same cause",
        "take": "Take it", "why": "You are told as",
    },
    "sv": {
        "warning": "Snart försenat", "minor": "Mindre", "major": "Större",
        "critical": "KRITISKT", "at": "vid", "together": "och {n} till av samma orsak",
        "take": "Ta hand om det", "why": "Du larmas som",
    },
    "es": {
        "warning": "A punto de retrasarse", "minor": "Menor", "major": "Mayor",
        "critical": "CRÍTICO", "at": "en", "together": "y {n} más de la misma causa",
        "take": "Atenderlo", "why": "Se le alerta como",
    },
}  # fmt: skip


# Say what the record or the watch says of a journey, in a language; an identifier by its name.
Say = Callable[[str, str, str], str]


def as_it_is(text: str, journey: str, language: str) -> str:
    """Say a text as it stands: in the record's English."""
    return text


class Server(NamedTuple):
    """Where mail goes out."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool
    sender: str
    address: str


def configured() -> Server | None:
    """Read the server from the environment; None if there is none. Raises ValueError."""
    url = os.environ.get("STAFETT_SMTP", "")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("STAFETT_SMTP is no smtp:// or smtps:// address")
    tls = parts.scheme == "smtps"
    return Server(
        parts.hostname,
        parts.port or (465 if tls else 587),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        tls,
        os.environ.get("STAFETT_MAIL_FROM", f"stafett@{parts.hostname}"),
        os.environ.get("STAFETT_ADDRESS", "http://127.0.0.1:8321"),
    )


class Mail:
    """The sending side. Several processes may run it on one database."""

    def __init__(self, pool: AsyncConnectionPool[Any], server: Server, say: Say = as_it_is) -> None:
        self._pool, self._server = pool, server
        self.say = say

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            if not await self.once():
                await asyncio.sleep(LOOK_S)

    async def once(self) -> bool:
        """Send the message that is due longest; False if none is."""
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(
                "SELECT m.id, m.mail, m.attempt, a.id, a.journey, a.urgency, a.code, a.activity,"
                " a.why, a.role, p.language, (SELECT count(*) FROM alerts.alert j"
                " WHERE j.joined = a.id) FROM alerts.message m"
                " JOIN alerts.alert a ON a.id = m.alert JOIN service.person p ON p.id = m.person"
                " WHERE m.sent IS NULL AND NOT m.dead AND p.active"
                " AND m.next_try <= clock_timestamp()"
                " ORDER BY m.next_try LIMIT 1 FOR UPDATE OF m SKIP LOCKED"
            )
            row = await cursor.fetchone()
            if row is None:
                return await self._notice(cursor)
            id_, attempt = row[0], row[2] + 1
            try:
                await self._send(self.compose(row))
            except Exception as failure:
                # Also what cannot be written or sent at all: it must not hold up the others.
                if not isinstance(failure, aiosmtplib.SMTPException | OSError):
                    log.exception("mail %s about alert %s cannot be sent", id_, row[3])
                pause = min(FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 20), LONGEST_PAUSE_S)
                await cursor.execute(
                    "UPDATE alerts.message SET attempt = %s, last_error = %s, dead = %s,"
                    " next_try = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
                    [attempt, str(failure)[:500] or said(failure), attempt >= GIVE_UP, pause, id_],
                )
            else:
                await cursor.execute(
                    "UPDATE alerts.message SET attempt = %s, sent = clock_timestamp(),"
                    " last_error = NULL WHERE id = %s",
                    [attempt, id_],
                )
        return True

    async def _notice(self, cursor: AsyncCursor[Any]) -> bool:
        """Send the notice that is due longest; False if none is."""
        await cursor.execute(notices.DUE)
        row = await cursor.fetchone()
        if row is None:
            return False
        id_, kind, until, attempt, to, language = row
        words = notices.WORDS[kind]
        subject, text = words.get(language, words["en"])
        message = EmailMessage()
        message["From"], message["To"] = self._server.sender, to
        message["Subject"] = f"Stafett: {subject}"
        domain = self._server.sender.rpartition("@")[2]
        message["Message-ID"] = f"<notice-{id_}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        where = f"{self._server.address}{notices.PATHS[kind]}"
        said_ = text.format(until=f"{until.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
        message.set_content(f"{said_}\n\n{where}")
        try:
            await self._send(message)
        except Exception as failure:
            log.warning("notice %s cannot be sent: %s", id_, said(failure))
            pause = min(FIRST_PAUSE_S * 2.0 ** min(attempt, 20), LONGEST_PAUSE_S)
            await cursor.execute(
                "UPDATE alerts.notice SET attempt = attempt + 1, last_error = %s,"
                " next_try = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
                [str(failure)[:500] or said(failure), pause, id_],
            )
        else:
            await cursor.execute(
                "UPDATE alerts.notice SET attempt = attempt + 1, sent = clock_timestamp()"
                " WHERE id = %s",
                [id_],
            )
        return True

    def compose(self, row: tuple[Any, ...]) -> EmailMessage:
        """Write one message."""
        id_, to, _, alert, journey, urgency, code, activity, why, role, language, more = row
        language = language or "en"
        words = WORDS.get(language, WORDS["en"])
        activity, code, why, role = (
            self.say(str(text), journey, language) for text in (activity, code, why, role)
        )
        message = EmailMessage()
        message["From"], message["To"] = self._server.sender, to
        where = f" {words['at']} {activity}" if activity else ""
        message["Subject"] = f"Stafett: {words[urgency]}: {code}{where}, {journey}"
        domain = self._server.sender.rpartition("@")[2]
        message["Message-ID"] = f"<alert-{alert}-{id_}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply
        lines = [f"{words[urgency]}: {code}{where}", why, f"CoI {journey}"]
        if more:
            lines.append(words["together"].format(n=more))
        lines += ["", f"{words['take']}: {self._server.address}/alerts#a{alert}"]
        lines += [f"{words['why']} {role}."]
        message.set_content("\n".join(lines))
        return message

    async def _send(self, message: EmailMessage) -> None:
        server = self._server
        await aiosmtplib.send(
            message,
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.tls,
            timeout=TIMEOUT_S,
        )
