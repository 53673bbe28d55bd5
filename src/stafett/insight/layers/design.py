"""From a table to the matrices of a mixed model, and what the data cannot tell, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

LAYERS = ("biological", "operational", "institutional")
MOST_REMAINING = 8_000  # dense Cholesky of the levels beside the largest factor: 0.5 GB at 8,000


class NotIdentifiableError(ValueError):
    """The data cannot answer; the message says why, in words."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A source of variability: the levels of one column, or the combinations of several.

    `layer` is biological (patient, starting material), operational (operator, team, shift,
    equipment) or institutional (site, pair giver × receiver, protocol version).
    """

    name: str
    layer: str
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.layer not in LAYERS:
            raise ValueError(f"layer {self.layer!r} is none of {', '.join(LAYERS)}")
        if not self.columns:
            object.__setattr__(self, "columns", (self.name,))


@dataclass(frozen=True)
class Design:
    """y (n,), X (n, p) of full rank with column names; for each factor codes (n,) in 0..q-1."""

    y: Floats
    x: Floats
    x_names: tuple[str, ...]
    factors: tuple[Factor, ...]
    codes: tuple[Codes, ...]
    labels: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.y)

    @property
    def levels(self) -> tuple[int, ...]:
        """The number of levels of each factor."""
        return tuple(len(labels) for labels in self.labels)


def design(
    frame: pl.DataFrame,
    outcome: str,
    factors: Sequence[Factor],
    covariates: Sequence[str] = (),
) -> Design:
    """Build a design; rows with a missing outcome, factor or covariate are left out and counted.

    A numeric covariate enters as it is; any other as contrasts to its first level. Factors that the
    data cannot tell (one level, one row per level, the same grouping as another) are left out and
    the notes say so.

    Raises:
        NotIdentifiableError: no rows, a constant outcome, or no factor left.
    """
    needed = list(dict.fromkeys([outcome, *covariates, *(c for f in factors for c in f.columns)]))
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise NotIdentifiableError(f"the data have no column {', '.join(map(repr, absent))}")
    notes: list[str] = []
    numeric = frame.select(needed).with_columns(pl.col(outcome).cast(pl.Float64, strict=False))
    numeric = numeric.with_columns(pl.col(outcome).fill_nan(None))
    whole = numeric.drop_nulls().filter(pl.col(outcome).is_finite())
    if lost := frame.height - whole.height:
        notes.append(
            f"{lost:,} of {frame.height:,} rows ({lost / max(1, frame.height):.0%}) lack a value "
            "and were left out; if whether a value is missing depends on what it would have been, "
            "the shares are biased."
        )
    if whole.is_empty():
        raise NotIdentifiableError(f"no row has {outcome!r} and every factor and covariate")
    y = whole[outcome].to_numpy().astype(np.float64)
    if np.ptp(y) == 0:
        raise NotIdentifiableError(
            f"{outcome!r} is {y[0]:g} in all {len(y):,} rows: it does not vary, so it has no shares"
        )
    x, names = _fixed(whole, covariates, notes)
    kept, codes, labels = _random(whole, factors, notes)
    if not kept:
        raise NotIdentifiableError(
            "no factor is left whose share could be told: " + " ".join(notes)
        )
    if len(y) <= x.shape[1] + 1:
        raise NotIdentifiableError(f"{len(y)} rows are too few for {x.shape[1]} fixed effects")
    return Design(y, x, names, tuple(kept), tuple(codes), tuple(labels), tuple(notes))


def _fixed(
    frame: pl.DataFrame, covariates: Sequence[str], notes: list[str]
) -> tuple[Floats, tuple[str, ...]]:
    columns, names = [np.ones(frame.height)], ["(intercept)"]
    for name in covariates:
        series = frame[name]
        if series.dtype.is_numeric() or series.dtype == pl.Boolean:
            columns.append(series.cast(pl.Float64).to_numpy())
            names.append(name)
            continue
        values = series.cast(pl.String)
        for level in sorted(values.unique())[1:]:
            columns.append((values == level).to_numpy().astype(np.float64))
            names.append(f"{name}={level}")
    x = np.column_stack(columns)
    keep: list[int] = []
    basis = np.empty((len(x), 0))
    for j in range(x.shape[1]):
        rest = x[:, j] - basis @ (basis.T @ x[:, j])
        rest -= basis @ (basis.T @ rest)
        if np.linalg.norm(rest) <= 1e-9 * max(1e-300, float(np.linalg.norm(x[:, j]))):
            notes.append(f"The covariate {names[j]} is a combination of others and was left out.")
            continue
        basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
        keep.append(j)
    return x[:, keep], tuple(names[j] for j in keep)


def _random(
    frame: pl.DataFrame, factors: Sequence[Factor], notes: list[str]
) -> tuple[list[Factor], list[Codes], list[tuple[str, ...]]]:
    kept: list[Factor] = []
    codes: list[Codes] = []
    labels: list[tuple[str, ...]] = []
    for factor in factors:
        text = pl.concat_str([pl.col(c).cast(pl.String) for c in factor.columns], separator=" × ")
        values = frame.select(text.alias("level"))["level"]
        names = sorted(values.unique())
        place = dict(zip(names, range(len(names)), strict=True))
        code = values.replace_strict(place, return_dtype=pl.Int64).to_numpy()
        where = f"{factor.name} ({factor.layer})"
        if len(names) == 1:
            notes.append(
                f"{where} has one level ({names[0]}), so what it contributes cannot be told."
            )
        elif len(names) == frame.height:
            notes.append(
                f"{where} has a level of its own for each row: it cannot be told from the residual."
            )
        elif alias := next(
            (f for f, c in zip(kept, codes, strict=True) if _same_grouping(c, code)), None
        ):
            notes.append(
                f"{where} groups the rows exactly as {alias.name} ({alias.layer}) does: "
                f"the two cannot be told apart, and what is booked on {alias.name} may be "
                f"{factor.name}'s."
            )
        else:
            kept.append(factor)
            codes.append(code)
            labels.append(tuple(names))
    remaining = sum(map(len, labels)) - max(map(len, labels), default=0)
    if remaining > MOST_REMAINING:
        raise NotIdentifiableError(
            f"beside the largest factor there are {remaining:,} levels; this method takes at most "
            f"{MOST_REMAINING:,}. Leave out a factor or take a sample of cases."
        )
    return kept, codes, labels


def _same_grouping(one: Codes, other: Codes) -> bool:
    pairs = len(np.unique(one * (int(other.max()) + 1) + other))
    return pairs == int(one.max()) + 1 == int(other.max()) + 1
