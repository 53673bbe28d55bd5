"""The words that a page's scripts speak: found in the scripts themselves, and only those sent.

A script says `t("journey.save")` or `t(`stop.${code}`)`. So a message is sent with a page if its
key stands as a string in one of the page's modules, or begins with the fixed head of a template
there. Nobody keeps a list: a script that says something new has its word by saying it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from stafett.web import language as languages

SHELL = "shell.js"  # on every page, whatever else is
_LOADED = re.compile(r'<script type="module" src="/static/([\w./-]+?\.js)')
_IMPORTED = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']\./([\w./-]+\.js)["']""")
_STRING = re.compile(r'"([a-z][\w.-]*)"')
_HEAD = re.compile(r"`([a-z][\w-]*\.[\w.-]*)\$\{")


def words(scripts: str, language: str) -> Markup:
    """Return the messages for the modules that the tags `scripts` load, as JSON for the page."""
    return _json(frozenset((SHELL, *_LOADED.findall(scripts))), language)


@cache
def _json(modules: frozenset[str], language: str) -> Markup:
    exact: set[str] = set()
    heads: set[str] = set()
    for name in reached(modules):
        source = _source(name)
        exact |= set(_STRING.findall(source))
        heads |= set(_HEAD.findall(source))
    begins = tuple(heads)
    return htmlsafe_json_dumps(
        {
            key: said
            for key, said in languages.words(language).items()
            if key.removesuffix(".one") in exact or key.startswith(begins)
        }
    )


def reached(modules: frozenset[str]) -> set[str]:
    """Return `modules` and all of ours that they import, at once or when it is needed."""
    found: set[str] = set()
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [m for m in _IMPORTED.findall(_source(name)) if not m.startswith("vendor/")]
    return found


@cache
def _source(name: str) -> str:
    return (resources.files("stafett.web") / "static" / name).read_text("utf-8")
