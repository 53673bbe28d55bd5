"""What the proof finds: a stable code, the place, what is wrong, and how to get there."""

from __future__ import annotations

from dataclasses import dataclass

from stafett.protocol.diagnostics import DIAGNOSTICS, Severity
from stafett.protocol.read import Place


@dataclass(frozen=True, slots=True)
class Finding:
    """One hole in a protocol.

    `trace` is the shortest sequence of moves from the opened journey to the hole, one line each;
    None when the hole can be seen in the text alone. `product` is the binding in which it was
    found.
    """

    code: str
    place: Place
    what: str
    trace: tuple[str, ...] | None = None
    product: str | None = None

    @property
    def severity(self) -> Severity:
        """Whether the protocol may not be used (error) or should be looked at (warning)."""
        return DIAGNOSTICS[self.code].severity

    @property
    def title(self) -> str:
        """What kind of hole it is."""
        return DIAGNOSTICS[self.code].title

    @property
    def why(self) -> str:
        """Why it matters to the patient or to those who answer for them."""
        return DIAGNOSTICS[self.code].why

    @property
    def todo(self) -> str:
        """How to mend it."""
        return DIAGNOSTICS[self.code].mend

    def as_dict(self) -> dict[str, object]:
        """Return the finding as plain values, for JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "what": self.what,
            "why": self.why,
            "mend": self.todo,
            "trace": list(self.trace) if self.trace is not None else None,
            "product": self.product,
        }


def in_order(findings: list[Finding]) -> list[Finding]:
    """Sort by place, and drop what is found again in another product's binding."""
    seen: dict[tuple[str, Place, str], Finding] = {}
    for finding in findings:
        seen.setdefault((finding.code, finding.place, finding.what), finding)
    return sorted(seen.values(), key=lambda f: (f.place, f.severity, f.code, f.what))
