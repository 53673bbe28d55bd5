"""The protocol language: what may be written, as types.

A protocol describes one delivery chain. Its **activities** are *steps* (a unit operation inside
one role) and *handoffs* (the interface between two roles). `after` gives their order; routes say
what happens when something does not go well; prerequisites state what must hold before something
that cannot be undone. `stafett.protocol.net` gives the meaning: the proof explores it and the
journey runs on it, so that what is proven is what is enforced.

Every figure carries `source` (a key of `sources`) or says `proposal: true`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from stafett.protocol import units
from stafett.protocol.duration import Duration

LANGUAGE = 1
# Characters of a name that is said again in orders, acts, signatures and competences.
LONGEST_NAME = 100

# Plain text, or the same text by language: {en: ..., sv: ..., es: ...}.
Text = str | dict[str, str]
# A code of `stafett.protocol.units`; the proof tells what is none, with what was likely meant.
Unit = Annotated[
    str,
    msgspec.Meta(description="a unit of UCUM", extra_json_schema={"enum": list(units.NAMES)}),
]
# "H07": that activity is done. "D2=release": it ended with that result.
Ref = str

Severity = Literal["minor", "major", "critical"]
Kind = Literal[
    "documentation",
    "labelling",
    "timing",
    "interpretation",
    "condition",
    "identity",
    "custody",
    "capacity",
    "product",
]
Identification = Literal[
    "isbt128-coi", "isbt128-din", "sec", "gs1-sscc", "gs1-gln", "gs1-giai", "gs1-gsrn", "plain"
]


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all parts share: immutable, and no field that the language does not know."""


class Source(Base, frozen=True, kw_only=True):
    """Where a figure or rule was published."""

    title: str
    url: str | None = None


class Role(Base, frozen=True, kw_only=True):
    """A part that an organisation plays: apheresis unit, courier, qualified person."""

    title: Text
    organisation: Literal["hospital", "manufacturer", "courier", "laboratory", "authority"]


class Identifier(Base, frozen=True, kw_only=True):
    """A kind of identifier that is scanned: what it looks like and what it belongs to.

    `of: journey` has one value per journey (the CoI, the patient's wristband), `of: material` one
    per material. `kept: true`: what is made of a material that carries it carries the same (a
    donation number stays with what is made of the donation). `direct: true` marks a direct patient
    identifier: only a salted commitment of it ever reaches the record.
    """

    title: Text
    structure: Identification
    of: Literal["journey", "material"]
    direct: bool = False
    kept: bool = False


class Figure(Base, frozen=True, kw_only=True):
    """A product parameter: the value that `${name}` stands for, and where it is published.

    A name that people read is given in each language, as any title.
    """

    value: Text | float
    source: str | None = None
    proposal: bool = False


class Product(Base, frozen=True, kw_only=True):
    """A real product as parameters of the protocol."""

    title: Text
    parameters: dict[str, Figure] = {}


class Field(Base, frozen=True, kw_only=True):
    """One field of a document: what may stand in it. All are filled in as text.

    `text` is any text; a `time` is ISO 8601 with its zone; a `number` is in `unit`, from `min` to
    `max` where they are given; a `choice` is one of `choices`.
    """

    kind: Literal["text", "time", "number", "choice"] = "text"
    unit: Unit | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()


class Document(Base, frozen=True, kw_only=True):
    """A document that travels, with the fields that must be filled in.

    A list of names means text fields; a mapping says what each field may hold.
    """

    title: Text
    fields: tuple[str, ...] | dict[str, Field] = ()

    @property
    def typed(self) -> dict[str, Field]:
        """The fields by name, each with what it may hold."""
        if isinstance(self.fields, dict):
            return self.fields
        return dict.fromkeys(self.fields, Field())


class Limit(Base, frozen=True, kw_only=True):
    """An upper bound on time, with its source."""

    at_most: Duration
    usual: Duration | None = None
    source: str | None = None
    proposal: bool = False


class ShelfLife(Base, frozen=True, kw_only=True):
    """How long a material may be used, counted from the moment activity `counts_from` is done."""

    at_most: Duration
    counts_from: Ref
    source: str | None = None
    proposal: bool = False


class Condition(Base, frozen=True, kw_only=True):
    """A limit on what the logger with a material tells, and the deviation beyond it.

    `of` a temperature (`min`, `max` in °C), a tilt (`max` in degrees), a shock (`max` in g), a door
    (opened, by a contact or a light sensor) or silence (nothing heard). With a `unit` the bounds
    are in that one. It is passed when it is beyond for `at_most` at a stretch or for `in_all`
    together; with neither, at once.
    """

    of: Literal["temperature", "tilt", "shock", "door", "silence"]
    deviation: str
    unit: Unit | None = None
    min: float | None = None
    max: float | None = None
    at_most: Duration | None = None
    in_all: Duration | None = None
    source: str | None = None
    proposal: bool = False


class Route(Base, frozen=True, kw_only=True):
    """Where the journey goes when something did not go well. Exactly one of the four is set.

    `go`: back to that activity; it and all that depends on it start afresh, their materials are
    discarded. `decide`: an on-demand decision step; the activity that sent the journey there is
    held until it is decided. `end`: a named outcome. `resume`: only in the result of a decision:
    the held activity counts as done and its quarantine is lifted.
    """

    go: str | None = None
    decide: str | None = None
    end: str | None = None
    resume: bool = False


class Material(Base, frozen=True, kw_only=True):
    """Something physical with lineage."""

    title: Text
    container: Literal[
        "bag", "tube", "flask", "cassette", "vial", "shipper", "kit", "syringe", "dish"
    ]
    purpose: Literal["starting", "intermediate", "dose", "sample", "kit", "packaging"]
    identifiers: tuple[str, ...] = ()
    shelf_life: ShelfLife | None = None
    conditions: tuple[Condition, ...] = ()
    on_lost: Route | None = None
    on_expired: Route | None = None


class Choice(Base, frozen=True, kw_only=True):
    """One closed answer: what it means for the check, and the deviation it raises, if any.

    A `pass` that names a deviation relies on it: the answer is taken only where such a deviation of
    the product was decided to be supplied out of specification; where one was, no other pass is.
    """

    title: Text
    means: Literal["pass", "fail", "unknown"]
    deviation: str | None = None


class Check(Base, frozen=True, kw_only=True):
    """One closed question.

    `scan`: with `identifies` the scanned value must equal what the record knows of that material
    (or of `patient`) under identifier `by`; with `records` a new label is bound to it. `choice`:
    one of `choices`. `quantity`: a number in `unit` within [`min`, `max`]. `time`: a moment with
    its zone. A failing `critical` check stops the journey; a failing other check raises its
    deviation. `people: 2` asks a second person to make the same check independently. In a step,
    `when` says whether it comes before the work or after it.
    """

    id: str
    ask: Text
    kind: Literal["scan", "choice", "quantity", "time"]
    identifies: str | None = None
    records: str | None = None
    by: str | None = None
    choices: dict[str, Choice] = {}
    unit: Unit | None = None
    min: float | None = None
    max: float | None = None
    critical: bool = False
    deviation: str | None = None
    people: int = 1
    when: Literal["before", "after"] = "before"
    source: str | None = None
    proposal: bool = False


class Sign(Base, frozen=True, kw_only=True):
    """An electronic signature: its meaning, and by how many different people."""

    meaning: Text
    people: int = 1


class Rung(Base, frozen=True, kw_only=True):
    """One rung of an escalation ladder: who is told when nothing has happened for `after`.

    `tell` is a role, or `owner` for whoever is the accountable owner at that moment.
    """

    tell: str
    after: Duration
    source: str | None = None
    proposal: bool = False


class Deadline(Base, frozen=True, kw_only=True):
    """The activity must be done within `at_most` of the moment `since` was done."""

    since: Ref
    at_most: Duration
    deviation: str | None = None
    source: str | None = None
    proposal: bool = False


class Result(Base, frozen=True, kw_only=True):
    """A named way for a step to end. Without `then` the journey goes on."""

    title: Text
    then: Route | None = None
    deviation: str | None = None


class Step(Base, frozen=True, kw_only=True):
    """A unit operation inside one role.

    `inputs` are held by the role and not quarantined; `consumes` (some of the inputs) cease to
    exist; `outputs` begin to exist, in the role's custody, with the inputs as parents. `packs` puts
    materials into a container material (inner -> outer), `unpacks` takes them out again. A step
    with no `results` ends one way, `done`. `on_demand` steps are decisions that routes lead to.
    """

    title: Text
    role: str
    kind: Literal[
        "plan",
        "consent",
        "prepare",
        "collect",
        "process",
        "manufacture",
        "test",
        "certify",
        "pack",
        "unpack",
        "transport",
        "store",
        "conditioning",
        "thaw",
        "administer",
        "follow-up",
        "record",
        "decision",
    ]
    after: tuple[Ref, ...] = ()
    on_demand: bool = False
    inputs: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    packs: dict[str, str] = {}
    unpacks: dict[str, str] = {}
    checks: tuple[Check, ...] = ()
    documents: tuple[str, ...] = ()
    sign: Sign | None = None
    results: dict[str, Result] = {}
    on_stop: Route | None = None
    takes: Limit | None = None
    deadlines: tuple[Deadline, ...] = ()
    escalation: tuple[Rung, ...] = ()
    attempts: int | None = None
    exhausted: Route | None = None
    catalogue: str | None = None


class Side(Base, frozen=True, kw_only=True):
    """One side of a handoff: its checks and the signature that closes it."""

    checks: tuple[Check, ...] = ()
    sign: Sign


class Handoff(Base, frozen=True, kw_only=True):
    """The interface between two roles: released by the giver, then decided by the receiver.

    `carries` are the materials whose custody moves at acceptance (with all that is packed in
    them); none means information only. `becomes` is a change of container or label at the handoff
    (old -> new; the old one ceases to exist). `on_demand` handoffs are notifications that any role
    may send at any time (`giver`/`receiver` then may be `any` or `owner`).
    """

    title: Text
    giver: str
    receiver: str
    object: Text
    after: tuple[Ref, ...] = ()
    on_demand: bool = False
    carries: tuple[str, ...] = ()
    becomes: dict[str, str] = {}
    documents: tuple[str, ...] = ()
    release: Side
    accept: Side
    on_stop: Route | None = None
    on_quarantine: Route | None = None
    on_refuse: Route | None = None
    transfers_accountability: bool = False
    takes: Limit | None = None
    deadlines: tuple[Deadline, ...] = ()
    escalation: tuple[Rung, ...] = ()
    attempts: int | None = None
    exhausted: Route | None = None
    catalogue: str | None = None


class Prerequisite(Base, frozen=True, kw_only=True):
    """What must hold whenever activity `before` begins: a property that is proven, and enforced.

    `require` are refs; `on_site` are materials that must be live (not quarantined, expired or
    gone) and in the custody of the role `at`.
    """

    before: str
    require: tuple[Ref, ...] = ()
    on_site: tuple[str, ...] = ()
    at: str | None = None
    why: Text
    source: str | None = None
    proposal: bool = False


class Interrupt(Base, frozen=True, kw_only=True):
    """Something that can happen at any time until activity `until` is done (default: the end)."""

    title: Text
    then: Route
    until: Ref | None = None


class Deviation(Base, frozen=True, kw_only=True):
    """An entry of the deviation catalogue.

    `closed_by` are the roles that may close it; without them it is the roles at the interface where
    it was seen or began, the accountable owner, and quality.
    """

    title: Text
    kind: Kind
    severity: Severity
    closed_by: tuple[str, ...] = ()
    source: str | None = None
    proposal: bool = False


class Outcome(Base, frozen=True, kw_only=True):
    """A named end. `owner` answers for it; `materials` says what becomes of what still exists."""

    title: Text
    owner: str
    materials: Literal["none-left", "custodian-destroys", "custodian-retains"]
    treated: bool = False


class Protocol(Base, frozen=True, kw_only=True):
    """One delivery chain, with the parameters of one product filled in.

    `scans` says how old the scan of a wristband or a bag may be when a side is signed.
    """

    stafett: Literal[1]
    protocol: str
    version: str
    title: Text
    summary: Text | None = None
    family: Literal["autologous", "allogeneic", "in-vivo", "tissue-engineered", "onboarding"]
    owner: str
    scans: Limit | None = None
    sources: dict[str, Source] = {}
    roles: dict[str, Role]
    identifiers: dict[str, Identifier]
    products: dict[str, Product] = {}
    documents: dict[str, Document] = {}
    deviations: dict[str, Deviation]
    materials: dict[str, Material]
    steps: dict[str, Step]
    handoffs: dict[str, Handoff]
    prerequisites: tuple[Prerequisite, ...] = ()
    interrupts: dict[str, Interrupt]
    outcomes: dict[str, Outcome]


def text(value: Text, language: str = "en") -> str:
    """Return `value` in `language`, else in English, else in the first language there is."""
    if isinstance(value, str):
        return value
    return value.get(language) or value.get("en") or next(iter(value.values()), "")
