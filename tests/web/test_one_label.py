"""Two patients' things lie side by side: the label of one is never taken for the other's."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest

from site_ import Site
from stafett.exchange.joins import CURSOR
from stafett.journey.command import Answer, Command
from stafett.journey.label import Labels
from stafett.journey.script import next_command
from stafett.journey.tasks import next_moves
from stafett.protocol.model import Identifier
from stafett.service.refusal import No
from web_walk import _cast, submit, walk

COLLECT, DRAW_UP = ("H06", "step"), ("H12a", "step")
NEXT = {COLLECT: ("H07", "release"), DRAW_UP: ("H12b", "step")}


class Beside(Labels):
    """Labels of one patient, whose `material` is mistaken for what lies beside it."""

    def mistaken(self, material: str, label: str) -> Beside:
        self.material, self.label = material, label
        return self

    def stick(self, kind: Identifier, material: str, by: str, records: str | None) -> str:
        right = super().stick(kind, material, by, records)
        return self.label if records == self.material else right


def begun(site: Site, goal: tuple[str, str]) -> tuple[str, Labels]:
    """Order for a patient, and carry the journey to `goal`."""
    labels = Beside(random.SystemRandom().randrange(1, 900_000)).mistaken("", "")
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah")
    site.inside(walk(site, journey, labels, goal))
    return journey, labels


def position(site: Site, journey: str) -> int:
    """Return how many events a journey has."""
    return site.inside(site.tower.journeys.live(journey)).state.position


async def binding(site: Site, journey: str, labels: Labels, material: str) -> Command:
    """Carry a journey to where the label of `material` is scanned; return the scan."""
    for _ in range(60):
        live = await site.tower.journeys.live(journey)
        assert live is not None
        task = next(t for t in next_moves(live.net, live.state) if not t.blocked)
        command = next_command(
            live.net, live.state, task, labels, _cast(site, live), datetime.now(UTC)
        )
        if isinstance(command, Answer):
            checks = live.net.protocol.steps[command.activity].checks
            if any(c.id == command.check and c.records == material for c in checks):
                return command
        await submit(site, journey, command)
    raise AssertionError(f"{material} is never labelled")


@pytest.mark.parametrize(
    ("at", "material", "by"),
    [(COLLECT, "apheresis_bag", "din"), (DRAW_UP, "activation_bag", "container")],
)
def test_a_label_that_is_on_another_patients_bag_is_not_bound(
    site: Site, at: tuple[str, str], material: str, by: str
) -> None:
    """Neither where it was collected, nor where it changes containers; the right one is."""
    _, theirs = begun(site, NEXT[at])
    journey, own = begun(site, at)
    assert isinstance(own, Beside)
    own.mistaken(material, theirs.stuck[material, by])
    scan = site.inside(binding(site, journey, own, material))
    before = position(site, journey)
    with pytest.raises(No) as no:
        site.inside(submit(site, journey, scan))
    assert no.value.code == "label-elsewhere"
    assert f"is on {material} of journey" in no.value.reasons[0].what
    assert position(site, journey) == before
    own.mistaken("", "")
    site.inside(walk(site, journey, own, NEXT[at]))


def test_of_two_who_scan_one_label_at_the_same_moment_one_is_told(site: Site) -> None:
    """Whichever journey has it first keeps it; the index of labels has heard of neither yet."""
    label = f"BAG-{random.SystemRandom().randrange(10**9)}"
    scans = []
    for _ in range(2):
        journey, labels = begun(site, DRAW_UP)
        assert isinstance(labels, Beside)
        labels.mistaken("activation_bag", label)
        scans.append((journey, site.inside(binding(site, journey, labels, "activation_bag"))))

    async def both() -> list[object]:
        tries = [submit(site, journey, scan) for journey, scan in scans]
        return await asyncio.gather(*tries, return_exceptions=True)

    told = [one.code if isinstance(one, No) else one for one in site.inside(both())]
    assert sorted(told, key=str) == [None, "label-elsewhere"]


def test_what_the_index_has_not_heard_of_is_read_from_the_record(site: Site) -> None:
    """A label is found that was bound before this process began, where the index stood still."""
    _, theirs = begun(site, NEXT[DRAW_UP])
    elsewhere = site.tower.journeys._elsewhere
    assert elsewhere is not None

    async def as_after_a_restart(stood: int) -> set[str]:
        async with site.tower.exchange.joins.store.pool.connection() as connection:
            query = "UPDATE exchange.cursor SET position = %s WHERE name = %s"
            await connection.execute(query, [stood, CURSOR])
        elsewhere._at = None
        return await elsewhere._journeys(theirs.stuck["activation_bag", "container"])

    assert len(site.inside(as_after_a_restart(0))) == 1
