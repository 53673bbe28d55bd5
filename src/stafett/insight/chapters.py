"""The chapters of what a record teaches, in order: key and English name. What makes them is in
`insight.report.assemble`, which loads the numerical libraries; who only lists them need not.
"""

from __future__ import annotations

NAMES = {
    "interfaces": "Interfaces",
    "layers": "Layers of variability",
    "origin": "Origin",
    "process": "Process and protocol",
    "control": "Control",
    "agreement": "Agreement",
    "feedback": "Feedback",
    "trials": "Trials",
}

# The outcomes whose variation the layers split (`insight.outcomes`): key, as an address says it.
OUTCOMES = ("dwell", "step_duration", "viability", "right_first_time", "severity")
