"""The calendar of slot chains as a picture: a lane for each unit, a block for each link."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from babel.dates import format_date

from stafett.capacity.booking import Chain
from stafett.capacity.calendar import Resource
from stafett.capacity.chain import templates
from stafett.protocol.model import text
from stafett.web import zone
from stafett.web.catalogue_words import said

WIDTH, LEFT, ROW, TOP = 1200, 190, 26, 40


def draw(
    own: Sequence[Resource],
    chains: Sequence[Chain],
    begin: datetime,
    end: datetime,
    t: Callable[..., str],
    language: str,
    now: datetime,
    called: Mapping[str, str],
) -> str:
    """Return the SVG. Own resources show each unit; others' only where own chains stand in them.

    `called` are the titles of others' resources.
    """
    rows: list[tuple[str, int, str]] = [
        (r.id, unit, said(r.title, language) + (f" {unit + 1}" if r.units > 1 else ""))
        for r in own
        for unit in range(min(r.units, 12))
    ]
    known = {(r, u) for r, u, _ in rows}
    for chain in chains:
        for place in chain.slots:
            key = (place.resource, chain.units[place.link])
            if key not in known:
                known.add(key)
                title = said(called.get(place.resource, place.resource), language)
                rows.append((*key, f"{title} {key[1] + 1}"))
    at = {(r, u): n for n, (r, u, _) in enumerate(rows)}
    span = (end - begin).total_seconds()

    def x(moment: datetime) -> float:
        inside = min(max((moment - begin).total_seconds() / span, 0.0), 1.0)
        return LEFT + inside * (WIDTH - LEFT)

    height = TOP + ROW * max(1, len(rows)) + 8
    out = [
        f'<svg class="lanes-picture" viewBox="0 0 {WIDTH} {height}" role="group"'
        f' aria-label="{escape(t("capacity.picture"))}" data-seconds="{span:.0f}"'
        f' data-width="{WIDTH - LEFT}">'
    ]
    day = begin
    while day < end:
        monday = day.weekday() == 0
        out.append(
            f'<line class="{"week" if monday else "day"}" x1="{x(day):.1f}" x2="{x(day):.1f}"'
            f' y1="{TOP - (14 if monday else 0)}" y2="{height - 8}"/>'
        )
        if monday:
            shown = format_date(day.date(), "d MMM", locale=language)
            out.append(f'<text x="{x(day) + 4:.1f}" y="{TOP - 8}">{escape(shown)}</text>')
        day += timedelta(days=1)
    for n, (_, _, title) in enumerate(rows):
        y = TOP + n * ROW
        out.append(f'<rect class="lane{n % 2}" x="0" y="{y}" width="{WIDTH}" height="{ROW}"/>')
        out.append(f'<text x="6" y="{y + 17}">{escape(_short(title, 27))}</text>')
    for chain in chains:
        titles = {link.name: link.title for link in templates()[chain.template].links}
        for place in chain.slots:
            if place.ends <= begin or place.begins >= end:
                continue
            out.append(_block(chain, place, titles, at, x, t, language))
    if begin <= now < end:
        out.append(f'<line class="now" x1="{x(now):.1f}" x2="{x(now):.1f}" y1="{TOP - 14}"'
                   f' y2="{height - 8}"/>'
                   f'<text class="now-word" x="{x(now) + 3:.1f}" y="{TOP - 22}">'
                   f'{escape(t("capacity.now"))}</text>')  # fmt: skip
    out.append("</svg>")
    return "".join(out)


def _block(
    chain: Chain,
    place: Any,
    titles: dict[str, dict[str, str]],
    at: dict[tuple[str, int], int],
    x: Callable[[datetime], float],
    t: Callable[..., str],
    language: str,
) -> str:
    y = TOP + at[place.resource, chain.units[place.link]] * ROW
    left, right = x(place.begins), x(place.ends)
    width = max(right - left, 5.0)
    title = text(titles.get(place.link, place.link), language)
    when = zone.written(place.begins, language, "d MMM HH:mm")
    status = t(f"capacity.status.{chain.status}")
    name = f"{title}, {chain.patient}, {when}, {status}"
    mark = "◌ " if chain.status == "held" else ""
    word = _short(mark + chain.patient, int(width / 6.6)) if width > 34 else ""
    return (
        f'<a href="/capacity/{chain.id}?link={place.link}" class="block {chain.status}'
        f' u{chain.urgency}" data-chain="{chain.id}" data-link="{place.link}"'
        f' data-begins="{place.begins.isoformat()}" aria-label="{escape(name)}">'
        f"<title>{escape(name)}</title>"
        f'<rect x="{left:.1f}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" rx="4"/>'
        f'<text x="{left + 4:.1f}" y="{y + 17}">{escape(word)}</text></a>'
    )


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else words[: max(1, most - 1)] + "…"
