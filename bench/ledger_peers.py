"""The peers of bench_ledger.py, run by a Python that has them; prints lines of figures.

    python -m venv peers && peers/bin/pip install "eventsourcing[postgres]" psycopg-binary pymerkle
    python bench/bench_ledger.py --peers peers/bin/python

pymerkle is GPL and eventsourcing is no dependency either: both live in an environment of their own.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

STATE = b"x" * 420


def eventsourcing(host: str, database: str, user: str, seconds: float) -> None:
    """Insert events of the same size on the same server: one at a time, and a hundred at a time.

    Its recorder takes a table lock for each insert, so its threads wait for one another. (With a
    thousand at a time it hangs: it sends them all in one pipeline before it reads an answer.)
    """
    from eventsourcing.persistence import StoredEvent
    from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

    store = PostgresDatastore(
        dbname=database, host=host, port="5432", user=user, password="", pool_size=16,
        max_overflow=16,
    )  # fmt: skip
    recorder = PostgresApplicationRecorder(store, events_table_name="stored_events")
    recorder.create_table()

    def insert(count: int) -> None:
        stream = uuid4()
        recorder.insert_events([StoredEvent(stream, n, "noted", STATE) for n in range(count)])

    for threads, count in ((1, 1), (16, 1), (1, 100)):
        end = time.perf_counter() + seconds

        def work(_: int, end: float = end, count: int = count) -> int:
            done = 0
            while time.perf_counter() < end:
                insert(count)
                done += count
            return done

        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            done = sum(pool.map(work, range(threads)))
        rate = done / (time.perf_counter() - began)
        print(f"  eventsourcing  {threads:3} threads, {count:4} events at a time {rate:10,.0f} /s")
    store.close()


def pymerkle(count: int) -> None:
    """Append leaves to a tree in memory, and prove that they are in it."""
    from pymerkle import InmemoryTree

    tree = InmemoryTree(algorithm="sha256")
    began = time.process_time()
    for number in range(count):
        tree.append_entry(b"%d" % number)
    appended = count / (time.process_time() - began)
    began = time.process_time()
    proofs = 200
    for number in range(proofs):
        tree.prove_inclusion(number * (count // proofs) + 1, count)
    proved = proofs / (time.process_time() - began)
    print(f"  pymerkle       {appended:,.0f} leaves/s, {proved:,.0f} inclusion proofs/s")


if __name__ == "__main__":
    if sys.argv[1] == "eventsourcing":
        eventsourcing(sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5]))
    else:
        pymerkle(int(sys.argv[2]))
