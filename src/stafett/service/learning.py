"""What the record teaches an organisation, made in the background and kept by place in the record.

An organisation learns from the journeys it takes part in; of others it sees aggregates from a least
number of journeys on (`insight.sites`). A chapter is made when it is first asked for, in a process
of its own; while a newer one is being made, the last one is shown with its age.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg_pool import AsyncConnectionPool

from stafett.insight.registered import Trial
from stafett.ledger import Ledger
from stafett.ledger.ending import ended
from stafett.service.foreign_logs import ForeignLogs
from stafett.service.learnt import NOBODY, About, Made, Names, Task
from stafett.service.trials import Trials
from stafett.service.unforeseen import words_of

log = logging.getLogger(__name__)
FRESH_FOR = timedelta(minutes=2)
MOST_STUDIES = 40
SIMULATED = ("sweden", "spain", "uk", "us")


@dataclass(frozen=True)
class Scope:
    """Whose question, on which source, cut to what: everything that the address of a page says.

    `language` is the one in which the record's groups are named; "" for other sources.
    """

    source: str
    organisation: str
    protocol: str | None = None
    since: date | None = None
    until: date | None = None
    site: str | None = None
    outcome: str = "dwell"
    language: str = ""


@dataclass
class Study:
    """The chapters of one scope as far as they are made, at one position of the record.

    `problem` says why there are none; `current` names what is being made now.
    """

    task: Task
    began: datetime
    about: About | None = None
    problem: str = ""
    made: dict[str, Made] = field(default_factory=dict)
    wanted: list[str] = field(default_factory=list)
    current: str = ""
    running: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is still being made."""
        return self.running is not None


class Learning:
    """The studies of one process; at most one analysis runs at a time."""

    def __init__(self, url: str, ledger: Ledger, pool: AsyncConnectionPool[Any]) -> None:
        self._url, self._ledger = url, ledger
        self._studies: OrderedDict[Scope, list[Study]] = OrderedDict()
        self._executor: ProcessPoolExecutor | None = None
        self.trials = Trials(pool)
        self.logs = ForeignLogs(pool, lambda *log: self._run("judged", *log))

    async def close(self) -> None:
        """Drop what is being made, and end the process that makes it."""
        for studies in self._studies.values():
            await _stop(studies)
        self._studies.clear()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    async def study(
        self,
        scope: Scope,
        chapters: Sequence[str],
        order: tuple[tuple[str, tuple[str, ...]], ...] = (),
        *,
        names: Names = NOBODY,
        again: bool = False,
    ) -> tuple[Study, Study | None]:
        """Return the study of `scope` in which `chapters` are made or being made, and an older one.

        The older one is shown for what the newer has not made yet. `again` asks for a new one now;
        `names` are what groups of the record are called.
        """
        position = await self._ledger.size() if scope.source == "record" else 0
        kept = self._studies.setdefault(scope, [])
        self._studies.move_to_end(scope)
        if not kept or self._outdated(kept[0], position, again):
            task = Task(
                self._url, scope.source, scope.organisation, position, scope.protocol,
                scope.since, scope.until, scope.site, order, scope.outcome,
                names if scope.source == "record" else NOBODY,
            )  # fmt: skip
            kept.insert(0, Study(task, datetime.now(UTC)))
            await _stop(kept[2:])
            del kept[2:]
        newest = kept[0]
        newest.wanted += [c for c in chapters if c not in newest.made and c not in newest.wanted]
        if not newest.busy and not newest.problem and (newest.wanted or newest.about is None):
            newest.running = asyncio.create_task(self._make(newest))
        while len(self._studies) > MOST_STUDIES:
            _, dropped = self._studies.popitem(last=False)
            await _stop(dropped)
        return newest, kept[1] if len(kept) > 1 else None

    def forget(self, source: str, chapter: str | None = None) -> None:
        """Make a chapter of `source` anew when it is asked for next; all of them if none is named.

        Used when a trial was registered or ended, or a foreign log was taken away.
        """
        for scope in [s for s in self._studies if s.source == source]:
            for study in self._studies[scope]:
                if chapter is not None:
                    study.made.pop(chapter, None)
            if chapter is None:
                del self._studies[scope]

    def _outdated(self, study: Study, position: int, again: bool) -> bool:
        if study.busy:
            return False
        moved = study.task.position != position
        aged = datetime.now(UTC) - study.began > FRESH_FOR
        return again or bool(moved and (aged or study.problem)) or bool(study.problem and aged)

    async def _make(self, study: Study) -> None:
        try:
            if study.about is None:
                study.current = "log"
                found: About | str = await self._run("about", study.task)
                if isinstance(found, str):
                    study.problem = found
                    return
                study.about = found
            while study.wanted:
                name = study.current = study.wanted[0]
                trials: tuple[Trial, ...] = ()
                if name == "trials":
                    known = await self.trials.of(study.task.organisation, study.task.source)
                    trials = tuple(known)
                study.made[name] = await self._run("chapter", study.task, name, trials)
                study.wanted.remove(name)
        except BrokenProcessPool:
            study.problem = (
                "The process that analyses was ended, most likely for want of memory: cut the"
                " period, or ask again later."
            )
        except Exception as error:
            log.exception("learning from %s failed", study.task.source)
            study.problem = words_of(error)
        finally:
            study.current, study.running = "", None

    async def _run(self, what: str, *arguments: Any) -> Any:
        if self._executor is None:
            # Spawned, not forked: the server has threads and connections that must not be copied.
            spawned = multiprocessing.get_context("spawn")
            # Many small matrices: two threads per product would wait for each other. The child
            # reads this when it loads its libraries; this process loads none for numbers.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            self._executor = ProcessPoolExecutor(1, spawned, os.nice, (5,))
        loop, executor = asyncio.get_running_loop(), self._executor
        try:
            return await loop.run_in_executor(executor, _work, what, *arguments)
        except BrokenProcessPool:
            if self._executor is executor:  # whoever asks next gets a new one
                self._executor = None
            raise


def _work(what: str, *arguments: Any) -> Any:
    """Do `what` of `service.learning_work`: in the process of learning, which alone loads it."""
    from stafett.service import learning_work

    return getattr(learning_work, what)(*arguments)


async def _stop(studies: Sequence[Study]) -> None:
    await ended(*(study.running for study in studies))
