"""The proof of a protocol: every rule, over the text and over every reachable marking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stafett.protocol.acts import acts
from stafett.protocol.chain import Chain
from stafett.protocol.consequences import consequences
from stafett.protocol.diagnostics import DIAGNOSTICS, GROUPS
from stafett.protocol.figures import figures
from stafett.protocol.finding import Finding, in_order
from stafett.protocol.independence import independence
from stafett.protocol.labels import labels
from stafett.protocol.matching import matching
from stafett.protocol.measures import measures
from stafett.protocol.questions import questions
from stafett.protocol.read import Document
from stafett.protocol.references import references
from stafett.protocol.safeguards import safeguards
from stafett.protocol.safety import Safety
from stafett.protocol.shelf import shelf

STATIC: tuple[Callable[[Chain], Iterator[Finding]], ...] = (
    figures,
    questions,
    measures,
    matching,
    labels,
    safeguards,
    consequences,
    independence,
    acts,
    shelf,
)
# Fields whose value changes no path: a parameter there needs no exploration of its own.
FIGURES = frozenset(
    {"at_most", "usual", "after", "min", "max", "unit", "ask", "title", "value", "container"}
)


@dataclass(frozen=True)
class Proof:
    """What a check has found and how much it has looked at.

    `groups` are the groups of rules that were examined: when names do not resolve, the others are
    not. `markings` counts the different markings that were reached.
    """

    findings: tuple[Finding, ...]
    groups: tuple[str, ...]
    products: tuple[str, ...]
    markings: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings because of which the protocol may not be used."""
        return tuple(f for f in self.findings if f.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that should be looked at."""
        return tuple(f for f in self.findings if f.severity == "warning")

    @property
    def held(self) -> tuple[str, ...]:
        """The groups of rules that were examined and are without error."""
        broken = {DIAGNOSTICS[finding.code].group for finding in self.errors}
        return tuple(group for group in self.groups if group not in broken)


def check(document: Document, product: str | None = None) -> list[Finding]:
    """Return all findings, in the order of the file; see `prove`."""
    return list(prove(document, product).findings)


def prove(document: Document, product: str | None = None) -> Proof:
    """Check `document` bound to `product` (default: to each of its products).

    Raises ReadError if it cannot be read as a protocol at all.
    """
    products = (product,) if product is not None else document.products or (None,)
    found: list[Finding] = []
    groups = tuple(GROUPS)
    markings = 0
    explored = False
    for one in products:
        chain = Chain(document, document.bind(one), one)
        names = list(references(chain))
        found += names
        if any(finding.severity == "error" for finding in names):
            groups = ("names",)
            continue
        for rule in STATIC:
            found += rule(chain)
        if not explored or _shapes_paths(document):
            safety = Safety(chain)
            found += safety.findings()
            markings += safety.markings
            explored = True
    named = tuple(one for one in products if one is not None)
    return Proof(tuple(in_order(found)), groups, named, markings)


def _shapes_paths(document: Document) -> bool:
    """Say whether a parameter stands where it can change which paths there are."""
    return any(
        path[0] != "products" and path[-1] not in FIGURES
        for path in document.places
        if path and isinstance(value := document.at(*path), str) and value.startswith("${")
    )
