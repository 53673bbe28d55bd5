"""A demo folder that is opened again by a newer Stafett goes on with the people it has."""

from __future__ import annotations

from collections import Counter

from site_ import PROTOCOL, Site
from stafett.protocol.builtin import source
from stafett.service import demo
from stafett.service.accounts import Person


def grants_of(site: Site, organisation: str) -> list[tuple[str, str, str, str]]:
    """Return (person, protocol, version, role) of every grant, also of withdrawn ones."""
    found = site.inside(site.tower.competences.of_organisation(organisation))
    return [(g.person, g.protocol, g.version, g.role) for g in found]


def test_who_acted_in_a_protocol_acts_in_its_newer_version_too(site: Site) -> None:
    """What the version asks for is granted; what was granted before, or withdrawn, is left."""
    hospital = "university-hospital"
    administrator = Person("administrator", "administrator", "Ada Admin", hospital)
    before = site.inside(site.tower.competences.of_organisation(hospital))
    gone = next(g for g in before if g.person == "ward-1" and g.protocol == PROTOCOL)
    site.inside(site.tower.competences.withdraw(administrator, gone.id, "moved to another ward"))
    had = grants_of(site, hospital)
    newer = source(PROTOCOL).replace(f"version: {gone.version}".encode(), b"version: 9.0.0", 1)
    site.inside(site.tower.library.admit(newer))

    site.inside(demo.furnish(site.tower))

    added = Counter(grants_of(site, hospital)) - Counter(had)
    assert added and set(added.values()) == {1}
    assert {(protocol, version) for _, protocol, version, _ in added} == {(PROTOCOL, "9.0.0")}
    assert {p for p, protocol, _, _ in had if protocol == PROTOCOL} == {p for p, _, _, _ in added}
    site.inside(demo.furnish(site.tower))
    assert Counter(grants_of(site, hospital)) == Counter(had) + added
