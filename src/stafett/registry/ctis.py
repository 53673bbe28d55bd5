"""CTIS, the EU's register: results of its public search, as JSON or as its CSV download.

The public status codes and their labels are those of the portal's own code table (1 "Under
evaluation" to 12 "Cancelled"). A country's status stands after its name: "Sweden:4".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stafett.registry import rows
from stafett.registry.rows import BadRow
from stafett.registry.trial import Phase, Status, Trial, kind_of

LABELS: dict[int, str] = {
    1: "Under evaluation",
    2: "Authorised, recruitment pending",
    3: "Authorised, recruiting",
    4: "Ongoing, recruiting",
    5: "Ongoing, recruitment ended",
    6: "Temporarily halted",
    7: "Suspended",
    8: "Ended",
    9: "Expired",
    10: "Revoked",
    11: "Not authorised",
    12: "Cancelled",
}
STATUS: dict[int, Status] = {
    1: "not-yet-recruiting",
    2: "not-yet-recruiting",
    3: "recruiting",
    4: "recruiting",
    5: "active",
    6: "suspended",
    7: "suspended",
    8: "completed",
    9: "withdrawn",
    10: "terminated",
    11: "withdrawn",
    12: "withdrawn",
}
_BY_LABEL = {label.casefold(): code for code, label in LABELS.items()}
# Columns of the download, by the field of the search result that they repeat.
HEADERS: dict[str, tuple[str, ...]] = {
    "ctNumber": ("Trial number", "EU CT number", "CT number"),
    "ctStatus": ("Overall trial status", "Trial status", "Status"),
    "ctTitle": ("Title of the trial", "Title", "Trial title"),
    "conditions": ("Medical conditions", "Conditions", "Medical condition"),
    "trialCountries": ("Location(s) and recruitment status", "Locations", "Countries"),
    "trialPhase": ("Trial phase", "Phase"),
    "ageGroup": ("Age group", "Age groups"),
    "gender": ("Gender", "Sex"),
    "sponsor": ("Sponsor/Co-Sponsors", "Sponsor", "Sponsors"),
    "product": ("Product", "Products", "Investigational product"),
    "startDateEU": ("Start date", "Start date in EU/EEA"),
    "endDateEU": ("End date", "End date in EU/EEA"),
    "lastUpdated": ("Last updated", "Last update"),
}
# "0-17 years, 18-64 years", "65+ years", "In utero".
_AGES = re.compile(r"(\d+)\s*-\s*(\d+)\s*years|(\d+)\s*\+\s*years|(in utero)", re.I)


def item(record: Mapping[str, Any]) -> Trial:
    """Return one result of the public search. Raises BadRow."""
    title = str(record.get("ctTitle") or record.get("shortTitle") or "")
    products = _list(record.get("product"))
    low, high = ages(str(record.get("ageGroup") or ""))
    number = str(record.get("ctNumber") or "")
    return rows.trial(
        {
            "id": number,
            "title": title,
            "sponsor": "; ".join(_list(record.get("sponsor")))[:300],
            "products": products,
            "kind": kind_of(title, *products),
            "phases": phases(str(record.get("trialPhase") or "")),
            "status": status_of(record.get("ctStatus")),
            "indications": _list(record.get("conditions"), ",;|"),
            "sex": sex_of(record.get("gender")),
            "minimum_age": low,
            "maximum_age": high,
            "sites": [_country(text) for text in _countries(record.get("trialCountries"))],
            "starts": day(record.get("startDateEU"), "startDateEU"),
            "ends": day(record.get("endDateEU"), "endDateEU"),
            "updated": day(record.get("lastUpdated"), "lastUpdated"),
            "url": f"https://euclinicaltrials.eu/ctis-public/view/{number}",
            "source": "ctis",
        }
    )


def line(record: Mapping[str, str]) -> Trial:
    """Return one line of the CSV download. Raises BadRow."""
    found = {
        field: next((record[h] for h in headers if record.get(h)), "")
        for field, headers in HEADERS.items()
    }
    return item(found)


def is_download(columns: list[str]) -> bool:
    """Say whether a CSV with these columns is the register's download."""
    needed = ("ctNumber", "ctStatus", "ctTitle")
    return all(any(header in columns for header in HEADERS[field]) for field in needed)


def status_of(value: Any) -> Status:
    """Return the status of a code (4) or of its label. Raises BadRow."""
    text = str(value if value is not None else "").strip()
    code = int(text) if text.isdigit() else _BY_LABEL.get(text.casefold())
    if code not in STATUS:
        raise BadRow("ctStatus", f"{text!r} is no public status of CTIS (1 to 12, or its label)")
    return STATUS[code]


def phases(text: str) -> tuple[Phase, ...]:
    """Return the phases of a label such as "Phase I and Phase II (Integrated)"."""
    found: list[Phase] = []
    romans: dict[str, Phase] = {"I": "1", "II": "2", "III": "3", "IV": "4"}
    for roman in re.findall(r"phase\s+(IV|I{1,3})\b", text, re.I):
        found.append(romans[roman.upper()])
    return tuple(dict.fromkeys(found))


def sex_of(value: Any) -> str:
    """Return all, female or male from "Female, Male". Raises BadRow."""
    words = {part.strip().casefold() for part in ",".join(_list(value)).split(",") if part.strip()}
    if not words <= {"female", "male"}:
        raise BadRow("gender", f"{value!r} is none of Female, Male")
    return "all" if len(words) != 1 else words.pop()


def ages(text: str) -> tuple[float | None, float | None]:
    """Return the lowest and the highest age, in years, of the groups named. Raises BadRow."""
    if not text.strip():
        return None, None
    found = list(_AGES.finditer(text))
    if not found:
        raise BadRow("ageGroup", f"{text!r} names no age group such as '18-64 years'")
    lows = [0.0 if m[4] else float(m[1] or m[3]) for m in found]
    tops = [0.0 if m[4] else float(m[2]) if m[2] else None for m in found]
    high = None if None in tops else max(t for t in tops if t is not None)
    return (min(lows) or None), high


def day(value: Any, field: str) -> str | None:
    """Return an ISO date from "2025-03-25..." or "25/03/2025". Raises BadRow."""
    text = str(value or "").strip()
    if not text:
        return None
    if found := re.match(r"(\d{4}-\d{2}-\d{2})", text):
        return found[1]
    if found := re.fullmatch(r"(\d{2})/(\d{2})/(\d{4})", text):
        return f"{found[3]}-{found[2]}-{found[1]}"
    raise BadRow(field, f"{text!r} is no date (2025-03-25 or 25/03/2025)")


def _countries(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(one) for one in value]
    # A label may hold a comma ("Sweden:Ongoing, recruiting, Spain:Ended"): a colon ends a name.
    return [
        m.strip(" ,;|")
        for m in re.findall(r"[^:]+?:.*?(?=(?:[,;|]\s*[^,:;|]+:)|$)", str(value or ""))
    ]


def _country(text: str) -> dict[str, Any]:
    name, _, status = text.partition(":")
    name = name.strip()
    return {
        "name": name,
        "country": name,
        "status": status_of(status) if status.strip() else "unknown",
    }


def _list(value: Any, separators: str = ";|") -> tuple[str, ...]:
    parts = value if isinstance(value, list) else re.split(f"[{separators}]", str(value or ""))
    return tuple(dict.fromkeys(text[:300] for part in parts if (text := str(part).strip())))
