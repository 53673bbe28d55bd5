"""What a client may ask of a journey: the journey's commands without what only the service knows.

Who acts, for which organisation, when it was recorded and the signature itself are never taken from
the client: the session says who, the clock says when, the password or passkey is verified here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Union

import msgspec

from stafett.journey import command as commands
from stafett.protocol.model import LONGEST_NAME

# Filled in by the service; `signatures` from the password, `by` from the session.
OURS = frozenset({"by", "recorded_at", "signatures", "signature"})
ORDERED = "OpenJourney"

Key = Annotated[str, msgspec.Meta(min_length=8, max_length=80, pattern=r"^[A-Za-z0-9._:-]+$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME)]

# A moment without its zone is no moment: it is refused before the journey is asked.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_ZONED: dict[Any, Any] = {datetime: Moment, datetime | None: Moment | None}


def _asked(command: type[msgspec.Struct]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for field in msgspec.structs.fields(command):
        if field.name in OURS:
            continue
        kind = _ZONED.get(field.type, field.type)
        if field.required:
            fields.append((field.name, kind))
        elif field.default_factory is not msgspec.NODEFAULT:
            fields.append((field.name, kind, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, kind, field.default))
    return msgspec.defstruct(
        command.__name__,
        fields,
        module=__name__,
        namespace={"__doc__": command.__doc__},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        tag_field="type",
        tag=command.__name__,
    )


_KINDS: tuple[type[msgspec.Struct], ...] = commands.Command.__args__
ASKED: dict[str, type[msgspec.Struct]] = {
    kind.__name__: _asked(kind) for kind in _KINDS if kind.__name__ != ORDERED
}
# Every command that a client may send, told apart by `type`.
Asked: Any = Union[tuple(ASKED.values())]  # noqa: UP007


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A passkey's answer to what `.../signing` gave: it signs the very bytes of the act.

    `signed_at` is the moment that was shown, and that is part of those bytes.
    """

    credential: str
    authenticator_data: str
    client_data: str
    signature: str
    signed_at: Moment


class Colleague(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second person at the same station, who proves who they are with every act.

    By their `password`, or by the answer of their `passkey` to what `.../signing` gave for them.
    """

    login: Name
    password: str | None = None
    passkey: Signed | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command for one journey.

    `key` is made by the client, once per act: sending it again gives the same answer and does
    nothing twice. `role` is the protocol's role in which the person acts. `password` signs, where
    the act is signed, or `passkey` does. `colleague` acts instead of the person who is signed in.
    `sent_at` is what the sender's clock says as it sends: by it a clock that is wrong is seen.
    """

    key: Key
    role: Name
    command: Asked
    password: str | None = None
    passkey: Signed | None = None
    colleague: Colleague | None = None
    sent_at: Moment | None = None

    @property
    def proof(self) -> Signed | None:
        """The passkey's answer of whoever acts."""
        return self.passkey if self.colleague is None else self.colleague.passkey


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open a journey. `patient` are direct identifiers; they go to the hospital's vault only.

    `wristband` is the number that the patient's wristband carries. `coi` is given where somebody
    else has issued the chain-of-identity identifier already.
    """

    key: Key
    role: Name
    protocol: Name
    product: Name | None = None
    network: Name
    wristband: Annotated[str, msgspec.Meta(min_length=4, max_length=80)]
    patient: dict[str, str] = {}
    coi: str | None = None
