"""The ledger against a dict, under random commands and faults."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from stafett.ledger import (
    Author,
    Draft,
    KeyReused,
    Ledger,
    Refused,
    StaleVersion,
    Submission,
)

STREAMS = ("a", "b", "c")
ORGANISATIONS = ("hospital", "maker", "courier")


class Model:
    """What a ledger is, written plainly."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int, str, tuple[str, ...]]] = []
        self.keys: dict[str, tuple[bytes, int, int]] = {}

    def version(self, stream: str) -> int:
        """Count the events of a stream."""
        return sum(e[0] == stream for e in self.events)

    def append(self, s: Submission) -> tuple[int, int] | type[Refused]:
        """Return first position and version, or the refusal."""
        if s.key in self.keys:
            request, first, version = self.keys[s.key]
            return (first, version) if request == s.request_hash else KeyReused
        if s.expected_version not in (None, self.version(s.stream)):
            return StaleVersion
        first = len(self.events) + 1
        for draft in s.drafts:
            version = self.version(s.stream) + 1
            self.events.append((s.stream, version, draft.kind, tuple(sorted(set(s.audience)))))
        self.keys[s.key] = (s.request_hash, first, version)
        return first, version


submissions = st.builds(
    lambda stream, behind, drafts, audience, key, request: (
        stream, behind, drafts, audience, key, request,
    ),
    st.sampled_from(STREAMS),
    st.none() | st.sampled_from([0, 0, 0, 1, -1]),
    st.integers(1, 3),
    st.lists(st.sampled_from(ORGANISATIONS), min_size=1),
    st.integers(0, 40),
    st.sampled_from([b"r", b"r", b"q"]),
)  # fmt: skip


def machine(database: str) -> type[RuleBasedStateMachine]:
    """Make the machine for one database; each run works on streams of its own."""

    class LedgerMachine(RuleBasedStateMachine):
        runs = 0

        @initialize()
        def begin(self) -> None:
            LedgerMachine.runs += 1
            self.run = f"run{LedgerMachine.runs}"
            self.loop = asyncio.new_event_loop()
            self.ledgers = [Ledger(database), Ledger(database)]
            for ledger in self.ledgers:
                self.loop.run_until_complete(ledger.open())
            self.offset = self.loop.run_until_complete(self.ledgers[0].size())
            self.model = Model()

        def teardown(self) -> None:
            for ledger in self.ledgers:
                self.loop.run_until_complete(ledger.close())
            self.loop.close()

        def make(self, given) -> Submission:  # type: ignore[no-untyped-def]
            stream, behind, drafts, audience, key, request = given
            expected = None if behind is None else max(0, self.model.version(stream) - behind)
            at = datetime(2026, 1, 1, tzinfo=UTC)
            return Submission(
                f"{self.run}-{stream}", expected, [Draft(f"k{n}", {}, at) for n in range(drafts)],
                audience, Author("hospital"), f"{self.run}-{key}", request + bytes([drafts]),
            )  # fmt: skip

        def expect(self, s: Submission) -> tuple[int, int] | type[Refused]:
            stream = s.stream.removeprefix(f"{self.run}-")
            return self.model.append(
                Submission(
                    stream, s.expected_version, s.drafts, s.audience, s.author, s.key,
                    s.request_hash,
                )
            )  # fmt: skip

        async def outcomes(self, ledger: Ledger, batch: list[Submission]) -> list[object]:
            results = await asyncio.gather(
                *[ledger.append(s) for s in batch], return_exceptions=True
            )
            return [
                type(r) if isinstance(r, Refused) else (r.first_position - self.offset, r.version)
                for r in results
            ]

        @rule(given=st.lists(submissions, min_size=1, max_size=6), which=st.integers(0, 1))
        def append(self, given, which) -> None:  # type: ignore[no-untyped-def]
            batch = [self.make(g) for g in given]
            expected = [self.expect(s) for s in batch]
            found = self.loop.run_until_complete(self.outcomes(self.ledgers[which], batch))
            assert found == expected

        @rule()
        def lose_every_session(self) -> None:
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

        @rule(which=st.integers(0, 1))
        def restart(self, which: int) -> None:
            self.loop.run_until_complete(self.ledgers[which].close())
            self.ledgers[which] = Ledger(database)
            self.loop.run_until_complete(self.ledgers[which].open())

        @invariant()
        def the_same_as_the_model(self) -> None:
            if not hasattr(self, "model"):
                return
            read = self.loop.run_until_complete(self.ledgers[0].read(self.offset))
            assert [
                (e.stream.removeprefix(f"{self.run}-"), e.version, e.kind, e.audience) for e in read
            ] == self.model.events
            assert [e.position - self.offset for e in read] == list(range(1, len(read) + 1))

        @rule(who=st.sampled_from(ORGANISATIONS))
        def read_for(self, who: str) -> None:
            read = self.loop.run_until_complete(self.ledgers[1].read(self.offset, organisation=who))
            assert [e.position - self.offset for e in read] == [
                n for n, event in enumerate(self.model.events, 1) if who in event[3]
            ]

    return LedgerMachine


def test_the_ledger_behaves_like_a_list_and_a_dict(database):
    """Random batches, replays, lost sessions, restarts: always what the plain model says."""
    run_state_machine_as_test(
        machine(database),
        settings=settings(
            max_examples=8, phases=[Phase.generate], stateful_step_count=12, deadline=None
        ),
    )
