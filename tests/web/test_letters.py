"""Laboratory results over MLLP, and the dead letters of what was refused: socket, API, page."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import Page

from site_ import Site
from stafett.cli.main import main
from stafett.exchange import epcis, hl7
from stafett.exchange.captures import INLINE
from stafett.exchange.mllp import END, START, Listener
from stafett.service.demo import PASSWORD
from stafett.service.demo_results import message

WHO = "administrator"  # of the hospital whose mapping it is; operator too
OTHER = "courier-admin"


class Line:
    """A laboratory's line: what is sent is answered before the next is sent."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=60)

    def send(self, data: bytes) -> list[str]:
        """Send a message in a block; return the segments of its answer."""
        self.socket.sendall(START + data + END)
        return self.answer()

    def answer(self) -> list[str]:
        """Return the next answer; nothing when the line was closed."""
        data = b""
        while not data.endswith(END):
            part = self.socket.recv(65536)
            if not part:
                return []
            data += part
        assert data.startswith(START)
        return data[1 : -len(END)].decode().rstrip("\r").split("\r")


@pytest.fixture(scope="module")
def listener(site: Site) -> Iterator[Listener]:
    """Listen at a free port."""
    found = Listener("127.0.0.1", 0, site.tower.results.receive)
    site.inside(found.start())
    yield found
    site.inside(found.close())


@pytest.fixture
def line(listener: Listener) -> Iterator[Line]:
    """Open a laboratory's line."""
    found = Line(listener.address)
    yield found
    found.socket.close()


def new() -> str:
    """Return a control number that was never used."""
    return uuid.uuid4().hex[:12]


def waiting(site: Site, number: str, who: str = WHO) -> list[dict[str, Any]]:
    """Return the letters of a control number that wait."""
    answer = site.call(who, "GET", "/api/exchange/letters")
    assert answer.status_code == 200, answer.text
    return [one for one in answer.json() if one["number"] == number]


def test_a_result_is_captured_before_it_is_acknowledged_and_again_is_no_second(
    site: Site, line: Line
) -> None:
    """Sent twice (the answer was lost), it is one event, acknowledged both times."""
    number, before = new(), site.inside(site.tower.exchange.store.size())
    data = message(number)
    first, again = line.send(data), line.send(data)
    assert first[1] == again[1] == f"MSA|AA|{number}"
    assert site.inside(site.tower.exchange.store.size()) == before + 1


def test_a_message_is_read_beside_the_servers_loop(
    site: Site, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of a version of HL7 takes a second to read; nobody else waits for it."""
    read, readers = hl7.read, []

    def noted(data: bytes) -> hl7.Message:
        readers.append(threading.get_ident())
        return read(data)

    async def loop() -> int:
        return threading.get_ident()

    monkeypatch.setattr(hl7, "read", noted)
    assert line.send(message(number := new()))[1] == f"MSA|AA|{number}"
    assert len(readers) == 1 and site.inside(loop()) not in readers


def test_messages_that_come_in_pieces_or_together_are_told_apart(site: Site, line: Line) -> None:
    """A block ends where it ends, whatever the packets are."""
    one, two = new(), new()
    both = START + message(one) + END + b"\r\n" + START + message(two) + END
    for at in range(0, len(both), 97):
        line.socket.sendall(both[at : at + 97])
    assert [line.answer()[1], line.answer()[1]] == [f"MSA|AA|{one}", f"MSA|AA|{two}"]


def test_what_is_refused_is_answered_and_waits_as_a_letter(site: Site, line: Line) -> None:
    """AE names segment and field; the letter says the same, and shows nothing of the patient."""
    number = new()
    said = line.send(message(number, code="NPU-CD19"))
    assert said[1].startswith(f"MSA|AE|{number}|")
    assert said[2].startswith("ERR||OBX^1^3|103^^HL70357|E|") and "NPU-CD19" in said[2]
    line.send(message(number, code="NPU-CD19"))
    (letter,) = waiting(site, number)
    assert letter["reasons"][0]["pointer"] == "OBX[1]-3"
    shown = site.call(WHO, "GET", f"/api/exchange/letters/{letter['id']}").json()["text"]
    assert "NPU-CD19" in shown and "Demo^Patient" not in shown


def test_a_message_that_is_too_large_is_answered_and_holds_up_no_other(
    site: Site, line: Line
) -> None:
    """Before, the line was closed unanswered: its sender repeated it, and all after it waited."""
    number, after = new(), new()
    large = message(number) + b"NTE|1||" + b"x" * 1_100_000 + b"\r"
    assert line.send(large)[1].startswith(f"MSA|AR|{number}")
    assert line.send(message(after))[1] == f"MSA|AA|{after}"
    assert len(waiting(site, number)) == 1


def test_the_same_bytes_again_are_the_same_letter(site: Site, line: Line) -> None:
    """A sender that repeats itself does not flood the page."""
    data = message(new(), value="many")
    for _ in range(3):
        line.send(data)
    (letter,) = waiting(site, data.split(b"|")[9].decode())
    assert letter["times"] == 3


def test_what_is_no_hl7_is_answered_and_kept_for_the_operators(site: Site, line: Line) -> None:
    """Nobody knows whose it is: those who run the installation see it, others do not."""
    said = line.send(b"Anna Testsson 19121212-1212")
    assert said[1].startswith("MSA|AE|")
    mine = [x for x in waiting(site, "") if x["organisation"] == ""]
    assert mine and mine[0]["reasons"]
    assert waiting(site, "", OTHER) == []
    opened = site.call(WHO, "GET", f"/api/exchange/letters/{mine[0]['id']}").json()
    assert opened["text"] == ""


def test_a_letter_that_cannot_be_kept_is_not_answered(site: Site) -> None:
    """The line is closed without a word, so the sender still has it."""

    async def fails(data: bytes, peer: str) -> bytes:
        raise psycopg.OperationalError("the database is gone")

    found = Listener("127.0.0.1", 0, fails)
    site.inside(found.start())
    assert Line(found.address).send(message(new())) == []
    site.inside(found.close())


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n" * 100, START + b"x" * 4_300_000])
def test_a_line_that_is_no_mllp_is_closed(listener: Listener, noise: bytes) -> None:
    """Noise without a block, or a block without an end, costs a bounded amount and no answer."""
    line = Line(listener.address)
    try:
        line.socket.sendall(noise)
        assert line.answer() == []
    except (ConnectionResetError, BrokenPipeError):
        pass


def test_mended_and_tried_again_it_is_taken_and_the_trail_says_so(site: Site, line: Line) -> None:
    """Before mending it is refused again; after it the result is there and the bytes are erased."""
    number = new()
    line.send(message(number, code="OLD-VIAB"))
    (letter,) = waiting(site, number)
    path = f"/api/exchange/letters/{letter['id']}"
    again = site.call(WHO, "POST", f"{path}/retry", json={"reason": "only trying"})
    assert again.status_code == 409 and "OLD-VIAB" in again.text
    file = site.tower.results.folder / "laboratory.yaml"
    before = file.read_text()
    file.write_text(before.replace("tests:\n", "tests:\n  OLD-VIAB: {means: viability, "
                                               'units: {"%": "%"}}\n'))  # fmt: skip
    try:
        size = site.inside(site.tower.exchange.store.size())
        done = site.call(WHO, "POST", f"{path}/retry", json={"reason": "code added to the mapping"})
        assert done.status_code == 200 and done.json()["state"] == "taken", done.text
        assert site.inside(site.tower.exchange.store.size()) == size + 1
    finally:
        file.write_text(before)
    assert waiting(site, number) == []
    assert site.call(WHO, "GET", path).json()["text"] is None
    assert site.call(WHO, "POST", f"{path}/retry", json={"reason": "once more"}).status_code == 409
    changes = site.call(WHO, "GET", "/api/audit/changes").json()
    (change,) = [c for c in changes if c["about"] == f"letter/{letter['id']}"]
    assert (change["what"], change["reason"]) == ("letter taken", "code added to the mapping")


def test_a_letter_is_dropped_with_a_reason_only_by_who_answers_for_it(
    site: Site, line: Line
) -> None:
    """No reason, another organisation, another duty: refused, and it still waits."""
    number = new()
    line.send(message(number, value="?"))
    (letter,) = waiting(site, number)
    path = f"/api/exchange/letters/{letter['id']}/drop"
    assert site.call(WHO, "POST", path, json={"reason": ""}).status_code == 422
    assert site.call(WHO, "POST", path, json={"reason": "     "}).status_code == 422
    assert site.call(OTHER, "POST", path, json={"reason": "not mine"}).status_code == 404
    assert site.call("courier-1", "POST", path, json={"reason": "not mine"}).status_code == 403
    assert site.call(None, "GET", "/api/exchange/letters").status_code == 401
    assert site.call(WHO, "GET", "/api/exchange/letters/none").status_code == 404
    assert waiting(site, number)
    done = site.call(WHO, "POST", path, json={"reason": "sent by mistake, the laboratory says"})
    assert done.json()["state"] == "dropped"
    with psycopg.connect(site.tower.url) as connection:
        row = connection.execute(
            "SELECT sealed, state FROM service.letter WHERE id = %s", [letter["id"]]
        ).fetchone()
    assert row == (None, "dropped")


def test_letters_are_listed_shown_and_dropped_by_command(site: Site, line: Line) -> None:
    """The same as on the page, for who works in a terminal; a refusal is exit status 2."""
    number = new()
    line.send(message(number, code="NPU-X"))
    (letter,) = waiting(site, number)
    asked = ["--url", site.base, "--login", WHO, "--password", PASSWORD]

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["letters", *words, *asked])

    assert number in run("list").output
    shown = run("show", str(letter["id"])).output
    assert "OBX[1]-3: the code NPU-X" in shown and "PID|…" in shown and "Demo^" not in shown
    again = run("retry", str(letter["id"]), "--reason", "only trying")
    assert again.exit_code == 2 and "refused again" in again.output
    dropped = run("drop", str(letter["id"]), "--reason", "known mistake", "--json")
    assert dropped.exit_code == 0 and '"dropped"' in dropped.output
    assert waiting(site, number) == []


def captured(site: Site, *events: dict[str, Any], behaviour: str = "rollback") -> dict[str, Any]:
    """Send events to the EPCIS interface; return the job once it has ended."""
    body = epcis.document(list(events), created="2026-11-01T08:00:00Z")
    headers = {"GS1-Capture-Error-Behaviour": behaviour}
    answer = site.call(WHO, "POST", "/epcis/capture", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    for _ in range(300):
        job: dict[str, Any] = site.call(WHO, "GET", answer.headers["location"]).json()
        if not job["running"]:
            return job
        time.sleep(0.1)
    raise AssertionError("the job has not ended")


def seen(name: str | None = None, action: str = "OBSERVE") -> dict[str, Any]:
    """Make an event about a thing of its own."""
    return {
        "type": "ObjectEvent", "eventID": name or uuid.uuid4().urn,
        "eventTime": "2026-11-01T08:00:00+01:00", "eventTimeZoneOffset": "+01:00",
        "action": action, "epcList": [uuid.uuid4().urn], "bizStep": "transporting",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "behaviour"), [(1, "rollback"), (1, "proceed"), (INLINE, "rollback")]
)
def test_a_capture_that_failed_waits_as_a_letter_of_its_owner(
    site: Site, more: int, behaviour: str
) -> None:
    """At once or long after the answer: nobody needs to look at the job to learn of it."""
    first = seen()
    assert captured(site, first)["success"]
    job = captured(
        site, seen(first["eventID"], "ADD"), *[seen() for _ in range(more)], behaviour=behaviour
    )
    assert job["success"] is False
    (letter,) = waiting(site, job["captureID"])
    assert (letter["channel"], letter["reasons"][0]["pointer"]) == (
        "epcis", "/epcisBody/eventList/0/eventID",
    )  # fmt: skip
    assert waiting(site, job["captureID"], OTHER) == []
    path = f"/api/exchange/letters/{letter['id']}"
    assert first["eventID"] in site.call(WHO, "GET", path).json()["text"]
    again = site.call(WHO, "POST", f"{path}/retry", json={"reason": "only trying"})
    assert again.status_code == 409 and "still-refused" in again.text
    dropped = site.call(WHO, "POST", f"{path}/drop", json={"reason": "sent by mistake"})
    assert dropped.json()["state"] == "dropped"
    assert waiting(site, job["captureID"]) == []


def test_the_page_shows_a_capture_that_failed(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Which job, which event and why; a document that is too large for the page is named."""
    first = seen()
    captured(site, first)
    small = captured(site, seen(first["eventID"], "ADD"))["captureID"]
    large = captured(site, seen(first["eventID"], "ADD"), *[seen() for _ in range(1500)])
    page = browser_of(WHO, width=320)
    page.goto("/exchange/letters")
    card = page.locator("section.card", has_text=small)
    assert "/epcisBody/eventList/0/eventID" in card.inner_text()
    card.locator("summary").click()
    assert first["eventID"] in card.locator("pre").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(page, "letters-capture-320")
    big = page.locator("section.card", has_text=large["captureID"])
    assert "too large" in big.inner_text() and big.locator("pre").count() == 0
    for language in ("sv", "es"):
        page.goto(f"/exchange/letters?language={language}")
        assert "letters." not in page.locator("main").inner_text()


def test_the_page_shows_who_was_not_reached_and_sends_again_from_a_position(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """A receiver that failed twelve times: where, why, told up to what; revived from an event."""
    site.order()
    size = site.inside(site.tower.ledger.size())
    wish = {"dest": "https://hook.invalid/x", "mode": "binary", "secret": "s" * 20}
    made = site.call(WHO, "POST", "/api/webhooks", json={**wish, "position": size})
    name = made.json()["subscriptionID"]
    with psycopg.connect(site.tower.url, autocommit=True) as connection:
        connection.execute(
            "UPDATE exchange.webhook SET dead = true, failures = 12, last_error = 'HTTP 503'"
            " WHERE id = %s", [name],
        )  # fmt: skip
    page = browser_of(WHO, width=320)
    page.goto("/exchange/letters")
    row = page.locator("section.card", has=page.locator("#hooks")).locator("tr", has_text="hook.")
    assert "HTTP 503" in row.inner_text()
    assert row.locator("input").input_value() == str(size)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(page, "letters-hooks-320")
    row.locator("input").fill(str(size - 1))
    row.get_by_role("button", name="Revive").click()
    page.locator("#said.note:not(.hidden)").wait_for()
    (hook,) = [h for h in site.call(WHO, "GET", "/api/webhooks").json()
               if h["subscriptionID"] == name]  # fmt: skip
    assert (hook["position"], hook["dead"]) == (size - 1, False)
    assert site.call(WHO, "DELETE", f"/api/webhooks/{name}").status_code == 204


def test_what_waits_is_encrypted_where_it_lies(site: Site, line: Line) -> None:
    """The database's bytes do not hold the patient's name, although the letter does."""
    number = new()
    line.send(message(number, value="none"))
    with psycopg.connect(site.tower.url) as connection:
        row = connection.execute(
            "SELECT sealed, reasons::text FROM service.letter WHERE number = %s", [number]
        ).fetchone()
    assert row is not None
    assert b"Demo" not in bytes(row[0]) and "Demo^Patient" not in row[1]


def test_two_mappings_of_one_sender_take_nothing(site: Site, line: Line) -> None:
    """Which one is meant cannot be known: refused, and said."""
    file = site.tower.results.folder / "second.yaml"
    file.write_text((site.tower.results.folder / "laboratory.yaml").read_text())
    try:
        said = line.send(message(new()))
    finally:
        file.unlink()
    assert said[1].startswith("MSA|AR|") and "2 mappings" in said[1]


def test_the_page_shows_what_came_and_drops_it(
    site: Site, line: Line, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Why, what, and two things to do; narrow too, and in Swedish and Spanish without a gap."""
    number = new()
    line.send(message(number, code="NPU-CD4"))
    page = browser_of(WHO, width=320)
    page.goto("/exchange/letters")
    card = page.locator("section.card", has_text=number)
    assert card.get_by_text("OBX[1]-3").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    card.locator("summary").click()
    assert card.locator("pre").inner_text().count("PID|…") == 1
    shoot(page, "letters-320")
    card.locator("input[name=reason]").fill("known mistake of the laboratory")
    card.get_by_role("button", name="Drop it").click()
    page.locator("#said.note:not(.hidden)").wait_for()
    assert page.locator("section.card", has_text=number).count() == 0
    page.goto("/exchange/letters?state=dropped")
    assert "known mistake" in page.locator("section.card", has_text=number).inner_text()
    for language in ("sv", "es"):
        page.goto(f"/exchange/letters?language={language}")
        assert "letters." not in page.locator("main").inner_text()
