"""The public registry: its entries are events of the record, this is their read model.

A stream a thing (`registry/trial/NCT04184050`), an event a version of it, each with who, when and
why. What is public stays readable in every version; nothing is changed in place. One instance per
process: it reads its room's events at start, and what is new whenever it is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import rfc8785

from stafett.ledger import Author, Draft, Event, Ledger, NotAcknowledged, StaleVersion, Submission
from stafett.registry.adoption import Assessment, Uptake, may_follow, named
from stafett.registry.requirement import RequirementList
from stafett.registry.rows import Found, RowProblem
from stafett.registry.search import Index
from stafett.registry.site import SiteEntry
from stafett.registry.trial import Trial
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.documents import Documents
from stafett.service.refusal import No, Reason, unknown

ROOM = "registry"
PUBLIC = "public"
Kind = Literal["trial", "assessment", "uptake", "site", "requirements"]
TYPES: dict[str, type[msgspec.Struct]] = {
    "trial": Trial,
    "assessment": Assessment,
    "uptake": Uptake,
    "site": SiteEntry,
    "requirements": RequirementList,
}
EXACT = frozenset({"uptake"})  # kinds whose entries hold counts that are not published exactly
AT_ONCE = 256  # submissions under way in an import


class Version(msgspec.Struct, frozen=True):
    """One version of one entry: what it said, who entered it, when and why."""

    kind: str
    id: str
    version: int
    position: int
    recorded_at: datetime
    organisation: str
    reason: str
    value: Any


class Imported(msgspec.Struct, frozen=True):
    """What an import came to (with `dry_run`: would come to)."""

    layout: str
    read: int
    new: int
    changed: int
    same: int
    problems: tuple[RowProblem, ...]
    written: bool


class Registry:
    """Entries of the public registry."""

    def __init__(self, ledger: Ledger, documents: Documents) -> None:
        self._ledger, self._documents = ledger, documents
        self._named: set[str] = set()  # documents that some version of an entry names
        self._entries: dict[str, dict[str, list[Version]]] = {kind: {} for kind in TYPES}
        self._lock = asyncio.Lock()
        self._index: tuple[int, Index] | None = None
        self.position = 0  # of the last entry read
        self._seen = -1  # size of the ledger when last looked at

    # -- reading -------------------------------------------------------------------------------

    async def refresh(self) -> int:
        """Take in what the record has gained; return the position of the newest entry."""
        size = self._ledger.known_size()
        if size != self._seen:
            async with self._lock:
                for event in await self._ledger.of_room(ROOM, self.position):
                    self._take(event)
                self._seen = size
        return self.position

    def _take(self, event: Event) -> None:
        _, kind, id_ = event.stream.split("/", 2)
        self.position = event.position
        if kind not in TYPES:
            return
        value = msgspec.convert(event.body["value"], TYPES[kind])
        if isinstance(value, Assessment):
            self._named |= named(value)
        self._entries[kind].setdefault(id_, []).append(
            Version(
                kind,
                id_,
                event.version,
                event.position,
                event.recorded_at,
                event.author.organisation,
                event.body.get("reason", ""),
                value,
            )
        )

    def all(self, kind: Kind) -> list[Any]:
        """Return the present version of every entry of a kind."""
        return [versions[-1].value for versions in self._entries[kind].values()]

    def history(self, kind: Kind, id: str) -> list[Version]:
        """Return every version of an entry, the newest last. Raises No if there is none."""
        if id not in self._entries[kind]:
            raise unknown(kind, id)
        return list(self._entries[kind][id])

    def versions(self, person: Person | None, kind: Kind, id: str) -> list[Version]:
        """Return the same to whoever may read it. Raises No.

        Uptake is public as `registry.uptake` hides it; its exact counts are the registrars'.
        """
        if kind in EXACT and not (person and policy.allows("keep-registry", person)):
            what = "exact counts of patients are read by registrars; what is public is in the list"
            raise No("wrong-role", "This is not public", Reason("kind", what))
        return self.history(kind, id)

    def recent(self, kinds: Sequence[Kind], most: int = 100) -> list[Version]:
        """Return the newest versions of these kinds, the newest first."""
        every = (v for kind in kinds for vs in self._entries[kind].values() for v in vs)
        return sorted(every, key=lambda v: v.position, reverse=True)[:most]

    def index(self) -> Index:
        """Return the searchable list of trials, made again only when an entry has changed."""
        if self._index is None or self._index[0] != self.position:
            self._index = (self.position, Index(self.all("trial")))
        return self._index[1]

    async def document(self, sha256: str) -> tuple[str, bytes]:
        """Return media type and bytes of a document that an entry names, in whatever version.

        Raises No if none does; ValueError if the bytes are no longer those that were named.
        """
        await self.refresh()
        found = await self._documents.of(sha256) if sha256 in self._named else None
        if found is None:
            raise unknown("document", sha256)
        return found

    # -- writing -------------------------------------------------------------------------------

    async def put(
        self, person: Person, kind: Kind, value: Any, reason: str, *, after: int | None = None
    ) -> Version:
        """Record an entry or its next version. Raises No; nothing has changed then.

        `after` is the version that the person has seen: another one in between is refused.
        """
        self._may(person, kind, value)
        return await self.put_signed(person, kind, value, reason, after=after)

    async def put_signed(
        self, person: Person, kind: Kind, value: Any, reason: str, *, after: int | None = None
    ) -> Version:
        """Record what another use case has settled may be entered. Raises No as `put`."""
        await self.refresh()
        old = self._entries[kind].get(value.id, [])
        if after is not None and after != len(old):
            raise _overtaken(value.id)
        if old and old[-1].value == value:
            return old[-1]
        if not reason.strip():
            what = "every change of the registry says why"
            raise No("bad-value", "A reason is missing", Reason("reason", what, "give one"))
        if kind == "assessment" and old:
            why = may_follow(old[-1].value, value)
            if why is not None:
                raise No("bad-value", "This may not follow", Reason("stage", why))
        if isinstance(value, Assessment):
            await self._kept(person, named(value) - self._named)
        try:
            await self._write(person, kind, value, reason.strip(), len(old))
        except StaleVersion:
            raise _overtaken(value.id) from None
        except NotAcknowledged as error:
            what = "send it again: it counts once"
            raise No("not-acknowledged", "Not recorded", Reason("key", str(error), what)) from None
        await self._refresh_now()
        return self._entries[kind][value.id][-1]

    async def _kept(self, person: Person, documents: Iterable[str]) -> None:
        """Check that documents are kept here and the person's own to publish. Raises No.

        A paper of a journey may name a patient, and what is published stays: it is refused, whoever
        attached it.
        """
        for sha256 in documents:
            if await self._documents.get(sha256, person.organisation) is None:
                raise unknown("document", sha256)
            if await self._documents.attached(sha256):
                what = f"{sha256[:8]}… is attached to a journey: such papers are never published"
                raise No("bad-value", "This may not be published", Reason("documents", what))

    async def take_in(
        self, person: Person, found: Found, *, reason: str, partial: bool, dry_run: bool = False
    ) -> Imported:
        """Record the trials of an import: the whole file, or (`partial`) all but its broken rows.

        Without `partial` a single broken row stops all of it before anything is written. An import
        that was cut off is finished by sending the same file again: what stands already is skipped.
        """
        for trial in found.trials[:1]:
            self._may(person, "trial", trial)
        await self.refresh()
        known = self._entries["trial"]
        fresh = [t for t in found.trials if t.id not in known]
        changed = [t for t in found.trials if t.id in known and known[t.id][-1].value != t]
        same = len(found.trials) - len(fresh) - len(changed)
        writes = not dry_run and (partial or not found.problems)
        if writes:
            await self._each(person, (*fresh, *changed), reason or f"import: {found.layout}")
        return Imported(
            found.layout,
            len(found.trials) + len(found.problems),
            len(fresh),
            len(changed),
            same,
            found.problems,
            writes,
        )

    async def _each(self, person: Person, trials: Iterable[Trial], reason: str) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(trial: Trial) -> None:
            async with gate:
                version = len(self._entries["trial"].get(trial.id, []))
                await self._write(person, "trial", trial, reason, version)

        try:
            async with asyncio.TaskGroup() as group:
                for trial in trials:
                    group.create_task(one(trial))
        except* StaleVersion:
            what = "the list changed while the import ran"
            raise No("busy", "Not all was recorded", Reason("file", what, "import again")) from None
        except* NotAcknowledged as errors:
            what = str(errors.exceptions[0])
            raise No("busy", "Not all was recorded", Reason("file", what, "import again")) from None
        await self._refresh_now()

    async def _write(
        self, person: Person, kind: Kind, value: Any, reason: str, version: int
    ) -> None:
        plain = msgspec.to_builtins(value)
        stream = f"{ROOM}/{kind}/{value.id}"
        said = {"value": plain, "reason": reason, "stream": stream, "after": version}
        digest = hashlib.sha256(rfc8785.dumps({**said, "by": person.id})).digest()
        await self._ledger.append(
            Submission(
                stream=stream,
                expected_version=version,
                drafts=[Draft("RegistryEntry", said, datetime.now(UTC))],
                audience=sorted({person.organisation} | (set() if kind in EXACT else {PUBLIC})),
                author=Author(person.organisation, person.id),
                key=f"registry.{digest.hex()}",
                request_hash=digest,
            )
        )

    async def _refresh_now(self) -> None:
        self._seen = -1
        await self.refresh()

    def _may(self, person: Person, kind: Kind, value: Any) -> None:
        if policy.allows("keep-registry", person):
            return
        own = kind in ("site", "requirements") and value.organisation == person.organisation
        if own and policy.allows("administer", person):
            return
        what = "it takes the duty registrar; an administrator keeps the own sites"
        raise No("wrong-role", "You do not keep this", Reason("person", what))


def _overtaken(id_: str) -> No:
    what = f"{id_} was changed by somebody else in between"
    return No("busy", "Look again first", Reason("after", what, "read it again and repeat"))
