"""A delivery system as data: what may be written in a network file, as types.

A network says who plays the roles of a protocol, where, with which capacities, times, habits and
costs. Each figure is a `Number`: its value, the range it may lie in, and its source, or the word
that it is an assumption. Times are days unless the name says hours.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stafett.protocol.model import Base, Source


class Number(Base, frozen=True, kw_only=True):
    """A figure with where it comes from: `source` (a key of `sources`) or `assumption: true`.

    `low` and `high` bound what is plausible; an assumption must have them. `interval: true` says
    that they are the 95 % interval of an estimate from data.
    """

    value: float
    low: float | None = None
    high: float | None = None
    source: str | None = None
    assumption: bool = False
    interval: bool = False
    note: str | None = None


class Organisation(Base, frozen=True, kw_only=True):
    """Who does the work, and to whom it belongs: two of one owner share aims and systems."""

    title: str
    owner: str
    at: tuple[float, float] | None = None


class Centre(Base, frozen=True, kw_only=True):
    """A treating hospital: its share of the referrals and its places in each pool per centre.

    `beside_maker`: its own clean room makes the product, so that no road lies between them.
    """

    title: str
    owner: str
    share: Number
    places: dict[str, Number]
    beside_maker: bool = False
    at: tuple[float, float] | None = None


class Work(Base, frozen=True, kw_only=True):
    """How long an activity takes: lognormal with this median (days) and log standard deviation."""

    median: Number
    spread: Number
    working_hours: bool = False


class Lane(Work, frozen=True, kw_only=True):
    """A transport: how long it takes, and by what. Its distance is that of the places it joins.

    `mode`: what most of the way is done by; a lane that is faster than any such journey from the
    farthest centre is refused.
    """

    mode: Literal["road", "air"] | None = None


class Route(Lane, frozen=True, kw_only=True):
    """A lane between one centre and another site, where it differs from that of all (`lanes`).

    `from` and `to` say which transport it is; `km`: of the way as it is travelled, where known: no
    shorter than the great circle, and held against the time.
    """

    from_: str = msgspec.field(name="from")
    to: str
    km: float | None = None


class Pool(Base, frozen=True, kw_only=True):
    """Places that a journey holds from the start of one activity to the end of another.

    `per: centre`: each centre has its own (`Centre.places`); `per: network`: `places` for all.
    `works_from` marks where the place is really worked in, when it is booked earlier: a line that
    is booked ahead is not idle meanwhile, so `places` lines carry proportionally more bookings.
    """

    title: str
    per: Literal["centre", "network"]
    begins: str
    ends: str
    places: Number | None = None
    works_from: str | None = None
    cost_per_place_day: Number | None = None


class Supply(Base, frozen=True, kw_only=True):
    """What must have been delivered before an activity can begin: reagents, vector, kits.

    `on_hand`: days that the stock lasts when no delivery comes.
    """

    title: str
    before: str
    on_hand: Number


class Patients(Base, frozen=True, kw_only=True):
    """Who comes, and what happens to those who wait. Hazards are per week, constant."""

    per_year: Number
    dies: Number
    unfit: Number
    withdraws: Number


class Habits(Base, frozen=True, kw_only=True):
    """How interfaces are worked in this system.

    `digital`, `structured`, `shared_record`: the share of handoffs that check identity
    electronically, follow a structured form, and are written to a record that both sides see.
    `dwell_hours`: median time between release and acceptance within one owner; `crossing`
    multiplies it, and the error rates, where the owners differ. `pair_cases`: cases a year that
    the same giver and receiver handle together (familiarity).
    """

    digital: Number
    structured: Number
    shared_record: Number
    dwell_hours: Number
    dwell_spread: Number
    crossing: Number
    pair_cases: Number


class Variability(Base, frozen=True, kw_only=True):
    """Log standard deviations of the random effects, each explicit in the simulation.

    biological: of the patient on failure of manufacture and on dropping out; operational: of a
    centre's team and week on its errors; institutional: of a centre on its errors.
    """

    biological: Number
    operational: Number
    institutional: Number


class Published(Base, frozen=True, kw_only=True):
    """A published figure that the simulation is held against; the range it must lie in.

    `put_in` marks a figure that is an input as well: agreement then proves little.
    """

    measure: str
    what: str
    value: float
    low: float
    high: float
    source: str
    mark: Literal["A", "A2", "B", "D"]
    put_in: bool = False
    note: str | None = None


class Network(Base, frozen=True, kw_only=True):
    """One delivery system, for one protocol and product.

    `results` gives `ACTIVITY=result` (a handoff: `=refused`) its probability; `results_again` the
    same on a second or later attempt at a product. `routes`: lanes of single centres, by any key.
    `interfaces` lays figures of this system over
    the built-in interface model (written like `interfaces.yaml`).
    """

    stafett_network: Literal[1]
    network: str
    title: str
    summary: str
    protocol: str
    product: str | None = None
    sources: dict[str, Source]
    owners: dict[str, str]
    organisations: dict[str, Organisation]
    centres: dict[str, Centre]
    roles: dict[str, str]
    patients: Patients
    work: dict[str, Work]
    results: dict[str, Number]
    results_again: dict[str, Number] = msgspec.field(default_factory=dict)
    pools: dict[str, Pool]
    lanes: dict[str, Lane]
    routes: dict[str, Route] = msgspec.field(default_factory=dict)
    supplies: dict[str, Supply] = msgspec.field(default_factory=dict)
    habits: Habits
    variability: Variability
    costs: dict[str, Number]
    published: tuple[Published, ...] = ()
    interfaces: dict[str, Any] = msgspec.field(default_factory=dict)


CENTRE = "centre"
"""The organisation that stands for whichever centre treats the patient."""


class Effect(Base, frozen=True, kw_only=True):
    """By what a habit multiplies an error rate where it is in force."""

    digital: Number
    structured: Number


class Consequence(Base, frozen=True, kw_only=True):
    """What follows when an error is found in one phase: probabilities; the rest is clarified.

    rework: the giver must do it again; restart: collect and make again (before collection: book
    again); out_of_spec: supplied or rejected by a decision; lost: no second try.
    """

    rework: Number
    restart: Number
    out_of_spec: Number
    lost: Number


class ErrorKind(Base, frozen=True, kw_only=True):
    """One of the four kinds of error that an interface makes.

    `rate`: per handoff, on paper, within one owner, a familiar pair. `found_here`: probability that
    the receiver sees it; `found_later`: that any one later handoff does; `digital_finds`: by what
    electronic checking multiplies the probability of *missing* it.
    """

    title: str
    rate: Number
    found_here: Number
    found_later: Number
    digital_finds: Number
    effect: Effect
    consequences: dict[str, Consequence]


class Interfaces(Base, frozen=True, kw_only=True):
    """The interface model: what can go wrong at a handoff, who sees it, what follows.

    `phases` orders what a finding costs: before collection, with cells in hand, in manufacture,
    with the product made. `unfamiliar`: by how much rates rise between a pair that never worked
    together; it falls by half with each `familiar_after` cases a year. `workload`: relative rise
    of the odds of an error from an idle to a full centre. `shift`: relative rise of the odds of an
    error in what is handed over at night and at the weekend; `rate` is the mean of the whole week.
    """

    stafett_interfaces: Literal[1]
    title: str
    sources: dict[str, Source]
    kinds: dict[Literal["documentation", "labelling", "timing", "interpretation"], ErrorKind]
    clarify_hours: Number
    rework_days: Number
    unfamiliar: Number
    familiar_after: Number
    workload: Number
    shift: Number


PHASES = ("planning", "collected", "making", "made")
