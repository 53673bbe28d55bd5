"""Ending a task for sure.

A cancellation can be lost: `asyncio.wait_for` of Python 3.11 gives what it waited for instead, when
both come in the same turn, and a failure while cleaning up takes a cancellation's place. Whoever
then waits for the task waits for ever, as a server did that was told to stop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

log = logging.getLogger(__name__)

AGAIN_S: Final = 2.0  # a task that cleans up has so long before it is told again


async def ended(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks, again where it was not heard, and return when all are done.

    What a task failed of is written to the log; None stands for a task that was never begun.
    """
    waiting = {task for task in tasks if task is not None}
    pending = waiting
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    for task in waiting:
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.warning("%s had failed before it was ended", task.get_name(), exc_info=failure)
