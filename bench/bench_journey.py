"""`decide` per second in one process, beside the least that any such core must do.

One whole journey of the built-in protocol is walked; its commands are then decided and evolved
again from the beginning, journey after journey. The limit beside it: the same number of times, make
the next state by one copy of its dictionaries with one entry changed (what an immutable state costs
at least), and parse the command from JSON (what the service does before it).
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from stafett.journey.command import Command
from stafett.journey.decide import decide
from stafett.journey.evolve import evolve, replay
from stafett.journey.refusal import Refusal
from stafett.journey.script import play
from stafett.journey.state import State
from stafett.journey.tasks import next_moves
from stafett.journey.view import station
from stafett.protocol.net import Net
from stafett.protocol.read import read

FILE = Path(str(files("stafett"))) / "catalogue" / "protocols" / "autologous-car-t.yaml"
SECONDS = 3.0


def rate(what: Callable[[], int]) -> float:
    """Return how many a second `what` does: it says how many it did each time."""
    what()
    done, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < SECONDS:
        done += what()
    return done / spent


def main() -> None:
    net = Net(read(FILE).bind())
    story = play(net, datetime(2026, 3, 2, 7, 30, tzinfo=UTC))
    assert story.state is not None
    commands, events, last = story.commands, story.events, story.state

    def deciding() -> int:
        state: State | None = None
        for command in commands:
            made = decide(net, state, command)
            assert not isinstance(made, Refusal)
            for event in made:
                state = evolve(net, state, event)
        return len(commands)

    pairs: list[tuple[State | None, Command]] = []
    state: State | None = None
    for command in commands:
        pairs.append((state, command))
        made = decide(net, state, command)
        assert not isinstance(made, Refusal)
        for event in made:
            state = evolve(net, state, event)

    def only_deciding() -> int:
        for before, command in pairs:
            decide(net, before, command)
        return len(pairs)

    def replaying() -> int:
        replay(net, events)
        return len(events)

    def copying() -> int:
        for i in range(1_000):
            msgspec.structs.replace(
                last,
                position=i,
                sheets={**last.sheets, "x": None},
                lots={**last.lots, "x": None},
                done={**last.done, "x": None},
            )
        return 1_000

    wire = [msgspec.json.encode(command) for command in commands]
    decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)

    def parsing() -> int:
        for raw in wire:
            decoder.decode(raw)
        return len(wire)

    middle = next(s for s, _ in pairs[len(pairs) // 2 :] if s is not None)

    def showing() -> int:
        tasks = next_moves(net, middle)
        for task in tasks:
            station(net, middle, task.activity, task.side, about=task.about)
        return len(tasks)

    print(f"{platform.python_implementation()} {platform.python_version()}, one process, CPU time")
    print(f"{net.protocol.protocol} {net.protocol.version}: {len(commands)} commands, ", end="")
    print(f"{len(events)} events a journey")
    limit = rate(copying)
    rows = [
        ("decide alone", rate(only_deciding)),
        ("decide and evolve", rate(deciding)),
        ("replay, events", rate(replaying)),
        ("station views", rate(showing)),
        ("parse a command from JSON", rate(parsing)),
        ("bare copy of a state (limit)", limit),
    ]
    for name, speed in rows:
        print(f"{name:32} {speed:12,.0f} /s   {speed / limit:6.3f} of the limit")


if __name__ == "__main__":
    main()
