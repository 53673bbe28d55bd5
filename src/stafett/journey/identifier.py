"""Reading and comparing scanned identifiers: the one place where the journey does so."""

from __future__ import annotations

from stafett.protocol.model import Identification


class Unreadable(ValueError):
    """A scan or a typed text that is no identifier of that structure: `what`, and what to do."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}: {todo}")
        self.what, self.todo = what, todo


MAX_LENGTH = 200


def normal(structure: Identification, value: object, method: str) -> str:
    """Return `value` in the one form in which identifiers are compared and recorded.

    Raises Unreadable for what no label of `structure` can say; the message never repeats more of
    the input than its length.
    """
    if not isinstance(value, str):
        raise Unreadable("a scan is text", "scan the label again")
    text = value.strip()
    if not text:
        raise Unreadable("nothing was read", "scan the label again")
    if len(text) > MAX_LENGTH:
        raise Unreadable(f"{len(text)} characters were read", "scan one label at a time")
    if not text.isascii() or not text.isprintable():
        raise Unreadable("the scan holds characters that no label has", "check the scanner's setup")
    return text


def same(one: str, other: str) -> bool:
    """Say whether two identifiers, both from `normal`, are the same."""
    return one == other
