"""The process that computes: tasks in on standard input, progress and answers out.

It gives way to every other process, and ends when whoever started it is gone.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from stafett.service.computing_messages import Answered, Done, Failed, Message, Seen, Task, frame
from stafett.service.unforeseen import words_of

EVERY = 0.3  # seconds between two words about progress


def work_of(
    kind: str, see: Callable[[object], None]
) -> Callable[[Task, Callable[[int], None]], object]:
    """Who works a kind of question out; `see` is told what it found so far, where it says that."""
    if kind == "comparison":
        from stafett.service import studio_work

        return partial(studio_work.compared, see=see)
    from stafett.service import incentives_work

    return incentives_work.KINDS[kind]


class _Out:
    """Standard output, and how much was said to be done."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._parts, self._said = out, 0, 0.0

    def say(self, message: Message) -> None:
        self._out.write(frame(message))
        self._out.flush()

    def begin(self) -> None:
        self._parts, self._said = 0, 0.0

    def tick(self, parts: int) -> None:
        self._parts += parts
        if time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            self.say(Done(self._parts))

    def see(self, so_far: object) -> None:
        """Say what was found so far, and how much was done for it."""
        self._said = time.monotonic()
        self.say(Done(self._parts))
        self.say(Seen(msgspec.msgpack.encode(so_far)))


def _read(tasks: queue.SimpleQueue[Task]) -> None:
    while head := sys.stdin.buffer.read(4):
        body = sys.stdin.buffer.read(int.from_bytes(head))
        tasks.put(msgspec.msgpack.decode(body, type=Task))
    os._exit(0)  # the server is gone: nobody waits for what is being computed


def main() -> None:
    """Work out one task after the other."""
    os.nice(10)
    # A terminal's Ctrl-C comes to the whole group. Who started this ends it: what is half done must
    # not be taken for an answer, and goes on at the next start.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = _Out(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what a library prints must not look like an answer
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    while True:
        task = tasks.get()
        out.begin()
        try:
            answer = msgspec.msgpack.encode(work_of(task.kind, out.see)(task, out.tick))
        except Exception as problem:  # the page says so; the process lives on
            traceback.print_exc()  # into the server's own log
            out.say(Failed(words_of(problem)))
        else:
            out.say(Answered(answer))
            Path(task.keep).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
