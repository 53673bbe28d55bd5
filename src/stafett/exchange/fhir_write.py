"""Journeys as FHIR bundles, R5 or R4B: a view of the record, computed, never stored.

| In the record | FHIR R5 | FHIR R4B |
|---|---|---|
| the patient's pseudonym | Patient.identifier | the same |
| journey opened | ServiceRequest (CodeableReference) | ServiceRequest (CodeableConcept) |
| material created | BiologicallyDerivedProduct, productCategory as Coding | ..., as code |
| a sample | Specimen | Specimen |
| a handoff's release and acceptance | Transport and Task | SupplyDelivery and Task |
| custody moved | Provenance, agents releaser and receiver | the same |
| signatures | Provenance.signature | Provenance.signature |
| product administered | BiologicallyDerivedProductDispense | BDP status unavailable |

R4 and R5 BiologicallyDerivedProduct are incompatible: source event, status, category and storage
moved or changed their type. Resource ids are the journey and a digest of the thing, the same each
time; `touched` says which event changed a resource last.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Literal

from stafett.exchange.fhir_read import COI, DIN
from stafett.exchange.views import ADMINISTERING

Json = dict[str, Any]
Version = Literal["R5", "R4B"]

PSEUDONYM: Final = "urn:stafett:pseudonym"
COMMITMENT: Final = "urn:stafett:commitment"
JOURNEY: Final = "urn:stafett:journey"
LOT: Final = "urn:stafett:lot"
CATEGORY: Final = "http://hl7.org/fhir/product-category"
STATUS: Final = "http://hl7.org/fhir/biologicallyderived-product-status"
SIGNATURE: Final = "urn:iso-astm:E1762-95:2013"
VERIFIED: Final = "1.2.840.10065.1.12.1.5"  # verification signature
# A journey's name can stand in a resource's id (64 of A-Z a-z 0-9 - .), which then tells it.
_TELLING: Final = re.compile(r"[A-Za-z0-9.-]{1,38}")
_ID: Final = re.compile(r"([A-Za-z0-9.-]{1,38})-[a-z2-7]{24}")
SAMPLES: Final = frozenset(("sample", "qc-sample", "retain", "specimen"))


class Bundle:
    """Collects the resources of one journey."""

    def __init__(
        self,
        journey: str,
        version: Version = "R5",
        administering: Collection[str] = ADMINISTERING,
        pseudonym: str | None = None,
    ) -> None:
        if version not in ("R5", "R4B"):
            raise ValueError(f"{version!r} is neither R5 nor R4B")
        self.journey = journey
        self.version = version
        self.administering = administering
        self.pseudonym = pseudonym
        self.touched: dict[str, int] = {}
        self.now = 0
        self.resources: dict[str, Json] = {}
        self.roles: dict[str, str] = {}
        self.coi = ""
        self.patient = ""
        self.din = ""

    def add(self, record: Iterable[tuple[int, Mapping[str, Any]]]) -> Json:
        """Go through (position, journey event as JSON) pairs and give the bundle."""
        for position, event in record:
            self.now = position
            handle = getattr(self, f"on_{event['type']}", None)
            if handle is not None:
                handle(position, event)
            if event.get("signatures"):
                self.signed(position, event)
        return {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {"fullUrl": f"urn:stafett:fhir:{name}", "resource": resource}
                for name, resource in self.resources.items()
            ],
        }

    # -- names -----------------------------------------------------------------------------------

    def name(self, kind: str, thing: str) -> str:
        """Give the reference of a resource of this journey."""
        digest = hashlib.sha256(f"{self.journey}|{kind}|{thing}".encode()).digest()[:15]
        tail = base64.b32encode(digest).decode().lower()
        telling = _TELLING.fullmatch(self.journey)
        return f"{kind}/{self.journey}-{tail}" if telling else f"{kind}/{tail}"

    def touch(self, name: str) -> Json | None:
        """Give a resource that the present event changes, if there is one."""
        found = self.resources.get(name)
        if found is not None:
            self.touched[name] = self.now
        return found

    def put(self, kind: str, thing: str, body: Json) -> Json:
        """Keep a resource under its name."""
        name = self.name(kind, thing)
        self.resources[name] = {"resourceType": kind, "id": name.split("/")[1], **body}
        self.touched[name] = self.now
        return self.resources[name]

    def organisation(self, role: str) -> Json:
        """Refer to the organisation that plays a role."""
        organisation = self.roles.get(role, role)
        name = self.name("Organization", organisation)
        if name not in self.resources:
            self.put("Organization", organisation, {"name": organisation})
        return {"reference": name}

    def lot(self, lot: str) -> Json:
        """Refer to a material."""
        kind = "Specimen" if _is_sample(lot) else "BiologicallyDerivedProduct"
        return {"reference": self.name(kind, lot)}

    # -- one method for each kind of journey event -----------------------------------------------

    def on_JourneyOpened(self, position: int, e: Mapping[str, Any]) -> None:
        """The pseudonymous patient and the order."""
        self.roles, self.coi = dict(e["parties"]), e["coi"]
        self.patient = self.name("Patient", e["patient"])
        known = [{"system": PSEUDONYM, "value": self.pseudonym or e["patient"]}]
        if self.pseudonym:
            known.append({"system": COMMITMENT, "value": e["patient"]})
        self.put("Patient", e["patient"], {"identifier": known})
        text = {"text": f"{e['protocol']} {e['version']}"}
        self.put(
            "ServiceRequest", "order",
            {
                "identifier": [{"system": JOURNEY, "value": self.journey},
                               {"system": COI, "value": e["coi"]}],
                "status": "active", "intent": "order", "subject": {"reference": self.patient},
                "code": {"concept": text} if self.version == "R5" else text,
                "authoredOn": e["occurred_at"],
                "requester": self.organisation(e["by"]["role"]),
            },
        )  # fmt: skip

    def on_MaterialCreated(self, position: int, e: Mapping[str, Any]) -> None:
        """A product or a specimen."""
        identifiers = [
            {"system": LOT, "value": f"{self.journey}/{e['lot']}"},
            {"system": COI, "value": self.coi},
        ]
        self.din = e["identifiers"].get("din", self.din)
        parents = [self.lot(p) for p in dict.fromkeys(e["parents"])]
        if _is_sample(e["lot"]):
            self.put(
                "Specimen", e["lot"],
                {"identifier": identifiers, "subject": {"reference": self.patient},
                 "collection": {"collectedDateTime": e["occurred_at"]}},
            )  # fmt: skip
            return
        body: Json = {"identifier": identifiers}
        if parents:
            body["parent"] = [p for p in parents if p["reference"].startswith("Biologically")]
        else:
            body["collection"] = {
                "source": {"reference": self.patient}, "collectedDateTime": e["occurred_at"],
                "collector": self.organisation(e["role"]),
            }  # fmt: skip
        if self.version == "R5":
            body["productCategory"] = {"system": CATEGORY, "code": "cells"}
            body["productStatus"] = {"system": STATUS, "code": "available"}
            if self.din:
                body["biologicalSourceEvent"] = {"system": DIN, "value": self.din}
        else:
            body["productCategory"], body["status"] = "cells", "available"
            if self.din:
                identifiers.append({"system": DIN, "value": self.din})
        self.put("BiologicallyDerivedProduct", e["lot"], body)

    def on_MaterialConsumed(self, position: int, e: Mapping[str, Any]) -> None:
        """Given to the patient, or used up."""
        self._no_longer(e["lot"])
        if e["used_in"] in self.administering and self.version == "R5":
            self.put(
                "BiologicallyDerivedProductDispense", e["lot"],
                {"status": "issued", "product": self.lot(e["lot"]),
                 "patient": {"reference": self.patient}, "whenHandedOver": e["occurred_at"]},
            )  # fmt: skip

    def on_MaterialGone(self, position: int, e: Mapping[str, Any]) -> None:
        """Lost, expired or discarded."""
        self._no_longer(e["lot"])

    def _no_longer(self, lot: str) -> None:
        resource = self.touch(self.lot(lot)["reference"])
        if resource is None or resource["resourceType"] == "Specimen":
            return
        if self.version == "R5":
            resource["productStatus"] = {"system": STATUS, "code": "unavailable"}
        else:
            resource["status"] = "unavailable"

    def on_Released(self, position: int, e: Mapping[str, Any]) -> None:
        """A task for the receiver, and a transport of what is carried."""
        thing = f"{e['handoff']}/{e['round']}"
        carries = [self.lot(x) for x in e.get("carries") or ()]
        task: Json = {
            "status": "requested", "intent": "order",
            "code": {"text": f"accept handoff {e['handoff']}"},
            "for": {"reference": self.patient}, "requester": self.organisation(e["giver"]),
            "owner": self.organisation(e["receiver"]), "authoredOn": e["occurred_at"],
        }  # fmt: skip
        if carries:
            task["focus"] = carries[0]
        self.put("Task", thing, task)
        if not carries:
            return
        if self.version == "R5":
            place = {"display": self.roles.get(e["receiver"], e["receiver"])}
            here = {"display": self.roles.get(e["giver"], e["giver"])}
            self.put(
                "Transport", thing,
                {"status": "in-progress", "intent": "order", "focus": carries[0],
                 "for": {"reference": self.patient}, "requestedLocation": place,
                 "currentLocation": here, "authoredOn": e["occurred_at"]},
            )  # fmt: skip
        else:
            self.put(
                "SupplyDelivery", thing,
                {"status": "in-progress", "patient": {"reference": self.patient},
                 "supplier": self.organisation(e["giver"]),
                 "suppliedItem": {"itemReference": carries[0]}},
            )  # fmt: skip

    def on_Accepted(self, position: int, e: Mapping[str, Any]) -> None:
        """The task is done, the transport arrived."""
        self._settle(e, "completed", "completed")

    def on_Quarantined(self, position: int, e: Mapping[str, Any]) -> None:
        """Arrived, but on hold."""
        self._settle(e, "on-hold", "completed")

    def on_Refused(self, position: int, e: Mapping[str, Any]) -> None:
        """Rejected."""
        self._settle(e, "rejected", "abandoned")

    def _settle(self, e: Mapping[str, Any], task: str, transport: str) -> None:
        thing = f"{e['handoff']}/{e['round']}"
        there = self.touch(self.name("Task", thing))
        if there is None:
            return
        there["status"] = task
        there["lastModified"] = e["occurred_at"]
        moved = self.touch(self.name("Transport", thing))
        if moved is not None:
            moved["status"] = transport
            if transport == "completed":
                moved["completionTime"] = e["occurred_at"]
                moved["currentLocation"] = moved["requestedLocation"]
        supply = self.touch(self.name("SupplyDelivery", thing))
        if supply is not None:
            supply["status"] = transport

    def on_JourneyEnded(self, position: int, e: Mapping[str, Any]) -> None:
        """The order was carried out, or was not."""
        order = self.touch(self.name("ServiceRequest", "order"))
        if order is not None:
            order["status"] = "completed" if e["treated"] else "revoked"

    def on_CustodyMoved(self, position: int, e: Mapping[str, Any]) -> None:
        """Who gave, who took, when."""
        self.put(
            "Provenance", f"custody/{position}",
            {"target": [self.lot(e["lot"])], "recorded": e["occurred_at"],
             "occurredDateTime": e["occurred_at"], "activity": {"text": "custody transfer"},
             "agent": [{"type": {"text": "releaser"}, "who": self.organisation(e["giver"])},
                       {"type": {"text": "receiver"}, "who": self.organisation(e["receiver"])}]},
        )  # fmt: skip

    def signed(self, position: int, e: Mapping[str, Any]) -> None:
        """Signatures with their meaning, on what the event is about."""
        lots = list(e.get("inputs") or ()) + list(e.get("carries") or ())
        target = [self.lot(x) for x in dict.fromkeys(lots)] or [
            {"reference": self.name("ServiceRequest", "order")}
        ]
        agents, signatures = [], []
        for s in e["signatures"]:
            who = {"display": s["name"], "identifier": {"system": PSEUDONYM, "value": s["person"]}}
            agents.append({"type": {"text": s["meaning"]}, "who": who})
            signatures.append(
                {
                    "type": [{"system": SIGNATURE, "code": VERIFIED, "display": s["meaning"]}],
                    "when": s["at"], "who": who, "sigFormat": "application/octet-stream",
                    "data": base64.b64encode(s["digest"].encode()).decode(),
                }
            )  # fmt: skip
        self.put(
            "Provenance", f"signature/{position}",
            {"target": target, "recorded": e["occurred_at"], "activity": {"text": e["type"]},
             "agent": agents, "signature": signatures},
        )  # fmt: skip


def _is_sample(lot: str) -> bool:
    return lot.split("/")[0].replace("_", "-") in SAMPLES


def journey_of(identifier: str) -> str | None:
    """Give the journey that a resource's id tells; None where it does not tell."""
    found = _ID.fullmatch(identifier)
    return found[1] if found else None


def journey_bundle(
    journey: str,
    record: Iterable[tuple[int, Mapping[str, Any]]],
    version: Version = "R5",
    administering: Collection[str] = ADMINISTERING,
) -> Json:
    """Give a journey as one FHIR Bundle; `administering` as in `views.View`."""
    return Bundle(journey, version, administering).add(record)
