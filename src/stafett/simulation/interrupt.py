"""Ctrl-C while threads work: heard between two steps, never in the middle of one.

Python raises KeyboardInterrupt wherever the main thread happens to be. Inside an executor that is
now and then right after it took a lock: nobody gives that back, a worker waits for it for ever, and
whoever waits for the worker never ends.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether to stop: what an Event says, but set without a lock, so that a signal may set it."""

    def __init__(self) -> None:
        self._asked = False

    def set(self) -> None:
        """Ask to stop."""
        self._asked = True

    def is_set(self) -> bool:
        """Whether it was asked."""
        return self._asked

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first asks; a second one, from who will not wait, raises."""
        if self._asked:
            signal.default_int_handler(number, frame)
        self._asked = True


@contextmanager
def heard() -> Iterator[Interrupt]:
    """Have Ctrl-C ask to stop, and not raise, in what is done inside.

    Where it would not raise KeyboardInterrupt here (another thread, a handler of the caller's own)
    it stays as it is, and the answer is whatever is set by hand.
    """
    stop = Interrupt()
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield stop
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
