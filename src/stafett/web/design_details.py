"""What the figures of a comparison are made of: interfaces, days, places; for page and report."""

from __future__ import annotations

from stafett.protocol.model import text
from stafett.service.studio import Answer
from stafett.web.design_figures import T, known

PARTS = ("place", "dwell", "repair", "decision", "transport", "work")
Detail = tuple[str, list[tuple[str, str]]]


def details(answer: Answer, t: T, language: str) -> list[Detail]:
    """Tables as a heading with (figure, what it is called); a system without one is left empty."""
    systems = answer.systems.values()
    pools = {p: None for s in systems for p in s.network.pools}
    handoffs = {k: h for s in systems for k, h in s.protocol.handoffs.items()}
    told = {k: None for figures in answer.comparison.figures.values() for k in figures}
    rights = [(k, k.partition("/")[2]) for k in told if k.startswith("right_first_time/")]
    return [
        (
            t("design.interfaces"),
            [(k, f"{name} {text(handoffs[name].title, language)}") for k, name in rights],
        ),
        (t("design.days"), [(f"{part}_days", t(f"design.days.{part}")) for part in PARTS]),
        (t("design.used"), [(f"used/{p}", known(t, f"design.pool.{p}", p)) for p in pools]),
    ]
