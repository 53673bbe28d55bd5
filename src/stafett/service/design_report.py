"""The PDF report of a comparison: figures, where the pressure goes, and every assumption."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from stafett.design.assumptions import numbers
from stafett.design.compare import Comparison
from stafett.design.estimate import Estimate
from stafett.design.measures import TITLES
from stafett.design.network import Number
from stafett.design.reading import System
from stafett.service.pictures.bars import tornado
from stafett.service.studio import Answer, Wish


class Words(Protocol):
    """How the report says things: in one language, its numbers included."""

    @property
    def language(self) -> str:
        """The language's code."""

    def t(self, key: str, **values: object) -> str:
        """A message."""

    def system(self, name: str) -> str:
        """A short name of a network."""

    def title(self, system: System) -> str:
        """The title of a network."""

    def summary(self, system: System) -> str:
        """What a network is, in a few sentences."""

    def catalogue(self, text: str) -> str:
        """A text of the built-in catalogue; any other as it is."""

    def measure(self, key: str) -> str:
        """What a figure is."""

    def lever(self, name: str) -> str:
        """What a lever is called."""

    def levers(self) -> dict[str, str]:
        """Every lever with its group."""

    def event(self, what: str) -> str:
        """A disruption."""

    def conclusion(self, what: str) -> str:
        """What a conclusion is about."""

    def figure(self, e: Estimate | None, digits: int) -> str:
        """A figure with its interval."""

    def number(self, value: float) -> str:
        """A number."""

    def path(self, system: System, which: str) -> str:
        """What a figure of a network is; its path where it has no name."""

    def changes(self, wish: Wish) -> list[str]:
        """What was changed."""

    def details(self, answer: Answer) -> list[tuple[str, list[tuple[str, str]]]]:
        """Tables as a heading with (figure, what it is called)."""

    def lanes(self, system: System, order: Sequence[str]) -> str:
        """The picture of a network as lanes."""


def cell(e: Estimate | None, digits: int = 1) -> str:
    """A figure with its interval."""
    if e is None or math.isnan(e.mean):
        return "–"
    spec = f"z.{digits}f"  # nothing is less than nothing: no -0.0
    return f"{e.mean:{spec}} ({e.low:{spec}} to {e.high:{spec}})"


def _words(text: str) -> str:
    """Text as a typst string, so that nothing in it is markup."""
    return f"#{json.dumps(text, ensure_ascii=False)}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = ", ".join(["auto", *["1fr"] * (len(heads) - 1)])
    cells = ", ".join(f"[{_words(c)}]" for row in (heads, *rows) for c in row)
    return f"#table(columns: ({columns}), inset: 4pt, stroke: 0.4pt + luma(200), {cells})\n"


def _picture(svg: str) -> str:
    return f'#image(bytes({json.dumps(svg, ensure_ascii=False)}), format: "svg", width: 100%)\n'


def _head(level: int, text: str) -> str:
    return f"\n\n{'=' * level} {_words(text)}\n"


def report(answer: Answer, wish: Wish, orders: Mapping[str, Sequence[str]], say: Words) -> bytes:
    """The report as PDF bytes. It says what was run, so that it can be run again."""
    import typst  # loads slowly

    return bytes(typst.compile(source(answer, wish, orders, say).encode(), format="pdf"))


def source(answer: Answer, wish: Wish, orders: Mapping[str, Sequence[str]], say: Words) -> str:
    """The report as a typst document."""
    c, heads, t = answer.comparison, list(answer.systems), say.t
    title = t("design.report")
    out = [
        '#set page(paper: "a4", flipped: true, margin: 16mm, numbering: "1 / 1")\n'
        f'#set text(size: 8pt, lang: "{say.language}")\n'
        f"#set document(title: {json.dumps(f'Stafett: {title}', ensure_ascii=False)})\n",
        _head(1, title),
        _words(", ".join(say.system(n) for n in heads) + "; " + _basis(wish, say)),
    ]
    if wish.changes:
        out += [_head(2, t("design.report.changed")), _words("; ".join(say.changes(wish)))]
    out += [_head(2, t("design.figures")), _measures(c, heads, say)]
    for heading, keys in say.details(answer):
        cells = [[k, *[say.figure(c.figures[n].get(m), 1) for n in heads]] for m, k in keys]
        out += [_head(3, heading), _table(["", *map(say.system, heads)], cells)]
    if answer.drawn:
        out += [_head(2, t("design.drawn")), _words(t("design.drawn.what")), "\n\n"]
        out += [_measures(answer.drawn, heads, say), _survival(answer, say)]
    out += [_head(2, t("design.pressure")), _words(t("design.pressure.what")), "\n\n"]
    out += [_words(_pressure(c, n, say)) + "\n\n" for n in heads]
    called = say.levers()
    for n in heads:
        unit = say.measure("treated_share")
        effects = {k: e["treated_share"] for k, e in c.marginal[n].items()}
        out.append(_head(2, say.title(answer.systems[n])))
        out.append(_words(say.summary(answer.systems[n])) + "\n\n")
        heading = f"{say.system(n)}: {unit}"
        out.append(_picture(tornado(effects, title=heading, unit=unit, names=called)))
        out.append(_picture(say.lanes(answer.systems[n], orders[n])))
    scale = [[k, *[say.figure(c.scale[n].get(k), 1) for n in heads]] for k in c.scale[heads[0]]]
    out += [_head(2, t("design.scale")), _table(["", *map(say.system, heads)], scale)]
    events = list({w: None for n in heads for w in c.resilience[n]})
    rows = [[say.event(w), *[say.figure(c.resilience[n].get(w), 2) for n in heads]] for w in events]
    out += [_head(2, t("design.resilience")), _table(["", *map(say.system, heads)], rows)]
    out += [_head(2, t("design.report.assumptions")), _words(t("design.report.every"))]
    for n in heads:
        out += _assumptions(answer.systems[n], say)
    return "".join(out)


def _basis(wish: Wish, say: Words) -> str:
    basis = say.t(
        "design.basis",
        replications=wish.replications, years=say.number(wish.years), seed=wish.seed,
    )  # fmt: skip
    return f"{basis}. {say.t('design.interval')}"


def _measures(c: Comparison, heads: Sequence[str], say: Words) -> str:
    rows = [[say.measure(m), *[say.figure(c.figures[n].get(m), 1) for n in heads]] for m in TITLES]
    return _table(["", *map(say.system, heads)], rows)


def _survival(answer: Answer, say: Words) -> str:
    t = say.t
    names = ("system", "what", "fixed", "drawn", "survives")
    rows = [
        [say.system(x.system), say.conclusion(x.what), say.figure(x.fixed, 2),
         say.figure(x.drawn, 2), t("design.yes") if x.survives else t("design.no").upper()]
        for x in answer.survives
    ]  # fmt: skip
    return _head(2, t("design.survive")) + _table([t(f"design.report.{k}") for k in names], rows)


def _pressure(c: Comparison, name: str, say: Words) -> str:
    """One system's pressure in a sentence, as the page has it."""
    p, t = c.pressure[name], say.t
    said = t("design.pressure.unclear")
    if p.clear:
        effect = say.figure(p.pressure_effect, 2)
        said = f"{t('design.pressure.on')} {say.lever(p.pressure)} ({effect})"
    if p.relieved and p.relieved_by:
        said += (
            f"; {t('design.pressure.relieved')} {say.lever(p.relieved)} "
            f"({say.figure(p.relieved_by, 2)})"
        )
    return f"{say.system(name)}: {said}."


def _assumptions(system: System, say: Words) -> list[str]:
    """Every figure of a network with its range and source, and the sources."""
    n, t = system.network, say.t
    out = [_head(3, say.title(system))]
    heads = ("figure", "value", "range", "source", "note")
    rows = [
        [say.path(system, ".".join(path)), say.number(x.value), _range(x, say), _origin(x, say),
         say.catalogue(x.note or "")]
        for path, x in numbers(n)
    ]  # fmt: skip
    out.append(_table([t(f"design.report.{k}") for k in heads], rows))
    cited = [[k, say.catalogue(s.title), s.url or ""] for k, s in n.sources.items()]
    if cited:
        named = ("source", "reference", "address")
        out.append(_table([t(f"design.report.{k}") for k in named], cited))
    return out


def _range(x: Number, say: Words) -> str:
    if x.low is None or x.high is None:
        return ""
    return f"{say.number(x.low)} – {say.number(x.high)}"


def _origin(x: Number, say: Words) -> str:
    """A figure's source; what is no source is said in words, never left empty."""
    if x.assumption:
        return say.t("design.assumption")
    return x.source or say.t("design.report.here")
