"""The public pages as plain files, for any web server: which pages, under which names."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qs, quote, urljoin, urlsplit

START = ("/registry/trials", "/registry/match", "/registry/trials.json", "/registry/feed.atom")
_LINK = re.compile(r"""(\b(?:href|src)=")([^"]*)(")""")
# What only a server can do: the search of the list, the sign-in, the choice of language.
_LIVE = (
    re.compile(r'<form class="row filters".*?</form>', re.S),
    re.compile(r'<a href="/sign-in">.*?</a>', re.S),
    re.compile(r'<nav [^>]*class="languages".*?</nav>', re.S),
    re.compile(r'<a href="/registry/embed[^>]*>.*?</a>', re.S),
)
_FRONT = b'<!doctype html><meta http-equiv="refresh" content="0; url=/registry/trials/">'
_IMPORT = re.compile(r"""from\s+["'](\./[^"']+)["']""")


@dataclass(frozen=True)
class Site:
    """Where the pages come from."""

    base: str

    def key(self, link: str, page: str = "/") -> str | None:
        """Return the address that a link leads to, if it belongs to the public pages."""
        parts = urlsplit(urljoin(self.base + page, unescape(link)))
        if not urljoin(self.base, "/").startswith(f"{parts.scheme}://{parts.netloc}/"):
            return None
        path = parts.path
        if not path.startswith(("/registry/", "/static/")) or path.startswith(
            ("/registry/embed", "/registry/keep")
        ):
            return None
        place = parse_qs(parts.query).get("place", [""])[0]
        if path == "/registry/system" and place:
            return f"{path}?place={place}"
        number = parse_qs(parts.query).get("page", ["1"])[0]
        if path == "/registry/trials" and number.isdigit() and int(number) > 1:
            return f"{path}?page={number}"
        return path


def name(key: str) -> str:
    """Return the file that an address becomes: a page is a folder with an index."""
    path, _, place = key.lstrip("/").partition("?place=")
    if place:
        return f"{path}/{place}/index.html"
    path, _, query = key.lstrip("/").partition("?page=")
    if query:
        path = f"{path}/page-{query}"
    last = path.rpartition("/")[2]
    return path if re.search(r"\.[a-z0-9]{1,5}$", last) else f"{path}/index.html"


def crawl(
    fetch: Callable[[str], tuple[str, bytes] | None], site: Site
) -> Iterator[tuple[str, bytes, int]]:
    """Yield (file name, bytes, how many are known to be left) for every public page and its data.

    `fetch` returns (content type, body) of an address, or None where there is nothing.
    """
    yield "index.html", _FRONT, 1
    todo, known = deque(START), set(START)
    while todo:
        key = todo.popleft()
        found = fetch(key)
        if found is None:
            continue
        kind, data = found
        links: list[str] = []
        if kind.startswith("text/html"):
            text, links = page(data.decode(), key, site)
            data = text.encode()
        elif "javascript" in kind:
            links = [urljoin(key, link) for link in _IMPORT.findall(data.decode())]
        for link in links:
            if link not in known:
                known.add(link)
                todo.append(link)
        yield name(key), data, len(todo)


def page(text: str, key: str, site: Site) -> tuple[str, list[str]]:
    """Return a page whose links lead to files, and the addresses that it links to."""
    for pattern in _LIVE:
        text = pattern.sub("", text)
    links: list[str] = []

    def to_file(match: re.Match[str]) -> str:
        link = site.key(match[2], key)
        if link is None:
            return match[0]
        links.append(link)
        target = "/" + quote(name(link)).removesuffix("index.html")
        return match[1] + target + match[3]

    return _LINK.sub(to_file, text), links
