"""One thing that is wrong with a record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A kind, the first entry that it concerns (index from 0, if it is about one), the sentence.

    About entries: changed, swapped, dropped, inserted, repeated, unsigned, signature, no-event,
    time. About what stands on them: bundle, tile, rewritten, root, checkpoint, quorum, policy, key,
    document, about. About the log's history: origin, rollback, fork, damaged.
    """

    kind: str
    entry: int | None
    what: str

    @property
    def position(self) -> int | None:
        """The event's position, which counts from 1."""
        return None if self.entry is None else self.entry + 1

    def __str__(self) -> str:
        where = "" if self.position is None else f"position {self.position}: "
        return f"{where}{self.what}"
