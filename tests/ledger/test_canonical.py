"""RFC 8785 bytes, against the reference implementation."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from stafett.ledger.canonical import NotCanonical, canonical

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(values)
def test_same_bytes_as_the_reference(value):
    """The quick way and the reference agree on every value."""
    assert canonical(value) == rfc8785.dumps(value)


def test_every_character_is_written_as_the_reference_does():
    """Escapes and raw characters agree over the whole basic plane."""
    for start in range(0, 0x10000, 0x400):
        text = "".join(chr(c) for c in range(start, start + 0x400) if not 0xD800 <= c < 0xE000)
        assert canonical({"t": text}) == rfc8785.dumps({"t": text})


def test_keys_sort_by_utf16_units():
    """RFC 8785 section 3.2.3: the example's keys come out in its order."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    order = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert canonical(dict.fromkeys(keys, 0)) == canonical_by_hand(order)


def canonical_by_hand(order: list[str]) -> bytes:
    """Write the object with these keys, in this order."""
    quoted = ("\\r" if key == "\r" else key for key in order)
    return ("{" + ",".join(f'"{key}":0' for key in quoted) + "}").encode()


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, -(2**53), {1: 2}, "\ud800", {"\udfff": 1}, b"x", object()],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_carry_is_refused(value):
    """Values without one canonical form raise NotCanonical."""
    with pytest.raises(NotCanonical):
        canonical([value])
