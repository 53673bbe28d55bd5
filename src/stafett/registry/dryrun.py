"""The dry run of an onboarding: a dummy shipment at each of the site's outer interfaces.

A leg is one side of a handoff between the site and somebody else. It is carried out in the practice
mode of the station, where the same core decides as for a patient, with something wrong or nothing.
The run is carried through when the newest drill of each leg was right. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from stafett.registry.practice import Result

RIGHT = ("recognised", "clean")


class Leg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One side of a handoff, and how its newest drill ended; `verdict` is "" before any.

    No name: who asks sees what the site can do, not who did it.
    """

    activity: str
    side: str
    role: str
    fault: str = ""
    verdict: str = ""
    seconds: float | None = None
    at: datetime | None = None

    @property
    def right(self) -> bool:
        """Whether what was wrong was recognised, or what was right was let through."""
        return self.verdict in RIGHT


def is_of(version: str, asked: str) -> bool:
    """Say whether `version` of a protocol is one that `asked` names: "1" names every 1.x."""
    return version == asked or version.startswith(f"{asked}.")


def run(legs: Iterable[Leg], results: Iterable[Result], since: datetime) -> tuple[Leg, ...]:
    """Return the legs with the newest drill of each since then; what was given up counts not."""
    newest: dict[tuple[str, str], Result] = {}
    for result in sorted(results, key=lambda r: r.at):
        if result.at >= since and result.verdict != "abandoned":
            newest[result.activity, result.side] = result
    return tuple(
        leg
        if (one := newest.get((leg.activity, leg.side))) is None
        else msgspec.structs.replace(
            leg, fault=one.fault, verdict=one.verdict, seconds=one.seconds, at=one.at
        )
        for leg in legs
    )


def left(legs: Iterable[Leg]) -> list[Leg]:
    """Return the legs that are not yet right."""
    return [leg for leg in legs if not leg.right]
