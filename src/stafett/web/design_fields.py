"""What can be changed of a site or a lane where it stands: its fields, filled in, with their basis.

A figure says beside its field where it comes from: whoever changes a published one sees that what
vouched for it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stafett.design.network import Lane, Number, Route
from stafett.design.reading import System
from stafett.web import numeral
from stafett.web.catalogue_words import said
from stafett.web.design_figures import T


@dataclass(frozen=True)
class Field:
    """One field of a form: its name, what it is called, what is in it now, what it may be.

    `basis`: where its figure comes from. `choices`: value and label, where it is chosen from some;
    a field with `least` or `most` is a number. `needed`: it cannot be left empty.
    """

    name: str
    label: str
    value: str
    basis: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    least: str = ""
    most: str = ""
    needed: bool = True

    @property
    def kind(self) -> str:
        """How it is filled in."""
        if self.choices:
            return "choice"
        return "number" if self.least or self.most else "text"


class Fields:
    """The fields of a network's sites and lanes, in the reader's language."""

    def __init__(
        self, system: System, t: T, language: str, pools: Sequence[tuple[str, str]]
    ) -> None:
        """`pools`: those in which each centre has places, with what they are called."""
        self._n, self._t, self._language, self._pools = system.network, t, language, pools
        self._owners = {k: said(v, language) for k, v in system.network.owners.items()}

    def site(self, key: str) -> tuple[Field, ...]:
        """Of a site: name, owner and place; of a treating centre its share and places too."""
        t, centre = self._t, self._n.centres.get(key)
        one = centre or self._n.organisations[key]
        lat, lon = (plain(x) for x in one.at) if one.at else ("", "")
        owners = ((one.owner, one.owner),) if one.owner not in self._owners else ()
        choices = (*owners, *self._owners.items(), ("", t("design.edit.new-owner")))
        found = [
            Field("title", t("design.edit.name"), said(one.title, self._language)),
            Field("owner", t("design.edit.owner"), one.owner, choices=choices),
            Field("owner_name", t("design.edit.owner-name"), "", needed=False),
            Field("lat", t("design.edit.latitude"), lat, least="-90", most="90", needed=False),
            Field("lon", t("design.edit.longitude"), lon, least="-180", most="180", needed=False),
        ]
        if centre is not None:
            share, basis = plain(100 * centre.share.value), self._basis(centre.share, 100)
            found.append(
                Field("share", t("design.edit.share"), share, basis, least="0", most="100")
            )
            for pool, title in self._pools:
                n = centre.places.get(pool)
                now, basis = (plain(n.value), self._basis(n)) if n else ("", "")
                found.append(Field(f"places:{pool}", title, now, basis, least="1"))
        return tuple(found)

    def lane(self, lane: Lane) -> tuple[Field, ...]:
        """Of a lane: mode and days; of a centre's own its length too."""
        t, days = self._t, lane.median
        modes = (("", "–"), *((m, t(f"design.edit.{m}")) for m in ("road", "air")))
        found = [
            Field("mode", t("design.edit.mode"), lane.mode or "", choices=modes),
            Field("days", t("design.edit.time"), plain(days.value), self._basis(days), least="0"),
        ]
        if isinstance(lane, Route):
            km = "" if lane.km is None else plain(lane.km)
            found.append(Field("km", t("design.edit.km"), km, least="0", needed=False))
        return tuple(found)

    def _basis(self, n: Number, times: float = 1.0) -> str:
        """Where a figure comes from: its source, or that it is an assumption; and its range."""
        t = self._t
        if n.source is not None and n.source in self._n.sources:
            what = t(
                "design.edit.published",
                source=said(self._n.sources[n.source].title, self._language),
            )
        else:
            what = t("design.assumption" if n.assumption else "design.report.here")
        if n.low is not None and n.high is not None:
            low, high = (
                numeral.written(f"{x * times:.4g}", self._language) for x in (n.low, n.high)
            )
            what += f", {t('design.edit.between', low=low, high=high)}"
        return f"{what} · {said(n.note, self._language)}" if n.note else what


def plain(value: float) -> str:
    """A number as a field of a form takes it."""
    return f"{value:.10g}"
