"""The command itself."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

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


def test_a_setting_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """A mistake in the environment is one sentence with what would fit, and no traceback."""
    done = subprocess.run(
        [Path(sys.executable).with_name("stafett"), "serve"],
        cwd=tmp_path,
        env={**os.environ, "STAFETT_MLLP": "somewhere"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "STAFETT_MLLP: 'somewhere' is no address; write HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_verb_names_the_one_that_was_meant() -> None:
    """As in every group beneath it."""
    out = CliRunner().invoke(main, ["protcol", "list"])
    assert out.exit_code == 2
    assert "Did you mean 'protocol'?" in out.output
