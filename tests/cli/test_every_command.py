"""Every command of `stafett`: what holds for all of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from stafett.cli.main import main

# These serve until they are stopped, or write what is no data: a drawing, a schema, files.
NO_JSON = {
    "demo", "serve", "witness run", "protocol draw", "protocol schema",
    "protocol show", "design show", "readings broker",
}  # fmt: skip


def commands(
    group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Give each command that does something, with the words that call it."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


EVERY = dict(commands(main))


def test_there_are_as_many_commands_as_this_looks_at() -> None:
    """The walk reaches the rooms, not only their names."""
    assert len(EVERY) > 60 and EVERY.keys() >= NO_JSON


@pytest.mark.parametrize("name", EVERY)
def test_a_command_says_what_it_does_and_refuses_what_it_does_not_know(name: str) -> None:
    """--help is status 0 and one sentence first; an unknown option is status 2, and is named."""
    told = CliRunner().invoke(main, [*name.split(), "--help"])
    assert told.exit_code == 0, told.output
    sentence = (EVERY[name].help or "").split("\n\n")[0]
    assert re.match(r"[A-Z].+\.$", " ".join(sentence.split())), sentence
    asked = CliRunner().invoke(main, [*name.split(), "--no-such-option"])
    assert asked.exit_code == 2
    assert "--no-such-option" in asked.output and "Traceback" not in asked.output


@pytest.mark.parametrize("group", sorted({n.rpartition(" ")[0] for n in EVERY} - {""}))
def test_the_help_of_a_group_says_what_each_command_does_in_a_whole_sentence(group: str) -> None:
    """Cut off in the middle (`Put BACKUP into the new data folder FOLDER, start it, and...`) it
    says half."""
    told = CliRunner().invoke(main, [*group.split(), "--help"], terminal_width=80)
    listed = told.output.partition("Commands:")[2]
    assert listed.strip() and "..." not in listed
    for name, command in EVERY.items():
        if name.startswith(f"{group} "):
            first = " ".join((command.help or "").split()).split(". ")[0].rstrip(".")
            assert first in " ".join(listed.split()), name


@pytest.mark.parametrize("name", sorted(EVERY.keys() - NO_JSON))
def test_a_command_gives_its_answer_as_json(name: str) -> None:
    """Whatever a script may want to know: --json, a flag."""
    (option,) = [p for p in EVERY[name].params if "--json" in p.opts]
    assert isinstance(option, click.Option) and option.is_flag


def test_each_command_and_each_option_is_completed() -> None:
    """Word by word from the first letters, in the shells' own protocol."""
    completing = ShellComplete(main, {}, "stafett", "_STAFETT_COMPLETE")
    for name, command in EVERY.items():
        *before, last = name.split()
        found = {c.value for c in completing.get_completions(before, last[:2])}
        assert last in found, name
        options = {c.value for c in completing.get_completions(name.split(), "--")}
        known = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
        assert {o for o in known if o.startswith("--")} <= options, name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    """What the documentation says to evaluate is a script for that shell."""
    code = "from stafett.cli.main import main; main(prog_name='stafett')"
    environment = os.environ | {"_STAFETT_COMPLETE": f"{shell}_source"}
    made = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert f"_STAFETT_COMPLETE={shell}_complete" in made.stdout


def calls_for_nothing(command: click.Command) -> list[str] | None:
    """Give a call that names what does not exist; None where nothing need be named."""
    options = [p for p in command.params if isinstance(p, click.Option)]
    away = [o for o in options if "--url" in o.opts and not o.required]
    arguments = [p for p in command.params if isinstance(p, click.Argument) and p.required]
    if not (arguments or away):
        return None
    given = ["--url", "http://127.0.0.1:9"] if away else []
    for option in options:
        if option.required or "--password" in option.opts:
            kind = option.type
            value = "no-such-thing"
            if isinstance(kind, click.Choice):
                value = str(kind.choices[0])
            elif isinstance(kind, click.DateTime):
                value = "2026-01-01"
            given += [option.opts[0], value]
    words = ["7" if a.type is click.INT else "no-such-thing" for a in arguments]
    return [*given, *words]


@pytest.mark.parametrize("name", [n for n, c in EVERY.items() if calls_for_nothing(c)])
def test_what_is_not_there_is_one_line_and_a_status(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such file, system, journey or tower: status 1 or 2, said in words, never a traceback."""
    monkeypatch.chdir(tmp_path)
    given = calls_for_nothing(EVERY[name])
    assert given is not None
    called = CliRunner().invoke(main, [*name.split(), *given])
    assert called.exit_code in (1, 2), (name, called.output)
    assert isinstance(called.exception, SystemExit), (name, called.exception)
    assert called.output.strip(), name
    assert list(tmp_path.iterdir()) == [], name


@pytest.mark.parametrize("address", ["postgresql://127.0.0.1:9/none", "no address"])
def test_a_database_that_is_away_is_one_line(address: str, tmp_path: Path) -> None:
    """Refused connections and addresses that are none: status 2, said in words."""
    out = str(tmp_path / "o.jsonocel")
    given = ["exchange", "export", out, "--to", "ocel-json", "--database", address]
    called = CliRunner().invoke(main, given)
    assert called.exit_code == 2
    assert isinstance(called.exception, SystemExit), called.exception
    assert "the database cannot be reached" in called.output
