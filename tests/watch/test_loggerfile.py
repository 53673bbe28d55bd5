"""Files from loggers: layouts are found, nothing is guessed, sending twice changes nothing."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.cli.main import main
from stafett.watch.filechunks import chunks
from stafett.watch.filetext import text_of
from stafett.watch.loggerfile import read
from stafett.watch.reading import BadChunk, decode
from stafett.watch.series import Arrived, merge

# What two readings (-150.5 and -150.4 °C, a minute apart) look like in exports that there are.
LAYOUTS = {
    "plain": "time,temperature (C)\n2026-03-02T07:30:00Z,-150.5\n2026-03-02T07:31:00Z,-150.4\n",
    "semicolon": "\ufeffSerienr;4711\n\nDatum/Tid;Temperatur (°C)\n"
    "2026-03-02 08:30:00;-150,5\n2026-03-02 08:31:00;-150,4\n",
    "two columns": "Trip 12\nDate,Time,Temperature(°C),Batt\n02/03/2026,08:30:00,-150.5,80%\n"
    "02/03/2026,08:31:00,-150.4,80%\n",
    "tabs": "No.\tTimestamp\tChannel 1 [°C]\n1\t02.03.2026 08:30:00\t-150,5\n"
    "2\t02.03.2026 08:31:00\t-150,4\n",
    "a counter of readings": "Reading,Date,Time,Temperature °C\n1,2026-03-02,08:30:00,-150.5\n"
    "2,2026-03-02,08:31:00,-150.4\n",
    "offset in the column, commas in quotes, two-digit years, AM": '"Plot Title: trip"\n'
    '"#","Date Time, GMT+01:00","Temp, °C (LGR S/N: 1, SEN S/N: 1)"\n'
    "1,02/03/26 08:30:00 AM,-150.5\n2,02/03/26 08:31:00 AM,-150.4\n",
    "a line of the zone, two-digit years": "Zeitzone;UTC+01:00\nDatum;Uhrzeit;[°C] Kanal 1\n"
    "02.03.26;08:30:00;-150,5\n02.03.26;08:31:00;-150,4\n",
    "unit beside each value, months by name": "sep=;\nFecha/hora;Temperatura\n"
    "2-mar-2026 8:30:00 a. m.;-150,5 °C\n2-mar-2026 8:31:00 a. m.;-150,4 °C\n",
    "the unit above the table, an offset in each time": "Unit;Celsius\nHora;Valor\n"
    "2026-03-02 08:30:00 +0100;-150,5\n2026-03-02 08:31:00 +0100;-150,4\n",
    "the latest first, quoted decimal commas, a line below": 'Timestamp (UTC),"Temp (°C)"\n'
    '2026-03-02 07:31,"-150,4"\n2026-03-02 07:30,"-150,5"\n\nEnd of file\n',
    "the order of the date in the header": "Date (DD/MM/YYYY),Time,Temp °C\n"
    "02/03/2026,8:30 AM,-150.5\n02/03/2026,8:31 AM,-150.4\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_says_the_same(layout: str) -> None:
    """Delimiter, header, decimal comma, unit, zone, order of day and month: all are found."""
    asked = "02/03" in LAYOUTS[layout] and "DD/MM" not in LAYOUTS[layout]
    found = read(LAYOUTS[layout], zone="Europe/Stockholm", day_first=True if asked else None)
    assert sorted(found.times) == [1772436600.0, 1772436660.0]
    assert sorted(found.channels["temperature_c"]) == [-150.5, -150.4]
    made = [decode(part) for part in chunks(found)]
    assert sum(len(c) for c in made) == 2
    assert made[0].channels["temperature_c"][0] == -150.5
    assert chunks(found) == chunks(found)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_each_encoding_is_the_same_text(encoding: str) -> None:
    """Windows programs write all of these, some without saying so."""
    assert text_of(LAYOUTS["semicolon"].strip("\ufeff").encode(encoding)) == (
        LAYOUTS["semicolon"].strip("\ufeff")
    )


@pytest.mark.parametrize(("data", "what"), [(b"%PDF-1.7", "PDF"), (b"PK\x03\x04..", "workbook")])
def test_what_is_no_table_is_named(data: bytes, what: str) -> None:
    """A logger's PDF report and a workbook are told from a text that cannot be read."""
    with pytest.raises(BadChunk, match=what):
        text_of(data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,temp (C)\n2026-03-02 07:30:00,5\n", "no zone"),
        ("time,temp (C)\n03/02/2026 07:30:00Z,5\n", "day or the month"),
        ("time,temp (C)\n26/03/02 07:30:00Z,5\n", "day or the month"),
        ("time,temperature\n2026-03-02T07:30:00Z,5\n", "no unit"),
        ("time,°C,°F\n2026-03-02T07:30:00Z,5,41\n", "several columns"),
        ("time,temp °C\n2026-03-02T07:30:00Z,41 °F\n", "several units"),
        ("time,temp (C)\n2026-03-02T07:30:00Z,warm\n", "line 2"),
        ("time,temp (C)\n2026-03-02T07:30:00Z,1.234,5\nx\n2026-03-02T07:31:00Z,4\n", "line 3"),
        ("UTC offset;+01:00\nTime zone: UTC\ntime;°C\n2026-03-02 07:30;5\n", "two zones"),
        ("UTC offset;+51:00\ntime;°C\n2026-03-02 07:30;5\n", "no offset from UTC"),
        ("time;°C\n0001-03-02 07:30Z;5\n", "between 1990 and 2100"),
        ("UTC offset;1\ntime;°C\n2026-03-02 07:30;5\n", "no zone"),
        ("Zone: (UTC+01:00) Amsterdam\ntime;°C\n2026-03-02 07:30;5\n", "no zone"),
        ("time,temp (C)\n", "no readings"),
        ("a,b\n1,2\n", "no line names"),
    ],
)
def test_what_is_not_told_is_not_guessed(text: str, said: str) -> None:
    """The refusal names the line and what to do."""
    with pytest.raises(BadChunk) as caught:
        read(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "zone", "day_first", "said"),
    [
        ("time;°C\n2026-03-02 07:30;5\n", "Europe", None, "is no time zone"),
        ("time;°C\n2026-03-02 07:30;5\n", "../zone", None, "is no time zone"),
        ("Time (UTC),°C\n13/03/2026 07:30,5\n", None, False, "the day first"),
        ("Time,°C\n2026-03-29 02:30,5\n", "Europe/Stockholm", None, "never on a clock"),
    ],
)
def test_what_contradicts_the_file_is_refused(
    text: str, zone: str | None, day_first: bool | None, said: str
) -> None:
    """The file's own word is not overruled; a time that never was shows that the zone is wrong."""
    with pytest.raises(BadChunk, match=said):
        read(text, zone=zone, day_first=day_first)


def test_what_the_file_does_not_say_the_caller_does() -> None:
    """Unit, column, zone and order."""
    text = "time,°C air,Probe temp\n03/02/2026 07:30,21,41\n03/02/2026 07:31,21,32\n"
    found = read(text, zone="UTC", day_first=False, unit="F", column="Probe temp")
    assert found.channels["temperature_c"] == [5.0, 0.0]
    assert (found.unit, found.order, found.columns["temperature_c"]) == (
        "F", "month first", "Probe temp",
    )  # fmt: skip


def test_fahrenheit_and_kelvin_become_celsius() -> None:
    """-40 is the same on both; 77.36 K is liquid nitrogen's."""
    text = "time,Temp °F\n2026-03-02T07:30:00Z,-40\n2026-03-02T07:31:00Z,-238.9\n"
    assert read(text).channels["temperature_c"] == [-40.0, -150.5]
    kelvin = "time,Temp [K]\n2026-03-02T07:30:00Z,77.36\n"
    assert read(kelvin).channels["temperature_c"] == [-195.79]


def test_a_thirteenth_month_tells_the_order() -> None:
    """One day after the twelfth says which number is the day, for the whole file."""
    text = "time,°C\n12/03/2026 23:59Z,5\n13/03/2026 00:00Z,5\n"
    found = read(text)
    assert found.times[1] - found.times[0] == 60
    assert found.order == "day first"


@pytest.mark.parametrize("way", [1, -1])
def test_the_hour_that_comes_twice_is_two_hours(way: int) -> None:
    """When summer time ends 02:30 stands twice, in a list from either end."""
    local = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"][::way]
    text = "time,°C\n" + "".join(f"2026-10-25 {at},5\n" for at in local)
    steps = np.diff(sorted(read(text, zone="Europe/Stockholm").times))
    assert list(steps) == [1800.0] * 5


def test_a_missing_value_is_not_a_number() -> None:
    """Empty, an error, beyond the sensor, or the number that stands for none: not known."""
    cells = ("", "---", "Err", "<-200", "999.9", "4")
    text = "time,°C\n" + "".join(f"2026-03-02T07:3{n}:00Z,{cell}\n" for n, cell in enumerate(cells))
    values = read(text).channels["temperature_c"]
    assert [math.isnan(v) for v in values] == [True] * 5 + [False]


def test_a_battery_in_volts_is_no_share() -> None:
    """Percent are read; what cannot be one is left out, and the temperatures stay."""
    head = "time,°C,Battery"
    assert read(f"{head} (%)\n2026-03-02T07:30:00Z,4,80\n").channels["battery"] == [0.8]
    assert "battery" not in read(f"{head}\n2026-03-02T07:30:00Z,4,3.6\n").channels


def test_irregular_times_are_kept_in_few_chunks() -> None:
    """Ten thousand readings that come a second early or late are five chunks, to the second."""
    at = [60 * n + n % 3 for n in range(10_000)]
    lines = [f"{np.datetime64('2026-03-02T07:30:00') + s}Z,{-150 - s % 7}" for s in at]
    made = [decode(part) for part in chunks(read("time,°C\n" + "\n".join(lines)))]
    assert len(made) == 5
    assert np.concatenate([c.times for c in made]).tolist() == [1772436600.0 + s for s in at]


def test_two_values_for_one_moment_stay_a_contradiction() -> None:
    """The same row twice is one reading; another value is seen as one too many."""
    row = "2026-03-02T07:30:00Z"
    text = f"time,°C\n{row},4\n{row},4\n{row},9\n2026-03-02T07:31:00Z,4\n"
    series = merge([Arrived(decode(part), 0.0, from_file=True) for part in chunks(read(text))])
    assert (series.conflicts, len(series)) == (1, 2)


def test_a_file_beside_what_was_sent_is_no_wrong_clock_and_nothing_missing() -> None:
    """A logger that sends and is read at the end: the file's parts are counted by themselves."""
    sent = {"v": 1, "start": "2026-03-02T07:30:00Z", "every_s": 60, "temperature_c": [4.0, 4.0]}
    live = Arrived(decode(json.dumps({**sent, "sequence": 5000}).encode()), 0.0)
    text = "time,°C\n" + "".join(f"2026-03-02T07:3{n}:00Z,4\n" for n in range(5))
    parts = chunks(read(text))
    again = chunks(read(text.rpartition("2026")[0]))  # read on the way, and once more at the end
    series = merge([live, *(Arrived(decode(p), 9.0, from_file=True) for p in (*parts, *again))])
    assert (series.steps, series.missing, series.conflicts, len(series)) == (0, 0, 0, 5)


CUTS = st.lists(
    st.tuples(
        st.integers(0, 400), st.integers(0, 12),
        st.sampled_from([b"", b";", b"\n", b'"', b"nan", b"99/99/9999", b"UTC+51:00", b"0001-",
                         b"-150,5", b"25:61", b"\0", b"\xff", "−".encode(), b"9" * 30]),
    ), max_size=6,
)  # fmt: skip


@given(cuts=CUTS, layout=st.sampled_from(sorted(LAYOUTS)), zone=st.sampled_from([None, "UTC"]))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused_by_name(
    cuts: list[tuple[int, int, bytes]], layout: str, zone: str | None
) -> None:
    """A file that was cut, doubled or spoilt never raises anything but BadChunk."""
    data = LAYOUTS[layout].encode()
    for at, length, put in cuts:
        data = data[:at] + put + data[at + length :]
    with contextlib.suppress(BadChunk):
        for part in chunks(read(text_of(data), zone=zone, day_first=True)):
            decode(part)


def test_a_dry_run_says_what_the_file_holds(tmp_path: Path) -> None:
    """Nothing is sent; a file that cannot be read ends with status 2."""
    path = tmp_path / "trip.csv"
    path.write_text(LAYOUTS["semicolon"])
    good = ["readings", "import", str(path), "--dry-run", "--json", "--zone", "Europe/Stockholm"]
    done = CliRunner().invoke(main, good)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["readings"], said["sent"], said["warmest_c"]) == (2, False, -150.4)
    assert (said["unit"], said["zone"]) == ("C", "Europe/Stockholm")
    assert CliRunner().invoke(main, ["readings", "import", str(path), "--dry-run"]).exit_code == 2
