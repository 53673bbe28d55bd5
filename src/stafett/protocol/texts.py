"""Texts that people read: none is empty, and each stands in a language that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from stafett.protocol.chain import Chain
from stafett.protocol.finding import Finding
from stafett.protocol.read import Path_

LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")  # BCP 47, as far as anybody writes it
# What is printed as nothing, or turns what follows round: a text that is not what it looks like.
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
READ = ("title", "summary", "ask", "meaning", "object", "why")


def texts(chain: Chain) -> Iterator[Finding]:
    """Yield what people are to read and cannot."""
    yield from _texts(chain, chain.protocol, ())


def _texts(chain: Chain, part: object, path: Path_) -> Iterator[Finding]:
    """Find what people are to read and cannot: empty, or in a language that is none."""
    if isinstance(part, msgspec.Struct):
        for field in part.__struct_fields__:
            value, at = getattr(part, field), (*path, field)
            if field in READ:
                yield from _text(chain, value, at)
            else:
                yield from _texts(chain, value, at)
    elif isinstance(part, dict):
        for name, value in part.items():
            yield from _texts(chain, value, (*path, name))
    elif isinstance(part, tuple):
        for i, value in enumerate(part):
            yield from _texts(chain, value, (*path, i))


def _text(chain: Chain, value: str | dict[str, str] | None, path: Path_) -> Iterator[Finding]:
    if isinstance(value, dict):
        for language in value:
            if not LANGUAGE.match(language):
                what = f"{language!r} is no language: write its code, such as en, sv or es"
                yield chain.found("unfit-part", (*path, language), what)
    elif value is None:
        return
    texts = list(value.values()) if isinstance(value, dict) else [value]
    if not texts or not all(text.strip() for text in texts):
        yield chain.found("unfit-part", path, f"{path[-1]} is empty: people are to read it")
    for text in texts:
        if found := UNSEEN.search(text):
            what = f"{path[-1]} has the character U+{ord(found[0]):04X} in it, which nobody sees"
            yield chain.found("unfit-part", path, what)


def languages(part: object) -> set[str]:
    """Return the languages that a protocol has texts in, where it tells them apart."""
    if isinstance(part, msgspec.Struct):
        fields = {f: getattr(part, f) for f in part.__struct_fields__}
        read = {code for f in READ if isinstance(fields.get(f), dict) for code in fields[f]}
        return read.union(*(languages(v) for f, v in fields.items() if f not in READ))
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, tuple) else ()
    return set().union(*map(languages, inner))
