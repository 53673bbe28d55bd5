"""FHIR resources that are no part of a journey: capabilities, audit, studies, subscriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import stafett
from stafett.exchange.fhir_along import includable, revincludable
from stafett.exchange.fhir_parameters import parameters, types
from stafett.exchange.fhir_sort import sortable
from stafett.exchange.fhir_write import JOURNEY, Bundle, Version
from stafett.exchange.problem import Finding, Problem
from stafett.exchange.subscriptions import Webhook

Json = dict[str, Any]
NUMBER: Final = {"R5": "5.0.0", "R4B": "4.3.0"}
TOPIC: Final = "urn:stafett:topic:journey"
# fmt: off
_CODES: Final = {400: "invalid", 401: "login", 403: "forbidden", 404: "not-found",
                 406: "not-supported", 409: "conflict", 413: "too-long", 415: "not-supported",
                 422: "processing", 429: "throttled", 500: "exception", 503: "transient"}
# fmt: on
_PROGRESS: Final = {
    "not-yet-recruiting": "approved",
    "recruiting": "active",
    "by-invitation": "active",
    "active": "closed-to-accrual",
    "suspended": "temporarily-closed-to-accrual",
    "terminated": "administratively-completed",
    "completed": "completed",
    "withdrawn": "withdrawn",
    "unknown": "in-review",
}  # fmt: skip

VALIDATE: Final = {
    "name": "validate",
    "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    "documentation": "POST {type}/$validate, POST or GET {type}/{id}/$validate; also Bundle",
}
_PARTS: Final = {
    "_elements": "names at the top of the resource; what must be there is there, tagged SUBSETTED",
    "_summary": "true, text, data (each tagged SUBSETTED), count, false",
}
_RULES: Final = (
    "Searches are handled strictly, whatever Prefer says: what is not listed is refused with its "
    "place. Each type's documentation names what _sort takes, up or (with -) down; where a name "
    "has its - already, only so. _include and _revinclude take :iterate."
)


def outcome(status: int, detail: str, findings: list[tuple[str, str]] | None = None) -> Json:
    """Return an OperationOutcome: one issue for each finding, with where it is."""
    code = _CODES.get(status, "processing")
    issues: list[Json] = [
        {"severity": "error", "code": code, "diagnostics": what[:1000], "expression": [where]}
        if where
        else {"severity": "error", "code": code, "diagnostics": what[:1000]}
        for where, what in findings or []
    ]
    if not issues:
        issues = [{"severity": "error", "code": code, "diagnostics": detail[:1000]}]
    return {"resourceType": "OperationOutcome", "issue": issues}


def validation(kind: str, errors: Sequence[Finding], remarks: Sequence[Finding]) -> Json:
    """Return what `$validate` found: an OperationOutcome, that all is right where nothing was.

    `kind` is the type of what was judged: a place is told as FHIRPath, `Task.input[0].type`.
    """
    issues: list[Json] = [
        {"severity": severity, "code": code, "diagnostics": found.detail[:1000],
         **({"expression": [fhirpath(kind, found.pointer)]} if found.pointer else {})}
        for severity, code, some in (
            ("error", "invalid", errors), ("warning", "incomplete", remarks),
        )
        for found in some
    ]  # fmt: skip
    if not issues:
        issues = [
            {"severity": "information", "code": "informational", "diagnostics": "it is valid"}
        ]
    return {"resourceType": "OperationOutcome", "issue": issues}


def fhirpath(kind: str, place: str) -> str:
    """Return a JSON pointer below a resource of `kind` as FHIRPath."""
    steps = [s.replace("~1", "/").replace("~0", "~") for s in place.split("/")[1:]]
    return kind + "".join(f"[{s}]" if s.isdigit() else f".{s}" for s in steps)


def of_problem(problem: Problem) -> Json:
    """Return a refusal of the exchange as an OperationOutcome."""
    found = [(f.pointer, f.detail) for f in problem.findings]
    return outcome(problem.status, problem.detail, found)


def capabilities(version: Version, base: str, since: str, number: str = "") -> Json:
    """Return the CapabilityStatement: what `/metadata` says."""
    resources: list[Json] = []
    for kind in types(version):
        interactions = ["read", "search-type"]
        along, back = list(includable(kind)), list(revincludable(kind, version))
        if kind == "Subscription":
            interactions += ["create", "delete"]
        elif kind not in ("AuditEvent", "ResearchStudy"):
            interactions += ["vread", "history-instance"]
        resources.append(
            {
                "type": kind,
                "interaction": [{"code": code} for code in interactions],
                **({"conditionalRead": "not-match"} if kind != "Subscription" else {}),
                "versioning": "versioned" if kind not in ("Subscription",) else "no-version",
                "searchParam": [
                    {"name": name, "type": "string" if what == "text" else what}
                    for name, (what, _) in parameters(kind).items()
                ],
                "operation": [VALIDATE],
                **({"searchInclude": along} if along else {}),
                **({"searchRevInclude": back} if back else {}),
                "documentation": f"_sort: {', '.join(sortable(kind))}",
            }
        )
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": since,
        "kind": "instance",
        "software": {"name": "Stafett", "version": stafett.__version__},
        "implementation": {"description": "Stafett control tower", "url": base},
        "fhirVersion": number or NUMBER[version],
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "description": "Bearer token of POST /api/session. An organisation reads the "
                    "journeys that it takes part in; ResearchStudy is public."
                },
                "documentation": _RULES,
                "resource": resources,
                "interaction": [{"code": "transaction"}],
                "searchParam": [
                    {"name": name, "type": "special", "documentation": why}
                    for name, why in _PARTS.items()
                ],
            }
        ],
    }


def audit_event(
    version: Version, number: int, at: datetime, person: str, organisation: str, what: str
) -> Json:
    """Return one look as an AuditEvent; `person` is "" where it is not the asker's business who."""
    who = {"display": person or organisation}
    body: Json = {
        "resourceType": "AuditEvent",
        "id": f"read-{number}",
        "meta": {"versionId": "1", "lastUpdated": at.isoformat()},
        "action": "R",
        "recorded": at.isoformat(),
        "agent": [{"who": who, "requestor": True}],
        "source": {"observer": {"display": organisation}},
        "entity": [{"what": {"display": what}}],
    }
    kind, _, name = what.partition(" ")
    if kind == "journey":
        order = Bundle(name, version).name("ServiceRequest", "order")
        body["entity"] = [{"what": {"reference": order, "display": what}}]
    coding = {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"}
    if version == "R5":
        body["code"] = {"coding": [coding]}
    else:
        body["type"] = coding
    return body


def study(version: Version, trial: Any, number: int, at: datetime) -> Json:
    """Return a trial of the public registry as a ResearchStudy."""
    system = {
        "clinicaltrials.gov": "https://clinicaltrials.gov",
        "ctis": "https://euclinicaltrials.eu",
    }.get(trial.source, "urn:stafett:trial")
    body: Json = {
        "resourceType": "ResearchStudy",
        "id": trial.id,
        "meta": {"versionId": str(number), "lastUpdated": at.isoformat()},
        "identifier": [{"system": system, "value": trial.id}],
        "title": trial.title,
        "status": "active" if version == "R5" else _PROGRESS[trial.status],
        "condition": [{"text": one} for one in trial.indications],
    }
    if trial.phases:
        phase = {"early-1": "early-phase-1"}.get(trial.phases[-1], f"phase-{trial.phases[-1]}")
        system = "http://terminology.hl7.org/CodeSystem/research-study-phase"
        body["phase"] = {"coding": [{"system": system, "code": phase}]}
    if trial.sites:
        body["site"] = [{"display": f"{s.name}, {s.country}"} for s in trial.sites]
    if version == "R5":
        state = {"coding": [{"code": _PROGRESS[trial.status]}], "text": trial.status}
        body["progressStatus"] = [{"state": state}]
    if trial.made_up:
        body["meta"]["tag"] = [{"system": "urn:stafett:tag", "code": "made-up"}]
    return body


def subscription(version: Version, hook: Webhook) -> Json:
    """Return a rest-hook as a Subscription; its secret is never shown."""
    status = "error" if hook.dead else "active"
    meta = {"lastUpdated": (hook.last_run or hook.created).isoformat()}
    body: Json = {"resourceType": "Subscription", "id": str(hook.id), "meta": meta}
    if version == "R5":
        system = "http://terminology.hl7.org/CodeSystem/subscription-channel-type"
        return body | {
            "status": status, "topic": TOPIC, "endpoint": hook.dest, "content": "id-only",
            "contentType": "application/fhir+json",
            "channelType": {"system": system, "code": "rest-hook"},
        }  # fmt: skip
    body |= {
        "status": status, "reason": "Stafett", "criteria": TOPIC,
        "channel": {"type": "rest-hook", "endpoint": hook.dest,
                    "payload": "application/fhir+json"},
    }  # fmt: skip
    if hook.last_error:
        body["error"] = hook.last_error
    return body


def notification(version: Version, hook: Webhook, position: int, journey: str, at: str) -> Json:
    """Return what a rest-hook is sent: which journey changed, and nothing of what is in it."""
    order = Bundle(journey, version).name("ServiceRequest", "order")
    focus = {"reference": order, "identifier": {"system": JOURNEY, "value": journey}}
    status: Json = {
        "resourceType": "SubscriptionStatus",
        "id": f"n{position}",
        "status": "active",
        "type": "event-notification",
        "subscription": {"reference": f"Subscription/{hook.id}"},
        "topic": TOPIC,
        "notificationEvent": [
            {"eventNumber": position if version == "R5" else str(position), "timestamp": at,
             "focus": focus}
        ],
    }  # fmt: skip
    return {
        "resourceType": "Bundle",
        "type": "subscription-notification" if version == "R5" else "history",
        "timestamp": at,
        "entry": [
            {
                "fullUrl": f"urn:stafett:fhir:{quote(status['id'])}",
                "resource": status,
                **(
                    {}
                    if version == "R5"
                    else {"request": {"method": "GET", "url": f"Subscription/{hook.id}/$status"},
                          "response": {"status": "200"}}
                ),
            }
        ],
    }  # fmt: skip


def wish(body: Mapping[str, Any]) -> tuple[str, str | None]:
    """Read a Subscription (either version): (address, secret); `Problem` 422 for the rest."""
    channel = body.get("channel")
    if isinstance(channel, Mapping):  # R4B
        kind, dest, topic = channel.get("type"), channel.get("endpoint"), body.get("criteria")
        secret = next(
            (str(h).partition(":")[2].strip() for h in channel.get("header") or ()
             if str(h).lower().startswith("stafett-secret:")), None,
        )  # fmt: skip
        asked = "id-only"
    else:
        coding = body.get("channelType")
        kind = coding.get("code") if isinstance(coding, Mapping) else None
        dest, topic, asked = body.get("endpoint"), body.get("topic"), body.get("content", "id-only")
        given = body.get("parameter")
        secret = next(
            (str(p.get("value")) for p in (given if isinstance(given, list) else ())
             if isinstance(p, Mapping) and p.get("name") == "secret"), None,
        )  # fmt: skip
    if kind != "rest-hook":
        raise Problem(422, "ValidationException", f"of channels only rest-hook, not {kind!r}")
    if topic != TOPIC:
        raise Problem(422, "ValidationException", f"the one topic (R4B: criteria) is {TOPIC!r}")
    if asked != "id-only":
        raise Problem(422, "ValidationException", "content is id-only: read what changed")
    if secret is not None and not 16 <= len(secret) <= 500:
        raise Problem(422, "ValidationException", "a secret has 16 to 500 characters")
    return str(dest or ""), secret
