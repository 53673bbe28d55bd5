"""What the types of the interface model cannot see: probabilities, and factors that have a sign."""

from __future__ import annotations

from collections.abc import Iterator

from stafett.design.network import ErrorKind, Interfaces

Wrong = tuple[tuple[str, ...], str, str]
"""The path below `interfaces`, what is wrong, what to do."""
FOLLOWS = ("rework", "restart", "out_of_spec", "lost")
FACTORS = ("clarify_hours", "rework_days", "unfamiliar", "familiar_after", "workload", "shift")


def wrong(model: Interfaces) -> Iterator[Wrong]:
    """Everything that is wrong with an interface model."""
    for name, kind in model.kinds.items():
        yield from _of_kind(("kinds", name), kind)
    for field in FACTORS:
        if getattr(model, field).value < 0:
            yield (field,), "must not be below 0", ""


def _of_kind(path: tuple[str, ...], kind: ErrorKind) -> Iterator[Wrong]:
    for field in ("found_here", "found_later"):
        if not 0 <= (p := getattr(kind, field).value) <= 1:
            yield (*path, field), f"{p:g} is no probability", "0 to 1"
    for place, factor in (
        (("rate",), kind.rate), (("digital_finds",), kind.digital_finds),
        (("effect", "digital"), kind.effect.digital),
        (("effect", "structured"), kind.effect.structured),
    ):  # fmt: skip
        if factor.value < 0:
            yield (*path, *place), "must not be below 0", ""
    for phase, follows in kind.consequences.items():
        chances = {field: getattr(follows, field).value for field in FOLLOWS}
        where = (*path, "consequences", phase)
        for field, p in chances.items():
            if not 0 <= p <= 1:
                yield (*where, field), f"{p:g} is no probability", "0 to 1"
        if (total := sum(chances.values())) > 1 + 1e-9:
            yield (
                where,
                f"{', '.join(FOLLOWS)} add up to {total:g}",
                "they must add up to at most 1",
            )
