"""Exports of the two registers, in their published layouts."""

from __future__ import annotations

from typing import Any


def study(nct: str = "NCT04184050", **changes: Any) -> dict[str, Any]:
    """Return a study as ClinicalTrials.gov's API v2 writes it."""
    section: dict[str, Any] = {
        "identificationModule": {
            "nctId": nct,
            "briefTitle": "CAR-T Cells in Relapsed Lymphoma",
            "secondaryIdInfos": [{"id": "2019-001234-10", "type": "EUDRACT_NUMBER"}],
        },
        "statusModule": {
            "overallStatus": "RECRUITING",
            "startDateStruct": {"date": "2024-05"},
            "completionDateStruct": {"date": "2029-12-31"},
            "lastUpdatePostDateStruct": {"date": "2026-10-01"},
        },
        "sponsorCollaboratorsModule": {"leadSponsor": {"name": "Uppsala University"}},
        "conditionsModule": {"conditions": ["Lymphoma, B-Cell", "DLBCL"]},
        "designModule": {"phases": ["PHASE1", "PHASE2"]},
        "armsInterventionsModule": {
            "interventions": [{"type": "BIOLOGICAL", "name": "CD19 CAR-T"}]
        },
        "eligibilityModule": {"sex": "ALL", "minimumAge": "18 Years", "maximumAge": "75 Years"},
        "contactsLocationsModule": {
            "centralContacts": [{"name": "Trial office", "email": "office@example.org"}],
            "locations": [
                {
                    "facility": "Akademiska sjukhuset",
                    "city": "Uppsala",
                    "country": "Sweden",
                    "status": "RECRUITING",
                    "geoPoint": {"lat": 59.86, "lon": 17.64},
                }
            ],
        },
    }
    for module, fields in changes.items():
        section[module] = {**section.get(module, {}), **fields}
    return {"protocolSection": section}


def ctis_item(number: str = "2024-515766-13-00", **changes: Any) -> dict[str, Any]:
    """Return a result of CTIS' public search."""
    return {
        "ctNumber": number,
        "ctStatus": 4,
        "ctTitle": "Autologous anti-BCMA CAR-T in multiple myeloma",
        "conditions": "Multiple myeloma, Plasma cell leukaemia",
        "trialCountries": ["Sweden:4", "Spain:5"],
        "trialPhase": "Phase I and Phase II (Integrated)- Other",
        "ageGroup": "18-64 years, 65+ years",
        "gender": "Female, Male",
        "sponsor": "Karolinska University Hospital",
        "product": "anti-BCMA CAR-T",
        "startDateEU": "25/03/2025",
        "lastUpdated": "2026-09-01T10:00:00",
        **changes,
    }
