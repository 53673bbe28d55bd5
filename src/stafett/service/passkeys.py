"""Passkeys (WebAuthn Level 3): made, used to sign in, and used to sign.

A signature's challenge *is* the SHA-256 of the bytes signed. What the authenticator answers is kept
with the signature, so that whoever holds the record and the public key can verify it years later
without this program (WebAuthn, 7.2): `stafett.service.signatures` does. Every use here asks for
user verification (a finger, a face, a PIN): possession and knowledge in one act.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from stafett.journey.command import Proof
from stafett.ledger.passkey import LOCAL, as_credential
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.challenges import Challenges

VERIFIED = UserVerificationRequirement.REQUIRED


class Passkey(msgspec.Struct, frozen=True):
    """A passkey in the person's own list; `id` is the credential in base64url."""

    id: str
    name: str
    added: datetime
    used: datetime | None


class Assertion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an authenticator answered, each part in base64url."""

    credential: str
    authenticator_data: str
    client_data: str
    signature: str


class PasskeyRefused(Exception):
    """The passkey, or what it answered, does not hold."""


@dataclass(frozen=True)
class Site:
    """Where the browser is: the relying party and its origin."""

    rp: str
    origin: str

    @staticmethod
    def of(url: str) -> Site:
        """Return the site of an address. Raises PasskeyRefused where browsers allow no passkeys."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        numeric = ":" in host or host.replace(".", "").isdigit()
        if numeric or (parts.scheme != "https" and host not in LOCAL):
            raise PasskeyRefused(
                f"browsers allow no passkeys at {parts.scheme}://{host}: use https and a name"
                " (on this machine: http://localhost)"
            )
        return Site(host, f"{parts.scheme}://{parts.netloc}")


Gone = Callable[[], Awaitable[object]]


class Passkeys:
    """The passkeys kept in PostgreSQL."""

    def __init__(self, pool: sql.Pool, challenges: Challenges, gone: Gone) -> None:
        """`gone` is told when passkeys were taken away: `service.passkey_gone` says which."""
        self._pool, self._challenges, self._gone = pool, challenges, gone

    # -- enrolment -----------------------------------------------------------------------------

    async def offer(self, person: Person, site: Site) -> str:
        """Return the options (JSON) with which a browser makes a new passkey for `person`."""
        options = webauthn.generate_registration_options(
            rp_id=site.rp,
            rp_name="Stafett",
            user_id=hashlib.sha256(f"stafett person {person.id}".encode()).digest(),
            user_name=person.login,
            user_display_name=person.name,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=VERIFIED
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(known.id))
                for known in await self.of(person)
            ],
        )
        await self._challenges.ask("enrol", person.id, {}, bytes_to_base64url(options.challenge))
        return str(webauthn.options_to_json(options))

    async def enrol(
        self, person: Person, name: str, credential: dict[str, Any], site: Site
    ) -> Passkey:
        """Keep the passkey that a browser made. Raises PasskeyRefused."""
        challenge = _challenge(_part(credential, "response", "clientDataJSON"))
        asked = await self._challenges.take("enrol", challenge)
        if asked is None or asked[0] != person.id:
            raise PasskeyRefused("this enrolment was not begun here, or took too long: begin again")
        try:
            made = webauthn.verify_registration_response(
                credential=credential,
                expected_challenge=base64url_to_bytes(challenge),
                expected_rp_id=site.rp,
                expected_origin=site.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise PasskeyRefused(f"the browser's answer does not hold: {error}") from None
        added = await sql.done(
            self._pool,
            "INSERT INTO service.passkey (credential, person, public_key, sign_count, name)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (made.credential_id, person.id, made.credential_public_key, made.sign_count, name),
        )
        if added == 0:
            raise PasskeyRefused("this passkey is enrolled already")
        found = await self.of(person)
        return next(k for k in found if k.id == bytes_to_base64url(made.credential_id))

    async def of(self, person: Person) -> list[Passkey]:
        """Return the person's passkeys, the oldest first."""
        found = await sql.rows(
            self._pool,
            "SELECT credential, name, added, used FROM service.passkey WHERE person = %s"
            " ORDER BY added",
            (person.id,),
        )
        return [Passkey(bytes_to_base64url(bytes(row[0])), *row[1:]) for row in found]

    async def remove(self, person: Person, id: str) -> bool:
        """Take a passkey away; say whether there was one. What it has signed stays verifiable."""
        return await self._remove(person, _bytes(id)) > 0

    async def remove_all(self, person: Person) -> None:
        """Take every passkey of a person away."""
        await self._remove(person, None)

    async def _remove(self, person: Person, which: bytes | None) -> int:
        """Take passkeys away, and write down that the record is to say so: both or neither."""
        gone = await sql.done(
            self._pool,
            "WITH gone AS (DELETE FROM service.passkey WHERE person = %s"
            " AND (%s::bytea IS NULL OR credential = %s) RETURNING public_key)"
            " INSERT INTO service.passkey_gone (organisation, public_key)"
            " SELECT %s, public_key FROM gone",
            (person.id, which, which, person.organisation),
        )
        if gone:
            await self._gone()
        return gone

    # -- signing in and signing ----------------------------------------------------------------

    async def ask(self, site: Site) -> str:
        """Return the options (JSON) with which a browser offers the passkeys it has."""
        options = webauthn.generate_authentication_options(
            rp_id=site.rp, user_verification=VERIFIED
        )
        await self._challenges.ask("passkey", None, {}, bytes_to_base64url(options.challenge))
        return str(webauthn.options_to_json(options))

    async def ask_signature(self, person: Person, digest: bytes, site: Site) -> str:
        """Return the options (JSON) with which `person` signs the bytes whose SHA-256 is given."""
        own = await self.of(person)
        if not own:
            todo = "one is made on the page of one's account"
            raise PasskeyRefused(f"{person.name} has no passkey: {todo}")
        options = webauthn.generate_authentication_options(
            rp_id=site.rp,
            challenge=digest,
            user_verification=VERIFIED,
            allow_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(key.id)) for key in own
            ],
        )
        return str(webauthn.options_to_json(options))

    async def who(self, assertion: Assertion, site: Site) -> str:
        """Return the person whose passkey answered a question of `ask`. Raises PasskeyRefused."""
        challenge = _challenge(assertion.client_data)
        if await self._challenges.take("passkey", challenge) is None:
            raise PasskeyRefused("this sign-in was not begun here, or took too long: begin again")
        person, _ = await self._verify(assertion, base64url_to_bytes(challenge), site)
        return person

    async def sign(self, person: Person, assertion: Assertion, digest: bytes, site: Site) -> Proof:
        """Return the proof that `person` signed the bytes of this digest. Raises PasskeyRefused.

        An assertion answers the challenge of one act at one place of the record. That it does not
        do so twice is for the record: the same act is there once (its key), and the place is taken.
        """
        if base64url_to_bytes(_challenge(assertion.client_data)) != digest:
            raise PasskeyRefused("what was signed is not what would be recorded: sign again")
        owner, public_key = await self._verify(assertion, digest, site)
        if owner != person.id:
            raise PasskeyRefused("it is another person's passkey")
        return Proof(
            credential=assertion.credential,
            public_key=bytes_to_base64url(public_key),
            authenticator_data=assertion.authenticator_data,
            client_data=assertion.client_data,
            signature=assertion.signature,
            rp=site.rp,
        )

    async def _verify(
        self, assertion: Assertion, challenge: bytes, site: Site
    ) -> tuple[str, bytes]:
        found = await sql.row(
            self._pool,
            "SELECT k.person, k.public_key, k.sign_count FROM service.passkey k"
            " JOIN service.person p ON p.id = k.person WHERE k.credential = %s AND p.active",
            (_bytes(assertion.credential),),
        )
        if found is None:
            raise PasskeyRefused("this passkey is not known here")
        try:
            holds = webauthn.verify_authentication_response(
                credential=as_credential(assertion),
                expected_challenge=challenge,
                expected_rp_id=site.rp,
                expected_origin=site.origin,
                credential_public_key=bytes(found[1]),
                credential_current_sign_count=found[2],
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise PasskeyRefused(f"the passkey's answer does not hold: {error}") from None
        await sql.done(
            self._pool,
            "UPDATE service.passkey SET sign_count = %s, used = now() WHERE credential = %s",
            (holds.new_sign_count, _bytes(assertion.credential)),
        )
        return str(found[0]), bytes(found[1])


def _part(value: Any, *path: str) -> str:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _bytes(text: str) -> bytes:
    try:
        return base64url_to_bytes(text)
    except (ValueError, UnicodeError):
        raise PasskeyRefused("the credential is not base64url") from None


def _challenge(client_data: str) -> str:
    """Return the challenge that a browser says it answered."""
    try:
        return str(msgspec.json.decode(base64url_to_bytes(client_data))["challenge"])
    except (ValueError, UnicodeError, TypeError, KeyError, msgspec.MsgspecError):
        raise PasskeyRefused("the browser's answer cannot be read") from None
