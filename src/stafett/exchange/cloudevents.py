"""CloudEvents 1.0: the envelope in which events leave, structured and binary, and its signature.

Source: CloudEvents 1.0.2 (JSON format; HTTP protocol binding §3.1 binary, §3.2 structured). The
signature is ours: `Stafett-Signature: t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA256 with the
subscriber's secret over `<t>.<ce-id>.<body>`. The receiver refuses what is older than it tolerates,
so that a copied message is worth little.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from stafett.protocol.fit import plain

SPEC: Final = "1.0"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
TOLERANCE_S: Final = 300
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


class CloudEvent(msgspec.Struct, frozen=True):
    """One event: `id` is unique within `source`; `extensions` have lower-case names and texts."""

    id: str
    source: str
    type: str
    time: datetime
    data: Any
    subject: str | None = None
    dataschema: str | None = None
    extensions: dict[str, str] = {}

    def __post_init__(self) -> None:
        for name in ("id", "source", "type"):
            if not getattr(self, name):
                raise ValueError(f"a CloudEvent needs a {name}")
        if self.time.tzinfo is None:
            raise ValueError("the time of a CloudEvent has a zone")
        for name in self.extensions:
            if not name or not set(name) <= _NAME or len(name) > 20:
                raise ValueError(f"{name!r}: names of extensions are a-z and 0-9, at most 20")


class Message(msgspec.Struct, frozen=True):
    """What is sent over HTTP."""

    headers: dict[str, str]
    body: bytes


def _attributes(event: CloudEvent) -> dict[str, str]:
    out = {"specversion": SPEC, "id": event.id, "source": event.source, "type": event.type}
    out["time"] = event.time.isoformat()
    if event.subject is not None:
        out["subject"] = event.subject
    if event.dataschema is not None:
        out["dataschema"] = event.dataschema
    return {**out, **event.extensions}


def structured(event: CloudEvent) -> Message:
    """Write the event as one JSON document."""
    body = {**_attributes(event), "datacontenttype": "application/json", "data": event.data}
    return Message({"content-type": STRUCTURED}, msgspec.json.encode(body))


def binary(event: CloudEvent) -> Message:
    """Write the attributes as headers and the data as the body."""
    headers = {"content-type": "application/json"}
    for name, value in _attributes(event).items():
        # §3.1.3.2: what is not printable ASCII, and the quote and percent signs, are escaped.
        headers[f"ce-{name}"] = quote(value, safe="!#$&'()*+,/:;<=>?@[\\]^`{|}~")
    return Message(headers, msgspec.json.encode(event.data))


def read(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """Read a message in either mode; ValueError if it is none."""
    names = {k.lower(): v for k, v in headers.items()}
    try:
        if names.get("content-type", "").split(";")[0].strip() == STRUCTURED:
            given = msgspec.json.decode(body, type=dict[str, Any])
            data = given.pop("data", None)
            given.pop("datacontenttype", None)
        else:
            given = {k[3:]: unquote(v) for k, v in names.items() if k.startswith("ce-")}
            data = msgspec.json.decode(body)
        if given.pop("specversion", None) != SPEC:
            raise ValueError(f"no CloudEvent of version {SPEC}")
        known = {k: given.pop(k, None) for k in ("id", "source", "type", "subject", "dataschema")}
        moment = datetime.fromisoformat(str(given.pop("time")))
        extensions = {str(k): str(v) for k, v in given.items()}
        return CloudEvent(**known, time=moment, data=data, extensions=extensions)
    except KeyError as absent:
        raise ValueError(f"the CloudEvent has no {absent}") from None
    except msgspec.MsgspecError as wrong:
        raise ValueError(f"the CloudEvent cannot be read: {plain(wrong)}") from None


def sign(secret: str, identifier: str, body: bytes, at: float | None = None) -> str:
    """Give the value of `Stafett-Signature` for a message; `at` is in Unix seconds (now)."""
    moment = int(time.time() if at is None else at)
    return f"t={moment},v1={_mac(secret, moment, identifier, body)}"


def check(
    secret: str,
    identifier: str,
    body: bytes,
    signature: str,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """Check a signature as a receiver does; ValueError says what is wrong with it."""
    parts = dict(p.partition("=")[::2] for p in signature.split(","))
    moment = parts.get("t", "")
    if not moment.isascii() or not moment.isdigit() or len(moment) > 12:
        raise ValueError("the signature carries no time")
    if not hmac.compare_digest(
        parts.get("v1", "").encode(), _mac(secret, int(moment), identifier, body).encode()
    ):
        raise ValueError("the signature is not of this message")
    if abs((time.time() if now is None else now) - int(moment)) > tolerance_s:
        raise ValueError("the signature is too old or from the future")


def _mac(secret: str, moment: int, identifier: str, body: bytes) -> str:
    text = f"{moment}.{identifier}.".encode() + body
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
