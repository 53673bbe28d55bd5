"""`stafett protocol` behaves like a compiler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.cli.protocol import protocol
from stafett.protocol import schema

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "tests/protocol/small.yaml"


def test_errors_have_file_line_and_column_and_exit_status_1() -> None:
    """A protocol with holes: each on a line that an editor can jump to, and status 1."""
    done = CliRunner().invoke(protocol, ["check", str(SMALL)])
    assert done.exit_code == 1
    assert f"{SMALL}:37:3: error[no-escalation]: nobody is called" in done.output
    assert "why: " in done.output
    assert "mend: " in done.output


def test_json_has_the_same_findings() -> None:
    """With --json each finding is plain values."""
    done = CliRunner().invoke(protocol, ["check", "--json", str(SMALL)])
    said = json.loads(done.output)
    assert not said["ok"]
    assert {"no-escalation", "no-limit"} <= {finding["code"] for finding in said["findings"]}
    assert all(finding["line"] >= 1 for finding in said["findings"])


def test_what_cannot_be_read_has_exit_status_2(tmp_path: Path) -> None:
    """No file, no YAML, no such product, no such built-in protocol: status 2, and it is said."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("stafett: [")
    for arguments in (
        [str(tmp_path / "absent.yaml")],
        [str(bad)],
        [str(SMALL), "--product", "none"],
        ["no-such-protocol"],
    ):
        done = CliRunner().invoke(protocol, ["check", *arguments])
        assert done.exit_code == 2, arguments
        assert "error[unreadable]" in done.output


def test_the_committed_schema_is_current() -> None:
    """docs/reference/protocol.schema.json is what `stafett protocol schema` prints."""
    committed = (ROOT / "docs/reference/protocol.schema.json").read_text(encoding="utf-8")
    assert committed == schema.text()
    assert CliRunner().invoke(protocol, ["schema"]).output == committed


def test_the_output_in_the_howto_is_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/howto/check-a-protocol.md quotes a real answer, but for the time it took."""
    page = (ROOT / "docs/howto/check-a-protocol.md").read_text(encoding="utf-8")
    quoted = page.partition("```text\n")[2].partition("\n```")[0]
    monkeypatch.chdir(ROOT)
    file = "docs/examples/broken/32-nobody-carries-the-bag.yaml"
    said = CliRunner().invoke(protocol, ["check", file]).output
    assert said.rstrip().rpartition(", ")[0] == quoted
    holes = len(list((ROOT / "docs/examples/broken").glob("[0-9]*.yaml")))
    assert f"for each of {holes} holes" in page


def test_a_built_in_protocol_is_given_as_a_file_to_copy(tmp_path: Path) -> None:
    """What is shown checks as what is built in; an unknown name tells which there are."""
    out = CliRunner().invoke(
        main, ["protocol", "show", "allogeneic", "-o", str(tmp_path / "a.yaml")]
    )
    assert out.exit_code == 0
    assert CliRunner().invoke(main, ["protocol", "check", str(tmp_path / "a.yaml")]).exit_code == 0
    none = CliRunner().invoke(main, ["protocol", "show", "nosuch"])
    assert none.exit_code == 2 and "known: allogeneic" in none.output


def test_a_built_in_network_is_given_as_a_file_to_copy(tmp_path: Path) -> None:
    """Whoever describes their own system begins from one that works."""
    file = tmp_path / "mine.yaml"
    assert CliRunner().invoke(main, ["design", "show", "sweden", "-o", str(file)]).exit_code == 0
    assert CliRunner().invoke(main, ["design", "check", str(file)]).exit_code == 0
    none = CliRunner().invoke(main, ["design", "show", "nosuch"])
    assert none.exit_code != 0 and "known: " in none.output


def test_a_language_that_a_protocol_does_not_speak_is_named() -> None:
    """English stands in, and whoever asked for French knows that it does."""
    drawn = CliRunner().invoke(main, ["protocol", "draw", "allogeneic", "--language", "fr"])
    assert drawn.exit_code == 0
    assert "no text in 'fr'" in drawn.stderr and "sv" in drawn.stderr
    swedish = CliRunner().invoke(main, ["protocol", "draw", "allogeneic", "--language", "sv"])
    assert swedish.stderr == ""


def test_a_change_without_a_new_version_is_said(tmp_path: Path) -> None:
    """Journeys are pinned to a version: two files that differ must not bear the same one."""
    text = CliRunner().invoke(main, ["protocol", "show", "allogeneic"]).stdout
    (tmp_path / "old.yaml").write_text(text)
    (tmp_path / "new.yaml").write_text(text.replace("takes: {at_most: 4 h", "takes: {at_most: 3 h"))
    found = ["protocol", "diff", str(tmp_path / "old.yaml"), str(tmp_path / "new.yaml")]
    told = CliRunner().invoke(main, found)
    assert told.exit_code == 1 and "Both are version" in told.stderr
    assert "Both are" not in CliRunner().invoke(main, [*found[:3], found[2]]).output
