"""`stafett protocol`: the compiler for delivery chains."""

from __future__ import annotations

import click


@click.group()
def protocol() -> None:
    """Check, draw and compare delivery chains."""
