"""The PDF report of a comparison: figures, where the pressure goes, and every assumption."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from stafett.design.assumptions import factor, numbers
from stafett.design.estimate import Estimate
from stafett.design.levers import LEVERS
from stafett.design.measures import TITLES
from stafett.service.pictures.bars import tornado
from stafett.service.pictures.lanes import lanes
from stafett.service.studio import Answer, Wish


def cell(e: Estimate | None, digits: int = 1) -> str:
    """A figure with its interval."""
    if e is None or math.isnan(e.mean):
        return "–"
    return f"{e.mean:.{digits}f} ({e.low:.{digits}f} to {e.high:.{digits}f})"


def _words(text: str) -> str:
    """Text as a typst string, so that nothing in it is markup."""
    return f"#{json.dumps(text, ensure_ascii=False)}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = ", ".join(["auto", *["1fr"] * (len(heads) - 1)])
    cells = ", ".join(f"[{_words(c)}]" for row in (heads, *rows) for c in row)
    return f"#table(columns: ({columns}), inset: 4pt, stroke: 0.4pt + luma(200), {cells})\n"


def _picture(svg: str) -> str:
    return f'#image(bytes({json.dumps(svg, ensure_ascii=False)}), format: "svg", width: 100%)\n'


def report(answer: Answer, wish: Wish, orders: Mapping[str, Sequence[str]]) -> bytes:
    """The report as PDF bytes. It says what was run, so that it can be run again."""
    c, heads = answer.comparison, list(answer.systems)
    out = [
        '#set page(paper: "a4", flipped: true, margin: 16mm, numbering: "1 / 1")\n'
        '#set text(size: 8pt)\n#set document(title: "Stafett: delivery systems compared")\n',
        "= Delivery systems compared\n",
        _words(
            f"{', '.join(heads)}; {wish.replications} replications of {wish.years:g} years, seed "
            f"{wish.seed}, assumptions {wish.assumptions}. Mean and 95 % interval."
        ),
        "\n\n== Figures\n",
        _table(
            ["", *heads],
            [[t, *[cell(c.figures[n].get(m)) for n in heads]] for m, t in TITLES.items()],
        ),
    ]
    if answer.drawn:
        d = answer.drawn
        out += [
            "\n== The same with assumptions drawn\n",
            _words("Mean and the range of 95 % of draws."),
            "\n\n",
            _table(
                ["", *heads],
                [[t, *[cell(d.figures[n].get(m)) for n in heads]] for m, t in TITLES.items()],
            ),
            "\n== Which conclusions survive\n",
            _table(
                ["system", "what", "fixed", "drawn", "survives"],
                [
                    [
                        x.system,
                        x.what,
                        cell(x.fixed, 2),
                        cell(x.drawn, 2),
                        "yes" if x.survives else "NO",
                    ]
                    for x in answer.survives
                ],
            ),
        ]
    out.append("\n== Where the pressure goes\n")
    for n in heads:
        p = c.pressure[n]
        said = f"{n}: the pressure is on {p.pressure} (+{p.pressure_effect:.2f} patients of 100)."
        if not p.clear:
            said = f"{n}: no lever has a clear effect with so few replications."
        if p.relieved and p.relieved_by:
            said += f" Relieved, compared with the others: {p.relieved} ({p.relieved_by:.2f})."
        out.append(_words(said) + "\n\n")
    called = {lever.name: f"{lever.name} ({lever.group})" for lever in LEVERS}
    for n in heads:
        effects = {k: e["treated_share"] for k, e in c.marginal[n].items()}
        out.append(f"\n== {_words(n)}\n")
        title = f"{n}: a fifth better, patients treated of 100"
        out.append(_picture(tornado(effects, title=title, unit=title, names=called)))
        out.append(_picture(lanes(answer.systems[n], orders[n], title=n)))
    out.append("\n== Resilience: change of patients treated, of 100 referred\n")
    events = list({w: None for n in heads for w in c.resilience[n]})
    out.append(
        _table(
            ["", *heads], [[w, *[cell(c.resilience[n].get(w), 2) for n in heads]] for w in events]
        )
    )
    out.append("\n== Assumptions and sources\n")
    out.append(_words("Every figure that went in; A: an assumption that nobody measured."))
    for n in heads:
        network = answer.systems[n].network
        rows = [
            [factor(path), f"{x.value:g}",
             f"{x.low:g} to {x.high:g}" if x.low is not None and x.high is not None else "",
             "A" if x.assumption else x.source or "changed here", x.note or ""]
            for path, x in numbers(network) if path[0] != "centres"
        ]  # fmt: skip
        out.append(f"\n\n=== {_words(network.title)}\n")
        out.append(_table(["figure", "value", "range", "source", "note"], rows))
        cited = [[k, s.title, s.url or ""] for k, s in network.sources.items()]
        if cited:
            out.append(_table(["source", "title", "address"], cited))
    import typst  # loads slowly

    return bytes(typst.compile("".join(out).encode(), format="pdf"))
