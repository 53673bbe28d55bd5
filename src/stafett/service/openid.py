"""Signing in by an organisation's own identity provider (OpenID Connect Core 1.0, code flow).

Authorisation code with PKCE (RFC 7636), state bound to the browser, nonce in the ID token, keys
from the provider's own JWKS. A provider vouches for one organisation's people only. Which account
there is which person here, an administrator of that organisation says: nothing is matched by name
or e-mail, which others might be able to choose.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from stafett.service import sql
from stafett.service.accounts import Accounts, Person
from stafett.service.administration import check_slug
from stafett.service.challenges import Challenges
from stafett.service.changes import Changes
from stafett.service.factors import Box
from stafett.service.master import Master
from stafett.service.refusal import No, Reason, unknown
from stafett.service.sessions import digest

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]  # never `none`, never a shared secret
KEPT_S = 600.0
TIMEOUT_S = 8.0
MOST = 500_000
LEEWAY_S = 60


class Provider(msgspec.Struct, frozen=True):
    """An identity provider, and the organisation whose people it vouches for."""

    id: str
    organisation: str
    name: str
    issuer: str
    client: str
    active: bool = True


class Identity(msgspec.Struct, frozen=True):
    """An account at a provider; `person` is None until an administrator has linked it."""

    provider: str
    subject: str
    person: str | None
    name: str
    seen: datetime


class ProviderRefused(Exception):
    """The provider, or what came back from it, cannot be relied on. Nothing was opened."""


class NotLinked(Exception):
    """The account at the provider is real, and no administrator has said yet whose it is."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(f"your account at {provider.name} is not linked to a person here yet")
        self.provider = provider


@dataclass(frozen=True)
class Begun:
    """Send the browser to `url`; it keeps `binding` until it comes back."""

    url: str
    binding: str


@dataclass
class _Known:
    about: dict[str, Any]
    keys: KeySet
    looked: float


class Providers:
    """The providers kept in PostgreSQL, and the conversations with them."""

    def __init__(
        self,
        pool: sql.Pool,
        accounts: Accounts,
        changes: Changes,
        challenges: Challenges,
        master: Master,
    ) -> None:
        self._pool, self._accounts, self._changes = pool, accounts, changes
        self._challenges, self._box = challenges, Box(master, "provider")
        self._known: dict[str, _Known] = {}

    # -- administration ------------------------------------------------------------------------

    async def all(self, *, active: bool = False) -> list[Provider]:
        """Return every provider, or those in use."""
        found = await sql.rows(
            self._pool, _SELECT + " WHERE active OR NOT %s ORDER BY name", (active,)
        )
        return [Provider(*row) for row in found]

    async def put(self, by: Person, new: Provider, secret: str, reason: str) -> None:
        """Add or change a provider; an empty `secret` keeps the old one. Raises No."""
        check_slug("id", new.id)
        if new.organisation not in await self._accounts.organisations():
            raise unknown("organisation", new.organisation)
        if not _safe(new.issuer):
            what = f"{new.issuer!r} is no address of an issuer"
            todo = "https, a host, no query (http on this machine only)"
            raise No("bad-value", "No issuer", Reason("issuer", what, todo))
        old = next((p for p in await self.all() if p.id == new.id), None)
        if old is None and not secret:
            raise No("bad-value", "No secret", Reason("secret", "a new provider has one"))
        if old is not None and old.organisation != new.organisation:
            what = "a provider stays with its organisation: its accounts are linked there"
            raise No("taken", "Another organisation's", Reason("organisation", what, "add another"))
        what = "provider changed" if old else "provider added"
        async with self._changes.making(by, what, new.id, reason, old, new) as connection:
            sealed = await self._box.seal(connection, secret, new.id) if secret else b""
            await connection.execute(
                "INSERT INTO service.provider (id, organisation, name, issuer, client, active,"
                " secret) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET"
                " name = EXCLUDED.name, issuer = EXCLUDED.issuer, client = EXCLUDED.client,"
                " active = EXCLUDED.active, secret = CASE WHEN EXCLUDED.secret = ''"
                " THEN service.provider.secret ELSE EXCLUDED.secret END",
                (*msgspec.structs.astuple(new), sealed),
            )
        self._known.clear()

    async def identities(self, organisation: str) -> list[Identity]:
        """Return the accounts seen at an organisation's providers, the unlinked ones first."""
        found = await sql.rows(
            self._pool,
            "SELECT i.provider, i.subject, i.person, i.name, i.seen FROM service.identity i"
            " JOIN service.provider p ON p.id = i.provider WHERE p.organisation = %s"
            " ORDER BY i.person IS NOT NULL, i.seen DESC",
            (organisation,),
        )
        return [Identity(*row) for row in found]

    async def link(
        self, by: Person, provider: str, subject: str, person: str | None, reason: str
    ) -> None:
        """Say whose account it is (None: nobody's any more). Raises No."""
        own = await self.identities(by.organisation)
        identity = next((i for i in own if (i.provider, i.subject) == (provider, subject)), None)
        if identity is None:
            raise unknown("identity", subject)
        if person is not None:
            who = await self._accounts.person(person)
            if who is None or who.organisation != by.organisation:
                raise unknown("person", person)
        what = "identity linked" if person else "identity unlinked"
        after = {"person": person}
        async with self._changes.making(
            by, what, f"{provider}: {subject}", reason, {"person": identity.person}, after
        ) as connection:
            await connection.execute(
                "UPDATE service.identity SET person = %s WHERE provider = %s AND subject = %s",
                (person, provider, subject),
            )

    def forget(self) -> None:
        """Drop what is held in memory of the providers; they are asked again."""
        self._known.clear()

    # -- signing in ----------------------------------------------------------------------------

    async def begin(self, name: str, back: str, next_: str) -> Begun:
        """Begin a sign-in; the provider sends the browser to `back`. Raises ProviderRefused."""
        provider = await self._provider(name)
        about = (await self._about(provider)).about
        binding, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        nonce = secrets.token_urlsafe(24)
        state = await self._challenges.ask(
            "provider",
            None,
            {"provider": name, "nonce": nonce, "verifier": verifier, "next": next_, "back": back,
             "browser": digest(binding).hex()},
        )  # fmt: skip
        query = {
            "response_type": "code",
            "client_id": provider.client,
            "redirect_uri": back,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        url = str(add_params_to_uri(about["authorization_endpoint"], list(query.items())))
        return Begun(url, binding)

    async def finish(self, state: str, code: str, binding: str) -> tuple[Person, Provider, str]:
        """Return who came back, by which provider, and where they wanted to go.

        Raises ProviderRefused, NotLinked.
        """
        asked = await self._challenges.take("provider", state)
        if asked is None or asked[1]["browser"] != digest(binding).hex():
            raise ProviderRefused("this sign-in was not begun in this browser, or took too long")
        given = asked[1]
        provider = await self._provider(given["provider"])
        token = await self._token(provider, code, given)
        claims = await self._claims(provider, token, given["nonce"])
        subject = str(claims["sub"])[:255]
        row = await sql.row(
            self._pool,
            "INSERT INTO service.identity (provider, subject, name) VALUES (%s, %s, %s)"
            " ON CONFLICT (provider, subject) DO UPDATE SET seen = now() RETURNING person",
            (provider.id, subject, _printable(claims.get("name"))),
        )
        person = await self._accounts.person(row[0]) if row[0] else None
        if person is None or person.organisation != provider.organisation:
            raise NotLinked(provider)
        if person.id not in {p.id for p in await self._accounts.people(person.organisation)}:
            raise ProviderRefused("your account here is suspended: ask your administrator")
        return person, provider, str(given["next"])

    async def _provider(self, name: str) -> Provider:
        found = next((p for p in await self.all(active=True) if p.id == name), None)
        if found is None:
            raise ProviderRefused("there is no such provider")
        return found

    async def _about(self, provider: Provider, *, anew: bool = False) -> _Known:
        """Return the provider's own description and keys, kept for KEPT_S."""
        known = self._known.get(provider.id)
        if known is not None and not anew and time.monotonic() - known.looked < KEPT_S:
            return known
        address = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
        about = await self._json("GET", address)
        if about.get("issuer") != provider.issuer:
            raise ProviderRefused(f"{provider.issuer} says that it is {about.get('issuer')!r}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(about.get(name), str) or not _safe(about[name], query=True):
                raise ProviderRefused(f"{provider.issuer} gives no safe {name}")
        try:
            keys = KeySet.import_key_set(await self._json("GET", about["jwks_uri"]))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderRefused(f"the keys of {provider.issuer} cannot be read") from error
        known = self._known[provider.id] = _Known(about, keys, time.monotonic())
        return known

    async def _token(self, provider: Provider, code: str, given: dict[str, Any]) -> str:
        about = (await self._about(provider)).about
        row = await sql.row(
            self._pool, "SELECT secret FROM service.provider WHERE id = %s", (provider.id,)
        )
        answer = await self._json(
            "POST",
            about["token_endpoint"],
            auth=(provider.client, self._box.open(bytes(row[0]), provider.id)),
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": given["back"],
                "code_verifier": given["verifier"],
            },
        )
        if not isinstance(answer.get("id_token"), str):
            raise ProviderRefused(f"{provider.name} gave no ID token")
        return str(answer["id_token"])

    async def _claims(self, provider: Provider, token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token that holds (OpenID Connect Core, 3.1.3.7)."""
        rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": provider.issuer},
            sub={"essential": True},
            aud={"essential": True, "value": provider.client},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        for anew in (False, True):  # a key that is new since we looked
            keys = (await self._about(provider, anew=anew)).keys
            try:
                decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
                rules.validate(decoded.claims)
            except (JoseError, ValueError, KeyError, TypeError) as error:
                wrong = error
                continue
            claims = dict(decoded.claims)
            azp = claims.get("azp")
            if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and azp is None:
                raise ProviderRefused("the ID token is for several, and does not say for whom")
            if azp is not None and azp != provider.client:
                raise ProviderRefused("the ID token was made for another application")
            return claims
        raise ProviderRefused(f"the ID token of {provider.name} does not hold: {wrong}")

    async def _json(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """Ask the provider; answers that are no JSON object, too long or redirects are refused."""
        try:
            async with (
                httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as http,
                http.stream(method, url, headers={"Accept": "application/json"}, **more) as answer,
            ):
                data = b""
                async for chunk in answer.aiter_bytes():
                    data += chunk
                    if len(data) > MOST:
                        raise ProviderRefused(f"{url} answers too much")
            value = msgspec.json.decode(data)
        except (httpx.HTTPError, msgspec.MsgspecError, httpx.InvalidURL) as error:
            raise ProviderRefused(f"{urlsplit(url).netloc} cannot be asked: {error}") from None
        if answer.status_code != 200 or not isinstance(value, dict):
            said = value.get("error", "") if isinstance(value, dict) else ""
            where = urlsplit(url).netloc
            raise ProviderRefused(f"{where} answers {answer.status_code} {_printable(said)}")
        return value


def _safe(url: str, *, query: bool = False) -> bool:
    parts = urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    scheme = parts.scheme == "https" or (parts.scheme == "http" and local)
    plain = not parts.fragment and parts.username is None and (query or not parts.query)
    return bool(scheme and parts.hostname and plain and url.isprintable() and len(url) < 500)


def _printable(value: Any) -> str:
    return "".join(c for c in str(value or "") if c.isprintable())[:100]


_SELECT = "SELECT id, organisation, name, issuer, client, active FROM service.provider"
