"""Read and understood: a short check on what changed *for you* in a new version of a protocol.

Each question gives three statements of which one is a change for the reader's role; the others are
changes for other roles, or the reader's own change turned round. Every statement comes from
`protocol.diff`: nothing is made up that the files do not say.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence

import msgspec

from stafett.protocol.diff import EVERYONE, Change

MOST = 5
CHOICES = 3


class Question(msgspec.Struct, frozen=True):
    """One question as the reader sees it: which of these has changed for you?"""

    where: str
    choices: tuple[str, ...]


class Quiz(msgspec.Struct, frozen=True):
    """The questions, and which choice of each is right (kept by the server)."""

    questions: tuple[Question, ...]
    right: tuple[int, ...]


def mine(changes: Sequence[Change], role: str) -> list[Change]:
    """Return the changes that concern `role`."""
    return [c for c in changes if c.role in (role, EVERYONE)]


def make(changes: Sequence[Change], role: str, seed: str) -> Quiz:
    """Return the check for `role`; the same for the same seed. No changes, no questions."""
    draw = random.Random(hashlib.sha256(seed.encode()).digest())
    own = mine(changes, role)
    others = [c for c in changes if c not in own]
    chosen = own if len(own) <= MOST else draw.sample(own, MOST)
    said = {c.what for c in own}
    questions, right = [], []
    for change in chosen:
        wrong = _wrong(change, others, own, said, draw)
        choices = [change.what, *wrong]
        draw.shuffle(choices)
        questions.append(Question(change.where, tuple(choices)))
        right.append(choices.index(change.what))
    return Quiz(tuple(questions), tuple(right))


def _wrong(
    change: Change,
    others: Sequence[Change],
    own: Sequence[Change],
    said: set[str],
    draw: random.Random,
) -> list[str]:
    pool = [text for text in (_turned(change.what), _shifted(change.what)) if text]
    pool += draw.sample([c.what for c in others], min(len(others), 4))
    # A true statement about another place is wrong here.
    pool += [c.what for c in own if c.where != change.where]
    found: list[str] = []
    for text in pool:
        here = {c.what for c in own if c.where == change.where}
        if text not in here and text not in found and text != change.what:
            found.append(text)
    fallback = ("nothing has changed here", "this is no longer done at all")
    found += [text for text in fallback if text not in said]
    return found[: CHOICES - 1]


def _turned(text: str) -> str:
    """Turn "was 5 h, is 3 h" into "was 3 h, is 5 h"; "" where there are no two sides."""
    found = re.search(r"(\S+(?: \S+)?) (?:→|->|instead of) (\S+(?: \S+)?)", text)
    if found is None or found[1] == found[2]:
        return ""
    middle = text[found.end(1) : found.start(2)]
    return text[: found.start(1)] + found[2] + middle + found[1] + text[found.end(2) :]


def _shifted(text: str) -> str:
    """Change the last number of a statement; "" where it has none."""
    numbers = list(re.finditer(r"\d+(?:\.\d+)?", text))
    if not numbers:
        return ""
    last = numbers[-1]
    value = float(last[0])
    return f"{text[: last.start()]}{value * 2 if value else 10:g}{text[last.end() :]}"


def passed(quiz: Quiz, answers: Sequence[int]) -> list[int]:
    """Return the numbers of the questions that were answered wrongly (all, if not all answered)."""
    if len(answers) != len(quiz.right):
        return list(range(len(quiz.right)))
    return [n for n, (a, b) in enumerate(zip(answers, quiz.right, strict=True)) if a != b]
