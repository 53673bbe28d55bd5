"""Files that were withdrawn: what counts of a logger's files, as the record says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from stafett.journey.command import Signature
from stafett.ledger import Author, Event
from stafett.service.accounts import Person
from stafett.service.loggers import Id
from stafett.service.read_in import READ, WITHDRAWN, files_of
from stafett.service.signatures import inspect
from stafett.service.withdrawals import _named, _to_sign
from stafett.watch.judgement import Gone, judge
from stafett.watch.reading import Chunk
from stafett.watch.rules import Limit, Rules
from stafett.watch.series import Arrived, merge

T0 = datetime(2026, 3, 2, 8, tzinfo=UTC)
ONE, TWO = "aa" * 32, "bb" * 32


def event(position: int, kind: str, body: dict[str, Any]) -> Event:
    """Return an entry of a logger's stream, a minute after the one before."""
    at = T0 + timedelta(minutes=position)
    return Event(
        position, "logger/courier.L1", position, kind, body, ("courier",),
        Author("courier", "p-1"), at, at, b"", b"",
    )  # fmt: skip


def read(position: int, *chunks: str) -> Event:
    """A file is read in."""
    return event(position, READ, {"file": {
        "organisation": "courier", "logger": "L1", "name": "trip.csv", "sha256": "cc" * 32,
        "readings": 60, "first": T0.isoformat(), "last": (T0 + timedelta(hours=1)).isoformat(),
        "unit": "C", "zone": "UTC", "chunks": list(chunks),
    }})  # fmt: skip


def withdrawn(position: int, of: int) -> Event:
    """It is withdrawn."""
    said = {"organisation": "courier", "logger": "L1", "read": of, "reason": "another trip",
            "signature": {"name": "Kim Lind"}}  # fmt: skip
    return event(position, WITHDRAWN, {"withdrawal": said})


def chunk(at: float, *, from_file: bool = True) -> Arrived:
    """A chunk that arrived at a moment."""
    times = np.array([T0.timestamp()])
    return Arrived(Chunk(0, None, times, {"temperature_c": np.array([5.0])}), at, from_file)


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ([], {ONE, TWO}),  # its leaf is still to come
        ([read(1, ONE), read(2, TWO)], {ONE, TWO}),
        ([read(1, ONE), read(2, TWO), withdrawn(3, 1)], {TWO}),
        ([read(1, ONE, TWO), read(2, TWO), withdrawn(3, 1)], {TWO}),  # the other file has it too
        ([read(1, ONE, TWO), read(2, TWO), withdrawn(3, 1), withdrawn(4, 2)], set()),
        ([read(1, ONE), withdrawn(2, 1), read(3, ONE, TWO)], {ONE, TWO}),
    ],
)
def test_a_chunk_counts_while_a_file_that_counts_has_it(
    told: list[Event], counts: set[str]
) -> None:
    """Two files may overlap; what a logger sent by itself is no file's to withdraw."""
    arrived = {bytes.fromhex(sha): chunk(9.0) for sha in (ONE, TWO)}
    sent = {b"sent": chunk(9.0, from_file=False)}
    standing = files_of(told).standing(arrived | sent)
    expected = [*(arrived[bytes.fromhex(sha)] for sha in sorted(counts)), sent[b"sent"]]
    assert [one._replace(at=9.0) for one in standing] == expected


def test_what_is_read_in_again_counts_from_then_on() -> None:
    """A person who decided in between knew nothing of it."""
    files = files_of([read(1, ONE), withdrawn(2, 1), read(3, ONE)])
    (one,) = files.standing({bytes.fromhex(ONE): chunk(9.0)})
    assert one.at == (T0 + timedelta(minutes=3)).timestamp()
    assert [file.withdrawn is None for file in files.files] == [False, True]
    assert files.withdrawn()[0].at == (T0 + timedelta(minutes=2)).timestamp()


@pytest.mark.parametrize(
    ("gone", "decided", "told"),
    [
        (Gone(0.0, 60.0, 500.0, 60), None, True),
        (Gone(0.0, 60.0, 500.0, 60), 400.0, True),
        (Gone(0.0, 60.0, 500.0, 60), 600.0, False),  # a person has decided since
        (Gone(-90.0, -60.0, 500.0, 60), None, False),  # another trip of this logger
    ],
)
def test_a_withdrawn_file_is_not_known_until_a_person_decides(
    gone: Gone, decided: float | None, told: bool
) -> None:
    """Also where other readings say that all is well: they do not say why it was withdrawn."""
    start = T0.timestamp()
    at = gone._replace(since=start + gone.since, until=start + gone.until, at=start + gone.at)
    times = start + 10.0 * np.arange(30)
    calm = 5.0 + 0.1 * (np.arange(30) % 7)
    series = merge([Arrived(Chunk(0, None, times, {"temperature_c": calm}), start)])
    made = judge(
        series, Rules(limit=Limit(2.0, 8.0)), start=start, end=float(times[-1]),
        decided=None if decided is None else start + decided, calibrated_until=1e12,
        withdrawn=[at],
    )  # fmt: skip
    assert (made.verdict, made.has("withdrawn")) == (("unknown", True) if told else ("ok", False))


def withdrawal() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a leaf's body and its author, as they come into the record."""
    person = Person("p-1", "kim", "Kim Lind", "courier")
    (file,) = files_of([read(1, ONE)]).files
    due = _to_sign(person, Id("courier", "L1"), file, "another trip", T0)
    signature: Signature = due.by(person, "password")
    said = {**_named(Id("courier", "L1"), file), "reason": "another trip", "signed": due.value,
            "signature": msgspec.to_builtins(signature)}  # fmt: skip
    return {"withdrawal": said}, {"organisation": "courier", "person": "p-1"}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("", None, ""),
        ("reason", "it was too warm", "reason is not what was signed"),
        ("sha256", "dd" * 32, "sha256 is not what was signed"),
        ("read", 7, "read is not what was signed"),
        ("person", "p-2", "p-1 signed what p-2 did"),
        ("signed", {}, "another digest"),
    ],
)
def test_the_verifier_holds_a_withdrawal_to_what_was_signed(
    field: str, value: Any, why: str
) -> None:
    """Who, which file, and why."""
    body, author = withdrawal()
    if field == "person":
        author[field] = value
    elif field:
        body["withdrawal"][field] = value
    (found,) = inspect({"body": body, "author": author}, None)
    assert found.why == why or (why and why in found.why)
