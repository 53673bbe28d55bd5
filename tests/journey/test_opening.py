"""Opening a journey, and what travels as JSON."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.decide import decide
from stafett.journey.label import Labels
from stafett.journey.refusal import Refusal
from stafett.journey.script import Cast, open_journey, play
from stafett.protocol.net import Net
from stafett.protocol.read import read

replace = msgspec.structs.replace
PARTIES = {
    "clinic": "h",
    "apheresis": "h",
    "courier": "c",
    "plant": "m",
    "qc": "l",
    "qp": "m",
}


@pytest.fixture
def opening(net: Net, start: datetime) -> c.OpenJourney:
    return open_journey(net, "J1", Labels(1), Cast(PARTIES), start)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"journey": " "}, "journey"),
        ({"patient": "19121212-1212"}, "patient"),
        ({"coi": "12"}, "coi"),
        ({"version": "0.9.0"}, "version"),
        ({"product": "beta"}, "product"),
        ({"parties": {**PARTIES, "qp": ""}}, "parties.qp"),
        ({"parties": {**PARTIES, "king": "k"}}, "parties.king"),
        ({"identifiers": {"din": "x"}}, "identifiers.din"),
        ({"identifiers": {"wristband": "Anna"}}, "identifiers.wristband"),
    ],
)
def test_an_opening_is_whole(
    net: Net, opening: c.OpenJourney, change: dict[str, Any], field: str
) -> None:
    """Each fault is named by its field."""
    refusal = decide(net, None, replace(opening, **change))
    assert isinstance(refusal, Refusal)
    assert [reason.field for reason in refusal.reasons] == [field]


def test_all_faults_are_told_at_once(net: Net, opening: c.OpenJourney) -> None:
    """Nobody has to send it five times."""
    refusal = decide(net, None, replace(opening, coi="", patient="", parties={}))
    assert isinstance(refusal, Refusal)
    assert len(refusal.reasons) == 2 + len(PARTIES)


def test_a_journey_is_opened_once(net: Net, stage: Any, opening: c.OpenJourney) -> None:
    """A second opening is refused."""
    stage.no(opening, "already-open")


def test_nothing_comes_before_the_opening(net: Net, start: datetime) -> None:
    """A command for a journey that does not exist is refused."""
    by = c.Actor(person="p", organisation="h", role="clinic")
    refusal = decide(net, None, c.Start(occurred_at=start, by=by, step="consent"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "not-open"


def test_the_chain_of_identity_may_come_as_its_symbol(net: Net, opening: c.OpenJourney) -> None:
    """Scanned or bare, the record keeps the same 15 characters."""
    opened = decide(net, None, replace(opening, coi="&/" + opening.coi))
    assert not isinstance(opened, Refusal)
    assert isinstance(opened[0], e.JourneyOpened)
    assert opened[0].coi == opening.coi


def test_commands_travel_as_json(net: Net, start: datetime) -> None:
    """Each command of a whole journey is the same after being sent."""
    for command in play(net, start).commands:
        assert c.from_json(msgspec.json.decode(msgspec.json.encode(c.to_json(command)))) == command


def test_a_wrong_type_is_named(net: Net, opening: c.OpenJourney) -> None:
    """What cannot be read says where it is wrong."""
    plain = c.to_json(opening)
    with pytest.raises(msgspec.ValidationError, match=r"\$\.parties"):
        c.from_json({**plain, "parties": "all"})
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        c.from_json({**plain, "colour": "red"})


PROTOCOLS = sorted((Path(e.__file__).parent.parent / "catalogue" / "protocols").glob("*.yaml"))


@pytest.mark.parametrize("file", PROTOCOLS, ids=lambda file: file.stem)
def test_built_in_protocols_can_be_walked(file: Path, start: datetime) -> None:
    """From order to record, for each product, nothing is refused and the patient is treated."""
    document = read(file)
    for product in document.products or (None,):
        story = play(Net(document.bind(product)), start)
        assert story.refusals == []
        ended = story.events[-1]
        assert isinstance(ended, e.JourneyEnded)
        assert ended.treated
