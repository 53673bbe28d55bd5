"""Erasing reaches what names the patient beside the vault, and what a restore brings back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from site_ import Site
from stafett.journey.script import filled_in
from stafett.ledger.attest import Personal
from stafett.service.accounts import Person
from stafett.service.demo import NETWORK, PASSWORD
from stafett.service.erasures import Erasures
from stafett.service.keeping import ASKS, MEANING
from stafett.service.signatures import inspect
from stafett.service.signing import digest_of
from stafett.service.vault import Erased
from web_hands import Under, authenticated, enrol, view_of

ORDERED = {"basis": "ordered", "reason": "court order 12/26"}
SECOND = "records-officer"  # another administrator of the same hospital
ADMIN, GIVER, RECEIVER = "administrator", "treating-clinic-1", "case-management-1"


def attach(site: Site, journey: str, data: bytes) -> str:
    """Store a consent as the clinic and attach it; return its SHA-256."""
    headers = {"Content-Type": "application/pdf"}
    stored = site.call(GIVER, "POST", "/api/documents", content=data, headers=headers).json()
    paper = view_of(site, GIVER, journey, "CONSENT", "step").documents[0]
    fields = {f.id: filled_in(f, paper.id, datetime.now(UTC)) for f in paper.fields}
    command = {"type": "Attach", "activity": "CONSENT", "side": "step", "document": paper.id,
               "sha256": stored["sha256"], "fields": fields}  # fmt: skip
    answer = site.send(GIVER, journey, command)
    assert answer.status_code == 200, answer.text
    return str(stored["sha256"])


def opened(site: Site, login: str, sha256: str, journey: str = "") -> int:
    """Open a document; return the HTTP status."""
    query = {"journey": journey} if journey else {}
    return int(site.call(login, "GET", f"/api/documents/{sha256}", params=query).status_code)


def patient(site: Site, pseudonym: str) -> tuple[Any, ...]:
    """Return what the vault holds of a patient: key, identifiers, whether the record has them."""
    with psycopg.connect(site.tower.url) as connection:
        row = connection.execute(
            "SELECT wrapped_key, sealed, opened FROM vault.patient WHERE pseudonym = %s",
            [pseudonym],
        ).fetchone()
    assert row is not None
    return row


def pseudonym_of(site: Site, journey: str) -> str:
    """Return under which pseudonym the record speaks of a journey's patient."""
    live = site.inside(site.tower.journeys.live(journey))
    return str(live.pseudonym)


def erase(site: Site, journey: str, *documents: str, status: int = 200) -> Any:
    """Erase the patient of a journey by an authority's order: asked, confirmed, by password."""
    body = {**ORDERED, "documents": documents, "password": PASSWORD}
    answer = site.call(ADMIN, "POST", f"/api/journeys/{journey}/erasure", json=body)
    assert answer.status_code == status, answer.text
    return confirmed(site, journey).json() if status == 200 else answer.json()


def confirmed(site: Site, journey: str, by: str = SECOND, password: str = PASSWORD) -> Any:
    """Confirm what was asked for a journey's patient, as a second person."""
    path = f"/api/journeys/{journey}/erasure/confirmation"
    return site.call(by, "POST", path, json={"password": password})


def trail_of(site: Site) -> list[Any]:
    """Return the hospital's trail of changes, as the record has it."""
    return list(site.inside(site.tower.ledger.stream("administration/university-hospital")))


def looking(site: Site) -> Erasures:
    """Return what looks after the vault, as it does a day later."""
    tower = site.tower
    return Erasures(tower.pool, tower.ledger, tower.vault, tower.documents, sure_s=0)


def consented(site: Site, brought_to: Callable[[str, str], Under], paper: bytes) -> tuple[str, str]:
    """Bring a journey to its consent, and attach that; return both."""
    under = brought_to("CONSENT", "step")
    start = {"type": "Start", "step": "CONSENT"}
    assert site.send(GIVER, under.journey, start).status_code == 200
    return under.journey, attach(site, under.journey, paper)


def test_a_document_that_names_the_patient_is_erased_with_them(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """Its bytes are gone and the record says so; what was not named is told to be here still."""
    journey, consent = consented(site, brought_to, b"%PDF consent of somebody who is erased")
    told = erase(site, journey)
    assert told["documents"] == [] and told["kept"] == [consent]
    assert opened(site, GIVER, consent, journey) == 200
    told = erase(site, journey, consent)
    assert told["documents"] == [consent] and told["kept"] == []
    assert opened(site, GIVER, consent, journey) == 404
    with psycopg.connect(site.tower.url) as connection:
        query = "SELECT count(*) FROM service.document WHERE sha256 = %s"
        assert connection.execute(query, [consent]).fetchone() == (0,)
    trail = site.inside(site.tower.ledger.stream("administration/university-hospital"))
    after = trail[-1].body["change"]["after"]
    assert (after["key"], after["documents"]) == ("destroyed", [consent])
    shown = site.call(GIVER, "GET", f"/journeys/{journey}")
    assert shown.status_code == 200  # the journey is read as before


@pytest.fixture
def person_of(site: Site) -> Callable[..., str]:
    """Add people of the hospital with just the duties named; give their login."""

    def made(*duties: str) -> str:
        login = "-".join(("hospital", *duties))
        one = Person(login, login, login.title(), "university-hospital", (), duties)
        site.inside(site.tower.accounts.add_person(one, PASSWORD))
        return login

    return made


def test_erasing_is_signed_by_two_and_the_record_keeps_what_they_signed(site: Site) -> None:
    """Without a password, or with another, nothing happens; the digests are of the very words."""
    journey = site.order()
    path, key = f"/api/journeys/{journey}/erasure", patient(site, pseudonym_of(site, journey))[0]
    for password in ({}, {"password": "not my password at all"}):
        refused = site.call(ADMIN, "POST", path, json={**ORDERED, **password})
        assert refused.status_code == 403 and refused.json()["type"].endswith("signature")
    asked = site.call(ADMIN, "POST", path, json={**ORDERED, "password": PASSWORD})
    assert asked.status_code == 200, asked.text
    for password in ("", "not my password at all"):
        refused = confirmed(site, journey, password=password)
        assert refused.status_code == 403 and refused.json()["type"].endswith("signature")
    assert patient(site, pseudonym_of(site, journey))[0] == key is not None
    assert confirmed(site, journey).status_code == 200
    *_, told, done = trail_of(site)
    assert told.body["change"]["what"] == "patient-erasure-asked"
    after = done.body["change"]["after"]
    signed, signature, first = after["signed"], after["signature"], after["asked"]
    assert signature["digest"] == f"sha256:{digest_of(signed).hex()}"
    assert signature["meaning"] == signed["meaning"] == MEANING
    assert (signed["journey"], signed["reason"]) == (journey, "court order 12/26")
    assert signed["by"]["person"] == signature["person"] == SECOND
    assert first["signature"]["person"] == ADMIN and first["signed"]["meaning"] == ASKS
    assert signed["asked"] == first["signature"]["digest"]  # the second signed what the first did
    assert first == {k: told.body["change"]["after"][k] for k in ("signature", "signed")}
    leaf = msgspec.json.decode(done.leaf)
    assert inspect(msgspec.json.decode(told.leaf), None) == [Personal(False, "")]
    assert inspect(leaf, None) == [Personal(False, "")] * 2  # as an outsider's verifier looks at it
    alone = {k: v for k, v in after.items() if k != "asked"}
    themselves = {**after, "asked": {"signature": signature, "signed": signed}}
    other = {**first, "signature": {**first["signature"], "digest": "sha256:" + "0" * 64}}
    for change, why in (
        ({"reason": "another reason"}, "reason is not what was signed"),
        ({"about": "P-ANOTHER1"}, "it was signed for another patient"),
        ({"person": "somebody"}, "signed what somebody did"),
        ({"after": {**after, "signed": {**signed, "basis": "x"}}}, "another digest"),
        ({"after": alone}, "the signature of the person who asked for it is missing"),
        ({"after": themselves}, "confirmed what they had asked for themselves"),
        ({"after": {**after, "asked": other}}, "another request was confirmed"),
    ):
        body = {"change": {**leaf["body"]["change"], **change}}
        said = inspect({**leaf, "body": body}, None)
        assert any(why in one.why for one in said), (why, said)


def noticed(site: Site, pseudonym: str) -> set[str]:
    """Return who is told by mail that an erasure waits for them."""
    with psycopg.connect(site.tower.url) as connection:
        query = "SELECT person FROM alerts.notice WHERE kind = 'erasure' AND about = %s"
        return {str(row[0]) for row in connection.execute(query, [pseudonym])}


def test_nobody_erases_alone(site: Site, person_of: Callable[..., str]) -> None:
    """Who asked does not confirm, nor who has no duty for it; somebody of quality does."""
    journey = site.order()
    body = {**ORDERED, "password": PASSWORD}
    path, pseudonym = f"/api/journeys/{journey}/erasure", pseudonym_of(site, journey)
    assert confirmed(site, journey).status_code == 404  # nobody has asked
    quality = person_of("quality")
    assert site.call(quality, "GET", path).status_code == 404
    assert site.call(quality, "POST", path, json=body).status_code == 403
    assert site.call(ADMIN, "POST", path, json=body).status_code == 200
    again = site.call(SECOND, "POST", path, json=body)
    assert again.status_code == 409 and "asked for already" in again.text
    for login, status, why in (
        (ADMIN, 403, "whoever asked does not confirm"),
        (GIVER, 403, ""),
        ("courier-admin", 404, ""),
    ):
        refused = confirmed(site, journey, login)
        assert refused.status_code == status and why in refused.text, refused.text
    assert patient(site, pseudonym)[0] is not None
    assert site.call(quality, "GET", path).json()["waits"]["person"] == ADMIN
    assert pseudonym in site.call(quality, "GET", "/admin/erasure").text
    assert site.call("courier-admin", "GET", "/admin/erasure").text.count(pseudonym) == 0
    # Who may confirm is told so on every page, and by mail; nobody else is.
    waits = {login: "Waits for a second person: erasing" in site.call(login, "GET", "/board").text
             for login in (quality, SECOND, ADMIN, GIVER, "courier-admin")}  # fmt: skip
    assert [login for login, told in waits.items() if told] == [quality, SECOND]
    assert {quality, SECOND} <= noticed(site, pseudonym)
    assert not {ADMIN, GIVER, "courier-admin"} & noticed(site, pseudonym)
    assert confirmed(site, journey, quality).status_code == 200
    assert noticed(site, pseudonym) == set()
    assert patient(site, pseudonym)[:2] == (None, None)
    assert confirmed(site, journey).status_code == 404
    (told, *_) = site.call(ADMIN, "GET", path).json()["told"]
    assert told["asked_by"] == "Ada Admin" and told["name"] != "Ada Admin"


def test_what_was_asked_lapses_and_can_be_withdrawn(site: Site) -> None:
    """After a week nothing is confirmed; what either takes back is asked anew or not at all."""
    journey = site.order()
    body = {**ORDERED, "password": PASSWORD}
    path, pseudonym = f"/api/journeys/{journey}/erasure", pseudonym_of(site, journey)
    asked = site.call(ADMIN, "POST", path, json=body).json()
    left = datetime.fromisoformat(asked["until"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left < timedelta(days=7, minutes=1)
    with psycopg.connect(site.tower.url) as connection:
        connection.execute(
            "UPDATE service.erasure SET asked_at = asked_at - interval '8 days',"
            " until = until - interval '8 days' WHERE pseudonym = %s",
            [pseudonym],
        )
    assert confirmed(site, journey).status_code == 404
    assert site.call(ADMIN, "GET", path).json()["waits"] is None
    assert pseudonym not in site.call(SECOND, "GET", "/admin/erasure").text
    assert site.call(ADMIN, "POST", path, json=body).status_code == 200
    short = site.call(SECOND, "POST", f"{path}/withdrawal", json={"reason": " "})
    assert short.status_code == 422
    why = {"reason": "it is another patient"}
    assert site.call(SECOND, "POST", f"{path}/withdrawal", json=why).status_code == 204
    assert confirmed(site, journey).status_code == 404
    assert site.call(SECOND, "POST", f"{path}/withdrawal", json=why).status_code == 404
    assert patient(site, pseudonym)[0] is not None
    last = trail_of(site)[-1].body["change"]
    assert (last["what"], last["about"], last["reason"]) == (
        "patient-erasure-withdrawn", pseudonym, "it is another patient",
    )  # fmt: skip


def test_a_patient_is_found_by_what_the_own_hospital_knows(site: Site) -> None:
    """By wristband in any spelling, by journey and pseudonym; nobody else finds anybody."""
    journey = site.order("19560607-8901")
    pseudonym = pseudonym_of(site, journey)
    for said in ("19560607-8901", "195606078901", "0607 8901", journey.lower(), pseudonym):
        answer = site.call(ADMIN, "POST", "/api/erasures/search", json={"patient": said})
        assert [one["journey"] for one in answer.json()] == [journey], said
    short = site.call(ADMIN, "POST", "/api/erasures/search", json={"patient": "1 9 5"})
    assert short.status_code == 422
    for login, status in ((GIVER, 403), ("courier-admin", 200)):
        body = {"patient": "19560607-8901"}
        answer = site.call(login, "POST", "/api/erasures/search", json=body)
        assert answer.status_code == status
        assert status == 403 or answer.json() == []
    theirs = site.call("courier-admin", "GET", f"/api/journeys/{journey}/erasure")
    assert theirs.status_code == 404
    noted = site.inside(site.tower.readings.of("university-hospital", frozenset()))
    assert f"vault {pseudonym}" in {one.what for one in noted}
    assert not any("0607" in one.what for one in noted)  # what was typed is kept nowhere


def test_what_erasing_comes_to_is_told_before_it_is_signed(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """Identifiers, documents, what the law says now, and the patient's other journeys."""
    journey, consent = consented(site, brought_to, b"%PDF consent to look at before")
    path = f"/api/journeys/{journey}/erasure"
    told = site.call(ADMIN, "GET", path).json()
    wristband = told["patient"]["identifiers"]["wristband"]
    other = site.order(wristband)
    told = site.call(ADMIN, "GET", path).json()
    assert [one["journey"] for one in told["others"]] == [other]
    assert told["forbidden"] == {"retention-ended": "kept", "no-product-given": "open",
                                 "ordered": ""}  # fmt: skip
    assert told["open"] and told["keep"]["until"] is None and told["told"] == []
    ticked = [(p["sha256"], p["elsewhere"]) for p in told["papers"] if p["here"]]
    assert ticked == [(consent, 0)]
    erase(site, journey, consent)
    told = site.call(ADMIN, "GET", path).json()
    assert told["patient"]["identifiers"] is None and told["patient"]["erased"]
    assert not any(p["here"] for p in told["papers"])
    (done,) = told["told"]
    assert done["asked_by"] == "Ada Admin" and done["name"] == "Birgit Norén"
    assert (
        told["back"] is None
        and done["position"]
        and done["name"]
        and done["reason"] == "court order 12/26"
    )


def test_an_erasure_that_the_record_has_not_heard_of_waits(site: Site) -> None:
    """The key is gone at once; the row waits for the record, and the page says so."""
    journey = site.order()
    erase(site, journey)
    path = f"/api/journeys/{journey}/erasure"
    assert site.call(ADMIN, "GET", path).json()["told"][0]["position"]
    with psycopg.connect(site.tower.url) as connection:
        connection.execute(
            "INSERT INTO service.change (person, organisation, what, about, reason, before, after)"
            " SELECT person, organisation, what, 'P-WAITING1', reason, before, after"
            " FROM service.change WHERE about = %s AND what = 'patient-erased'",
            [pseudonym_of(site, journey)],
        )
        connection.commit()
        page = site.call(ADMIN, "GET", "/admin/erasure").text
        assert "P-WAITING1" in page and "waits for the record" in page
    site.inside(site.tower.changes.relay())
    assert "waits for the record" not in site.call(ADMIN, "GET", "/admin/erasure").text


def test_two_people_erase_a_patient_with_the_keyboard_alone(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Search, open, choose, sign; a second one reads and signs; a slip is refused."""
    journey = site.order("19610203-4567")
    page = browser_of(ADMIN)
    page.goto("/admin/erasure")
    page.get_by_label("Who is it?").focus()
    page.keyboard.type("19610203-4567")
    page.keyboard.press("Enter")
    link = page.locator("#found").get_by_role("link", name=journey)
    expect(link).to_be_focused()
    shoot(page, "erasing-found")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("19610203-4567")
    expect(page.get_by_role("radio", name="no product was given")).to_be_disabled()
    expect(page.locator("main")).to_contain_text("The journey is open")
    page.get_by_role("radio", name="ordered by an authority or a court").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("Decision 77/2026 of the supervisory authority")
    page.keyboard.press("Tab")
    page.keyboard.type("a wrong password")
    shoot(page, "erasing-before")
    page.keyboard.press("Enter")
    expect(page.locator("#refused")).to_contain_text("it is not your password")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("You asked for it")
    expect(page.locator("main")).to_contain_text("19610203-4567")  # nothing is destroyed yet
    shoot(page, "erasing-asked")
    page = browser_of(SECOND)
    page.goto("/admin/erasure")
    page.get_by_role("link", name=pseudonym_of(site, journey)).click()
    expect(page.locator("main")).to_contain_text("Decision 77/2026 of the supervisory authority")
    expect(page.locator("main")).to_contain_text("19610203-4567")
    page.get_by_label("Password").fill(PASSWORD)
    shoot(page, "erasing-second")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("It stands in the record as event")
    expect(page.locator("main")).not_to_contain_text("19610203-4567")
    expect(page.locator("main")).to_contain_text("Ada Admin")
    shoot(page, "erasing-after")
    page.goto("/audit/changes")
    expect(page.locator("main")).to_contain_text("ordered by an authority or a court")
    assert patient(site, pseudonym_of(site, journey))[:2] == (None, None)


def test_an_erasure_is_signed_by_a_passkey_over_just_what_is_erased(
    site: Site, chromium: Browser
) -> None:
    """Both proofs are in the entry: an outsider checks them with the keys that stand there."""
    journey = site.order("19640506-7890")
    context, page = authenticated(chromium, site, ADMIN)
    enrol(page)
    page.goto(f"/admin/erasure/{journey}")
    page.get_by_role("radio", name="ordered by an authority or a court").check()
    page.get_by_label("Reason").fill("Decision 78/2026 of the supervisory authority")
    page.get_by_role("button", name="Ask for it").click()
    expect(page.locator("main")).to_contain_text("You asked for it")
    context.close()
    context, page = authenticated(chromium, site, SECOND)
    enrol(page)
    page.goto(f"/admin/erasure/{journey}")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator("main")).to_contain_text("Birgit Norén, passkey")
    context.close()
    leaf = msgspec.json.decode(trail_of(site)[-1].leaf)
    assert inspect(leaf, None) == [Personal(True, "")] * 2
    for part in (leaf["body"]["change"]["after"], leaf["body"]["change"]["after"]["asked"]):
        proof = part["signature"]["proof"]
        proof["signature"] = proof["authenticator_data"]
    assert all(other.why and not other.by_key for other in inspect(leaf, None))


def test_only_what_the_hospital_attached_to_this_journey_alone_can_be_erased(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """A stranger's paper is unknown, and one that another journey rests on stays."""
    paper = b"%PDF the same paper for two"
    journey, consent = consented(site, brought_to, paper)
    other, _ = consented(site, brought_to, paper)
    refused = erase(site, journey, consent, status=422)
    assert "journeys too" in str(refused)
    erase(site, journey, "0" * 64, status=404)
    key, _, _ = patient(site, pseudonym_of(site, journey))
    assert key is not None  # refused is refused whole
    assert opened(site, GIVER, consent, other) == 200
    assert opened(site, RECEIVER, consent, other) == 404


def test_a_patient_whom_a_restored_backup_brings_back_is_erased_again(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """The record says who was erased, wherever it came from; the next start looks."""
    journey, consent = consented(site, brought_to, b"%PDF consent that comes back")
    pseudonym = pseudonym_of(site, journey)
    key, sealed, _ = patient(site, pseudonym)
    erase(site, journey, consent)
    with psycopg.connect(site.tower.url) as connection:  # as a backup from before has it
        connection.execute(
            "UPDATE vault.patient SET wrapped_key = %s, sealed = %s, erased = NULL"
            " WHERE pseudonym = %s",
            [key, sealed, pseudonym],
        )
    stored = site.call(GIVER, "POST", "/api/documents", content=b"%PDF consent that comes back",
                       headers={"Content-Type": "application/pdf"})  # fmt: skip
    assert stored.json()["sha256"] == consent
    assert site.inside(site.tower.vault.commitment(pseudonym, "x"))
    assert site.inside(looking(site).again()) == 1
    assert patient(site, pseudonym)[:2] == (None, None)
    assert opened(site, GIVER, consent) == 404
    told = site.call(ADMIN, "GET", f"/api/journeys/{journey}/erasure").json()
    assert told["back"] == told["patient"]["erased"] > told["told"][0]["at"]
    page = site.call(ADMIN, "GET", f"/admin/erasure/{journey}").text
    assert "had brought the patient back" in page
    assert site.inside(looking(site).again()) == 0
    other, _ = consented(site, brought_to, b"%PDF consent that comes back")
    site.inside(looking(site).again())
    assert opened(site, GIVER, consent, other) == 200  # what another journey rests on now stays
    with pytest.raises(Erased):
        site.inside(site.tower.vault.commitment(pseudonym, "x"))


def test_an_order_that_came_to_nothing_leaves_nobody_in_the_vault(site: Site) -> None:
    """Erased is only who is in no journey of the record, and not before a day has passed."""
    journey = site.order()
    real = pseudonym_of(site, journey)
    lost = site.inside(
        site.tower.vault.enrol("university-hospital", {"wristband": "1"}, "CH-NEVER-OPENED")
    )
    again = site.inside(site.tower.vault.enrol("university-hospital", {"wristband": "1"}, journey))
    older = site.order()  # from before the journey was noted
    with psycopg.connect(site.tower.url) as connection:
        connection.execute(
            "UPDATE vault.patient SET journey = NULL WHERE pseudonym = %s",
            [pseudonym_of(site, older)],
        )
    site.inside(site.tower.erasures.forget_unopened())
    assert patient(site, lost)[0] is not None  # it may be on its way
    site.inside(looking(site).forget_unopened())
    assert patient(site, lost)[:2] == patient(site, again)[:2] == (None, None)
    for one in (real, pseudonym_of(site, older)):
        key, sealed, known = patient(site, one)
        assert key and sealed and known
    assert site.inside(looking(site).forget_unopened()) == 0


def test_an_order_that_the_record_refuses_leaves_nobody_in_the_vault_at_once(site: Site) -> None:
    """The identifier of another journey: the details are erased with the refusal."""
    journey = site.order()
    before = _patients(site)
    body = {"key": "order-taken-00001", "role": "treating_clinic", "protocol": "autologous-car-t",
            "network": NETWORK, "wristband": "19121212-1212", "coi": journey}  # fmt: skip
    answer = site.call(GIVER, "POST", "/api/journeys", json=body)
    assert answer.status_code == 409, answer.text
    assert _patients(site) == before


def _patients(site: Site) -> int:
    """Return how many patients the vault can still read."""
    with psycopg.connect(site.tower.url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM vault.patient WHERE erased IS NULL"
        ).fetchone()
    assert row is not None
    return int(row[0])
