"""What is wrong with a log, said in words: which row, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    `row` counts records as a spreadsheet does (the header is row 1); None means the whole file.
    """

    reason: str
    row: int | None = None

    def __str__(self) -> str:
        return self.reason if self.row is None else f"row {self.row:,}: {self.reason}"


class LogUnreadableError(ValueError):
    """A log that cannot be used as it is. `problems` says why; `str()` says the first ten."""

    def __init__(self, problems: Iterable[Problem] | str, hint: str = "") -> None:
        if isinstance(problems, str):
            problems = [Problem(problems)]
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.hint = hint
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"... and {len(self.problems) - SHOWN:,} more")
        if hint:
            lines.append(hint)
        super().__init__("\n".join(lines))
