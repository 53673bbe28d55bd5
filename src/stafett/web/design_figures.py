"""What each figure of a network is called, from its path, in the page's language."""

from __future__ import annotations

from collections.abc import Callable

from stafett.design.network import Network
from stafett.design.reading import System
from stafett.protocol.model import Handoff, Protocol, text
from stafett.web.catalogue_words import said

T = Callable[..., str]


def known(t: T, key: str, otherwise: str) -> str:
    """A message, or other words where there is none: a network of somebody's own."""
    said = t(key)
    return otherwise if said == key else said


def path(system: System, path: str, t: T, language: str) -> str:
    """What a figure is, from its path with dots: whose, of what, in which unit."""
    n, part = system.network, path.split(".")
    if part[0] == "centres":
        return _of_centre(n, part, t, language)
    if part[0] == "pools":
        kind = "pool" if part[2] == "places" else "place-day"
        return t(f"design.fig.{kind}", what=known(t, f"design.pool.{part[1]}", part[1]))
    if part[0] == "supplies":
        return t("design.fig.on-hand", what=known(t, f"design.supply.{part[1]}", part[1]))
    if part[0] == "routes":
        kind = "lane" if part[2] == "median" else "spread"
        return t(f"design.fig.{kind}", what=route(system, part[1], language))
    if part[0] in ("work", "lanes"):
        kind = {"work": "work", "lanes": "lane"}[part[0]] if part[2] == "median" else "spread"
        return t(f"design.fig.{kind}", what=_activity(system.protocol, part[1], language))
    if part[0] in ("results", "results_again"):
        said = _result(system.protocol, part[1], t, language)
        return said if part[0] == "results" else t("design.fig.again", what=said)
    if part[0] == "costs" and not part[1].endswith("_per_year"):
        return t("design.fig.cost", what=_activity(system.protocol, part[1], language))
    return known(t, f"design.fig.{part[1]}", path)


def route(system: System, key: str, language: str) -> str:
    """A lane of a centre: from where, to where."""
    n = system.network
    titles = {**{k: o.title for k, o in n.organisations.items()},
              **{k: c.title for k, c in n.centres.items()}}  # fmt: skip
    ends = (n.routes[key].from_, n.routes[key].to)
    return " → ".join(said(titles.get(x, x), language) for x in ends)


def _of_centre(n: Network, part: list[str], t: T, language: str) -> str:
    where = said(n.centres[part[1]].title, language)
    if part[2] == "share":
        return t("design.fig.share", what=where)
    return f"{where}: {known(t, f'design.pool.{part[3]}', part[3])}"


def _activity(p: Protocol, name: str, language: str) -> str:
    return text((p.steps.get(name) or p.handoffs[name]).title, language)


def _result(p: Protocol, key: str, t: T, language: str) -> str:
    name, _, result = key.partition("=")
    activity = p.steps.get(name) or p.handoffs[name]
    what = text(activity.title, language)
    if isinstance(activity, Handoff):
        return t("design.fig.refused", what=what)
    return t("design.fig.result", what=what, result=text(activity.results[result].title, language))
