"""Write the reference pages that are made from the code: the command line and the API.

python scripts/reference.py          write them
python scripts/reference.py --check  exit status 1 if they are not current
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stafett.cli.main import main as command
from stafett.web.areas import ENDPOINTS

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def command_line() -> str:
    """Return the help of every command."""
    lines = ["# The command line", "", "Made from the code by `scripts/reference.py`.", ""]

    def tell(name: str, what: click.Command, parent: click.Context | None) -> None:
        context = click.Context(what, info_name=name, parent=parent, max_content_width=88)
        lines.extend(
            [f"## `{context.command_path}`", "", "```text", what.get_help(context), "```", ""]
        )
        if isinstance(what, click.Group):
            for inner in what.list_commands(context):
                found = what.get_command(context, inner)
                assert found is not None
                tell(inner, found, context)

    tell("stafett", command, None)
    return "\n".join(lines)


def api() -> str:
    """Return the table of endpoints."""
    lines = [
        "# The API",
        "",
        "Made from the code by `scripts/reference.py`. The full description is served as OpenAPI",
        "3.1 at `/openapi.json`. Errors are RFC 9457 problem documents; `reasons` name the field.",
        "",
        "| Method | Path | What | May |",
        "|---|---|---|---|",
    ]
    lines += [f"| {e.method} | `{e.path}` | {e.summary} | {e.may} |" for e in ENDPOINTS]
    return "\n".join([*lines, ""])


def main() -> int:
    """Write or check the pages."""
    status = 0
    for name, text in (("cli.md", command_line()), ("api.md", api())):
        path = REFERENCE / name
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                print(f"{path.name} is not current: run scripts/reference.py", file=sys.stderr)
                status = 1
        else:
            path.write_text(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
