"""The one verifier: hash every entry again, up to the signed root, ask who signed, name what is
wrong. No database.

It reads a record's files (an archive, a mirror, a log's prefix), some bundles at a time, on all
cores, in memory that does not grow with the record:

    entries → leaf hashes → compared with the level-0 tile → its root → compared one level up → … →
    the checkpoint's root → checked against the log's key and the witnesses' cosignatures

and then once more for what the entries say: their form, their authors' signatures, people's own.

What is wrong is named as narrowly as the evidence allows: an entry whose bytes were changed by its
position; where entry and hash were changed together, the 256 positions of the tile; where
everything below was made anew, that the signed root is not theirs. What one copy alone cannot show
is a record that was rewritten whole and signed again: for that there are witnesses, mirrors, and
the checkpoint that the reader kept from last time (`known`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from stafett.ledger import attest, merkle, tiles
from stafett.ledger.archive import Archive, is_document_name
from stafett.ledger.attest import Attested, Inspect
from stafett.ledger.author import Key, Keys
from stafett.ledger.checkpoint import Checkpoint, open_checkpoint
from stafett.ledger.compare import check_bundle, tile_hashes
from stafett.ledger.cosignature import verifier
from stafett.ledger.finding import Finding
from stafett.ledger.merkle import BadProof, Frontier, subtree_root
from stafett.ledger.note import BadNote
from stafett.ledger.policy import BadPolicy, Policy, Verdict, parse_policy
from stafett.ledger.source import Missing, Source, Unreadable, read_tile
from stafett.ledger.tiles import HEIGHT, WIDTH, BadTile, Tile

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
MOST_WRONG = 10_000
MOST_EXTRA = 20


@dataclass(slots=True)
class Report:
    """What a record was found to be."""

    checkpoint: Checkpoint | None = None
    """None: there is none that the log signed, and nothing else was looked at."""
    trusted: bool = False
    """The log's key or the policy came from the reader, not from the record itself."""
    verdict: Verdict | None = None
    """Who cosigned, where there is a policy."""
    entries: int = 0
    documents: int = 0
    authors: Attested = field(default_factory=Attested)
    unvouched: list[Key] = field(default_factory=list)
    """Authors' keys that replaced a lost one: nobody but themselves speaks for them."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Entries in the tree."""
        return self.checkpoint.size if self.checkpoint else 0

    @property
    def hidden(self) -> int:
        """Entries that are there as hashes only."""
        return self.size - self.entries

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    source: Source,
    *,
    keys: Sequence[str] = (),
    policy: Policy | None = None,
    known: Checkpoint | None = None,
    held: Source | None = None,
    entries: bool = True,
    events: bool = True,
    inspect: Inspect | None = None,
    jobs: int = 1,
    progress: Progress = lambda done, size: None,
) -> Report:
    """Check the record of `source`; return what was found, good or bad.

    `keys` (the log's vkeys) and `policy` are the reader's own. An archive without them is held to
    its own, which shows only that it fits itself. `known` is a checkpoint seen earlier: the record
    must continue it; `held` is what was kept of it, by which the first changed entry is named. With
    `entries` false only hash tiles are read, with `events` false the entries' content is not looked
    at. `inspect` looks at people's own signatures. `jobs` is the number of processes; `progress`
    hears (entries done, size). Raises BadArchive.
    """
    report = Report(trusted=bool(keys) or policy is not None)
    keys, policy = _trust(source, keys, policy, report)
    if not _open(source, keys, policy, report) or report.checkpoint is None:
        return report
    of_keys = _check_tree(source, report, entries, jobs, progress)
    if of_keys is None:
        return report
    if known is not None:
        report.findings += _continues(source, known, report.checkpoint, held)
    if entries and events:
        _check_events(source, report, of_keys, inspect, jobs, progress)
    if isinstance(source, Archive):
        _check_archive(source, report)
    return report


# -- the signed head -----------------------------------------------------------------------------


def _trust(
    source: Source, keys: Sequence[str], policy: Policy | None, report: Report
) -> tuple[Sequence[str], Policy | None]:
    """Return the keys and the policy to hold the record to: an archive's own, if none is given."""
    if not isinstance(source, Archive):
        return keys, policy
    own = source.part("log.vkey").decode(errors="replace").strip()
    if policy is None and source.has("policy"):
        try:
            policy = parse_policy(source.part("policy"))
        except BadPolicy as error:
            report.findings.append(Finding("policy", None, f"the archive's own policy: {error}"))
    return keys or (() if policy else (own,)), policy


def _open(source: Source, keys: Sequence[str], policy: Policy | None, report: Report) -> bool:
    """Open the checkpoint; say whether the log signed it."""
    try:
        raw = source.read("checkpoint")
        if keys:
            report.checkpoint = open_checkpoint(raw, [verifier(key) for key in keys]).checkpoint
        if policy is not None:
            report.verdict = policy.judge(raw)
            report.checkpoint = report.verdict.checkpoint
    except (Missing, Unreadable) as error:
        what = "there is no checkpoint" if isinstance(error, Missing) else str(error)
        report.findings.append(Finding("checkpoint", None, what))
        return False
    except BadNote as error:
        report.checkpoint = None
        report.findings.append(Finding("checkpoint", None, f"the checkpoint: {error}"))
        return False
    verdict = report.verdict
    if verdict is not None and not verdict.quorum:
        have = ", ".join(verdict.cosigned) or "nobody"
        lack = ", ".join(verdict.missing) or "nobody else is listed"
        what = f"too few cosignatures: {have} cosigned; missing: {lack}"
        report.findings.append(Finding("quorum", None, what))
    return True


def _continues(
    source: Source, known: Checkpoint, head: Checkpoint, held: Source | None
) -> list[Finding]:
    """Check that the record at `head` continues the checkpoint that the reader kept."""
    if known.origin != head.origin:
        return [Finding("origin", None, f"this is the log {head.origin!r}, not {known.origin!r}")]
    if head.size < known.size:
        what = f"the log was rolled back from {known.size} to {head.size} entries"
        return [Finding("rollback", head.size, what)]
    try:
        at = tiles.hash_reader(head.size, lambda tile: read_tile(source, tile))
        proof = merkle.consistency_proof(known.size, head.size, at)
        merkle.verify_consistency(known.size, head.size, known.root, head.root, proof)
    except (BadProof, Missing, Unreadable, BadTile) as error:
        entry = None if held is None else _first_changed(source, head.size, held, known.size)
        if entry is not None:
            return [Finding("fork", entry, "the entry was changed after it was kept")]
        what = f"the record does not continue the checkpoint known at size {known.size}: {error}"
        return [Finding("fork", None, what)]
    return []


def _first_changed(source: Source, size: int, held: Source, kept: int) -> int | None:
    """Return the first entry whose hash is not the one that was kept; None where all are."""
    for index in range((kept + tiles.WIDTH - 1) // tiles.WIDTH):
        try:
            mine, theirs = (
                tiles.decode_hashes(read_tile(where, tile), tile.width)
                for where, of in ((held, kept), (source, size))
                for tile in (tiles.Tile(0, index, tiles.width_at(0, index, of)),)
            )
        except (Missing, Unreadable, BadTile):
            continue
        for place, (a, b) in enumerate(zip(mine, theirs, strict=False)):
            if a != b:
                return index * tiles.WIDTH + place
    return None


# -- the tree ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Part:
    """What a run of bundles came to."""

    count: int = 0
    here: int = 0
    roots: list[bytes] = field(default_factory=list)  # of the full tiles
    tail: list[bytes] = field(default_factory=list)  # leaf hashes of a partial last tile
    of_keys: list[tuple[int, bytes]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def _check_tree(
    source: Source, report: Report, entries: bool, jobs: int, progress: Progress
) -> list[tuple[int, bytes]] | None:
    """Compare entries and tiles up to the signed root; return the entries of `record/keys`.

    None: so much is wrong that nothing more is looked at. A checkpoint may name any size.
    """
    head = report.checkpoint
    assert head is not None
    frontier, upper = Frontier(), _Upper(source, head.size)
    of_keys: list[tuple[int, bytes]] = []
    tasks = ((source, bundles, head.size, entries) for bundles in _runs(source, head.size))
    done = 0
    for part in _spread(_tree_part, tasks, jobs):
        report.findings += part.findings
        report.entries += part.here
        of_keys += part.of_keys
        for root in part.roots:
            report.findings += upper.check(1, frontier.size // WIDTH, root)
            frontier = frontier.append_subtree(HEIGHT, root)
        frontier = frontier.append(part.tail)
        done += part.count
        progress(done, head.size)
        if len(report.findings) > MOST_WRONG:
            what = f"so much is wrong that nothing after position {done:,} was looked at"
            report.findings.append(Finding("stopped", None, what))
            return None
    report.findings += upper.check_rest()
    if frontier.root != head.root:
        what = f"the {head.size} entries do not hash to the root that was signed"
        report.findings.append(Finding("root", None, what))
    return of_keys


def _tree_part(task: tuple[Source, range, int, bool]) -> _Part:
    source, bundles, size, entries = task
    part = _Part()
    for index in bundles:
        hashes, findings, leaves = check_bundle(source, index, size, entries)
        part.findings += findings
        part.count += len(hashes)
        part.here += len(leaves.hashes) - leaves.hashes.count(None)
        if leaves.hashes and (not leaves.raw or attest.OF_KEYS in leaves.raw):
            found = source.entries(index, len(hashes))
            part.of_keys += [(at, entry) for at, entry in found if attest.OF_KEYS in entry]
        if len(hashes) == WIDTH:
            part.roots.append(subtree_root(hashes))
        else:
            part.tail = hashes
    return part


class _Upper:
    """Compares tiles with their hashes one level up, reading each upper tile once."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._size = size
        self._place = Tile(1, 0, 1)
        self._hashes: list[bytes] | None = None

    def check(self, level: int, position: int, root: bytes) -> list[Finding]:
        """Compare `root`, the root of tile `position` of the level below, with its hash above."""
        findings: list[Finding] = []
        index, place = divmod(position, WIDTH)
        tile = Tile(level, index, tiles.width_at(level, index, self._size))
        if self._hashes is None or tile != self._place:
            self._place = tile
            self._hashes = tile_hashes(self._source, tile, findings) or []
        if self._hashes and self._hashes[place] != root:
            below = Tile(level - 1, position)
            first, count = position * WIDTH**level, WIDTH**level
            what = (
                f"{below.path} (positions {first + 1} to {first + count}) does not have the hash "
                f"that {tile.path} holds: entries and their hashes were changed together, or the "
                "upper hash was"
            )
            findings.append(Finding("rewritten", first, what))
        return findings

    def check_rest(self) -> list[Finding]:
        """Compare the full tiles from level 1 up with the hashes above them."""
        findings: list[Finding] = []
        for below in tiles.tiles_of(self._size):
            if below.level and below.full:
                hashes = tile_hashes(self._source, below, [])  # said when it was read before
                if hashes is not None:
                    findings += self.check(below.level + 1, below.index, subtree_root(hashes))
        return findings


# -- what the entries say ------------------------------------------------------------------------


def _check_events(
    source: Source,
    report: Report,
    of_keys: Iterable[tuple[int, bytes]],
    inspect: Inspect | None,
    jobs: int,
    progress: Progress,
) -> None:
    """Look at every entry's form and signatures; of one that is wrong already say nothing more."""
    keys, findings = attest.keys_of(of_keys)
    report.unvouched = list(keys.unvouched)
    total, acts, done, last = report.authors, [], 0, ""
    tasks = ((source, run, report.size, keys, inspect) for run in _runs(source, report.size))
    for part in _spread(_events_part, tasks, jobs):
        for name in ("signed", "by_passkey", "unsigned", "personal", "by_key", "early"):
            setattr(total, name, getattr(total, name) + getattr(part, name))
        if part.early:
            total.early_at = total.early_at[0] or part.early_at[0], part.early_at[1]
        acts.append(part.acts)
        findings += part.findings
        if part.recorded[0] and part.recorded[0] < last:
            what = f"an entry after position {done} says that it was recorded before that one"
            findings.append(Finding("time", None, what))
        last = part.recorded[1] or last
        done = min(report.size, done + source.together * WIDTH)
        progress(done, report.size)
    every = range(tiles.bundle_count(report.size))
    findings += attest.repeated(source, every, report.size, acts)
    wrong = {finding.entry for finding in report.findings} - {None}
    report.findings += [finding for finding in findings if finding.entry not in wrong]


def _events_part(task: tuple[Source, range, int, Keys, Inspect | None]) -> Attested:
    return attest.attest(*task)


# -- the rest of an archive ----------------------------------------------------------------------


def _check_archive(source: Archive, report: Report) -> None:
    about = source.about
    if about.size != report.size:
        what = f"about.json says {about.size} entries, the signed checkpoint {report.size}"
        report.findings.append(Finding("about", None, what))
    if about.entries != report.entries:
        what = f"{report.entries} entries are here, {about.entries} were exported"
        report.findings.append(Finding("about", None, what))
    strangers = list(source.strangers(report.size))
    report.findings += [Finding("extra", None, what) for what in strangers[:MOST_EXTRA]]
    if len(strangers) > MOST_EXTRA:
        what = f"and {len(strangers) - MOST_EXTRA:,} files more that belong to no such tree"
        report.findings.append(Finding("extra", None, what))
    for name in source.documents():
        report.documents += 1
        wrong = ""
        try:
            if not is_document_name(name):
                wrong = "the name is no SHA-256"
            elif source.digest(f"documents/{name}") != name:
                wrong = "the document was changed"
        except (Missing, Unreadable) as error:
            wrong = str(error)
        if wrong:
            report.findings.append(Finding("document", None, f"documents/{name}: {wrong}"))
    if about.documents is not None and about.documents != report.documents:
        what = f"{report.documents} documents are here, {about.documents} were exported"
        report.findings.append(Finding("about", None, what))


# -- on all cores --------------------------------------------------------------------------------


def _runs(source: Source, size: int) -> Iterator[range]:
    bundles = tiles.bundle_count(size)
    for first in range(0, bundles, source.together):
        yield range(first, min(first + source.together, bundles))


def _spread(work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int) -> Iterator[Result]:
    """Yield the results of `work` in order, from `jobs` processes, only a few tasks ahead."""
    if jobs <= 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        running: list[Any] = []
        for task in tasks:
            running.append(pool.submit(work, task))
            if len(running) > 2 * jobs:
                yield running.pop(0).result()
        for future in running:
            yield future.result()
