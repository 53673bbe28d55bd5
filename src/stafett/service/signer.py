"""Who acts and signs: the one at the station, a colleague beside them, by password or passkey.

A signature is asked for again at each act (21 CFR 11.200; EU GMP Annex 11, 14); who signs is
competent at that moment. What a signature is over is made in `signing`; a passkey signs the
event's own bytes, as its author (see `stafett.ledger.author`).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from webauthn.helpers import base64url_to_bytes

from stafett.journey.command import Proof, Signature
from stafett.ledger import NotAcknowledged, Submission
from stafett.ledger import passkey as of_passkey
from stafett.ledger import person as of_person
from stafett.service.accounts import Accounts, Person, SignInRefused
from stafett.service.author_keys import AuthorKeys
from stafett.service.competence import Competences
from stafett.service.live import Live
from stafett.service.passkeys import Assertion, PasskeyRefused, Passkeys, Site
from stafett.service.recording import signed_draft, unreached
from stafett.service.refusal import No, Reason
from stafett.service.request import Ask, Signed
from stafett.service.signing import ToSign

SIGNED_WITHIN = timedelta(minutes=5)
CLOCKS = timedelta(seconds=5)


class Signer:
    """Says who acts, and makes their signature of what is due; raises No where it cannot hold."""

    def __init__(
        self, accounts: Accounts, passkeys: Passkeys, competences: Competences, keys: AuthorKeys
    ) -> None:
        self._accounts, self._passkeys, self._competences = accounts, passkeys, competences
        self._keys = keys

    async def actor(self, person: Person, ask: Ask) -> Person:
        """Return who acts: the person, or the colleague who says that they are here too."""
        if ask.colleague is None:
            return person
        login, password = ask.colleague.login, ask.colleague.password
        if ask.proof is not None:
            return await self.colleague(person, login)
        if password is None:
            what = "they prove who they are: by their password or their passkey"
            raise No("signature", "The colleague", Reason("colleague", what))
        try:
            return _of_one_house(person, await self._accounts.known(login, password))
        except SignInRefused as error:
            raise No("signature", "The colleague", Reason("colleague", str(error))) from None

    async def colleague(self, person: Person, login: str) -> Person:
        """Return who has this login, of the person's own organisation."""
        return _of_one_house(person, await self._accounts.of_login(login))

    async def confirmed(self, person: Person, ask: Ask) -> bool:
        """Say whether a password was given; raise No if it is not the person's."""
        if ask.password is None:
            return False
        if not await self._accounts.confirms(person, ask.password):
            raise No(
                "signature",
                "The signature does not hold",
                Reason("password", "it is not your password", "enter it again"),
            )
        return True

    async def may_sign(self, person: Person, live: Live, role: str) -> None:
        """Raise No unless the person is competent now (EU GMP Annex 11, 2; 21 CFR 11.10(i))."""
        state = live.state
        gap = await self._competences.gap(person, state.protocol, state.version, role)
        if gap is not None:
            raise No("competence", "No current competence", Reason("competence", *gap))

    def signature(self, person: Person, due: ToSign, ask: Ask, signed: bool) -> Signature:
        """Return the person's signature of what is `due`; `signed`: their password is confirmed.

        A passkey signs the event itself, once it is made (`attest`).
        """
        if ask.proof is not None:
            return due.by(person, "passkey")
        if not signed:
            raise No(
                "signature",
                "This needs your signature",
                Reason("password", f"you sign: {due.meaning}", "enter your password"),
            )
        return due.by(person, "password")

    async def proven(self, person: Person, due: ToSign, given: Signed, site: Site | None) -> None:
        """Raise No unless the person's passkey answered exactly what is due."""
        await by_passkey(self._passkeys, person, due, given, site)

    async def attest(
        self, person: Person, submission: Submission, given: Signed, site: Site | None
    ) -> Submission:
        """Return the submission with the signing event signed by the person's passkey.

        What their key answered must be these very bytes. The record says first whose key it is.
        """
        number = signed_draft(submission)
        digest = hashlib.sha256(of_person.to_sign(submission, number)).digest()
        proof = await _proof(self._passkeys, person, digest, given, site)
        public = base64url_to_bytes(proof.public_key)
        try:
            await self._keys.vouch(person.organisation, person.id, public)
        except NotAcknowledged as error:
            raise unreached(error) from None
        assertion = of_passkey.Assertion(
            proof.credential, proof.authenticator_data, proof.client_data, proof.signature, proof.rp
        )
        return of_person.signed(submission, number, public, assertion)


async def by_passkey(
    passkeys: Passkeys, person: Person, due: ToSign, given: Signed, site: Site | None
) -> Signature:
    """Return the person's signature of what is due by what their passkey gave; No if it fails."""
    return due.by(person, "passkey", await _proof(passkeys, person, due.digest, given, site))


async def signature_of(
    accounts: Accounts,
    passkeys: Passkeys,
    person: Person,
    due: ToSign,
    password: str | None,
    passkey: Signed | None,
    site: Site | None,
) -> Signature:
    """Return the person's signature of what is due, by passkey or else password. Raises No."""
    if passkey is not None:
        return await by_passkey(passkeys, person, due, passkey, site)
    if not password:
        reason = Reason("password", f"you sign: {due.meaning}", "enter your password")
        raise No("signature", "This needs your signature", reason)
    if not await accounts.confirms(person, password):
        reason = Reason("password", "it is not your password", "enter it again")
        raise No("signature", "The signature does not hold", reason)
    return due.by(person, "password")


async def _proof(
    passkeys: Passkeys, person: Person, digest: bytes, given: Signed, site: Site | None
) -> Proof:
    """Return the proof that the person's passkey signed bytes with this digest. Raises No."""
    if site is None:
        raise No("signature", "No passkey", Reason("passkey", "none can be used here"))
    assertion = Assertion(
        given.credential, given.authenticator_data, given.client_data, given.signature
    )
    try:
        return await passkeys.sign(person, assertion, digest, site)
    except PasskeyRefused as error:
        reason = Reason("passkey", str(error), "sign again")
        raise No("signature", "The signature does not hold", reason) from None


def moment(ask: Ask) -> datetime:
    """Return the moment of an act: now, or the one that was shown to whoever signed by passkey."""
    return signed_at(ask.proof)


def signed_at(given: Signed | None) -> datetime:
    """Return the moment of what a passkey signed; now where none did. Raises No: it is too old."""
    now = datetime.now(UTC)
    if given is None:
        return now
    at = given.signed_at
    if at.utcoffset() is None or not now - SIGNED_WITHIN <= at <= now + CLOCKS:
        what = "the signature took too long, or its time is not ours"
        raise No("signature", "The signature is too old", Reason("passkey", what, "sign again"))
    return at


def _of_one_house(person: Person, colleague: Person | None) -> Person:
    """Return the colleague. Raises No where there is none, or where they are somebody else's."""
    if colleague is None:
        raise No("signature", "The colleague", Reason("colleague", "this login is not known"))
    if colleague.organisation != person.organisation:
        what = "they work for another organisation: they sign at a station of their own"
        raise No("wrong-person", "Not a colleague", Reason("colleague", what))
    return colleague
