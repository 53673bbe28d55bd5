"""The ledger's promises, one by one."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone

import psycopg
import pytest
from msgspec.structs import replace

from stafett.ledger import (
    Author,
    Draft,
    InvalidSubmission,
    KeyReused,
    Ledger,
    StaleVersion,
    Submission,
)
from stafett.ledger.leaf import leaf_hash

pytestmark = pytest.mark.anyio


async def test_positions_count_from_one_without_gaps(ledger, submission):
    """Events of all streams share one numbering."""
    receipts = [await ledger.append(submission(f"s{n % 3}", drafts=n + 1)) for n in range(4)]
    assert [list(r.positions) for r in receipts] == [[1], [2, 3], [4, 5, 6], [7, 8, 9, 10]]
    assert [e.position for e in await ledger.read(0)] == list(range(1, 11))
    assert await ledger.size() == 10


async def test_versions_count_within_a_stream(ledger, submission):
    """A receipt's version is the number of events in its stream."""
    versions = [(await ledger.append(submission(s))).version for s in ("a", "b", "a", "a")]
    assert versions == [1, 1, 2, 3]
    assert [e.version for e in await ledger.stream("a", after=1)] == [2, 3]


async def test_what_goes_in_comes_out(ledger):
    """Kind, body, author, audience and the time with its offset are kept as they were given."""
    at = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=2)))
    body = {"å": ["\u0000", 1.5, None, True, {"deep": "𝄞"}], "n": -3}
    draft = Draft("bag.scanned", body, at)
    author = Author("hospital", None)
    await ledger.append(Submission("j", 0, [draft], ["maker", "hospital"], author, "k", b"h"))
    (event,) = await ledger.stream("j")
    assert (event.kind, event.body, event.author) == ("bag.scanned", body, author)
    assert event.audience == ("hospital", "maker")
    assert event.occurred_at == at and event.occurred_at.utcoffset() == timedelta(hours=2)
    assert event.leaf_hash == leaf_hash(event.leaf)


async def test_stale_version_is_refused_with_the_actual_one(ledger, submission):
    """A decision made on an old state is refused and leaves nothing behind."""
    await ledger.append(submission("a", expected=0, drafts=2))
    with pytest.raises(StaleVersion) as refusal:
        await ledger.append(submission("a", expected=1))
    assert (refusal.value.expected, refusal.value.actual) == (1, 2)
    assert await ledger.size() == 2


async def test_of_many_at_once_exactly_one_wins(ledger, submission):
    """Submissions on the same version in one batch are resolved in order of arrival."""
    tries = [ledger.append(submission("a", expected=0)) for _ in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert outcomes[0].version == 1
    assert [type(o) for o in outcomes[1:]] == [StaleVersion] * 19


async def test_a_chain_within_one_batch_is_accepted(ledger, submission):
    """A later submission of a batch sees the earlier ones."""
    tries = [ledger.append(submission("a", expected=n)) for n in range(50)]
    assert [r.version for r in await asyncio.gather(*tries)] == list(range(1, 51))


async def test_same_key_same_request_gets_the_same_answer(ledger, submission):
    """A replay is answered as before, even when the stream has moved on, and changes nothing."""
    first = await ledger.append(submission("a", expected=0, key="k"))
    await ledger.append(submission("a"))
    again = await ledger.append(submission("a", expected=0, key="k"))
    assert again.replayed and not first.replayed
    assert (again.positions, again.version, again.recorded_at) == (
        first.positions,
        first.version,
        first.recorded_at,
    )
    assert await ledger.size() == 2


async def test_same_key_twice_in_one_batch_is_appended_once(ledger, submission):
    """Two copies of a request in flight at once become one event."""
    one, two = await asyncio.gather(*[ledger.append(submission("a", key="k")) for _ in "ab"])
    assert one.positions == two.positions and not one.replayed and two.replayed


async def test_same_key_other_request_is_refused(ledger, submission):
    """A key stands for one request for good."""
    await ledger.append(submission("a", key="k"))
    with pytest.raises(KeyReused):
        await ledger.append(submission("b", key="k"))
    assert await ledger.size() == 1


async def test_outcome_of_a_key(ledger, submission):
    """Whoever is in doubt can ask what became of a key."""
    receipt = await ledger.append(submission("a", key="k", drafts=3))
    assert await ledger.outcome_of("k") == replace(receipt, replayed=True)
    with pytest.raises(KeyReused):
        await ledger.outcome_of("k", b"another request")
    assert await ledger.outcome_of("unheard of") is None


async def test_recorded_at_never_goes_back(ledger, submission):
    """The order of positions is the order of recording."""
    for n in range(30):
        await asyncio.gather(*[ledger.append(submission(f"s{n}")) for _ in range(3)])
    times = [e.recorded_at for e in await ledger.read(0)]
    assert times == sorted(times) and len(times) == 90


async def test_recorded_at_holds_when_the_clock_goes_back(database, submission):
    """A server clock behind the last event's time doesn't make the record run backwards."""
    future = "2099-01-01T00:00:00+00:00"
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE ledger.head SET recorded_at = %s", [future])
    async with Ledger(database) as ledger:
        receipt = await ledger.append(submission())
    assert receipt.recorded_at == datetime.fromisoformat(future)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"drafts": []}, "draft"),
        ({"audience": []}, "audience"),
        ({"audience": ["a", ""]}, "audience[1]"),
        ({"stream": ""}, "stream"),
        ({"stream": "a\0b"}, "stream"),
        ({"stream": "x" * 1001}, "stream"),
        ({"stream": "\ud800"}, "stream"),
        ({"key": ""}, "key"),
        ({"expected_version": -1}, "expected_version"),
        ({"drafts": [Draft("k", {}, datetime(2026, 1, 1))]}, "occurred_at"),  # noqa: DTZ001
        ({"drafts": [Draft("", {}, datetime.now().astimezone())]}, "kind"),
        ({"drafts": [Draft("k", {"x": float("nan")}, datetime.now().astimezone())]}, "canonical"),
        ({"drafts": [Draft("k", {"x": 2**60}, datetime.now().astimezone())]}, "canonical"),
        ({"drafts": [Draft("k", {"x": object()}, datetime.now().astimezone())]}, "canonical"),
        ({"drafts": [Draft("k", {"x": "\udc00"}, datetime.now().astimezone())]}, "canonical"),
        ({"drafts": [Draft("k", {"x": "y" * 65_500}, datetime.now().astimezone())]}, "65535"),
    ],
)
async def test_bad_submissions_are_named(ledger, change, names):
    """What can't be written is refused before it goes anywhere, and the error says which part."""
    good = {
        "stream": "s",
        "expected_version": None,
        "drafts": [Draft("k", {}, datetime.now().astimezone())],
        "audience": ["a"],
        "author": Author("a"),
        "key": "k",
        "request_hash": b"h",
    }
    with pytest.raises(InvalidSubmission) as refusal:
        await ledger.append(Submission(**{**good, **change}))
    assert names in str(refusal.value)
    assert await ledger.size() == 0


async def test_follow_gives_what_was_and_what_comes(ledger, submission):
    """A follower gets each event once, in order, starting anywhere."""
    await asyncio.gather(*[ledger.append(submission()) for _ in range(10)])
    seen: list[int] = []

    async def watch() -> None:
        async for batch in ledger.follow(4, limit=3):
            seen.extend(e.position for e in batch)
            if seen[-1] == 20:
                return

    watching = asyncio.create_task(watch())
    for _ in range(10):
        await asyncio.sleep(0.005)
        await ledger.append(submission())
    await asyncio.wait_for(watching, 30)
    assert seen == list(range(5, 21))


async def test_follow_hears_another_process(database, ledger, submission):
    """Growth made by another process arrives without polling."""
    feed = ledger.follow(0)
    coming = asyncio.ensure_future(anext(feed))
    await asyncio.sleep(0.05)
    async with Ledger(database) as other:
        await other.append(submission())
    (event,) = await asyncio.wait_for(coming, 2)
    assert event.position == 1


async def test_a_leaf_is_canonical_json_with_everything_in_it(ledger, submission):
    """An entry can be understood from its bytes alone."""
    await ledger.append(submission("j"))
    (event,) = await ledger.read(0)
    found = json.loads(event.leaf)
    assert sorted(found) == list(found)
    assert found["stream"] == "j" and found["version"] == 1 and len(found["salt"]) == 32


async def test_equal_events_have_unlike_hashes(ledger, submission):
    """The salt keeps a hash from telling whether two entries are the same."""
    await ledger.append(submission("a", drafts=2))
    one, two = await ledger.read(0)
    assert one.body == two.body and json.loads(one.leaf)["salt"] != json.loads(two.leaf)["salt"]


async def test_closing_waits_for_what_was_submitted(database, submission):
    """Closing the ledger answers everyone who is waiting."""
    ledger = Ledger(database)
    await ledger.open()
    pending = [asyncio.create_task(ledger.append(submission())) for _ in range(100)]
    await asyncio.sleep(0)
    await ledger.close()
    assert sorted(p.result().first_position for p in pending) == list(range(1, 101))
