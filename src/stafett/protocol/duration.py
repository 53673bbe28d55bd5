"""Durations as people write them: `30 min`, `48 h`, `14 d`. Kept in whole seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import total_ordering

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "wk": 604800}
_FORM = re.compile(r"^\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(s|min|h|d|wk)\s*$")


@total_ordering
class Duration:
    """A length of time: `seconds`, and the `text` it was written as. Immutable.

    Not a dataclass: msgspec would expect a mapping of its fields where a text is written.
    """

    __slots__ = ("seconds", "text")
    seconds: int
    text: str

    def __init__(self, seconds: int, text: str) -> None:
        object.__setattr__(self, "seconds", seconds)
        object.__setattr__(self, "text", text)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a duration is immutable: {name} can't be set")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.seconds == other.seconds

    def __lt__(self, other: Duration) -> bool:
        return self.seconds < other.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)

    def __repr__(self) -> str:
        return f"Duration({self.text!r})"

    def __reduce__(self) -> tuple[type[Duration], tuple[int, str]]:
        return (Duration, (self.seconds, self.text))

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read `text`, a number and a unit; raise ValueError that says what is expected."""
        found = _FORM.match(text)
        if found is None:
            units = ", ".join(UNITS)
            raise ValueError(f"{text!r} is not a duration: write a number and one of {units}")
        if len(text) > 40:
            raise ValueError("a duration is a number and a unit, not a text")
        return cls(round(float(found[1]) * UNITS[found[2]]), " ".join(text.split()))

    @property
    def timedelta(self) -> timedelta:
        """The same length as a `datetime.timedelta`."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        return self.text
