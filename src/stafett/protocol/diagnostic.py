"""One kind of hole: its title, why it matters and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One kind of hole: its title, why it matters and how to mend it."""

    group: str
    severity: Severity
    title: str
    why: str
    mend: str
