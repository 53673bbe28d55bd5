"""The product code: ISBT 128 data structure 003, `=<αooootds`, and the processor product code 034.

`αoooo` is the product description code, `t` the type of collection, `ds` the division. Their
meanings are ICCBBA's tables, which this project does not ship.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stafett.identity.check import mod37_2
from stafett.identity.errors import IdentifierError

PRODUCT_PATTERN = "[A-Z][A-Z0-9]{4}[A-Z0-9](?:[0-9]{2}|[A-Z][a-z0])"
PROCESSOR_PATTERN = "[A-Z0-9]{5}[A-Z0-9]{6}[A-Z0-9]{5}"
_PRODUCT = re.compile(PRODUCT_PATTERN)
_PROCESSOR = re.compile(PROCESSOR_PATTERN)


@dataclass(frozen=True, slots=True)
class ProductCode:
    """A product code of eight characters, for instance `S1225100`."""

    text: str

    def __post_init__(self) -> None:
        if not _PRODUCT.fullmatch(self.text):
            raise IdentifierError(
                f"{self.text!r} has not the form of a product code",
                f"{len(self.text)} characters",
                "it is a description code (a letter and four), a collection type (one) and a "
                "division (two digits, or a capital and a small letter): scan the symbol again",
            )

    @property
    def description(self) -> str:
        """Product description code, five characters."""
        return self.text[:5]

    @property
    def product_class(self) -> str:
        """First letter: `S` cellular therapy, `P` regenerated tissue, `T` tissue, `H` MPHO, …."""
        return self.text[0]

    @property
    def collection(self) -> str:
        """Collection type, one character, for instance `1` autologous only."""
        return self.text[5]

    @property
    def division(self) -> str:
        """Division, two characters: `00` undivided, `99` see data structure 032."""
        return self.text[6:]

    @property
    def undivided(self) -> bool:
        """Whether the product has not been divided."""
        return self.division == "00"

    @property
    def wire(self) -> str:
        """The ten characters of the symbol."""
        return f"=<{self.text}"

    def divided(self, division: str) -> ProductCode:
        """Return the same product with another division: what a split of a bag is labelled with."""
        return ProductCode(self.text[:6] + division)


@dataclass(frozen=True, slots=True)
class ProcessorProduct:
    """Processor product identification code (034): facility, its product code, description code."""

    text: str

    def __post_init__(self) -> None:
        if not _PROCESSOR.fullmatch(self.text):
            raise IdentifierError(
                f"{self.text!r} has not the form of a processor product code",
                f"{len(self.text)} characters",
                "it is 5 + 6 + 5 capital letters and digits: scan the symbol again",
            )

    @property
    def facility(self) -> str:
        """Processing facility, five characters."""
        return self.text[:5]

    @property
    def own_code(self) -> str:
        """The facility's own product code, six characters."""
        return self.text[5:11]

    @property
    def description(self) -> str:
        """Product description code, five characters."""
        return self.text[11:]

    @property
    def wire(self) -> str:
        """The 18 characters of the symbol."""
        return f"=/{self.text}"

    def udi_base(self) -> str:
        """Return the code followed by its two check digits (MOD 37-2, 00–36), the UDI base."""
        return f"{self.text}{mod37_2(self.text):02d}"
