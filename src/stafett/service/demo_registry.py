"""The demonstration's registry: published Swedish facts, and trials that are marked as made up."""

from __future__ import annotations

import random
from datetime import date, timedelta

from stafett.registry import builtin
from stafett.registry.adoption import Uptake
from stafett.registry.rows import Found
from stafett.registry.site import Accreditation, Capacity, Qualification, SiteEntry
from stafett.registry.trial import Contact, Trial, TrialSite
from stafett.service.accounts import Person
from stafett.service.registry import Registry

REASON = "demonstration"
TARGETS = (
    ("CD19 CAR-T", "car-t", ("Acute lymphoblastic leukaemia", "B-cell lymphoma"), 0, 25),
    ("BCMA CAR-T", "car-t", ("Multiple myeloma",), 18, None),
    ("CD19/CD22 CAR-T", "car-t", ("Diffuse large B-cell lymphoma",), 18, 80),
    ("AAV9 gene replacement", "gene", ("Spinal muscular atrophy",), 0, 2),
    ("Autologous keratinocyte sheet", "tissue", ("Limbal stem cell deficiency",), 18, None),
    ("Dopaminergic progenitor cells", "other-cell", ("Parkinson's disease",), 50, 75),
    ("Tumour-infiltrating lymphocytes", "other-cell", ("Melanoma",), 18, 75),
    ("CD19 CAR-T, early relapse", "car-t", ("Systemic lupus erythematosus",), 18, 65),
)
STATUSES = ("recruiting", "recruiting", "not-yet-recruiting", "active", "completed")
REGIONS = {
    "Stockholm-Gotland": 2_500_000,
    "Västra": 2_050_000,
    "Södra": 1_950_000,
    "Mellansverige": 2_150_000,
    "Sydöstra": 1_080_000,
    "Norra": 900_000,
}


def trials(count: int, seed: int = 1) -> list[Trial]:
    """Return `count` made-up trials at the published sites, each marked as made up."""
    draw = random.Random(seed)
    sites = builtin.sites("sweden")
    found = []
    for number in range(1, count + 1):
        product, kind, indications, low, high = TARGETS[number % len(TARGETS)]
        chosen = draw.sample(sites, draw.randint(1, 4))
        status = draw.choice(STATUSES)
        starts = date(2023, 1, 1) + timedelta(days=draw.randrange(1200))
        found.append(
            Trial(
                id=f"DEMO-{number:05d}",
                title=f"{product} in {indications[0].lower()}: made-up trial {number}",
                sponsor=f"Made-up sponsor {number % 7 + 1}",
                products=(product,),
                kind=kind,  # type: ignore[arg-type]
                phases=draw.choice([("1",), ("1", "2"), ("2",), ("3",)]),
                status=status,  # type: ignore[arg-type]
                indications=indications,
                minimum_age=low or None,
                maximum_age=high,
                sites=tuple(
                    TrialSite(
                        name=s.name,
                        city=s.city,
                        country="Sweden",
                        status=status,  # type: ignore[arg-type]
                        organisation=s.organisation,
                        latitude=s.latitude,
                        longitude=s.longitude,
                    )
                    for s in chosen
                ),
                contact=Contact(name="Trial office (made up)", email="trials@example.org"),
                starts=starts.isoformat(),
                updated=(starts + timedelta(days=draw.randrange(400))).isoformat(),
                made_up=True,
            )
        )
    return found


def uptake(seed: int = 1) -> list[Uptake]:
    """Return made-up uptake by region, small numbers included, each marked as made up."""
    draw = random.Random(seed)
    found = []
    for region, population in REGIONS.items():
        for year, scale in (("2023", 3.0), ("2024", 8.0), ("2025", 11.0)):
            patients = round(draw.gauss(population / 1_000_000 * scale, 2.0))
            found.append(
                Uptake(
                    id=f"yescarta.{region.lower().replace('ä', 'a').replace('ö', 'o')}.{year}",
                    product="Yescarta (axicabtagene ciloleucel)",
                    region=region,
                    country="SE",
                    period=year,
                    patients=max(0, patients),
                    population=population,
                    source="Made up for the demonstration",
                    made_up=True,
                )
            )
    return found


def demo_site(today: date) -> SiteEntry:
    """Return the demonstration's own hospital, with what it may do and until when."""
    return SiteEntry(
        id="university-hospital",
        name="Norra universitetssjukhuset",
        organisation="university-hospital",
        kind="hospital",
        city="Norrköping",
        region="Sydöstra",
        country="SE",
        latitude=58.59,
        longitude=16.18,
        contact="ATMP coordination (made up)",
        accreditations=(
            Accreditation(
                name="FACT-JACIE immune effector cells",
                body="JACIE",
                until=(today + timedelta(days=400)).isoformat(),
            ),
            Accreditation(
                name="Tissue establishment licence",
                body="Läkemedelsverket",
                until=(today + timedelta(days=60)).isoformat(),
            ),
        ),
        qualifications=(
            Qualification(
                protocol="autologous-car-t",
                version="1.0",
                roles=("apheresis_unit", "cell_laboratory", "treating_clinic"),
                until=(today + timedelta(days=300)).isoformat(),
                by="Mälaren Cell Works",
            ),
        ),
        capacity=(
            Capacity(
                resource="Apheresis chair",
                slots=6,
                first_free=(today + timedelta(days=9)).isoformat(),
                on=today.isoformat(),
            ),
            Capacity(resource="CAR-T bed", slots=0, on=today.isoformat()),
        ),
        made_up=True,
    )


async def furnish(registry: Registry, registrar: Person, count: int = 120) -> None:
    """Enter the demonstration's registry, unless it is there."""
    await registry.refresh()
    if registry.all("trial"):
        return
    for assessment in builtin.assessments("sweden"):
        await registry.put(registrar, "assessment", assessment, "published decision")
    for site in builtin.sites("sweden"):
        await registry.put(registrar, "site", site, "published list")
    await registry.put(registrar, "site", demo_site(date.today()), REASON)  # noqa: DTZ011
    found = Found("demonstration", tuple(trials(count)), ())
    await registry.take_in(registrar, found, reason=REASON, partial=False)
    for asked in builtin.requirement_lists():
        await registry.put(registrar, "requirements", asked, REASON)
    for entry in uptake():
        await registry.put(registrar, "uptake", entry, REASON)
