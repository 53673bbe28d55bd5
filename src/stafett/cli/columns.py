"""What the columns of a log mean, as a command is told: `--column ROLE=NAME`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click


def columns(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that reads a log the option to say what its columns mean."""
    return click.option(
        "--column", "-c", "columns", multiple=True, metavar="ROLE=NAME",
        help="Say what a column means, e.g. group=Department.",
    )(command)  # fmt: skip


def stated(given: Sequence[str]) -> dict[str, str]:
    """The names of columns by their role; a usage error where one is not ROLE=NAME."""
    found = {}
    for text in given:
        role, mark, name = text.partition("=")
        if not mark or not role or not name:
            what = f"{text!r} is not of the form ROLE=NAME"
            raise click.BadParameter(what, param_hint="--column")
        found[role] = name
    return found
