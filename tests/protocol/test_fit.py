"""What msgspec says, in plain words: each of its sentences, with the path and what to do."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from stafett.protocol.fit import plain

Meta = msgspec.Meta


class Lane(msgspec.Struct, forbid_unknown_fields=True):
    """One of each thing that may not fit."""

    days: float = 1.0
    places: Annotated[int, Meta(ge=1, le=9, multiple_of=3)] = 3
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    name: Annotated[str, Meta(min_length=1, max_length=3)] = "a"
    code: Annotated[str, Meta(pattern="^[a-z]+$")] = "a"
    ends: Annotated[list[str], Meta(min_length=2, max_length=3)] = msgspec.field(
        default_factory=list
    )
    mode: Literal["road", "air"] = "road"
    at: Annotated[datetime, Meta(tz=True)] | None = None
    day: date | None = None
    span: timedelta | None = None
    key: UUID | None = None
    seal: bytes = b""
    km: float | None = None
    value: str | int | float | None = None
    own: bool = False


class Network(msgspec.Struct):
    """What holds them."""

    title: str
    lanes: dict[str, Lane] = {}


@pytest.mark.parametrize(
    ("field", "value", "what", "todo"),
    [
        ("days", "two", "is to be a number, not text", "write the number alone"),
        ("days", None, "is to be a number, not nothing", "write it, or take the field away"),
        ("km", "far", "is to be a number, not text", "write the number alone"),
        ("value", True, "is to be text or a number, not true or false", "write text in quotes"),
        ("value", ["a"], "is to be text or a number, not a list", "or the number alone"),
        ("places", 1.5, "is to be a whole number, not a number", "write a whole number"),
        ("name", 7, "is to be text, not a number", "put it in quotes"),
        ("own", "yes", "is to be true or false, not text", "without quotes"),
        ("ends", "a", "is to be a list, not text", "in brackets"),
        ("ends", {"a": 1}, "is to be a list, not names with what each is", "in brackets"),
        ("places", 0, "is to be 1 or more", ""),
        ("places", 12, "is to be 9 or less", ""),
        ("places", 4, "is to be a multiple of 3", ""),
        ("share", 0.0, "is to be more than 0.0", ""),
        ("share", 1.0, "is to be less than 1.0", ""),
        ("name", "", "may not be empty", ""),
        ("name", "abcd", "is to have at most 3 characters", ""),
        ("code", "A", "is not of the form that is asked for", "it must match '^[a-z]+$'"),
        ("ends", ["a"], "is to hold at least 2", ""),
        ("mode", "sea", "cannot be 'sea'", "one of: road, air"),
        ("at", "2026-03-02T07:30:00", "has no zone", "write 2026-03-02T07:30:00Z"),
        ("at", "soon", "is no moment", "write 2026-03-02T07:30:00Z"),
        ("day", "monday", "is no day", "write 2026-03-02"),
        ("span", "48 h", "is no length of time", "write PT48H"),
        ("key", "x", "is no UUID", ""),
        ("seal", "?", "is not base64", ""),
    ],
)
def test_each_misfit_is_said_with_its_path_and_what_to_do(
    field: str, value: Any, what: str, todo: str
) -> None:
    """No type of the program, and no backticks around one, reaches a reader."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"title": "N", "lanes": {"A": {field: value}}}, Network)
    misfit = plain(caught.value, Network)
    assert misfit.what == what
    assert todo in misfit.todo and (todo or not misfit.todo)
    assert misfit.path[:3] == ("lanes", "...", field)
    for word in ("Expected", "got", "`str`", "Invalid", "Object"):
        assert word not in str(misfit)


def test_a_field_that_is_missing_or_unknown_ends_the_path() -> None:
    """And one that was likely meant is offered."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"lanes": {}}, Network)
    assert plain(caught.value) == ("`title` is missing", ("title",), "write it")
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"dais": 1}, Lane)
    found = plain(caught.value, Lane)
    assert found == ("`dais` is no field here", ("dais",), "did you mean `days`?")
    assert str(found) == "dais: `dais` is no field here (did you mean `days`?)"


def test_what_a_model_says_itself_stays_as_it_is() -> None:
    """A rule of the field is in words already."""

    class Pair(msgspec.Struct):
        def __post_init__(self) -> None:
            raise ValueError("asked twice: storage")

    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"pair": {}}, dict[str, Pair])
    assert plain(caught.value).what == "asked twice: storage"
    assert str(plain("no such file")) == "no such file"


class Release(msgspec.Struct, tag=True):
    """One of two acts that have the same sides."""

    side: Literal["release", "accept"]


class Accept(msgspec.Struct, tag=True):
    """The other."""

    side: Literal["release", "accept"]


def test_what_may_be_chosen_is_told_once() -> None:
    """Of several acts that share a field each choice is named one time."""
    sent = {"type": "Accept", "side": "middle"}
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(sent, Release | Accept)
    assert plain(refused.value, Release | Accept).todo == "one of: release, accept"
