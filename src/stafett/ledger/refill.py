"""Refilling an empty database from a mirror or a whole archive: the record goes on where it stood.

What comes back is what the checkpoint of the copy covers: entries, tree, checkpoint and
cosignatures, so that witnesses find the history continued. What never was in an entry does not:
documents, the vault, accounts (a backup has those). Idempotency keys come back where authors signed
them (`act`); the request behind one is not known any more, so that who sends it again is refused,
not recorded twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from stafett.ledger import binarycopy as copy
from stafett.ledger import leaf, note, tiles
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.event import Event
from stafett.ledger.keeping import KeepingFailed, Kept, Progress, verify_database
from stafett.ledger.merkle import Frontier
from stafett.ledger.policy import Policy
from stafett.ledger.source import Source
from stafett.ledger.tree import TILE_HEIGHT
from stafett.ledger.verify import verify

EVENTS = (
    "COPY ledger.event_store (position, recorded_at, version, leaf_hash, leaf, occurred_at, kind,"
    " stream, organisation, person, audience) FROM STDIN (FORMAT BINARY)"
)
SUBMISSIONS = (
    "COPY ledger.submission (key, request_hash, first_position, count) FROM STDIN (FORMAT BINARY)"
)


def refill(
    source: Source,
    url: str,
    *,
    keys: Sequence[str] = (),
    policy: Policy | None = None,
    jobs: int = 1,
    progress: Progress = lambda done, size: None,
) -> Kept:
    """Put the record of `source` into the migrated, empty ledger at `url`, and hash it all again.

    All or nothing, in one transaction. Raises KeepingFailed when the source is not sound by `keys`
    or `policy`, lacks entries, or the ledger has some already; seal.Tampered after that.
    """
    report = verify(source, keys=keys, policy=policy, jobs=jobs, progress=progress)
    head = report.checkpoint
    if not report.sound or head is None:
        what = "; ".join(map(str, report.findings[:3])) or "it has no checkpoint"
        raise KeepingFailed(f"the copy is not sound: {what}")
    if report.hidden:
        raise KeepingFailed(f"the copy holds {report.hidden} entries as hashes only: take another")
    with psycopg.connect(url) as connection:
        connection.execute("SET LOCAL ROLE stafett_append")
        row = connection.execute("SELECT size FROM ledger.head FOR UPDATE").fetchone()
        if row != (0,):
            raise KeepingFailed(f"the ledger there has {row and row[0]} entries: it must be empty")
        filling = _Filling(connection)
        for index in range((head.size + tiles.WIDTH - 1) // tiles.WIDTH):
            width = tiles.width_at(0, index, head.size)
            filling.add(source.entries(index, width))
            progress(min(head.size, (index + 1) * tiles.WIDTH), head.size)
        filling.finish()
        if (filling.frontier.size, filling.frontier.root) != (head.size, head.root):
            raise KeepingFailed("the copy changed while it was read")
        names = {w.vkey.name: w.name for w in policy.witnesses} if policy else {}
        _keep_checkpoint(connection, source.read("checkpoint"), head, names)
    return verify_database(url, progress)


@dataclass(slots=True)
class _Filling:
    connection: psycopg.Connection[tuple[object, ...]]
    frontier: Frontier = field(default_factory=Frontier)
    _last: Event | None = None
    _act: tuple[str, int, int] | None = None  # key, first position and count of what is being read

    def add(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Append the entries of one bundle."""
        events = [leaf.read(n + 1, entry, leaf.leaf_hash(entry)) for n, entry in entries]
        nodes: list[tuple[int, int, bytes]] = []

        def keep(level: int, index: int, value: bytes) -> None:
            if level and level % TILE_HEIGHT == 0:
                nodes.append((level // TILE_HEIGHT, index, value))

        self.frontier = self.frontier.append([e.leaf_hash for e in events], keep)
        self._copy(EVENTS, map(_row, events))
        self._copy(SUBMISSIONS, self._acts(events))
        with self.connection.cursor() as cursor:
            cursor.executemany("INSERT INTO ledger.node VALUES (%s, %s, %s)", nodes)
        self._last = events[-1] if events else self._last

    def finish(self) -> None:
        """Write what is left, and the head."""
        if self._act is not None:
            self._copy(SUBMISSIONS, [_submission(*self._act)])
        if self._last is not None:
            self.connection.execute(
                "UPDATE ledger.head SET size = %s, recorded_at = %s, frontier = %s, root = %s",
                [self.frontier.size, self._last.recorded_at, b"".join(self.frontier.peaks),
                 self.frontier.root],
            )  # fmt: skip

    def _acts(self, events: Iterable[Event]) -> Iterator[bytes]:
        """Yield the submissions that are complete; the last one may go on in the next bundle."""
        for event in events:
            act = str((event.signature or {}).get("act", ""))
            key = act.rpartition("#")[0]
            if self._act is not None and key == self._act[0]:
                self._act = (key, self._act[1], self._act[2] + 1)
                continue
            if self._act is not None:
                yield _submission(*self._act)
            self._act = (key, event.position, 1) if key else None

    def _copy(self, query: str, rows: Iterable[bytes]) -> None:
        with self.connection.cursor().copy(query.encode()) as writer:
            writer.write(b"".join((copy.HEADER, *rows, copy.TRAILER)))


def _row(event: Event) -> bytes:
    return copy.row(
        (
            copy.int8(event.position), copy.timestamptz(event.recorded_at),
            copy.int8(event.version), copy.data(event.leaf_hash), copy.data(event.leaf),
            copy.timestamptz(event.occurred_at), copy.text(event.kind), copy.text(event.stream),
            copy.text(event.author.organisation), copy.text(event.author.person),
            copy.texts(list(event.audience)),
        ),
        11,
    )  # fmt: skip


def _submission(key: str, first: int, count: int) -> bytes:
    return copy.row((copy.text(key), copy.data(b""), copy.int8(first), copy.int4(count)), 4)


def _keep_checkpoint(
    connection: psycopg.Connection[tuple[object, ...]],
    raw: bytes,
    head: Checkpoint,
    names: Mapping[str, str],
) -> None:
    """Store the signed checkpoint, the log's own signature in its note, cosignatures beside it.

    `names` are the policy's, by the names of the witnesses' keys.
    """
    signed = note.parse(raw)
    own = tuple(s for s in signed.signatures if s.name == head.origin)
    connection.execute(
        "INSERT INTO ledger.checkpoint (size, root, note) VALUES (%s, %s, %s)",
        [head.size, head.root, str(note.Note(signed.text, own))],
    )
    for one in signed.signatures:
        if one.name != head.origin:
            connection.execute(
                "INSERT INTO ledger.cosignature (size, name, line) VALUES (%s, %s, %s)",
                [head.size, names.get(one.name, one.name), one.line],
            )
