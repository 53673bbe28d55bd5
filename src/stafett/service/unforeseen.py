"""What a page says when a computation fails: its own words, or that nobody foresaw it."""

from __future__ import annotations

from types import TracebackType

UNFORESEEN = "This failed in a way that was not foreseen, and nothing was changed."
TODO = "Try again; if it fails again, give your administrator this"


def words_of(problem: BaseException) -> str:
    """Return what to tell a person of `problem`: one sentence or two, never a bare Python name.

    What Stafett itself refuses is worded for people and is told as it is. Anything else is a fault
    of the program: it is said to be one, with what whoever mends it needs at the end.
    """
    text = " ".join(str(problem).split())
    if text and _is_worded(problem):
        return text
    detail = f"{type(problem).__name__}: {text}" if text else type(problem).__name__
    return f"{UNFORESEEN} {TODO}: {detail}"


def _is_worded(problem: BaseException) -> bool:
    """Say whether Stafett chose the words: an error of its own, or a value that it refused."""
    if type(problem).__module__.startswith("stafett."):
        return True
    return isinstance(problem, ValueError) and _raised_in(problem.__traceback__)


def _raised_in(trace: TracebackType | None) -> bool:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return str(where).startswith("stafett.")
