"""Deviations that the core raises itself, and what they are where a protocol does not define them.

A protocol's own catalogue comes first. Severities of the built-in ones are proposals of this
project after GMP practice (minor, major, critical), not published figures.
"""

from __future__ import annotations

from stafett.protocol.model import Deviation, Protocol

IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
UNKNOWN_ANSWER = "UNKNOWN_ANSWER"
CHECK_FAILED = "CHECK_FAILED"
TEMP_EXCURSION = "TEMP_EXCURSION"  # a protocol defines it where it has temperatures
HOLD_TIME_EXCEEDED = "HOLD_TIME_EXCEEDED"
THAW_CLOCK_EXCEEDED = "THAW_CLOCK_EXCEEDED"
LATE_DELIVERY = "LATE_DELIVERY"
LATE = "LATE"
SILENCE = "SILENCE"
MATERIAL_LOST = "MATERIAL_LOST"
TIMELINE_IMPOSSIBLE = "TIMELINE_IMPOSSIBLE"

_BUILT_IN = {
    IDENTITY_MISMATCH: (
        {
            "en": "Identity mismatch",
            "sv": "Identiteten stämmer inte",
            "es": "La identidad no coincide",
        },
        "identity",
        "critical",
    ),
    UNKNOWN_ANSWER: (
        {
            "en": "A check could not be answered",
            "sv": "En kontroll kunde inte besvaras",
            "es": "Una comprobación no se pudo responder",
        },
        "interpretation",
        "major",
    ),
    CHECK_FAILED: (
        {
            "en": "A check failed",
            "sv": "En kontroll underkändes",
            "es": "Una comprobación no se superó",
        },
        "condition",
        "major",
    ),
    HOLD_TIME_EXCEEDED: (
        {
            "en": "Shelf life exceeded",
            "sv": "Hållbarhetstiden överskriden",
            "es": "Caducidad superada",
        },
        "timing",
        "critical",
    ),
    THAW_CLOCK_EXCEEDED: (
        {
            "en": "Time after thaw exceeded",
            "sv": "Tiden efter upptining överskriden",
            "es": "Tiempo tras la descongelación superado",
        },
        "timing",
        "critical",
    ),
    LATE_DELIVERY: (
        {"en": "Later than agreed", "sv": "Senare än avtalat", "es": "Más tarde de lo acordado"},
        "timing",
        "major",
    ),
    LATE: (
        {"en": "Later than planned", "sv": "Senare än planerat", "es": "Más tarde de lo previsto"},
        "timing",
        "minor",
    ),
    SILENCE: (
        {
            "en": "Nothing has happened for too long",
            "sv": "Inget har hänt på för länge",
            "es": "No ha ocurrido nada durante demasiado tiempo",
        },
        "timing",
        "minor",
    ),
    MATERIAL_LOST: (
        {
            "en": "Material lost or destroyed",
            "sv": "Material förlorat eller förstört",
            "es": "Material perdido o destruido",
        },
        "custody",
        "critical",
    ),
    TIMELINE_IMPOSSIBLE: (
        {
            "en": "The stated time cannot be right",
            "sv": "Den angivna tiden kan inte stämma",
            "es": "La hora indicada no puede ser correcta",
        },
        "documentation",
        "major",
    ),
}
BUILT_IN: dict[str, Deviation] = {
    code: Deviation(title=title, kind=kind, severity=severity, proposal=True)  # type: ignore[arg-type]
    for code, (title, kind, severity) in _BUILT_IN.items()
}


def catalogue(protocol: Protocol) -> dict[str, Deviation]:
    """Return every deviation that can be raised under `protocol`, by code."""
    return {**BUILT_IN, **protocol.deviations}


def entry(protocol: Protocol, code: str) -> Deviation:
    """Return the entry `code`; raise KeyError if neither the protocol nor the core knows it."""
    found = protocol.deviations.get(code)
    return found if found is not None else BUILT_IN[code]
