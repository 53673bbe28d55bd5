"""Onboarding of a site by two organisations: kept in the record, readable by those two."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import rfc8785

from stafett.ledger import Author, Draft, Ledger, NotAcknowledged, StaleVersion, Submission
from stafett.protocol.fit import plain
from stafett.registry import readiness as rules
from stafett.registry.dryrun import Leg
from stafett.registry.readiness import Event, Onboarding
from stafett.registry.requirement import RequirementList
from stafett.registry.site import Qualification, SiteEntry
from stafett.registry.trained import Trained
from stafett.service.accounts import Accounts, Person
from stafett.service.documents import Documents
from stafett.service.dry_runs import DryRuns
from stafett.service.passkeys import Passkeys, Site
from stafett.service.ready_signature import Sealed, sealed, to_sign
from stafett.service.refusal import No, Reason, unknown
from stafett.service.registry import Registry
from stafett.service.request import Signed
from stafett.service.signer import CLOCKS, SIGNED_WITHIN, by_passkey
from stafett.service.signing import ToSign
from stafett.service.site_training import SiteTraining

log = logging.getLogger(__name__)
ROOM = "onboarding"
TRIES = 4
FOREVER = "9999-12-31"
Found = tuple[tuple[Leg, ...] | None, Trained | None]  # what this record says: dry run, training


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One act at an onboarding. `password` signs, or `passkey` answers what `.../signing` gave."""

    act: Literal["show", "accept", "refuse", "sign", "withdraw"]
    topic: str = ""
    text: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    sha256: rules.Sha | None = None
    password: str | None = None
    passkey: Signed | None = None


class Shown(msgspec.Struct, frozen=True):
    """An onboarding as its two sides see it.

    `run` is the dry run as it stands now, by topic, for the site alone; the asker sees what is
    shown. `trained` is the current competence of the site's people, in counts, for both.
    """

    id: str
    site: str
    site_organisation: str
    asker: str
    protocol: str
    version: str
    opened: datetime
    ready: bool
    ready_at: datetime | None
    days: float | None
    signed: dict[str, datetime]
    signatures: dict[str, Sealed]
    items: dict[str, rules.Item]
    run: dict[str, tuple[Leg, ...]] = {}
    withdrawn: rules.Withdrawn | None = None
    trained: dict[str, Trained] = {}


class Onboardings:
    """Every onboarding of this record. One instance per process."""

    def __init__(
        self,
        ledger: Ledger,
        registry: Registry,
        accounts: Accounts,
        documents: Documents,
        passkeys: Passkeys,
        dry_runs: DryRuns,
        training: SiteTraining,
    ) -> None:
        self._ledger, self._registry, self._accounts = ledger, registry, accounts
        self._documents, self._passkeys = documents, passkeys
        self._dry_runs, self._training = dry_runs, training
        self._events: dict[str, list[Event]] = {}
        self._parties: dict[str, tuple[str, str]] = {}
        self._sealed: dict[str, dict[str, Sealed]] = {}
        self._signed: dict[str, tuple[int, Author]] = {}  # where the last signature is, and whose
        self._position, self._seen = 0, -1
        self._listed = (-1, -1)  # how far both records had come when all was listed
        self._lock = asyncio.Lock()

    async def refresh(self) -> None:
        """Take in what the record has gained."""
        size = self._ledger.known_size()
        if size == self._seen:
            return
        async with self._lock:
            for event in await self._ledger.of_room(ROOM, self._position):
                self._position = event.position
                name = event.stream.partition("/")[2]
                self._parties.setdefault(name, (event.body["site"], event.body["asker"]))
                known = self._events.setdefault(name, [])
                made = rules.from_json(event.body["event"])
                if isinstance(made, rules.Opened):
                    self._sealed.pop(name, None)  # opened anew: nobody has signed this one
                if isinstance(made, rules.Signed):
                    self._signed[name] = (event.position, event.author)
                    by = (made.by, event.author.organisation)
                    due = to_sign(name, rules.replay(known), len(known), by, made.side, made.at)
                    if (one := sealed(event.body, due)) is not None:
                        self._sealed.setdefault(name, {})[made.side] = one
                known.append(made)
            self._seen = size

    async def of(self, person: Person) -> list[Shown]:
        """Return the onboardings that the person's organisation takes part in."""
        await self.refresh()
        own = person.organisation
        return [self._shown(n) for n, parties in self._parties.items() if own in parties]

    async def see(self, person: Person, name: str) -> Shown:
        """Return one onboarding. Raises No if there is none for this organisation."""
        await self.refresh()
        if person.organisation not in self._parties.get(name, ()):
            raise unknown("onboarding", name)
        shown = self._shown(name)
        trained = {topic: await self._trained(name, topic) for topic in shown.items}
        known = {topic: one for topic, one in trained.items() if one is not None}
        shown = msgspec.structs.replace(shown, trained=known)
        if self._side(person, name) == "asker":
            return shown
        runs = {topic: await self._run(name, topic) for topic in shown.items}
        return msgspec.structs.replace(shown, run={t: r for t, r in runs.items() if r is not None})

    async def _run(self, name: str, topic: str) -> tuple[Leg, ...] | None:
        """Return the dry run for a topic as it stands; None where none is asked for or possible.

        What was carried through counts from the opening, or since an acceptance has lapsed.
        """
        state = rules.replay(self._events[name])
        item = state.items.get(topic)
        if item is None or item.requirement.kind != "dry-run":
            return None
        lapsed = item.until is not None and item.until <= datetime.now(UTC)
        since = item.until if lapsed and item.until is not None else state.opened
        asks, site = state.asks, self._parties[name][0]
        return await self._dry_runs.of(site, asks.protocol, asks.version, since)

    async def _trained(self, name: str, topic: str) -> Trained | None:
        """Return the site's training for a topic as it stands now."""
        state = rules.replay(self._events[name])
        item = state.items.get(topic)
        if item is None:
            return None
        return await self._training.of(self._parties[name][0], state.asks, item.requirement)

    async def open(self, person: Person, site: str, asks: str) -> Shown:
        """Begin: what others have accepted of this site is carried over at once. Raises No."""
        await self.refresh()
        await self._registry.refresh()
        entry: SiteEntry = self._registry.history("site", site)[-1].value
        wanted: RequirementList = self._registry.history("requirements", asks)[-1].value
        if person.organisation not in (entry.organisation, wanted.organisation):
            what = "only the site or the one who asks opens it"
            raise No("wrong-organisation", "Not yours to open", Reason("site", what))
        name = f"{site}.{asks}"
        known = self._events.get(name, [])
        if known and rules.replay(known).withdrawn is None:
            raise No("already-open", "It is open already", Reason("list", f"{name} is open"))
        now = datetime.now(UTC)
        opened = rules.Opened(at=now, by=person.id, site=site, asks=wanted)
        others = [rules.replay(self._events[n]) for n in self._events if n.startswith(f"{site}.")]
        events: list[Event] = [opened, *rules.carried(wanted, others, person.id, now)]
        parties = (entry.organisation, wanted.organisation)
        await self._append(person, name, parties, len(known), events)
        shown = await self.see(person, name)
        for item in shown.items.values():
            if item.sha256 is not None:  # shown to another before: whoever asks now reads it too
                await self._documents.share(item.sha256, list(self._parties[name]))
        return shown

    async def signing(self, person: Person, name: str) -> ToSign:
        """Return what the person would sign for their side now. Raises No; nothing is kept."""
        await self.see(person, name)
        side, state = self._side(person, name), rules.replay(self._events[name])
        now = datetime.now(UTC)
        _decide(state, Act("sign"), person, side, now)
        return self._due(person, name, side, now)

    async def act(self, person: Person, name: str, act: Act, site: Site | None = None) -> Shown:
        """Carry out one act for the person's side. Raises No; nothing has changed then.

        `site` is where the browser is, which a passkey is bound to.
        """
        if act.act == "sign" and act.passkey is None and not await self._confirmed(person, act):
            what = "you sign that the site is ready"
            reason = Reason("password", what, "enter your password")
            raise No("signature", "This needs your signature", reason)
        for _ in range(TRIES):
            await self.see(person, name)
            parties, known = self._parties[name], self._events[name]
            side, now = self._side(person, name), _moment(act)
            run = await self._run(name, act.topic) if act.act == "show" else None
            trained = await self._trained(name, act.topic) if act.act == "show" else None
            made = _decide(rules.replay(known), act, person, side, now, (run, trained))
            extra: dict[str, Any] = {}
            if isinstance(made, rules.Signed):
                extra = await self._sign(person, self._due(person, name, side, now), act, site)
            if isinstance(made, rules.Shown) and made.sha256 is not None:
                await self._show(person, made.sha256, parties)
            try:
                await self._append(person, name, parties, len(known), [made], extra)
            except StaleVersion:
                self._seen = -1
                continue
            shown = await self.see(person, name)
            if isinstance(made, rules.Signed) and shown.ready:
                try:
                    await self._qualify(person, shown)
                except (No, NotAcknowledged) as why:  # it is signed: the list is told later
                    log.warning("the list is told later that %s is ready: %s", name, why)
            return shown
        what = "others are working on it at the same time"
        raise No("busy", "Not recorded", Reason("onboarding", what, "try again"))

    async def _confirmed(self, person: Person, act: Act) -> bool:
        return bool(act.password) and await self._accounts.confirms(person, act.password or "")

    def _side(self, person: Person, name: str) -> Literal["site", "asker"]:
        return "site" if person.organisation == self._parties[name][0] else "asker"

    def _due(self, person: Person, name: str, side: str, now: datetime) -> ToSign:
        known, by = self._events[name], (person.id, person.organisation)
        return to_sign(name, rules.replay(known), len(known), by, side, now)

    async def _sign(
        self, person: Person, due: ToSign, act: Act, site: Site | None
    ) -> dict[str, Any]:
        """Return the signature and the content that it is of, as the record keeps them."""
        signature = due.by(person, "password")
        if act.passkey is not None:
            signature = await by_passkey(self._passkeys, person, due, act.passkey, site)
        return {"signature": msgspec.to_builtins(signature), "signed": due.value}

    async def _show(self, person: Person, sha256: str, parties: tuple[str, str]) -> None:
        """Let both sides read a document. Raises No where it is not the person's to show.

        Before it is recorded: a crash in between leaves nothing that cannot be opened.
        """
        if await self._documents.get(sha256, person.organisation) is None:
            raise unknown("document", sha256)
        await self._documents.share(sha256, list(parties))

    async def _append(
        self,
        person: Person,
        name: str,
        parties: tuple[str, str],
        after: int,
        events: list[Event],
        extra: dict[str, Any] | None = None,
    ) -> None:
        both = {"site": parties[0], "asker": parties[1], **(extra or {})}
        bodies = [{"event": msgspec.to_builtins(e), **both} for e in events]
        digest = hashlib.sha256(rfc8785.dumps([name, after, *bodies])).digest()
        drafts = [
            Draft(f"Onboarding{type(e).__name__}", body, e.at)
            for e, body in zip(events, bodies, strict=True)
        ]
        await self._ledger.append(
            Submission(
                stream=f"{ROOM}/{name}",
                expected_version=after,
                drafts=drafts,
                audience=sorted(set(parties)),
                author=Author(person.organisation, person.id),
                key=f"onboarding.{digest.hex()}",
                request_hash=digest,
            )
        )
        self._seen = -1
        await self.refresh()

    async def relay(self) -> int:
        """Let the public list say which sites are ready, where that could not be said at once.

        What was listed once, and taken out by whoever keeps the list, stays out. Return how many
        could not be listed.
        """
        await self.refresh()
        await self._registry.refresh()
        reached = (self._position, self._registry.position)
        if reached == self._listed:
            return 0
        left = 0
        for name, (position, author) in list(self._signed.items()):
            shown = self._shown(name)
            if not shown.ready or self._was_listed(shown, position):
                continue
            person = await self._accounts.person(author.person or "")
            try:
                if person is not None:
                    await self._qualify(person, shown)
            except (No, NotAcknowledged) as why:
                left += 1
                log.warning("the list is told later that %s is ready: %s", name, why)
        if not left:
            self._listed = reached
        return left

    def _was_listed(self, shown: Shown, position: int) -> bool:
        """Say whether the list has said it since `position`, or says just this now."""
        wanted = _qualification(shown)
        versions = self._registry.history("site", shown.site)
        since = [v.value for v in versions if v.position > position]
        return wanted in versions[-1].value.qualifications or any(
            _of(q) == _of(wanted) for value in since for q in value.qualifications
        )

    async def _qualify(self, person: Person, shown: Shown) -> None:
        """Let the public list say what both sides have signed."""
        await self._registry.refresh()
        entry: SiteEntry = self._registry.history("site", shown.site)[-1].value
        qualification = _qualification(shown)
        others = tuple(q for q in entry.qualifications if _of(q) != _of(qualification))
        value = msgspec.structs.replace(entry, qualifications=(*others, qualification))
        reason = f"onboarding {shown.id}: both sides have signed"
        await self._registry.put_signed(person, "site", value, reason)

    def _shown(self, name: str) -> Shown:
        state: Onboarding = rules.replay(self._events[name])
        site, asker = self._parties[name]
        now = datetime.now(UTC)
        return Shown(
            name,
            state.site,
            site,
            asker,
            state.asks.protocol,
            state.asks.version,
            state.opened,
            state.is_ready(now),
            state.ready,
            state.days_to_ready(),
            state.signed,
            self._sealed.get(name, {}),
            state.at(now),
            withdrawn=state.withdrawn,
        )


def _qualification(shown: Shown) -> Qualification:
    """Return what the list says of a site that is ready."""
    ends = [item.until for item in shown.items.values() if item.until is not None]
    return Qualification(
        protocol=shown.protocol,
        version=shown.version,
        roles=(),
        until=f"{min(ends):%Y-%m-%d}" if ends else FOREVER,
        by=shown.asker,
    )


def _of(one: Qualification) -> tuple[str, str, str]:
    """Return what it is a qualification for: another of the same takes its place."""
    return one.protocol, one.version, one.by


def _moment(act: Act) -> datetime:
    """Return the moment of an act: now, or the one that was shown to whoever signed by passkey."""
    now = datetime.now(UTC)
    if act.act != "sign" or act.passkey is None:
        return now
    at = act.passkey.signed_at
    if at.utcoffset() is None or not now - SIGNED_WITHIN <= at <= now + CLOCKS:
        what = "the signature took too long, or its time is not ours"
        raise No("signature", "The signature is too old", Reason("passkey", what, "sign again"))
    return at.astimezone(UTC)


def _decide(
    state: Onboarding,
    act: Act,
    person: Person,
    side: str,
    now: datetime,
    found: Found = (None, None),
) -> Event:
    """Return the event that `act` makes. Raises No."""
    try:
        return rules.decide(state, _event(act, person, side, now, found), side, now)
    except rules.Not as no:
        raise No("not-now", "This may not happen now", Reason(no.field, no.what)) from None
    except msgspec.ValidationError as error:
        raise No("bad-value", "It does not fit", Reason("text", plain(error).what)) from None


def _event(act: Act, person: Person, side: str, now: datetime, found: Found) -> Event:
    common: dict[str, Any] = {"at": now, "by": person.id}
    if act.act == "sign":
        return msgspec.convert({"type": "Signed", **common, "side": side}, rules.Signed)
    if act.act == "withdraw":
        plain = {"type": "Withdrawn", **common, "side": side, "reason": act.text}
        return msgspec.convert(plain, rules.Withdrawn)
    common["topic"] = act.topic
    match act.act:
        case "show":
            plain = {"type": "Shown", **common, "evidence": act.text, "sha256": act.sha256}
            run, trained = found
            made = msgspec.convert(plain, rules.Shown)
            return msgspec.structs.replace(made, run=run, trained=trained)
        case "accept":
            return msgspec.convert({"type": "Accepted", **common}, rules.Accepted)
    return msgspec.convert({"type": "Refused", **common, "reason": act.text}, rules.Refused)
