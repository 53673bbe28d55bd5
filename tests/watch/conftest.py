"""One journey that goes well under the built-in protocol, state by state."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources

import pytest

from stafett.journey.evolve import evolve
from stafett.journey.script import play
from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.protocol.read import parse

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def protocol() -> str:
    """Return the built-in CAR-T protocol."""
    folder = resources.files("stafett") / "catalogue" / "protocols"
    return (folder / "autologous-car-t.yaml").read_text("utf-8")


@pytest.fixture(scope="session")
def states(protocol: str) -> tuple[Net, list[State]]:
    """Return every state of one journey that goes well."""
    net = Net(parse(protocol).bind())
    state, found = None, []
    for event in play(net, START).events:
        state = evolve(net, state, event)
        found.append(state)
    return net, found
