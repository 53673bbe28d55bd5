"""Why a use case says no. The web turns these into problem documents; nothing has changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One reason: about which field or thing, what is wrong, what to do."""

    field: str
    what: str
    todo: str = ""


class No(Exception):
    """A refusal with a stable `code`, a title and its reasons."""

    def __init__(self, code: str, title: str, *reasons: Reason) -> None:
        super().__init__(f"{code}: {title}" + "".join(f"; {r.field}: {r.what}" for r in reasons))
        self.code, self.title, self.reasons = code, title, reasons


def unknown(what: str, name: str) -> No:
    """Return the refusal for what is not there or is somebody else's: both look alike."""
    return No(
        "unknown",
        f"There is no such {what}",
        Reason(what, f"{name!r} is not known to you", "check the identifier"),
    )
