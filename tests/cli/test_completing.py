"""The tab key: a protocol's and a system's built-in names are offered, and YAML files."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from stafett.cli.main import main


def offered(*words: str, begun: str = "") -> list[tuple[str, str]]:
    found = ShellComplete(main, {}, "stafett", "_STAFETT_COMPLETE")
    return [(one.value, one.type) for one in found.get_completions(list(words), begun)]


@pytest.mark.parametrize(
    ("words", "begun", "name"),
    [
        (("protocol", "check"), "au", "autologous-car-t"),
        (("protocol", "draw"), "po", "point-of-care-car-t"),
        (("protocol", "diff", "allogeneic"), "al", "allogeneic"),
        (("protocol", "show"), "site", "site-onboarding"),
        (("design", "compare", "us"), "sweden-", "sweden-tissue"),
        (("design", "check"), "uk", "uk"),
        (("design", "show"), "uk", "uk"),
    ],
)
def test_built_in_names_are_offered(words: tuple[str, ...], begun: str, name: str) -> None:
    """The names that begin so, and no other."""
    found = [value for value, _ in offered(*words, begun=begun)]
    assert name in found and all(value.startswith(begun) for value in found), found


def test_yaml_files_are_offered_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the folder that is begun, as they are to be written; no other kind of file."""
    (tmp_path / "own").mkdir()
    for name in ("mine.yaml", "mine.txt", "own/two.yml"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    assert offered("protocol", "check", begun="mi") == [("mine.yaml", "plain")]
    assert offered("design", "compare", begun="own/") == [("own/two.yml", "plain")]
    assert offered("protocol", "check", begun="ow") == [("ow", "file")], "the shell's own files"
