"""Uptake by region: what is published of it, and that no other door leads to the exact counts."""

from __future__ import annotations

import uuid
from itertools import product
from typing import Any

from site_ import Site
from stafett.registry.adoption import Uptake
from stafett.registry.disclosure import Shown
from stafett.registry.uptake import lines

REGIONS = ("North", "South", "West", "East")


def entry(region: str, patients: int, period: str = "2025", country: str = "SE") -> Uptake:
    return Uptake(
        id=f"p.{country.lower()}.{region.lower()}.{period.lower()}", product="P", region=region,
        country=country, period=period, patients=patients, population=1_000_000, source="test",
    )  # fmt: skip


def test_four_ones_do_not_tell_themselves_by_their_total() -> None:
    """Four parts "<5" in a total "<5" could only be ones: the total says nothing then."""
    (line,) = lines([entry(region, 1) for region in REGIONS])
    assert line.total == Shown(None, "hidden")
    assert line.parts["North"].why is not None and line.per_million["North"] is None


def test_a_hidden_region_is_not_the_country_less_the_others() -> None:
    """Three in the north beside a shown total: the smallest neighbour is hidden with it."""
    (line,) = lines([entry("North", 3), entry("South", 22), entry("West", 9)])
    assert line.parts["North"].why == "<5" and line.parts["West"].why == "hidden"
    assert line.parts["South"] == Shown(20) and line.total == Shown(35)
    assert line.per_million == {"North": None, "South": 20.0, "West": None}


def test_a_hidden_quarter_is_not_the_year_less_the_others() -> None:
    """One region, a small quarter, a shown year: no quarter follows from the year and the rest."""
    quarters = {"2025-Q1": 3, "2025-Q2": 8, "2025-Q3": 12, "2025-Q4": 20}
    entries = [entry("North", n, period) for period, n in quarters.items()]
    found = {line.period: line.parts["North"] for line in lines([*entries, entry("North", 43)])}
    assert found["2025-Q1"].why == "<5"
    hidden = [p for p in (*quarters, "2025") if found[p].why is not None]
    assert len(hidden) >= 2, "the year or another quarter is hidden too"
    # Halves are sums as well: with both, a quarter is its half less the other one.
    halves = [entry("North", 11, "2025-H1"), entry("North", 32, "2025-H2")]
    found = {line.period: line.parts["North"] for line in lines([*entries, *halves])}
    assert found["2025-Q2"].why == "hidden" or found["2025-H1"].why == "hidden"


def test_two_countries_regions_of_one_name_stay_apart() -> None:
    """North of Sweden and North of Norway are two lines, each with its own total."""
    se, no = entry("North", 10), entry("North", 30, country="NO")
    found = {line.country: line for line in lines([se, no])}
    assert found["SE"].total == Shown(10) and found["NO"].total == Shown(30)


def test_a_period_that_contradicts_its_parts_is_still_shown() -> None:
    """Entries of other sources need not add up; what does not hold computes nothing."""
    entries = [entry("North", 10, "2025-H1"), entry("North", 10, "2025-H2"), entry("North", 50)]
    assert {line.period: line.total for line in lines(entries)}["2025"] == Shown(50)


def test_small_tables_leave_more_than_one_value() -> None:
    """Every table of two regions in two halves and their year: no hidden count has one value."""
    guesses = [_with_sums(guess) for guess in product(range(9), repeat=4)]
    for cells in product((0, 1, 4, 6), repeat=4):
        real = _with_sums(cells)
        entries = [
            entry(region, n, period)
            for (region, period), n in zip(
                product(("North", "South"), ("2025-H1", "2025-H2")), cells, strict=True
            )
        ]
        entries += [entry("North", cells[0] + cells[1]), entry("South", cells[2] + cells[3])]
        shown = lines(entries)
        fits: dict[tuple[str, str], set[int]] = {}
        for table in guesses:
            if all(_fits(table, line.period, line, real) for line in shown):
                for name, n in table.items():
                    fits.setdefault(name, set()).add(n)
        for line in shown:
            for region, told in line.parts.items():
                if told.why is not None:
                    assert len(fits[region, line.period]) > 1, (cells, region, line.period)


def _with_sums(cells: tuple[int, ...]) -> dict[tuple[str, str], int]:
    a, b, c, d = cells
    table = {
        ("North", "2025-H1"): a, ("North", "2025-H2"): b, ("North", "2025"): a + b,
        ("South", "2025-H1"): c, ("South", "2025-H2"): d, ("South", "2025"): c + d,
    }  # fmt: skip
    for period in ("2025-H1", "2025-H2", "2025"):
        table["", period] = table["North", period] + table["South", period]
    return table


def _fits(
    table: dict[tuple[str, str], int], period: str, line: Any, truth: dict[tuple[str, str], int]
) -> bool:
    """Say whether a guess agrees with all that is shown, taken as known exactly."""
    for region, told in (*line.parts.items(), ("", line.total)):
        n = table[region, period]
        if told.why is None and n != truth[region, period]:
            return False
        if told.why == "<5" and not 0 < n < 5:
            return False
        if told.why == "hidden" and n == 0:
            return False
    return True


def test_the_exact_counts_are_the_registrars(site: Site) -> None:
    """An entry's history tells them: refused to everybody else, whoever is signed in."""
    id_ = f"p.north.{uuid.uuid4().hex[:8]}"
    value = {
        "id": id_, "product": f"P {id_}", "region": "North", "country": "SE", "period": "2025",
        "patients": 3, "population": 1_000_000, "source": "test",
    }  # fmt: skip
    path = f"/api/registry/uptake/{id_}"
    body = {"value": value, "reason": "test"}
    assert site.call("administrator", "PUT", path, json=body).status_code == 200
    for login in (None, "treating-clinic-1", "courier-admin"):
        refused = site.call(login, "GET", path)
        assert refused.status_code == 403 and 'patients":' not in refused.text
    read = site.call("administrator", "GET", path).json()
    assert read[-1]["value"]["patients"] == 3
    form = site.call("courier-admin", "GET", f"/registry/keep?kind=uptake&id={id_}")
    assert form.status_code == 200 and value["product"] not in form.text
    public = site.call(None, "GET", "/api/registry/uptake").json()
    (line,) = [one for one in public if one["product"] == value["product"]]
    assert line["parts"]["North"]["value"] is None and line["country"] == "SE"
