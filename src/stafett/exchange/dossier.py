"""The dossier of one journey: what it is made of.

What was corrected is shown with both values, what is not known is said. `dossier_making` arranges
the record of a journey as one of these; `dossier_check` reads one back, years later.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

FORMAT: Final = "stafett-dossier/1"


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable part of the dossier. `at` is as it was stated, with its zone."""


class Party(Frozen, frozen=True, kw_only=True):
    """Who plays a role."""

    role: str
    title: str
    organisation: str
    name: str


class Thing(Frozen, frozen=True, kw_only=True):
    """A material: what it was made of, what is on its labels, what became of it."""

    lot: str
    title: str
    made_in: str
    made_at: datetime
    parents: tuple[str, ...]
    identifiers: dict[str, str]
    ended: str | None
    ended_at: datetime | None


class Held(Frozen, frozen=True, kw_only=True):
    """A stretch of custody (of `lot`) or of accountability (`lot` is None)."""

    lot: str | None
    role: str
    organisation: str
    since: datetime
    until: datetime | None


class Check(Frozen, frozen=True, kw_only=True):
    """One person's answer to one check; `position` is where the record says so."""

    position: int
    at: datetime
    activity: str
    side: str
    round: int
    check: str
    ask: str
    value: str
    unit: str | None
    result: str
    expected: str | None
    critical: bool
    method: str
    person: str
    organisation: str


class Attached(Frozen, frozen=True, kw_only=True):
    """A document by its content address; `here`: its bytes are in the package."""

    position: int
    at: datetime
    activity: str
    document: str
    title: str
    sha256: str
    fields: dict[str, str]
    person: str
    here: bool = False


class Signature(Frozen, frozen=True, kw_only=True):
    """Who signed what, with which meaning, when and how; `digest` is of the act's bytes.

    `over` is the SHA-256 of the event's own bytes, where the person's passkey signed those.
    """

    position: int
    at: datetime
    activity: str
    act: str
    meaning: str
    person: str
    name: str
    organisation: str
    method: str
    digest: str
    over: str = ""


class Passed(Frozen, frozen=True, kw_only=True):
    """What was done: a step finished, a handoff released or settled, a decision taken."""

    position: int
    at: datetime
    activity: str
    title: str
    act: str
    round: int
    result: str
    reason: str
    person: str
    organisation: str


class Deviation(Frozen, frozen=True, kw_only=True):
    """A departure from the protocol, and how far its handling has come."""

    deviation: str
    code: str
    title: str
    kind: str
    severity: str
    about: str
    detected: str | None
    originated: str | None
    note: str
    stage: str
    raised_at: datetime
    closed_at: datetime | None
    conclusion: str | None
    cause: str | None
    why: str
    disposition: str | None
    reason: str
    statements: tuple[str, ...]
    actions: tuple[str, ...]


class Correction(Frozen, frozen=True, kw_only=True):
    """What was recorded wrongly; both values stay readable."""

    position: int
    at: datetime
    of: int
    field: str
    old: str
    new: str
    reason: str
    person: str


class Condition(Frozen, frozen=True, kw_only=True):
    """What the loggers of one shipment say. Temperatures in degrees Celsius; None: not known."""

    lot: str
    logger: str | None
    since: datetime
    until: datetime | None
    verdict: str
    readings: int
    coldest: float | None
    warmest: float | None
    limits: str
    findings: tuple[str, ...]


class Handover(Frozen, frozen=True, kw_only=True):
    """An offer of accountability beside the protocol (decision 0214), and what became of it.

    `answer`: accepted, declined, withdrawn, overtaken (a handoff of the protocol moved it first),
    lapsed (the journey ended), or open.
    """

    position: int
    at: datetime
    offer: str
    giver: str
    to: str
    organisation: str
    reason: str
    person: str
    answer: str
    answered_at: datetime | None
    answered_by: str
    why: str
    signatures: tuple[Signature, ...]


class Dossier(Frozen, frozen=True, kw_only=True):
    """A journey as of its event `version`, as `reader` may see it."""

    format: str
    journey: str
    coi: str
    patient: str
    protocol: str
    version: str
    protocol_sha256: str
    title: str
    product: str | None
    reader: str
    as_of: int
    as_of_at: datetime
    opened_at: datetime
    ended_at: datetime | None
    outcome: str | None
    treated: bool | None
    parties: tuple[Party, ...]
    materials: tuple[Thing, ...]
    custody: tuple[Held, ...]
    accountability: tuple[Held, ...]
    passed: tuple[Passed, ...]
    checks: tuple[Check, ...]
    conditions: tuple[Condition, ...]
    documents: tuple[Attached, ...]
    signatures: tuple[Signature, ...]
    deviations: tuple[Deviation, ...]
    corrections: tuple[Correction, ...]
    events: tuple[dict[str, Any], ...]
    leaves: tuple[str, ...]
    handovers: tuple[Handover, ...] = ()  # a dossier from before decision 0214 has none
