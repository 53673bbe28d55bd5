"""Journeys as EPCIS events: a view of the record, computed, never stored.

| In the record | As EPCIS 2.0 |
|---|---|
| journey opened | TransactionEvent ADD, order as `po` |
| material created from nothing | ObjectEvent ADD, collecting, active |
| material created of others that are used up | TransformationEvent, commissioning |
| material created beside others (a sample, a shipper) | ObjectEvent ADD, commissioning |
| released | ObjectEvent OBSERVE, shipping, in_transit, possessing_party from giver to receiver |
| custody moved | ObjectEvent OBSERVE, receiving, in_progress, the same parties |
| accepted | ObjectEvent OBSERVE, accepting, conformant (or non_conformant), the same parties |
| refused, quarantined | ObjectEvent OBSERVE, inspecting / holding, non_conformant / unavailable |
| packed, unpacked | AggregationEvent ADD packing / DELETE unpacking |
| step finished | ObjectEvent OBSERVE with a business step of Stafett's own |
| measured check (°C and others) | ObjectEvent OBSERVE, inspecting, sensorElementList |
| decision | TransactionEvent ADD, `cert`, inspecting |
| administered (used up in a step of `ADMINISTERING`) | ObjectEvent DELETE, dispensing, dispensed |
| otherwise used up without issue | ObjectEvent DELETE, decommissioning, inactive |
| lost, expired, discarded | ObjectEvent DELETE, decommissioning / destroying |
| identifier bound | AssociationEvent ADD, encoding, the material and its label's identifier |
| corrected | the event again with an error declaration, and its corrected successor |

What is not in the table has no physical or commercial side and is not told to partners; it is in
the record. Event IDs are made from journey and position, so that a view can be made again.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from stafett.exchange.epcis import CONTEXT_URI, Json, document
from stafett.exchange.gs1link import DOMAIN, canonical

NAMESPACE: Final = "urn:stafett:ns:"
CONTEXT: Final = [CONTEXT_URI, {"stafett": NAMESPACE}]
STEPS: Final = "urn:stafett:step:"

# Units as protocols write them -> (measurement, UN/ECE code).
UNITS: Final = {
    "Cel": ("Temperature", "CEL"), "°C": ("Temperature", "CEL"), "C": ("Temperature", "CEL"),
    "K": ("Temperature", "KEL"),
    "mL": ("Volume", "MLT"), "ml": ("Volume", "MLT"), "L": ("Volume", "LTR"),
    "g": ("Mass", "GRM"), "kg": ("Mass", "KGM"), "h": ("Time", "HUR"), "min": ("Time", "MIN"),
    "%": ("Dimensionless", "P1"), "hPa": ("Pressure", "A97"),
}  # fmt: skip
# Steps that give a product to the patient, by the names that protocols use for them.
ADMINISTERING: Final = frozenset(
    ("infuse", "infusion", "administer", "administration", "implant", "implantation", "inject")
)
_GONE: Final = {
    "lost": ("decommissioning", "unknown"),
    "expired": ("decommissioning", "expired"),
    "discarded": ("destroying", "disposed"),
}


class View:
    """Makes the EPCIS events of one journey, in the order of the record.

    `parties` maps organisations to their party URIs (GLN), where they have one; `base` is the
    start of the URNs of what has no identifier of the field; `administering` names the steps that
    give the product to the patient (`administering_steps` of the journey's protocol).
    """

    def __init__(
        self,
        journey: str,
        parties: Mapping[str, str] | None = None,
        base: str = "urn:stafett",
        administering: Collection[str] = ADMINISTERING,
    ) -> None:
        self.journey = journey
        self.administering = administering
        self.base = base
        self.organisations = dict(parties or {})
        self.roles: dict[str, str] = {}
        self.coi = ""
        self.lots: dict[tuple[str, int], tuple[str, ...]] = {}
        self.between: dict[tuple[str, int], Json] = {}  # giver and receiver of a release
        self.used: set[tuple[str, str]] = set()
        self.made: set[tuple[str, str]] = set()

    def events(self, record: Iterable[tuple[int, Mapping[str, Any]]]) -> list[Json]:
        """Give the EPCIS events of (position, journey event as JSON) pairs."""
        record = list(record)
        for _, event in record:
            if event["type"] == "MaterialConsumed":
                self.used.add((event["lot"], event["used_in"]))
            for parent in event.get("parents") or ():
                self.made.add((parent, event["made_in"]))
        out: list[Json] = []
        by_position: dict[int, tuple[list[Json], Mapping[str, Any]]] = {}
        for position, event in record:
            if event["type"] == "Corrected":
                out += self.corrected(position, event, by_position)
                continue
            made = self.one(position, event)
            by_position[position] = (made, event)
            out += made
        return out

    def one(self, position: int, event: Mapping[str, Any]) -> list[Json]:
        """Give the EPCIS events of one journey event."""
        make: Callable[[Mapping[str, Any]], Json | None] | None = getattr(
            self, f"of_{event['type']}", None
        )
        made = make(event) if make is not None else None
        if made is None:
            return []
        moment = datetime.fromisoformat(event["occurred_at"])
        head = {
            "type": made.pop("type"),
            "eventID": self.event_id(position),
            "eventTime": moment.isoformat(timespec="milliseconds"),
            "eventTimeZoneOffset": moment.isoformat()[-6:],
        }
        tail: Json = {"stafett:journey": self.journey, "stafett:position": position}
        if self.coi:
            tail["stafett:coi"] = self.coi
        return [{**head, **made, **tail}]

    def event_id(self, position: int, version: int = 0) -> str:
        """Give the event ID of a position: always the same."""
        text = f"{self.base}|{self.journey}|{position}|{version}".encode()
        digest = bytearray(hashlib.sha256(text).digest()[:16])
        digest[6], digest[8] = 0x80 | digest[6] & 15, 0x80 | digest[8] & 63
        return uuid.UUID(bytes=bytes(digest)).urn

    def lot(self, lot: str) -> str:
        """Give the URN of a material."""
        return f"{self.base}:lot:{quote(self.journey, safe='')}:{quote(lot, safe='')}"

    def party(self, role: str) -> str:
        """Give the URI of the organisation that plays a role."""
        organisation = self.roles.get(role, role)
        return self.organisations.get(organisation) or (
            f"{self.base}:party:{quote(organisation, safe='')}"
        )

    def parties(self, giver: str, receiver: str) -> Json:
        """Give the change of possession."""
        return {
            "sourceList": [{"type": "possessing_party", "source": self.party(giver)}],
            "destinationList": [{"type": "possessing_party", "destination": self.party(receiver)}],
        }

    def seen(
        self, lots: Iterable[str], step: str, disposition: str, action: str = "OBSERVE"
    ) -> Json:
        """Give an ObjectEvent."""
        return {
            "type": "ObjectEvent", "action": action,
            "epcList": [self.lot(x) for x in dict.fromkeys(lots)],
            "bizStep": step, "disposition": disposition,
        }  # fmt: skip

    def order(self, name: str) -> str:
        """Give the URN of a document or order of this journey."""
        return f"{self.base}:document:{quote(self.journey, safe='')}:{quote(name, safe='')}"

    # -- one method for each kind of journey event -----------------------------------------------

    def of_JourneyOpened(self, e: Mapping[str, Any]) -> Json:
        """The order."""
        self.roles = dict(e["parties"])
        self.coi = e["coi"]
        return {
            "type": "TransactionEvent", "action": "ADD", "epcList": [],
            "bizTransactionList": [{"type": "po", "bizTransaction": self.order("order")}],
            "bizStep": "reserving", "stafett:protocol": f"{e['protocol']}@{e['version']}",
        }  # fmt: skip

    def of_MaterialCreated(self, e: Mapping[str, Any]) -> Json:
        """Collection, or manufacture from parents."""
        extra: Json = {"stafett:madeIn": e["made_in"], "stafett:material": e["material"]}
        labels = {f"stafett:{k}": v for k, v in sorted(e["identifiers"].items()) if v}
        if labels:
            extra["stafett:identifiers"] = labels
        parents = list(dict.fromkeys(e["parents"]))
        if not parents:
            return {**self.seen([e["lot"]], "collecting", "active", "ADD"), **extra}
        inputs = [p for p in parents if (p, e["made_in"]) in self.used]
        if not inputs:
            extra["stafett:beside"] = [self.lot(p) for p in parents]
            return {**self.seen([e["lot"]], "commissioning", "active", "ADD"), **extra}
        return {
            "type": "TransformationEvent",
            "inputEPCList": [self.lot(p) for p in inputs],
            "outputEPCList": [self.lot(e["lot"])],
            "transformationID": self.order(f"{e['made_in']}:{e['lot']}"),
            "bizStep": "commissioning", "disposition": "in_progress", **extra,
        }  # fmt: skip

    def of_MaterialConsumed(self, e: Mapping[str, Any]) -> Json | None:
        """Use without issue; where something was made of it, the transformation says so."""
        if (e["lot"], e["used_in"]) in self.made:
            return None
        given = e["used_in"] in self.administering
        step, disposition = (
            ("dispensing", "dispensed") if given else ("decommissioning", "inactive")
        )
        return {
            **self.seen([e["lot"]], step, disposition, "DELETE"), "stafett:usedIn": e["used_in"],
        }  # fmt: skip

    def of_MaterialGone(self, e: Mapping[str, Any]) -> Json:
        """Loss, expiry or discarding."""
        step, disposition = _GONE[e["reason"]]
        return self.seen([e["lot"]], step, disposition, "DELETE")

    def of_Released(self, e: Mapping[str, Any]) -> Json:
        """Shipping."""
        parties = self.parties(e["giver"], e["receiver"])
        self.lots[e["handoff"], e["round"]] = tuple(e.get("carries") or ())
        self.between[e["handoff"], e["round"]] = parties
        return {
            **self.seen(e.get("carries") or (), "shipping", "in_transit"),
            **parties,
            "stafett:handoff": e["handoff"],
        }

    def of_CustodyMoved(self, e: Mapping[str, Any]) -> Json:
        """Receiving."""
        return {
            **self.seen([e["lot"]], "receiving", "in_progress"),
            **self.parties(e["giver"], e["receiver"]),
            "stafett:handoff": e["handoff"],
        }

    def of_Accepted(self, e: Mapping[str, Any]) -> Json:
        """Acceptance."""
        disposition = "non_conformant" if e.get("with_deviation") else "conformant"
        # Both sides of what is accepted: who asks by party finds the end of the handoff too.
        parties = self.between.get((e["handoff"], e["round"]), {})
        return {**self._judged(e, "accepting", disposition), **parties}

    def of_Quarantined(self, e: Mapping[str, Any]) -> Json:
        """Taken, but held."""
        return self._judged(e, "holding", "unavailable")

    def of_Refused(self, e: Mapping[str, Any]) -> Json:
        """Not taken."""
        return self._judged(e, "inspecting", "non_conformant")

    def _judged(self, e: Mapping[str, Any], step: str, disposition: str) -> Json:
        lots = self.lots.get((e["handoff"], e["round"]), ())
        out = {**self.seen(lots, step, disposition), "stafett:handoff": e["handoff"]}
        if e.get("reason"):
            out["stafett:reason"] = e["reason"]
        return out

    def of_MaterialQuarantined(self, e: Mapping[str, Any]) -> Json:
        """Held."""
        return {
            **self.seen([e["lot"]], "holding", "unavailable"), "stafett:because": e["because"],
        }  # fmt: skip

    def of_QuarantineLifted(self, e: Mapping[str, Any]) -> Json:
        """Free again."""
        return self.seen([e["lot"]], "inspecting", "available")

    def of_MaterialPacked(self, e: Mapping[str, Any]) -> Json:
        """Into another."""
        return self._pack(e["outer"], e["lot"], "ADD", "packing")

    def of_MaterialUnpacked(self, e: Mapping[str, Any]) -> Json:
        """Out of what it was in (EPCIS lets a DELETE leave the parent out)."""
        return {
            "type": "AggregationEvent", "action": "DELETE", "childEPCs": [self.lot(e["lot"])],
            "bizStep": "unpacking", "disposition": "in_progress",
        }  # fmt: skip

    def _pack(self, outer: str, lot: str, action: str, step: str) -> Json:
        return {
            "type": "AggregationEvent", "action": action, "parentID": self.lot(outer),
            "childEPCs": [self.lot(lot)], "bizStep": step, "disposition": "in_progress",
        }  # fmt: skip

    def of_StepFinished(self, e: Mapping[str, Any]) -> Json:
        """A unit operation: a step of our own vocabulary."""
        return {
            "type": "ObjectEvent", "action": "OBSERVE",
            "epcList": [self.lot(x) for x in dict.fromkeys(e.get("inputs") or ())],
            "bizStep": STEPS + quote(e["step"], safe=""), "stafett:result": e["result"],
        }  # fmt: skip

    def of_Decided(self, e: Mapping[str, Any]) -> Json:
        """A decision is a certificate about what it was about."""
        return {
            "type": "TransactionEvent", "action": "ADD", "epcList": [],
            "bizTransactionList": [
                {"type": "cert", "bizTransaction": self.order(f"decision:{e['decision']}")}
            ],
            "bizStep": "inspecting", "stafett:result": e["result"], "stafett:reason": e["reason"],
        }  # fmt: skip

    def of_CheckAnswered(self, e: Mapping[str, Any]) -> Json | None:
        """A measured value; other checks stay between the two sides."""
        value, unit = e["value"], UNITS.get(e.get("unit") or "")
        if unit is None or isinstance(value, bool) or not isinstance(value, int | float):
            return None
        report = {"type": unit[0], "value": value, "uom": unit[1], "stafett:check": e["check"]}
        return {
            "type": "ObjectEvent", "action": "OBSERVE", "epcList": [], "bizStep": "inspecting",
            "sensorElementList": [
                {"sensorMetadata": {"time": e["occurred_at"]}, "sensorReport": [report]}
            ],
        }  # fmt: skip

    def of_IdentifierBound(self, e: Mapping[str, Any]) -> Json | None:
        """A GS1 identifier on a label belongs to a material from now on; others are not EPCs."""
        link = canonical(e["value"]) if ":" in e["value"] else ""
        if not link.startswith(DOMAIN) or e["material"] == "patient":
            return None
        return {
            "type": "AssociationEvent", "action": "ADD",
            "parentID": self.lot(e.get("about") or e["material"]), "childEPCs": [link],
            "bizStep": "encoding", "disposition": "active",
        }  # fmt: skip

    def corrected(
        self,
        position: int,
        event: Mapping[str, Any],
        known: Mapping[int, tuple[list[Json], Mapping[str, Any]]],
    ) -> list[Json]:
        """Declare the wrong event an error and give its corrected successor."""
        if event["position"] not in known:
            return []
        wrong, source = known[event["position"]]
        mended = self.one(event["position"], {**source, event["field"]: event["new"]})
        successor = [{**m, "eventID": self.event_id(position)} for m in mended]
        error = {
            "declarationTime": event["occurred_at"],
            "reason": "incorrect_data",
            "correctiveEventIDs": [s["eventID"] for s in successor],
            "stafett:why": event["reason"],
        }
        return [*({**w, "errorDeclaration": error} for w in wrong), *successor]


def journey_document(
    journey: str,
    record: Iterable[tuple[int, Mapping[str, Any]]],
    *,
    created: str,
    parties: Mapping[str, str] | None = None,
    administering: Collection[str] = ADMINISTERING,
) -> Json:
    """Give a journey as one EPCISDocument."""
    view = View(journey, parties, administering=administering)
    return document(view.events(record), CONTEXT, created=created)


def administering_steps(protocol: Mapping[str, Any]) -> frozenset[str]:
    """Give the steps in which a protocol (its document's value) treats the patient."""
    steps = protocol.get("steps")
    found = steps.items() if isinstance(steps, Mapping) else ()
    return frozenset(
        str(n) for n, s in found if isinstance(s, Mapping) and s.get("kind") == "administer"
    )
