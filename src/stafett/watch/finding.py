"""One thing that was found in a shipment's readings, and how bad it is."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Verdict = Literal["ok", "attention", "unknown", "alarm"]
ORDER: Final[dict[Verdict, int]] = {"ok": 0, "attention": 1, "unknown": 2, "alarm": 3}


class Finding(NamedTuple):
    """One thing that was found: from when to when (seconds since 1970), how much, how bad.

    `kind` names the message that says it; `value` is in the message's unit. `code` is the
    deviation that the protocol says it is.
    """

    kind: str
    verdict: Verdict
    since: float
    until: float
    value: float
    code: str | None = None
