"""How the report of a comparison says things, in the reader's language (`design_report.Words`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stafett.design.estimate import Estimate
from stafett.design.reading import System
from stafett.service.pictures.lanes import lanes
from stafett.service.studio import Answer, Wish
from stafett.web import design_words as say
from stafett.web.catalogue_words import said
from stafett.web.design_details import Detail, details
from stafett.web.design_figures import known, path
from stafett.web.language import translator


@dataclass(frozen=True)
class Sayings:
    """The words of a report in one language."""

    language: str

    def t(self, key: str, **values: object) -> str:
        """A message."""
        return translator(self.language)(key, **values)

    def system(self, name: str) -> str:
        """A short name of a network."""
        return say.system(self.t, name)

    def title(self, system: System) -> str:
        """The title of a network."""
        return say.title(system, self.t, self.language)

    def summary(self, system: System) -> str:
        """What a network is, in a few sentences."""
        return known(self.t, f"design.summary.{system.name}", system.network.summary)

    def measure(self, key: str) -> str:
        """What a figure is."""
        return say.measure(self.t, key)

    def lever(self, name: str) -> str:
        """What a lever is called."""
        return say.lever(self.t, name)

    def levers(self) -> dict[str, str]:
        """Every lever with its group."""
        return say.levers(self.t)

    def event(self, what: str) -> str:
        """A disruption."""
        return say.event(self.t, what)

    def conclusion(self, what: str) -> str:
        """What a conclusion is about."""
        return say.conclusion(self.t, what)

    def figure(self, e: Estimate | None, digits: int) -> str:
        """A figure with its interval."""
        return say.figure(e, digits, self.language)

    def written(self, value: float, form: str) -> str:
        """A number in a Python format, as the language writes it."""
        text = format(value, form)
        if self.language == "en":
            return text
        return text.replace(".", ",").replace("%", "\u00a0%")

    def number(self, value: float) -> str:
        """A number."""
        return say.number(value, self.language)

    def path(self, system: System, which: str) -> str:
        """What a figure of a network is; its path where it has no name."""
        return path(system, which, self.t, self.language)

    def changes(self, wish: Wish) -> list[str]:
        """What was changed."""
        return say.changes(wish, self.t, self.language)

    def details(self, answer: Answer) -> list[Detail]:
        """Tables of what the figures are made of."""
        return details(answer, self.t, self.language)

    def lanes(self, system: System, order: Sequence[str]) -> str:
        """The picture of a network as lanes."""
        title, words = self.system(system.name), say.lanes(self.t)
        return lanes(
            system, order, title=title, words=words, language=self.language, said=self.catalogue
        )

    def catalogue(self, text: str) -> str:
        """A text of the built-in catalogue: an owner, a note, the title of a source."""
        return said(text, self.language)
