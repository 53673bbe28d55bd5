"""An estimate as a network file that lies over the network it was estimated for."""

from __future__ import annotations

import json
from typing import Any

from stafett.design.calibrate.fit import Estimated, Fit


def figure(e: Estimated) -> str:
    """The figure as a network file writes it: value, interval, source."""
    low, value, high = (_digits(x) for x in (e.low, e.value, e.high))
    note = json.dumps(f"n = {e.n:,}", ensure_ascii=False)
    return (
        f"{{value: {value}, low: {low}, high: {high}, source: fit, interval: true, note: {note}}}"
    )


def _digits(x: float) -> str:
    """Enough digits to tell values apart; never an exponent (YAML would read a word)."""
    short = f"{x:.5g}"
    if "e" in short:
        short = f"{x:.10f}".rstrip("0").rstrip(".") or "0"
    return short


def overlay(found: Fit, base: str, name: str | None = None) -> str:
    """YAML text: `extends` the base network (built in, or a file beside) and replaces figures.

    What could not be estimated is said in comments at the end.
    """
    name = name or f"{found.network}-fitted"
    tree: dict[str, Any] = {}
    for e in found.estimates:
        part = tree
        for key in e.path[:-1]:
            part = part.setdefault(key, {})
        part[e.path[-1]] = figure(e)
    title = f"estimated from {found.source or 'a log'}, n = {found.cases:,} journeys, "
    title += f"{found.days:.0f} days; low and high are 95 % intervals"
    lines = [
        f"# By `stafett design fit`: {found.cases:,} journeys over {found.days:.0f} days.",
        "# What is not here the log does not show; it stays as the network below says.",
        f"extends: {base}",
        f"network: {name}",
        f"title: {json.dumps(f'{found.network}, as its record says', ensure_ascii=False)}",
        "sources:",
        f"  fit: {{title: {json.dumps(title, ensure_ascii=False)}}}",
        *_lines(tree, 0),
        "published: []",
    ]
    lines += [f"# {note}" for note in found.notes]
    return "\n".join(lines) + "\n"


def _lines(tree: dict[str, Any], depth: int) -> list[str]:
    out = []
    for key, value in tree.items():
        pad = "  " * depth
        if isinstance(value, dict):
            out += [f"{pad}{key}:", *_lines(value, depth + 1)]
        else:
            out.append(f"{pad}{key}: {value}")
    return out
