"""Deviations while they can still be mended: deadlines, conditions, silence, escalation."""
