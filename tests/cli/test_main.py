"""The command itself."""

from __future__ import annotations

import importlib

import click
from click.testing import CliRunner

from stafett.cli.main import VERBS, main


def test_help_lists_every_verb() -> None:
    """`stafett --help` names each verb with its one line, and imports none of them."""
    out = CliRunner().invoke(main, ["--help"])
    assert out.exit_code == 0
    for verb in VERBS:
        assert verb in out.output


def test_every_verb_leads_to_a_command() -> None:
    """Each entry of the table names a command that exists."""
    for path, _ in VERBS.values():
        module, function = path.split(":")
        assert isinstance(getattr(importlib.import_module(module), function), click.Command)


def test_an_unknown_verb_is_refused() -> None:
    """A verb that does not exist ends in exit status 2 and says so."""
    out = CliRunner().invoke(main, ["nosuch"])
    assert out.exit_code == 2
    assert "No such command" in out.output
