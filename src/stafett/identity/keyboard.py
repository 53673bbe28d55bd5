"""Scanners type: what a scanner set to a US keyboard looks like on a Swedish computer.

A scanner in keyboard mode sends key presses. When it believes in a US layout and the computer in
a Swedish one, letters and digits arrive whole and the signs do not: `=` becomes a dead acute
accent, `&` a slash, `<` a semicolon. Such a scan is recognised and refused, never mended in
silence: the next garbling may change a character that matters.
"""

from __future__ import annotations

import unicodedata

from stafett.identity.errors import IdentifierError, Reason

SELF_TEST = "=&<>%/*+,-#'();}:$"
"""Content of the self-test symbol scanned at the start of a shift: every sign that matters."""

# US key → character of the same key (and shift state) on a Swedish layout.
_US_TO_SWEDISH = {
    "=": "´", "+": "`", "&": "/", "<": ";", ">": ":", "/": "-", "-": "+", "?": "_", "_": "?",
    "*": "(", "(": ")", ")": "=", ";": "ö", ":": "Ö", "'": "ä", '"': "Ä", "[": "å", "{": "Å",
    "]": "¨", "}": "^", "\\": "'", "|": "*", "`": "§", "~": "½", "@": '"', "$": "¤", "^": "&",
}  # fmt: skip
_SWEDISH_TO_US = {swedish: us for us, swedish in _US_TO_SWEDISH.items()}
# A dead key followed by a letter arrives as one accented letter on some systems.
_DEAD = {"\u0301": "´", "\u0300": "`", "\u0302": "^", "\u0308": "¨"}


def as_swedish(text: str) -> str:
    """Return what a Swedish computer shows when a US-layout scanner types `text`."""
    return "".join(_US_TO_SWEDISH.get(c, c) for c in text)


def as_us(text: str) -> str:
    """Undo `as_swedish`, dead keys that melted into the next letter included."""
    spread = []
    for character in text:
        if character not in _SWEDISH_TO_US:
            parts = unicodedata.normalize("NFD", character)
            if len(parts) == 2 and parts[1] in _DEAD:
                spread += [_DEAD[parts[1]], parts[0]]
                continue
        spread.append(character)
    return "".join(_SWEDISH_TO_US.get(c, c) for c in spread)


def self_test(raw: str) -> None:
    """Accept the scan of the self-test symbol, or say which setting of the scanner is wrong."""
    if raw == SELF_TEST:
        return
    if as_us(raw) == SELF_TEST:
        raise layout_error(raw)
    raise IdentifierError(
        f"the self-test symbol arrived as {raw!r}",
        "scanner self-test",
        "scan it again; if it fails twice, take another scanner and call support",
    )


def layout_error(raw: str) -> IdentifierError:
    """Return the refusal of a scan that was garbled by the keyboard layout."""
    return IdentifierError(
        f"the scanner types with a US keyboard, this computer reads Swedish: {raw!r}",
        "keyboard layout of the scanner",
        "scan the scanner's set-up symbol 'keyboard: Sweden' (or USB-COM mode), scan the "
        "self-test symbol, then this label again",
        Reason.LAYOUT,
    )
