"""`fit`: a log and the network it came from in, estimated figures with intervals out.

What is estimated: arrivals; why and how fast patients leave; the duration of each step and lane;
dwell at handoffs; results of steps and refusals; for each kind of error its rate and how much is
found here and later. What a log does not show (places, costs, habits, decisions on demand) stays as
the network says. Which habits and effects the rates are relative to is the network's too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, gammaincinv, logit
from scipy.stats import beta

from stafett.design.assumptions import numbers
from stafett.design.calibrate import durations as du
from stafett.design.calibrate import errors as er
from stafett.design.compile import INTERRUPTS, KINDS, Compiled, Writer, compile_system, mixed
from stafett.design.network import Number
from stafett.design.reading import System
from stafett.design.record import record
from stafett.eventlog import EventLog

DAY = 86_400_000_000  # microseconds
WEEK = 7.0
Z = 1.959964
LEAST = 8  # pieces of work that ended, before a duration is estimated
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimated:
    """One figure: where it stands in a network file, its value, 95 % interval, and n behind it."""

    path: tuple[str, ...]
    value: float
    low: float
    high: float
    n: int
    scale: Literal["log", "logit"] = "log"

    @property
    def name(self) -> str:
        """The path in one word."""
        return ".".join(self.path)

    def moved(self, by: float, extra: float = 0.0) -> Estimated:
        """The figure moved by `by` on its scale, its interval widened by a standard error more."""
        to, back = (np.log, np.exp) if self.scale == "log" else (logit, expit)
        mid = float(to(self.value))
        below, above = mid - float(to(max(self.low, 1e-12))), float(to(self.high)) - mid
        return replace(
            self,
            value=float(back(mid + by)),
            low=float(back(mid + by - math.hypot(below, Z * extra))),
            high=float(back(mid + by + math.hypot(above, Z * extra))),
        )


@dataclass(frozen=True)
class Goodness:
    """How well durations fit: distance and its 95 % limit, by family; points for a plot."""

    activity: str
    n: int
    censored: int
    family: du.Family  # with the smaller AIC
    lognormal: float
    weibull: float
    limit: float
    aic_gain: float  # AIC of lognormal minus that of Weibull: above 2, Weibull fits better
    points: list[tuple[float, float]]

    @property
    def fits(self) -> bool:
        """Whether the lognormal that the simulation uses is not refuted."""
        return self.lognormal <= self.limit


@dataclass(frozen=True)
class Fit:
    """Everything estimated from one log."""

    network: str
    source: str
    cases: int
    days: float
    estimates: list[Estimated]
    goodness: list[Goodness]
    notes: list[str] = field(default_factory=list)

    def of(self, *path: str) -> Estimated:
        """The estimate at a path; KeyError if there is none."""
        for e in self.estimates:
            if e.path == path:
                return e
        raise KeyError(".".join(path))


def fit(log: EventLog, system: System, *, correct: bool = True, seed: int = 1) -> Fit:
    """Estimate what `log` shows of `system`.

    `correct`: simulate the answer, fit that in the same way, and take out the difference (bias of
    error, detection and attrition figures, which the estimators read off one path of the journey).
    Raises ValueError when the log and the protocol have no activity in common.
    """
    raw = _Reading(log, system).fit()
    if not correct:
        return raw
    guess = with_estimates(system, raw)
    days = min(3 * raw.days, raw.days * max(1.0, 1500 / max(1, raw.cases)))
    # Without the luck of which centres and teams there are: that would be taken for a bias.
    v = guess.network.variability
    none = {f: msgspec.structs.replace(getattr(v, f), value=0.0, low=None, high=None)
            for f in ("operational", "institutional")}  # fmt: skip
    network = msgspec.structs.replace(
        guess.network, variability=msgspec.structs.replace(v, **none)
    )  # fmt: skip
    guess = System(network, guess.protocol, guess.interfaces)
    again = _Reading(record(compile_system(guess), days, seed + 77_777), guess).fit()
    theirs = {e.path: e for e in again.estimates}
    truth = {path: n.value for path, n in _figures(guess)}
    ratio = raw.days / days
    found = []
    for e in raw.estimates:
        twin = theirs.get(e.path)
        if twin is None or not _corrected(e) or not twin.value > 0 or not e.value > 0:
            found.append(e)
            continue
        to = np.log if e.scale == "log" else logit
        shift = float(to(truth[e.path])) - float(to(twin.value))
        error = float(to(e.high) - to(max(e.low, 1e-12))) / (2 * Z) * math.sqrt(ratio)
        found.append(e.moved(float(np.clip(shift, -1.0, 1.0)), error))
    return replace(raw, estimates=found)


def _corrected(e: Estimated) -> bool:
    return e.path[0] == "interfaces" or (e.path[:1] == ("patients",) and e.path[1] != "per_year")


def _figures(system: System) -> Iterator[tuple[tuple[str, ...], Number]]:
    yield from numbers(system.network)
    for path, n in numbers(system.interfaces):
        yield ("interfaces", *path), n


def with_estimates(system: System, found: Fit) -> System:
    """The system with the estimated values in place (no intervals: for a simulation of them)."""
    from stafett.design.assumptions import with_values

    values = {
        (e.path if e.path[0] == "interfaces" else ("network", *e.path)): e.value
        for e in found.estimates
    }
    return with_values(system, values)


class _Reading:
    """One log read against one system."""

    def __init__(self, log: EventLog, system: System) -> None:
        self.system, self.n, self.p = system, system.network, system.protocol
        self.writer = Writer(system)
        self.c: Compiled = self.writer.write()
        self.log = log
        frame = log.frame
        for name in ("centre", "result", "case:outcome", "left"):
            if name not in frame.columns:
                frame = frame.with_columns(pl.lit(None, pl.String).alias(name))
        self.frame = frame.with_columns(
            pl.col("case", "activity", "kind", "outcome", "deviation", "detected_at", "origin")
            .cast(pl.String)
        ).with_columns(
            ((pl.col("start") - pl.col("enqueue")).dt.total_microseconds() / DAY).alias("dwell"),
            ((pl.col("end") - pl.col("start")).dt.total_microseconds() / DAY).alias("took"),
        )  # fmt: skip
        known = set(self.c.order)
        seen = set(self.frame["activity"].unique())
        strange = sorted(seen - known - set(self.p.steps))
        if not seen or len(strange) > len(seen) / 2:
            raise ValueError(
                f"{len(strange)} of {len(seen)} activities of the log are not in the protocol "
                f"{self.n.protocol!r} ({', '.join(strange[:5])} …): "
                "fit it against a network that runs its protocol"
            )
        times = [self.frame[c].max() for c in ("end", "start", "enqueue")]
        self.last: datetime = max(t for t in times if isinstance(t, datetime))
        first = self.frame["enqueue"].min()
        assert isinstance(first, datetime)
        self.first = first
        self.days = (self.last - first).total_seconds() / 86400
        self.notes: list[str] = []

    def fit(self) -> Fit:
        """Every estimate that the log allows."""
        estimates = [*self._arrivals(), *self._leaving()]
        goodness: list[Goodness] = []
        for name in self.c.order:
            if name in self.p.steps:
                estimates += self._step(name, goodness)
            elif name in self.n.work:
                estimates += self._own_dwell(name, goodness)
            estimates += self._results(name)
        estimates += self._dwell()
        estimates += self._errors()
        cases = self.frame["case"].n_unique()
        return Fit(
            self.system.name, self.log.source, cases, self.days, estimates, goodness, self.notes
        )

    # ---- patients ------------------------------------------------------------------------------

    def _arrivals(self) -> Iterator[Estimated]:
        n = self.frame["case"].n_unique()
        scale = 365.25 / self.days
        yield Estimated(("patients", "per_year"), n * scale, *_poisson(n, scale), n)

    def _leaving(self) -> Iterator[Estimated]:
        """Hazards per week, the patient's frailty integrated out; competing reasons by share."""
        given = [n for n, s in self.p.steps.items() if s.kind == "administer"]
        f = self.frame
        done = f.filter(pl.col("activity").is_in(given) & (pl.col("outcome") == "ok"))
        cases = f.group_by("case").agg(
            pl.col("enqueue").min().alias("begin"),
            pl.max_horizontal("start", "end").max().alias("last"),
            pl.col("case:outcome").drop_nulls().first().alias("ended"),
            pl.col("left").drop_nulls().first(),
            pl.col("outcome").last().alias("word"),
        )
        cases = cases.join(
            done.group_by("case").agg(pl.col("end").min().alias("given")), on="case", how="left"
        )
        weeks, reasons = [], []
        outcomes = {}
        for hazard, interrupt in INTERRUPTS.items():
            entry = self.p.interrupts.get(interrupt)
            if entry:
                outcomes[self.writer.outcome_of(entry.then)] = hazard
        for row in cases.iter_rows(named=True):
            end = row["given"] or (row["last"] if row["ended"] else self.last)
            weeks.append(max((end - row["begin"]).total_seconds() / 86400 / WEEK, 1e-6))
            gone = row["left"] == "yes" or (row["left"] is None and row["word"] == "withdrawn")
            reason = outcomes.get(row["ended"]) if gone and row["given"] is None else None
            reasons.append(reason)
        t = np.array(weeks)
        event = np.array([r is not None for r in reasons])
        total = int(event.sum())
        if total < 3:
            self.notes.append(f"only {total} patients left while waiting: hazards stay as they are")
            return
        h, error = _hazard(t, event, self.n.variability.biological.value)
        for hazard in INTERRUPTS:
            k = reasons.count(hazard)
            if k == 0:
                continue
            share = k / total
            half = Z * math.sqrt(error**2 + (1 - share) / k)
            value = h * share
            low, high = value * math.exp(-half), value * math.exp(half)
            yield Estimated(("patients", hazard), value, low, high, k)

    # ---- durations -----------------------------------------------------------------------------

    def _durations(self, rows: pl.DataFrame, what: str) -> du.Durations:
        """Times of rows: `took` of a step, `dwell` of a handoff; unfinished ones as bounds."""
        days, ended = [], []
        for row in rows.iter_rows(named=True):
            begin = row["start"] if what == "took" else row["enqueue"]
            took = row[what]
            waits = what == "dwell" and row["outcome"] == "open" and not took
            if took is None or waits:
                days.append((self.last - begin).total_seconds() / 86400)
                ended.append(False)
                continue
            stop = row["end"] if what == "took" else row["start"]
            cut = row["left"] == "yes" and row["outcome"] in ("lost", "withdrawn")
            left_here = cut and (what == "took" or row["end"] in (None, stop))
            days.append(took)
            ended.append(not left_here)
        return du.Durations(np.array(days, float), np.array(ended, bool))

    def _step(self, name: str, goodness: list[Goodness]) -> Iterator[Estimated]:
        rows = self.frame.filter((pl.col("activity") == name) & (pl.col("kind") == "step"))
        where = "lanes" if name in self.n.lanes else "work"
        yield from self._work((where, name), self._durations(rows, "took"), goodness)

    def _own_dwell(self, name: str, goodness: list[Goodness]) -> Iterator[Estimated]:
        rows = self.frame.filter((pl.col("activity") == name) & (pl.col("kind") == "handoff"))
        yield from self._work(("work", name), self._durations(rows, "dwell"), goodness)

    def _work(
        self, path: tuple[str, str], times: du.Durations, goodness: list[Goodness]
    ) -> Iterator[Estimated]:
        if times.n < LEAST:
            if len(times.days):
                self.notes.append(f"{path[1]}: {times.n} ended, too few for a distribution")
            return
        if float(np.std(times.days[times.ended])) == 0.0:
            self.notes.append(f"{path[1]}: always the same time, no distribution")
            return
        one, other = du.fit(times), du.fit(times, "weibull")
        better = one if one.aic <= other.aic else other
        goodness.append(
            Goodness(
                path[1], times.n, one.censored, better.family,
                du.distance(times, one), du.distance(times, other),
                du.critical(max(5, times.n), "lognormal"), one.aic - other.aic,
                du.quantiles(times, one),
            )
        )  # fmt: skip
        yield Estimated((*path, "median"), *one.interval(0), times.n)
        yield Estimated((*path, "spread"), *one.spread(), times.n)

    def _dwell(self) -> Iterator[Estimated]:
        """Dwell of all other handoffs: one median within an owner, one factor at a border."""
        parts, crossing, n = [], [], 0
        h = self.n.habits
        for name in self.c.handoffs:
            if name in self.n.work:
                continue
            takes = self.p.handoffs[name].takes
            most = takes.at_most.seconds / 86400 / 2 if takes else math.inf
            if h.dwell_hours.value / 24 * h.crossing.value * 1.5 > most:
                continue  # held down by its limit, not by habit
            rows = self.frame.filter((pl.col("activity") == name) & (pl.col("kind") == "handoff"))
            if rows.is_empty():
                continue
            parts.append(self._durations(rows, "dwell"))
            crossing.append(self._borders(name, rows))
            n += len(rows)
        if not parts:
            self.notes.append("every handoff's dwell is held by a limit or given: not estimated")
            return
        times = du.Durations(
            np.concatenate([d.days for d in parts]), np.concatenate([d.ended for d in parts])
        )
        border = np.concatenate(crossing)
        if times.n < LEAST:
            self.notes.append("too few handoffs for their dwell")
            return
        both = 0.02 < border.mean() < 0.98 and float(border.std()) > 0.05
        if both:
            x = np.column_stack([np.ones(len(border)), border])
            found = du.fit(times, x=x)
        else:
            shifted = times.days / np.exp(math.log(h.crossing.value) * border)
            found = du.fit(du.Durations(shifted, times.ended))
            self.notes.append("all handoffs cross a border, or none: that factor stays as it is")
        value, low, high = (24 * v for v in found.interval(0))
        yield Estimated(("habits", "dwell_hours"), value, low, high, times.n)
        yield Estimated(("habits", "dwell_spread"), *found.spread(), times.n)
        if both:
            yield Estimated(("habits", "crossing"), *found.interval(1), times.n)

    def _borders(self, name: str, rows: pl.DataFrame) -> Floats:
        """Whether each row crossed a border of ownership (a share where the centre is not told)."""
        centres = list(self.n.centres)
        differs = {c: float(self.writer.differs(name, i)) for i, c in enumerate(centres)}
        mean = self.c.crossing[name]
        return np.array([differs.get(c, mean) for c in rows["centre"].to_list()], float)

    # ---- results -------------------------------------------------------------------------------

    def _results(self, name: str) -> Iterator[Estimated]:
        rows = self.frame.filter(
            (pl.col("activity") == name)
            & (pl.col("outcome") != "open")
            & ~((pl.col("left") == "yes").fill_null(False) & (pl.col("outcome") == "lost"))
        )
        n = len(rows)
        if n == 0:
            return
        results = [k.partition("=")[2] for k in self.n.results if k.startswith(f"{name}=")]
        for result in results:
            if name in self.p.handoffs:
                k = len(rows.filter(pl.col("outcome") == "refused"))
            elif rows["result"].null_count() < n:
                k = len(rows.filter(pl.col("result") == result))
            elif len(results) == 1:
                k = len(rows.filter(pl.col("outcome") == "failed"))
            else:
                self.notes.append(f"{name}: the log does not name results, they stay as they are")
                return
            low = float(beta.ppf(0.025, k + 0.5, n - k + 0.5)) if k else 0.0
            high = float(beta.ppf(0.975, k + 0.5, n - k + 0.5))
            yield Estimated(("results", f"{name}={result}"), k / n, low, high, n, "logit")

    # ---- errors --------------------------------------------------------------------------------

    def _errors(self) -> Iterator[Estimated]:
        m, h = self.system.interfaces, self.n.habits
        handoffs = self.c.handoffs
        index = {name: i for i, name in enumerate(handoffs)}
        rows = self.frame.filter((pl.col("kind") == "handoff") & pl.col("activity").is_in(handoffs))
        if rows.is_empty() or rows["deviation"].null_count() == len(rows):
            self.notes.append("no deviation is recorded at any handoff: errors stay as they are")
            return
        strange = m.unfamiliar.value * 0.5 ** (h.pair_cases.value / m.familiar_after.value)
        base = np.zeros(len(handoffs))
        passed = np.zeros((rows["case"].n_unique(), len(handoffs)))
        numbers_ = {c: i for i, c in enumerate(rows["case"].unique().to_list())}
        for (activity,), part in rows.group_by("activity"):
            i = index[str(activity)]
            border = self._borders(str(activity), part)
            base[i] = (1 + strange) * float((1 + border * (h.crossing.value - 1)).sum())
            for case, visits in part.group_by("case").len().iter_rows():
                passed[numbers_[case], i] = visits
        came = np.maximum(passed.sum(axis=0), 1.0)
        reach = np.triu((passed > 0).T.astype(float) @ (passed > 0) / came[:, None])
        np.fill_diagonal(reach, 1.0)
        cases = self.frame["case"].n_unique()
        between = self._between(cases)
        for kind in KINDS:
            k = m.kinds[kind]
            habit = mixed(h.digital.value, k.effect.digital.value)
            habit *= mixed(h.structured.value, k.effect.structured.value)
            found = self._findings(rows, kind, index, base * habit, reach)
            try:
                d = er.fit(found)
            except ValueError as problem:
                self.notes.append(f"errors of {kind}: {problem}, they stay as they are")
                continue
            seen = mixed(h.digital.value, k.digital_finds.value)
            se = np.sqrt(np.maximum(np.diag(d.covariance), 0.0))
            rate, half = d.values[0], Z * math.hypot(float(se[0]), between)
            path = ("interfaces", "kinds", kind)
            yield Estimated(
                (*path, "rate"), rate, rate * math.exp(-half), rate * math.exp(half), d.findings
            )
            for i, which in ((1, "found_here"), (2, "found_later")):
                ends = [float(expit(d.theta[i] + s * Z * se[i])) for s in (0, -1, 1)]
                value, low, high = (min(1 - 1e-6, max(1e-6, 1 - (1 - e) / seen)) for e in ends)
                yield Estimated((*path, which), value, low, high, d.findings, "logit")

    def _between(self, cases: int) -> float:
        """Standard error of a log rate from having seen these centres and weeks and no others."""
        v = self.n.variability
        shares = np.array([c.share.value for c in self.n.centres.values()])
        groups = min(cases, len(shares) * max(1.0, self.days / WEEK))
        site = v.institutional.value**2 * float((shares**2).sum() / shares.sum() ** 2)
        return math.sqrt(site + v.operational.value**2 / groups)

    def _findings(
        self, rows: pl.DataFrame, kind: str, index: dict[str, int], weight: Floats, reach: Floats
    ) -> er.Findings:
        j = len(index)
        known, unknown = np.zeros((j, j)), np.zeros(j)
        here = rows.filter(pl.col("deviation") == kind)
        for at, origin in here.select("detected_at", "origin").iter_rows():
            if at not in index:
                continue
            if origin in index and index[origin] <= index[at]:
                known[index[origin], index[at]] += 1
            else:
                unknown[index[at]] += 1
        late = float(known.sum() - np.trace(known))
        recorded = late / max(1.0, late + float(unknown.sum()))
        return er.Findings(weight, reach, known, unknown, min(max(recorded, 1e-6), 1.0))


def _poisson(n: int, scale: float) -> tuple[float, float]:
    """Exact 95 % interval of a rate from a count."""
    low = float(gammaincinv(n, 0.025)) if n else 0.0
    return low * scale, float(gammaincinv(n + 1, 0.975)) * scale


def _hazard(weeks: Floats, event: NDArray[np.bool_], sigma: float) -> tuple[float, float]:
    """Hazard of a patient of mean frailty, and the standard error of its logarithm.

    Frailty is lognormal with mean 1: S(t) = E exp(-h t Z), by Gauss and Hermite.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    z = np.exp(sigma * nodes - sigma**2 / 2)
    w = weights / weights.sum()

    def negative(log_h: float) -> float:
        still = np.exp(-math.exp(log_h) * np.outer(weeks, z))
        density = still[event] * (math.exp(log_h) * z)
        alive = np.log(np.maximum(still[~event] @ w, 1e-300)).sum()
        return float(-(np.log(np.maximum(density @ w, 1e-300)).sum() + alive))

    start = math.log(event.sum() / weeks.sum())
    best = minimize_scalar(negative, bounds=(start - 2, start + 3), method="bounded").x
    step = 0.01
    curve = (negative(best + step) - 2 * negative(best) + negative(best - step)) / step**2
    return math.exp(best), 1 / math.sqrt(max(curve, 1e-9))
