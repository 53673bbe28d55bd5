"""PDF reports of the contract workbench, the capital map and a settlement, with what is assumed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from stafett.design.capital.map import Spot
from stafett.design.capital.reading import load as load_capital
from stafett.design.estimate import Estimate
from stafett.design.incentives.reading import assumptions
from stafett.design.network import Number
from stafett.protocol.model import Source
from stafett.service.design_report import _head, _table, _words
from stafett.service.incentives import Workbench
from stafett.service.incentives_words import called, price
from stafett.service.pictures.bars import gap_bars
from stafett.service.pictures.planes import capital_map
from stafett.service.settlement import BETA, COST, LOST, POOL, Settlement, Settling


class Words(Protocol):
    """How the reports say things: in one language, its numbers included."""

    @property
    def language(self) -> str:
        """The language's code."""

    def t(self, key: str, **values: object) -> str:
        """A message."""

    def system(self, name: str) -> str:
        """A short name of a network."""

    def catalogue(self, text: str) -> str:
        """A text of the built-in catalogue; any other as it is."""

    def figure(self, e: Estimate | None, digits: int) -> str:
        """A figure with its interval."""

    def written(self, value: float, form: str) -> str:
        """A number in a Python format, as the language writes it."""


def contracts_report(bench: Workbench, say: Words) -> bytes:
    """The workbench as PDF bytes."""
    return _compiled(contracts_source(bench, say))


def map_report(
    found: Sequence[Spot], say: Words, contract: str, public: float, shared: float
) -> bytes:
    """The capital map as PDF bytes."""
    return _compiled(map_source(found, say, contract, public, shared))


def settlement_report(found: Settlement, wish: Settling, organisation: str, say: Words) -> bytes:
    """An organisation's statement as PDF bytes, with what is assumed."""
    return _compiled(settlement_source(found, wish, organisation, say))


def contracts_source(bench: Workbench, say: Words) -> str:
    """The workbench as a typst document."""
    t = say.t
    actors = {a.name: t(f"incentives.actor.{a.name}") for a in bench.table.game.actors}
    named = {n: t(f"incentives.contract.{n}") for n in bench.findings}

    def beware(what: str, values: Mapping[str, str]) -> str:
        told = {k: actors.get(v, v) for k, v in values.items()}
        return t(f"incentives.beware.{what}", **told)

    rows = [
        [named[n], say.written(f.state.success, ".1%"), say.written(f.state.welfare, ".1f"),
         say.written(f.state.fragmentation, ".0%"), str(len(f.states)),
         "; ".join(beware(w.what, w.values) for w in f.warnings)]
        for n, f in bench.findings.items()
    ]  # fmt: skip
    heads = ("contract", "success", "worth", "left", "equilibria", "pdf.beware")
    best, nothing = (say.written(x, ".1f") for x in (bench.ends.welfare, bench.ends.nothing))
    gap = t("incentives.gap.what", best=best, nothing=nothing)
    picture = gap_bars(
        list(bench.findings.values()), title=t("incentives.gap"), unit=t("incentives.svg.gap"),
        names=named, none=t("incentives.svg.none"),
    )  # fmt: skip
    gains = [
        [named[n], *[say.written(f.state.gains[a], ".1f") for a in actors]]
        for n, f in bench.findings.items()
    ]
    return "".join((
        _begin(t("incentives.contracts"), say),
        _words(f"{t('incentives.contracts.what')} {gap} {_limits(say)}"),
        "\n\n",
        _table([t(f"incentives.{h}") for h in heads], rows),
        _picture(picture),
        _head(2, t("incentives.pdf.has")),
        _table([t("incentives.contract"), *actors.values()], gains),
        _assumed(
            say, ((called(path, t), n) for path, n in assumptions(bench.table.spec)),
            bench.table.spec.sources,
        ),
    ))  # fmt: skip


def map_source(
    found: Sequence[Spot], say: Words, contract: str, public: float, shared: float
) -> str:
    """The capital map as a typst document."""
    t, catalogue = say.t, load_capital()
    names = {s.category: t(f"incentives.investment.{s.category}") for s in found}
    title = t(f"incentives.contract.{contract}")
    picture = capital_map(
        found, title=title, names={**names, **{s.system: say.system(s.system) for s in found}},
        captured=t("incentives.svg.captured"), patients=t("incentives.svg.patients"),
    )  # fmt: skip
    basis = t(
        "incentives.pdf.basis", contract=title, public=say.written(public, ".0%"),
        shared=say.written(shared, ".0%"),
    )  # fmt: skip
    rows = [
        [say.system(s.system), names[s.category], say.figure(s.criticality, 2),
         say.figure(s.fundability, 2)]
        for s in found
    ]  # fmt: skip
    heads = ("system", "category", "criticality", "fundability")
    figures: list[tuple[str, Number]] = [
        *((price(k, t), c.price) for k, c in catalogue.categories.items()),
        *(
            (f"{say.catalogue(p.title)}, {say.catalogue(p.unit)}", p.figure)
            for p in catalogue.published.values()
        ),
        *((t(f"incentives.split.{k}"), n) for k, n in catalogue.split.items()),
    ]
    return "".join((
        _begin(t("incentives.capital"), say), _words(f"{basis} {_limits(say)}"), "\n\n",
        _picture(picture), _table([t(f"incentives.{h}") for h in heads], rows),
        _assumed(say, figures, catalogue.sources),
    ))  # fmt: skip


def settlement_source(found: Settlement, wish: Settling, organisation: str, say: Words) -> str:
    """An organisation's statement as a typst document."""
    assert found.statement is not None and found.counted is not None
    t, c = say.t, found.counted
    counted = t("incentives.counted", journeys=c.journeys, successes=c.successes, open=c.open,
                unrecorded=c.unrecorded)  # fmt: skip
    basis = t(
        "incentives.pdf.settled", organisation=organisation, position=wish.position,
        form=t(f"incentives.form.{wish.form}"), rate=say.written(wish.rate, ".0%"),
        value=say.written(wish.value, "g"),
    )  # fmt: skip
    faces = [
        [x.name, str(x.reached), str(x.failed), say.written(x.journeys_lost, ".2f"),
         say.written(found.targets[x.name], ".1%") if x.name in found.targets else ""]
        for x in found.interfaces
    ]  # fmt: skip
    lines = [
        [_line(x.interface, x.what, say), say.written(x.count, "g"), say.written(x.amount, "+.1f")]
        for x in found.statement.lines
    ]
    total = [t("incentives.sum"), "", say.written(found.statement.total, "+.1f")]
    assumed = t(
        "incentives.pdf.assumed", pool=say.written(POOL, ".0%"), n=found.organisations,
        lost=say.written(LOST, ".0%"), cost=say.written(COST, "g"), beta=say.written(BETA, "g"),
    )  # fmt: skip
    heads = ("interface", "handoffs", "failed", "lost", "target")
    return "".join((
        _begin(t("incentives.settlement"), say), _words(f"{basis} {counted}"),
        _head(2, t("incentives.contribution")),
        _table([t(f"incentives.{h}") for h in heads], faces),
        _head(2, t("incentives.statement")),
        _table([t(f"incentives.{h}") for h in ("for", "count", "money")], [*lines, total]),
        _head(2, t("incentives.assumptions")), _words(f"{assumed} {_limits(say)}"),
    ))  # fmt: skip


def _picture(svg: str) -> str:
    """Place a picture below the text that explains it, on the same page."""
    drawn = json.dumps(svg, ensure_ascii=False)
    return f'#image(bytes({drawn}), format: "svg", height: 120mm, fit: "contain")\n'


def _line(interface: str | None, what: str, say: Words) -> str:
    if interface:
        return f"{say.t('incentives.line.interface')} {interface}"
    return say.t("incentives.line.fixed" if what.startswith("fixed") else "incentives.line.success")


def _limits(say: Words) -> str:
    return f"{say.t('incentives.limits')} {say.t('incentives.pdf.a')}"


def _begin(title: str, say: Words) -> str:
    told = json.dumps(f"Stafett: {title}", ensure_ascii=False)
    return (
        '#set page(paper: "a4", flipped: true, margin: 16mm, numbering: "1 / 1")\n'
        f'#set text(size: 8pt, lang: "{say.language}")\n#set document(title: {told})\n'
        + _head(1, title)
    )


def _assumed(
    say: Words, figures: Iterable[tuple[str, Number]], sources: Mapping[str, Source]
) -> str:
    """Every figure with its range and source."""
    t = say.t
    rows = [
        [path, say.written(n.value, "g"),
         f"{say.written(n.low, 'g')} – {say.written(n.high, 'g')}"
         if n.low is not None and n.high is not None else "",
         "A" if n.assumption else str(n.source), say.catalogue(n.note or "")]
        for path, n in figures
    ]  # fmt: skip
    heads = ("figure", "value", "range", "source", "note")
    named = [[k, say.catalogue(s.title), s.url or ""] for k, s in sources.items()]
    return "".join((
        _head(2, t("design.report.assumptions")),
        _table([t(f"design.report.{h}") for h in heads], rows),
        _table([t(f"design.report.{h}") for h in ("source", "reference", "address")], named),
    ))  # fmt: skip


def _compiled(source: str) -> bytes:
    import typst  # loads slowly

    compiled: Any = typst.compile(source.encode(), format="pdf")
    return bytes(compiled)
