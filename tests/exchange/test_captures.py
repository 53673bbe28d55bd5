from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from stafett.exchange import epcis
from stafett.exchange.captures import INLINE, Captures
from stafett.exchange.epcis_query import read_query
from stafett.exchange.epcis_store import LOCK, EpcisStore
from stafett.exchange.epcis_xml import read_xml
from stafett.exchange.epcis_xml_write import xml_of
from stafett.exchange.problem import Problem

pytestmark = pytest.mark.anyio


def event(n: int, **more: Any) -> dict[str, Any]:
    """Make an event that differs from others by its number."""
    return {
        "type": "ObjectEvent",
        "eventID": str(uuid.UUID(int=n).urn),
        "eventTime": "2026-01-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [f"urn:epc:id:sgtin:9529004.067890.DP{n}"],
        **more,
    }


def sent(*events: Any) -> bytes:
    """Give a document as bytes."""
    return json.dumps(epcis.document(list(events), created="2026-01-01T00:00:00Z")).encode()


async def test_a_small_document_is_captured_when_the_job_is_known(store: EpcisStore) -> None:
    """The answer to a small capture is a finished job."""
    captures = Captures(store)
    job = await captures.get(await captures.submit(sent(event(1), event(2)), owner="maker"))
    assert (job.running, job.success, job.captured) == (False, True, 2)
    assert job.finished is not None and job.finished >= job.created


async def test_a_large_document_survives_the_process_that_accepted_it(
    store: EpcisStore, database: str
) -> None:
    """A large document waits in the database; another process captures it, once."""
    job = await Captures(store).submit(sent(*[event(n) for n in range(INLINE + 1)]), owner="maker")
    assert (await Captures(store).get(job)).running
    async with EpcisStore(database) as elsewhere:
        other = Captures(elsewhere)
        assert await other.work_once() is True
        assert await other.work_once() is False
        done = await other.get(job)
    assert (done.running, done.success, done.captured) == (False, True, INLINE + 1)
    assert await store.size() == INLINE + 1


async def test_a_large_document_in_xml_names_lines_of_it_when_it_is_captured_later(
    store: EpcisStore,
) -> None:
    """What waits is the XML that was sent: the event left out is named by its line in it."""
    events = [event(n, bizStep="shipping") for n in range(INLINE + 2)]
    xml = xml_of(epcis.document(events, created="2026-01-01T00:00:00Z"))
    assert xml.count(b"<ObjectEvent") == INLINE + 2
    xml = xml.replace(b"<ObjectEvent", b"\n<ObjectEvent").replace(b"OBSERVE", b"LOOK", 1)
    line = xml[: xml.index(b"LOOK")].count(b"\n") + 1
    data = json.dumps(read_xml(xml)).encode()
    captures = Captures(store)
    number = await captures.submit(data, owner="maker", behaviour="proceed", xml=xml)
    assert (await captures.get(number)).running
    assert await captures.work_once()
    job = await captures.get(number)
    assert (job.captured, len(job.errors)) == (INLINE + 1, 1)
    assert f"(<action>, line {line} of the XML)" in job.errors[0]["detail"]


async def test_a_document_that_the_server_fails_on_does_not_hold_up_the_next(
    store: EpcisStore, database: str
) -> None:
    """It is kept with its reason, its job says so, and the document behind it is captured."""
    kept: list[tuple[str, bytes, str]] = []

    async def keep(owner: str, job: uuid.UUID, data: bytes, why: Problem) -> None:
        kept.append((owner, data, why.name))

    captures = Captures(store, keep)
    large = range(INLINE + 1)
    poison = sent(*[event(n, bizStep="holding") for n in large])
    first = await captures.submit(poison, owner="maker")
    second = await captures.submit(sent(*[event(9000 + n) for n in large]), owner="courier")
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(
            "ALTER TABLE exchange.epcis_event ADD CONSTRAINT a_fault CHECK (owner <> 'maker')"
        )
    assert await captures.work_once() and await captures.work_once()
    failed, done = await captures.get(first), await captures.get(second)
    assert (failed.running, failed.success, failed.captured) == (False, False, 0)
    assert failed.errors[0]["type"] == "epcisException:ImplementationException"
    assert kept == [("maker", poison, "ImplementationException")]
    assert (done.success, done.captured) == (True, INLINE + 1) and await store.size() == INLINE + 1


async def test_a_document_waits_for_a_database_that_is_away(
    store: EpcisStore, database: str
) -> None:
    """What passes is no fault of the document: it stays, and is captured afterwards."""
    job = await Captures(store).submit(sent(*[event(n) for n in range(INLINE + 1)]), owner="maker")
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
        name = (await (await other.execute("SELECT current_database()")).fetchone() or [""])[0]
        await other.execute(f'ALTER DATABASE "{name}" SET lock_timeout = 100')
        await other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        async with EpcisStore(database) as hurried:
            with pytest.raises(psycopg.OperationalError):
                await Captures(hurried).work_once()
            assert (await Captures(store).get(job)).running
            await other.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
            assert await Captures(hurried).work_once()
    assert (await Captures(store).get(job)).captured == INLINE + 1


async def test_an_event_from_the_future_is_captured_and_remarked(store: EpcisStore) -> None:
    """Ten minutes of clock skew are nobody's fault; beyond that the job names the place."""
    now = datetime.now(UTC)
    times = [now + timedelta(minutes=m) for m in (-60, 8, 12)]
    captures = Captures(store)
    events = [event(n, eventTime=t.isoformat()) for n, t in enumerate(times)]
    job = await captures.get(await captures.submit(sent(*events), owner="maker"))
    assert (job.success, job.captured) == (True, 3)
    assert [r["pointer"] for r in job.body()["remarks"]] == ["/epcisBody/eventList/2/eventTime"]
    assert "in the future" in job.remarks[0]["detail"]


async def test_rollback_keeps_nothing_of_a_document_with_a_conflict(store: EpcisStore) -> None:
    """The job tells what conflicted and the store is as it was."""
    captures = Captures(store)
    await captures.submit(sent(event(1)), owner="maker")
    job = await captures.get(
        await captures.submit(sent(event(2), event(1, action="ADD")), owner="maker")
    )
    assert (job.success, job.captured) == (False, 0)
    assert job.errors[0]["status"] == 409
    assert job.errors[0]["errors"][0]["pointer"] == "/epcisBody/eventList/1/eventID"
    assert await store.size() == 1


async def test_proceed_keeps_the_right_events_and_names_the_places_of_the_others(
    store: EpcisStore,
) -> None:
    """Of five events one is malformed, one conflicts, one is no object: two stay, three named."""
    captures = Captures(store)
    await captures.submit(sent(event(9)), owner="maker")
    data = sent(event(1), {**event(2), "action": "MOVE"}, 7, event(9, action="ADD"), event(3))
    with pytest.raises(Problem):
        await captures.submit(data, owner="maker")
    job = await captures.get(await captures.submit(data, owner="maker", behaviour="proceed"))
    assert (job.success, job.captured) == (False, 2)
    assert [e["pointer"] for e in job.errors] == [
        "/epcisBody/eventList/1/action",
        "/epcisBody/eventList/2",
        "/epcisBody/eventList/3/eventID",
    ]
    found = (await store.query(read_query({}))).events
    assert [e.event["eventID"] for e in found] == [event(n)["eventID"] for n in (9, 1, 3)]


async def test_a_wrong_document_makes_no_job(store: EpcisStore) -> None:
    """What is not EPCIS is refused at once, and leaves neither job nor event."""
    captures = Captures(store)
    for data, behaviour in ((b"{", "rollback"), (sent(), "perhaps"), (b"[]", "proceed")):
        with pytest.raises(Problem) as refused:
            await captures.submit(data, owner="maker", behaviour=behaviour)
        assert refused.value.status == 400
    assert await captures.page(limit=10) == ([], None)


async def test_jobs_are_listed_by_page_and_only_to_their_owner(store: EpcisStore) -> None:
    """Seven jobs in pages of three; another organisation sees none of them."""
    captures = Captures(store)
    made = [await captures.submit(sent(event(n)), owner="maker") for n in range(7)]
    seen, token = [], None
    while True:
        jobs, token = await captures.page(limit=3, after=token, owners=["maker"])
        seen += [j.id for j in jobs]
        if token is None:
            break
    assert seen == made
    assert await captures.page(limit=3, owners=["courier"]) == ([], None)
    with pytest.raises(Problem) as refused:
        await captures.get(made[0], ["courier"])
    assert refused.value.status == 404


@pytest.mark.parametrize("many", [1, INLINE])
async def test_what_was_accepted_and_not_captured_is_kept_before_the_job_says_so(
    store: EpcisStore, many: int
) -> None:
    """At once or later, all refused or one event: owner, job, bytes and reason are handed over."""
    kept: list[tuple[str, uuid.UUID, bytes, Problem]] = []

    async def keep(owner: str, job: uuid.UUID, data: bytes, why: Problem) -> None:
        jobs, _ = await captures.page(limit=100)
        assert job not in [j.id for j in jobs if not j.running]  # nothing says yet that it failed
        kept.append((owner, job, data, why))

    captures = Captures(store, keep)
    await captures.submit(sent(event(1)), owner="maker")
    data = sent(event(1, action="ADD"), *[event(n) for n in range(2, many + 2)])
    for behaviour, captured in (("rollback", 0), ("proceed", many)):
        job = await captures.submit(data, owner="maker", behaviour=behaviour)
        await captures.work_once()
        assert (await captures.get(job)).captured == captured
        owner, of, what, why = kept.pop()
        assert (owner, of, what) == ("maker", job, data)
        assert why.findings[0].pointer == "/epcisBody/eventList/0/eventID"
    assert kept == []
    with pytest.raises(Problem):
        await captures.take(data, "maker")
    mended = await captures.take(sent(*[event(n) for n in range(1, many + 3)]), "maker")
    assert (mended.captured, mended.duplicates) == (1, many + 1)
