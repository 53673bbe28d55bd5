"""Files from loggers: layouts are found, nothing is guessed, sending twice changes nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.watch.loggerfile import chunks, read
from stafett.watch.reading import BadChunk, decode

LAYOUTS = {
    "plain": "time,temperature\n2026-03-02T07:30:00Z,-150.5\n2026-03-02T07:31:00Z,-150.4\n",
    "semicolon": "\ufeffSerienr;4711\n\nDatum/Tid;Temperatur (°C)\n"
    "2026-03-02 08:30:00;-150,5\n2026-03-02 08:31:00;-150,4\n",
    "two columns": "Trip 12\nDate,Time,Temperature(°C),Batt\n02/03/2026,08:30:00,-150.5,80%\n"
    "02/03/2026,08:31:00,-150.4,80%\n",
    "tabs": "No.\tTimestamp\tChannel 1\n1\t02.03.2026 08:30:00\t-150,5\n"
    "2\t02.03.2026 08:31:00\t-150,4\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_says_the_same(layout: str) -> None:
    """Delimiter, header, decimal comma, one column of time or two."""
    found = read(LAYOUTS[layout], zone="Europe/Stockholm", day_first=True)
    assert found.times == [1772436600.0, 1772436660.0]
    assert found.channels["temperature_c"] == [-150.5, -150.4]
    made = [decode(part) for part in chunks(found)]
    assert sum(len(c) for c in made) == 2
    assert made[0].channels["temperature_c"][0] == -150.5
    assert chunks(found) == chunks(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,temperature\n2026-03-02 07:30:00,5\n", "no zone"),
        ("time,temperature\n03/02/2026 07:30:00,5\n", "day or the month"),
        ("time,temperature (°F)\n2026-03-02T07:30:00Z,40\n", "Fahrenheit"),
        ("time,temperature\n2026-03-02T07:30:00Z,warm\n", "line 2"),
        ("time,temperature\n", "no readings"),
        ("a,b\n1,2\n", "no line names"),
    ],
)
def test_what_is_not_told_is_not_guessed(text: str, said: str) -> None:
    """The refusal names the line and what to do."""
    with pytest.raises(BadChunk) as caught:
        read(text)
    assert said in str(caught.value)


def test_a_missing_value_is_not_a_number() -> None:
    """An empty cell is a reading that is not known."""
    found = read("time,temperature\n2026-03-02T07:30:00Z,\n2026-03-02T07:31:00Z,4\n")
    assert math.isnan(found.channels["temperature_c"][0])


def test_a_dry_run_says_what_the_file_holds(tmp_path: Path) -> None:
    """Nothing is sent; a file that cannot be read ends with status 2."""
    path = tmp_path / "trip.csv"
    path.write_text(LAYOUTS["semicolon"])
    good = ["readings", "import", str(path), "--dry-run", "--json", "--zone", "Europe/Stockholm"]
    done = CliRunner().invoke(main, good)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["readings"], said["sent"], said["warmest_c"]) == (2, False, -150.4)
    assert CliRunner().invoke(main, ["readings", "import", str(path), "--dry-run"]).exit_code == 2
