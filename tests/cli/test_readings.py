"""`stafett readings`: what is asked of whoever brings a logger's file in."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from stafett.cli.main import main


def test_a_misspelt_zone_names_the_one_that_was_meant(tmp_path: Path) -> None:
    """A zone is never guessed; a slip is told with what is likely meant, status 2."""
    file = tmp_path / "trip.csv"
    file.write_text("Date;Time;Temp °C\n2026-03-02;08:30;-152,1\n")
    called = ["readings", "import", str(file), "--dry-run", "--zone"]
    slip = CliRunner().invoke(main, [*called, "Europe/Stokholm"])
    assert slip.exit_code == 2 and "such as Europe/Stockholm" in slip.output
    right = CliRunner().invoke(main, [*called, "Europe/Stockholm"])
    assert right.exit_code == 0 and "2026-03-02T07:30:00" in right.output


def test_the_brokers_files_are_of_the_tower_in_a_folder(tmp_path: Path) -> None:
    """Where there is none it is said, and nothing is written."""
    done = CliRunner().invoke(
        main,
        ["readings", "broker", str(tmp_path / "mqtt"), "--folder", str(tmp_path / "t")],
        env={"STAFETT_MQTT_PASSWORD": "p"},
    )
    assert done.exit_code == 2 and "holds no record" in done.output
    assert list(tmp_path.iterdir()) == []
