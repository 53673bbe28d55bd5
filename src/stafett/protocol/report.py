"""A proof in words, as a compiler would say it."""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol.check import Proof
from stafett.protocol.diagnostics import HELD
from stafett.protocol.finding import Finding


def lines(finding: Finding) -> Iterator[str]:
    """Yield a finding line by line: where and what, why, how to get there, how to mend it."""
    product = f" [{finding.product}]" if finding.product else ""
    yield f"{finding.place}: {finding.severity}[{finding.code}]: {finding.what}{product}"
    yield f"    why: {finding.why}"
    if finding.trace is not None:
        yield "    how to get there:" if finding.trace else "    how to get there: at once"
        for i, move in enumerate(finding.trace, 1):
            yield f"      {i:2}. {move}"
    yield f"    mend: {finding.todo}"


def summary(proof: Proof, seconds: float) -> Iterator[str]:
    """Yield the last lines: what holds, how much was explored, how long it took."""
    for group in proof.held:
        yield f"  holds: {HELD[group]}"
    errors, warnings = len(proof.errors), len(proof.warnings)
    yield (
        f"{_count(errors, 'error')}, {_count(warnings, 'warning')};"
        f" {proof.markings:,} markings explored, {len(proof.held)} of {len(HELD)} properties hold,"
        f" {seconds:.2f} s"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
