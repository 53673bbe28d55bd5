"""The table of diagnostics: every code the proof can give, why it matters and how to mend it.

`docs/reference/diagnostics.md` is made from it; its parts are in `stafett.protocol.diagnosed`.
"""

from __future__ import annotations

from stafett.protocol.diagnosed.figures import FIGURES
from stafett.protocol.diagnosed.matching import MATCHING
from stafett.protocol.diagnosed.names import NAMES
from stafett.protocol.diagnosed.paths import PATHS
from stafett.protocol.diagnosed.questions import QUESTIONS
from stafett.protocol.diagnosed.safeguards import SAFEGUARDS
from stafett.protocol.diagnosed.time import TIME
from stafett.protocol.diagnostic import Diagnostic, Severity

__all__ = ["DIAGNOSTICS", "GROUPS", "HELD", "Diagnostic", "Severity"]

# The groups, in the order in which they are checked and documented.
GROUPS: dict[str, str] = {
    "names": "Names and shape",
    "figures": "Figures and limits",
    "questions": "Questions that are unambiguous",
    "matching": "Identity matched on both sides",
    "safeguards": "Routes, ladders and signatures",
    "paths": "Every path: custody, gates and ends",
    "time": "Shelf life against the longest permitted path",
}

# What the summary line says when a group is without error.
HELD: dict[str, str] = {
    "names": "every name exists and every part fits",
    "figures": "every figure has its source and no limits contradict each other",
    "questions": "every question has closed answers or a unit and limits",
    "matching": "identity is matched on both sides at each change of custodian and of container",
    "safeguards": "every interface has its routes, limits, ladder and signatures",
    "paths": "one custodian and one owner at each moment; gates hold; every path ends",
    "time": "the longest permitted path fits each shelf life",
}

DIAGNOSTICS: dict[str, Diagnostic] = {
    **NAMES,
    **FIGURES,
    **QUESTIONS,
    **MATCHING,
    **SAFEGUARDS,
    **PATHS,
    **TIME,
}
