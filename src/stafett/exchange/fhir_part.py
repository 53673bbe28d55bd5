"""A part of a resource: `_elements` and `_summary` (FHIR R5 3.2.1.7.4, 3.2.1.7.3). Pure.

What is left out is said: each resource that is cut has the tag SUBSETTED, so that nobody stores it
as the whole. Elements that must be there, and those that change what the rest means, always are.
The tables are of the StructureDefinitions of 5.0.0 and 4.3.0: what is marked there as part of the
summary, and what has a minimum of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from stafett.exchange.fhir_parameters import wrong

Json = dict[str, Any]
Summary = Literal["false", "true", "text", "data", "count"]
SUMMARIES: Final = ("false", "true", "text", "data", "count")
SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED",
}  # fmt: skip
MOST: Final = 100
# Always there: what a resource is, and what changes the meaning of the rest (modifiers).
_ALWAYS: Final = frozenset(
    {
        "resourceType", "id", "meta", "implicitRules", "modifierExtension", "status", "intent",
        "active", "doNotPerform", "deceasedBoolean", "deceasedDateTime", "link",
    }
)  # fmt: skip
_NAME: Final = re.compile(r"[a-z][A-Za-z]{0,63}")

_SUMMARY: Final[dict[tuple[str, str], str]] = {
    ("R5", "Patient"): (
        "active address birthDate deceasedBoolean deceasedDateTime gender identifier link "
        "managingOrganization name telecom"
    ),
    ("R5", "Organization"): "active description identifier name partOf type",
    ("R5", "ServiceRequest"): (
        "asNeededBoolean asNeededCodeableConcept authoredOn basedOn bodySite bodyStructure "
        "category code doNotPerform encounter focus identifier instantiatesCanonical "
        "instantiatesUri intent location occurrenceDateTime occurrencePeriod occurrenceTiming "
        "orderDetail performer performerType priority quantityQuantity quantityRange "
        "quantityRatio reason replaces requester requisition specimen status subject"
    ),
    ("R5", "Task"): (
        "basedOn businessStatus code description doNotPerform encounter executionPeriod focus "
        "for groupIdentifier instantiatesCanonical instantiatesUri intent lastModified location "
        "owner partOf performer requestedPeriod requester status statusReason"
    ),
    ("R5", "Specimen"): (
        "accessionIdentifier combined condition identifier receivedTime status subject type"
    ),
    ("R5", "BiologicallyDerivedProduct"): "biologicalSourceEvent identifier",
    ("R5", "BiologicallyDerivedProductDispense"): (
        "basedOn destination identifier location matchStatus note originRelationshipType partOf "
        "patient performer preparedDate product quantity status usageInstruction whenHandedOver"
    ),
    ("R5", "Transport"): (
        "basedOn code completionTime currentLocation description encounter focus for "
        "groupIdentifier instantiatesCanonical instantiatesUri intent lastModified location "
        "owner partOf requestedLocation requester status statusReason"
    ),
    ("R5", "Provenance"): "agent entity recorded target",
    ("R5", "AuditEvent"): (
        "action agent authorization category code entity outcome recorded severity source"
    ),
    ("R5", "ResearchStudy"): (
        "condition identifier keyword partOf period phase primaryPurposeType protocol "
        "recruitment region result site status studyDesign title whyStopped"
    ),
    ("R5", "Subscription"): (
        "channelType contact content contentType end endpoint filterBy heartbeatPeriod "
        "identifier managingEntity maxCount name reason status timeout topic"
    ),
    ("R4B", "Patient"): (
        "active address birthDate deceasedBoolean deceasedDateTime gender identifier link "
        "managingOrganization name telecom"
    ),
    ("R4B", "Organization"): "active identifier name partOf type",
    ("R4B", "ServiceRequest"): (
        "asNeededBoolean asNeededCodeableConcept authoredOn basedOn bodySite category code "
        "doNotPerform encounter identifier instantiatesCanonical instantiatesUri intent "
        "locationCode locationReference occurrenceDateTime occurrencePeriod occurrenceTiming "
        "orderDetail patientInstruction performer performerType priority quantityQuantity "
        "quantityRange quantityRatio reasonCode reasonReference replaces requester requisition "
        "specimen status subject"
    ),
    ("R4B", "Task"): (
        "basedOn businessStatus code description encounter executionPeriod focus for "
        "groupIdentifier instantiatesCanonical instantiatesUri intent lastModified location "
        "owner partOf requester status statusReason"
    ),
    ("R4B", "Specimen"): (
        "accessionIdentifier condition identifier receivedTime status subject type"
    ),
    ("R4B", "BiologicallyDerivedProduct"): "identifier",
    ("R4B", "SupplyDelivery"): (
        "basedOn occurrenceDateTime occurrencePeriod occurrenceTiming partOf status"
    ),
    ("R4B", "Provenance"): "recorded target",
    ("R4B", "AuditEvent"): "action outcome outcomeDesc purposeOfEvent recorded subtype type",
    ("R4B", "ResearchStudy"): (
        "category condition contact enrollment focus identifier keyword location partOf period "
        "phase primaryPurposeType principalInvestigator protocol reasonStopped site sponsor "
        "status title"
    ),
    ("R4B", "Subscription"): "channel contact criteria end error reason status",
}  # fmt: skip
_REQUIRED: Final[dict[tuple[str, str], str]] = {
    ("R5", "ServiceRequest"): "intent status subject",
    ("R5", "Task"): "intent status",
    ("R5", "BiologicallyDerivedProductDispense"): "patient product status",
    ("R5", "Transport"): "currentLocation intent requestedLocation",
    ("R5", "Provenance"): "agent target",
    ("R5", "AuditEvent"): "agent code recorded source",
    ("R5", "ResearchStudy"): "status",
    ("R5", "Subscription"): "channelType status topic",
    ("R4B", "ServiceRequest"): "intent status subject",
    ("R4B", "Task"): "intent status",
    ("R4B", "Provenance"): "agent recorded target",
    ("R4B", "AuditEvent"): "agent recorded source type",
    ("R4B", "ResearchStudy"): "status",
    ("R4B", "Subscription"): "channel criteria reason status",
}  # fmt: skip


class Part(msgspec.Struct, frozen=True):
    """What of each resource is asked for: `elements` by name, or one of the summaries."""

    summary: Summary = "false"
    elements: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return self.summary in ("false", "count") and not self.elements


def read_part(given: Mapping[str, str]) -> Part:
    """Read `_summary` and `_elements`; raise `Problem` 400 for what is not understood."""
    summary = given.get("_summary", "false")
    if summary not in SUMMARIES:
        raise wrong("_summary", f"{summary[:80]!r} is not known here: {', '.join(SUMMARIES)}")
    if "_elements" not in given:
        return Part(summary)  # type: ignore[arg-type]  # it is one of SUMMARIES
    if summary != "false":
        raise wrong("_elements", "ask for elements or for a summary, not for both")
    names = tuple(dict.fromkeys(given["_elements"].split(",")))
    if len(names) > MOST or not all(_NAME.fullmatch(name) for name in names):
        what = "names of elements at the top of the resource, with commas: status,subject"
        raise wrong("_elements", what)
    return Part("false", names)


def part_of(resource: Json, part: Part, version: str) -> Json:
    """Return the part of a resource that was asked for, tagged; the resource where it is whole."""
    if part.whole:
        return resource
    meta = dict(resource.get("meta", {}))
    meta["tag"] = [*(t for t in meta.get("tag", []) if t != SUBSETTED), SUBSETTED]
    if part.summary == "data":
        kept = {name: value for name, value in resource.items() if name != "text"}
        return {**kept, "meta": meta}
    kind = (version, resource["resourceType"])
    wanted = {*_ALWAYS, *_REQUIRED.get(kind, "").split(), *part.elements}
    if part.summary == "true":
        wanted.update(_SUMMARY.get(kind, "").split())
    elif part.summary == "text":
        wanted.add("text")
    kept = {n: value for n, value in resource.items() if n.removeprefix("_") in wanted}
    return {**kept, "meta": meta}
