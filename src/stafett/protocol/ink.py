"""How much room a text takes on a drawing, and how it is broken to fit.

Nothing here knows the reader's fonts. The widths are those of DejaVu Sans, the widest that the
drawings name: what fits in it fits in Arial and Helvetica too.
"""

from __future__ import annotations

# Letters by their width, in thousandths of the size: (most, the letters).
_WIDTHS = {
    letter: width
    for width, letters in (
        (0.29, "ijlI|'"),
        (0.36, " .,:;-/()[]ftr\N{NO-BREAK SPACE}\N{MIDDLE DOT}"),
        (0.53, "sckvxyz"),
        (0.64, "abdeghnopqu0123456789_=FEJLTYSXZPåäöñáéíóúü"),
        (0.70, "ABCKRVÅÄ"),
        (0.79, "wDGHNOQUÖÓÚ+<>…→◆●○–"),
        (0.99, "mMW%"),
    )
    for letter in letters
}
_OTHER = 0.7
_BOLD = 1.12


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide `text` is at most, in the unit of `size`."""
    ems = sum(_WIDTHS.get(letter, _OTHER) for letter in text)
    return ems * size * (_BOLD if bold else 1.0)


def wrapped(text: str, size: float, room: float, *, rows: int, bold: str = "") -> list[str]:
    """Break `text` at its spaces into at most `rows` rows no wider than `room`.

    `bold` is how the text begins, if that is set in bold. What does not fit ends in an ellipsis;
    a single word is never broken.
    """
    lines: list[str] = []
    line = ""
    heavy = width(bold, size, bold=True) - width(bold, size)
    words = text.split(" ")
    for i, word in enumerate(words):
        longer = f"{line} {word}" if line else word
        if not line or width(longer, size) + (0 if lines else heavy) <= room:
            line = longer
            continue
        if len(lines) == rows - 1:
            return [*lines, _cut(" ".join((line, *words[i:])), size, room)]
        lines.append(line)
        line = word
    return [*lines, line]


def _cut(text: str, size: float, room: float) -> str:
    """Leave out words at the end until the rest fits with an ellipsis."""
    words = text.split(" ")
    while len(words) > 1 and width(" ".join(words) + " …", size) > room:
        words.pop()
    return " ".join(words) + " …"
