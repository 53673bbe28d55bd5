"""Readings from a broker: one process at a time subscribes, and acknowledges what is durable.

Topics: a logger publishes chunks to `stafett/1/ORGANISATION.NUMBER/readings` (QoS 1); what became
of each is told on `stafett/1/ORGANISATION.NUMBER/answers` as `{"sequence": n, "kept": true}`, or
`"kept": false` with the reason and, where waiting helps, `retry_after_s`. A logger keeps a chunk
until it is told `kept`: the broker's own PUBACK only says that the broker has it.

The subscription is one persistent session with a fixed name, held by whichever process has the
advisory lock in the database. A message is acknowledged to the broker only after its chunk is
durable and in the ledger (or refused for good, and told so), so what a killed process had in hand
is delivered again to the next one. The lock dies with its connection: no lease, no clock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec
import psycopg

from stafett.ledger.ending import ended
from stafett.service.intake import Intake
from stafett.service.loggers import Id, topic
from stafett.service.refusal import No

log = logging.getLogger(__name__)
VARIABLE: Final = "STAFETT_MQTT_URL"
TOPIC: Final = "stafett/1/+/readings"
LOCK: Final = 823_672_002  # any number; the same in every process
SESSION: Final = "stafett-intake"
IN_FLIGHT: Final = 1000
PAUSE_S: Final = 1.0
FAULT_S: Final = 5.0
_TOPIC: Final = re.compile(r"stafett/1/([^/.]+)\.([^/]+)/readings")


class Subscriber:
    """The intake's ear at one broker. One instance per process; several processes may have one."""

    def __init__(self, database: str, broker: str, intake: Intake) -> None:
        """Take readings from `broker` (`mqtt://user:password@host:port`)."""
        self._database, self._intake = database, intake
        at = urlsplit(broker)
        if at.scheme not in ("mqtt", "mqtts") or not at.hostname:
            raise ValueError(f"{VARIABLE}: {at.scheme}://... is no broker; write mqtt://HOST:PORT")
        self._secure = at.scheme == "mqtts"
        self._host, self._port = at.hostname, at.port or (8883 if self._secure else 1883)
        self._user = unquote(at.username) if at.username else None
        self._password = unquote(at.password) if at.password else None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.listening = asyncio.Event()  # this process is the one that subscribes
        self.acknowledged = 0

    async def start(self) -> None:
        """Begin: wait for the lock, then subscribe, for ever."""
        self._task = asyncio.create_task(self._run(), name="mqtt")

    async def close(self) -> None:
        """Stop; what is not acknowledged stays with the broker."""
        self._closing = True
        await ended(self._task)

    async def _run(self) -> None:
        while not self._closing:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._database, autocommit=True
                ) as lock:
                    await lock.execute("SELECT pg_advisory_lock(%s)", [LOCK])
                    await self._listen(lock)
            except (aiomqtt.MqttError, psycopg.Error, OSError, ExceptionGroup) as error:
                log.warning("readings over MQTT are interrupted: %s", _said(error))
            finally:
                self.listening.clear()
            if not self._closing:
                await asyncio.sleep(PAUSE_S)

    async def _listen(self, lock: psycopg.AsyncConnection[Any]) -> None:
        client = aiomqtt.Client(
            self._host,
            self._port,
            username=self._user,
            password=self._password,
            identifier=SESSION,
            clean_session=False,
            max_inflight_messages=IN_FLIGHT,
            tls_params=aiomqtt.TLSParameters() if self._secure else None,
        )
        # aiomqtt has no name for it, and hands on what came without acknowledging it itself.
        client._client.manual_ack_set(True)
        client.pending_calls_threshold = IN_FLIGHT  # answers under way: no cause to warn
        async with client:
            await client.subscribe(TOPIC, qos=1)
            self.listening.set()
            async with asyncio.TaskGroup() as group:
                held = group.create_task(_hold(lock))
                try:
                    async for message in client.messages:
                        group.create_task(self._take(client, message))
                finally:
                    held.cancel()

    async def _take(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        found = _TOPIC.fullmatch(str(message.topic))
        payload = message.payload
        if found is None or not isinstance(payload, bytes):
            self._done(client, message)
            return
        id = Id(found[1], found[2])
        while True:
            try:
                if not await self._intake.loggers.known(id):
                    raise No("unknown", f"{id.user} is not registered")
                self._intake.allow(id)
                chunk = self._intake.check(id, payload)
                await self._intake.take(id, chunk, payload, "mqtt")
            except No as no:
                if no.code == "not-acknowledged":
                    await asyncio.sleep(PAUSE_S)  # the broker keeps it; so do we
                    continue
                await self._answer(client, id, {"kept": False, "why": str(no),
                                                **_retry(no), **_sequence(payload)})  # fmt: skip
            except (psycopg.Error, OSError) as error:
                log.warning("a chunk of %s waits: %s", id.user, str(error).strip())
                await asyncio.sleep(PAUSE_S)
                continue
            except Exception:
                # A fault of this program: the broker keeps the chunk, and the others go on.
                log.exception("a chunk of %s could not be dealt with; it is tried again", id.user)
                await asyncio.sleep(FAULT_S)
                continue
            else:
                await self._answer(client, id, {"kept": True, "sequence": chunk.sequence})
            self._done(client, message)
            return

    def _done(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        client._client.ack(message.mid, message.qos)
        self.acknowledged += 1

    async def _answer(self, client: aiomqtt.Client, id: Id, said: dict[str, Any]) -> None:
        # An answer that is lost costs one more delivery: the chunk is known then.
        await client.publish(topic(id, "answers"), msgspec.json.encode(said), qos=0)


async def _hold(lock: psycopg.AsyncConnection[Any]) -> None:
    """Fail as soon as the lock's connection is lost: another process may hold it now."""
    while True:
        await asyncio.sleep(PAUSE_S)
        await lock.execute("SELECT 1")


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error).strip()


def _retry(no: No) -> dict[str, Any]:
    return {"retry_after_s": 5} if no.code == "too-many" else {}


def _sequence(payload: bytes) -> dict[str, int]:
    """Return the sequence number of a chunk that was not taken, where it can be told."""
    from stafett.watch.reading import BadChunk, decode

    try:
        return {"sequence": decode(payload).sequence}
    except BadChunk:
        return {}


def from_environment(database: str, intake: Intake) -> Subscriber | None:
    """Return the subscriber that the environment asks for; None without a broker."""
    broker = os.environ.get(VARIABLE)
    return Subscriber(database, broker, intake) if broker else None


def broker_files(passwords: list[str], service: str, port: int, folder: str) -> dict[str, str]:
    """Return a Mosquitto configuration: each logger writes its own topic, and reads its answers.

    `passwords` are the loggers' lines, `service` the line of this program's own user. Nothing that
    the broker has acknowledged is dropped while no server listens: its queues have no limit of
    their own and are kept on disk.
    """
    return {
        "mosquitto.conf": f"""# Made by `stafett readings broker`.
listener {port} 127.0.0.1
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
persistence true
persistence_location {folder}/
autosave_interval 5
max_queued_messages 0
max_inflight_messages {IN_FLIGHT}
message_size_limit 1000000
""",
        "passwords": "\n".join([service, *passwords, ""]),
        "acl": f"""# A logger writes its readings and reads what became of them; nothing else.
user {service.partition(":")[0]}
topic read {TOPIC}
topic write stafett/1/+/answers

pattern write stafett/1/%u/readings
pattern read stafett/1/%u/answers
""",
    }
