"""What a captured event says of other people's journeys is not told with it.

A courier's one event may name the shippers of three hospitals. Who takes part in one of the
journeys reads the event, and in place of the identifiers of the others a number: that there was
something, not what.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from stafett.exchange.epcis import Json
from stafett.exchange.gs1link import canonical

WITHHELD: Final = "urn:stafett:withheld:"


def withheld(event: Json, foreign: Collection[str]) -> Json:
    """Give an event with each identifier that is among `foreign` replaced by its number in it.

    `foreign` holds every spelling (see `joins.spellings`); the same thing has the same number.
    """
    numbers: dict[str, int] = {}

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {field: told(inner) for field, inner in value.items()}
        if isinstance(value, list):
            return [told(inner) for inner in value]
        if not isinstance(value, str):
            return value
        link = canonical(value) if ":" in value else value
        if value not in foreign and link not in foreign:
            return value
        return f"{WITHHELD}{numbers.setdefault(link, len(numbers) + 1)}"

    out: Json = told(event)
    return out
