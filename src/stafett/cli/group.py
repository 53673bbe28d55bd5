"""A group of commands whose help says what each of them does, in a whole sentence."""

from __future__ import annotations

import re

import click

_SENTENCE = re.compile(r"(.+?\.)(?:\s|$)", re.S)


class Sentences(click.Group):
    """A group that wraps its commands' first sentences; cut off in the middle they say nothing."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command's name and first sentence."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            assert command is not None
            text = " ".join((command.help or "").split())
            found = _SENTENCE.match(text)
            rows.append((name, found[1] if found else text))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
