"""The Single European Code (SEC) for tissues and cells: 40 characters, no check digit.

Source: Directive 2006/86/EC, Annex VII, as amended by (EU) 2015/565. It does not apply to
products regulated as ATMPs (ST-012 §1.1); it is on the tissues and cells they start from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from stafett.identity.errors import IdentifierError
from stafett.identity.product import ProductCode

DATA_IDENTIFIER = "&,4"
DONATION_PATTERN = "[A-Z]{2}[A-Z0-9]{6}[A-Z0-9]{13}"
PRODUCT_PATTERN = "[ABE][A-Z0-9]{7}[A-Za-z0-9]{3}[0-9]{8}"
SEC_PATTERN = DONATION_PATTERN + PRODUCT_PATTERN
CODING_SYSTEMS = {"A": "ISBT 128", "B": "Eurocode", "E": "EUTC"}
_SEC = re.compile(SEC_PATTERN)


@dataclass(frozen=True, slots=True)
class Sec:
    """A Single European Code, its parts unpadded by the properties."""

    text: str

    def __post_init__(self) -> None:
        if not _SEC.fullmatch(self.text):
            raise IdentifierError(
                f"{self.text!r} has not the form of a Single European Code",
                f"{len(self.text)} characters",
                "it has 21 characters of donation and 19 of product: scan the symbol again",
            )
        _ = self.expiry

    @property
    def country(self) -> str:
        """ISO 3166-1 alpha-2 code of the tissue establishment."""
        return self.text[:2]

    @property
    def establishment(self) -> str:
        """Tissue establishment number, six characters, left-padded with zeros."""
        return self.text[2:8]

    @property
    def donation(self) -> str:
        """Unique donation number, 13 characters; a DIN goes in as it is."""
        return self.text[8:21]

    @property
    def coding_system(self) -> str:
        """`A` ISBT 128, `B` Eurocode, `E` EUTC."""
        return self.text[21]

    @property
    def product(self) -> str:
        """Product number, seven characters, left-padded."""
        return self.text[22:29]

    @property
    def split(self) -> str:
        """Split number, three characters."""
        return self.text[29:32]

    @property
    def expiry(self) -> date | None:
        """Expiry date, None where the code says `00000000`."""
        digits = self.text[32:]
        if digits == "00000000":
            return None
        try:
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        except ValueError:
            raise IdentifierError(
                f"{digits} is no day", "SEC, expiry (YYYYMMDD)", "scan the symbol again"
            ) from None

    @property
    def wire(self) -> str:
        """Electronic form, data structure 038."""
        return DATA_IDENTIFIER + self.text

    def printed(self) -> str:
        """Return the printed form, `SEC: <donation sequence> <product sequence>`."""
        return f"SEC: {self.text[:21]} {self.text[21:]}"


def make(
    country: str, establishment: str, donation: str, product: ProductCode, expiry: date | None
) -> Sec:
    """Return the code of an ISBT 128 product, parts padded as Annex VII asks.

    `establishment` and `donation` are padded on the left; the product is `00` + description code,
    its split `0` + division (cell therapy), and the coding system `A`.
    """
    split = "0" + product.division
    day = expiry.strftime("%Y%m%d") if expiry else "00000000"
    return Sec(f"{country}{establishment:0>6}{donation:0>13}A{product.description:0>7}{split}{day}")


def parse(raw: str) -> Sec:
    """Read the electronic form (`&,4…`) or the printed one (`SEC: … …`, also on two lines)."""
    if raw.startswith(DATA_IDENTIFIER):
        return Sec(raw[3:])
    if raw.startswith("SEC:"):
        return Sec("".join(raw[4:].split()))
    raise IdentifierError(
        f"{raw!r} is no Single European Code", "beginning", "it begins with &,4 or SEC:"
    )


def parse_product_sequence(text: str) -> dict[str, str]:
    """Read the 19 characters of a product identification sequence on its own."""
    if not re.fullmatch(PRODUCT_PATTERN, text):
        raise IdentifierError(
            f"{text!r} is no product identification sequence",
            f"{len(text)} characters",
            "it is the coding system (A, B, E), product (7), split (3) and expiry (8 digits)",
        )
    return {"system": text[0], "product": text[1:8], "split": text[8:11], "expiry": text[11:]}
