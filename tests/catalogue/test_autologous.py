"""The autologous CAR-T protocol against the handoff catalogue."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stafett.journey.script import Fault, play
from stafett.protocol.explore import explore
from stafett.protocol.model import Handoff
from stafett.protocol.net import Net
from stafett.protocol.read import Document

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
# Handoff catalogue, deviation codes.
CODES = {
    "IDENTITY_MISMATCH",
    "BROKEN_SEAL",
    "WRONG_KIT",
    "LABEL_RECONCILIATION_GAP",
    "RELABEL_ERROR",
    "TEMP_EXCURSION",
    "LOGGER_MISSING",
    "HOLD_TIME_EXCEEDED",
    "LATE_DELIVERY",
    "DOC_MISSING",
    "CUSTODY_GAP",
    "SLOT_CONFLICT",
    "OOS_RESULT",
    "PENDING_RESULT",
    "UNQUALIFIED_EQUIPMENT",
    "CONSENT_INVALID",
    "STALE_PROCEDURE",
    "TIMELINE_IMPOSSIBLE",
    "BAG_BREACH",
    "THAW_CLOCK_EXCEEDED",
}
# Collection, the container changes in the suite and the infusion are done by one role.
STEPS = {"H06", "H12", "H22"}


def test_every_row_is_there(autologous: Document) -> None:
    """H01 to H24 are all there; all but the work of one role are two-sided handoffs."""
    protocol = autologous.bind()
    rows: dict[str, list[str]] = {}
    for name, activity in {**protocol.steps, **protocol.handoffs}.items():
        if activity.catalogue:
            rows.setdefault(activity.catalogue, []).append(name)
            assert name.startswith(activity.catalogue)
    assert sorted(rows) == [f"H{n:02}" for n in range(1, 25)]
    for row, names in rows.items():
        two_sided = [n for n in names if isinstance(protocol.handoffs.get(n), Handoff)]
        assert two_sided or row in STEPS, row


def test_the_deviation_catalogue_is_complete(autologous: Document) -> None:
    """Every code of the deviation catalogue can be raised."""
    assert autologous.bind().deviations.keys() >= CODES


def test_five_products(autologous: Document) -> None:
    """The published products are parameters of one protocol, and differ in what they ask for."""
    assert autologous.products == ("kymriah", "yescarta", "tecartus", "breyanzi", "abecma")
    clocks = {p: autologous.bind(p).materials["dose"].shelf_life for p in autologous.products}
    assert str(clocks["kymriah"].at_most) == "30 min"
    assert str(clocks["tecartus"].at_most) == "3 h"
    warmest = {
        p: next(
            c.max for c in autologous.bind(p).handoffs["H18"].accept.checks if c.id == "temperature"
        )
        for p in autologous.products
    }
    assert (warmest["kymriah"], warmest["abecma"], warmest["tecartus"]) == (-120, -130, -150)


def test_accountability_goes_there_and_back(autologous: Document) -> None:
    """The clinic answers, then the manufacturer while the product is made, then the clinic."""
    protocol = autologous.bind()
    moved = [
        (h.giver, h.receiver) for h in protocol.handoffs.values() if h.transfers_accountability
    ]
    assert protocol.owner == "treating_clinic"
    assert moved == [("treating_clinic", "case_management"), ("case_management", "treating_clinic")]


def test_no_lymphodepletion_before_the_product_is_there(autologous: Document) -> None:
    """Conditioning waits for a certified product, verified and in the hospital's own storage."""
    rule = next(r for r in autologous.bind().prerequisites if r.before == "CONDITIONING")
    assert {"H17", "H18", "CERTIFY=release"} <= set(rule.require)
    assert rule.on_site == ("cassette",)
    assert rule.at == "pharmacy"
    assert rule.source == "S83"


def test_bedside_takes_two_people(autologous: Document) -> None:
    """Patient and dose are both scanned by two people before the infusion."""
    checks = {c.identifies: c for c in autologous.bind().steps["H22"].checks if c.kind == "scan"}
    assert checks["dose"].people == 2
    assert checks["patient"].people == 2
    assert all(c.critical and c.when == "before" for c in checks.values())


def test_one_role_does_not_decide_everything(autologous: Document) -> None:
    """Identity is reviewed by the clinic, quarantined material by the Qualified Person."""
    steps = autologous.bind().steps
    assert steps["D_IDENTITY"].role == "treating_clinic"
    assert steps["D_QUARANTINE"].role == steps["D_OOS"].role == "qualified_person"


def test_state_space_is_moderate(autologous: Document) -> None:
    """With every attempt counted, all that can happen is still fewer than 60,000 markings."""
    space = explore(Net(autologous.bind()), exact=True, limit=60_000)
    assert space.complete
    assert len(space.states) > 1_000


FAULTS = {
    "WRONG_LABEL": ("IDENTITY_MISMATCH", "RELABEL_ERROR", "WRONG_KIT"),
    "BROKEN_SEAL": ("BROKEN_SEAL",),
    "DOC_MISSING": ("DOC_MISSING",),
    "TEMP_EXCURSION": ("TEMP_EXCURSION",),
    "OOS_RESULT": ("OOS_RESULT",),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen_and_mended(autologous: Document, fault: str) -> None:
    """What goes wrong on the way raises its deviation, and the journey still reaches its end."""
    story = play(Net(autologous.bind()), START, faults=(Fault(fault),))
    assert story.state is not None
    assert story.net.outcomes[story.state.marking.outcome] == "treated"
    assert {d.code for d in story.state.deviations.values()} & set(FAULTS[fault])
