"""The one error of this room: what is wrong, where, and what to do."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a string is no identifier; a station chooses its words and its sound by this."""

    EMPTY = "empty"
    NOT_ASCII = "not-ascii"
    LAYOUT = "keyboard-layout"
    CASE = "upper-lower-case"
    CHECK = "check-character"
    FORM = "form"
    COUNT = "count"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"


class IdentifierError(ValueError):
    """An identifier was refused.

    `what` names the fault, `where` the part of the string (or the structure) it sits in, `todo`
    the next thing for the person at the station to do, `reason` the kind of fault. `expected` is
    the check that would have fitted; for typed numbers it stays out of the sentence, since a
    person who is told the right character types it instead of reading the label again.
    """

    def __init__(
        self,
        what: str,
        where: str,
        todo: str,
        reason: Reason = Reason.FORM,
        expected: str | None = None,
    ) -> None:
        super().__init__(f"{what} ({where}): {todo}")
        self.what = what
        self.where = where
        self.todo = todo
        self.reason = reason
        self.expected = expected
