"""Authors' signatures: each event carries the signature of the organisation that it is from.

What is signed is the *statement*, the RFC 8785 form of what the author knows before the event has a
place:

    {"act": ..., "audience": ..., "author": ..., "body": ..., "kind": ..., "leaf": 1,
     "occurred_at": ..., "stream": ...}

which is the leaf without `recorded_at`, `salt`, `signature` and `version`, and with `act`: the
submission's idempotency key and the draft's number in it ("k#0"), so that nobody can record a
signed statement twice. The leaf's `signature` member is

    {"act": ..., "alg": "Ed25519", "key": key id, "value": base64}

**Keys are events themselves**, in the stream `record/keys`, for everyone to read: whoever holds the
record can check every signature in it, and see which key was valid where. A new key is vouched for
by the organisation's old one (which it may retire) and proves by its own signature that somebody
holds it. An organisation's first key vouches for itself; so does one that replaces a *lost* key,
and that is told to everyone (`Keys.unvouched`).

From the moment an organisation has a key, an event in its name without a valid signature is
refused.

A person's **passkey** can be such a key too (`alg` "WebAuthn"): the challenge that it answered is
the SHA-256 of the statement, and `authenticator_data`, `client_data`, `credential` and `rp` stand
beside `value`, in base64url (see `passkey`). Its registration needs no `proof`, for enrolling it
showed that somebody holds it; but one of the organisation's own keys must vouch for it, and say by
`holder` whose it is. It signs nobody else's events, and an event `AuthorKeyRetired` (`key`,
`reason`), signed by one of the organisation's own keys, takes it away. See `person`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import structs

from stafett.ledger import leaf as leaves
from stafett.ledger import note, passkey
from stafett.ledger.canonical import canonical, text
from stafett.ledger.event import Author, Draft, Refused, Submission
from stafett.ledger.note import BadNote

STREAM = "record/keys"
REGISTERED = "AuthorKeyRegistered"
RETIRED = "AuthorKeyRetired"
EVERYONE = "*"
SIGNED = ("audience", "author", "body", "kind", "leaf", "occurred_at", "stream")
_TAIL = b',"recorded_at":"'


class BadSignature(Refused, ValueError):
    """An event's signature is missing, or does not hold; the text says why."""


class BadKey(ValueError):
    """An event of `record/keys` that registers no key: nothing is learnt from it."""


def statement(before: bytes, stream: bytes, act: str) -> bytes:
    """Return what the author signs, from the leaf's part up to `recorded_at`.

    `stream` is the stream's name as JSON. The slow form of the same is `statement_of`.
    """
    return b'{"act":%b,%b,"stream":%b}' % (text(act), before[1 : -len(_TAIL)], stream)


def statement_of(leaf: Mapping[str, Any], act: str) -> bytes:
    """Return what was signed, from a leaf that was read back."""
    return canonical({"act": act, **{name: leaf[name] for name in SIGNED}})


def statements(submission: Submission) -> Iterator[tuple[str, bytes]]:
    """Yield for each draft its act, and what its author signs. Raises NotCanonical."""
    heading = leaves.heading(submission.audience, submission.author)
    stream = text(submission.stream)
    for number, draft in enumerate(submission.drafts):
        act = act_of(submission.key, number)
        yield act, statement(heading + leaves.middle(draft), stream, act)


def key_id(organisation: str, algorithm: str, public: bytes) -> str:
    """Return the name of a key: 16 hexadecimal digits."""
    whole = canonical([organisation, algorithm, note.encode(public)])
    return hashlib.sha256(whole).hexdigest()[:16]


def holder_of(organisation: str, person: str, public: bytes) -> str:
    """Return what `record/keys` says of a passkey's holder: their login is not shown to everyone.

    Whoever may read an event of theirs knows the login, and can tell that it is they.
    """
    whole = canonical([organisation, person, note.encode(public)])
    return hashlib.sha256(whole).hexdigest()


@lru_cache(maxsize=4096)
def _public(key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(key)


# Signatures that this process has just made (`Signer.sign_here`): value → key and SHA-256 of what
# was signed. Checking one costs 130 microseconds; that these are the very bytes that the key has
# signed a moment ago is known already. Each is believed once.
_just_made: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()
MADE_HERE = 4_096


def made_here(signature: Mapping[str, Any]) -> bool:
    """Say whether this process has just made that signature, so that its check costs little."""
    return str(signature.get("value")) in _just_made


def _ed25519(public: bytes, signature: Mapping[str, Any], signed: bytes) -> bool:
    made = _just_made.pop(str(signature.get("value")), None)
    if made is not None and made == (public, hashlib.sha256(signed).digest()):
        return True
    try:
        value = note.decode(str(signature.get("value")), "the signature")
        _public(public).verify(value, signed)
    except (InvalidSignature, BadNote, ValueError):
        return False
    return True


PASSKEY = "WebAuthn"
ALGORITHMS: dict[str, Callable[[bytes, Mapping[str, Any], bytes], bool]] = {
    "Ed25519": _ed25519,
    PASSKEY: passkey.holds,
}


@dataclass(frozen=True, slots=True)
class Key:
    """An organisation's key, valid from position `since` to `until` (None: still)."""

    organisation: str
    id: str
    algorithm: str
    public: bytes
    since: int
    until: int | None = None
    holder: str = ""
    """Whose passkey it is (see `holder_of`); "" for an organisation's own key."""

    @property
    def is_persons(self) -> bool:
        """Whether it is a person's passkey: it signs events, and vouches for no key."""
        return self.algorithm == PASSKEY


@dataclass(slots=True)
class Keys:
    """The keys of all organisations, as the events of `record/keys` tell of them."""

    known: dict[str, Key] = field(default_factory=dict)
    now: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Organisation → the ids of its active keys."""
    unvouched: list[Key] = field(default_factory=list)
    """Keys that replaced a lost one: nothing but their own signature speaks for them."""

    def copy(self) -> Keys:
        """Return a copy that can learn without changing this one."""
        return Keys(dict(self.known), dict(self.now), list(self.unvouched))

    def active(self, organisation: str) -> list[Key]:
        """Return the keys that `organisation` may sign with now."""
        return [self.known[name] for name in self.now.get(organisation, ())]

    def since(self) -> dict[str, int]:
        """Return from which position on each organisation signs everything."""
        found: dict[str, int] = {}
        for key in self.known.values():
            found[key.organisation] = min(key.since, found.get(key.organisation, key.since))
        return found

    def check(
        self, leaf: Mapping[str, Any], position: int | None = None, signed: bytes | None = None
    ) -> Key:
        """Return the key that signed `leaf`, valid at `position` (None: now).

        `signed` is the statement where the caller has it. Raises BadSignature.
        """
        signature = leaf.get("signature")
        organisation = str(leaf["author"]["organisation"])
        if not isinstance(signature, Mapping):
            raise BadSignature(f"the event is not signed by {organisation!r}")
        key = self.known.get(str(signature.get("key")))
        if key is None:
            raise BadSignature(f"it is signed with the key {signature.get('key')!r}: not known")
        if key.organisation != organisation:
            raise BadSignature(
                f"it is from {organisation!r} and signed with a key of {key.organisation!r}"
            )
        if key.is_persons and key.holder != holder_of(
            organisation, str(leaf["author"]["person"]), key.public
        ):
            raise BadSignature(f"the passkey {key.id} is not that of {leaf['author']['person']!r}")
        late = key.until is not None and (position is None or position > key.until)
        if late or (position is not None and position < key.since):
            raise BadSignature(f"the key {key.id} of {organisation!r} was not valid here")
        signed = signed or statement_of(leaf, str(signature.get("act")))
        verify = ALGORITHMS.get(str(signature.get("alg")))
        if key.algorithm != signature.get("alg") or verify is None:
            raise BadSignature(f"the key {key.id} does not sign with {signature.get('alg')!r}")
        if not verify(key.public, signature, signed):
            raise BadSignature(f"the signature of {organisation!r} (key {key.id}) does not hold")
        return key

    def learn(self, leaf: Mapping[str, Any], position: int, signed: bytes | None = None) -> Key:
        """Take in an event of `record/keys`; return the key that it is about. Raises BadKey."""
        if leaf.get("kind") == RETIRED:
            return self._retire(leaf, position, signed)
        key, retires, lost = _registered(leaf, position)
        if key.id in self.known:
            raise BadKey(f"the key {key.id} is registered already")
        body: Mapping[str, Any] = leaf["body"]
        claim = canonical({name: body[name] for name in ("organisation", "algorithm", "public")})
        own = Keys({key.id: replace(key, since=0)})
        if key.algorithm != PASSKEY and not ALGORITHMS[key.algorithm](
            key.public, {"value": body.get("proof")}, claim
        ):
            raise BadKey(f"nobody has shown to hold the key {key.id}: its own signature is wrong")
        active = {known.id for known in self.active(key.organisation)}
        gone = {*retires, *lost}
        if not gone <= active:
            raise BadKey(f"{min(gone - active)} is no active key of {key.organisation!r}")
        persons = {known.id for known in self.active(key.organisation) if known.is_persons}
        vouched = bool(active - persons - set(lost))
        if key.algorithm == PASSKEY and not vouched:
            raise BadKey(f"no key of {key.organisation!r} vouches for the passkey {key.id}")
        try:
            by = (self if vouched else own).check(leaf, None, signed)
        except BadSignature as error:
            raise BadKey(str(error)) from None
        if by.is_persons:
            raise BadKey(f"the passkey {by.id} speaks for a person and vouches for no key")
        for name in gone:
            self.known[name] = replace(self.known[name], until=position)
        self.known[key.id] = key
        self.now[key.organisation] = (*sorted(active - gone), key.id)
        if lost and not vouched:
            self.unvouched.append(key)
        return key

    def _retire(self, leaf: Mapping[str, Any], position: int, signed: bytes | None) -> Key:
        """Take a passkey away. Raises BadKey."""
        owner, name = str(leaf["author"]["organisation"]), str(leaf["body"].get("key"))
        key = self.known.get(name)
        if key is None or key.organisation != owner or not key.is_persons or key.until is not None:
            raise BadKey(f"{name} is no active passkey of {owner!r}")
        try:
            by = self.check(leaf, None, signed)
        except BadSignature as error:
            raise BadKey(str(error)) from None
        if by.is_persons:
            raise BadKey(f"the passkey {by.id} speaks for a person and takes no key away")
        self.known[name] = replace(key, until=position)
        self.now[owner] = tuple(one for one in self.now[owner] if one != name)
        return self.known[name]


def _registered(leaf: Mapping[str, Any], position: int) -> tuple[Key, list[str], list[str]]:
    try:
        body = leaf["body"]
        organisation, algorithm = body["organisation"], body["algorithm"]
        public = note.decode(body["public"], "the public key")
        retires, lost = list(body.get("retires", ())), list(body.get("lost", ()))
        author = leaf["author"]["organisation"]
    except (KeyError, TypeError, BadNote) as error:
        raise BadKey(f"position {position} registers no key: {error!r}") from None
    if leaf.get("kind") != REGISTERED or leaf.get("stream") != STREAM:
        raise BadKey(f"position {position} registers no key: {leaf.get('kind')!r}")
    if author != organisation:
        raise BadKey(f"{author!r} registers a key for {organisation!r}")
    fits = passkey.is_key(public) if algorithm == PASSKEY else len(public) == 32
    if algorithm not in ALGORITHMS or not fits:
        raise BadKey(f"the algorithm {algorithm!r} with a key of {len(public)} bytes")
    if body.get("key") != key_id(organisation, algorithm, public):
        raise BadKey(f"{body.get('key')!r} is not the name of this key")
    holder = str(body.get("holder", "")) if algorithm == PASSKEY else ""
    if algorithm == PASSKEY and not holder:
        raise BadKey(f"it does not say whose passkey {body['key']} is")
    key = Key(organisation, str(body["key"]), algorithm, public, position, None, holder)
    return key, [str(one) for one in retires], [str(one) for one in lost]


class Signer:
    """An organisation's private key, kept as an Ed25519 seed of 32 bytes."""

    def __init__(self, organisation: str, seed: bytes) -> None:
        self.organisation, self.seed = organisation, seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()
        self.id = key_id(organisation, "Ed25519", self.public)

    def sign(self, submission: Submission) -> Submission:
        """Return the submission with each draft signed that is not yet. Raises NotCanonical."""
        return self._sign(submission, remember=False)

    def sign_here(self, submission: Submission) -> Submission:
        """Sign what this very process appends: its check need not compute the signature again."""
        return self._sign(submission, remember=True)

    def _sign(self, submission: Submission, *, remember: bool) -> Submission:
        signed = []
        for draft, (act, what) in zip(submission.drafts, statements(submission), strict=True):
            if draft.signature is not None:  # a person's passkey signed it
                signed.append(draft)
                continue
            value = note.encode(self._private.sign(what))
            if remember:
                _just_made[value] = self.public, hashlib.sha256(what).digest()
                while len(_just_made) > MADE_HERE:
                    _just_made.popitem(last=False)
            signature = {"act": act, "alg": "Ed25519", "key": self.id, "value": value}
            signed.append(structs.replace(draft, signature=signature))
        return structs.replace(submission, drafts=signed)

    def registration(
        self,
        *,
        retires: Signer | None = None,
        lost: tuple[str, ...] = (),
        reason: str = "first key",
        at: datetime | None = None,
    ) -> Submission:
        """Return the signed submission that registers this key.

        `retires` is the key that vouches for it and is not used any more; `lost` are the ids of
        keys that nobody holds any more.
        """
        claim = {
            "organisation": self.organisation, "algorithm": "Ed25519",
            "public": note.encode(self.public),
        }  # fmt: skip
        body = {
            **claim, "key": self.id, "proof": note.encode(self._private.sign(canonical(claim))),
            "reason": reason,
            **({"retires": [retires.id]} if retires else {}),
            **({"lost": list(lost)} if lost else {}),
        }  # fmt: skip
        made = Submission(
            stream=STREAM,
            expected_version=None,
            drafts=[Draft(REGISTERED, body, at or datetime.now(UTC))],
            audience=[EVERYONE],
            author=Author(self.organisation, None),
            key=f"key.{self.id}",
            request_hash=hashlib.sha256(self.public).digest(),
        )
        return (retires or self).sign(made)


def act_of(key: str, number: int) -> str:
    """Return the name of the `number`-th draft of the submission `key`."""
    return f"{key}#{number}"
