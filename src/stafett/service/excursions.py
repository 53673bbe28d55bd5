"""What an alarm of a shipment becomes in the record: one deviation of its code at a time. Pure.

While one is undecided no other of its code is raised; when a person has decided, only what comes
after counts. The key is the same in every process: the shipment, the code, and which of that code
the record has for this shipment already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from stafett.journey.command import WATCH, Actor, RaiseDeviation
from stafett.journey.deviation import CHECK_FAILED, HOLD_TIME_EXCEEDED, TEMP_EXCURSION, catalogue
from stafett.journey.raised import Raised
from stafett.service.live import Live
from stafett.watch.finding import Finding
from stafett.watch.judgement import Judgement
from stafett.watch.rules import Rules
from stafett.watch.shipment import Shipment

AFTER_THE_END: Final = frozenset({"sustained", "cumulative"})


class Alarm(NamedTuple):
    """A deviation to be raised, and the key that names it in every process."""

    key: str
    command: RaiseDeviation


def alarms(
    live: Live, shipment: Shipment, rules: Rules, made: Judgement, at: datetime
) -> Iterator[Alarm]:
    """Yield what a judgement says that the record does not have yet.

    On the way, what may have been outside for too long waits for the readings that are to come.
    Once it has arrived, unknown blocks: that is raised as if it had been. So is, at once, that a
    file was withdrawn: what it said is no longer known, and a person has to look at why. When the
    journey is over, what is read only then is raised where it is certain: the patient may have it.
    """
    ended = live.state.ended_at is not None
    for code, finding in _by_code(live, shipment, rules, made).items():
        if ended and finding.kind not in AFTER_THE_END:
            continue
        before = raised(live, shipment, code)
        if any(decided_at(one) is None for one in before):
            continue
        if before and code == HOLD_TIME_EXCEEDED:
            continue  # it is spent for good: once is enough
        name = f"{shipment.id}.{code}.{'.'.join(one.deviation for one in before) or 0}"
        by = Actor(person=WATCH, organisation=live.state.owner.organisation, role=WATCH)
        command = RaiseDeviation(
            occurred_at=at, recorded_at=at, by=by, code=code, about=shipment.material,
            note=said(shipment, rules, made, finding),
        )  # fmt: skip
        yield Alarm(f"conditions.{hashlib.sha256(name.encode()).hexdigest()}", command)


def _by_code(live: Live, shipment: Shipment, rules: Rules, made: Judgement) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    known = catalogue(live.net.protocol)
    for finding in made.findings:
        doubted = finding.kind == "withdrawn" or (
            finding.kind == "perhaps" and shipment.until is not None
        )
        if finding.verdict == "alarm" or doubted:
            code = finding.code or codes(rules)[0]
            if finding.kind == "hold-spent":
                code = HOLD_TIME_EXCEEDED
            found.setdefault(code if code in known else CHECK_FAILED, finding)
    return found


# What the record says of a breach of the protocol's other conditions.
_BREACHES: Final = {
    "door": "opened on the way",
    "shock": "a shock of {value} g",
    "side": "tilted by up to {value} degrees",
    "silent": "nothing heard for {minutes} min",
    "gap": "no reading for {minutes} min",
    "unread": "the logger's file was not read within {minutes} min of arrival",
}


def said(shipment: Shipment, rules: Rules, made: Judgement, finding: Finding) -> str:
    """Return an alarm in one sentence, for the record."""
    if finding.kind == "hold-spent":
        return f"{shipment.thing}: the hold time of the shipper was spent {finding.value:.1f} h ago"
    if finding.kind in _BREACHES:
        how = _BREACHES[finding.kind].format(
            value=f"{finding.value:.3g}", minutes=f"{finding.value / 60:.0f}"
        )
        return f"{shipment.thing}: {how}; logger {shipment.logger}"
    if finding.kind == "withdrawn":
        return (
            f"{shipment.thing}: a file of {finding.value:.0f} readings was withdrawn and counts no"
            f" more; logger {shipment.logger}"
        )
    most = f" to {made.exposure.most_s / 60:.0f}" if made.exposure.gaps else ""
    limit = " to ".join(
        f"{value:g}" for value in (rules.limit.low_c, rules.limit.high_c) if value is not None
    )
    if finding.kind == "perhaps":
        return (
            f"{shipment.thing}: seen outside {limit} °C for {made.exposure.least_s / 60:.0f} min,"
            f" perhaps for {finding.value / 60:.0f}: part of the way is not known;"
            f" logger {shipment.logger}"
        )
    how = "at a stretch" if finding.kind == "sustained" else "in all"
    return (
        f"{shipment.thing}: outside {limit} °C for {finding.value / 60:.1f} min {how}"
        f" ({made.exposure.least_s / 60:.0f}{most} min in all), warmest {made.warmest:.1f} °C;"
        f" logger {shipment.logger}"
    )


# -- what the record has already -----------------------------------------------------------------


def codes(rules: Rules) -> tuple[str, ...]:
    """Return the deviation that an excursion of temperature is, and what stands for it."""
    own = [one.deviation for one in rules.conditions if one.of == "temperature"]
    return (*own, TEMP_EXCURSION, CHECK_FAILED)


def raised(live: Live, shipment: Shipment, code: str) -> list[Raised]:
    """Return the deviations of `code` that the record has about this shipment."""
    return [
        one
        for one in live.state.deviations.values()
        if one.code == code
        and one.about == shipment.material
        and one.raised_at >= shipment.since
        and not _of_another(live, shipment, one.note)
    ]


def _of_another(live: Live, shipment: Shipment, note: str) -> bool:
    """Say whether a note (see `said`) begins with another lot, or the lot in another place.

    A deviation is about a material, and of one there may be two lots: what a person decides about
    the first says nothing of the second. What a person raised names none, and is about each.
    """
    thing, colon, _ = note.partition(": ")
    return bool(colon) and thing != shipment.thing and thing.partition(" in ")[0] in live.state.lots


def decided(live: Live, shipment: Shipment, of: tuple[str, ...]) -> float | None:
    """Return when a person last decided on a deviation of one of the codes of this shipment."""
    moments = [
        at.timestamp()
        for code in of
        for one in raised(live, shipment, code)
        if (at := decided_at(one)) is not None
    ]
    return max(moments, default=None)


def decided_each(live: Live, shipment: Shipment, rules: Rules) -> dict[str, float]:
    """Return the same for the deviation of each of the protocol's conditions."""
    return {
        one.deviation: at
        for one in rules.conditions
        if (at := decided(live, shipment, (one.deviation,))) is not None
    }


def decided_at(one: Raised) -> datetime | None:
    """Return when a person decided what becomes of the material, or closed the matter."""
    return one.work.decided_at or one.closed_at
