from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from stafett.exchange import cloudevents, epcis
from stafett.exchange import deliveries as deliveries_module
from stafett.exchange.cloudevents import CloudEvent
from stafett.exchange.deliveries import Deliveries
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.problem import Problem
from stafett.exchange.schedule import next_run, read_schedule
from stafett.exchange.subscriptions import GIVE_UP, Subscriptions, pause_s

pytestmark = pytest.mark.anyio
DEST = "https://partner.example/hook"
SECRET = "0123456789abcdef0123"
OWNER = "maker"


class Receiver:
    """A partner's endpoint: keeps what it got and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[httpx.Request] = []
        self.status = 200
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        return httpx.Response(self.status)

    def ids(self) -> list[str]:
        """Give the eventIDs received, in order."""
        return [
            e["eventID"]
            for request in self.got
            for e in json.loads(request.content)["epcisBody"]["queryResults"]["resultsBody"][
                "eventList"
            ]
        ]


def event(n: int, step: str = "shipping") -> dict[str, Any]:
    """Make an event that differs from others by its number."""
    return {
        "type": "ObjectEvent", "eventID": uuid.UUID(int=n).urn,
        "eventTime": "2026-01-01T00:00:00Z", "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE", "epcList": ["urn:a:b"], "bizStep": step,
    }  # fmt: skip


async def put(store: EpcisStore, *events: dict[str, Any]) -> None:
    """Capture events."""
    value = epcis.document(list(events), created="2026-01-01T00:00:00Z")
    await store.capture(epcis.judge(value), owner="maker")


async def shipping(store: EpcisStore, **wish: Any) -> tuple[Subscriptions, uuid.UUID]:
    """Define the query `ship` and subscribe to it."""
    subscriptions = Subscriptions(store)
    await subscriptions.define("ship", {"EQ_bizStep": ["shipping"]}, owner="maker")
    hook = await subscriptions.subscribe(
        "ship", {"dest": DEST, "stream": True, **wish}, owner=OWNER
    )
    return subscriptions, hook.id


async def drain(deliveries: Deliveries, database: str) -> None:
    """Serve webhooks until none is due, then make all due again (time passes)."""
    for _ in range(20):
        if not await deliveries.once():
            break
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE exchange.webhook SET next_try = clock_timestamp()")


async def test_a_receiver_gets_what_matches_from_now_on_signed(
    store: EpcisStore, database: str
) -> None:
    """Events captured before the subscription stay out; later ones come once, with the MAC."""
    await put(store, event(1))
    subscriptions, _ = await shipping(store, signatureToken=SECRET)
    receiver = Receiver()
    deliveries = Deliveries(subscriptions, client=receiver.client)
    await put(store, event(2), event(3, "storing"), event(4))
    await drain(deliveries, database)
    await drain(deliveries, database)
    assert receiver.ids() == [event(2)["eventID"], event(4)["eventID"]]
    request = receiver.got[0]
    mac = hmac.new(SECRET.encode(), request.content, hashlib.sha256).hexdigest()
    assert request.headers["gs1-signature"] == f"sha256={mac}"
    epcis.read(request.content)


async def test_nothing_is_lost_while_a_receiver_is_down_and_it_can_be_revived(
    store: EpcisStore, database: str
) -> None:
    """Failures are counted, the twelfth gives up visibly, a replay brings everything in order."""
    subscriptions, hook = await shipping(store)
    receiver = Receiver()
    receiver.status = 503
    deliveries = Deliveries(subscriptions, client=receiver.client)
    await put(store, *[event(n) for n in range(1, 6)])
    for _ in range(GIVE_UP):
        await drain(deliveries, database)
    (dead,) = await subscriptions.webhooks(dead=True)
    assert (dead.failures, dead.position) == (GIVE_UP, 0)
    assert dead.last_error is not None and "503" in dead.last_error
    receiver.status, receiver.got = 200, []
    await subscriptions.replay(hook)
    await put(store, event(6))
    await drain(deliveries, database)
    assert receiver.ids() == [event(n)["eventID"] for n in range(1, 7)]
    receiver.got = []
    await subscriptions.replay(hook, position=4)
    await drain(deliveries, database)
    assert receiver.ids() == [event(5)["eventID"], event(6)["eventID"]]
    with pytest.raises(Problem):
        await subscriptions.replay(hook, position=99)


async def test_a_subscriber_is_told_what_it_may_read_only(store: EpcisStore, database: str) -> None:
    """Another organisation's captures stay out, unless the policy says otherwise."""
    subscriptions, hook = await shipping(store)
    stranger = epcis.document([event(7)], created="2026-01-01T00:00:00Z")
    await store.capture(epcis.judge(stranger), owner="courier")
    await put(store, event(1))
    receiver = Receiver()
    await drain(Deliveries(subscriptions, client=receiver.client), database)
    assert receiver.ids() == [event(1)["eventID"]]
    await subscriptions.replay(hook, position=0)
    open_to_all = Deliveries(subscriptions, client=receiver.client, may_read=lambda owner: None)
    await drain(open_to_all, database)
    assert len(receiver.ids()) == 3


async def test_an_earlier_record_time_brings_the_past_too(store: EpcisStore, database: str) -> None:
    """initialRecordTime sends what was recorded since then."""
    await put(store, event(1))
    subscriptions, _ = await shipping(store, initialRecordTime="2020-01-01T00:00:00Z")
    receiver = Receiver()
    await drain(Deliveries(subscriptions, client=receiver.client), database)
    assert receiver.ids() == [event(1)["eventID"]]


async def test_a_scheduled_query_reports_even_nothing_if_asked_to(
    store: EpcisStore, database: str
) -> None:
    """With reportIfEmpty the receiver hears that there was nothing."""
    subscriptions, _ = await shipping(
        store, stream=None, schedule={"minute": "5"}, reportIfEmpty=True
    )
    receiver = Receiver()
    deliveries = Deliveries(subscriptions, client=receiver.client)
    assert await deliveries.once() is False  # not yet its time
    await drain(deliveries, database)
    assert await deliveries.once() is True
    assert receiver.ids() == [] and len(receiver.got) == 1


async def test_a_report_of_many_pages_does_not_wait_for_the_next_moment(
    store: EpcisStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, each moment told one page: who got more in a day than that fell behind for ever."""
    monkeypatch.setattr(deliveries_module, "PAGE", 2)
    subscriptions, hook = await shipping(store, stream=None, schedule={"month": "2"})
    await put(store, *[event(n) for n in range(1, 6)])
    receiver = Receiver()
    await drain(Deliveries(subscriptions, client=receiver.client), database)  # not its time yet
    await drain(Deliveries(subscriptions, client=receiver.client), database)
    assert receiver.ids() == [event(n)["eventID"] for n in range(1, 6)]
    assert (await subscriptions.webhook(hook)).position == 5


async def test_what_a_receiver_took_before_it_failed_is_not_sent_again(store: EpcisStore) -> None:
    """Of five messages the fourth fails: the position is at the third, and goes on from there."""
    subscriptions = Subscriptions(store)
    hook = await subscriptions.announce(DEST, "binary", owner=OWNER, secret=None, position=0)

    async def feed(owner: str, after: int, limit: int) -> list[tuple[int, CloudEvent]]:
        return [
            (n, CloudEvent(str(n), "urn:x", "org.stafett.x", datetime.now(UTC), {}))
            for n in range(after + 1, 6)
        ]

    got: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request.headers["ce-id"])
        return httpx.Response(503 if len(got) == 4 else 200)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    deliveries = Deliveries(subscriptions, client=client, ledger=feed)
    await deliveries.once()
    assert (await subscriptions.webhook(hook.id)).position == 3
    await deliveries.once()
    assert got == ["1", "2", "3", "4", "4", "5"]


async def test_a_named_query_is_its_organisations(store: EpcisStore, database: str) -> None:
    """Another one may use the name, sees and removes only its own, and ends nobody's webhook."""
    subscriptions, hook = await shipping(store)
    with pytest.raises(Problem, match="no query"):
        await subscriptions.query("ship", "courier")
    with pytest.raises(Problem, match="no query"):
        await subscriptions.subscribe("ship", {"dest": DEST, "stream": True}, owner="courier")
    await subscriptions.define("ship", {"EQ_bizStep": ["storing"]}, owner="courier")
    assert [q.owner for q in await subscriptions.queries("courier", 10)] == ["courier"]
    await subscriptions.remove("ship", "courier")
    assert (await subscriptions.webhook(hook)).query_name == "ship"


async def test_one_broken_webhook_does_not_hold_up_the_others(
    store: EpcisStore, database: str
) -> None:
    """An address that no resolver takes counts as a failure; the next receiver is served."""
    subscriptions, hook = await shipping(store)
    broken = await subscriptions.subscribe(
        "ship", {"dest": f"https://{'x' * 70}.example/h", "stream": True}, owner=OWNER
    )
    await put(store, event(1))
    receiver = Receiver()

    async def resolve(host: str) -> str | None:
        host.encode("idna")
        return None

    await drain(Deliveries(subscriptions, client=receiver.client, refuse_host=resolve), database)
    assert (await subscriptions.webhook(broken.id)).failures >= 1
    assert receiver.ids() == [event(1)["eventID"]]
    assert (await subscriptions.webhook(hook)).failures == 0


async def test_a_webhook_that_this_program_cannot_serve_holds_up_no_other(
    store: EpcisStore,
) -> None:
    """A fault of ours counts as a failure of that webhook: it is told, and the next is served."""
    subscriptions = Subscriptions(store)
    bad = await subscriptions.announce(DEST, "binary", owner="bad", secret=None, position=0)
    await subscriptions.announce(DEST, "binary", owner="good", secret=None, position=0)

    async def feed(owner: str, after: int, limit: int) -> list[tuple[int, CloudEvent]]:
        if owner == "bad":
            raise KeyError("an event that nobody thought of")
        made = CloudEvent(
            id="1", source="urn:x", type="org.stafett.x", time=datetime.now(UTC), data={}
        )
        return [(1, made)] if after < 1 else []

    receiver = Receiver()
    deliveries = Deliveries(subscriptions, client=receiver.client, ledger=feed)
    while await deliveries.once():
        pass
    assert len(receiver.got) == 1
    seen = await subscriptions.webhook(bad.id)
    assert seen.failures == 1 and "nobody thought of" in str(seen.last_error)


async def test_a_host_that_must_not_be_reached_gets_nothing(
    store: EpcisStore, database: str
) -> None:
    """The refusal counts as a failure and says why; no request goes out."""
    subscriptions, hook = await shipping(store)
    await put(store, event(1))
    receiver = Receiver()

    async def refuse(host: str) -> str:
        return "inside the network"

    deliveries = Deliveries(subscriptions, client=receiver.client, refuse_host=refuse)
    await deliveries.once()
    there = await subscriptions.webhook(hook)
    assert receiver.got == []
    assert there.failures == 1 and "inside the network" in (there.last_error or "")


@pytest.mark.parametrize("mode", ["structured", "binary"])
async def test_the_ledgers_subscribers_get_cloud_events_in_order(
    store: EpcisStore, database: str, mode: Any
) -> None:
    """Each ledger event is one signed message, in either mode; the position moves with them."""
    subscriptions = Subscriptions(store)
    hook = await subscriptions.announce(DEST, mode, owner="hospital", secret=SECRET, position=2)
    events = [
        CloudEvent(str(n), "https://stafett.example", "org.stafett.x", datetime.now(UTC), {"n": n})
        for n in range(1, 6)
    ]

    async def feed(owner: str, after: int, limit: int) -> list[tuple[int, CloudEvent]]:
        assert owner == "hospital"
        return [(n, events[n - 1]) for n in range(after + 1, 6)][:limit]

    receiver = Receiver()
    await drain(Deliveries(subscriptions, client=receiver.client, ledger=feed), database)
    assert (await subscriptions.webhook(hook.id)).position == 5
    for request, expected in zip(receiver.got, events[2:], strict=True):
        assert cloudevents.read(request.headers, request.content) == expected
        cloudevents.check(
            SECRET, expected.id, request.content, request.headers["stafett-signature"]
        )


@pytest.mark.parametrize(
    ("wish", "place"),
    [
        ({"dest": "ftp://x.example", "stream": True}, "/dest"),
        ({"dest": "https://user:pass@x.example", "stream": True}, "/dest"),
        ({"stream": True}, "/dest"),
        ({"dest": "https://[::1", "stream": True}, "/dest"),
        ({"dest": DEST}, "/stream"),
        ({"dest": DEST, "stream": True, "schedule": {"hour": "1"}}, "/stream"),
        ({"dest": DEST, "schedule": {"hour": "25"}}, "/schedule/hour"),
        ({"dest": DEST, "schedule": {"month": "2", "dayOfMonth": "30"}}, "/schedule"),
        ({"dest": DEST, "stream": True, "signatureToken": "short"}, "/signatureToken"),
        ({"dest": DEST, "stream": True, "initialRecordTime": "now"}, "/initialRecordTime"),
        ({"dest": DEST, "stream": True, "reportIfEmpty": True}, "/reportIfEmpty"),
        ({"dest": DEST, "stream": True, "signatureTokn": "s" * 20}, "/signatureTokn"),
        ([], ""),
    ],
)
async def test_wrong_controls_are_refused_by_name(store: EpcisStore, wish: Any, place: str) -> None:
    """Each mistake is a 400 SubscriptionControlsException at its place."""
    subscriptions = Subscriptions(store)
    await subscriptions.define("q", {}, owner="maker")
    with pytest.raises(Problem) as refused:
        await subscriptions.subscribe("q", wish, owner="maker")
    assert refused.value.name == "SubscriptionControlsException"
    assert refused.value.findings[0].pointer == place


async def test_a_query_that_orders_or_limits_cannot_stand(store: EpcisStore) -> None:
    """A stream of the newest three would lose the fourth: such a subscription is refused."""
    subscriptions = Subscriptions(store)
    for n, query in enumerate(
        ({"orderBy": "eventTime", "eventCountLimit": 3}, {"maxEventCount": 9})
    ):
        await subscriptions.define(f"q{n}", query, owner=OWNER)
        with pytest.raises(Problem, match="standing") as refused:
            await subscriptions.subscribe(f"q{n}", {"dest": DEST, "stream": True}, owner=OWNER)
        assert refused.value.name == "SubscriptionControlsException"


async def test_named_queries_are_unique_checked_and_removed_with_their_subscriptions(
    store: EpcisStore,
) -> None:
    """A name is taken once; a wrong query never gets one; removing it ends its webhooks."""
    subscriptions, hook = await shipping(store)
    with pytest.raises(Problem) as taken:
        await subscriptions.define("ship", {}, owner="maker")
    assert taken.value.status == 409
    for name, query in (("a b", {}), ("", {}), ("ok", []), ("ok", {"EQ_nonsense": ["x"]})):
        with pytest.raises(Problem) as wrong:
            await subscriptions.define(name, query, owner="maker")
        assert wrong.value.status == 400
    await subscriptions.remove("ship", OWNER)
    with pytest.raises(Problem) as gone:
        await subscriptions.webhook(hook)
    assert gone.value.status == 404


@pytest.mark.parametrize(
    ("fields", "after", "expected"),
    [
        ({"hour": "1", "minute": "5"}, "2026-11-23T01:05:00Z", "2026-11-24T01:05:00Z"),
        ({"minute": "0,30"}, "2026-11-23T01:05:00Z", "2026-11-23T01:30:00Z"),
        ({"second": "[10-12]"}, "2026-11-23T01:05:11.5Z", "2026-11-23T01:05:12Z"),
        ({"dayOfWeek": "1"}, "2026-11-23T12:00:00Z", "2026-11-30T00:00:00Z"),
        ({"month": "2", "dayOfMonth": "29"}, "2026-11-23T12:00:00Z", "2028-02-29T00:00:00Z"),
    ],
)
def test_a_schedule_fits_the_next_moment(fields: Any, after: str, expected: str) -> None:
    """Lists, ranges, weekdays and leap days; finer fields that are not given mean zero."""
    found = next_run(read_schedule(fields), datetime.fromisoformat(after))
    assert found == datetime.fromisoformat(expected)


def test_pauses_double_and_stay_bounded() -> None:
    """The first pause is about a second, the longest about an hour."""
    assert 1.0 <= pause_s(1) <= 1.25
    assert 4.0 <= pause_s(3) <= 5.0
    assert 3600 <= pause_s(1000) <= 4500


def test_a_cloud_event_survives_both_modes_and_a_changed_one_fails_its_signature() -> None:
    """Text beyond ASCII comes back; a changed body, id, time or an old message is refused."""
    event = CloudEvent(
        "7", "https://stafett.example/ledger", "org.stafett.handoff", datetime.now(UTC),
        {"site": "Göteborg"}, subject='resa "1" 100 %', extensions={"leafhash": "ab"},
    )  # fmt: skip
    for make in (cloudevents.structured, cloudevents.binary):
        message = make(event)
        assert cloudevents.read(message.headers, message.body) == event
        signature = cloudevents.sign(SECRET, event.id, message.body, at=1000)
        cloudevents.check(SECRET, event.id, message.body, signature, now=1100)
        for identifier, body, given, now in (
            ("8", message.body, signature, 1100),
            ("7", message.body + b" ", signature, 1100),
            ("7", message.body, signature.replace("t=1000", "t=1050"), 1100),
            ("7", message.body, signature, 9999),
            ("7", message.body, "nonsense", 1100),
        ):
            with pytest.raises(ValueError, match="signature"):
                cloudevents.check(SECRET, identifier, body, given, now=now)
    for headers, body in (({}, b"{}"), ({"content-type": cloudevents.STRUCTURED}, b"[")):
        with pytest.raises(ValueError, match="CloudEvent"):
            cloudevents.read(headers, body)
