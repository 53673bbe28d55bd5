"""What a shell offers when somebody presses the tab key: built-in names, and YAML files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def named(names: Callable[[], Iterable[str]], *, files: bool = True) -> Complete:
    """Offer `names`, and with `files` the YAML files; where neither fits, the shell's own."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        found = [name for name in names() if name.startswith(begun)]
        if files:
            found += _yaml(begun)
        if not found and files:
            return [CompletionItem(begun, type="file")]
        return [CompletionItem(name) for name in found]

    return complete


def _yaml(begun: str) -> list[str]:
    """Give the YAML files whose path begins so, written as it was begun."""
    folder, slash, start = begun.rpartition("/")
    try:
        inside = sorted(Path(folder + slash if slash else ".").iterdir())
    except OSError:
        return []
    return [
        f"{folder}{slash}{path.name}"
        for path in inside
        if path.name.startswith(start) and path.suffix in (".yaml", ".yml") and path.is_file()
    ]
