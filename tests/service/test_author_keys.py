"""Keys of hosted organisations: made once, rotated with history, and never silently replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stafett.ledger import Author, Draft, InDoubt, Ledger, Receipt, Submission
from stafett.service.author_keys import AuthorKeys, KeyLost

pytestmark = pytest.mark.anyio


def noted(key: str) -> Submission:
    """Return one unsigned event."""
    draft = Draft("noted", {"key": key}, datetime(2026, 11, 25, tzinfo=UTC))
    return Submission("j", None, [draft], ["hospital"], Author("hospital", "p"), key, b"h")


@pytest.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    """A ledger on a fresh database."""
    async with Ledger(database) as opened:
        yield opened


async def test_the_first_event_registers_the_key(ledger: Ledger, tmp_path: Path) -> None:
    """Nobody has to set anything up: key file, registration, signature, in this order."""
    ledger.signing = AuthorKeys(tmp_path, ledger).sign
    await ledger.append(noted("k-1"))
    await ledger.append(noted("k-2"))
    assert [e.kind for e in await ledger.read(0)] == ["AuthorKeyRegistered", "noted", "noted"]
    assert (tmp_path / "hospital").stat().st_mode & 0o777 == 0o600


async def test_a_process_that_died_while_rotating_goes_on_with_the_new_key(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record knows the new key, the file is still the old one: the new one takes its place."""
    ledger.signing = AuthorKeys(tmp_path, ledger).sign
    await ledger.append(noted("k-1"))

    def died(self: Path, target: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", died)
        await AuthorKeys(tmp_path, ledger).rotate("hospital", "yearly")
    (active,) = (await ledger.keys()).active("hospital")
    ledger.signing = AuthorKeys(tmp_path, ledger).sign
    await ledger.append(noted("k-2"))
    (*_, last) = await ledger.read(0)
    assert last.signature is not None and last.signature["key"] == active.id


async def test_another_process_rotates_and_this_one_goes_on(ledger: Ledger, tmp_path: Path) -> None:
    """Whoever signs here takes the new key up by itself."""
    ledger.signing = AuthorKeys(tmp_path, ledger).sign
    await ledger.append(noted("k-1"))
    old = (await ledger.keys()).active("hospital")[0].id
    fresh = await AuthorKeys(tmp_path, ledger).rotate("hospital", "yearly")
    await ledger.append(noted("k-2"))
    keys = await ledger.keys()
    assert [key.id for key in keys.active("hospital")] == [fresh.id] and fresh.id != old
    assert keys.unvouched == []


async def test_a_lost_key_stops_and_says_what_to_do(ledger: Ledger, tmp_path: Path) -> None:
    """Without its file nothing is signed in the organisation's name until somebody decides."""
    ledger.signing = AuthorKeys(tmp_path, ledger).sign
    await ledger.append(noted("k-1"))
    (tmp_path / "hospital").unlink()
    ledger.signing = AuthorKeys(tmp_path, ledger).sign
    with pytest.raises(KeyLost, match="rotate-key hospital --lost"):
        await ledger.append(noted("k-2"))
    assert await ledger.size() == 2 and not (tmp_path / "hospital").exists()
    await AuthorKeys(tmp_path, ledger).rotate("hospital", "disk died", lost=True)
    await ledger.append(noted("k-3"))
    assert len((await ledger.keys()).unvouched) == 1


async def test_a_folder_of_keys_that_is_gone_is_made_again_for_a_new_key(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A record that was refilled on another machine has no folder of keys at all."""
    ledger.signing = AuthorKeys(tmp_path / "old", ledger).sign
    await ledger.append(noted("k-1"))
    await AuthorKeys(tmp_path / "new", ledger).rotate("hospital", "host lost", lost=True)
    assert (tmp_path / "new" / "hospital").exists()


async def test_a_rotation_whose_answer_was_lost_leaves_nobody_without_a_key(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the record: whoever signs next signs with the new key, in the same process."""
    keys = AuthorKeys(tmp_path, ledger)
    ledger.signing = keys.sign
    await ledger.append(noted("k-1"))
    append = ledger.append

    async def lost(submission: Submission) -> Receipt:
        await append(submission)
        raise InDoubt(submission.key, "the connection was lost")

    with monkeypatch.context() as patched, pytest.raises(InDoubt):
        patched.setattr(ledger, "append", lost)
        await keys.rotate("hospital", "yearly")
    await ledger.append(noted("k-2"))
    (active,) = (await ledger.keys()).active("hospital")
    (*_, last) = await ledger.read(0)
    assert last.signature is not None and last.signature["key"] == active.id
