"""What may be a password, and how it is kept: NIST SP 800-63B-4, section 3.1.1.

Length decides; there are no rules of composition and no forced changes (3.1.1.2, items 1, 3, 4, 6).
What everybody tries is refused against a list that ships with the program: no service on the
network is asked about anybody's password.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources

import argon2

MIN = 15  # as the only factor (3.1.1.2, item 1)
MAX = 256  # at least 64 must be permitted (item 2); longer ones only cost time
LEFT = 6  # characters that must remain when everybody's words are taken out
DISTINCT = 6
_LEET = str.maketrans("013457@$!", "oieastasi")


def refused(password: str, *about: str) -> str | None:
    """Say why `password` cannot be one, or None. `about` is what others know of the person."""
    if len(normal(password)) < MIN:
        return f"it has {len(normal(password))} characters: use {MIN} or more, such as four words"
    if len(password) > MAX:
        return f"it has more than {MAX} characters"
    plain = normal(password).lower()
    if len(set(plain)) < DISTINCT:
        return "it repeats a few characters: use four words that have nothing to do with each other"
    rest = plain.translate(_LEET)
    known = {w for one in about for w in re.split(r"[\W_]+", one.lower()) if len(w) > 1}
    for word in sorted(_common() | known, key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(re.sub(r"[\W\d_]+", "", rest)) < LEFT and not _random(plain):
        return "it is made of words that everybody tries, or of your own name: use others"
    return None


def _random(plain: str) -> bool:
    """Say whether digits and signs are too many and too mixed to be a word with a tail."""
    signs = re.sub(r"[a-zåäöéñ]", "", plain)
    return len(set(signs)) >= 8 and not any(run in plain for run in ("1234", "9876", "0987"))


@cache
def _common() -> frozenset[str]:
    text = (resources.files("stafett.service") / "blocklist.txt").read_text("utf-8")
    return frozenset(line for line in text.split() if not line.startswith("#"))


def normal(password: str) -> str:
    """Return the form that is hashed: the same keys give the same bytes on every keyboard."""
    return unicodedata.normalize("NFKC", password)


def matches(hasher: argon2.PasswordHasher, hashed: str, password: str) -> bool:
    """Say whether `hashed` is the hash of `password`; takes the time of one Argon2id."""
    try:
        return hasher.verify(hashed, normal(password))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
