"""What a tower does by itself goes on: past what fails, and after the database was away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from authenticator_ import Authenticator
from away_ import away
from board_carrier import submissions
from stafett.ledger import Event, NotAcknowledged
from stafett.ledger.author import RETIRED, STREAM
from stafett.ledger.publish import Published, Publisher
from stafett.protocol.builtin import source
from stafett.service import health
from stafett.service.accounts import Organisation, Person
from stafett.service.alerts import Wanted
from stafett.service.challenges import Challenges
from stafett.service.changes import CHANGED
from stafett.service.health import STUMBLES
from stafett.service.library import ADMITTED, Library
from stafett.service.live import Lives
from stafett.service.loggers import Id, Loggers
from stafett.service.network import Networks
from stafett.service.passkeys import Passkeys
from stafett.service.retirements import Retirements
from stafett.service.signin import Client
from stafett.service.tower import Tower
from stafett.watch.cause import Call, Cause
from stafett.watch.roster import Delivery, Shift
from stafett.web.app import application

pytestmark = pytest.mark.anyio
PERSON = Person("ward-1", "ward-1", "Ward", "hospital", ("ward", "strange"))


@pytest.fixture
async def tower(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Tower]:
    """Run a tower that does not wait long for a database that is away, and looks again soon."""
    for often in ("relays.EVERY_S", "publishing.AGAIN_S", "publishing.GREET_S", "alerting.DUTY_S"):
        monkeypatch.setattr(f"stafett.service.{often}", 1.0)
    tower = Tower(database, tmp_path, cheap_hashing=True)
    async with tower:
        await tower.board.ready.wait()
        await tower.watch.close()  # it adds to the record as time goes by
        for name in ("hospital", "other"):
            await tower.accounts.add_organisation(Organisation(name, name.title(), "hospital"))
        await tower.accounts.add_person(PERSON, "a password for tests")
        yield tower


async def until(holds: Callable[[], Any], limit_s: float = 30.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(limit_s):
        while not holds():
            await asyncio.sleep(0.02)


async def carry(tower: Tower, journey: str, pieces: int | None = None, seed: int = 1) -> None:
    """Append the first pieces of a journey, or all of it."""
    for submission in list(submissions(tower, journey, seed))[:pieces]:
        await tower.ledger.append(submission)


def wanted(key: str, now: datetime) -> Wanted:
    """Return a rung to be called: the hospital's ward, for a cause of this key."""
    call = Call(0, now, "ward", "hospital")
    cause = Cause(key, "silence", "minor", "SILENT", "H01", "H01", now, "why", "never", (call,))
    return Wanted(cause, call, Delivery(None, now))


# -- names that are looked at ----------------------------------------------------------------------


async def test_a_journey_whose_shipments_cannot_be_read_keeps_none_waiting(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conditions of all the others are watched, and the strange one is seen to be strange."""
    take_in = tower.conditions._travel.take_in

    async def fails(live: Any) -> set[str]:
        if live.state.journey == "J-3":
            raise ValueError("nobody thought of this journey")
        return await take_in(live)

    monkeypatch.setattr(tower.conditions._travel, "take_in", fails)
    names = [f"J-{n}" for n in range(6)]
    for name in names:
        await carry(tower, name, 1)
    await until(
        lambda: all(tower.conditions._travel.knows(name) for name in names if name != "J-3")
    )
    await until(lambda: any(todo.failing for todo in tower.conditions.todos))


async def test_a_name_that_comes_while_loggers_are_bound_is_looked_at(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading that comes in while somebody registers a logger is judged, and not in half a
    minute."""
    looked: list[str] = []

    async def look(name: str) -> None:
        looked.append(name)

    async def rebind() -> set[str]:
        await asyncio.sleep(2.5)  # the watch has taken what there was by then
        return {"bound"}

    conditions = tower.conditions
    monkeypatch.setattr(conditions, "_look", look)
    monkeypatch.setattr(conditions._travel, "rebind", rebind)
    binding = asyncio.create_task(conditions.rebind())
    await asyncio.sleep(2.2)
    conditions._looks.add(["heard"])
    await binding
    await until(lambda: {"heard", "bound"} <= set(looked), 15)


# -- the alerts ------------------------------------------------------------------------------------


async def test_an_alert_whose_cause_was_over_before_anybody_looked_ends(
    tower: Tower, database: str
) -> None:
    """The journey had ended and its process with it: the next one ends the alert."""
    await carry(tower, "J-1")
    await until(lambda: tower.board.rows.get("J-1") and tower.board.rows["J-1"].status == "ended")
    await tower.alerting.close()
    now = datetime.now(UTC)
    called = wanted("over", now)
    assert await tower.alerts.call("J-1", 1, [called], [], [], now)
    await tower.alerting.start()

    def ended() -> bool:
        with psycopg.connect(database) as connection:
            row = connection.execute(
                "SELECT ended IS NOT NULL FROM alerts.alert WHERE cause = 'over'"
            ).fetchone()
        return bool(row and row[0])

    await until(ended, 10)


async def test_open_alerts_stay_on_the_pages_while_they_are_read_anew(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost connection shows nobody an empty list."""
    await carry(tower, "J-1", 1)
    await until(lambda: "J-1" in tower.board.rows)
    now = datetime.now(UTC)
    await until(lambda: tower.alerting.tended[2].trouble is None)
    called = wanted("here", now)

    async def no_look(journey: str) -> None:
        """Leave the alert as it is."""

    monkeypatch.setattr(tower.alerting, "_look", no_look)
    await tower.alerts.call("J-1", 10_000, [called], [], [], now)
    await until(lambda: tower.alerting.mine(PERSON))
    seen: list[int] = []
    watching = True

    async def watch() -> None:
        while watching:
            seen.append(len(tower.alerting.mine(PERSON)))
            await asyncio.sleep(0)

    reader = asyncio.create_task(watch())
    read = asyncio.Event()
    open_ = tower.alerts.open

    async def noted() -> Any:
        found = await open_()
        read.set()
        return found

    monkeypatch.setattr(tower.alerts, "open", noted)
    with psycopg.connect(tower.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN alerts%' AND datname = current_database()"
        )
    await asyncio.wait_for(read.wait(), 20)
    await asyncio.sleep(0.1)
    watching = False
    await reader
    assert set(seen) == {1}


async def test_a_roster_that_cannot_be_read_keeps_nobody_elses_alert_from_who_came(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a change of shift each alert is looked at by itself."""
    await carry(tower, "J-1", 1)
    await until(lambda: "J-1" in tower.board.rows)
    now = datetime.now(UTC)

    async def shifts(organisation: str, role: str) -> list[Shift]:
        if role == "strange":
            raise ValueError("a zone that is no more")
        return [Shift("ward-2", tuple(range(7)), time(0), time.max, "UTC")]

    async def no_look(journey: str) -> None:
        """Leave the alerts as they are."""

    monkeypatch.setattr(tower.alerting, "_look", no_look)
    monkeypatch.setattr(tower.rosters, "shifts", shifts)
    called = []
    for role in ("strange", "ward"):
        cause = wanted(role, now).cause._replace(urgency="critical")
        called.append(Wanted(cause, Call(0, now, role, "hospital"), Delivery(("ward-1",), now)))
    await tower.alerts.call("J-1", 10_000, called, [], [], now)

    def told(role: str) -> list[str] | None:
        open_ = [alert for alert in tower.alerting._open.values() if alert.role == role]
        return open_[0].people if open_ else None

    await until(lambda: told("ward") == ["ward-2"])
    await until(lambda: any("a zone that is no more" in one.why for one in tower.alerting.todos))
    assert told("strange") == ["ward-1"]


# -- what is held in memory ------------------------------------------------------------------------


async def test_a_journey_that_is_read_while_somebody_acts_does_not_go_back(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has read the older record comes second: what is held is the newer state."""
    first, second = list(submissions(tower, "J-1", 1))[:2]
    await tower.ledger.append(first)
    lives = Lives(tower.ledger, tower.library)
    leaves = tower.ledger.leaves
    let_go = asyncio.Event()

    async def slow(name: str) -> list[bytes]:
        found = await leaves(name)
        await let_go.wait()
        return found

    monkeypatch.setattr(tower.ledger, "leaves", slow)
    reading = asyncio.create_task(lives.live("J-1"))
    await asyncio.sleep(0.2)
    monkeypatch.undo()
    await tower.ledger.append(second)
    newer = await lives.load("J-1")
    let_go.set()
    seen = await reading
    assert seen is newer and lives.known("J-1") is newer


async def test_a_network_changed_by_another_process_is_seen(tower: Tower) -> None:
    """A new journey gets the parties of now, whoever changed them."""
    here, there = Networks(tower.pool), Networks(tower.pool)
    await here.put("n", {"ward": "hospital"})
    assert (await here.parties("n")) == {"ward": "hospital"}
    await there.put("n", {"ward": "other"})
    async with asyncio.timeout(30):
        while (await here.parties("n")) != {"ward": "other"}:
            await asyncio.sleep(0.2)


async def test_a_network_changed_while_it_is_read_is_read_again(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever changes a network sees the change at once, though a reader was under way."""
    networks = Networks(tower.pool)
    await networks.put("n", {"ward": "hospital"})
    reading = asyncio.create_task(networks.all())
    for _ in range(200):  # at whatever moment of the reading
        await networks.put("n", {"ward": "other"})
        assert (await networks.parties("n")) == {"ward": "other"}
        if reading.done():
            break
    await reading


async def test_a_loggers_key_that_another_process_replaced_ends_here_too(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proven a moment ago it is rested on for a moment, and not for ever."""
    monkeypatch.setattr("stafett.service.loggers.FRESH_S", 0.2)
    id = Id("hospital", "T-1")
    first = await tower.loggers.register(PERSON, "T-1", "", None, renew=False)
    assert first.key and await tower.loggers.proves(id, first.key)
    elsewhere = Loggers(tower.pool)
    second = await elsewhere.register(PERSON, "T-1", "", None, renew=True)
    await asyncio.sleep(0.3)
    assert not await tower.loggers.proves(id, first.key)
    assert second.key and await tower.loggers.proves(id, second.key)


async def test_a_protocol_admitted_elsewhere_while_the_database_is_away_is_learnt(
    tower: Tower,
) -> None:
    """The record told of it once: what could not be read then is read later."""
    file = resources.files("stafett") / "catalogue" / "protocols" / "autologous-car-t.yaml"
    newer = re.sub(r"(?m)^version: .*$", "version: 9.9.9", file.read_text(), count=1).encode()
    other = Library(tower.pool)
    await other.refresh()
    await other.admit(newer)
    tower.pool.timeout = 0.3
    with away(tower.url):
        tower.library.hear([_admitted()])
        await asyncio.sleep(1.5)
    tower.pool.timeout = 20
    await until(lambda: tower.library.current()["autologous-car-t"].version == "9.9.9")


async def test_an_upgrade_puts_no_protocol_in_force(tower: Tower) -> None:
    """A release's newer version is known of, and admitted by somebody or not at all."""
    name = "tissue-engineered"
    old = tower.library.current()[name].version
    newer = re.sub(r"(?m)^version: .*$", "version: 8.8.8", source(name).decode(), count=1).encode()
    upgraded = Library(tower.pool)
    await upgraded.open([newer])
    assert (upgraded.current()[name].version, upgraded.shipped(name)) == (old, "8.8.8")
    await upgraded.renew()
    assert (upgraded.current()[name].version, upgraded.shipped(name)) == ("8.8.8", None)


def _admitted() -> Event:
    class Said:
        kind = CHANGED
        body: dict[str, Any] = {"change": {"what": ADMITTED}}  # noqa: RUF012

    return Said()  # type: ignore[return-value]


# -- what the record is to be told -----------------------------------------------------------------


async def passkey(tower: Tower, public: bytes) -> None:
    """Keep a passkey of the person's."""
    async with tower.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO service.passkey (credential, person, public_key, sign_count, name)"
            " VALUES (%s, %s, %s, 0, 'phone')",
            (public, PERSON.id, public),
        )


def retired(events: list[Event]) -> int:
    """Return how many keys the record says sign nothing more."""
    return sum(event.kind == RETIRED for event in events)


@contextmanager
def record_held(tower: Tower) -> Iterator[None]:
    """Keep everybody from appending: the head of the ledger is locked; the tables are not."""
    tower.ledger._sequencer.patience_s = 0.5
    with psycopg.connect(tower.url) as connection:
        connection.execute("SELECT FROM ledger.head FOR UPDATE")
        yield
    tower.ledger._sequencer.patience_s = 30.0


async def test_a_passkey_taken_away_while_the_ledger_is_away_is_told_later(tower: Tower) -> None:
    """It is gone at once, for good; the record says so as soon as it can be told."""
    public = Authenticator().public
    await tower.author_keys.vouch("hospital", PERSON.id, public)
    await passkey(tower, public)
    with record_held(tower):
        await tower.passkeys.remove_all(PERSON)
        assert await tower.passkeys.of(PERSON) == []
        assert retired(await tower.ledger.stream(STREAM)) == 0
    async with asyncio.timeout(30):
        while not retired(await tower.ledger.stream(STREAM)):
            await asyncio.sleep(0.1)
    for _ in range(2):
        assert await tower.retirements.relay() == 0  # told once, however often it is looked at
    assert retired(await tower.ledger.stream(STREAM)) == 1


async def test_a_passkey_taken_away_by_a_process_that_died_is_told_by_another(
    tower: Tower,
) -> None:
    """Nothing rests on the process that took it away: the removal itself leaves word."""
    public = Authenticator().public
    await tower.author_keys.vouch("hospital", PERSON.id, public)
    await passkey(tower, public)

    async def died() -> None:
        raise KeyboardInterrupt

    dying = Passkeys(tower.pool, Challenges(tower.pool), died)
    with pytest.raises(KeyboardInterrupt):
        await dying.remove_all(PERSON)
    async with asyncio.timeout(30):
        while not retired(await tower.ledger.stream(STREAM)):
            await asyncio.sleep(0.1)


async def test_a_passkey_that_signs_as_it_is_taken_away_is_retired_too(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record may come to know it a moment later: so long it is looked at again."""
    public = Authenticator().public
    await passkey(tower, public)
    await tower.passkeys.remove_all(PERSON)
    assert retired(await tower.ledger.stream(STREAM)) == 0
    await tower.author_keys.vouch("hospital", PERSON.id, public)  # it was about to sign
    await tower.retirements.relay()
    assert retired(await tower.ledger.stream(STREAM)) == 1


async def test_one_that_the_record_never_knew_is_let_go_after_a_while(tower: Tower) -> None:
    """A passkey that only signed in is nobody's business; it is not looked at for ever."""
    await passkey(tower, b"signs in only")
    await tower.passkeys.remove_all(PERSON)
    async with tower.pool.connection() as connection:
        query = "SELECT count(*) FROM service.passkey_gone WHERE told IS NULL"
        assert await (await connection.execute(query)).fetchone() == (1,)
    await Retirements(tower.pool, tower.author_keys, sure_s=0).relay()
    async with tower.pool.connection() as connection:
        assert await (await connection.execute(query)).fetchone() == (0,)
    assert retired(await tower.ledger.stream(STREAM)) == 0


async def change(tower: Tower, organisation: str) -> None:
    """Make a change of an organisation."""
    by = Person(f"{organisation}-1", "x", "X", organisation, ())
    async with tower.changes.making(by, "something", "x", "because of a test"):
        pass


async def told(tower: Tower, organisation: str) -> int:
    """Return how many changes of an organisation the record has."""
    return len(await tower.ledger.stream(f"administration/{organisation}"))


async def test_a_change_while_the_ledger_is_away_is_told_without_another_change(
    tower: Tower,
) -> None:
    """Whoever made it is not told that it failed; the record is told by itself."""
    with record_held(tower):
        await change(tower, "hospital")
        assert await told(tower, "hospital") == 0
    async with asyncio.timeout(30):
        while await told(tower, "hospital") != 1:
            await asyncio.sleep(0.1)


async def test_an_organisation_whose_key_is_lost_holds_up_nobody_elses_changes(
    tower: Tower,
) -> None:
    """Its own wait, in order, and are told when the key is there again."""
    await change(tower, "hospital")
    path = tower.folder / "author-keys" / "hospital"
    aside = path.rename(path.with_name("aside"))
    await change(tower, "hospital")
    await change(tower, "courier")
    assert (await told(tower, "hospital"), await told(tower, "courier")) == (1, 1)
    assert await tower.changes.relay() == 1
    aside.rename(path)
    await change(tower, "courier")
    assert (await told(tower, "hospital"), await told(tower, "courier")) == (2, 2)


async def test_a_tower_begins_though_an_organisations_key_is_lost(
    tower: Tower, database: str
) -> None:
    """What cannot be told for one waits; all the others are served."""
    async with tower.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO watch.logger (organisation, number, key_hash, model, registered_by)"
            " VALUES ('hospital', 'T-1', 'x', '', 'ward-1')"
        )
        await connection.execute(
            "INSERT INTO watch.stand (organisation, number, role, place, since, fixed_by)"
            " VALUES ('hospital', 'T-1', 'ward', 'Tank', now(), 'ward-1')"
        )
    await change(tower, "hospital")
    (tower.folder / "author-keys" / "hospital").unlink()
    async with asyncio.timeout(60), Tower(database, tower.folder, cheap_hashing=True) as second:
        await second.board.ready.wait()
        # Whoever asks while it is being told just now (at a start it is) waits for the answer.
        asked = await asyncio.gather(*(second.stands.relay() for _ in range(3)))
        assert asked == [1, 1, 1]


# -- checkpoints -----------------------------------------------------------------------------------


async def until_signed(tower: Tower) -> None:
    """Wait until all that is recorded is under a signed checkpoint."""
    async with asyncio.timeout(30):
        while (standing := await tower.publishing.standing()).signed != standing.size:
            await asyncio.sleep(0.1)


async def test_a_round_of_checkpoints_that_fails_is_not_the_last(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a witness or its address provokes: the record is signed by the next round."""
    publish = Publisher.publish
    failed: list[int] = []

    async def fails(self: Publisher) -> Published:
        if not failed:
            failed.append(1)
            raise ValueError("an address that nobody thought of")
        return await publish(self)

    monkeypatch.setattr(Publisher, "publish", fails)
    await change(tower, "hospital")
    await until(lambda: failed)
    await until_signed(tower)


async def test_a_bad_trust_policy_is_told_until_it_is_mended(tower: Tower) -> None:
    """Not for one round only: the one before holds, and whoever looks has to know."""
    file = tower.folder / "trust-policy"
    good = file.read_text()
    file.write_text("this is no policy\n")

    async def told(bad: bool) -> None:
        async with asyncio.timeout(30):
            while ("trust-policy" in (await tower.publishing.standing()).trouble) != bad:
                await asyncio.sleep(0.05)

    await told(True)
    await change(tower, "hospital")
    await until_signed(tower)
    await told(True)
    file.write_text(good + "# mended\n")
    await change(tower, "hospital")
    await told(False)


# -- two things that are one -----------------------------------------------------------------------


async def test_a_protocol_is_admitted_with_its_change_or_not_at_all(tower: Tower) -> None:
    """Where the change cannot be written nothing is in force: neither here nor in the library."""
    file = resources.files("stafett") / "catalogue" / "protocols" / "autologous-car-t.yaml"
    newer = re.sub(r"(?m)^version: .*$", "version: 9.9.9", file.read_text(), count=1).encode()
    by = Person("op", "op", "Operator", "hospital", (), ("operator",))
    with psycopg.connect(tower.url, autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE service.change ADD CONSTRAINT full_disk CHECK (reason <> 'the disk')"
        )
    with pytest.raises(psycopg.errors.CheckViolation):
        await tower.admission.admit(by, newer, "the disk")
    assert tower.library.current()["autologous-car-t"].version != "9.9.9"
    with psycopg.connect(tower.url) as connection:
        query = "SELECT count(*) FROM service.protocol WHERE version = '9.9.9'"
        assert connection.execute(query).fetchone() == (0,)
    await tower.admission.admit(by, newer, "a new version")
    assert tower.library.current()["autologous-car-t"].version == "9.9.9"


async def test_a_link_that_was_cut_off_is_good_still_and_no_old_key_outlives_it(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lost a phone makes a new password: its passkey is gone before the link is used up."""
    await passkey(tower, b"on the phone that is lost")
    token = await tower.signin.invite(PERSON.id)
    new = "quite another secret, a long one"

    async def cut_off(person: str, but: str | None = None) -> int:
        raise psycopg.OperationalError("the connection is lost")

    with monkeypatch.context() as patched, pytest.raises(psycopg.OperationalError):
        patched.setattr(tower.sessions, "end_all", cut_off)
        await tower.signin.accept(token, new, Client())
    assert await tower.passkeys.of(PERSON) == []
    assert (await tower.signin.invited(token))[0]
    _, person = await tower.signin.accept(token, new, Client())
    assert person.id == PERSON.id and not (await tower.signin.invited(token))[0]


async def test_the_result_of_a_drill_is_recorded_though_the_record_was_away(tower: Tower) -> None:
    """It is over, and counts once, when it can be told."""
    roles = Person("n", "n", "Nurse", "hospital", ("apheresis_unit",))
    place = tower.practice.places(roles)[0]
    drill = tower.practice.begin(roles, place.protocol, place.activity, place.side)
    with record_held(tower):
        with pytest.raises(NotAcknowledged):
            await tower.practice.give_up(roles, drill.id)
        assert await tower.practice.results("hospital") == []
    async with asyncio.timeout(30):
        while not await tower.practice.results("hospital"):
            await asyncio.sleep(0.1)
    await asyncio.gather(*(tower.practice.give_up(roles, drill.id) for _ in range(2)))
    await tower.ledger.append(next(submissions(tower, "J-1", 1)))
    found = await asyncio.gather(*(tower.practice.results("hospital") for _ in range(5)))
    assert {len(results) for results in found} == {1}


# -- counts ----------------------------------------------------------------------------------------


async def test_a_count_of_refused_readings_is_not_lost_with_a_connection(tower: Tower) -> None:
    """What could not be written is written the next time, with what came since."""
    tower.pool.timeout = 0.3
    with away(tower.url):
        tower.intake.refuse(Id("hospital", "T-1"), "bad-chunk", "no JSON\x00", 2)
        await asyncio.sleep(2.5)
        tower.intake.refuse(Id("hospital", "T-1"), "bad-chunk", "no JSON", 1)
    tower.pool.timeout = 20

    def counted() -> int:
        with psycopg.connect(tower.url) as connection:
            row = connection.execute("SELECT sum(chunks) FROM watch.refused").fetchone()
        return int(row[0] or 0) if row else 0

    await until(lambda: counted() == 3)


# -- health ----------------------------------------------------------------------------------------


async def asked(tower: Tower) -> httpx.Response:
    """Ask how the tower is, as whoever watches over it does."""
    transport = httpx.ASGITransport(application(tower, opened=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.get("/api/health")


async def test_a_tower_that_is_well_says_so(tower: Tower) -> None:
    """Ready, and nothing fails."""
    answer = await asked(tower)
    assert answer.status_code == 200
    told = answer.json()
    assert told["ready"] and told["failing"] == [] and not told["stopped"]


async def test_work_that_fails_again_and_again_is_said_and_takes_the_tower_out(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is there for fails: 503, with the name of what fails, and nothing of what it said."""
    secret = "nobody is to read this"

    async def fails() -> None:
        raise ValueError(secret)

    follows = tower.board.tended[0]
    monkeypatch.setattr(follows, "_work", fails)
    monkeypatch.setattr(follows, "_pause_s", 0.01)
    await follows.end()
    follows.start()
    await until(lambda: follows.trouble is not None and follows.trouble.times > STUMBLES)
    answer = await asked(tower)
    assert answer.status_code == 503 and secret not in answer.text
    (one,) = answer.json()["failing"]
    assert one["name"] == "the board" and one["times"] > STUMBLES


async def test_work_beside_that_fails_is_said_and_the_tower_goes_on_serving(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without forecasts people can work: it is told, with 200."""

    async def fails() -> None:
        raise ValueError("no forecast")

    (forecasts,) = tower.forecasts.tended
    monkeypatch.setattr(forecasts, "_work", fails)
    monkeypatch.setattr(forecasts, "_pause_s", 0.01)
    await forecasts.end()
    forecasts.start()
    await until(lambda: forecasts.trouble is not None and forecasts.trouble.times > STUMBLES)
    answer = await asked(tower)
    assert answer.status_code == 200
    assert [one["name"] for one in answer.json()["failing"]] == ["forecasts"]


async def test_everything_that_goes_on_by_itself_is_seen(tower: Tower) -> None:
    """No task of the tower is outside of what its health looks at."""
    ours = {one.name for one in health._tended(tower)}
    ours |= {"ledger sequencer", "ledger sweeper", "ledger listener"}
    running = {task.get_name() for task in asyncio.all_tasks()}
    strangers = {
        name
        for name in running - ours
        if not name.startswith(("Task-", "pool-", "tests/")) and "scheduler" not in name
    }
    assert not strangers
    unnamed = [
        task
        for task in asyncio.all_tasks()
        if task.get_name().startswith("Task-") and "stafett" in str(task.get_coro())
    ]
    assert not unnamed


async def test_a_record_that_was_halted_is_said_to_be_stopped(tower: Tower) -> None:
    """Reading goes on, so the tower serves; but somebody has to look."""
    tower.ledger.halt("the record was rolled back")
    told = (await asked(tower)).json()
    assert told["stopped"] and told["ready"]


async def test_a_record_that_was_rolled_back_is_read_and_not_written(tower: Tower) -> None:
    """No change is acknowledged that would be lost with it; signing in and looking go on."""
    operator = Person("op-1", "op-1", "Operator", "hospital", (), ("operator", "administrator"))
    await tower.accounts.add_person(operator, "a password for tests")
    transport = httpx.ASGITransport(application(tower, opened=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        who = {"login": "op-1", "password": "a password for tests"}
        tower.ledger.halt("the record was rolled back")
        signed = await client.post("/api/session", json=who, headers={"X-Stafett": "1"})
        assert signed.status_code == 200, signed.text
        headers = {"Authorization": f"Bearer {signed.json()['token']}"}
        before = (await client.get("/api/admin/networks", headers=headers)).json()
        parties = {"ward": "hospital"}
        body = {"parties": parties, "title": "North", "reason": "a new network"}
        for method, path, json in (
            ("PUT", "/api/admin/networks/north", body),
            ("PUT", "/api/admin/sites/north", {}),
            ("POST", "/api/admin/keys/replace", {}),
        ):
            answer = await client.request(method, path, json=json, headers=headers)
            assert answer.status_code == 503 and "/problems/stopped" in answer.text, answer.text
        for path in ("/epcis/capture", "/epcis/events", "/fhir/R5", "/fhir/R5/Subscription"):
            answer = await client.post(path, json={}, headers=headers)
            assert answer.status_code == 503 and "record is stopped" in answer.text, answer.text
        with pytest.raises(ConnectionError):  # the laboratory keeps its message, and sends it again
            await tower.results.receive(b"MSH|^~\\&|LAB|L|S|S|1||ORU^R01|1|P|2.5\r", "127.0.0.1")
        assert (await client.get("/api/admin/networks", headers=headers)).json() == before
        assert (await client.delete("/api/session", headers=headers)).status_code < 300
