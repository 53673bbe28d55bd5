"""Durations as people write them: `30 min`, `48 h`, `14 d`. Kept in whole seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "wk": 604800}
_FORM = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|min|h|d|wk)\s*$")


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time: `seconds`, and the `text` it was written as."""

    seconds: int
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read `text`, a number and a unit; raise ValueError that says what is expected."""
        found = _FORM.match(text)
        if found is None:
            units = ", ".join(UNITS)
            raise ValueError(f"{text!r} is not a duration: write a number and one of {units}")
        return cls(round(float(found[1]) * UNITS[found[2]]), " ".join(text.split()))

    @property
    def timedelta(self) -> timedelta:
        """The same length as a `datetime.timedelta`."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        return self.text
