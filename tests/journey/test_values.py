"""What belongs together is one value: half of it cannot be written down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from stafett.journey import raised, state

AT = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
WHOLE: dict[type, dict[str, Any]] = {
    state.Ended: {"at": AT, "how": "lost"},
    raised.Acknowledged: {"at": AT, "person": "p"},
    raised.Closed: {"at": AT, "conclusion": "papers found"},
    raised.Decided: {"at": AT, "disposition": "use-as-is", "reason": "stable"},
    raised.Finished: {"at": AT, "person": "p", "result": "new form"},
    raised.Looked: {"at": AT, "effective": False, "evidence": "seen again"},
    raised.Named: {"cause": "procedure", "why": "two forms"},
}


@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.__name__)
def test_no_half_of_a_value_can_be_made(kind: type) -> None:
    """An end without its way, a closing without its conclusion: there is no such value."""
    whole = WHOLE[kind]
    kind(**whole)
    for part in whole:
        with pytest.raises(TypeError):
            kind(**{name: value for name, value in whole.items() if name != part})


@pytest.mark.parametrize("kind", [state.Lot, raised.Raised, raised.Action, raised.Work])
def test_the_halves_are_no_fields(kind: type[msgspec.Struct]) -> None:
    """`closed_at` and its like are read from the whole and cannot be set beside it."""
    halves = {
        "ended", "ended_at", "acknowledged_at", "acknowledged_by", "closed_at", "conclusion",
        "decided_at", "disposition", "reason", "finished_at", "finished_by", "result",
        "checked_at", "effective", "evidence", "triaged_at", "criteria", "impact", "cause", "why",
    }  # fmt: skip
    assert not halves & set(kind.__struct_fields__)
