"""Events in the order of an extension's field (`orderBy=prefix:name`, EPCIS 2.0 §8.2.7.1).

Numbers and times go by size, texts by their first 1,000 UTF-8 octets; numbers come before texts,
whichever way. Of several values the one counts that brings the event further forward. Events
without the field come last, in the order in which they were captured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from stafett.exchange.epcis_facts import Facts

MAX_SORTED: Final = 10_000  # texts that are put in order in memory; of more there is an index
OCTETS: Final = 1_000  # of a text that count; PostgreSQL has no index of longer ones
# Of numbers (0, size, b""), of texts (1, 0, octets).
Rank = tuple[int, float, bytes]


def rank(found: Facts, fields: Sequence[str], descending: bool) -> Rank | None:
    """Give an event's place by a field, under each of its names; None if it has none."""
    names = {*fields, *(f"{field}@t" for field in fields)}
    ranks: list[Rank] = [(0, value, b"") for name, value in found.numbers if name in names]
    if not ranks:
        ranks += [(1, 0.0, text) for _, text in texts(found, fields)]
    if not ranks:
        return None
    return max(ranks) if descending else min(ranks)


def texts(found: Facts, fields: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Give an event's texts under each of a field's names, as far as they count."""
    for token in found.tokens:
        name, equals, text = token.partition("=")
        if equals and name in fields:
            yield name, text.encode()[:OCTETS]


def in_order(places: Iterable[tuple[int, Rank | None]], descending: bool) -> list[int]:
    """Give the positions of events in order; among equals as captured.

    >>> in_order([(1, None), (2, (0, 7.0, b"")), (3, (0, 5.0, b""))], descending=False)
    [3, 2, 1]
    """
    held = sorted(places, key=lambda place: place[0])
    having = [(r, seq) for seq, r in held if r is not None]
    having.sort(key=lambda one: one[0][1:], reverse=descending)
    having.sort(key=lambda one: one[0][0])
    return [seq for _, seq in having] + [seq for seq, r in held if r is None]
