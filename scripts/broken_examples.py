"""Write the broken example protocols: the sound chain with one hole each (see holes.yaml)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs/examples/broken"
SOUND = ROOT / "tests/protocol/sound.yaml"


def holes() -> list[dict[str, Any]]:
    """Return the table of holes."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "holes.yaml").read_text("utf-8"))
    return found


def broken(hole: dict[str, Any]) -> str:
    """Return the sound chain with `hole` in it, and a comment on top that says which."""
    text = SOUND.read_text("utf-8")
    text = text[text.index("stafett: 1") :]
    begin, end = block(text, hole["in"]) if "in" in hole else (0, len(text))
    part = text[begin:end]
    for old, new in hole["change"]:
        if part.count(old) < 1:
            raise ValueError(f"{hole['name']}: {old!r} is not in {hole.get('in', 'the file')}")
        part = part.replace(old, new)
    top = (
        f"# The hole: {hole['hole']}\n"
        f"# `stafett protocol check` says: {hole['code']}\n"
        "# Made by scripts/broken_examples.py from a chain that checks clean.\n"
    )
    return top + text[:begin] + part + text[end:]


def block(text: str, name: str) -> tuple[int, int]:
    """Return where the entry `name` begins and ends in the text of a protocol."""
    found = re.search(rf"^( *){re.escape(name)}:", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"there is no entry {name}")
    rest = re.compile(rf"^ {{0,{len(found[1])}}}[^ \n]", re.MULTILINE)
    after = rest.search(text, found.end())
    return found.start(), after.start() if after else len(text)


def main() -> None:
    """Write every broken example."""
    for old in FOLDER.glob("[0-9]*.yaml"):
        old.unlink()
    for i, hole in enumerate(holes(), 1):
        (FOLDER / f"{i:02}-{hole['name']}.yaml").write_text(broken(hole), "utf-8")


if __name__ == "__main__":
    main()
