"""Readings from a broker: one process at a time subscribes, and acknowledges what is durable.

Topics: a logger publishes chunks to `stafett/1/ORGANISATION.NUMBER/readings` (QoS 1); what became
of them is told on `stafett/1/ORGANISATION.NUMBER/answers`, for each chunk by itself, as
`{"kept": true, "sequence": n}`, or `"kept": false` with the reason and, where waiting helps,
`retry_after_s`. A logger keeps a chunk until it is told `kept`: the broker's own PUBACK only says
that the broker has it.

The subscription is one persistent session with a fixed name, held by whichever process has the
advisory lock in the database. A message is acknowledged to the broker only after its chunk is
durable and in the ledger (or refused for good, and told so), so what a killed process had in hand
is delivered again to the next one. The lock dies with its connection: no lease, no clock.

What has come with one read is offered to the intake at once, without a task for each message;
answers and acknowledgements of what was kept together go out with one write.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import deque
from functools import partial
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
import psycopg

from stafett.ledger.tending import Tended, end_all
from stafett.service.intake import Intake, Taken
from stafett.service.loggers import Id, topic
from stafett.service.mqtt_wire import Connection, Message, connected
from stafett.service.refusal import No

log = logging.getLogger(__name__)
VARIABLE: Final = "STAFETT_MQTT_URL"
TOPIC: Final = "stafett/1/+/readings"
LOCK: Final = 823_672_002  # any number; the same in every process
SESSION: Final = "stafett-intake"
# Messages, and bytes of them, that are in hand at most: the rest waits in the socket and at the
# broker. (Not every broker keeps to its own `max_inflight_messages`; memory must not rest on it.)
IN_FLIGHT: Final = 3000
IN_FLIGHT_BYTES: Final = 64_000_000
PAUSE_S: Final = 1.0
FAULT_S: Final = 5.0
TOPICS: Final = 100_000  # remembered
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
        self.tended = (Tended("readings over MQTT", self._run),)
        self.listening = asyncio.Event()  # this process is the one that subscribes

    async def start(self) -> None:
        """Begin: wait for the lock, then subscribe, for ever."""
        for one in self.tended:
            one.start()

    async def close(self) -> None:
        """Stop; what is not acknowledged stays with the broker."""
        await end_all(*self.tended)

    async def _run(self) -> None:
        try:
            async with await psycopg.AsyncConnection.connect(
                self._database, autocommit=True
            ) as lock:
                await lock.execute("SELECT pg_advisory_lock(%s)", [LOCK])
                await self._listen(lock)
        except ExceptionGroup as several:
            raise _first(several) from None
        finally:
            self.listening.clear()

    async def _listen(self, lock: psycopg.AsyncConnection[Any]) -> None:
        async with asyncio.TaskGroup() as group:
            held = group.create_task(_hold(lock))
            listener = _Listener(self._intake, group)
            try:
                async with connected(
                    self._host, self._port, listener.heard, identifier=SESSION,
                    user=self._user, password=self._password, secure=self._secure,
                ) as connection:  # fmt: skip
                    listener.connection = connection
                    listener.flush()
                    await connection.subscribe(TOPIC)
                    self.listening.set()
                    await connection.lost()
            finally:
                held.cancel()


class _Listener:
    """What came over one connection, until it is answered."""

    def __init__(self, intake: Intake, group: asyncio.TaskGroup) -> None:
        self._intake, self._group = intake, group
        self.connection: Connection | None = None
        self._ids: dict[str, Id | None] = {}  # by topic
        self._kept: dict[Id, list[int]] = {}
        self._mids: list[int] = []
        self._answers: list[tuple[str, bytes]] = []
        self._backlog: deque[Message] = deque()
        self._in_hand = self._bytes = 0
        self._asked: dict[Id, list[Message]] = {}  # of loggers that are being looked up

    def heard(self, messages: list[Message]) -> None:
        """Take note of what has come, and offer it to the intake as far as there is room."""
        self._backlog.extend(messages)
        self._take_in_hand()

    def _take_in_hand(self) -> None:
        backlog = self._backlog
        while backlog and self._in_hand < IN_FLIGHT and self._bytes < IN_FLIGHT_BYTES:
            message = backlog.popleft()
            self._in_hand += 1
            self._bytes += len(message.payload)
            id = self._id(message.topic)
            if id is None:
                self._done(message)
            elif self._intake.loggers.remembers(id):
                self._offer(id, message)
            else:
                self._look_up(id, message)
        if self.connection is not None:
            self.connection.reads(not backlog)

    def _id(self, topic: str) -> Id | None:
        try:
            return self._ids[topic]
        except KeyError:
            found = _TOPIC.fullmatch(topic)
            if len(self._ids) >= TOPICS:
                self._ids.clear()
            self._ids[topic] = id = Id(found[1], found[2]) if found else None
            return id

    def _offer(self, id: Id, message: Message, *, allowed: bool = False) -> None:
        try:
            if not allowed:
                self._intake.allow(id)
            chunk = self._intake.check(id, message.payload)
            tell = partial(self._settle, id, message, chunk.sequence)
            self._intake.offer(id, chunk, message.payload, "mqtt", tell)
        except No as no:
            self._refuse(id, message, no)
        except asyncio.QueueFull:
            self._later(id, message, PAUSE_S, allowed=True)
        except Exception:
            # A fault of this program: the broker keeps the chunk, and the others go on.
            log.exception("a chunk of %s could not be dealt with; it is tried again", id.user)
            self._later(id, message, FAULT_S, allowed=True)

    def _settle(
        self, id: Id, message: Message, sequence: int, outcome: Taken | BaseException | None
    ) -> None:
        if outcome is None:
            return
        if not isinstance(outcome, BaseException):
            self._kept.setdefault(id, []).append(sequence)
            self._done(message)
        elif not isinstance(outcome, No):
            self._later(id, message, FAULT_S, allowed=True)
        elif outcome.code == "not-acknowledged":
            self._later(id, message, PAUSE_S, allowed=True)  # the broker keeps it; so do we
        else:
            self._refuse(id, message, outcome)

    def _look_up(self, id: Id, message: Message) -> None:
        """Ask once whether there is such a logger, however much has come of it."""
        if id in self._asked:
            self._asked[id].append(message)
            return
        self._asked[id] = [message]
        self._group.create_task(self._looked_up(id))

    async def _looked_up(self, id: Id) -> None:
        known = await self._known(id)
        for message in self._asked.pop(id):
            if known:
                self._offer(id, message)
            else:
                self._refuse(id, message, No("unknown", f"{id.user} is not registered"))

    def _later(self, id: Id, message: Message, pause: float, *, allowed: bool = False) -> None:
        # Once the connection is over nobody waits for an answer: the broker sends it again.
        again = self._again(id, message, pause, allowed)
        try:
            self._group.create_task(again)
        except RuntimeError:
            again.close()

    async def _again(self, id: Id, message: Message, pause: float, allowed: bool) -> None:
        await asyncio.sleep(pause)
        if await self._known(id):
            self._offer(id, message, allowed=allowed)
        else:
            self._refuse(id, message, No("unknown", f"{id.user} is not registered"))

    async def _known(self, id: Id) -> bool:
        while True:
            try:
                return await self._intake.loggers.known(id)
            except (psycopg.Error, OSError) as error:
                log.warning("chunks of %s wait: %s", id.user, str(error).strip())
                await asyncio.sleep(PAUSE_S)

    def _refuse(self, id: Id, message: Message, no: No) -> None:
        said = {"kept": False, "why": str(no), **_retry(no), **_sequence(message.payload)}
        self._answers.append((topic(id, "answers"), msgspec.json.encode(said)))
        self._done(message)

    def _done(self, message: Message) -> None:
        if not self._mids:
            asyncio.get_running_loop().call_soon(self.flush)
        self._mids.append(message.mid)
        self._in_hand -= 1
        self._bytes -= len(message.payload)

    def flush(self) -> None:
        """Answer and acknowledge all that has been settled since the last time."""
        if self.connection is None:
            return  # something came with the broker's very first answer
        # An answer that is lost costs one more delivery: the chunk is known then.
        answers, self._answers = self._answers, []
        kept, self._kept = self._kept, {}
        mids, self._mids = self._mids, []
        for id, numbers in kept.items():
            where = topic(id, "answers")
            answers += [(where, b'{"kept":true,"sequence":%d}' % n) for n in numbers]
        self.connection.send(mids, answers)
        self._take_in_hand()


async def _hold(lock: psycopg.AsyncConnection[Any]) -> None:
    """Fail as soon as the lock's connection is lost: another process may hold it now."""
    while True:
        await asyncio.sleep(PAUSE_S)
        await lock.execute("SELECT 1")


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


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
