"""The board of a replanning: chains as jobs, resources with what stands in them, what a move costs.

The cost of a move is MOVED times the patient's weight, and the weight again for each day that the
last link begins later; who cannot be placed costs UNPLACED weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stafett.capacity.calendar import DAY_S, Calendar, Resource
from stafett.capacity.chain import Slot, Template
from stafett.capacity.search import Calendars

MOVED, UNPLACED = 1000, 100_000
WEIGHT = {1: 9, 2: 3, 3: 1}  # of the urgency classes; an assumption, shown with the plan


@dataclass(frozen=True)
class Job:
    """A chain to be kept or moved. `deadline`: its last link begins by then (the expiry window).

    Where something happened to the chain itself, `why` says what: its first `kept` links stay as
    they really were (the last of them ends when the next can count on it), and nothing else begins
    before `not_before`.
    """

    chain: str
    template: Template
    slots: tuple[Slot, ...]
    urgency: int = 3
    deadline: int | None = None
    why: str = ""
    kept: int = 0
    not_before: int = 0

    @property
    def weight(self) -> int:
        """What moving this patient costs against another."""
        return WEIGHT[self.urgency]

    @property
    def ready(self) -> int:
        """From when on the first link that does not stay may begin."""
        last = self.slots[self.kept - 1].ends if self.kept else 0
        return max(self.not_before, last if self.why else 0)


class Board:
    """The resources with what stands in them; `where` tells in which a link may be.

    `standing` is what no plan moves: others' chains, and what has really happened.
    """

    def __init__(
        self,
        resources: Sequence[Resource],
        jobs: Sequence[Job],
        where: Mapping[str, Sequence[str]],
        standing: Sequence[Slot] = (),
    ) -> None:
        self.calendars = {r.id: Calendar(r) for r in resources}
        self.where = where
        self.put(standing)
        self.unfit = {job.chain: self._unfit(job) for job in jobs}
        for job in jobs:
            if not self.unfit[job.chain]:
                self.put(job.slots)

    def _unfit(self, job: Job) -> tuple[str, ...]:
        """Return the links of a job whose place is closed or taken, or no longer in its time."""
        found = []
        for n, (link, slot) in enumerate(zip(job.template.links, job.slots, strict=True)):
            if n < job.kept:
                continue
            fits = self.calendars[slot.resource].fits(slot.unit, slot.begins, slot.ends)
            low, high = link.window(job.slots[n - 1].ends) if n else (job.not_before, slot.begins)
            if not fits or (job.why and not low <= slot.begins <= high):
                found.append(slot.link)
        return tuple(found)

    def put(self, slots: Sequence[Slot]) -> None:
        """Let a chain stand."""
        for slot in slots:
            self.calendars[slot.resource].put(slot.unit, slot.begins, slot.ends)

    def take(self, slots: Sequence[Slot]) -> None:
        """Take a chain out."""
        for slot in slots:
            self.calendars[slot.resource].take(slot.unit, slot.begins, slot.ends)

    def of(self, template: Template) -> Calendars:
        """Return the calendars for each link."""
        return {
            link.name: [self.calendars[r] for r in self.where[link.name]] for link in template.links
        }


def started(job: Job, now: int) -> int:
    """Return how many links have begun: they stay where they are."""
    if job.why:
        return job.kept
    return sum(slot.begins < now for slot in job.slots)


def cost(job: Job, after: Sequence[Slot] | None) -> int:
    """Return what it costs to put a job there (None: nowhere)."""
    if after is None:
        return UNPLACED * job.weight
    if tuple(after) == job.slots:
        return 0
    later = max(0, after[-1].begins - job.slots[-1].begins)
    return job.weight * (MOVED + math.ceil(later / DAY_S))
