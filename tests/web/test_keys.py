"""Signing keys: seen and replaced by one's own administrator; times in the zone of one's site."""

from __future__ import annotations

from site_ import Site

WHY = {"reason": "somebody who could reach the key has left"}


def test_a_replaced_key_ends_and_the_new_one_signs(site: Site) -> None:
    """The old key stays, ended where the new one began, and what follows verifies."""
    site.order()
    (old,) = site.call("administrator", "GET", "/api/admin/keys").json()
    assert old["until"] is None and old["vouched"]
    answer = site.call("administrator", "POST", "/api/admin/keys/replace", json=WHY)
    assert answer.status_code == 200, answer.text
    journey = site.order("19330303-3333")
    new, ended = site.call("administrator", "GET", "/api/admin/keys").json()
    assert new["id"] == answer.json()["key"] and new["until"] is None and new["vouched"]
    assert ended["id"] == old["id"] and ended["until"] == new["since"]
    signed = site.inside(site.tower.ledger.stream(journey))
    assert signed[0].signature["key"] == new["id"]
    change = site.call("administrator", "GET", "/api/audit/changes").json()[0]
    assert change["what"] == "signing key replaced" and change["reason"] == WHY["reason"]


def test_keys_are_replaced_by_ones_own_administrator_with_a_reason(site: Site) -> None:
    """No reason, no duty: nothing changes; another organisation's keys are not shown."""
    before = site.call("administrator", "GET", "/api/admin/keys").json()
    path = "/api/admin/keys/replace"
    assert site.call("administrator", "POST", path, json={"reason": ""}).status_code == 422
    assert site.call("courier-1", "POST", path, json=WHY).status_code == 403
    assert site.call("administrator", "GET", "/api/admin/keys").json() == before
    theirs = site.call("courier-admin", "GET", "/api/admin/keys").json()
    assert not {key["id"] for key in theirs} & {key["id"] for key in before}


def test_times_are_shown_in_the_zone_of_ones_site(site: Site) -> None:
    """Who works at a site in another zone reads its times."""
    place = {"name": "Helsinki hub", "time_zone": "Europe/Helsinki", **WHY}
    path = "/api/admin/sites/hub-helsinki"
    assert site.call("courier-admin", "PUT", path, json=place).status_code == 204
    change = {"name": "Wilma Nyström", "roles": ["courier"], "site": "hub-helsinki", **WHY}
    answer = site.call("courier-admin", "PUT", "/api/admin/people/courier-3", json=change)
    assert answer.status_code == 200, answer.text
    assert 'data-zone="Europe/Helsinki"' in site.call("courier-3", "GET", "/tasks").text
    assert 'data-zone="Europe/Stockholm"' in site.call("courier-2", "GET", "/tasks").text
