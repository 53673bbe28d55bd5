"""One change of a network at a time: what it changes, what it leaves, what cannot be done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stafett.design.acts import (
    Act,
    AddLane,
    AddSite,
    ChangeLane,
    ChangeSite,
    GiveRole,
    RemoveLane,
    RemoveSite,
)
from stafett.design.edit import NOTE, REPLACED, Wrong, assumed, done
from stafett.design.reading import document, document_of, examined
from stafett.design.routes import own
from stafett.service.own_text import written

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


def test_a_site_is_changed_where_it_stands_and_keeps_its_key() -> None:
    """Name, owner (a new one too) and place; what is not said, and every other part, stays."""
    before = sweden()
    after = done(
        before, ChangeSite("umea", title="  Umeå,  new ", owner="Norrland", at=(63.8, 20.3))
    )
    umea, was = after["centres"]["umea"], before["centres"]["umea"]
    assert (umea["title"], umea["at"]) == ("Umeå, new", [63.8, 20.3])
    assert after["owners"][umea["owner"]] == "Norrland" and list(after["centres"]) == list(
        before["centres"]
    )
    assert (umea["share"], umea["places"]) == (was["share"], was["places"])
    assert wrong(after) == [] and assumed(before, after) == []
    nowhere = done(after, ChangeSite("umea", at=None))
    assert "at" not in nowhere["centres"]["umea"] and wrong(nowhere) == []
    maker = done(before, ChangeSite("manufacturer", title="Plant", owner="industry"))
    assert maker["roles"] == before["roles"] and maker["centres"] == before["centres"]


def test_a_share_that_changes_weighs_the_others_anew() -> None:
    """They add up to 1; each figure that had a source is an assumption now, and is named."""
    before, source = sweden(), next(iter(sweden()["sources"]))
    for key in ("umea", "lund"):
        share = before["centres"][key]["share"]
        before["centres"][key]["share"] = {"value": share["value"], "source": source}
    after = done(before, ChangeSite("umea", share=0.4, places={"bed": 5.0}))
    centres = after["centres"]
    assert centres["umea"]["share"]["value"] == 0.4
    assert sum(c["share"]["value"] for c in centres.values()) == pytest.approx(1)
    assert centres["umea"]["places"]["bed"]["value"] == 5.0 and wrong(after) == []
    assert sorted(assumed(before, after)) == ["centres.lund.share", "centres.umea.share"]
    for key, centre in centres.items():
        low, high = centre["share"]["low"], centre["share"]["high"]
        assert low <= centre["share"]["value"] <= high and centre["share"]["assumption"]
        assert centre["share"]["note"] == (REPLACED if key == "umea" else NOTE)


def test_a_published_time_that_is_changed_is_an_assumption_with_a_range() -> None:
    """It says that a published figure stood there; one that is only said again keeps its source."""
    before = sweden()
    lane = {"value": 1.0, "low": 0.5, "high": 2.0, "source": next(iter(before["sources"]))}
    before["lanes"]["TRANSPORT_OUT"]["median"] = lane
    after = done(before, ChangeLane("lanes", "TRANSPORT_OUT", days=3.0, mode="road"))
    changed = after["lanes"]["TRANSPORT_OUT"]
    assert changed["median"] == {
        "value": 3.0, "low": 1.5, "high": 6.0, "assumption": True, "note": REPLACED,
    }  # fmt: skip
    assert (
        changed["mode"] == "road"
        and changed["spread"] == before["lanes"]["TRANSPORT_OUT"]["spread"]
    )
    assert assumed(before, after) == ["lanes.TRANSPORT_OUT.median"] and wrong(after) == []
    same = done(before, ChangeLane("lanes", "TRANSPORT_OUT", days=1.0))
    assert same == before and assumed(before, same) == []


def test_a_centres_own_lane_is_changed_in_length_and_mode_too() -> None:
    """Or they are taken away; too fast or too short is found as in a file."""
    there = done(sweden(), AddLane("umea", "manufacturer", 2.0, "air", 1900.0))
    after = done(there, ChangeLane("routes", "umea_manufacturer", days=4.0, mode="road", km=2100.0))
    route = after["routes"]["umea_manufacturer"]
    assert (route["median"]["value"], route["mode"], route["km"]) == (4.0, "road", 2100.0)
    assert (route["from"], route["to"]) == ("umea", "manufacturer") and wrong(after) == []
    bare = done(after, ChangeLane("routes", "umea_manufacturer", mode=None, km=None))
    assert not {"mode", "km"} & bare["routes"]["umea_manufacturer"].keys()
    fast = done(after, ChangeLane("routes", "umea_manufacturer", days=0.1))
    assert len(wrong(fast)) == 1 and "cannot be reached by road" in wrong(fast)[0]


def test_the_only_centre_keeps_everybody() -> None:
    """A share that nobody could take over is refused."""
    one = sweden()
    one["centres"] = {"umea": one["centres"]["umea"]}
    with pytest.raises(Wrong, match="treats everybody"):
        done(one, ChangeSite("umea", share=0.5))


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
        (ChangeSite("atlantis", title="X"), "site"),
        (ChangeSite("umea", title=" "), "title"),
        (ChangeSite("umea", owner=""), "owner"),
        (ChangeSite("umea", at=(None, 20.3)), "at"),
        (ChangeSite("umea", share=0.0), "share"),
        (ChangeSite("umea", share=1.0), "share"),
        (ChangeSite("umea", places={"runway": 1.0}), "places"),
        (ChangeSite("manufacturer", share=0.5), "share"),
        (ChangeSite("manufacturer", places={"bed": 2.0}), "places"),
        (ChangeLane("routes", "TRANSPORT_OUT", days=1.0), "lane"),
        (ChangeLane("lanes", "TRANSPORT_OUT", km=900.0), "km"),
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
