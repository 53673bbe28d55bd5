"""Run every analysis on a log; what cannot be told is said, and never stops the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stafett.eventlog import EventLog
from stafett.insight.conformance import Reference
from stafett.insight.hours import WorkingHours
from stafett.insight.pictures.svg import Figure
from stafett.insight.report.basis import period
from stafett.insight.report.control_figures import control_figures
from stafett.insight.report.interface_figures import interface_figures
from stafett.insight.report.layer_figures import layer_figures
from stafett.insight.report.origin_figures import origin_figures
from stafett.insight.report.process_figures import process_figures

Chapter = tuple[list[Figure], list[str]]


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


def make_report(
    log: EventLog,
    *,
    reference: Reference | None = None,
    hours: WorkingHours | None = None,
    budget_h: float | None = None,
    seed: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Analyse `log`; `progress` is told the name of each chapter as it begins."""
    hours = hours or WorkingHours()
    parts: list[tuple[str, Callable[[], Chapter]]] = [
        ("Interfaces", lambda: interface_figures(log, hours, seed)),
        ("Layers of variability", lambda: layer_figures(log, hours)),
        ("Origin", lambda: origin_figures(log, budget_h, seed)),
        ("Process and protocol", lambda: process_figures(log, reference)),
        ("Control", lambda: control_figures(log, hours)),
    ]
    chapters = []
    for name, part in parts:
        progress(name)
        figures, notes = part()
        chapters.append((name, tuple(figures), tuple(notes)))
    groups = log.steps["giver"].drop_nulls().n_unique()
    facts = {
        "journeys": f"{log.cases:,}",
        "steps": f"{log.steps.height:,}",
        "handoffs": f"{log.handoffs.height:,}",
        "groups": f"{groups:,}",
        "period": period(log),
        "time zone": log.zone or "none stated",
    }
    return Report(log.source, facts, log.notes, tuple(chapters))
