"""Find trials: words and filters over an index that is made once per version of the list."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from stafett.registry.trial import OPEN, Kind, Phase, Trial

KEPT = 64  # answers; each is a list of numbers, at worst as long as the list of trials
_WORD = re.compile(r"[a-z0-9]+")


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for. Every part must hold; words match from their beginning."""

    q: str = ""
    country: str | None = None
    indication: str | None = None
    phase: Phase | None = None
    kind: Kind | None = None
    sponsor: str | None = None
    status: Literal["open", "closed", "all"] = "all"
    page: int = 1
    per_page: int = 50


class Hits(msgspec.Struct, frozen=True):
    """One page of what was found, and how many there are in all."""

    total: int
    page: int
    pages: int
    trials: tuple[Trial, ...]


def plain(text: str) -> str:
    """Return `text` without case and accents."""
    found = unicodedata.normalize("NFKD", text.casefold())
    return "".join(ch for ch in found if not unicodedata.combining(ch))


def words(trial: Trial) -> set[str]:
    """Return the words under which a trial is found."""
    parts: Iterable[str] = (
        trial.id,
        trial.title,
        trial.sponsor,
        *trial.products,
        *trial.indications,
        *trial.also,
        *(text for s in trial.sites for text in (s.name, s.city or "", s.country)),
    )
    return {word for part in parts for word in _WORD.findall(plain(part))}


class Index:
    """The trials of one version of the list, newest first."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        """Index `trials` (a few seconds for a hundred thousand)."""
        self.trials = sorted(trials, key=lambda t: (t.updated or "", t.id), reverse=True)
        self._of: dict[str, set[int]] = defaultdict(set)
        for number, trial in enumerate(self.trials):
            for word in words(trial):
                self._of[word].add(number)
        self._words = sorted(self._of)
        self._asked: OrderedDict[Filter, list[int]] = OrderedDict()
        self.countries = sorted({name for trial in self.trials for name in trial.countries})

    def find(self, asked: Filter) -> Hits:
        """Return the page of trials that fit."""
        numbers = self._numbers(asked)
        per_page = min(max(asked.per_page, 1), 500)
        pages = max(1, -(-len(numbers) // per_page))
        page = min(max(asked.page, 1), pages)
        chosen = numbers[(page - 1) * per_page : page * per_page]
        return Hits(len(numbers), page, pages, tuple(self.trials[n] for n in chosen))

    def all(self, asked: Filter) -> list[Trial]:
        """Return every trial that fits, whatever the page."""
        return [self.trials[n] for n in self._numbers(asked)]

    def _numbers(self, asked: Filter) -> list[int]:
        """Return which trials fit; the latest answers are kept, for pages are turned."""
        every = msgspec.structs.replace(asked, page=1, per_page=1)
        known = self._asked.pop(every, None)
        self._asked[every] = numbers = self._look(asked) if known is None else known
        while len(self._asked) > KEPT:
            self._asked.popitem(last=False)
        return numbers

    def _look(self, asked: Filter) -> list[int]:
        found: set[int] | None = None
        for word in _WORD.findall(plain(asked.q)):
            hits = self._begins(word)
            found = hits if found is None else found & hits
        numbers: Iterable[int] = range(len(self.trials)) if found is None else sorted(found)
        return [n for n in numbers if fits(self.trials[n], asked)]

    def _begins(self, prefix: str) -> set[int]:
        found: set[int] = set()
        for word in self._words[bisect_left(self._words, prefix) :]:
            if not word.startswith(prefix):
                break
            found |= self._of[word]
        return found


def fits(trial: Trial, asked: Filter) -> bool:
    """Say whether a trial fits the filters other than the words."""
    if asked.status != "all" and (trial.status in OPEN) != (asked.status == "open"):
        return False
    if asked.phase is not None and asked.phase not in trial.phases:
        return False
    if asked.kind is not None and asked.kind != trial.kind:
        return False
    if asked.country and plain(asked.country) not in map(plain, trial.countries):
        return False
    if asked.sponsor and plain(asked.sponsor) not in plain(trial.sponsor):
        return False
    if asked.indication:
        wanted = plain(asked.indication)
        return any(wanted in plain(one) for one in trial.indications)
    return True
