"""RFC 8785 (JSON Canonicalization Scheme): the one way to write a JSON value as bytes.

Most bodies hold nothing but text with plain keys, whole numbers, true, false and null; for those
msgspec's sorted output is already canonical and fifty times faster than the reference. Everything
else goes to `rfc8785`.
"""

from __future__ import annotations

import msgspec
import rfc8785

_encode = msgspec.json.Encoder(order="sorted").encode
_AS_THEY_ARE = frozenset({str, bool, type(None)})
_LARGEST = 2**53 - 1  # RFC 8785 section 3.2.2.3: what an IEEE 754 double holds exactly


class NotCanonical(ValueError):
    """The value has no canonical JSON form."""


def canonical(value: object) -> bytes:
    """Return the RFC 8785 bytes of `value` (dict, list, tuple, str, int, float, bool, None).

    Raises NotCanonical for anything else, for NaN and infinities, for integers beyond 2**53 - 1,
    for keys that are not text and for text with lone surrogates.
    """
    try:
        if _plain(value):
            return _encode(value)
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical(f"not canonical JSON: {error or type(error).__name__}") from None


def text(value: str) -> bytes:
    """Return the RFC 8785 bytes of a text. Raises NotCanonical for lone surrogates."""
    try:
        return _encode(value)
    except UnicodeEncodeError as error:
        raise NotCanonical(f"not canonical JSON: {error}") from None


def _plain(value: object) -> bool:
    """Whether msgspec writes `value` canonically (exact types: subclasses may print otherwise)."""
    kind = type(value)
    if kind is dict:
        for key, inner in value.items():  # type: ignore[attr-defined]
            # ASCII keys sort alike by code point and by UTF-16 unit (RFC 8785 section 3.2.3).
            if type(key) is not str or not key.isascii():
                return False
            if type(inner) not in _AS_THEY_ARE and not _plain(inner):
                return False
        return True
    if kind in _AS_THEY_ARE:
        return True
    if kind is int:
        return -_LARGEST <= value <= _LARGEST  # type: ignore[operator]
    if kind is list or kind is tuple:
        return all(type(inner) in _AS_THEY_ARE or _plain(inner) for inner in value)  # type: ignore[attr-defined]
    return False
