"""What an import found: records, and the rows that cannot be taken with the reason for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stafett.protocol.fit import plain
from stafett.registry.trial import Trial


class RowProblem(msgspec.Struct, frozen=True):
    """A row that cannot be imported. `row` is the line of the file, or the place in its list."""

    row: int
    id: str
    field: str
    what: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"row {self.row} ({self.id or 'no identifier'}): {self.field}: {self.what}"


class Found(msgspec.Struct, frozen=True):
    """The trials of a file, in its order, and its broken rows."""

    layout: str
    trials: tuple[Trial, ...]
    problems: tuple[RowProblem, ...]


class BadRow(Exception):
    """One field of one row is wrong."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        self.field, self.what = field, what


class NotALayout(Exception):
    """The file is none that is known: says which are."""


def trial(values: Mapping[str, Any]) -> Trial:
    """Return the trial, or raise BadRow that names the field."""
    try:
        return msgspec.convert(dict(values), Trial)
    except msgspec.ValidationError as error:
        misfit = plain(error)
        raise BadRow(misfit.where or "row", misfit.what) from None
