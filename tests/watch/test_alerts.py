"""People are told: once, in time, up the ladder, by mail and webhook, and across a change of shift.

Every test runs against the served control tower and its PostgreSQL.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller

from site_ import Site
from stafett.exchange.cloudevents import check, read
from stafett.exchange.deliveries import Deliveries
from stafett.exchange.subscriptions import Subscriptions
from stafett.journey.label import Labels
from stafett.service.demo import NETWORK
from stafett.service.mail import GIVE_UP, Mail, Server
from stafett.service.tower import Tower
from told_ import CLINIC, REFERRER, alerts, report, rows, wait_for
from web_walk import walk

_numbers = iter(range(780_001, 790_000))


@pytest.fixture
def journey(site: Site) -> str:
    """Return a new journey that waits for H01."""
    labels = Labels(next(_numbers))
    name = site.order(
        labels.patient, coi=labels.coi, network=NETWORK, product="kymriah", key=uuid.uuid4().hex
    )
    site.inside(walk(site, name, labels, ("H01", "accept")))
    return name


def _is_of(alert: dict[str, Any], deviation: str) -> bool:
    return str(alert["cause"]).startswith(f"{deviation}.")


def test_a_critical_deviation_is_in_the_application_within_a_second(
    site: Site, journey: str
) -> None:
    """Both sides and the owner see it, each once; who takes no part sees nothing."""
    took = []
    for _ in range(3):  # a busy test machine may hold one of them up; the bench has the figure
        began = time.monotonic()
        name = report(site, journey, "IDENTITY_MISMATCH")
        found = wait_for(lambda: [a for a in alerts(site, CLINIC, journey) if _is_of(a, name)])  # noqa: B023
        took.append(time.monotonic() - began)
    assert min(took) < 1
    assert [a["cause"] for a in found] == [f"{name}.critical"]
    assert {a["role"] for a in found} == {"treating_clinic"}
    assert wait_for(lambda: alerts(site, REFERRER, journey))
    assert alerts(site, "courier-1", journey) == []


def test_two_processes_call_each_rung_once(site: Site, journey: str) -> None:
    """Whoever is first calls it; the other finds it called."""

    async def other() -> Tower:
        tower = Tower(site.tower.url, site.tower.folder, cheap_hashing=True)
        await tower.__aenter__()
        return tower

    second = site.inside(other())
    try:
        report(site, journey, "IDENTITY_MISMATCH")
        wait_for(lambda: alerts(site, CLINIC, journey))
        time.sleep(1)
        found = [(r[1], r[2], r[3]) for r in rows(site, journey)]
        assert len(found) == len(set(found))
        with psycopg.connect(site.tower.url) as connection:
            told = connection.execute(
                "SELECT e.alert FROM alerts.event e JOIN alerts.alert a ON a.id = e.alert"
                " WHERE a.journey = %s AND e.what IN ('told', 'told-together')",
                [journey],
            ).fetchall()
        assert len(told) == len(set(told)) == len(found)
    finally:
        site.inside(second.__aexit__(None, None, None))


def test_who_takes_it_holds_it_and_the_ladder_stops(site: Site, journey: str) -> None:
    """The second to acknowledge changes nothing; a stranger cannot; worse severity calls again."""
    name = report(site, journey, "IDENTITY_MISMATCH")
    one = wait_for(lambda: alerts(site, CLINIC, journey))[0]
    path = f"/api/alerts/{one['id']}/acknowledge"
    assert site.call("courier-1", "POST", path, json={}).status_code == 404
    assert site.call(CLINIC, "POST", path, json={"note": "on my way"}).status_code == 200
    site.call("treating-clinic-2", "POST", path, json={})
    (after,) = [a for a in alerts(site, CLINIC, journey) if a["id"] == one["id"]]
    assert after["holder"] == CLINIC
    history = site.call(CLINIC, "GET", f"/api/alerts/{one['id']}/history").json()
    assert [h["what"] for h in history] == ["raised", "told", "acknowledged"]
    assert name in one["cause"]


def test_what_somebody_had_who_was_suspended_is_told_to_those_who_are_there(
    site: Site, journey: str
) -> None:
    """What they had taken is nobody's again; their hours on the roster count no more."""
    report(site, journey, "IDENTITY_MISMATCH")
    one = wait_for(lambda: alerts(site, CLINIC, journey))[0]
    site.call("treating-clinic-2", "POST", f"/api/alerts/{one['id']}/acknowledge", json={})
    hours = {
        "person": "treating-clinic-2", "role": "treating_clinic", "days": list(range(7)),
        "begins": "00:00:00", "ends": "23:59:59", "zone": "Europe/Stockholm",
    }  # fmt: skip
    assert site.call(CLINIC, "PUT", "/api/roster", json=hours).status_code == 204
    rosters, where = site.tower.rosters, (one["organisation"], "treating_clinic")
    (entry,) = site.call(CLINIC, "GET", "/api/roster").json()
    with psycopg.connect(site.tower.url, autocommit=True) as connection:
        suspend = "UPDATE service.person SET active = %s WHERE id = 'treating-clinic-2'"
        try:
            rosters._read = float("-inf")
            assert len(site.inside(rosters.shifts(*where))) == 1
            connection.execute(suspend, [False])
            rosters._read = float("-inf")
            assert site.inside(rosters.shifts(*where)) == []
            site.inside(site.tower.alerts.release_gone())
            wait_for(
                lambda: (
                    [(a["holder"], a["people"]) for a in alerts(site, CLINIC, journey)]
                    == [(None, None)]
                )
            )
            assert site.inside(site.tower.alerts.release_gone()) == 0
        finally:
            connection.execute(suspend, [True])
            site.call(CLINIC, "DELETE", f"/api/roster/{entry['id']}")
            rosters._read = float("-inf")
    history = site.call(CLINIC, "GET", f"/api/alerts/{one['id']}/history").json()
    assert [h["what"] for h in history] == ["raised", "told", "acknowledged", "released"]


def test_what_is_taken_up_in_the_record_ends_its_alerts(site: Site, journey: str) -> None:
    """Acknowledged as an event of the journey: nobody else needs to be told."""
    name = report(site, journey, "IDENTITY_MISMATCH")
    wait_for(lambda: alerts(site, REFERRER, journey))
    command = {"type": "AcknowledgeDeviation", "deviation": name}
    done = site.send(CLINIC, journey, {**command, "occurred_at": datetime.now(UTC).isoformat()})
    assert done.status_code == 200
    wait_for(lambda: not alerts(site, REFERRER, journey))
    assert all(r[6] is not None for r in rows(site, journey) if r[1].startswith(name))


def three_late(site: Site) -> list[dict[str, Any]]:
    """Make three journeys late for one reason; give the clinic's alerts of them."""
    made = []
    for _ in range(3):
        labels = Labels(next(_numbers))
        name = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
        site.inside(walk(site, name, labels, ("H01", "accept")))
        report(site, name, "LATE_DELIVERY")
        made.append(name)
    for name in made:
        wait_for(lambda name=name: alerts(site, CLINIC, name))  # type: ignore[misc]
    return [a for name in made for a in alerts(site, CLINIC, name)]


def test_alerts_of_one_cause_are_told_together(site: Site) -> None:
    """Three journeys late for the same reason: one call each role, the others come along."""
    found = three_late(site)
    heads = {a["joined"] for a in found if a["joined"] is not None}
    assert len([a for a in found if a["joined"] is None]) <= 1
    assert len(heads) == 1
    done = site.call(CLINIC, "POST", f"/api/alerts/{found[0]['id']}/acknowledge", json={})
    assert {a["id"] for a in found} <= {a["id"] for a in done.json()}


def test_quiet_hours_hold_what_is_not_critical(site: Site, journey: str) -> None:
    """Outside the role's hours a major one waits; a critical one does not."""
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).weekday()
    hours = {
        "person": REFERRER, "role": "referring_clinic", "days": [tomorrow],
        "begins": "08:00:00", "ends": "17:00:00", "zone": "Europe/Stockholm",
    }  # fmt: skip
    assert site.call(CLINIC, "PUT", "/api/roster", json=hours).status_code == 204
    try:
        report(site, journey, "TEMP_EXCURSION")
        wait_for(lambda: [r for r in rows(site, journey) if r[4] == "deviation"])
        time.sleep(0.8)
        assert alerts(site, REFERRER, journey) == []
        report(site, journey, "IDENTITY_MISMATCH")
        found = wait_for(lambda: alerts(site, REFERRER, journey))
        assert {a["urgency"] for a in found} == {"critical"}
    finally:
        for entry in site.call(CLINIC, "GET", "/api/roster").json():
            site.call(CLINIC, "DELETE", f"/api/roster/{entry['id']}")
        site.tower.rosters._read = float("-inf")


def test_a_shift_is_handed_over_when_the_other_accepts(site: Site, journey: str) -> None:
    """Offered, nothing has changed; accepted, what nobody had taken is the other's."""
    report(site, journey, "IDENTITY_MISMATCH")
    wait_for(lambda: alerts(site, CLINIC, journey))
    offer = {"role": "treating_clinic", "receiver": "treating-clinic-2", "note": "two calls open"}
    foreign = {**offer, "receiver": "courier-1"}
    refused = site.call(CLINIC, "POST", "/api/alerts/handovers", json=foreign)
    assert refused.status_code == 403
    offered = site.call(CLINIC, "POST", "/api/alerts/handovers", json=offer).json()
    assert all(a["acknowledged"] is None for a in alerts(site, CLINIC, journey))
    path = f"/api/alerts/handovers/{offered['id']}/accept"
    assert site.call(CLINIC, "POST", path).status_code == 404
    assert site.call("treating-clinic-2", "POST", path).status_code == 200
    wait_for(lambda: {a["holder"] for a in alerts(site, CLINIC, journey)} == {"treating-clinic-2"})


def test_a_shift_takes_along_what_came_since_and_not_what_a_third_has_taken(
    site: Site, journey: str
) -> None:
    """Who accepts gets what is open then; what another colleague works on stays theirs."""
    report(site, journey, "IDENTITY_MISMATCH")
    (first, *_) = wait_for(lambda: alerts(site, CLINIC, journey))
    third = "treating-clinic-3"
    taken = site.call(third, "POST", f"/api/alerts/{first['id']}/acknowledge", json={})
    assert taken.status_code == 200
    offer = {"role": "treating_clinic", "receiver": "treating-clinic-2"}
    offered = site.call(CLINIC, "POST", "/api/alerts/handovers", json=offer).json()
    report(site, journey, "BROKEN_SEAL")
    wait_for(lambda: [a for a in alerts(site, CLINIC, journey) if a["code"] == "BROKEN_SEAL"])
    path = f"/api/alerts/handovers/{offered['id']}/accept"
    accepted = site.call("treating-clinic-2", "POST", path).json()

    def held() -> dict[str, str | None]:
        return {a["code"]: a["holder"] for a in alerts(site, CLINIC, journey)}

    wait_for(lambda: held().get("BROKEN_SEAL") == "treating-clinic-2")
    assert held()["IDENTITY_MISMATCH"] == third
    assert first["id"] not in accepted["alerts"] and accepted["alerts"]


class Inbox:
    """What a real SMTP server took; it can be told to refuse."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.refusing = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a message, or say that it must be sent again later."""
        if self.refusing:
            return "451 try again later"
        self.messages.append(envelope)
        return "250 taken"


def test_mail_reaches_who_is_told_and_is_sent_again_after_a_failure(
    site: Site, journey: str
) -> None:
    """A refusing server costs time, never the message; two senders send it once."""
    inbox = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    smtp = Controller(inbox, hostname="127.0.0.1", port=port)
    smtp.start()
    try:
        server = Server("127.0.0.1", port, None, None, False, "stafett@example.org", "http://t")
        address = {"mail": "clinic-1@example.org"}
        assert site.call(CLINIC, "PUT", "/api/me/mail", json=address).status_code == 204
        bad = site.call(CLINIC, "PUT", "/api/me/mail", json={"mail": "no address"})
        assert bad.status_code == 422
        report(site, journey, "IDENTITY_MISMATCH")
        wait_for(lambda: alerts(site, CLINIC, journey))
        sender = Mail(site.tower.pool, server)
        inbox.refusing = True
        assert site.inside(sender.once())
        inbox.refusing = False
        with psycopg.connect(site.tower.url) as connection:
            connection.execute("UPDATE alerts.message SET next_try = now()")

        async def both() -> None:
            async def drain(mail: Mail) -> None:
                while await mail.once():
                    pass

            await asyncio.gather(drain(sender), drain(Mail(site.tower.pool, server)))

        site.inside(both())
        (mail,) = inbox.messages
        assert mail.rcpt_tos == ["clinic-1@example.org"]
        content = mail.content.decode()
        assert journey in content
        assert "Message-ID: <alert-" in content
        assert "19121212" not in content
    finally:
        smtp.stop()
        with psycopg.connect(site.tower.url) as connection:
            connection.execute("UPDATE alerts.message SET dead = true WHERE sent IS NULL")


def test_a_mail_that_cannot_be_written_holds_up_no_other(site: Site, journey: str) -> None:
    """It counts as tried, with why, and waits; those behind it go out."""
    inbox = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    smtp = Controller(inbox, hostname="127.0.0.1", port=port)
    smtp.start()
    try:
        server = Server("127.0.0.1", port, None, None, False, "stafett@example.org", "http://t")
        site.call(CLINIC, "PUT", "/api/me/mail", json={"mail": "clinic-1@example.org"})
        report(site, journey, "IDENTITY_MISMATCH")
        wait_for(lambda: alerts(site, CLINIC, journey))
        with psycopg.connect(site.tower.url) as connection:
            connection.execute(
                "INSERT INTO alerts.message (alert, person, mail, next_try)"
                " SELECT alert, 'pharmacy-1', E'two\\nlines@example.org', '2020-01-01'"
                " FROM alerts.message WHERE sent IS NULL AND NOT dead LIMIT 1"
            )
            # Nothing goes to who was suspended meanwhile.
            connection.execute(
                "INSERT INTO alerts.message (alert, person, mail)"
                " SELECT alert, %s, 'gone@example.org' FROM alerts.message LIMIT 1",
                [REFERRER],
            )
            connection.execute("UPDATE service.person SET active = false WHERE id = %s", [REFERRER])
            connection.execute(
                "INSERT INTO alerts.notice (kind, about, person, until) VALUES"
                " ('erasure', 'P-1', %s, now() + interval '1 day'),"
                " ('erasure', 'P-2', %s, now() - interval '1 day')",
                [CLINIC, CLINIC],
            )
        sender = Mail(site.tower.pool, server)
        while site.inside(sender.once()):
            pass
        assert [mail.rcpt_tos for mail in inbox.messages] == [["clinic-1@example.org"]] * 2
        notice = inbox.messages[1].content.decode()  # what has lapsed is told to nobody
        assert "waits for a second person" in notice and "http://t/admin/erasure" in notice
        assert "P-1" not in notice
        with psycopg.connect(site.tower.url) as connection:
            (waits,) = connection.execute(
                "SELECT attempt, last_error FROM alerts.message WHERE sent IS NULL AND NOT dead"
                " AND person = 'pharmacy-1'"
            ).fetchall()
        assert waits[0] == 1 and "linefeed" in waits[1]
    finally:
        smtp.stop()
        with psycopg.connect(site.tower.url) as connection:
            connection.execute("UPDATE alerts.message SET dead = true WHERE sent IS NULL")
            connection.execute("DELETE FROM alerts.notice")
            connection.execute("UPDATE service.person SET active = true WHERE id = %s", [REFERRER])


def test_mail_that_is_given_up_is_told_and_can_be_sent_again_to_a_mended_address(
    site: Site, journey: str
) -> None:
    """Refused twelve times it stands on its person's page, with why, and on nobody else's; sent
    again it goes to the address that they have now."""
    inbox = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    smtp = Controller(inbox, hostname="127.0.0.1", port=port)
    smtp.start()

    def given_up(login: str) -> list[dict[str, Any]]:
        told = site.call(login, "GET", "/api/alerts/unmailed").json()
        return [one for one in told if one["journey"] == journey]

    try:
        server = Server("127.0.0.1", port, None, None, False, "stafett@example.org", "http://t")
        sender = Mail(site.tower.pool, server)
        site.call(CLINIC, "PUT", "/api/me/mail", json={"mail": "wrong@example.org"})
        report(site, journey, "IDENTITY_MISMATCH")
        wait_for(lambda: alerts(site, CLINIC, journey))
        inbox.refusing = True
        for _ in range(GIVE_UP):
            assert given_up(CLINIC) == []
            assert site.inside(sender.once())
            with psycopg.connect(site.tower.url) as connection:
                connection.execute("UPDATE alerts.message SET next_try = now() WHERE NOT dead")
        assert not site.inside(sender.once())
        (one,) = given_up(CLINIC)
        assert (one["tries"], "try again later" in one["why"]) == (GIVE_UP, True)
        assert "wrong@example.org" in site.call(CLINIC, "GET", "/alerts").text
        assert given_up("pharmacy-1") == given_up("courier-1") == []
        again = f"/api/alerts/unmailed/{one['message']}/again"
        assert site.call("courier-1", "POST", again).status_code == 404
        site.call(CLINIC, "PUT", "/api/me/mail", json={"mail": "right@example.org"})
        assert site.call(CLINIC, "POST", again).status_code == 204
        inbox.refusing = False
        assert site.inside(sender.once())
        assert [mail.rcpt_tos for mail in inbox.messages] == [["right@example.org"]]
        assert given_up(CLINIC) == []
    finally:
        smtp.stop()
        with psycopg.connect(site.tower.url) as connection:
            connection.execute("UPDATE alerts.message SET dead = true WHERE sent IS NULL")


class Receiver(BaseHTTPRequestHandler):
    """A partner's system that takes CloudEvents, and refuses the first."""

    taken: list[tuple[dict[str, str], bytes]] = []  # noqa: RUF012
    refusals = 1

    def do_POST(self) -> None:
        """Take one event, or fail once."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if Receiver.refusals:
            Receiver.refusals -= 1
            self.send_response(503)
        else:
            Receiver.taken.append((dict(self.headers), body))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_webhook_gets_signed_events_of_its_own_alerts_in_order(site: Site, journey: str) -> None:
    """Raised, told, acknowledged: each once and signed, after a failure too; nobody else's."""
    secret = "a-secret-of-more-than-16"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tower = site.tower
    subscriptions = Subscriptions(tower.exchange.store)  # the tower's would refuse this machine
    sending = Deliveries(subscriptions, alerts=tower.alerts.feed)

    async def subscribe() -> None:
        position = await tower.alerts.size()
        await subscriptions.announce(
            f"http://127.0.0.1:{server.server_port}/", "structured", owner="university-hospital",
            secret=secret, position=position, source="alerts",
        )  # fmt: skip

    def deliver() -> None:
        # From this thread: in the server's loop it could wait for a row that the loop itself holds.
        with psycopg.connect(tower.url, autocommit=True) as connection:
            connection.execute("UPDATE exchange.webhook SET next_try = now(), dead = false")
        site.inside(sending.once())

    try:
        site.inside(subscribe())
        report(site, journey, "IDENTITY_MISMATCH")
        one = wait_for(lambda: alerts(site, CLINIC, journey))[0]
        site.call(CLINIC, "POST", f"/api/alerts/{one['id']}/acknowledge", json={})
        until = time.monotonic() + 20
        while time.monotonic() < until:
            deliver()
            kinds = [read(h, b).type for h, b in Receiver.taken]
            if "org.stafett.alert.acknowledged" in kinds:
                break
        events = [read(headers, body) for headers, body in Receiver.taken]
        for headers, body in Receiver.taken:
            signature = {k.lower(): v for k, v in headers.items()}["stafett-signature"]
            check(secret, read(headers, body).id, body, signature)
        mine = [e for e in events if e.subject == journey and e.data["id"] == one["id"]]
        assert [e.type.rpartition(".")[2] for e in mine] == ["raised", "told", "acknowledged"]
        assert [int(e.id) for e in events] == sorted({int(e.id) for e in events})
    finally:
        server.shutdown()
        server.server_close()
        with psycopg.connect(tower.url, autocommit=True) as connection:
            connection.execute("DELETE FROM exchange.webhook")


def test_the_load_counts_what_was_told_together_once(site: Site) -> None:
    """Per role: told, told together, escalated, unanswered, and the worst hour."""
    three_late(site)
    found = {x["role"]: x for x in site.call(CLINIC, "GET", "/api/alerts/load").json()}
    clinic = found["treating_clinic"]
    assert clinic["together"] >= 2
    assert clinic["worst"] >= 1
    assert sum(hour["told"] for hour in clinic["series"]) == clinic["told"]
    mine = site.call(CLINIC, "GET", "/api/alerts").json()["alerts"]
    head = next(x["alert"]["id"] for x in mine if x["alert"]["joined"] is None)
    (alert,) = site.inside(site.tower.alerts.several([head]))
    site.inside(site.tower.alerts.pass_on(alert, ["treating-clinic-2"], datetime.now(UTC)))
    found = {x["role"]: x for x in site.call(CLINIC, "GET", "/api/alerts/load").json()}
    assert found["treating_clinic"]["told"] == clinic["told"] + 1  # who came on duty hears it too
