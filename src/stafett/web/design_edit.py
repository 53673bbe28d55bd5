"""The editor of a network: its sites, lanes and roles beside the map, each with what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.design.distance import distance
from stafett.design.network import CENTRE, Centre, Lane, Network, Organisation
from stafett.design.reading import System, document, document_of, names
from stafett.design.routes import ends
from stafett.protocol.model import text as of_text
from stafett.service.own_networks import OwnNetworks
from stafett.service.own_text import Examined, NetworkFinding, examine
from stafett.web import design_words as say
from stafett.web import language as languages
from stafett.web import numeral
from stafett.web.catalogue_words import said
from stafett.web.design_fields import Field, Fields
from stafett.web.design_figures import T, known
from stafett.web.design_map import Places
from stafett.web.pages import fragment, page, signed_in
from stafett.web.problem import Part, Problem


@dataclass(frozen=True)
class Row:
    """A site, a lane or a role: its key, what is said of it, how to take it away, what is wrong.

    `owner`: whose a site is. `fields`: what can be changed of it where it stands. `ends`: the keys
    of the sites that a lane joins.
    """

    key: str
    title: str
    owner: str
    facts: tuple[str, ...]
    act: dict[str, str]
    findings: tuple[NetworkFinding, ...]
    fields: tuple[Field, ...] = ()
    ends: tuple[str, ...] = ()


class Editor:
    """A network that is being changed, as its page shows it."""

    def __init__(self, system: System, findings: tuple[NetworkFinding, ...], language: str) -> None:
        self._t: T = languages.translator(language)
        self._n, self._p = system.network, system.protocol
        self._language, self._left = language, list(findings)
        self.titles = {CENTRE: self._t("design.edit.centres"), **self._named(self._n)}
        self.owners = {k: said(v, language) for k, v in self._n.owners.items()}
        self.pools = [
            (k, known(self._t, f"design.pool.{k}", said(pool.title, language)))
            for k, pool in self._n.pools.items()
            if pool.per == "centre"
        ]
        self._fields = Fields(system, self._t, language, self.pools)
        self.transports = ends(self._n, self._p)
        roles = [(k, of_text(r.title, language)) for k, r in self._p.roles.items()]
        self.role_titles = dict(roles)
        self.sites = [self._site(k) for k in (*self._n.centres, *self._n.organisations)]
        self.lanes = [
            *(self._lane("lanes", k) for k in self._n.lanes),
            *(self._lane("routes", k) for k in self._n.routes),
        ]
        self.roles = [
            (Row(k, title, "", (), {}, self._about(f"roles.{k}")), self._n.roles.get(k, ""))
            for k, title in roles
        ]
        self.players = [CENTRE, *self._n.organisations]
        self.unplayed = [title for k, title in roles if k not in self._n.roles]
        self.others = tuple(self._left)
        places = Places(system, self._t, language)
        self.picture, self.title = places.movable("map-how"), places.title

    def _named(self, n: Network) -> dict[str, str]:
        sites: list[tuple[str, Centre | Organisation]] = [
            *n.centres.items(), *n.organisations.items()
        ]  # fmt: skip
        return {k: said(one.title, self._language) for k, one in sites}

    def _about(self, *paths: str) -> tuple[NetworkFinding, ...]:
        """What is wrong with some parts; each is shown once, where it was asked for first."""
        found = tuple(
            f for f in self._left if any(f.field == p or f.field.startswith(f"{p}.") for p in paths)
        )
        self._left = [f for f in self._left if f not in found]
        return found

    def _site(self, key: str) -> Row:
        t, n = self._t, self._n
        centre = n.centres.get(key)
        one = centre or n.organisations[key]
        facts = [
            ", ".join(self._number(x) for x in one.at) if one.at else t("design.edit.nowhere"),
        ]
        if centre is not None:
            facts.append(t("design.edit.treats", share=self._number(100 * centre.share.value)))
        else:
            plays = [self.role_titles.get(r, r) for r, who in n.roles.items() if who == key]
            facts.append(f"{t('design.edit.plays')}: {', '.join(plays) or '–'}")
        act = {"do": "remove-site", "site": key}
        section = "centres" if centre is not None else "organisations"
        return Row(
            key, self.titles[key], said(n.owners.get(one.owner, one.owner), self._language),
            tuple(facts), act,
            self._about(f"{section}.{key}"), self._fields.site(key),
        )  # fmt: skip

    def _lane(self, kind: str, key: str) -> Row:
        t, n = self._t, self._n
        km: float | None = None
        lane: Lane
        if kind == "routes":
            lane = route = n.routes[key]
            km, pair = route.km, (route.from_, route.to)
        else:
            lane, pair = n.lanes[key], self.transports.get(key, ("", ""))
        called = [self.titles.get(x, x) or "?" for x in pair]
        days = lane.median.value
        facts = [t("design.edit.days", n=1 if days == 1 else self._number(days))]
        if lane.mode:
            facts.append(t(f"design.edit.{lane.mode}"))
        if kind == "routes":
            at = {**{k: o.at for k, o in n.organisations.items()},
                  **{k: c.at for k, c in n.centres.items()}}  # fmt: skip
            straight = distance(at.get(pair[0]), at.get(pair[1]))
            if km is not None:
                facts.append(f"{self._number(km)} km")
            elif straight is not None:
                facts.append(t("design.edit.straight", km=self._number(round(straight))))
        act = {"do": "remove-lane", "kind": kind, "lane": key}
        return Row(
            f"{kind}-{key}", " → ".join(called), "", tuple(facts), act,
            self._about(f"{kind}.{key}"), self._fields.lane(lane), pair,
        )  # fmt: skip

    def _number(self, value: float) -> str:
        return numeral.written(f"{value:.4g}", self._language)


def shown(network: dict[str, Any], found: Examined, language: str) -> str:
    """The part of the editor's page that a change makes new."""
    editor = None
    if found.system is not None:
        editor = Editor(found.system, found.findings, language)
    others = editor.others if editor else found.findings
    return fragment("design_parts.html", language, e=editor, others=others)


async def edit(request: Request) -> Response:
    """Change a copy of a network, or one of the organisation's own."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    own: OwnNetworks = request.app.state.tower.studio.own
    base, language = (
        request.query_params.get("from", "sweden"),
        languages.of(request, person.language),
    )
    t, versions, after = say.words_of(request, person), [], 0

    if base in names():
        network = {**document(base).value, "published": []}
        name, title = f"{base}-own", t("design.edit.copy-of", what=say.system(t, base))
    else:
        kept = await own.content(person.organisation, base)
        if kept is None:
            part = Part(
                "name", f"{base!r} is no network of yours", "check the name and the version"
            )
            raise Problem(404, "no-network", "No such network", part)
        network = document_of(kept[1], f"{kept[0].ref}.yaml").value
        name, title, base = kept[0].name, kept[0].title, kept[0].ref
        versions = await own.versions(person.organisation, name)
        after = versions[0].version
    text = msgspec.json.encode(network).decode()  # as text, for its order: centres are drawn by it
    found = examine(text, "draft")
    return await page(
        request, "design_edit.html", person, parts=shown(network, found, language),
        name=name, title=title, versions=versions, base=base,
        start={"network": text, "name": name, "after": after, "from": base},
        named=lambda n: say.system(t, n),
    )  # fmt: skip


ROUTES = [Route("/design/edit", edit)]
