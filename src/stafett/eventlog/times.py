"""Times as people write them in logs, read column by column; a zone is never guessed.

The formats tried are those in which day, month and year cannot be mistaken for one another. For
others (``03/04/2025``) the caller says the format.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import polars as pl

from stafett.eventlog.problems import LogUnreadableError

_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y")
_CLOCKS = ("%H:%M:%S%.f", "%H:%M")
NAIVE = tuple(f"{d}{gap}{c}" for d in _DATES for gap in "T " for c in _CLOCKS) + _DATES
ZONED = tuple(f"{d}{gap}{c}%#z" for d in _DATES for gap in "T " for c in _CLOCKS)
SAMPLE = 1000
YEARS = (1900, 2200)


@dataclass(frozen=True, slots=True)
class Times:
    """A column of times: UTC instants (null where unreadable) and how many rows named no zone."""

    values: pl.Series
    without_zone: int


def check_zone(zone: str | None) -> str | None:
    """Return `zone` if it is an IANA name.

    Raises:
        LogUnreadableError: no such zone.
    """
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise LogUnreadableError(
                f"no time zone is called {zone!r}; use an IANA name such as Europe/Stockholm"
            ) from error
    return zone


def parse_times(column: pl.Series, *, zone: str | None = None, fmt: str | None = None) -> Times:
    """Read a column of text (or of dates) as instants.

    `zone` is the zone of those rows that name none; when it is None their clock is kept as
    written (labelled UTC) and counted in `without_zone`. `fmt` is a strftime format that replaces
    the guesses. A clock time that a daylight-saving change makes ambiguous is taken as the earlier
    instant; one that it skips does not exist and is null.
    """
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone:
            return Times(column.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC")), 0)
        return Times(
            _settle(column.cast(pl.Datetime("us")), zone), column.len() - column.null_count()
        )
    text = column.cast(pl.String).str.strip_chars()
    zoned = (fmt,) if fmt and "z" in fmt.lower() else () if fmt else ZONED
    naive = (fmt,) if fmt and not zoned else () if fmt else NAIVE
    values = _first_that_reads(text, zoned, pl.Datetime("us", "UTC"))
    left = values.is_null() & text.is_not_null()
    if not left.any() or not naive:
        return Times(values, 0)
    clocks = _first_that_reads(
        text.set(~left, None) if not left.all() else text, naive, pl.Datetime("us")
    )
    return Times(values.zip_with(~left, _settle(clocks, zone)), clocks.len() - clocks.null_count())


def _settle(clocks: pl.Series, zone: str | None) -> pl.Series:
    """Turn clock readings into instants, in `zone` or (None) as they stand."""
    if zone is None:
        return clocks.dt.replace_time_zone("UTC")
    return clocks.dt.replace_time_zone(
        zone, ambiguous="earliest", non_existent="null"
    ).dt.convert_time_zone("UTC")


def _first_that_reads(text: pl.Series, formats: tuple[str, ...], dtype: pl.Datetime) -> pl.Series:
    """Parse with the format that reads most of a sample, then what is left with the others."""
    values = pl.Series(text.name, [None], dtype=dtype).new_from_index(0, text.len())
    left = text
    for fmt in _ranked(text, formats, dtype):
        read = _parse(left, fmt, dtype)
        values = read if left is text else values.zip_with(values.is_not_null(), read)
        left = text.set(values.is_not_null(), None)
        if left.null_count() == left.len():
            break
    return values


def _ranked(text: pl.Series, formats: tuple[str, ...], dtype: pl.Datetime) -> list[str]:
    """Order `formats` by how much of a sample (of the start and of the whole) they read."""
    present = text.drop_nulls()
    step = max(1, present.len() // SAMPLE)
    sample = pl.concat([present.head(SAMPLE), present.gather_every(step)])
    counts = {fmt: sample.len() - _parse(sample, fmt, dtype).null_count() for fmt in formats}
    best = sorted((fmt for fmt in formats if counts[fmt]), key=lambda fmt: -counts[fmt])
    # A rare other format hides from the sample: try all on what little is left.
    return best + [fmt for fmt in formats if not counts[fmt]] if best else []


def _parse(text: pl.Series, fmt: str, dtype: pl.Datetime) -> pl.Series:
    if dtype.time_zone:
        read = text.str.to_datetime(fmt, time_unit="us", time_zone="UTC", strict=False)
    elif not any(mark in fmt for mark in ("%H", "%I", "%s")):
        read = text.str.to_date(fmt, strict=False).cast(pl.Datetime("us"))
    else:
        read = text.str.to_datetime(fmt, time_unit="us", strict=False)
    # %Y also reads "06" as the year 6: a log from outside these years was misread.
    return read.set(~read.dt.year().is_between(*YEARS), None)
