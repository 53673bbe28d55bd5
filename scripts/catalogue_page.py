"""Write docs/reference/built-in-protocols.md from the built-in protocols."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stafett.protocol.builtin import builtin, names
from stafett.protocol.model import Figure, Handoff, Protocol, Text, text

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/built-in-protocols.md"
HEAD = """# Built-in protocols

Made by `scripts/catalogue_page.py` from `stafett/catalogue/protocols/`. Read one with
`stafett protocol check NAME`, or copy its file and change it.

A figure marked *proposal* was published by nobody that we know of: it is general practice or a
choice of this project. Before real use, replace every one from the product's own documents.
"""


def row(*cells: str) -> str:
    """Return one row of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def english(value: Text | None) -> str:
    """Return text in English."""
    return "" if value is None else text(value)


def figure(entry: Figure | None) -> str:
    """Return a parameter with its source."""
    if entry is None:
        return ""
    value = f"{entry.value:g}" if isinstance(entry.value, int | float) else english(entry.value)
    marks = [f"[{entry.source}]"] if entry.source else []
    return " ".join([value, *marks, *(["*proposal*"] if entry.proposal else [])])


def products(protocol: Protocol) -> Iterator[str]:
    """Yield the table of parameters, one column a product."""
    parameters = dict.fromkeys(p for one in protocol.products.values() for p in one.parameters)
    yield row("Parameter", *(english(one.title) for one in protocol.products.values()))
    yield row("---", *("---" for _ in protocol.products))
    for name in parameters:
        entries = (one.parameters.get(name) for one in protocol.products.values())
        yield row(f"`{name}`", *(figure(entry) for entry in entries))


def limit(handoff: Handoff) -> str:
    """Return the limit of a handoff as it is in its file's first product."""
    if handoff.takes is None:
        return ""
    source = handoff.takes.source
    mark = f" [{source}]" if source else " *proposal*" if handoff.takes.proposal else ""
    return f"{handoff.takes.at_most}{mark}"


def handoffs(protocol: Protocol) -> Iterator[str]:
    """Yield the table of handoffs."""
    yield row("Id", "Row", "Handoff", "From → to", "Carries", "Within", "Checks (out / in)")
    yield row(*["---"] * 7)
    roles = {name: english(role.title) for name, role in protocol.roles.items()}
    for name, one in protocol.handoffs.items():
        giver, receiver = (roles.get(r, r) for r in (one.giver, one.receiver))
        carried = ", ".join(english(protocol.materials[m].title) for m in one.carries)
        checks = f"{len(one.release.checks)} / {len(one.accept.checks)}"
        whom = f"{giver} → {receiver}" + (" (accountability)" * one.transfers_accountability)
        yield row(
            name, one.catalogue or "", english(one.title), whom, carried or "–", limit(one), checks
        )


def sources(protocol: Protocol) -> Iterator[str]:
    """Yield the list of sources."""
    for name, source in protocol.sources.items():
        where = f": <{source.url}>" if source.url else ""
        yield f"* {name}: {source.title}{where}"


def proposals(protocol: Protocol) -> tuple[int, int]:
    """Return how many parameters are proposals, and how many there are."""
    every = [f for one in protocol.products.values() for f in one.parameters.values()]
    return sum(f.proposal for f in every), len(every)


def section(name: str) -> str:
    """Return the part of the page about one protocol."""
    protocol = builtin(name).bind()
    ours, every = proposals(protocol)
    lines = [
        f"## {name}",
        "",
        f"**{english(protocol.title)}**, version {protocol.version}. {english(protocol.summary)}",
        "",
        f"Accountable when it opens: {english(protocol.roles[protocol.owner].title)}."
        f" {len(protocol.steps)} steps, {len(protocol.handoffs)} handoffs,"
        f" {len(protocol.materials)} materials, {len(protocol.deviations)} deviation codes."
        f" {ours} of {every} parameters are proposals.",
        "",
        "### Parameters by product",
        "",
        *products(protocol),
        "",
        "### Handoffs",
        "",
        *handoffs(protocol),
        "",
        "### Prerequisites",
        "",
        *(f"* Before {rule.before}: {english(rule.why)}" for rule in protocol.prerequisites),
        "",
        "### Sources",
        "",
        *sources(protocol),
    ]
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    return HEAD + "\n" + "\n\n".join(section(name) for name in names()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
