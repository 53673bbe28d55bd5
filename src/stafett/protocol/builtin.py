"""The built-in protocols, by name: `stafett/catalogue/protocols/NAME.yaml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from stafett.protocol.read import Document, Place, ReadError, parse, read

# No therapy, so in no list of therapies: how a site becomes ready for one.
ONBOARDING = "site-onboarding"


def _folder() -> Traversable:
    return files("stafett") / "catalogue" / "protocols"


def names() -> tuple[str, ...]:
    """Return the names of the built-in protocols, sorted."""
    folder = _folder()
    if not folder.is_dir():
        return ()
    found = (entry.name for entry in folder.iterdir())
    return tuple(sorted(n.removesuffix(".yaml") for n in found if n.endswith(".yaml")))


@cache
def builtin(name: str) -> Document:
    """Read the built-in protocol `name`, once; raise ReadError if there is none of that name."""
    return parse(source(name), f"{name}.yaml")


def source(name: str) -> bytes:
    """Return the file of a built-in protocol; raise ReadError if there is none of that name."""
    if name == ONBOARDING:
        return (files("stafett") / "catalogue" / "onboarding" / f"{name}.yaml").read_bytes()
    if name not in names():
        known = ", ".join((*names(), ONBOARDING))
        raise ReadError(Place(name, 1, 1), "no built-in protocol of this name", f"known: {known}")
    return (_folder() / f"{name}.yaml").read_bytes()


def load(file_or_name: str) -> Document:
    """Read a protocol file, or the built-in protocol of that name when it is a bare name."""
    if "/" not in file_or_name and "." not in file_or_name and not Path(file_or_name).exists():
        return builtin(file_or_name)
    return read(file_or_name)
