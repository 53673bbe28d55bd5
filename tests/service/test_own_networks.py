"""An organisation's own networks: versions that stay, seen by nobody else, kept only if sound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from small_network import person
from stafett.design.reading import document, document_of
from stafett.service.own_networks import MOST, NetworkVersion, OwnNetworks
from stafett.service.own_text import Faulty, examine
from stafett.service.refusal import No

pytestmark = pytest.mark.anyio
MINE, THEIRS = person("mine"), person("theirs")


def text(name: str = "nord", **more: Any) -> str:
    """Sweden under another name, as the editor sends it."""
    return json.dumps({**document("sweden").value, "network": name, **more})


async def _as_service(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("SET ROLE stafett_append")
    await connection.commit()


@pytest.fixture
async def own(database: str) -> AsyncIterator[OwnNetworks]:
    """The store, in a database of its own."""
    async with AsyncConnectionPool(database, min_size=2, configure=_as_service) as pool:
        yield OwnNetworks(pool)


async def test_each_save_is_a_version_with_who_when_and_why(own: OwnNetworks) -> None:
    """The first stays as it was; without a version the newest is meant."""
    first = await own.save(MINE, "nord", text(title="One"), "to begin with", 0)
    second = await own.save(MINE, "nord", text(title="Two"), "a better  title", 1)
    assert (first.version, second.version) == (1, 2)
    assert (second.saved_by, second.reason) == ("mine", "a better title")
    assert second.saved_at > first.saved_at and second.saved_at.tzinfo is not None
    assert [v.title for v in await own.versions("mine", "nord")] == ["Two", "One"]
    assert [v.ref for v in await own.all_of("mine")] == ["nord@2"]
    for ref, title in (("nord@1", "One"), ("nord@2", "Two"), ("nord", "Two")):
        found = await own.content("mine", ref)
        assert found is not None
        assert document_of(found[1], "x.yaml").value == json.loads(text(title=title))
    for ref in ("nord@3", "nord@0", "nord@-1", "nord@x", "nord@9999999", "", "@1"):
        assert await own.content("mine", ref) is None


async def test_a_version_cannot_be_changed_or_taken_away(own: OwnNetworks, database: str) -> None:
    """Not by the service, which has no right to; not by the database's owner, by a slip."""
    await own.save(MINE, "nord", text(), "to begin with", 0)
    tries = ("UPDATE service.own_network SET content = ''", "DELETE FROM service.own_network",
             "TRUNCATE service.own_network CASCADE")  # fmt: skip
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in tries:
            with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
                connection.execute(statement)
        connection.execute("SET ROLE stafett_append")
        for statement in tries:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


async def test_another_organisation_sees_nothing_and_may_use_the_same_name(
    own: OwnNetworks, database: str
) -> None:
    """The database itself shows an organisation its own rows only."""
    await own.save(MINE, "nord", text(), "to begin with", 0)
    assert await own.all_of("theirs") == []
    assert await own.versions("theirs", "nord") == []
    assert await own.content("theirs", "nord@1") is None
    assert (await own.save(THEIRS, "nord", text(title="T"), "also ours", 0)).version == 1
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE stafett_read")
        for who, titles in (("theirs", ["T"]), ("nobody", [])):
            connection.execute("SELECT set_config('stafett.organisation', %s, false)", [who])
            rows = connection.execute("SELECT title FROM service.own_network").fetchall()
            assert [r[0] for r in rows] == titles


async def test_a_withdrawn_network_is_not_offered_and_its_versions_stay(own: OwnNetworks) -> None:
    """With who, when and why; a run that named a version finds it as it was."""
    await own.save(MINE, "nord", text(title="One"), "to begin with", 0)
    await own.save(MINE, "nord", text(title="Two"), "a better title", 1)
    await own.save(MINE, "syd", text("syd"), "another one", 0)
    gone = await own.withdraw(MINE, "nord", 2, "nobody  wants it")
    assert gone is not None and gone.withdrawn is not None
    assert (gone.ref, gone.withdrawn.reason, gone.withdrawn.by) == (
        "nord@2",
        "nobody wants it",
        "mine",
    )
    assert gone.withdrawn.at > gone.saved_at and gone.withdrawn.at.tzinfo is not None
    assert [v.ref for v in await own.all_of("mine")] == ["syd@1"]
    assert [v.ref for v in await own.withdrawn("mine")] == ["nord@2"]
    assert [v.withdrawn is not None for v in await own.versions("mine", "nord")] == [True, False]
    for ref, title in (("nord@1", "One"), ("nord@2", "Two")):
        found = await own.content("mine", ref)
        assert found is not None and found[0].title == title
    assert await own.content("mine", "nord") is None


@pytest.mark.parametrize("after", [0, 1])
async def test_a_withdrawn_name_is_taken_up_by_saving_it_again(
    own: OwnNetworks, after: int
) -> None:
    """As a new network or from what was withdrawn: the next version, and the history stays."""
    await own.save(MINE, "nord", text(title="One"), "to begin with", 0)
    await own.withdraw(MINE, "nord", 1, "nobody wants it")
    again = await own.save(MINE, "nord", text(title="Two"), "wanted after all", after)
    assert again.version == 2 and await own.withdrawn("mine") == []
    assert [v.ref for v in await own.all_of("mine")] == ["nord@2"]
    assert [v.withdrawn is not None for v in await own.versions("mine", "nord")] == [False, True]
    assert await own.withdraw(MINE, "nord", 2, "and again not") is not None
    assert await own.all_of("mine") == []


@pytest.mark.parametrize(
    ("version", "reason", "code"),
    [
        (1, "nobody wants it", "conflict"),
        (3, "nobody wants it", "conflict"),
        (2, " x ", "bad-value"),
    ],
)
async def test_what_cannot_be_withdrawn_is_refused(
    own: OwnNetworks, version: int, reason: str, code: str
) -> None:
    """Without a reason, or by who did not see the newest version; it is offered as before."""
    await own.save(MINE, "nord", text(title="One"), "to begin with", 0)
    await own.save(MINE, "nord", text(title="Two"), "a better title", 1)
    with pytest.raises(No) as no:
        await own.withdraw(MINE, "nord", version, reason)
    assert no.value.code == code and [v.ref for v in await own.all_of("mine")] == ["nord@2"]
    await own.withdraw(MINE, "nord", 2, "nobody wants it")
    with pytest.raises(No, match="withdrawn already"):
        await own.withdraw(MINE, "nord", 2, "nobody wants it")


async def test_nobody_withdraws_or_sees_the_withdrawal_of_another_organisations_network(
    own: OwnNetworks, database: str
) -> None:
    """Not by name; and the database shows a withdrawal to its own organisation only."""
    await own.save(MINE, "nord", text(), "to begin with", 0)
    assert await own.withdraw(THEIRS, "nord", 1, "we do not like it") is None
    assert [v.ref for v in await own.all_of("mine")] == ["nord@1"]
    await own.save(THEIRS, "nord", text(), "also ours", 0)
    await own.withdraw(THEIRS, "nord", 1, "ours only")
    assert [v.withdrawn for v in await own.versions("mine", "nord")] == [None]
    assert await own.withdrawn("mine") == []
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE stafett_read")
        for who, reasons in (("theirs", ["ours only"]), ("mine", []), ("nobody", [])):
            connection.execute("SELECT set_config('stafett.organisation', %s, false)", [who])
            rows = connection.execute("SELECT reason FROM service.own_network_withdrawn").fetchall()
            assert [r[0] for r in rows] == reasons


async def test_a_withdrawal_cannot_be_changed_or_taken_away(
    own: OwnNetworks, database: str
) -> None:
    """Not by the service, nor by the database's owner by a slip."""
    await own.save(MINE, "nord", text(), "to begin with", 0)
    await own.withdraw(MINE, "nord", 1, "nobody wants it")
    tries = ("UPDATE service.own_network_withdrawn SET reason = 'x'",
             "DELETE FROM service.own_network_withdrawn",
             "TRUNCATE service.own_network_withdrawn")  # fmt: skip
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in tries:
            with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
                connection.execute(statement)
        connection.execute("SET ROLE stafett_append")
        for statement in tries:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


async def test_one_of_two_who_save_at_once_and_withdraw_is_told(own: OwnNetworks) -> None:
    """Saved and withdrawn at one moment, one of both comes late and changes nothing."""
    await own.save(MINE, "nord", text(title="One"), "to begin with", 0)
    saved, gone = await asyncio.gather(
        own.save(MINE, "nord", text(title="Two"), "a better title", 1),
        own.withdraw(MINE, "nord", 1, "nobody wants it"),
        return_exceptions=True,
    )
    versions = await own.versions("mine", "nord")
    assert isinstance(saved, NetworkVersion) and versions[0].ref == "nord@2"
    assert isinstance(gone, No) == (versions[1].withdrawn is None)


async def test_faults_are_named_by_part_and_line_and_nothing_is_kept(own: OwnNetworks) -> None:
    """All of them, with the very words of `stafett design check`."""
    sweden = (files("stafett") / "catalogue" / "networks" / "sweden.yaml").read_text("utf-8")
    bad = sweden.replace("network: sweden", "network: nord", 1)
    bad = bad.replace("  ward: centre\n", "", 1).replace("owner: industry", "owner: nobody", 1)
    with pytest.raises(Faulty) as no:
        await own.save(MINE, "nord", bad, "to begin with", 0)
    line = next(i for i, row in enumerate(bad.splitlines(), 1) if "owner: nobody" in row)
    said = {f.field: (f.what, f.place.rpartition(":")[0]) for f in no.value.findings}
    assert said["organisations.manufacturer.owner"] == (
        "there is no owner 'nobody'", f"nord.yaml:{line}",
    )  # fmt: skip
    assert said["roles"][0] == "nobody plays the role 'ward'"
    assert await own.all_of("mine") == []


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("", ""),
        ("[1, 2]", ""),
        ("network: [", ""),
        (text(habits=None), "habits"),
        (text(colour="red"), "colour"),
        (text(protocol="magic"), "protocol"),
        (text(protocol="/dev/zero"), "protocol"),
        (text(protocol="/etc/hostname"), "protocol"),
        (text(protocol="pyproject.toml"), "protocol"),
        (text(protocol=["x"]), "protocol"),
        (text(product="snake-oil"), "protocol"),
        ("extends: atlantis\nnetwork: nord\n", ""),
    ],
)
def test_what_is_no_network_is_found_and_raises_nothing(content: str, field: str) -> None:
    """Whatever text it is."""
    found = examine(content, "nord")
    assert found.system is None and [f.field for f in found.findings] == [field]


@pytest.mark.parametrize(
    ("name", "content", "reason", "after", "code"),
    [
        ("Nord!", text(), "to begin with", 0, "bad-value"),
        ("n", text(), "to begin with", 0, "bad-value"),
        ("sweden", text("sweden"), "to begin with", 0, "taken"),
        ("nord", text(), "  x  ", 0, "bad-value"),
        ("nord", "#" * 400_001, "to begin with", 0, "bad-value"),
        ("nord", text(), "to begin with", 7, "conflict"),
        ("nord", text(), "to begin with", -1, "conflict"),
    ],
)
async def test_what_cannot_be_saved_is_refused(
    own: OwnNetworks, name: str, content: str, reason: str, after: int, code: str
) -> None:
    """With a stable code; nothing is kept."""
    with pytest.raises(No) as no:
        await own.save(MINE, name, content, reason, after)
    assert no.value.code == code and await own.all_of("mine") == []


async def test_who_saves_late_is_told_and_overwrites_nothing(own: OwnNetworks) -> None:
    """Two began from version 1; the second is told of version 2. A new name cannot be an old."""
    await own.save(MINE, "nord", text(), "to begin with", 0)
    await own.save(MINE, "nord", text(title="A"), "the first", 1)
    with pytest.raises(No, match="version 2 is the newest") as no:
        await own.save(MINE, "nord", text(title="B"), "the second", 1)
    assert no.value.code == "conflict"
    with pytest.raises(No, match="is there already"):
        await own.save(MINE, "nord", text(title="C"), "another one", 0)
    assert [v.title for v in await own.all_of("mine")] == ["A"]


async def test_the_name_in_the_file_is_the_name_it_is_kept_under(own: OwnNetworks) -> None:
    """Else a download would be another network than the one that was asked for."""
    with pytest.raises(Faulty) as no:
        await own.save(MINE, "syd", text("nord"), "to begin with", 0)
    assert no.value.findings[0].field == "network"


async def test_a_file_is_kept_as_written_and_what_it_extends_is_filled_in(
    own: OwnNetworks,
) -> None:
    """Comments stay; a later release of the built-in network changes nothing in it."""
    sweden = (files("stafett") / "catalogue" / "networks" / "sweden.yaml").read_text("utf-8")
    sent = sweden.replace("network: sweden", "network: nord", 1)
    await own.save(MINE, "nord", sent, "with comments", 0)
    kept = await own.content("mine", "nord")
    assert kept is not None and kept[1] == sent
    short = "extends: sweden\nnetwork: syd\ntitle: South\n"
    await own.save(MINE, "syd", short, "a short one", 0)
    kept = await own.content("mine", "syd")
    assert kept is not None and "extends" not in document_of(kept[1], "x.yaml").value
    assert examine(kept[1], "syd").findings == ()
    assert MOST > 2
