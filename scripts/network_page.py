"""Write docs/reference/network-language.md: what a network file may hold, read from the types."""

from __future__ import annotations

import inspect
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from stafett.design import network as model

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/network-language.md"
ORDER = (
    model.Network, model.Number, model.Organisation, model.Centre, model.Patients, model.Work,
    model.Lane, model.Route, model.Pool, model.Supply, model.Habits, model.Variability,
    model.Published,
)  # fmt: skip
HEAD = """# The network language

A *network* says who plays the roles of a protocol, where, with which capacities, times, habits and
costs, in one YAML file that is simulated (`stafett design compare`, the design studio). Made from
`stafett.design.network` by `scripts/network_page.py`.

Begin from one that works and change it, or write only what differs (`extends: sweden`; `null` takes
something away):

```sh
stafett design show sweden-tissue > mine.yaml
stafett design check mine.yaml
```

`protocol:` is a built-in protocol or a file beside the network's. Keys under `work`, `results`,
`lanes`, `pools` and `costs` are activities of that protocol (`results`: `ACTIVITY=result`); `check`
names each that is none, each role that nobody plays and each transport without a lane. An activity
without an entry under `work` takes the protocol's usual time, or half its longest.
"""


def page() -> str:
    """Return the page."""
    lines = [HEAD]
    for kind in ORDER:
        lines += [f"## {kind.__name__}", "", inspect.getdoc(kind) or "", ""]
        lines += ["| Field | What it holds | |", "|---|---|---|"]
        for field in msgspec.structs.fields(kind):
            needed = "required" if field.required else ""
            lines.append(f"| `{field.encode_name}` | {_said(field.type)} | {needed} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _said(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(_said(k) for k in inner if k is not types.NoneType)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is dict:
        return f"name → {_said(inner[1])}"
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return f"list of {_said(inner[0])}"
        return "[" + ", ".join(_said(k) for k in inner) + "]"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"*{kind.__name__}*" if kind in ORDER else f"{{{', '.join(kind.__struct_fields__)}}}"
    return {str: "text", float: "a number", int: "a whole number", bool: "true or false"}.get(
        kind, "anything"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
