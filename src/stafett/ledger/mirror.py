"""A pull mirror: another organisation's full copy, checked entry by entry, and its cosignature.

A witness sees only roots. If the log's owner lost or withheld the entries, the roots would still
fit: so at least one other organisation holds the entries too. A mirror reads what is new, hashes
it onto what it holds, and takes the new checkpoint only when its own bytes lead to the signed
root. So a log that changes anything already mirrored is refused here, with the entry named, and
the log can be restored from a mirror's folder: it has the layout of the log itself.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stafett.ledger import merkle, note, tiles
from stafett.ledger.checkpoint import Checkpoint, parse_text
from stafett.ledger.compare import check_bundle
from stafett.ledger.cosignature import Cosigner
from stafett.ledger.finding import Finding
from stafett.ledger.merkle import Frontier
from stafett.ledger.note import BadNote
from stafett.ledger.policy import Policy
from stafett.ledger.source import Folder, Missing, Source, Unreadable, read_tile
from stafett.ledger.tiles import HEIGHT, WIDTH, BadTile, Tile


class Refused(RuntimeError):
    """The mirror did not take what the log shows; `findings` say why. The copy is unchanged."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Pulled:
    """A pull that was taken: sizes before and after, and the mirror's own cosignature, if any."""

    before: int
    after: int
    cosignature: str | None


class Mirror:
    """The mirror in a folder. `entries` false keeps hashes only (a reader without access)."""

    def __init__(self, folder: Path, policy: Policy, *, entries: bool = True) -> None:
        self._folder = folder
        self._policy = policy
        self._entries = entries
        self._fresh: set[Path] = set()

    @property
    def source(self) -> Folder:
        """The copy, to read or to restore from."""
        return Folder(self._folder)

    def head(self) -> Checkpoint | None:
        """Return the checkpoint that the copy stands at, or None when it is empty."""
        try:
            raw = self.source.read("checkpoint")
        except Missing:
            return None
        return parse_text(note.parse(raw).text)

    def pull(
        self,
        source: Source,
        cosigner: Cosigner | None = None,
        *,
        now: Callable[[], int] | None = None,
    ) -> Pulled:
        """Take what is new in `source`.

        The log must have signed; a quorum is not asked for (a mirror may be part of it). Raises
        Refused, with nothing taken, when the log was rolled back or forked, or when entries do
        not hash to the signed root; Unreadable when the source cannot be reached, or another
        process pulls into this folder.
        """
        with self._alone():
            return self._pull(source, cosigner, now)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder: of two at once, one would drop tiles that the other's head stands on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                what = f"another process takes into {self._folder}: let it finish"
                raise Unreadable(what) from None
            yield

    def _pull(
        self, source: Source, cosigner: Cosigner | None, now: Callable[[], int] | None
    ) -> Pulled:
        try:
            raw = source.read("checkpoint")
            head = self._policy.judge(raw).checkpoint
        except Missing:
            raise Refused([Finding("checkpoint", None, "the log has no checkpoint")]) from None
        except BadNote as error:
            raise Refused([Finding("checkpoint", None, str(error))]) from None
        held = self.head() or Checkpoint(head.origin, 0, merkle.EMPTY_ROOT)
        self._may_follow(held, head)
        frontier = self._frontier(held)
        if frontier.root != held.root:
            what = "the mirror's own copy is damaged: audit it, and restore it from the log"
            raise Refused([Finding("damaged", None, what)])
        if head.size == held.size and head.root != held.root:
            what = f"two signed roots at size {head.size}: the log shows two histories"
            raise Refused([Finding("fork", None, what)])
        self._take(source, held, head)
        line = None
        signed = note.parse(raw)
        if cosigner is not None and now is not None:
            cosigned = cosigner.cosign(head, now())
            line = cosigned.line
            signed = note.Note(signed.text, (*signed.signatures, cosigned))
        # Last: until here the copy stands at the old checkpoint, whose files are all untouched. The
        # names of the new ones are durable first: no power cut leaves a head without its tiles.
        self._settle()
        self._write("checkpoint", str(signed).encode())
        self._settle()
        self._drop_grown(held.size, head.size)
        return Pulled(held.size, head.size, line)

    def _may_follow(self, held: Checkpoint, head: Checkpoint) -> None:
        if head.origin != held.origin:
            what = f"this is the log {head.origin!r}; the mirror holds {held.origin!r}"
            raise Refused([Finding("origin", None, what)])
        if head.size < held.size:
            what = f"the log was rolled back: it has {head.size} entries, the mirror {held.size}"
            raise Refused([Finding("rollback", head.size, what)])

    def _take(self, source: Source, held: Checkpoint, head: Checkpoint) -> None:
        first = held.size // WIDTH
        upper: dict[int, list[bytes]] = {}
        findings: list[Finding] = []
        # Back to the last full tile; what was partial is read again and compared with what we hold.
        grown = merkle.frontier_at(first * WIDTH, self._hash_at(held.size))
        for index in range(first, (head.size + WIDTH - 1) // WIDTH):
            width = tiles.width_at(0, index, head.size)
            hashes, found, leaves = check_bundle(source, index, head.size, self._entries)
            findings += found or self._same_as_held(index, held.size, hashes)
            grown = grown.append(hashes)
            if findings:
                break
            self._write(Tile(0, index, width).path, tiles.encode_hashes(hashes))
            if self._entries:
                # The very bytes that were hashed: a second read could bring others.
                self._write(Tile(None, index, width).path, leaves.raw)
            if width == WIDTH:
                upper.setdefault(1, []).append(merkle.subtree_root(hashes))
        if not findings and grown.root != head.root:
            findings.append(self._where(source, held, head))
        if findings:
            raise Refused(findings)
        self._write_upper(held.size, head.size, upper)

    def _same_as_held(self, index: int, size: int, hashes: list[bytes]) -> list[Finding]:
        """Compare the leaves of a tile with those that the copy already has of it."""
        width = tiles.width_at(0, index, size)
        if not width:
            return []
        mine = tiles.decode_hashes(self.source.read(Tile(0, index, width).path), width)
        for place, (a, b) in enumerate(zip(mine, hashes, strict=False)):
            if a != b:
                return [_changed(index * WIDTH + place)]
        return []

    def _where(self, source: Source, held: Checkpoint, head: Checkpoint) -> Finding:
        """Name the first mirrored entry that the log now hashes differently."""
        for index in range((held.size + WIDTH - 1) // WIDTH):
            width = tiles.width_at(0, index, held.size)
            mine = tiles.decode_hashes(self.source.read(Tile(0, index, width).path), width)
            try:
                there = Tile(0, index, tiles.width_at(0, index, head.size))
                theirs = tiles.decode_hashes(read_tile(source, there), there.width)[:width]
            except (Missing, Unreadable, BadTile):
                continue
            for place, (a, b) in enumerate(zip(mine, theirs, strict=True)):
                if a != b:
                    return _changed(index * WIDTH + place)
        what = f"the entries do not lead to the root signed for size {head.size}"
        return Finding("fork" if held.size else "root", None, what)

    def _write_upper(self, old: int, size: int, fresh: dict[int, list[bytes]]) -> None:
        """Write the tiles above level 0, from the roots of the tiles that became full."""
        level = 1
        while size >> HEIGHT * level:
            row = fresh.get(level, [])
            begin = old >> HEIGHT * level
            first = begin // WIDTH
            kept = tiles.width_at(level, first, old)
            if kept and kept < WIDTH:
                path = Tile(level, first, kept).path
                row = tiles.decode_hashes(self.source.read(path), kept) + row
            for offset in range(0, len(row), WIDTH):
                hashes = row[offset : offset + WIDTH]
                index = first + offset // WIDTH
                self._write(Tile(level, index, len(hashes)).path, tiles.encode_hashes(hashes))
                if len(hashes) == WIDTH:
                    fresh.setdefault(level + 1, []).append(merkle.subtree_root(hashes))
            level += 1

    def _drop_grown(self, old: int, size: int) -> None:
        """Remove partial tiles of the old size whose full tile is now here."""
        edge = [t for t in tiles.tiles_of(old) if not t.full]
        edge += [Tile(None, t.index, t.width) for t in edge if t.level == 0]
        for tile in edge:
            if tiles.width_at(tile.level or 0, tile.index, size) == WIDTH:
                (self._folder / tile.path).unlink(missing_ok=True)

    def _frontier(self, held: Checkpoint) -> Frontier:
        try:
            return merkle.frontier_at(held.size, self._hash_at(held.size))
        except (Missing, BadTile) as error:
            what = f"the mirror's own copy is damaged ({error}): restore it from the log"
            raise Refused([Finding("damaged", None, what)]) from None

    def _hash_at(self, size: int) -> merkle.HashAt:
        return tiles.hash_reader(size, lambda tile: self.source.read(tile.path))

    def _write(self, path: str, data: bytes) -> None:
        """Write a file whole or not at all."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._fresh.add(target.parent)
        temporary = target.parent / f".{target.name}.new"
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)

    def _settle(self) -> None:
        """Make the names in the folders that were written into durable, and those of the folders.

        Raises OSError.
        """
        above = {one for folder in self._fresh for one in (folder, *folder.parents)}
        for folder in sorted(one for one in above if one.is_relative_to(self._folder)):
            directory = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        self._fresh.clear()


def _changed(entry: int) -> Finding:
    return Finding("fork", entry, "the entry was changed in the log after it was mirrored")
