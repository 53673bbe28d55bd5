"""Competence that expires: who may act in which role of which protocol version, until when.

A pure rule. A person is competent for a version of a protocol in a role at a moment, if a grant for
just that version (or for EVERY version) covers the moment and was not withdrawn before it. A new
version of a protocol therefore needs new grants, unless one was given for every version. EU GMP
Part I, 2.10-2.14 (training, continued, assessed) and Annex 11, 2; 21 CFR 11.10(i).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EVERY = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant: `version` is a protocol's version or EVERY; times are aware."""

    person: str
    protocol: str
    version: str
    role: str
    valid_from: datetime
    valid_until: datetime
    granted_by: str
    reason: str
    withdrawn: datetime | None = None
    id: int = 0

    def covers(self, at: datetime) -> bool:
        """Say whether the grant holds at this moment."""
        end = self.valid_until if self.withdrawn is None else min(self.valid_until, self.withdrawn)
        return self.valid_from <= at < end

    def fits(self, protocol: str, version: str, role: str) -> bool:
        """Say whether the grant is for this role of this protocol version."""
        return (self.protocol, self.role) == (protocol, role) and self.version in (version, EVERY)


@dataclass(frozen=True, slots=True)
class Gap:
    """Why there is no competence: never granted, not begun, ended, or withdrawn (`at`)."""

    kind: Literal["none", "other-version", "not-begun", "ended", "withdrawn"]
    at: datetime | None = None
    version: str = ""


def find(
    grants: Iterable[Grant], protocol: str, version: str, role: str, at: datetime
) -> Grant | Gap:
    """Return the grant that holds longest at `at`, or why none does."""
    own = [g for g in grants if (g.protocol, g.role) == (protocol, role)]
    fitting = [g for g in own if g.fits(protocol, version, role)]
    holding = [g for g in fitting if g.covers(at)]
    if holding:
        return max(holding, key=lambda g: g.valid_until)
    begun = [g for g in fitting if g.valid_from <= at]
    if begun:
        last = max(begun, key=lambda g: min(g.valid_until, g.withdrawn or g.valid_until))
        if last.withdrawn is not None and last.withdrawn < last.valid_until:
            return Gap("withdrawn", last.withdrawn)
        return Gap("ended", last.valid_until)
    if fitting:
        return Gap("not-begun", min(g.valid_from for g in fitting))
    if own:
        return Gap("other-version", version=max(own, key=lambda g: g.valid_until).version)
    return Gap("none")
