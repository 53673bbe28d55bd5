"""The studio's network on a map, in the reader's language: the picture, the list, the words."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from stafett.design.reading import System
from stafett.service.design_graph import Graph, Lane, Site, graph
from stafett.service.pictures.places import places
from stafett.web import design_words as say
from stafett.web import numeral
from stafett.web.catalogue_words import said
from stafett.web.design_figures import T


@dataclass(frozen=True)
class Choice:
    """A site or a bundle of lanes that can be chosen: what it is called and what is said of it."""

    key: str
    title: str
    owner: str
    facts: tuple[str, ...]


class Places:
    """The sites and lanes of a network, as the page shows them."""

    def __init__(self, system: System, t: T, language: str) -> None:
        self._t, self._language = t, language
        self._owners, self._lanes = system.network.owners, system.network.lanes
        self.graph: Graph = graph(system)
        self._sites = {s.key: s for s in self.graph.sites}
        sites = [self._of_site(s) for s in self.graph.sites]
        self.choices = [*sites, *(self._of_lanes(key) for key in self.graph.lane_keys)]
        self.title = t("design.map.of", what=say.system(t, system.name))

    @property
    def picture(self) -> Markup:
        """The map as SVG, safe to put into the page."""
        return self.movable("")

    def movable(self, how: str) -> Markup:
        """The map, whose sites a script can move; `how` is the id of the text that says how."""
        called = {c.key: c.title for c in self.choices}
        return Markup(
            places(self.graph, title=self.title, called=called, named=self._name, movable=how)
        )

    def _name(self, site: Site) -> str:
        return said(site.title, self._language)

    def _of_site(self, site: Site) -> Choice:
        facts = [
            self._t("design.map.km", what=self._name(self._sites[x.other]), km=self._km(x))
            for x in self.graph.lanes
            if x.centre == site.key and x.km is not None and not x.beside
        ]
        if any(x.beside and x.centre == site.key for x in self.graph.lanes):
            facts.append(self._t("design.map.beside"))
        return Choice(
            site.key, self._name(site),
            said(self._owners.get(site.owner, site.owner), self._language), tuple(facts),
        )  # fmt: skip

    def _of_lanes(self, key: str) -> Choice:
        mine = [x for x in self.graph.lanes if x.key == key]
        facts = [self._t("design.map.shared", n=len([x for x in mine if not x.beside]))]
        away = sorted((x for x in mine if x.km is not None and not x.beside), key=_far)
        if away:
            short, long = self._km(away[0]), self._km(away[-1])
            facts.append(self._t("design.map.reach", short=short, long=long))
            modes = {x.mode for x in self._lanes.values() if x.mode}
            facts += [self._t(f"design.map.{mode}") for mode in sorted(modes)]
        facts.append(self._t("design.map.borders", n=sum(x.border for x in mine), of=len(mine)))
        who = self._name(self._sites[mine[0].other])
        return Choice(key, self._t("design.map.lanes", who=who), "", tuple(facts))

    def _km(self, lane: Lane) -> str:
        """Kilometres to the nearest ten, as the language groups digits."""
        return numeral.written(f"{round(_far(lane), -1):,.0f}", self._language)


def _far(lane: Lane) -> float:
    return lane.km or 0.0
