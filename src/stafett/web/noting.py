"""What the record noted by itself of a deviation, told from what a person wrote.

The core notes in sentences of its own: a limit that passed, a check that failed, what a logger
measured. They are said in the reader's language. A person's words stay as they were written, also
where they happen to read like a refusal ("bag is used up"): half of them in another language, or
all of them in words that nobody wrote, would be a record that was changed.
"""

from __future__ import annotations

import re

from stafett.protocol.net import Net
from stafett.web import language as languages
from stafett.web import naming, refusals

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_TURNED_AWAY = re.compile(r"(\w+): (refuse|quarantine)")
# How the watch and the core conclude: whole sentences that nobody else writes.
MEASURED = frozenset(
    f"refusal.told.{name}" for name in (
        "door", "gap", "goes-on-as", "hold-spent", "outside-all", "outside-perhaps",
        "outside-stretch", "shock", "side", "silent", "specification", "stability", "unread",
        "withdrawn",
    )
)  # fmt: skip
# How the core notes what happened to a thing of the protocol, or when: it names one of them.
NAMED = frozenset(
    f"refusal.{name}" for name in (
        "expired-at-x", "expired-at-x-from", "it-lies-before-the-journey-was-opened",
        "it-lies-before-x-was-done", "it-lies-before-x-was-released",
        "it-lies-before-x-was-started",
        "it-lies-in-the-future-of-the", "told.nothing-about-since", "told.nothing-since",
        "x-ended-after-x-expired-at-x", "x-ended-as-x", "x-takes-at-most-x", "x-within-x-of-x",
    )
)  # fmt: skip


def said(note: str, language: str, net: Net) -> str | None:
    """Say a note of the record's own in `language`; None where a person wrote it."""
    names = naming.names_of(net, language)
    if (found := _TURNED_AWAY.fullmatch(note)) and found[1] in net.protocol.handoffs:
        return f"{names[found[1]]}: {languages.words(language)[f'noted.{found[2]}']}"
    return refusals.said(note, language, names) if _own(note, net) else None


def _own(note: str, net: Net) -> bool:
    head, mark, _ = note.partition(": ")
    if mark and head.removesuffix(", corrected") in _checks(net):
        return refusals.knows(note)
    pieces = refusals.pieces(note)
    if not pieces:
        return False
    key, holes = pieces[0]
    if key in MEASURED:
        return True
    if key not in NAMED:
        return False
    if not holes:  # it names nothing, and nobody else says it so
        return True
    known = {*net.index, *net.material}
    return _MOMENT.search(note) is not None or not known.isdisjoint(holes.values())


def _checks(net: Net) -> set[str]:
    """Return the identifiers of every check: what failed is named by them."""
    found = {check.id for step in net.protocol.steps.values() for check in step.checks}
    for handoff in net.protocol.handoffs.values():
        found |= {check.id for check in (*handoff.release.checks, *handoff.accept.checks)}
    return found
