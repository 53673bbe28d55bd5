"""Run every analysis on a log; what cannot be told is said, and never stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stafett.eventlog import EventLog
from stafett.insight.afterwards import remarks
from stafett.insight.chapters import NAMES
from stafett.insight.conformance import Reference
from stafett.insight.hours import WorkingHours
from stafett.insight.pictures.svg import Figure
from stafett.insight.registered import Trial
from stafett.insight.report.agreement_figures import agreement_figures
from stafett.insight.report.basis import period
from stafett.insight.report.control_figures import control_figures
from stafett.insight.report.feedback_figures import feedback_figures
from stafett.insight.report.interface_figures import interface_figures
from stafett.insight.report.layer_figures import layer_figures
from stafett.insight.report.origin_figures import origin_figures
from stafett.insight.report.process_figures import process_figures
from stafett.insight.report.trial_figures import trial_figures

Chapter = tuple[list[Figure], list[str]]


@dataclass(frozen=True)
class Options:
    """What an analysis may be told beside the log: the protocol's order, hours, a budget.

    `after` says what of the protocol comes after what; `site` is whose page feedback is;
    `everyone` all journeys, of which only aggregates are told; `outcome` is what the layers split.
    """

    reference: Reference | None = None
    hours: WorkingHours = field(default_factory=WorkingHours)
    budget_h: float | None = None
    seed: int = 1
    site: str | None = None
    trials: tuple[Trial, ...] = ()
    everyone: EventLog | None = None
    outcome: str = "dwell"
    after: Mapping[str, Sequence[str]] | None = None


CHAPTERS: dict[str, Callable[[EventLog, Options], Chapter]] = {
    "interfaces": lambda log, o: interface_figures(log, o.hours, o.seed, o.everyone),
    "layers": lambda log, o: layer_figures(log, o.hours, o.outcome, o.seed),
    "origin": lambda log, o: origin_figures(log, o.budget_h, o.seed),
    "process": lambda log, o: process_figures(log, o.reference, o.after),
    "control": lambda log, o: control_figures(log, o.hours),
    "agreement": lambda log, o: agreement_figures(log, o.seed),
    "feedback": lambda log, o: feedback_figures(log, o.hours, o.site, o.seed),
    "trials": lambda log, o: trial_figures(log, o.trials),
}
assert CHAPTERS.keys() == NAMES.keys()
IN_REPORT = ("interfaces", "layers", "origin", "process", "control", "agreement")


@dataclass(frozen=True)
class Report:
    """Chapters of figures in order, with notes under each, and what the log is."""

    source: str
    facts: dict[str, str]
    log_notes: tuple[str, ...]
    chapters: tuple[tuple[str, tuple[Figure, ...], tuple[str, ...]], ...]

    @property
    def figures(self) -> list[Figure]:
        """All figures in order."""
        return [figure for _, figures, _ in self.chapters for figure in figures]

    @property
    def headlines(self) -> list[tuple[str, str]]:
        """The findings for who reads nothing else: the figure's key, and the finding."""
        return [(figure.key, figure.headline) for figure in self.figures if figure.headline]


def make_report(
    log: EventLog,
    *,
    reference: Reference | None = None,
    hours: WorkingHours | None = None,
    budget_h: float | None = None,
    seed: int = 1,
    site: str | None = None,
    outcomes: Sequence[str] = ("dwell",),
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Analyse `log`; `progress` is told the name of each chapter as it begins.

    With a `site` the report ends with that site's own page; the layers split each of `outcomes`.
    """
    options = Options(reference, hours or WorkingHours(), budget_h, seed, site)
    chapters = []
    for key in IN_REPORT if site is None else (*IN_REPORT, "feedback"):
        progress(NAMES[key])
        figures: list[Figure] = []
        notes: list[str] = []
        for outcome in outcomes if key == "layers" else outcomes[:1]:
            more, said = CHAPTERS[key](log, replace(options, outcome=outcome))
            figures += more
            notes += [note for note in said if note not in notes]
        chapters.append((NAMES[key], tuple(figures), tuple(notes)))
    # What may be no work at all bears on every chapter: it is said first, and once.
    later = remarks(log)
    chapters = [
        (name, figures, tuple(note for note in notes if note not in later))
        for name, figures, notes in chapters
    ]
    return Report(log.source, facts(log), (*later, *log.notes), tuple(chapters))


FACTS = ("journeys", "steps", "handoffs", "groups", "period", "time zone")


def facts(log: EventLog) -> dict[str, str]:
    """Return what a log is, in figures: how much of what, from when to when."""
    groups = log.steps["giver"].drop_nulls().n_unique()
    return {
        "journeys": f"{log.cases:,}",
        "steps": f"{log.steps.height:,}",
        "handoffs": f"{log.handoffs.height:,}",
        "groups": f"{groups:,}",
        "period": period(log),
        "time zone": log.zone or "none stated",
    }
