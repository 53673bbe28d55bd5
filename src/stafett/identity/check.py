"""Check characters and digits: ISO/IEC 7064 MOD 37-2, and the GS1 modulo 10.

Sources: ISO/IEC 7064 (pure system, modulus 37, radix 2) as used by ISBT 128 ST-001 appendix A,
whose worked example `G123417654321` → `A` is the first test; GS1 General Specifications 7.9.
(A published implementation computes `(37 - t) % 37` and gives `9` for that example.)
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"
_VALUE = {character: value for value, character in enumerate(ALPHABET)}


def mod37_2(text: str) -> int:
    """Return the MOD 37-2 check value (0–36) of `text`, made of 0–9 and A–Z.

    Raises KeyError on any other character: callers test the shape first.
    """
    t = 0
    for character in text:
        t = (t + _VALUE[character]) * 2 % 37
    return (38 - t) % 37


def check_character(text: str) -> str:
    """Return the MOD 37-2 check character (0–9, A–Z or `*`) of `text`."""
    return ALPHABET[mod37_2(text)]


def gs1_check_digit(digits: str) -> str:
    """Return the GS1 check digit that follows `digits` (weights 3, 1, 3, … from the right)."""
    total = sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits)))
    return str(-total % 10)
