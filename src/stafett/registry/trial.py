"""A clinical trial as the public list shows it, and the closed words it is described in.

The words are those of ClinicalTrials.gov (API v2, `Status`, `Phase`), because CTIS can be told in
them and not the other way round; `ctis` keeps the table.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Status = Literal[
    "not-yet-recruiting",
    "recruiting",
    "by-invitation",
    "active",
    "suspended",
    "terminated",
    "completed",
    "withdrawn",
    "unknown",
]
OPEN: tuple[Status, ...] = ("not-yet-recruiting", "recruiting", "by-invitation")
Phase = Literal["early-1", "1", "2", "3", "4"]
Kind = Literal["car-t", "other-cell", "gene", "tissue", "unclassified"]
Sex = Literal["all", "female", "male"]
Source = Literal["clinicaltrials.gov", "ctis", "form"]

# NCT and eight digits; an EU CT number (2024-515766-13-00); or an identifier of one's own.
Id = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(NCT\d{8}|\d{4}-\d{6}-\d{2}-\d{2}|[A-Z]{2,10}-[A-Z0-9][A-Z0-9-]{1,30})$"
    ),
]
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Long = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
# A date that may lack its day, or its month: registers publish such.
When = Annotated[
    str,
    msgspec.Meta(pattern=r"^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$"),
]
Years = Annotated[float, msgspec.Meta(ge=0, le=130)]
Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Link = Annotated[str, msgspec.Meta(pattern=r"^https://[^\s<>\"]{3,500}$")]


class TrialSite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a trial takes patients in. `organisation` joins it to a site of this registry."""

    name: Short
    city: Short | None = None
    country: Short
    status: Status = "unknown"
    organisation: Short | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class Contact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to ask. A public function or person of the trial, never of a patient."""

    name: Short | None = None
    phone: Short | None = None
    email: Annotated[str, msgspec.Meta(pattern=r"^[^@\s<>]+@[^@\s<>]+$", max_length=200)] | None = (
        None
    )


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trial, in its present version. Ages are in years; None is no limit.

    `made_up` marks a trial of the demonstration: it is shown as such wherever it is shown.
    """

    id: Id
    title: Long
    sponsor: Short
    products: tuple[Short, ...] = ()
    kind: Kind = "unclassified"
    phases: tuple[Phase, ...] = ()
    status: Status
    indications: tuple[Short, ...]
    sex: Sex = "all"
    minimum_age: Years | None = None
    maximum_age: Years | None = None
    sites: tuple[TrialSite, ...] = ()
    contact: Contact | None = None
    starts: When | None = None
    ends: When | None = None
    updated: When | None = None
    url: Link | None = None
    source: Source = "form"
    also: tuple[Short, ...] = ()
    made_up: bool = False

    def __post_init__(self) -> None:
        """Refuse what no single field can be blamed for."""
        low, high = self.minimum_age, self.maximum_age
        if low is not None and high is not None and low > high:
            raise ValueError(f"the minimum age {low:g} is above the maximum age {high:g}")
        if not self.indications:
            raise ValueError("a trial without an indication cannot be found: give at least one")

    @property
    def open(self) -> bool:
        """Whether patients are, or soon will be, taken in."""
        return self.status in OPEN

    @property
    def countries(self) -> tuple[str, ...]:
        """The countries of its sites, each once."""
        return tuple(dict.fromkeys(site.country for site in self.sites))


# Words that tell the kind of therapy from the names of interventions; the first that fits counts.
_TELLS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("car-t", ("car-t", "car t", "cart-", "leucel", "chimeric antigen receptor")),
    ("gene", ("gene therapy", "aav", "lentivir", "parvovec", "vector", "crispr", "gene-edited")),
    ("tissue", ("tissue-engineered", "tissue engineered", "keratinocyte", "chondrocyte")),
    (
        "other-cell",
        ("cell therapy", "stem cell", "stromal", "lymphocyte", "nk cell", "cells", "cel"),
    ),
)


def kind_of(*texts: str) -> Kind:
    """Guess the kind of therapy from titles and product names; "unclassified" if none tells."""
    text = " ".join(texts).casefold()
    for kind, words in _TELLS:
        if any(word in text for word in words):
            return kind
    return "unclassified"
