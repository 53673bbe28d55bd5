"""Adoption as an open process: a question, its evidence, a recommendation with its reasons.

One assessment is one question about one product for one indication, put to one body (as NT-rådet
puts them to Sweden's regions). It moves forward only: proposed -> in assessment -> decided, and a
decided one may be replaced. Each move is an entry of the record with its reason; what was said
before stays readable.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from stafett.registry.trial import Id, Link, Long, Short, When

Stage = Literal["proposed", "in-assessment", "decided", "replaced"]
Recommendation = Literal["recommended", "recommended-with-conditions", "wait", "not-recommended"]
NEXT: dict[Stage, tuple[Stage, ...]] = {
    "proposed": ("proposed", "in-assessment", "decided"),
    "in-assessment": ("in-assessment", "decided"),
    "decided": ("decided", "replaced"),
    "replaced": (),
}


Sha = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,80}\.[a-z0-9]{1,5}$")]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document of an assessment, kept here by its content and open to everybody."""

    title: Long
    file_name: FileName
    sha256: Sha


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One piece of evidence: what it is, and where it can be read.

    `sha256` is a document kept here, `url` one that is kept elsewhere; `trial` one of the list.
    """

    title: Long
    url: Link | None = None
    sha256: Sha | None = None
    file_name: FileName | None = None
    trial: Id | None = None


class Assessment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One assessment in its present version.

    `economics` is the health-economic summary in words; `conditions` what must hold for the
    recommendation to. `documents` are its papers (question, report, decision), kept here. `sources`
    say where the facts of this entry were published.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{2,60}$")]
    product: Short
    indication: Long
    body: Short
    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")]
    question: Long
    stage: Stage
    evidence: tuple[Evidence, ...] = ()
    documents: tuple[Document, ...] = ()
    economics: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    recommendation: Recommendation | None = None
    reasons: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    conditions: tuple[Long, ...] = ()
    decided: When | None = None
    replaces: Short | None = None
    sources: tuple[Long, ...] = ()

    def __post_init__(self) -> None:
        """A decision has a recommendation, reasons and a date; nothing else has."""
        decided = self.stage in ("decided", "replaced")
        if decided and (self.recommendation is None or not self.reasons or self.decided is None):
            raise ValueError("a decided assessment needs a recommendation, reasons and a date")
        if not decided and (self.recommendation is not None or self.decided is not None):
            raise ValueError(f"an assessment that is {self.stage} has no recommendation yet")
        if self.recommendation == "recommended-with-conditions" and not self.conditions:
            raise ValueError("a recommendation with conditions names them")


def named(assessment: Assessment) -> frozenset[str]:
    """Return the SHA-256 of every document kept here that an assessment names."""
    shown = {e.sha256 for e in assessment.evidence if e.sha256 is not None}
    return frozenset(shown | {d.sha256 for d in assessment.documents})


def may_follow(old: Assessment, new: Assessment) -> str | None:
    """Say why `new` may not replace `old`, or None if it may."""
    if new.stage not in NEXT[old.stage]:
        allowed = " or ".join(NEXT[old.stage]) or "nothing: open a new one that replaces it"
        return f"it is {old.stage}; what may follow is {allowed}"
    for field in ("product", "indication", "body", "country"):
        if getattr(new, field) != getattr(old, field):
            return f"the {field} of an assessment never changes: open a new one"
    return None


class Uptake(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many patients of a region were treated with a product in a period.

    `population` is the region's, so that regions of different size can be compared.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{2,100}$")]
    product: Short
    region: Short
    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")]
    period: Annotated[str, msgspec.Meta(pattern=r"^\d{4}(-Q[1-4]|-H[12])?$")]
    patients: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    population: Annotated[int, msgspec.Meta(ge=1, le=2_000_000_000)]
    source: Long
    made_up: bool = False
