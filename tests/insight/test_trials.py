"""Trials: effects meet a reference, and hold the truth of simulated changes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stafett.eventlog import EventLog, read_log, validated
from stafett.insight.layers.design import NotIdentifiableError
from stafett.insight.trials import Trial, TrialError, interrupted, judge, wedge
from stafett.insight.trials.series import SeriesError
from stafett.service.demo_learning import EFFECT, EXPECTED, INTERFACE, SITES, made_up, start

REFERENCE = Path(__file__).parent / "trials"


@pytest.fixture(scope="module")
def expected() -> dict:  # type: ignore[type-arg]
    """Return what nlme and lme4 gave on the same data (make.R beside it)."""
    return json.loads((REFERENCE / "expected.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["plain", "weighed"])
def test_the_series_meets_nlme(expected: dict, kind: str) -> None:  # type: ignore[type-arg]
    """Coefficients, effect, error and correlation equal those of nlme's gls to 5 digits."""
    data = pl.read_csv(REFERENCE / "series.csv")
    weights = data["w"].to_numpy() if kind == "weighed" else None
    found, want = interrupted(data["y"].to_numpy(), 30, weights=weights), expected[kind]
    assert found.coefficients == pytest.approx(want["coefficients"], rel=1e-5)
    assert found.effect == pytest.approx(want["effect"], rel=1e-5)
    assert found.se == pytest.approx(want["se"], rel=1e-5)
    assert found.correlation == pytest.approx(want["correlation"], rel=1e-4)


def test_the_wedge_meets_lme4(expected: dict) -> None:  # type: ignore[type-arg]
    """The effect, its error and the standard deviations equal lme4's to 4 digits."""
    want, found = expected["wedge"], wedge(pl.read_csv(REFERENCE / "wedge.csv"))
    at = found.fitted.design.x_names.index("changed")
    names = [f.name for f in found.fitted.design.factors]
    assert found.effect == pytest.approx(want["effect"], rel=1e-4)
    assert found.fitted.beta_se[at] == pytest.approx(want["se"], rel=1e-4)
    assert found.fitted.sd[names.index("site")] == pytest.approx(want["site"], rel=1e-4)
    assert found.fitted.sd[names.index("site in period")] == pytest.approx(want["cell"], rel=1e-4)
    assert found.low < found.effect < found.high


def test_the_series_holds_a_simulated_truth() -> None:
    """Of 200 series with autocorrelated errors (0.3) and a true effect, the 95 % interval holds it
    in at least 91 % (seed 1)."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(200):
        error = np.zeros(72)
        for i in range(72):
            error[i] = 0.3 * error[i - 1] * (i > 0) + rng.normal(0, 0.3)
        t = np.arange(72)
        found = interrupted(1 + 0.01 * t - 0.5 * (t >= 40) + error, 40)
        held += found.low <= -0.5 <= found.high
    print(f"seed 1: {held} of 200 intervals hold the truth")
    assert held >= 182


def wedge_rows(
    rng: np.random.Generator, effect: float, sites: int = 6, periods: int = 8, cell: float = 0.1
) -> pl.DataFrame:
    """Return sites that change one after another, with a trend that is no effect."""
    rows = []
    for s in range(sites):
        site = rng.normal(0, 0.5)
        for p in range(periods):
            shift = rng.normal(0, cell)
            for _ in range(6):
                changed = int(p > s)
                value = 0.1 * p + site + shift + effect * changed + rng.normal(0, 0.6)
                rows.append({"site": f"s{s}", "period": f"p{p}", "changed": changed,
                             "outcome": value})  # fmt: skip
    return pl.DataFrame(rows)


@pytest.mark.parametrize(
    ("sites", "periods", "cell", "seed"), [(6, 8, 0.1, 2), (4, 5, 0.3, 3)], ids=["six", "four"]
)
def test_the_wedge_holds_a_simulated_truth(
    sites: int, periods: int, cell: float, seed: int
) -> None:
    """Of 200 wedges the 95 % interval holds the true effect in 184 to 197: neither too narrow, as
    with a normal distribution, nor too wide, as with the sites less two for degrees of freedom."""
    rng = np.random.default_rng(seed)
    found = [wedge(wedge_rows(rng, -0.4, sites, periods, cell)) for _ in range(200)]
    held = sum(w.low <= -0.4 <= w.high for w in found)
    usual = [abs(w.effect + 0.4) / w.fitted.beta_se[w.fitted.design.x_names.index("changed")]
             for w in found]  # fmt: skip
    wide, narrow = (sum(t <= q for t in usual) for q in (stats.t.ppf(0.975, sites - 2), 1.96))
    print(
        f"seed {seed}: {held} of 200 intervals hold the truth; {narrow} with a normal distribution,"
        f" {wide} with {sites - 2} degrees of freedom"
    )
    assert 184 <= held <= 197
    assert wide >= 198, "the simulation could not tell a method that is too wide"
    assert np.mean([w.effect for w in found]) == pytest.approx(-0.4, abs=0.08)


def test_a_wedge_without_variation_within_a_month_is_judged_on_its_months() -> None:
    """Where a site's month is all of one value its rows are one observation: the degrees of freedom
    and the effect are those of one row a month (seed 4)."""
    rows = wedge_rows(np.random.default_rng(4), -0.4, 5, 6)
    months = rows.group_by("site", "period", "changed", maintain_order=True).agg(
        pl.col("outcome").mean()
    )
    once = wedge(months)
    often = wedge(pl.concat([months] * 6))
    assert often.freedom == pytest.approx(once.freedom, rel=0.01)
    assert often.effect == pytest.approx(once.effect, rel=1e-3)
    assert often.se == pytest.approx(once.se, rel=0.01)


def change_log(starts: dict[str, date], effect: float, seed: int = 1) -> EventLog:
    """Return sixty weeks of one interface at several sites; the change multiplies its dwell."""
    rng = np.random.default_rng(seed)
    rows = []
    for s, (name, began) in enumerate(starts.items()):
        for i in range(300):
            at = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=float(rng.uniform(0, 60 * 168)))
            dwell = np.exp(2 + 0.2 * s + rng.normal(0, 0.5))
            if at.date() >= began:
                dwell *= effect
            end = at + timedelta(hours=float(dwell))
            rows.append({"case": f"{name}{i}", "activity": "H08", "kind": "handoff",
                         "giver": f"{name}: cell_laboratory", "receiver": "carrier: courier",
                         "enqueue": at, "start": at, "end": end, "outcome": "ok"})  # fmt: skip
    frame = pl.DataFrame(rows).with_columns(
        pl.col("enqueue", "start", "end").dt.cast_time_unit("us")
    )
    return EventLog(validated(frame)[0], zone="UTC")


def trial(starts: dict[str, date], **more: object) -> Trial:
    """Return a registered trial of a shorter dwell at H08."""
    given = {
        "id": "t", "registered_at": datetime(2026, 1, 1, tzinfo=UTC), "registered_by": "Ada",
        "organisation": "north", "partners": (), "source": "record", "interface": "H08",
        "change": "papers sent before the bag", "outcome": "dwell", "expected": -30.0,
        "starts": starts,
    }  # fmt: skip
    return Trial(**{**given, **more})  # type: ignore[arg-type]


def test_judging_a_log_holds_the_truth_that_was_put_in(tmp_path: Path) -> None:
    """From the CSV to the verdict: of 16 logs with a dwell a quarter shorter the interval holds
    that in at least 14, the mean effect is right, and most find a change (seeds 0 to 15)."""
    monday = datetime(2025, 11, 24, tzinfo=UTC)
    starts = {name: start(monday, n).date() for n, name in enumerate(SITES)}
    registered = trial(starts, interface=INTERFACE, expected=EXPECTED)
    found = []
    for seed in range(16):
        path = tmp_path / "log.csv"
        path.write_bytes(made_up(monday, seed))
        found.append(judge(read_log(path), registered))
    truth = 100 * EFFECT
    held = sum(f.low <= truth <= f.high for f in found)
    sure = sum(f.high < 0 for f in found)
    print(f"seeds 0-15: {held} of 16 intervals hold the truth, {sure} exclude no change")
    assert held >= 14 and sure >= 12
    assert np.mean([f.effect for f in found]) == pytest.approx(truth, abs=3)


def test_one_site_is_judged_as_a_series() -> None:
    """A dwell that falls by 30 % is found, with an interval that holds it (seed 5)."""
    starts = {"north": date(2026, 9, 7)}
    found = judge(change_log(starts, 0.7, 5), trial(starts))
    assert found.low < -30 < found.high < 0
    assert "as expected in direction" in found.verdict(-30)


def test_sites_in_turn_are_judged_as_a_wedge() -> None:
    """Five sites that begin in turn: the fall of 30 % is found (seed 2)."""
    starts = {f"s{i}": date(2026, 3 + 2 * i, 1) for i in range(5)}
    found = judge(change_log(starts, 0.7, 2), trial(starts))
    assert type(found.model).__name__ == "Wedge"
    assert found.low < -30 < found.high < 0


def test_no_change_is_not_made_into_one() -> None:
    """Without an effect the interval holds zero, and the verdict says chance (seed 3)."""
    starts = {"north": date(2026, 9, 7)}
    found = judge(change_log(starts, 1.0, 3), trial(starts))
    assert found.low < 0 < found.high and "chance" in found.verdict(-30)


def test_what_cannot_be_judged_is_said() -> None:
    """Each lack has its sentence."""
    starts = {"north": date(2026, 9, 7)}
    log = change_log(starts, 0.7)
    with pytest.raises(TrialError, match="no finished handoff is called 'H99'"):
        judge(log, trial(starts, interface="H99"))
    with pytest.raises(TrialError, match="south neither gives nor receives"):
        judge(log, trial({"south": date(2026, 9, 7)}))
    with pytest.raises(TrialError, match=r"before and .* after"):
        judge(log, trial({"north": date(2026, 1, 12)}))
    with pytest.raises(SeriesError, match="all values are the same"):
        interrupted([1.0] * 20, 10)
    with pytest.raises(NotIdentifiableError, match="it takes 3"):
        wedge(pl.DataFrame({"site": ["a", "b"], "period": ["1", "1"], "changed": [0, 1],
                            "outcome": [1.0, 2.0]}))  # fmt: skip
    rows = wedge_rows(np.random.default_rng(1), 0).with_columns(changed=pl.lit(1))
    with pytest.raises(NotIdentifiableError, match="in no period were some sites changed"):
        wedge(rows)
    exact = rows.with_columns(changed=(pl.col("period") > "p3").cast(int) * (pl.col("site") > "s2"))
    with pytest.raises(NotIdentifiableError, match="explain every outcome exactly"):
        wedge(exact.with_columns(outcome=pl.col("changed").cast(float)))
    assert not trial({"north": date(2025, 12, 1)}).in_advance and trial(starts).in_advance
