"""Tier three, the engine: run the log again with something repaired, queues included.

From the log are read: when each piece of work could have begun, how long it took, how many servers
each group had, in which order it served, who gave up waiting. Waiting is *congestion* where all
servers of the group were busy from then on until the work began, and stays as it was otherwise.
With nothing repaired the replay must give the log back to the microsecond (identity replay):
`Replay.prepare` refuses a log for which it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from stafett.eventlog import EventLog

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FAILED = ("refused", "quarantined", "rework", "lost", "failed")
MOST_PLAYERS = 62  # one bit each
ROUNDS = 30

ASSUMPTIONS = (
    "A repaired interface never fails and takes no longer than its own tenth percentile.",
    "A group has as many servers as it was ever seen to use at once, and serves in the order "
    "of the log.",
    "Waiting while a server was free (rosters, batches, missing papers) stays as it was.",
    "Who gave up waiting would have had the rest of another journey's course; who finished is "
    "taken to wait as long as needed.",
    "A failed piece of work caused everything up to its own repetition, unless a cause code says "
    "that another interface did.",
)


class ReplayError(ValueError):
    """The log cannot be replayed; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """One replay: hours (cases,) from arrival to the last end, and who completed (cases,)."""

    hours: npt.NDArray[np.float64]
    completed: Flags


@dataclass(frozen=True)
class Replay:
    """A log made ready for replay; `players` are the interfaces that can be repaired.

    Arrays over rows in the order of their cases (m,), µs where they are times; rows from `extra`
    on within a case are latent: they run only if the case does not end where the log ended it.
    """

    players: tuple[str, ...]
    groups: tuple[str, ...]
    ends: Ints  # (cases + 1,) first row of each case
    arrival: Ints  # (cases,)
    extra: Ints  # (cases,) first latent row (= end of the case's rows if none)
    failing: Ints  # (cases,) bits of players whose repair lets the case go on at `extra`; 0: none
    pool: Ints  # group index, −1 for work that takes no server
    service: Ints
    repaired: Ints  # service once the row's own interface is repaired
    own: Ints  # bit of the row's own interface, 0: none
    lag: Ints  # from the predecessor's end (or start) until the work can begin
    from_start: Flags
    key: Ints  # order of service
    skip: Ints  # bits of the players whose repair makes the row unnecessary
    deadline: Ints  # when the case gives up waiting for this row, −1: never
    servers: Ints  # per group
    logged_start: Ints
    logged_end: Ints
    notes: tuple[str, ...] = field(default=())

    def run(self, repaired: int = 0) -> tuple[Ints, Ints, Flags]:
        """Replay with the bit set `repaired`: starts and ends (−1: not run), who completed."""
        found: tuple[Ints, Ints, Flags] = _simulate(
            np.int64(repaired), self.ends, self.arrival, self.extra, self.failing, self.pool,
            self.service, self.repaired, self.own, self.lag, self.from_start, self.key, self.skip,
            self.deadline, self.servers,
        )  # fmt: skip
        return found

    def outcome(self, repaired: int = 0) -> Outcome:
        """Replay and sum up by case."""
        _, end, completed = self.run(repaired)
        last = np.maximum.reduceat(end, self.ends[:-1])
        return Outcome((np.maximum(last, self.arrival) - self.arrival) / 3.6e9, completed)

    def mismatches(self) -> int:
        """Return how many rows the identity replay does not give back exactly; 0 is acceptance."""
        start, end, _ = self.run(0)
        return int(((start != self.logged_start) | (end != self.logged_end)).sum())


def prepare(
    log: EventLog,
    *,
    servers: Mapping[str, int] | None = None,
    players: Sequence[str] | None = None,
    quantile: float = 0.1,
    seed: int = 1,
) -> Replay:
    """Read off the log what a replay needs.

    `servers` states the servers of groups (default: the most seen busy at once); `players` the
    interfaces that may be repaired (default: the twenty with most dwell and rework; a name of a
    handoff's activity); `quantile` the dwell of a repaired interface among its own.

    Raises:
        ReplayError: nothing to replay, a stated number of servers that the log contradicts, or an
            identity replay that does not give the log back.
    """
    frame = log.frame.filter(pl.col("end").is_not_null())
    if frame.is_empty():
        raise ReplayError("the log has no finished work to replay")
    rows = _Rows(frame, players, quantile)
    notes = []
    if not (rows.service[rows.pool >= 0] > 0).any():
        notes.append(
            "No step has a duration, so no server is ever busy: congestion cannot be replayed and "
            "a repaired interface saves its own dwell and rework only."
        )
    capacity = rows.available_from_idleness(servers or {})
    rows.find_causes()
    rows.add_courses(np.random.default_rng(seed))
    for _ in range(ROUNDS):
        replay = rows.replay(capacity, tuple(notes))
        start, end, _ = replay.run(0)
        wrong = (start != replay.logged_start) | (end != replay.logged_end)
        if not wrong.any():
            return replay
        # Ties at one instant: hold the rows that came early to their logged start.
        early = wrong & (start < replay.logged_start) & (start >= 0)
        rows.hold(np.nonzero(early if early.any() else wrong)[0])
    raise ReplayError(
        f"the identity replay does not give {int(wrong.sum()):,} of {len(wrong):,} rows back as "
        "logged; no counterfactual is told from a log that cannot be reproduced"
    )


class _Rows:
    """The arrays while they are being made; begins with the rows of the log."""

    def __init__(self, frame: pl.DataFrame, players: Sequence[str] | None, quantile: float) -> None:
        case = frame["case"].cast(pl.String)
        first = (case != case.shift(1)).fill_null(True).to_numpy()
        self.ends = np.append(np.nonzero(first)[0], frame.height).astype(np.int64)
        self.case = np.cumsum(first) - 1
        self.first = first
        micros = {
            name: frame[name].dt.timestamp("us").to_numpy().astype(np.int64)
            for name in ("enqueue", "start", "end")
        }
        step = (frame["kind"] == "step").to_numpy()
        self.start = np.where(step, micros["start"], micros["enqueue"])
        self.ready, self.end = micros["enqueue"], micros["end"]
        self.service = self.end - self.start
        self.activity = frame["activity"].cast(pl.String).to_list()
        self.outcome = frame["outcome"].cast(pl.String).to_list()
        self.origin = frame["origin"].cast(pl.String).to_list()
        self.step = step
        receiver = frame["receiver"].cast(pl.String)
        self.groups = tuple(sorted(set(receiver.drop_nulls())))
        place = {name: i for i, name in enumerate(self.groups)}
        pool = receiver.replace_strict(place, default=-1, return_dtype=pl.Int64).fill_null(-1)
        self.withdrawn = np.array([o == "withdrawn" for o in self.outcome]) & step
        self.pool = np.where(step & ((self.service > 0) | self.withdrawn), pool.to_numpy(), -1)
        self.deadline = np.where(self.withdrawn & (self.pool >= 0), self.start, -1)
        self.key = self.start.copy()
        self.held = np.zeros(len(step), bool)
        self._choose(players, quantile)

    def _choose(self, players: Sequence[str] | None, quantile: float) -> None:
        """Name the interfaces that may be repaired and what a repaired one takes."""
        names = np.array(self.activity)
        dwell = pl.DataFrame({"name": names[~self.step], "dwell": self.service[~self.step]})
        totals = dwell.group_by("name").agg(
            pl.col("dwell").sum(), pl.col("dwell").quantile(quantile).alias("good")
        )
        totals = totals.sort(["dwell", "name"], descending=[True, False])
        chosen = list(players) if players is not None else totals["name"].head(20).to_list()
        unknown = [name for name in chosen if name not in set(totals["name"])]
        if unknown:
            raise ReplayError(f"the log has no handoff called {unknown[0]!r}")
        if len(chosen) > MOST_PLAYERS:
            raise ReplayError(f"at most {MOST_PLAYERS} interfaces can be told apart at once")
        self.players = tuple(chosen)
        self.bit = {name: 1 << i for i, name in enumerate(chosen)}
        good = dict(totals.select("name", "good").iter_rows())
        own = [
            0 if s else self.bit.get(n, 0) for n, s in zip(self.activity, self.step, strict=True)
        ]
        self.own = np.array(own, dtype=np.int64)
        cap = [good.get(n, 0) if o else 0 for n, o in zip(self.activity, own, strict=True)]
        self.repaired = np.where(
            self.own > 0, np.minimum(self.service, np.array(cap)), self.service
        )
        self.repaired = self.repaired.astype(np.int64)

    def available_from_idleness(self, stated: Mapping[str, int]) -> Ints:
        """Find when each row could have begun, given when its group's servers were all busy."""
        servers = np.ones(len(self.groups), dtype=np.int64)
        self.available = self.start.copy()
        for g, name in enumerate(self.groups):
            mine = np.nonzero(self.pool == g)[0]
            busy = mine[(self.service[mine] > 0)]
            moments = np.unique(np.concatenate([self.start[busy], self.end[busy]]))
            change = np.zeros(len(moments) + 1, dtype=np.int64)
            np.add.at(change, np.searchsorted(moments, self.start[busy]), 1)
            np.add.at(change, np.searchsorted(moments, self.end[busy]), -1)
            count = np.cumsum(change[:-1])
            most = max(1, int(count.max(initial=0)))
            servers[g] = stated.get(name, most)
            if servers[g] < most:
                raise ReplayError(
                    f"{name} is said to have {servers[g]} servers, but {most} were busy at once"
                )
            if not len(mine):
                continue
            idle = count < servers[g]
            until = np.append(moments[1:], np.iinfo(np.int64).max)
            last_idle = np.maximum.accumulate(np.where(idle, np.arange(len(idle)), -1))
            before = np.searchsorted(moments, self.start[mine], side="left") - 1
            k = np.where(before >= 0, last_idle[np.maximum(before, 0)] if len(idle) else -1, -2)
            # −2: before the group's first work, when all were free; −1: never idle since.
            free_until = np.where(
                k >= 0, until[np.maximum(k, 0)] if len(idle) else 0, self.ready[mine]
            )
            free_until = np.where((k == -2) | (k == before), self.start[mine], free_until)
            free_until = np.where(
                (k == -1) & (before >= 0), moments[0] if len(moments) else 0, free_until
            )
            self.available[mine] = np.clip(free_until, self.ready[mine], self.start[mine])
        self.stated = stated
        return servers

    def find_causes(self) -> None:
        """Mark the rows that a failure made necessary with the interface that caused it."""
        m = len(self.start)
        self.skip = np.zeros(m, dtype=np.int64)
        self.failing = np.zeros(len(self.ends) - 1, dtype=np.int64)
        for i in range(m):
            if self.outcome[i] not in FAILED:
                continue
            cause = self.bit.get(self.origin[i] or "", 0) or self.bit.get(self.activity[i], 0)
            if not cause:
                continue
            last = int(self.ends[self.case[i] + 1])
            again = next(
                (j for j in range(i + 1, last) if self.activity[j] == self.activity[i]), None
            )
            if again is not None:
                self.skip[i + 1 : again + 1] |= cause
            elif i == last - 1:
                self.failing[self.case[i]] = cause

    def add_courses(self, rng: np.random.Generator) -> None:
        """Append to each case that ended early the rest of another's course (latent rows)."""
        self.latent: dict[int, Ints] = {}
        ended = [c for c in range(len(self.ends) - 1) if self._ended_early(c)]
        if not ended:
            return
        complete = [c for c in range(len(self.ends) - 1) if not self._ended_early(c)]
        by_activity: dict[str, list[int]] = {}
        for c in complete:
            seen: set[str] = set()
            for i in range(int(self.ends[c + 1]) - 1, int(self.ends[c]) - 1, -1):
                if self.activity[i] not in seen:
                    seen.add(self.activity[i])
                    by_activity.setdefault(self.activity[i], []).append(i)
        for c in ended:
            last = int(self.ends[c + 1]) - 1
            donors = by_activity.get(self.activity[last])
            if not donors:
                continue
            donor = donors[int(rng.integers(len(donors)))]
            end = int(self.ends[self.case[donor] + 1])
            self.latent[c] = np.arange(donor if self.deadline[last] >= 0 else donor + 1, end)

    def _ended_early(self, c: int) -> bool:
        last = int(self.ends[c + 1]) - 1
        return bool(self.deadline[last] >= 0 or self.outcome[last] in FAILED)

    def hold(self, rows: Ints) -> None:
        """Let these rows (numbered as in the replay) begin no earlier than logged."""
        mine = self.source[rows]
        self.held[mine[mine >= 0]] = True

    def replay(self, servers: Ints, notes: tuple[str, ...]) -> Replay:
        """Lay the rows out, latent ones behind each case."""
        available = np.where(self.held, self.start, self.available)
        previous_end = np.concatenate([[0], self.end[:-1]])
        previous_start = np.concatenate([[0], self.start[:-1]])
        available = np.where(self.first, available, np.maximum(available, previous_start))
        from_start = ~self.first & (available < previous_end)
        lag = available - np.where(from_start, previous_start, previous_end)
        arrival = available[self.ends[:-1]]
        lag[self.first] = 0
        order: list[Ints] = []
        latent: list[Flags] = []
        shift: list[Ints] = []
        ends, extra = [0], []
        for c in range(len(self.ends) - 1):
            rows = np.arange(self.ends[c], self.ends[c + 1])
            more = self.latent.get(c, np.empty(0, dtype=np.int64))
            if len(more) and self.deadline[rows[-1]] >= 0:
                # The row waited for becomes the donor's own, under this case's deadline.
                more = more[1:]
            order += [rows, more]
            latent += [np.zeros(len(rows), bool), np.ones(len(more), bool)]
            offset = self.start[rows[-1]] - (self.start[more[0]] if len(more) else 0)
            shift += [np.zeros(len(rows), np.int64), np.full(len(more), offset)]
            extra.append(ends[-1] + len(rows))
            ends.append(ends[-1] + len(rows) + len(more))
        index, is_latent = np.concatenate(order), np.concatenate(latent)
        self.source = np.where(is_latent, -1, index)
        service, repaired = self.service[index].copy(), self.repaired[index].copy()
        for c, rows in self.latent.items():
            last = extra[c] - 1
            if self.deadline[self.ends[c + 1] - 1] >= 0 and len(rows):
                service[last] = repaired[last] = max(1, int(self.service[rows[0]]))
        deadline = np.where(is_latent, -1, self.deadline[index])
        start, end = self.start[index], self.end[index]
        key = self.key[index] + np.concatenate(shift)
        skip = np.where(is_latent, 0, self.skip[index])
        logged_start = np.where(is_latent | (deadline >= 0), -1, start)
        logged_end = np.where(is_latent, -1, end)
        return Replay(
            self.players, self.groups, np.array(ends), arrival, np.array(extra), self.failing,
            self.pool[index], service, repaired, self.own[index], lag[index], from_start[index],
            key, skip, deadline, servers, logged_start, logged_end, notes,
        )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _simulate(
    bits: Any, ends: Ints, arrival: Ints, extra: Ints, failing: Ints, pool: Ints, service: Ints,
    repaired: Ints, own: Ints, lag: Ints, from_start: Flags, key: Ints, skip: Ints, deadline: Ints,
    servers: Ints,
) -> tuple[Ints, Ints, Flags]:  # pragma: no cover  # fmt: skip
    """Run all cases through the queues; releases before arrivals, arrivals before service."""
    m, cases = len(pool), len(arrival)
    start = np.full(m, -1, np.int64)
    end = np.full(m, -1, np.int64)
    completed = np.zeros(cases, np.bool_)
    case_of = np.empty(m, np.int64)
    for c in range(cases):
        case_of[ends[c] : ends[c + 1]] = c
    busy = np.zeros(len(servers), np.int64)
    waiting = np.zeros(m, np.bool_)
    queues = [[(np.int64(0), np.int64(0))] for _ in range(len(servers) + 1)]
    for q in queues:
        q.pop()
    events = [(np.int64(0), np.int64(0), np.int64(0))]
    events.pop()
    touched = [np.int64(0)]
    touched.pop()
    # Kinds of event: 0 a server is released, 1 a case gives up waiting, 2 a row can begin.
    for c in range(cases):
        first = ends[c]
        while first < extra[c] and skip[first] & bits:
            first += 1
        if first < extra[c]:
            heappush(events, (arrival[c], np.int64(2), np.int64(first)))
    while len(events) > 0:
        now = events[0][0]
        while len(events) > 0 and events[0][0] == now:
            _, kind, r = heappop(events)
            if kind == 0:
                busy[pool[r]] -= 1
                touched.append(pool[r])
                continue
            if kind == 1:
                if waiting[r]:
                    waiting[r] = False
                    end[r] = now
                continue
            if pool[r] >= 0:
                if deadline[r] >= 0:
                    if now >= deadline[r]:
                        end[r] = now
                        continue
                    heappush(events, (deadline[r], np.int64(1), r))
                waiting[r] = True
                heappush(queues[pool[r]], (key[r], r))
                touched.append(pool[r])
                continue
            start[r] = now
            end[r] = now + (repaired[r] if own[r] & bits else service[r])
            _onward(r, case_of[r], bits, ends, extra, failing, lag, from_start, skip, deadline,
                    start, end, completed, events)  # fmt: skip
        while len(touched) > 0:
            g = touched.pop()
            while busy[g] < servers[g] and len(queues[g]) > 0:
                _, r = heappop(queues[g])
                if not waiting[r]:
                    continue
                waiting[r] = False
                busy[g] += 1
                start[r] = now
                end[r] = now + service[r]
                heappush(events, (end[r], np.int64(0), r))
                _onward(r, case_of[r], bits, ends, extra, failing, lag, from_start, skip, deadline,
                        start, end, completed, events)  # fmt: skip
    return start, end, completed


@numba.njit(cache=True, nogil=True)
def _onward(
    r: Any, c: Any, bits: Any, ends: Ints, extra: Ints, failing: Ints, lag: Ints, from_start: Flags,
    skip: Ints, deadline: Ints, start: Ints, end: Ints, completed: Flags,
    events: list[Any],
) -> None:  # pragma: no cover  # fmt: skip
    """Schedule the row after `r`, or let the case end."""
    after = r + 1
    while after < extra[c] and skip[after] & bits:
        after += 1
    if after >= extra[c] and r < extra[c]:
        # The log ended the case here. It goes on if it failed and the cause is repaired, or if it
        # was served before it gave up waiting.
        served = deadline[extra[c] - 1] >= 0
        ended_early = failing[c] != 0 or served
        if not ended_early:
            completed[c] = True
            return
        if not served and not (failing[c] & bits):
            return
    if after >= ends[c + 1]:
        completed[c] = True
        return
    base = start[r] if from_start[after] else end[r]
    heappush(events, (max(base + lag[after], start[r]), np.int64(2), np.int64(after)))
