"""ClinicalTrials.gov: studies of its API v2 (JSON) and of its CSV download.

Layouts: https://clinicaltrials.gov/data-api/about-api/study-data-structure (JSON) and the columns
of the download "CSV" of its search page, both as published since June 2024.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stafett.registry import rows
from stafett.registry.rows import BadRow
from stafett.registry.trial import Phase, Status, Trial, kind_of

STATUS: dict[str, Status] = {
    "NOT_YET_RECRUITING": "not-yet-recruiting",
    "RECRUITING": "recruiting",
    "ENROLLING_BY_INVITATION": "by-invitation",
    "ACTIVE_NOT_RECRUITING": "active",
    "SUSPENDED": "suspended",
    "TERMINATED": "terminated",
    "COMPLETED": "completed",
    "WITHDRAWN": "withdrawn",
    "UNKNOWN": "unknown",
    "NO_LONGER_AVAILABLE": "terminated",
    "TEMPORARILY_NOT_AVAILABLE": "suspended",
    "AVAILABLE": "by-invitation",
    "APPROVED_FOR_MARKETING": "completed",
    "WITHHELD": "unknown",
}
PHASES: dict[str, Phase | None] = {
    "EARLY_PHASE1": "early-1",
    "PHASE1": "1",
    "PHASE2": "2",
    "PHASE3": "3",
    "PHASE4": "4",
    "NA": None,
    "": None,
}
SEX = {"ALL": "all", "FEMALE": "female", "MALE": "male", "": "all"}
_UNIT_YEARS = {"year": 1.0, "month": 1 / 12, "week": 7 / 365.25, "day": 1 / 365.25}
COLUMNS = ("NCT Number", "Study Title", "Study Status", "Conditions")
# The download names age groups only (CHILD: birth to 17 years, ADULT: 18 to 64, OLDER_ADULT: 65+).
GROUPS: dict[str, tuple[float, float | None]] = {
    "CHILD": (0.0, 17.0),
    "ADULT": (18.0, 64.0),
    "OLDER_ADULT": (65.0, None),
}


def study(record: Mapping[str, Any]) -> Trial:
    """Return one study of the API. Raises BadRow."""
    section = _dict(record, "protocolSection")
    identity, design = _dict(section, "identificationModule"), _dict(section, "designModule")
    status, who = _dict(section, "statusModule"), _dict(section, "sponsorCollaboratorsModule")
    eligible, where = _dict(section, "eligibilityModule"), _dict(section, "contactsLocationsModule")
    conditions = _dict(section, "conditionsModule").get("conditions") or ()
    arms = _dict(section, "armsInterventionsModule").get("interventions") or ()
    products = tuple(a["name"] for a in arms if isinstance(a, dict) and a.get("name"))
    title = identity.get("briefTitle") or identity.get("officialTitle") or ""
    contacts = where.get("centralContacts") or ()
    return rows.trial(
        {
            "id": identity.get("nctId", ""),
            "title": title,
            "sponsor": _dict(who, "leadSponsor").get("name", ""),
            "products": products,
            "kind": kind_of(title, *products),
            "phases": phases(design.get("phases") or ()),
            "status": status_of(status.get("overallStatus", "")),
            "indications": tuple(conditions),
            "sex": sex_of(eligible.get("sex", "")),
            "minimum_age": age(eligible.get("minimumAge"), "minimumAge"),
            "maximum_age": age(eligible.get("maximumAge"), "maximumAge"),
            "sites": [_site(one) for one in where.get("locations") or ()],
            "contact": _contact(contacts[0]) if contacts else None,
            "starts": _dict(status, "startDateStruct").get("date"),
            "ends": _dict(status, "completionDateStruct").get("date"),
            "updated": _dict(status, "lastUpdatePostDateStruct").get("date"),
            "url": f"https://clinicaltrials.gov/study/{identity.get('nctId', '')}",
            "source": "clinicaltrials.gov",
            "also": tuple(s["id"] for s in identity.get("secondaryIdInfos") or () if s.get("id")),
        }
    )


def line(record: Mapping[str, str]) -> Trial:
    """Return one line of the CSV download. Raises BadRow."""
    products = tuple(
        part.partition(": ")[2] or part for part in _parts(record.get("Interventions", ""))
    )
    low, high = _groups(record.get("Age", ""))
    return rows.trial(
        {
            "id": record["NCT Number"].strip(),
            "title": record["Study Title"].strip(),
            "sponsor": record.get("Sponsor", "").strip(),
            "products": products,
            "kind": kind_of(record["Study Title"], *products),
            "phases": phases(_parts(record.get("Phases", ""))),
            "status": status_of(record["Study Status"]),
            "indications": _parts(record["Conditions"]),
            "sex": sex_of(record.get("Sex", "")),
            "minimum_age": low,
            "maximum_age": high,
            "sites": [_place(text) for text in _parts(record.get("Locations", ""))],
            "starts": record.get("Start Date") or None,
            "ends": record.get("Completion Date") or None,
            "updated": record.get("Last Update Posted") or None,
            "url": record.get("Study URL") or None,
            "source": "clinicaltrials.gov",
            "also": _parts(record.get("Other IDs", "")),
        }
    )


def status_of(word: str) -> Status:
    """Return the status that `word` names. Raises BadRow for a word that is not known."""
    key = re.sub(r"[^A-Z]+", "_", word.strip().upper()).strip("_")
    if key not in STATUS:
        raise BadRow("status", f"{word!r} is no status of ClinicalTrials.gov")
    return STATUS[key]


def phases(words: Any) -> tuple[Phase, ...]:
    """Return the phases that the words name. Raises BadRow."""
    found = []
    for word in words:
        key = str(word).strip().upper().replace(" ", "").replace("EARLYPHASE", "EARLY_PHASE")
        if key not in PHASES:
            raise BadRow("phases", f"{word!r} is no phase of ClinicalTrials.gov")
        phase = PHASES[key]
        if phase is not None:
            found.append(phase)
    return tuple(found)


def sex_of(word: str) -> str:
    """Return all, female or male. Raises BadRow."""
    if word.strip().upper() not in SEX:
        raise BadRow("sex", f"{word!r} is none of ALL, FEMALE, MALE")
    return SEX[word.strip().upper()]


def age(text: str | None, field: str) -> float | None:
    """Return "6 Months" in years. Raises BadRow for what is no age."""
    if not text or text.strip().upper() == "N/A":
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(year|month|week|day|hour|minute)s?\s*", text, re.I)
    if found is None:
        raise BadRow(field, f"{text!r} is no age such as '18 Years'")
    years = _UNIT_YEARS.get(found[2].lower(), 0.0)
    return round(float(found[1]) * years, 4)


def _groups(text: str) -> tuple[float | None, float | None]:
    names = [part.strip().upper().replace(" ", "_") for part in text.split(",") if part.strip()]
    if not names:
        return None, None
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise BadRow("Age", f"{unknown[0]!r} is none of {', '.join(GROUPS)}")
    lows, highs = [GROUPS[n][0] for n in names], [GROUPS[n][1] for n in names]
    top = None if None in highs else max(h for h in highs if h is not None)
    return (min(lows) or None), top


def _site(location: Mapping[str, Any]) -> dict[str, Any]:
    point = location.get("geoPoint") or {}
    return {
        "name": location.get("facility") or location.get("city") or "not named",
        "city": location.get("city") or None,
        "country": location.get("country") or "not named",
        "status": status_of(location["status"]) if location.get("status") else "unknown",
        "latitude": point.get("lat"),
        "longitude": point.get("lon"),
    }


def _place(text: str) -> dict[str, Any]:
    # "Facility, City, State, 12345, Country": the facility may hold commas, the ends never do.
    parts = [part.strip() for part in text.split(",") if part.strip()]
    city = parts[1] if len(parts) > 2 else None
    return {"name": parts[0], "city": city, "country": parts[-1]}


def _contact(contact: Mapping[str, Any]) -> dict[str, Any]:
    return {key: contact.get(key) or None for key in ("name", "phone", "email")}


def _dict(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRow(key, "is not an object")
    return value


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|") if part.strip())
