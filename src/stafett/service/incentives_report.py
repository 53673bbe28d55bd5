"""PDF reports of the contract workbench and of the capital map, with their assumptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stafett.design.capital.map import Spot
from stafett.design.capital.reading import load as load_capital
from stafett.design.incentives.reading import assumptions
from stafett.design.network import Number
from stafett.service.design_report import _picture, _table, _words, cell
from stafett.service.incentives import Workbench
from stafett.service.pictures.bars import gap_bars
from stafett.service.pictures.planes import capital_map
from stafett.service.settlement import BETA, COST, LOST, POOL, Settlement, Settling

HEAD = (
    '#set page(paper: "a4", flipped: true, margin: 16mm, numbering: "1 / 1")\n'
    '#set text(size: 8pt)\n#set document(title: "Stafett: {title}")\n= {title}\n'
)
LIMITS = (
    "Outside the model: limited liability, giver and receiver acting in concert, reports that are "
    "not honest. Most figures are assumptions (A) with the range they may lie in."
)


def _figures(figures: Iterable[tuple[str, Number]]) -> str:
    rows = [
        [path, f"{n.value:g}", f"{n.low:g} to {n.high:g}" if n.low is not None else "",
         "A" if n.assumption else str(n.source), n.note or ""]
        for path, n in figures
    ]  # fmt: skip
    return _table(["figure", "value", "range", "source", "note"], rows)


def contracts_report(bench: Workbench) -> bytes:
    """The workbench as PDF bytes."""
    findings = list(bench.findings.values())
    actors = [a.name for a in bench.table.game.actors]
    rows = [
        [n, f.contract.title, f"{f.state.success:.1%}", f"{f.state.welfare:.1f}",
         f"{f.state.fragmentation:.0%}", str(len(f.states)), "; ".join(map(str, f.warnings))]
        for n, f in bench.findings.items()
    ]  # fmt: skip
    out = [
        HEAD.format(title="Contracts compared"),
        _words(f"Thousand US dollars for each journey that begins; at best {bench.ends.welfare:.1f}"
               f", without effort {bench.ends.nothing:.1f}. {LIMITS}"),
        "\n\n",
        _table(["contract", "", "success", "worth", "gap left", "equilibria", "beware"], rows),
        _picture(gap_bars(findings, title="gap", unit="share of the gap that is left")),
        "\n== What each has: pay less cost\n",
        _table(
            ["contract", *actors],
            [[n, *[f"{f.state.gains[a]:.1f}" for a in actors]] for n, f in bench.findings.items()],
        ),
        "\n== Assumptions and sources\n",
        _figures(assumptions(bench.table.spec)),
        _table(["source", "title", "address"],
               [[k, s.title, s.url or ""] for k, s in bench.table.spec.sources.items()]),
    ]  # fmt: skip
    import typst  # loads slowly

    return bytes(typst.compile("".join(out).encode(), format="pdf"))


def map_report(found: Sequence[Spot], contract: str, public: float, shared: float) -> bytes:
    """The capital map as PDF bytes."""
    catalogue = load_capital()
    out = [
        HEAD.format(title="Capital map"),
        _words(f"Contract {contract}; public money {public:.0%}; shared infrastructure "
               f"{shared:.0%}. Intervals hold 95 % of the draws of the assumptions. {LIMITS}"),
        "\n\n",
        _picture(capital_map(found, title="map")),
        _table(
            ["system", "category", "patients a year per million US dollars", "captured"],
            [[s.system, s.title, cell(s.criticality, 2), cell(s.fundability, 2)] for s in found],
        ),
        "\n== Prices\n",
        _figures((f"{k}.price", c.price) for k, c in catalogue.categories.items()),
        "\n== Published figures of capital, and the split that nobody publishes\n",
        _figures([(f"{p.title}, {p.unit}", p.figure) for p in catalogue.published.values()]),
        _figures((f"split.{k}", n) for k, n in catalogue.split.items()),
        _table(["source", "title", "address"],
               [[k, s.title, s.url or ""] for k, s in catalogue.sources.items()]),
    ]  # fmt: skip
    import typst  # loads slowly

    return bytes(typst.compile("".join(out).encode(), format="pdf"))


def settlement_report(found: Settlement, wish: Settling) -> bytes:
    """An organisation's statement as PDF bytes, with what is assumed."""
    assert found.statement is not None and found.counted is not None
    c = found.counted
    out = [
        HEAD.format(title="Settlement"),
        _words(f"{wish.organisation}; the record up to entry {wish.position}; contract {wish.form}"
               f", rate {wish.rate:.0%}, a success worth {wish.value:g} thousand US dollars. "
               f"{c.journeys} closed journeys, {c.successes} of them successful; left out: {c.open}"
               f" open journeys, {c.unrecorded} handoffs without an outcome."),
        "\n\n== Contributions\n",
        _table(
            ["interface", "handoffs", "failed", "journeys lost", "target"],
            [[x.name, str(x.reached), str(x.failed), f"{x.journeys_lost:.2f}",
              f"{found.targets[x.name]:.1%}" if x.name in found.targets else ""]
             for x in found.interfaces],
        ),
        "\n== Statement, thousand US dollars\n",
        _table(
            ["for", "count", "amount"],
            [*[[x.what, f"{x.count:g}", f"{x.amount:+.1f}"] for x in found.statement.lines],
             ["total", "", f"{found.statement.total:+.1f}"]],
        ),
        "\n== Assumptions\n",
        _words(f"{POOL:.0%} of the value is shared equally by {found.organisations} organisations. "
               f"Without effort {LOST:.0%} is lost at each interface; effort costs {COST:g} and "
               f"works at {BETA:g} (as in the built-in game). Targets are the rates of the best "
               f"joint outcome. {LIMITS}"),
    ]  # fmt: skip
    import typst  # loads slowly

    return bytes(typst.compile("".join(out).encode(), format="pdf"))
