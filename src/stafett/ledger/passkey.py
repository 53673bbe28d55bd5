"""A passkey's signature (WebAuthn Level 3, section 7.2): does it hold over these bytes?

The challenge that the authenticator answered is the SHA-256 of the bytes. Pure: what it needs is
with the signature, so it verifies years later without the service that asked for it. User
verification (a finger, a face, a PIN) is required.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

LOCAL = ("localhost", "127.0.0.1", "::1")


class Assertion(msgspec.Struct, frozen=True):
    """What an authenticator answered, each part in base64url; `rp` is the site it is bound to."""

    credential: str
    authenticator_data: str
    client_data: str
    signature: str
    rp: str


def why_not(assertion: Assertion, public_key: bytes, digest: bytes) -> str:
    """Say why `assertion` is no signature by `public_key` (COSE) over `digest`; "" if it is."""
    import webauthn
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        client = msgspec.json.decode(base64url_to_bytes(assertion.client_data))
        origin = str(client["origin"])
        host = origin.partition("://")[2].partition(":")[0]
        if host != assertion.rp and not host.endswith("." + assertion.rp):
            return f"it was signed at {origin}, not at {assertion.rp}"
        if not origin.startswith("https://") and host not in LOCAL:
            return f"it was signed at {origin}, over an open line"
        webauthn.verify_authentication_response(
            credential=as_credential(assertion),
            expected_challenge=digest,
            expected_rp_id=assertion.rp,
            expected_origin=origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (
        WebAuthnException, ValueError, TypeError, LookupError, msgspec.MsgspecError,
    ) as error:  # fmt: skip
        return f"the key does not verify it: {error}"
    return ""


def holds(public_key: bytes, signature: Mapping[str, Any], signed: bytes) -> bool:
    """Whether a leaf's `signature` member is a passkey's over the bytes `signed`."""
    parts = {name: signature.get(name) for name in Assertion.__struct_fields__}
    try:
        assertion = msgspec.convert(parts | {"signature": signature.get("value")}, Assertion)
    except msgspec.ValidationError:
        return False
    return not why_not(assertion, public_key, hashlib.sha256(signed).digest())


def is_key(public_key: bytes) -> bool:
    """Whether `public_key` is a COSE key that passkeys sign with."""
    from webauthn.helpers import decode_credential_public_key
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        decode_credential_public_key(public_key)
    except (WebAuthnException, ValueError, TypeError, LookupError):
        return False
    return True


def as_credential(assertion: Any) -> dict[str, Any]:
    """Return an assertion in the form that the WebAuthn library reads."""
    return {
        "id": assertion.credential,
        "rawId": assertion.credential,
        "type": "public-key",
        "response": {
            "authenticatorData": assertion.authenticator_data,
            "clientDataJSON": assertion.client_data,
            "signature": assertion.signature,
        },
    }
