"""What a shipment's readings are held to: the limit from the protocol, the rule from a profile.

A limit (°C) and its source come from the pinned protocol. How long it may be passed is published
nowhere that this project could read, so those figures are ASSUMED here, and every page says so; an
organisation that has stability data sets its own profile.
"""

from __future__ import annotations

import msgspec

from stafett.protocol.model import Condition

# Names of the figures below that no source stands behind.
ASSUMED = frozenset(
    ("sustained_s", "cumulative_s", "least_readings", "gap_s", "sensor_low_c", "sensor_high_c",
     "jump_c", "stuck_s", "stuck_readings", "battery_low", "shock_g", "on_side_deg")
)  # fmt: skip


class Limit(msgspec.Struct, frozen=True):
    """Lowest and highest permitted temperature in °C, and who says so.

    `source` names a source of the protocol; `proposal` marks a figure of this project.
    """

    low_c: float | None = None
    high_c: float | None = None
    source: str | None = None
    proposal: bool = False


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rule for one shipment. Times are seconds.

    An excursion is `sustained_s` outside at a stretch, or `cumulative_s` in all, with at least
    `least_readings` readings outside. Nothing heard for `gap_s` is a gap. `hold_s` is the dry
    shipper's budget, None where the shipper has none; `variation` how much less it may hold.
    `conditions` are the protocol's own limits: one of temperature replaces the figures above.
    """

    limit: Limit = Limit()
    sustained_s: float = 600.0
    cumulative_s: float = 1800.0
    least_readings: int = 3
    gap_s: float = 1800.0
    sensor_low_c: float = -210.0
    sensor_high_c: float = 100.0
    jump_c: float = 15.0
    stuck_s: float = 6 * 3600.0
    stuck_readings: int = 60
    battery_low: float = 0.2
    shock_g: float = 25.0
    hold_s: float | None = None
    hold_source: str | None = None
    variation: float = 0.0
    conditions: tuple[Condition, ...] = ()
    profile: str = "default"
