"""Stafett: every handoff in the delivery of an advanced therapy, an engineered control point."""

__version__ = "0.1.0"
