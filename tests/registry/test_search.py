"""The list is found by words and filters, and the index agrees with looking at every trial."""

from __future__ import annotations

from datetime import date
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.registry import feed
from stafett.registry.map import Dot, draw
from stafett.registry.match import Facts, could_join
from stafett.registry.search import Filter, Index, fits, plain, words
from stafett.registry.site import current, expires_soon
from stafett.registry.trial import Trial, TrialSite, kind_of
from stafett.service.demo_registry import trials

LIST = trials(200)
INDEX = Index(LIST)


@given(
    st.lists(st.sampled_from(["car", "lymph", "umeå", "umea", "MYELOMA", "demo", "xyz", "cd19"])),
    st.sampled_from([None, "1", "2", "3"]),
    st.sampled_from(["all", "open", "closed"]),
    st.sampled_from([None, "Sweden", "Spain"]),
)
def test_the_index_finds_what_a_look_at_every_trial_finds(
    asked: list[str], phase: str | None, status: str, country: str | None
) -> None:
    """Words match from their beginning, whatever their case and accents; every filter must hold."""
    wanted = Filter(q=" ".join(asked), phase=phase, status=status, country=country)  # type: ignore[arg-type]
    naive = {
        t.id
        for t in LIST
        if fits(t, wanted) and all(any(w.startswith(plain(a)) for w in words(t)) for a in asked)
    }
    assert {t.id for t in INDEX.all(wanted)} == naive
    page = INDEX.find(wanted)
    assert page.total == len(naive) and len(page.trials) == min(50, len(naive))


def test_pages_cover_the_list_once() -> None:
    """Every trial is on exactly one page, and a page beyond the last is the last."""
    seen = [t.id for n in range(1, 5) for t in INDEX.find(Filter(page=n)).trials]
    assert sorted(seen) == sorted(t.id for t in LIST)
    assert INDEX.find(Filter(page=99)).page == 4


TRIAL = Trial(
    id="TEST-1", title="t", sponsor="s", status="recruiting", indications=("B-cell lymphoma",),
    minimum_age=18, maximum_age=65, sex="female", sites=(TrialSite(name="x", country="Sweden"),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "could"),
    [
        (Facts(), True),
        (Facts(age=18), True),
        (Facts(age=17.9), False),
        (Facts(age=65.9), True),
        (Facts(age=66), False),
        (Facts(sex="male"), False),
        (Facts(sex="female"), True),
        (Facts(indication="lymphoma"), True),
        (Facts(indication="lymphoma B-CELL"), True),
        (Facts(indication="myeloma"), False),
        (Facts(countries=("sweden",)), True),
        (Facts(countries=("Spain",)), False),
    ],
)
def test_what_is_not_said_excludes_nothing(facts: Facts, could: bool) -> None:
    """A trial is left out only for a fact that speaks against it."""
    assert could_join(TRIAL, facts) is could


def test_the_kind_of_therapy_is_told_from_names() -> None:
    """An INN in -leucel is a CAR-T; what nothing tells stays unclassified."""
    assert kind_of("axicabtagene ciloleucel") == "car-t"
    assert kind_of("onasemnogene abeparvovec") == "gene"
    assert kind_of("Autologous keratinocyte sheet") == "tissue"
    assert kind_of("aspirin") == "unclassified"


def test_a_feed_is_well_formed_whatever_a_title_holds() -> None:
    """Markup and control characters in a title do not break the feed; the newest stands first."""
    from datetime import UTC, datetime

    entries = [
        feed.Entry(f"urn:x:{n}", f"<b>&\x01 {n}", "https://x", datetime(2026, 1, n, tzinfo=UTC), "")
        for n in (1, 2)
    ]
    root = ET.fromstring(feed.atom("t", "https://x/feed", entries))
    titles = [e.text for e in root.iter("{http://www.w3.org/2005/Atom}title")]
    assert titles == ["t", "<b>& 2", "<b>& 1"]


def test_the_map_puts_every_dot_inside_its_picture() -> None:
    """Each place is drawn with its name and count; names are escaped."""
    picture = draw([Dot(59.3, 18.0, "Stockholm", 12), Dot(63.8, 20.3, "<Umeå>", 1)], "Map")
    root = ET.fromstring(picture)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    svg = "{http://www.w3.org/2000/svg}"
    for circle in root.iter(f"{svg}circle"):
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height
    assert {"12", "1", "Stockholm", "<Umeå>"} <= {t.text for t in root.iter(f"{svg}text")}
    assert sum(1 for _ in root.iter(f"{svg}path")) >= 3


def test_a_standing_holds_through_its_last_day() -> None:
    """It has expired on the day after, and ends soon for the ninety days before."""
    today = date(2026, 11, 25)
    assert current("2026-11-25", today) and not current("2026-11-24", today)
    assert expires_soon("2027-02-23", today) and not expires_soon("2027-02-24", today)
