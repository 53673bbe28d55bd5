"""Finished replications as rows of a file, keyed by (model, horizon, seed, replication).

JSON lines, appended and flushed one by one: what is finished stays finished, whatever happens to
the rest. A torn last line is passed over. Histograms are kept sparse.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stafett.simulation.replication import Horizon, Sums
from stafett.simulation.tables import Model

Key = tuple[str, int, int]
"""Digest of model and horizon, seed, replication."""


def key(model: Model, horizon: Horizon, seed: int, replication: int) -> Key:
    """What a result depends on, and nothing else."""
    text = f"{model.digest} {horizon!r}"
    return hashlib.sha256(text.encode()).hexdigest(), seed, replication


class Store:
    """A file of results. One process writes it at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[Key, Sums] = {}
        if path.exists():
            text = path.read_bytes()
            for line in text.splitlines():
                try:
                    row = msgspec.json.decode(line)
                    self._rows[row["key"], row["seed"], row["replication"]] = _sums(row)
                except (msgspec.DecodeError, KeyError, TypeError):
                    continue
        path.parent.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        """How many results are kept."""
        return len(self._rows)

    def get(self, key: Key) -> Sums | None:
        """The result kept under `key`."""
        return self._rows.get(key)

    def put(self, key: Key, sums: Sums) -> None:
        """Keep a result, now."""
        self._rows[key] = sums
        row: dict[str, Any] = {"key": key[0]}
        for f in fields(sums):
            value = getattr(sums, f.name)
            if f.name == "hist":
                k, i = np.nonzero(value)
                value = {"shape": value.shape, "k": k.tolist(), "i": i.tolist()}
                value["n"] = sums.hist[k, i].tolist()
            elif isinstance(value, np.ndarray):
                value = {"shape": value.shape, "data": value.ravel().tolist()}
            row[f.name] = value
        line = msgspec.json.encode(row)
        torn = self._path.exists() and self._path.stat().st_size > 0 and not self._ends_whole()
        with self._path.open("ab") as file:
            file.write((b"\n" if torn else b"") + line + b"\n")

    def _ends_whole(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"


def _sums(row: dict[str, Any]) -> Sums:
    """The row as it was; integers and floats as `Sums` declares them."""
    whole = {"arrivals", "ended", "visits", "reneged", "made", "found", "kept"}
    values: dict[str, Any] = {}
    for f in fields(Sums):
        value = row[f.name]
        if f.name == "hist":
            hist = np.zeros(value["shape"], np.int64)
            hist[value["k"], value["i"]] = value["n"]
            value = hist
        elif isinstance(value, dict):
            kind = np.int64 if f.name in whole else np.float64
            value = np.array(value["data"], kind).reshape(value["shape"])
        values[f.name] = value
    return Sums(**values)
