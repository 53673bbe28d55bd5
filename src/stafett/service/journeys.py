"""The only writer: a person's command becomes events in the ledger, or a refusal with reasons.

One instance per process. Each journey's state is kept in memory and is exactly what its events
say; it can be thrown away at any time. Two processes may serve the same journey: the ledger refuses
the one whose decision rests on an older state, and that one decides again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec

from stafett.exchange.joins import Joins
from stafett.journey.clock import TOLERANCE
from stafett.journey.command import Actor, Answer, Command, OpenJourney
from stafett.journey.decide import decide
from stafett.journey.event import Event
from stafett.journey.evolve import evolve
from stafett.journey.identifier import Unreadable, chain_of_identity
from stafett.journey.refusal import Refusal
from stafett.journey.state import State
from stafett.ledger import Ledger, NotAcknowledged, StaleVersion, Submission
from stafett.ledger.person import to_sign
from stafett.protocol.net import Net
from stafett.protocol.read import ReadError
from stafett.service import signing
from stafett.service.accounts import Accounts, Person
from stafett.service.author_keys import AuthorKeys
from stafett.service.competence import Competences
from stafett.service.elsewhere import Elsewhere
from stafett.service.labels import GAP, Labels
from stafett.service.library import Library
from stafett.service.live import Live, Lives
from stafett.service.network import Networks
from stafett.service.passkeys import Passkeys, Site
from stafett.service.readings import Readings
from stafett.service.recording import (
    Done,
    already,
    append,
    digest,
    done,
    of_client,
    signed_draft,
    written,
)
from stafett.service.refusal import No, Reason, unknown
from stafett.service.request import Ask, Order
from stafett.service.signer import Signer, moment
from stafett.service.signing import ToSign
from stafett.service.timekeeping import Timekeeping
from stafett.service.vault import Erased, Vault

# What a wrong clock makes unsafe: a certificate's time, and a product past its own.
RESTS_ON_TIME = frozenset({"certify", "administer"})
# In these a station's clock that is wrong is not waited for either.
MINUTES_COUNT = RESTS_ON_TIME | {"thaw"}
TRIES = 5
LEAST = 4  # characters of a wristband
NOBODY = "commitment:" + "0" * 64  # stands for the patient until an order is known to be right
FACILITY = "A9999"  # the example facility of ISBT 128; a deployment sets its own


class Journeys(Lives):
    """Use cases on journeys; what this process knows of them is in `Lives`."""

    def __init__(
        self,
        ledger: Ledger,
        accounts: Accounts,
        library: Library,
        vault: Vault,
        networks: Networks,
        passkeys: Passkeys,
        competences: Competences,
        readings: Readings,
        labels: Labels,
        keys: AuthorKeys,
        clocks: Timekeeping | None = None,
        facility: str = FACILITY,
    ) -> None:
        super().__init__(ledger, library)
        self._accounts, self._vault = accounts, vault
        self._networks, self._facility = networks, facility
        self._signer = Signer(accounts, passkeys, competences, keys)
        self._readings, self._labels, self._clocks = readings, labels, clocks
        self._locks: dict[str, asyncio.Lock] = {}
        self._elsewhere: Elsewhere | None = None

    def of_labels(self, joins: Joins) -> None:
        """From here on a label that is on something of another journey is not bound."""
        self._elsewhere = Elsewhere(self._ledger, joins, self)

    # -- reading -------------------------------------------------------------------------------

    async def see(self, person: Person, journey: str) -> Live:
        """Return a journey that the person's organisation takes part in; raise No otherwise.

        That they looked is noted.
        """
        live = await self._shared(person, journey)
        await self._readings.note(person, "journey", journey)
        return live

    async def _shared(self, person: Person, journey: str) -> Live:
        live = await self.live(journey)
        if live is None or person.organisation not in live.state.parties.values():
            raise unknown("journey", journey)
        return live

    # -- writing -------------------------------------------------------------------------------

    async def order(self, person: Person, order: Order) -> Done:
        """Open a journey. Raises No; nothing is kept then."""
        pinned = self.library.current().get(order.protocol)
        if pinned is None:
            known = ", ".join(self.library.current())
            raise No(
                "unknown-name",
                "There is no such protocol",
                Reason("protocol", f"{order.protocol!r} is not known", f"one of: {known}"),
            )
        parties = await self._networks.parties(order.network)
        if person.organisation not in parties.values():
            raise unknown("network", order.network)
        try:
            net = self.library.net(pinned.sha256, order.product)
        except ReadError as error:
            raise No("unknown-name", error.what, Reason("product", error.todo)) from None
        missing = [role for role in net.protocol.roles if role not in parties]
        if missing:
            raise No(
                "network",
                "The network does not fill every role",
                Reason("network", f"nobody plays {', '.join(missing)}", "complete the network"),
            )
        hashed = digest({"order": msgspec.to_builtins(order), "person": person.id})
        if (again := await already(self._ledger, of_client(order.key), hashed)) is not None:
            return again
        coi, wristband = self._coi_of(order), carried(order.wristband, "wristband")
        if len(wristband) < LEAST:
            what = f"a wristband says at least {LEAST} characters"
            raise No("bad-value", what, Reason("wristband", what, "scan it, or type it again"))
        now = datetime.now(UTC)
        command = OpenJourney(
            occurred_at=now,
            recorded_at=now,
            by=Actor(person=person.id, organisation=person.organisation, role=order.role),
            journey=coi,
            coi=coi,
            patient=NOBODY,
            protocol=pinned.name,
            version=pinned.version,
            product=order.product,
            parties={role: parties[role] for role in net.protocol.roles},
        )
        if isinstance(made := decide(net, None, command), Refusal):
            raise _no(made)  # before the vault: what is refused leaves nobody in it
        identifiers = {**order.patient, "wristband": wristband}
        pseudonym = await self._vault.enrol(person.organisation, identifiers, coi)
        patient = await self._vault.commitment(pseudonym, wristband)
        made = decide(net, None, msgspec.structs.replace(command, patient=patient))
        assert not isinstance(made, Refusal)
        head = {"pinned": pinned.sha256, "pseudonym": pseudonym}
        try:
            opened = written(order.key, hashed, coi, 0, made, command, command.parties, head)
            receipt = await append(self._ledger, opened)
        except StaleVersion:
            await self._vault.withdraw(pseudonym, person.organisation)
            raise No(
                "already-open",
                "A journey with this chain-of-identity identifier is open already",
                Reason("coi", f"{coi} is taken", "check whether the order was sent twice"),
            ) from None
        except No as no:
            if no.code != "not-acknowledged":  # else it may be in the record
                await self._vault.withdraw(pseudonym, person.organisation)
            raise
        if not receipt.replayed:
            state: State | None = None
            for one in made:
                state = evolve(net, state, one)
            assert state is not None
            self.keep(Live(net, state, pinned.sha256, pseudonym))
        return done(receipt, made)

    async def outcome(self, person: Person, journey: str, key: str) -> Done:
        """Return what the act with `key` came to. Raises No where the record does not have it.

        For whoever lost the answer: an act that was signed cannot simply be sent again, since
        nothing keeps the password.
        """
        await self.see(person, journey)
        receipt = await self._ledger.outcome_of(key)
        if receipt is None or receipt.stream != journey:
            raise unknown("act", key)
        return done(receipt, (), replayed=True)

    async def signing(self, person: Person, journey: str, ask: Ask) -> tuple[Person, ToSign, bytes]:
        """Return who would sign by `ask` now, what, and the bytes. Raises No; nothing is kept.

        The bytes are those of the event that the act makes at this place of the record. A colleague
        who acts proves also what is not signed: that is the act itself.
        """
        live = await self.see(person, journey)
        actor = person
        if ask.colleague is not None:
            actor = await self._signer.colleague(person, ask.colleague.login)
        by = Actor(person=actor.id, organisation=actor.organisation, role=ask.role)
        now = datetime.now(UTC)
        due = signing.to_sign(live.net, live.state, ask.command, by, now)
        if due is None and ask.colleague is not None:
            due = signing.to_prove(live.net, live.state, ask.command, by, now)
            return actor, due, due.content
        if due is None:
            what = "this act is not signed in this state of the journey"
            raise No("unsigned", "Nothing is signed here", Reason("command", what, "look again"))
        self._on_time(live.net, ask.command)
        await self._signer.may_sign(actor, live, ask.role)
        command = signing.complete(ask.command, by, now, due.by(actor, "passkey"))
        made = decide(live.net, live.state, command)
        if isinstance(made, Refusal):
            raise _no(made)  # before anybody reaches for their key
        submission = _written(live, ask.key, b"", made, command, due)
        return actor, due, to_sign(submission, signed_draft(submission))

    async def submit(
        self, person: Person, journey: str, ask: Ask, site: Site | None = None
    ) -> Done:
        """Carry out one command. Raises No with every reason; nothing has changed then.

        `site` is where the browser is, which a passkey is bound to. An act is in the record with
        its author; what is refused has shown something, and is noted as a look.
        """
        await self._shared(person, journey)
        try:
            return await self._submit(person, journey, ask, site)
        except No:
            await self._readings.note(person, "journey", journey)
            raise

    async def _submit(self, person: Person, journey: str, ask: Ask, site: Site | None) -> Done:
        of_client(ask.key)
        plain = msgspec.to_builtins(ask)
        hashed = digest(
            {"journey": journey, "role": ask.role, "command": plain["command"], "by": person.id}
        )
        actor = await self._signer.actor(person, ask)
        # A colleague's password has been asked for just above; a passkey is asked over the act.
        signed = ask.colleague is not None or await self._signer.confirmed(person, ask)
        if (
            ask.proof is not None
            and (again := await already(self._ledger, ask.key, hashed)) is not None
        ):
            return again  # the journey has moved on by this very act: nothing is signed twice
        lock = self._locks.setdefault(journey, asyncio.Lock())
        try:
            async with lock:
                return await self._decide(person, actor, journey, ask, hashed, signed, site)
        finally:
            if not lock.locked():
                self._locks.pop(journey, None)

    async def _decide(
        self,
        person: Person,
        actor: Person,
        journey: str,
        ask: Ask,
        hashed: bytes,
        signed: bool,
        site: Site | None,
    ) -> Done:
        by = Actor(person=actor.id, organisation=actor.organisation, role=ask.role)
        if ask.role not in actor.roles:
            raise No(
                "wrong-role",
                "You do not act in this role",
                Reason("role", f"{actor.name} has no role {ask.role!r}", "choose one of yours"),
            )
        for _ in range(TRIES):
            live = await self._shared(person, journey)
            _sent_on_time(live.net, ask)
            now = moment(ask)
            due = signing.to_sign(live.net, live.state, ask.command, by, now)
            signature = None
            if due is not None:
                self._on_time(live.net, ask.command)
                await self._signer.may_sign(actor, live, ask.role)
                signature = self._signer.signature(actor, due, ask, signed)
            elif ask.colleague is not None and ask.proof is not None:
                own = signing.to_prove(live.net, live.state, ask.command, by, now)
                await self._signer.proven(actor, own, ask.proof, site)
            command = signing.complete(ask.command, by, now, signature)
            await self._labels_add_up(actor, live, command)
            command = await self._hide(live, command)
            made = decide(live.net, live.state, command)
            if isinstance(made, Refusal):
                if (again := await already(self._ledger, ask.key, hashed)) is not None:
                    return again
                await self._bring_to_light(live, made)
                raise _no(made)
            submission = _written(live, ask.key, hashed, made, command, due)
            if due is not None and ask.proof is not None:
                submission = await self._signer.attest(actor, submission, ask.proof, site)
            try:
                async with self._only_here(live, made):
                    return await self._recorded(live, made, submission)
            except StaleVersion:
                self.drop(journey)
            except No as no:
                if no.code == "label-elsewhere":  # unless it was this journey's first
                    again = await already(self._ledger, ask.key, hashed)
                    if again is not None:
                        return again
                raise
        raise No(
            "busy",
            "Others are working on this journey at the same time",
            Reason("journey", "it changed under every attempt", "try again"),
        )

    def _only_here(
        self, live: Live, made: tuple[Event, ...]
    ) -> contextlib.AbstractAsyncContextManager[None]:
        if self._elsewhere is None:
            return contextlib.nullcontext()
        return self._elsewhere.only_here(live, made)

    def _on_time(self, net: Net, asked: msgspec.Struct) -> None:
        """Raise No where what is signed rests on a clock that is wrong (decision 238)."""
        if self._clocks is not None and _kind(net, asked) in RESTS_ON_TIME:
            self._clocks.hold()

    async def _labels_add_up(self, person: Person, live: Live, command: Command) -> None:
        """Raise No where somebody says that labels add up, and the counts say otherwise."""
        if not isinstance(command, Answer) or command.value is None:
            return
        for check in _checks(live.net, command.activity):
            if check.id == command.check and check.deviation == GAP and check.choices:
                choice = check.choices.get(str(command.value))
                if choice is not None and choice.means == "pass":
                    await self._labels.add_up(person, live.state.journey)

    async def _hide(self, live: Live, command: Command) -> Command:
        """Replace a direct patient identifier by its commitment before anything looks at it."""
        if not isinstance(command, Answer) or not isinstance(command.value, str):
            return command
        direct = live.net.protocol.identifiers
        for check in _checks(live.net, command.activity):
            if check.id == command.check and check.by in direct and direct[check.by].direct:
                scanned = carried(command.value, "value")
                try:
                    value = await self._vault.commitment(live.pseudonym, scanned)
                except Erased:
                    what = "the patient was erased: no identifier can be compared any more"
                    raise No("erased", "The patient was erased", Reason("journey", what)) from None
                return msgspec.structs.replace(command, value=value)
        return command

    async def watch(self, journey: str, command: Command, key: str) -> Done | None:
        """Carry out what the watch saw; None if it is no longer so.

        `key` names the sight for good: it is recorded once, whoever sees it and how often.
        """
        hashed = digest({"watch": key})
        lock = self._locks.setdefault(journey, asyncio.Lock())
        async with lock:
            for _ in range(TRIES):
                if (again := await already(self._ledger, key, hashed)) is not None:
                    return again
                live = await self.live(journey)
                if live is None:
                    return None
                made = decide(live.net, live.state, command)
                if isinstance(made, Refusal):
                    return None
                try:
                    submission = _written(live, key, hashed, made, command)
                    return await self._recorded(live, made, submission)
                except StaleVersion:
                    self.drop(journey)
        return None

    async def _recorded(self, live: Live, made: tuple[Event, ...], submission: Submission) -> Done:
        """Append what was made, and know it. Raises StaleVersion where the journey has gone on."""
        receipt = await append(self._ledger, submission)
        if receipt.replayed:
            return done(receipt, ())
        state = live.state
        for one in made:
            state = evolve(live.net, state, one)
        self.keep(Live(live.net, state, live.pinned, live.pseudonym))
        return done(receipt, made)

    async def _bring_to_light(self, live: Live, refusal: Refusal) -> None:
        """Submit what a refused command revealed: that a material has expired."""
        for then in refusal.then:
            made = decide(live.net, live.state, then)
            if isinstance(made, Refusal):
                continue
            key = f"light.{live.state.journey}.{live.state.position}"
            with contextlib.suppress(StaleVersion, NotAcknowledged):
                found = _written(live, key, digest({"then": key}), made, then)
                await append(self._ledger, found)
            self.drop(live.state.journey)

    def _coi_of(self, order: Order) -> str:
        """Return the order's chain of identity in the one form that names the journey.

        However it was given: the same number scanned, bare or typed is one journey, not three.
        """
        if not order.coi:
            return self._coi()
        try:
            return chain_of_identity(order.coi)
        except Unreadable as error:
            raise No("bad-value", error.what, Reason("coi", error.what, error.todo)) from None

    def _coi(self) -> str:
        # ST-028: CH, the issuing facility, the year, six alphanumeric characters.
        tail = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(6))
        return f"CH{self._facility}{datetime.now(UTC):%y}{tail}"


def _kind(net: Net, asked: msgspec.Struct) -> str | None:
    """Return the kind of the step that is begun or finished (by its name), or signed ahead."""
    name = str(getattr(asked, "step", None) or getattr(asked, "activity", ""))
    step = net.protocol.steps.get(name)
    return None if step is None else step.kind


def _sent_on_time(net: Net, ask: Ask) -> None:
    """Raise No where the sender's clock is wrong and the act is one whose minutes count.

    A moment that was told by a clock that is behind looks like one that was kept without network:
    a product thawed too long ago would pass. Another act is recorded all the same.
    """
    if ask.sent_at is None or signing.kind(ask.command) not in ("Start", "Finish", "Sign"):
        return
    off = (ask.sent_at - datetime.now(UTC)).total_seconds()
    if abs(off) > TOLERANCE.total_seconds() and _kind(net, ask.command) in MINUTES_COUNT:
        what = f"the clock of this device is {off:.0f} s ahead"
        if off < 0:
            what = f"the clock of this device is {-off:.0f} s behind"
        raise No("station-clock", what, Reason("sent_at", what, "set it right; then do it again"))


def carried(text: str, field: str) -> str:
    """Return what a wristband says as it is kept and compared, however a scanner sent it.

    Raises No, which names `field`, for what no wristband says: nothing was read, so it is no
    mismatch either.
    """
    read = text.strip()
    if read and read.isprintable():
        return read
    what = "the scan holds characters that no label has" if read else "nothing was read"
    raise No("unreadable-scan", what, Reason(field, what, "scan the label again"))


def _written(
    live: Live,
    key: str,
    hashed: bytes,
    made: tuple[Event, ...],
    command: Command,
    signed: ToSign | None = None,
) -> Submission:
    """Write what was made of a command on the state that it was decided on."""
    state = live.state
    return written(
        key, hashed, state.journey, state.position, made, command, state.parties, signed=signed
    )


def _checks(net: Net, activity: str) -> tuple[Any, ...]:
    step = net.protocol.steps.get(activity)
    if step is not None:
        return step.checks
    handoff = net.protocol.handoffs.get(activity)
    return () if handoff is None else (*handoff.release.checks, *handoff.accept.checks)


def _no(refusal: Refusal) -> No:
    reasons = tuple(Reason(r.field, r.what, r.todo) for r in refusal.reasons)
    return No(refusal.code, reasons[0].what if reasons else refusal.code, *reasons)
