"""One change of a network at a time: what it changes, what it leaves, what cannot be done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stafett.design.edit import (
    Act,
    AddLane,
    AddSite,
    GiveRole,
    RemoveLane,
    RemoveSite,
    Wrong,
    done,
)
from stafett.design.reading import document, document_of, examined
from stafett.design.routes import own
from stafett.service.own_networks import written

BODO = AddSite("Bodø", "Helse Nord", ["centre"], at=(67.28, 14.4), share=0.2, places={"bed": 3.0})


def sweden() -> dict[str, Any]:
    """Sweden as it is written."""
    return document("sweden").value


def wrong(network: dict[str, Any]) -> list[str]:
    """What is wrong with a network."""
    return [x.what for x in examined(document_of(json.dumps(network), "x.yaml"))[1]]


def test_a_new_centre_takes_its_share_from_all_others() -> None:
    """Sound at once: a new owner, its places, shares that add up; the rest as it was."""
    before = sweden()
    after = done(before, BODO)
    assert before == sweden()
    assert wrong(after) == []
    centre = after["centres"]["bod"]
    assert after["owners"][centre["owner"]] == "Helse Nord"
    assert centre["places"]["bed"]["value"] == 3.0 and centre["places"]["chair"]["value"] == 1.0
    assert sum(c["share"]["value"] for c in after["centres"].values()) == pytest.approx(1, abs=0.01)
    for part in ("work", "lanes", "habits", "roles", "organisations", "results"):
        assert after[part] == before[part]


def test_a_centre_that_goes_leaves_its_patients_to_the_others_and_takes_its_lanes_along() -> None:
    """As if it had never come."""
    there = done(done(sweden(), BODO), AddLane("bod", "manufacturer", 2.0, "air"))
    assert list(there["routes"]) == ["bod_manufacturer"]
    gone = done(there, RemoveSite("bod"))
    assert gone["routes"] == {} and set(gone["centres"]) == set(sweden()["centres"])
    assert wrong(gone) == []


def test_an_organisation_takes_its_roles_from_whoever_had_them() -> None:
    """Who is left without a role is said to be; who goes leaves roles that nobody plays."""
    laboratory = AddSite("Testing Ltd", "industry", ["quality_control"], at=(55.0, 12.0))
    after = done(sweden(), laboratory)
    assert after["roles"]["quality_control"] == "testing_ltd" and wrong(after) == []
    gone = done(after, RemoveSite("testing_ltd"))
    assert wrong(gone) == ["nobody plays the role 'quality_control'"]
    assert wrong(done(gone, GiveRole("quality_control", "manufacturer"))) == []


def test_a_lane_said_again_replaces_the_one_before() -> None:
    """One lane between two sites, of the centre's own."""
    once = done(sweden(), AddLane("umea", "manufacturer", 2.0, "air", 1900.0))
    again = done(once, AddLane("umea", "manufacturer", 1.5))
    assert len(again["routes"]) == 1
    system, problems = examined(document_of(json.dumps(again), "x.yaml"))
    assert problems == []
    assert own(system.network, system.protocol, "TRANSPORT_OUT")["umea"].median.value == 1.5
    assert done(again, RemoveLane("routes", "umea_manufacturer"))["routes"] == {}


def test_a_lane_to_nowhere_may_be_written_and_is_found() -> None:
    """The checks of the file say so; taking the lane of all away is found too."""
    assert wrong(done(sweden(), AddLane("umea", "", 2.0))) == ["the lane umea leads nowhere"]
    assert wrong(done(sweden(), RemoveLane("lanes", "TRANSPORT_OUT"))) == [
        "there is no lane for TRANSPORT_OUT"
    ]


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (AddSite(" ", "industry", ["centre"]), "title"),
        (AddSite("X", "", ["centre"]), "owner"),
        (AddSite("X", "industry", []), "roles"),
        (AddSite("X", "industry", ["centre", "courier"]), "roles"),
        (AddSite("X", "industry", ["centre"], share=1.0), "share"),
        (AddSite("X", "industry", ["centre"], at=(60.0, None)), "at"),
        (RemoveSite("atlantis"), "site"),
        (RemoveLane("routes", "TRANSPORT_OUT"), "lane"),
    ],
)
def test_what_cannot_be_done_says_which_part(act: Act, field: str) -> None:
    """And leaves the network alone."""
    before = sweden()
    with pytest.raises(Wrong) as no:
        done(before, act)  # type: ignore[arg-type]
    assert no.value.field == field and before == sweden()


def test_an_edited_network_written_as_a_file_reads_the_same() -> None:
    """Names with letters of other languages, and every figure."""
    after = done(sweden(), BODO)
    text = written(document_of(json.dumps(after), "x.yaml"))
    assert document_of(text, "x.yaml").value == after
