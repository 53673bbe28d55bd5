"""The record's tree: auditing N leaves beside the raw SHA-256 rate, proofs and signatures.

    python bench/bench_tlog.py [--leaves 1000000] [--bytes 250] [--folder DIR]

A record of N entries is written to a folder as tlog-tiles. The audit reads it all, hashes each
entry and each node, and checks them against the tiles and the signed root, on all cores. The limit
beside it: the same number of SHA-256 computations over inputs of the same lengths that lie in
memory, in a bare loop on as many processes: no reading, no splitting, no comparing. Memory is the
largest resident set of the audit at N/10 and at N, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

from stafett.ledger import checkpoint, merkle, note, tiles
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.cosignature import CosignatureVerifier, Ed25519Cosigner, MldsaCosigner
from stafett.ledger.policy import parse_policy
from stafett.ledger.source import Folder
from stafett.ledger.verify import verify
from stafett.ledger.witness import Request, State, add_checkpoint

SEED = 20261123
LOG = note.NoteSigner("bench.example/log", b"\x01" * 32)
WITNESS = Ed25519Cosigner("w.example", b"\x02" * 32)
POLICY = parse_policy(f"log {LOG.vkey}\nwitness W {WITNESS.vkey}\nquorum W\n")


def entry(number: int, length: int) -> bytes:
    """Make one entry: its number, and filling that does not repeat."""
    seed = sha256(b"%d" % number).hexdigest().encode()
    return (seed * (length // 64 + 1))[:length]


def write_record(folder: Path, count: int, length: int) -> Checkpoint:
    """Write entries, tiles and a cosigned checkpoint; memory holds one row of tiles a level."""

    def put(path: str, data: bytes) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    rows: list[list[bytes]] = [[]]
    written = [0]

    def push(level: int, digest: bytes) -> None:
        if level == len(rows):
            rows.append([])
            written.append(0)
        rows[level].append(digest)
        if len(rows[level]) == tiles.WIDTH:
            put(tiles.Tile(level, written[level]).path, tiles.encode_hashes(rows[level]))
            root = merkle.subtree_root(rows[level])
            rows[level] = []
            written[level] += 1
            push(level + 1, root)

    frontier = merkle.Frontier()
    for bundle in tiles.bundles_of(count):
        first = bundle.index * tiles.WIDTH
        entries = [entry(first + i, length) for i in range(bundle.width)]
        put(bundle.path, tiles.encode_bundle(entries))
        hashes = [merkle.leaf_hash(e) for e in entries]
        frontier = frontier.append(hashes)
        for digest in hashes:
            push(0, digest)
    for level, row in enumerate(rows):
        if row:
            put(tiles.Tile(level, written[level], len(row)).path, tiles.encode_hashes(row))
    head = Checkpoint(LOG.name, count, frontier.root)
    signed = checkpoint.sign(head, LOG).with_signatures([WITNESS.cosign(head, 1)])
    put("checkpoint", signed.text.encode())
    return head


def raw_hashes(task: tuple[int, int]) -> float:
    """Return CPU seconds of `count` leaf and `count` node hashes over inputs in memory."""
    count, length = task
    leaves = [os.urandom(length + 1) for _ in range(256)]
    nodes = [os.urandom(65) for _ in range(256)]
    begun = time.process_time()
    for _ in range(count // 256):
        for data in leaves:
            sha256(data).digest()
        for data in nodes:
            sha256(data).digest()
    return time.process_time() - begun


def raw_rate(count: int, length: int, jobs: int) -> tuple[float, float]:
    """Return leaves (a leaf and a node hash each) a second, and a CPU second, on `jobs`."""
    share = count // jobs // 256 * 256
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(raw_hashes, [(256, length)] * jobs))
        begun = time.perf_counter()
        spent = sum(pool.map(raw_hashes, [(share, length)] * jobs))
        return share * jobs / (time.perf_counter() - begun), share * jobs / spent


def audit_child(folder: str, jobs: int) -> None:
    """Audit `folder`; print seconds and the largest resident sets (KiB), own and a worker's."""
    begun, busy = time.perf_counter(), time.process_time()
    report = verify(Folder(Path(folder)), policy=POLICY, events=False, jobs=jobs)
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = busy + children.ru_utime + children.ru_stime
    assert report.sound, report.findings
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"size": report.size, "seconds": seconds, "cpu": cpu}
    print(json.dumps(found | {"own": own, "worker": children.ru_maxrss}))


def audit_apart(folder: Path, jobs: int) -> dict[str, float]:
    """Run `audit_child` in a process of its own."""
    command = [sys.executable, __file__, "--child", str(folder), "--jobs", str(jobs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def rate(work: Callable[[int], object], seconds: float = 1.5) -> float:
    """Return calls of `work` a second."""
    count, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        for _ in range(20):
            work(count)
            count += 1
    return count / spent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=250)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        audit_child(options.child, options.jobs)
        return
    count, length, jobs = options.leaves, options.bytes, options.jobs
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        small, large = Path(name) / "small", Path(name) / "large"
        begun = time.perf_counter()
        write_record(small, count // 10, length)
        head = write_record(large, count, length)
        print(f"wrote {count:,} entries of {length} bytes in {time.perf_counter() - begun:.0f} s\n")

        print(f"audit on {jobs} processes (best of three of each, by turns)")
        raw, audits = [], []
        for _ in range(3):
            raw.append(raw_rate(count, length, jobs))
            found = audit_apart(large, jobs)
            audits.append((count / found["seconds"], count / found["cpu"]))
        for place, unit in ((0, "leaves/s"), (1, "leaves per CPU second")):
            limit, speed = max(r[place] for r in raw), max(a[place] for a in audits)
            print(f"  raw SHA-256      {limit:>12,.0f} {unit} (a leaf and a node hash each)")
            print(f"  audit            {speed:>12,.0f} {unit}   ratio {speed / limit:.2f}")
        for folder in (small, large):
            found = audit_apart(folder, jobs)
            print(
                f"  memory at {found['size']:>12,.0f} leaves: {found['own'] / 1024:.0f} MiB, "
                f"a worker {found['worker'] / 1024:.0f} MiB"
            )

        source = Folder(large)
        dice = random.Random(SEED)
        at = tiles.hash_reader(count, lambda tile: source.read(tile.path), cache=4096)
        indices = [dice.randrange(count) for _ in range(20_000)]
        proofs = {i: merkle.inclusion_proof(i, count, at) for i in indices[:200]}
        few = list(proofs)
        leaf = {i: merkle.leaf_hash(entry(i, length)) for i in few}
        print("\none process, a second")
        print(f"  inclusion proofs made from tiles     {_proofs(indices, count, at):>9,.0f}")
        check = rate(
            lambda n: merkle.verify_inclusion(
                few[n % 200], count, leaf[few[n % 200]], proofs[few[n % 200]], head.root
            )
        )
        print(f"  inclusion proofs verified            {check:>9,.0f}")
        print(f"  consistency proofs made and verified {_consistency(indices, head, at):>9,.0f}")
        hashes = [os.urandom(32) for _ in range(256)]
        grow = rate(lambda n: merkle.Frontier().append(hashes)) * 256
        bare = rate(lambda n: [sha256(b"\x01" + h + h).digest() for h in hashes]) * 256
        print(
            f"  leaves appended to the frontier      {grow:>9,.0f}   "
            f"ratio {grow / bare:.2f} of one bare hash a leaf"
        )
        _signatures(head, at)


def _proofs(indices: list[int], count: int, at: merkle.HashAt) -> float:
    return rate(lambda n: merkle.inclusion_proof(indices[n % len(indices)], count, at))


def _consistency(indices: list[int], head: Checkpoint, at: merkle.HashAt) -> float:
    olds = [max(1, i) for i in indices[:200]]
    roots = {old: merkle.root_at(old, at) for old in olds}

    def work(number: int) -> None:
        old = olds[number % 200]
        proof = merkle.consistency_proof(old, head.size, at)
        merkle.verify_consistency(old, head.size, roots[old], head.root, proof)

    return rate(work)


def _signatures(head: Checkpoint, at: merkle.HashAt) -> None:
    signed = checkpoint.sign(head, LOG).with_signatures([WITNESS.cosign(head, 1)]).text
    bare = note.Ed25519Verifier(LOG.vkey)
    value = LOG.sign(head.text).value
    single = rate(lambda n: bare.verify(head.text, value))
    judged = rate(lambda n: POLICY.judge(signed))
    print(f"  bare Ed25519 verifications           {single:>9,.0f}")
    print(
        f"  checkpoints judged (2 signatures)    {judged:>9,.0f}   ratio {2 * judged / single:.2f}"
    )
    quantum = MldsaCosigner("q.example", b"\x03" * 32)
    verifier, sealed = CosignatureVerifier(quantum.vkey), quantum.cosign(head, 1).value
    print(
        f"  ML-DSA-44 cosignatures made          {rate(lambda n: quantum.cosign(head, n)):>9,.0f}"
    )
    checked = rate(lambda n: verifier.verify(head.text, sealed))
    print(f"  ML-DSA-44 cosignatures verified      {checked:>9,.0f}")
    logs = {LOG.name: [note.note_verifier(LOG.vkey)]}
    old = head.size // 2
    first = Checkpoint(LOG.name, old, merkle.root_at(old, at))
    begun = add_checkpoint(
        State(), Request(0, (), checkpoint.sign(first, LOG).text).text,
        logs=logs, cosigners=[WITNESS], now=lambda: 1,
    ).state  # fmt: skip
    proof = merkle.consistency_proof(old, head.size, at)
    body = Request(old, tuple(proof), checkpoint.sign(head, LOG).text).text
    rounds = rate(
        lambda n: add_checkpoint(begun, body, logs=logs, cosigners=[WITNESS], now=lambda: 1)
    )
    print(f"  witness answers (without the disk)   {rounds:>9,.0f}")


if __name__ == "__main__":
    main()
