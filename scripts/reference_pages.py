"""Write the reference pages that are made from the code: diagnostics and the schema."""

from __future__ import annotations

from pathlib import Path

from stafett.protocol import schema
from stafett.protocol.diagnostics import DIAGNOSTICS, GROUPS, HELD
from stafett.protocol.units import UNITS

FOLDER = Path(__file__).resolve().parent.parent / "docs/reference"


def diagnostics_page() -> str:
    """Return docs/reference/diagnostics.md."""
    lines = [
        "# Diagnostics",
        "",
        "What `stafett protocol check` can say. Made from `stafett.protocol.diagnostics` by",
        "`scripts/reference_pages.py`. An *error* means that the protocol may not be used, a",
        "*warning* that it should be looked at. Broken examples of most of them are in",
        "`docs/examples/broken`.",
        "",
    ]
    for group, title in GROUPS.items():
        lines += [f"## {title}", "", f"Held when there is no error: {HELD[group]}.", ""]
        for code, entry in DIAGNOSTICS.items():
            if entry.group == group:
                lines += [
                    f"### {code}",
                    "",
                    f"*{entry.severity}*: **{entry.title}.**",
                    "",
                    f"Why it matters: {entry.why}",
                    "",
                    f"How to mend it: {entry.mend}",
                    "",
                ]
    return "\n".join(lines).rstrip() + "\n"


def units_page() -> str:
    """Return docs/reference/units.md."""
    lines = [
        "# Units",
        "",
        "The units that a protocol may name. Made from `stafett.protocol.units` by",
        "`scripts/reference_pages.py`. They are codes of UCUM; what is counted stands in braces.",
        "Values of one row are converted into each other where they are compared, those of",
        "two rows never. `°C` is read as `Cel`.",
        "",
        "| Dimension | Units |",
        "|---|---|",
    ]
    rows: dict[str, list[str]] = {}
    for unit in UNITS.values():
        rows.setdefault(unit.of, []).append(f"`{unit.code}` {unit.called}")
    lines += [f"| {of} | {', '.join(known)} |" for of, known in rows.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "diagnostics.md").write_text(diagnostics_page(), "utf-8")
    (FOLDER / "units.md").write_text(units_page(), "utf-8")
    (FOLDER / "protocol.schema.json").write_text(schema.text(), "utf-8")


if __name__ == "__main__":
    main()
