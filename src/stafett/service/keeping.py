"""How long a journey's record must be kept, and how a patient is erased from it.

Regulation (EC) No 1394/2007, Article 15(4): traceability data are kept for at least 30 years after
the expiry date of the product; Article 15(2) asks the same chain, patient to product, of the
hospital. The record itself is never cut: what is shown is when the law lets go, at the earliest.

Erasing destroys the patient's key in the hospital's vault. The tree stays whole, and what it says
of the patient can no longer be tied to anyone. While the law asks for the link (Regulation (EU)
2016/679, Article 17(3)(b)) it is refused, unless no product ever reached the patient and the person
says so with the reason, or an authority has ordered it.

It takes two: one person asks, and a second one, who answers for the hospital's data or its quality,
confirms within a week. Until then nothing has changed; either of them may withdraw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from stafett.journey import clock
from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.service.accounts import Accounts, Person
from stafett.service.asked import WITHIN, Asked, Asking, Basis
from stafett.service.changes import Changes, check_reason
from stafett.service.documents import Documents
from stafett.service.erasures import ERASED
from stafett.service.journeys import Journeys
from stafett.service.live import Live
from stafett.service.papers import ATTACHED
from stafett.service.passkeys import Passkeys, Site
from stafett.service.refusal import No, Reason, unknown
from stafett.service.request import Signed
from stafett.service.signer import signature_of, signed_at
from stafett.service.signing import ToSign
from stafett.service.vault import Unknown, Vault

YEARS = 30
SOURCE = "Regulation (EC) No 1394/2007, Article 15(4)"
Why = Literal["", "kept", "open", "given"]
ASKS = "I ask that this patient's identity be erased for good"
MEANING = "I erase this patient's identity for good"
ASKED: Final = "patient-erasure-asked"
WITHDRAWN: Final = "patient-erasure-withdrawn"


class Retention(msgspec.Struct, frozen=True):
    """Until when a journey must be kept at least; None while the journey is open.

    `since` is what the years are counted from: the latest expiry of a product, or (`assumed`) the
    journey's end where no product has one, or not one that is known any more.
    """

    journey: str
    until: datetime | None
    since: datetime | None
    assumed: bool
    years: int = YEARS
    source: str = SOURCE


class Erasure(msgspec.Struct, frozen=True):
    """What is to be erased beside the patient, on which basis in law, and why.

    `documents` (SHA-256): of those that the hospital attached to this journey, and to no other,
    the ones that name the patient.
    """

    basis: Basis
    reason: str
    documents: tuple[str, ...] = ()


class Erased(msgspec.Struct, frozen=True):
    """A patient was erased: under which pseudonym the record goes on speaking of them.

    `documents` were erased with them; `kept` are the documents that the hospital attached to the
    journey and that are here still: whoever knows that one names the patient erases it too.
    """

    journey: str
    pseudonym: str
    documents: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def retention(net: Net, state: State) -> Retention:
    """Compute how long the record of a journey must be kept."""
    if state.ended_at is None:
        return Retention(state.journey, None, None, assumed=False)
    known = []
    for material in net.protocol.materials.values():
        life = material.shelf_life
        begun = clock.done_at(net, state, life.counts_from) if life else None
        if life is not None and begun is not None:
            known.append(begun + life.at_most.timedelta)
    # A product that was made anew takes its clock from the one before; what that one was made at
    # and its life are known all the same, and never lead to too short a time.
    lives = {name: m.shelf_life for name, m in net.protocol.materials.items()}
    made = [
        lot.made_at + life.at_most.timedelta
        for lot in state.lots.values()
        if (life := lives.get(lot.material)) is not None
    ]
    since = max([*known, *made] if known else [state.ended_at, *made])
    return Retention(state.journey, years_after(since, YEARS), since, assumed=not known)


def years_after(moment: datetime, years: int) -> datetime:
    """Return the same moment so many calendar years later; 29 February becomes 1 March."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)


class Keeping:
    """Retention and erasing, as use cases."""

    def __init__(
        self,
        journeys: Journeys,
        vault: Vault,
        changes: Changes,
        documents: Documents,
        accounts: Accounts,
        passkeys: Passkeys,
        asking: Asking,
    ) -> None:
        self._journeys, self._vault, self._changes = journeys, vault, changes
        self._documents, self._accounts, self._passkeys = documents, accounts, passkeys
        self._asking = asking

    async def retention(self, person: Person, journey: str) -> Retention:
        """Return how long a journey of the person's organisation must be kept. Raises No."""
        live = await self._journeys.see(person, journey)
        return retention(live.net, live.state)

    async def signing(self, person: Person, journey: str, asked: Erasure) -> ToSign:
        """Return what asking signs now. Raises No as `ask` does; nothing has changed."""
        live = await self._journeys.see(person, journey)
        now = datetime.now(UTC)
        await self._allowed(person, live, asked, now)
        return _to_sign(person, live, asked, now, ASKS)

    async def ask(
        self,
        person: Person,
        journey: str,
        asked: Erasure,
        password: str | None = None,
        passkey: Signed | None = None,
        site: Site | None = None,
    ) -> Asked:
        """Ask that a patient be erased; a second person confirms it. Nothing is destroyed yet.

        It is signed: by `password`, or by `passkey`, which answers what `signing` gave (`site` is
        where the browser is). A patient who is erased already may be erased again, for a document
        that was forgotten.
        Raises No: unknown (not a patient of the person's own hospital, or not its document),
        retention, reason-missing, signature, conflict (asked already).
        """
        live = await self._journeys.see(person, journey)
        now = signed_at(passkey)
        await self._allowed(person, live, asked, now)
        due = _to_sign(person, live, asked, now, ASKS)
        signature = await signature_of(
            self._accounts, self._passkeys, person, due, password, passkey, site
        )
        made = Asked(
            live.pseudonym, person.organisation, journey, person.id, asked.basis,
            asked.reason.strip(), tuple(sorted(asked.documents)), signature, due.value, now,
            now + WITHIN,
        )  # fmt: skip
        after = {
            "documents": made.documents,
            "until": made.until,
            "signature": signature,
            "signed": due.value,
        }
        async with self._changes.making(
            person, ASKED, live.pseudonym, asked.reason, _before(made), after
        ) as connection:
            await self._asking.put(connection, made, datetime.now(UTC))
        return made

    async def confirm_signing(self, person: Person, journey: str) -> ToSign:
        """Return what confirming signs now. Raises No as `confirm` does."""
        live = await self._journeys.see(person, journey)
        asked = await self._asked(person, live)
        now = datetime.now(UTC)
        await self._allowed(person, live, _what(asked), now)
        return _to_sign(person, live, _what(asked), now, MEANING, asked)

    async def confirm(
        self,
        person: Person,
        journey: str,
        password: str | None = None,
        passkey: Signed | None = None,
        site: Site | None = None,
    ) -> Erased:
        """Destroy the patient's key, and record who asked, who confirmed and why; or neither.

        Signed as asking is. Raises No as `ask` does, and: unknown (nobody has asked, or more than
        a week ago), wrong-person (who asked does not confirm).
        """
        live = await self._journeys.see(person, journey)
        asked = await self._asked(person, live)
        now = signed_at(passkey)
        own = await self._allowed(person, live, _what(asked), now)
        due = _to_sign(person, live, _what(asked), now, MEANING, asked)
        signature = await signature_of(
            self._accounts, self._passkeys, person, due, password, passkey, site
        )
        after = {
            "key": "destroyed",
            "documents": asked.documents,
            "signature": signature,
            "signed": due.value,
            "asked": {"signature": asked.signature, "signed": asked.signed},
        }
        async with self._changes.making(
            person, ERASED, live.pseudonym, asked.reason, _before(asked), after
        ) as connection:
            await self._asking.take(connection, asked)
            await self._vault.erase(connection, live.pseudonym, person.organisation)
            await self._documents.erase(connection, asked.documents)
        kept = await self._documents.here(own)
        return Erased(journey, live.pseudonym, asked.documents, tuple(kept))

    async def withdraw(self, person: Person, journey: str, reason: str) -> None:
        """Take back what was asked: whoever asked, or a second person who will not confirm it."""
        live = await self._journeys.see(person, journey)
        asked = await self._asking.of(live.pseudonym, person.organisation)
        if asked is None:
            raise unknown("erasure", journey)
        async with self._changes.making(
            person, WITHDRAWN, live.pseudonym, reason, _before(asked)
        ) as connection:
            await self._asking.take(connection, asked)

    async def _asked(self, person: Person, live: Live) -> Asked:
        """Return what waits for a second person, who is this one. Raises No."""
        asked = await self._asking.of(live.pseudonym, person.organisation)
        if asked is None or asked.until <= datetime.now(UTC):
            raise unknown("erasure", live.state.journey)
        if asked.person == person.id:
            what = "whoever asked does not confirm: it takes a second person"
            raise No("wrong-person", "Not yourself", Reason("person", what, "ask a colleague"))
        return asked

    async def _allowed(
        self, person: Person, live: Live, asked: Erasure, now: datetime
    ) -> list[str]:
        """Return what the hospital attached to it. Raises No where it may not be erased."""
        journey, must = live.state.journey, retention(live.net, live.state)
        try:
            await self._vault.held(live.pseudonym, person.organisation)
        except Unknown:
            raise unknown("patient", journey) from None
        why = forbids(live.state, must, now)[asked.basis]
        if why == "kept":
            until = f"{must.until:%Y-%m-%d}" if must.until else "30 years after the product expires"
            raise No(
                "retention",
                "The law asks for this record longer",
                Reason("basis", f"to be kept until {until} at least ({SOURCE})", "wait"),
            )
        if why:
            raise No(
                "retention",
                "A product was given, or still may be",
                Reason("basis", "the journey is open, or a material was used", "another basis"),
            )
        check_reason(asked.reason)
        return await self._own(person, live, asked.documents)

    async def _own(self, person: Person, live: Live, documents: Sequence[str]) -> list[str]:
        """Return what the person's organisation attached to a journey. Raises No.

        Refused where one of `documents` is not among them, or another journey rests on it.
        """
        journey = live.state.journey
        events = await self._journeys.stream(journey)
        mine = {
            str(event.body["event"]["sha256"])
            for event in events
            if event.kind == ATTACHED and event.author.organisation == person.organisation
        }
        for name, places in (await self._documents.attached_to(documents)).items():
            if name not in mine:
                raise unknown("document", name)
            if others := {other for other, _ in places} - {journey}:
                what = f"{name[:8]}… is a document of {len(others)} other journeys too"
                raise No("bad-value", "Another journey rests on it", Reason("documents", what))
        return sorted(mine)


def forbids(state: State, must: Retention, now: datetime) -> dict[Basis, Why]:
    """Say for each basis in law why it does not allow to erase now; "" where it does."""
    over: Why = "" if must.until is not None and now >= must.until else "kept"
    never: Why = "open" if state.ended_at is None else "given" if _given(state) else ""
    return {"retention-ended": over, "no-product-given": never, "ordered": ""}


def _before(asked: Asked) -> dict[str, str]:
    return {"journey": asked.journey, "pseudonym": asked.pseudonym, "basis": asked.basis}


def _what(asked: Asked) -> Erasure:
    return Erasure(asked.basis, asked.reason, asked.documents)


def _to_sign(
    person: Person,
    live: Live,
    asked: Erasure,
    now: datetime,
    meaning: str,
    first: Asked | None = None,
) -> ToSign:
    """Bind an erasure to the patient, the basis, the reason and what goes with it.

    Whoever confirms signs what the first one signed, too.
    """
    value = {
        "erases": live.pseudonym,
        "journey": live.state.journey,
        "basis": asked.basis,
        "reason": asked.reason.strip(),
        "documents": sorted(asked.documents),
        "by": {"person": person.id, "organisation": person.organisation},
        "meaning": meaning,
        "signed_at": now,
    }
    if first is not None:
        value["asked"] = first.signature.digest
    return ToSign(meaning, now, msgspec.json.decode(msgspec.json.encode(value)))  # as it is kept


def _given(state: State) -> bool:
    """Say whether anything may have reached the patient: a lot that was used, in no other lot."""
    parents = {parent for lot in state.lots.values() for parent in lot.parents}
    return any(lot.ended == "consumed" and lot.lot not in parents for lot in state.lots.values())
