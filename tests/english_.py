"""What is English on a page of another language: each visible text and each label spoken."""

from __future__ import annotations

import re
from functools import cache

from playwright.sync_api import Page

from stafett.web.language import words

# Words that no Swedish and no Spanish sentence has. "by", "for", "in", "on", "no", "has", "he" and
# "a" are left out: they are words of one of them too.
FUNCTION = re.compile(
    r"\b(?:the|of|is|are|was|were|been|not|this|that|which|from|with|and|or|must|waits?|its|it|to"
    r"|does|will|would|when|where|who|whose|there|their|they|you|your|yet|only|each|every|other)\b",
    re.IGNORECASE,
)
SEEN = """() => {
  const own = document.documentElement.lang, found = new Set();
  const other = (e) => { const l = e.closest("[lang]"); return l !== null && l.lang !== own; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.replace(/\\s+/g, " ").trim();
    const e = walker.currentNode.parentElement;
    if (!text || e.closest("script, style, template, noscript") || other(e)) continue;
    if (!e.closest("details:not([open]), select") && !e.checkVisibility()) continue;
    found.add(e.closest(".mono") ? `\\u0000${text}` : text);
  }
  for (const e of document.body.querySelectorAll("[aria-label],[title],[placeholder],[alt]")) {
    if (other(e)) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt"])
      if (e.getAttribute(name)) found.add(e.getAttribute(name).trim());
  }
  found.add(document.title);
  return [...found];
}"""
# Names: WCAG 3.1.2 excepts them. A made-up sign-in in the demo, the roles' logins, file endings,
# an organisation whose name has "and" in it.
NAMES = re.compile(
    r"Cell and Gene Therapy Catapult|https?://\S+|\S+@\S+|\b[\w.]+\.(?:json|csv|yaml|xml|svg|pdf)\b|/[\w/{}.-]+|\b\w+[-_][\w-]+\b"
)
# What the program calls a protocol or a role. People read its title; typewriter letters may name
# it.
IDENTIFIER = re.compile(
    r"\b(?:autologous-car-t|in-vivo-aav|point-of-care-car-t|tissue-engineered"
    r"|\w+_(?:clinic|unit|laboratory|receiving|control|person|hub|management))\b"
)

QUOTED = re.compile(r"'[^']*'")  # a word of somebody's own file, said to be wrong


@cache
def telling(language: str) -> frozenset[str]:
    """Return the English messages that the language says otherwise, and never says so itself."""
    own = words(language)
    said = set(own.values())
    return frozenset(
        v for k, v in words("en").items() if own[k] != v and v not in said and len(v) > 3
    )


def english(page: Page, language: str, names: set[str]) -> list[str]:
    """Return what is English on the page that is open."""
    wrong = []
    for text in page.evaluate(SEEN):
        left = text
        for name in names:
            left = left.replace(name, "")
        # In typewriter letters stand identifiers, which are no language's.
        if left.strip() in telling(language) or FUNCTION.search(NAMES.sub("", left)):
            wrong.append(text)
        elif re.search(r"\b(?:board|station|journey|tasks|state|work|admin)\.[a-z-]+", text):
            wrong.append(f"a key: {text}")
        elif not text.startswith("\0") and IDENTIFIER.search(QUOTED.sub("", text)):
            wrong.append(f"an identifier: {text}")
    return wrong
