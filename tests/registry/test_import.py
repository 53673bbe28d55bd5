"""Exports of ClinicalTrials.gov and CTIS become trials; a broken row is named."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from register_exports import ctis_item, study
from stafett.registry.importing import read
from stafett.registry.rows import NotALayout


def rows(*items: Any) -> bytes:
    """Return a list as a file."""
    return json.dumps(list(items)).encode()


def test_a_study_of_clinicaltrials_gov_keeps_what_the_list_shows() -> None:
    """Identifier, status, phases, ages in years, sites with their place and the other numbers."""
    found = read(json.dumps({"studies": [study()]}).encode())
    assert found.layout == "ClinicalTrials.gov JSON" and found.problems == ()
    trial = found.trials[0]
    assert (trial.id, trial.status, trial.phases) == ("NCT04184050", "recruiting", ("1", "2"))
    assert (trial.minimum_age, trial.maximum_age, trial.kind) == (18.0, 75.0, "car-t")
    assert trial.sites[0].city == "Uppsala" and trial.sites[0].latitude == 59.86
    assert trial.starts == "2024-05" and trial.also == ("2019-001234-10",)


def test_ages_in_months_and_days_become_years() -> None:
    """Six months are half a year; a limit that is not given is none."""
    young = study(eligibilityModule={"minimumAge": "6 Months", "maximumAge": "N/A"})
    trial = read(rows(young)).trials[0]
    assert trial.minimum_age == 0.5 and trial.maximum_age is None


def test_a_result_of_ctis_keeps_the_status_of_each_country() -> None:
    """One trial recruits in Sweden while recruitment has ended in Spain."""
    trial = read(json.dumps({"data": [ctis_item()]}).encode()).trials[0]
    assert trial.status == "recruiting" and trial.phases == ("1", "2")
    assert [(s.country, s.status) for s in trial.sites] == [
        ("Sweden", "recruiting"),
        ("Spain", "active"),
    ]
    assert (trial.minimum_age, trial.maximum_age, trial.sex) == (18.0, None, "all")
    assert trial.starts == "2025-03-25" and trial.updated == "2026-09-01"


def test_the_downloads_as_csv_say_the_same_as_the_json() -> None:
    """A line of each register's CSV gives the trial that its JSON gives, as far as it goes."""
    line = {
        "NCT Number": "NCT04184050",
        "Study Title": "CAR-T Cells in Relapsed Lymphoma",
        "Study URL": "https://clinicaltrials.gov/study/NCT04184050",
        "Study Status": "RECRUITING",
        "Conditions": "Lymphoma, B-Cell|DLBCL",
        "Interventions": "BIOLOGICAL: CD19 CAR-T",
        "Sponsor": "Uppsala University",
        "Sex": "ALL",
        "Age": "ADULT, OLDER_ADULT",
        "Phases": "PHASE1|PHASE2",
        "Start Date": "2024-05",
        "Locations": "Akademiska sjukhuset, Uppsala, 75185, Sweden",
    }
    one, other = read(as_csv(line)).trials[0], read(rows(study())).trials[0]
    for field in ("id", "title", "status", "phases", "indications", "products", "kind", "url"):
        assert getattr(one, field) == getattr(other, field), field
    assert one.sites[0].country == "Sweden" and one.sites[0].city == "Uppsala"
    item = ctis_item()
    line = {
        "Trial number": item["ctNumber"],
        "Overall trial status": "Ongoing, recruiting",
        "Title of the trial": item["ctTitle"],
        "Medical conditions": item["conditions"],
        "Location(s) and recruitment status": "Sweden:Ongoing, recruiting, Spain:"
        "Ongoing, recruitment ended",
        "Trial phase": item["trialPhase"],
        "Age group": item["ageGroup"],
        "Gender": item["gender"],
        "Sponsor/Co-Sponsors": item["sponsor"],
        "Product": item["product"],
        "Start date": item["startDateEU"],
        "Last updated": "01/09/2026",
    }
    assert read(as_csv(line)).trials[0] == read(rows(item)).trials[0]


def as_csv(*lines: dict[str, str]) -> bytes:
    """Return lines as a CSV with a byte order mark, as the registers write it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


BROKEN = {
    "wrong identifier": (study("NCT1"), "id"),
    "unknown status": (study(statusModule={"overallStatus": "PERHAPS"}), "status"),
    "unknown phase": (study(designModule={"phases": ["PHASE9"]}), "phases"),
    "age in parsecs": (study(eligibilityModule={"minimumAge": "18 parsecs"}), "minimumAge"),
    "no condition": (study(conditionsModule={"conditions": []}), "row"),
    "a date of no calendar": (
        study(statusModule={"startDateStruct": {"date": "2024-13"}}),
        "starts",
    ),
    "ages the wrong way round": (
        study(eligibilityModule={"minimumAge": "70 Years", "maximumAge": "60 Years"}),
        "row",
    ),
    "a place off the globe": (
        study(
            contactsLocationsModule={
                "locations": [{"facility": "x", "country": "y", "geoPoint": {"lat": 91, "lon": 0}}]
            }
        ),
        "sites.0.latitude",
    ),
    "not an object": ("text", "row"),
    "a module that is a list": ({"protocolSection": {"statusModule": []}}, "statusModule"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_row_is_named_and_the_others_are_read(name: str) -> None:
    """The problem says which row, which trial and which field; the good rows around it stand."""
    bad, field = BROKEN[name]
    found = read(rows(study("NCT00000001"), bad, study("NCT00000003")))
    assert [t.id for t in found.trials] == ["NCT00000001", "NCT00000003"]
    assert [(p.row, p.field) for p in found.problems] == [(2, field)]
    assert found.problems[0].what


def test_a_trial_that_stands_twice_differently_is_a_broken_row() -> None:
    """The same trial twice is one trial; with other content the second is refused."""
    twice = read(rows(study(), study()))
    assert len(twice.trials) == 1 and not twice.problems
    other = study(statusModule={"overallStatus": "COMPLETED"})
    found = read(rows(study(), other))
    assert found.trials[0].status == "recruiting" and found.problems[0].row == 2


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"a,b\n1,2\n", b"\xff\xfe", b"[[[", b"[1]"])
def test_a_file_of_no_known_layout_says_which_are_known(data: bytes) -> None:
    """Nothing is guessed: the message names the layouts, or what is wrong with the bytes."""
    with pytest.raises(NotALayout, match=r"JSON|UTF-8|layout"):
        read(data)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                    lambda c: st.lists(c, max_size=3) | st.dictionaries(
                        st.sampled_from(["protocolSection", "statusModule", "studies", "ctNumber",
                                         "identificationModule", "locations", "id"]), c,
                        max_size=3), max_leaves=12))  # fmt: skip
def test_no_json_breaks_the_reader(value: Any) -> None:
    """Whatever the file holds, it is read, its rows are refused, or it is no layout."""
    try:
        found = read(json.dumps([{"protocolSection": value}, value]).encode())
    except NotALayout:
        return
    assert len(found.trials) + len(found.problems) <= 2
