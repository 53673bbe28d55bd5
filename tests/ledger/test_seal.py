"""A checkpoint is signed only if the stored bytes still say so."""

from __future__ import annotations

import stat

import psycopg
import pytest

from stafett.ledger import merkle
from stafett.ledger.checkpoint import open_checkpoint
from stafett.ledger.note import NoteSigner, note_verifier
from stafett.ledger.seal import NotReplicated, Tampered, audit, log_key

pytestmark = pytest.mark.anyio

UNGUARDED = """
ALTER TABLE ledger.event_store DISABLE TRIGGER append_only;
ALTER TABLE ledger.event DROP CONSTRAINT event_check;
{}
"""


@pytest.fixture
def signer() -> NoteSigner:
    """Make a log key."""
    return NoteSigner.generate("example.org/ledger")


def tamper(database: str, change: str) -> None:
    """Do what someone with full rights on the database can do."""
    with psycopg.connect(database) as connection:
        connection.execute(UNGUARDED.format(change))


async def test_it_signs_the_size_and_root_of_the_ledger(ledger, submission, signer):
    """A sealed checkpoint opens with the log's key, and proofs lead to its root."""
    await ledger.append(submission(drafts=5))
    signed = await ledger.seal(signer)
    opened = open_checkpoint(signed.text, [note_verifier(signer.vkey)]).checkpoint
    assert (opened.origin, opened.size) == ("example.org/ledger", 5)
    event = (await ledger.read(2, 1))[0]
    proof = await ledger.inclusion(event.position, opened.size)
    merkle.verify_inclusion(event.position - 1, 5, event.leaf_hash, proof, opened.root)


async def test_later_checkpoints_continue_earlier_ones(ledger, submission, signer):
    """Each checkpoint is consistent with the one before; sealing again changes nothing."""
    await ledger.append(submission(drafts=3))
    first = (await ledger.seal(signer)).checkpoint
    assert (await ledger.seal(signer)).checkpoint == first
    await ledger.append(submission(drafts=300))
    second = (await ledger.seal(signer)).checkpoint
    proof = await ledger.consistency(first.size, second.size)
    merkle.verify_consistency(first.size, second.size, first.root, second.root, proof)


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE ledger.event_store SET leaf = set_byte(leaf, 20, 64) WHERE position = 4", 4),
        ("DELETE FROM ledger.event_store WHERE position = 4", 4),
        ("DELETE FROM ledger.event_store WHERE position = 6", 6),
        (
            "UPDATE ledger.event_store SET leaf = leaf || ' ',"
            " leaf_hash = sha256('\\x00'::bytea || leaf || ' ') WHERE position = 4",
            None,
        ),
        ("UPDATE ledger.event_store SET position = 10 - position WHERE position IN (4, 6)", 4),
        ("UPDATE ledger.head SET root = sha256('x')", None),
    ],
)
async def test_what_was_tampered_with_is_not_signed(
    database, ledger, submission, signer, change, position
):
    """A changed, dropped, swapped or re-hashed event stops the signing and is named."""
    await ledger.append(submission(drafts=2))
    await ledger.seal(signer)
    await ledger.append(submission(drafts=4))
    if "10 - position" in change:  # swap two rows, in three steps
        change = "".join(
            f"UPDATE ledger.event_store SET position = {b} WHERE position = {a};"
            for a, b in ((4, 99), (6, 4), (99, 6))
        )
        position = None
    tamper(database, change)
    with pytest.raises(Tampered) as found:
        await ledger.seal(signer)
    assert found.value.position == position
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM ledger.checkpoint").fetchone() == (1,)


COPY = """
INSERT INTO ledger.event_store (position, occurred_at, recorded_at, version, stream, kind,
                                organisation, person, audience, leaf_hash, leaf)
SELECT {}, occurred_at, recorded_at, version + 10, stream, kind, organisation, person, audience,
       leaf_hash, leaf FROM ledger.event_store WHERE position = {}
"""


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE ledger.event_store SET leaf = set_byte(leaf, 20, 64) WHERE position = 2", 2),
        ("DELETE FROM ledger.event_store WHERE position = 2", 2),
        ("UPDATE ledger.event_store SET position = 10 - position WHERE position IN (4, 6)", None),
        (COPY.format(7, 2), 7),
        ("DELETE FROM ledger.event_store WHERE position = 5;" + COPY.format(5, 2), None),
        (
            "UPDATE ledger.event_store SET leaf = leaf || ' ',"
            " leaf_hash = sha256('\\x00'::bytea || leaf || ' ') WHERE position = 2",
            None,
        ),
        ("UPDATE ledger.head SET root = sha256('x')", None),
    ],
    ids=["change", "drop", "swap", "insert", "duplicate", "re-hash", "re-root"],
)
async def test_every_kind_of_tampering_with_stored_bytes_is_found(
    database, ledger, submission, signer, change, position
):
    """Hashing the database again finds each, in what was signed long ago and in what was not."""
    await ledger.append(submission(drafts=3))
    await ledger.seal(signer)
    await ledger.append(submission(drafts=3))
    if "10 - position" in change:  # swap two rows, in three steps
        for old, new in ((4, 100), (6, 4), (100, 6)):
            tamper_once = f"UPDATE ledger.event_store SET position = {new} WHERE position = {old}"
            with psycopg.connect(database) as connection:
                connection.execute("ALTER TABLE ledger.event_store DISABLE TRIGGER append_only")
                connection.execute(tamper_once)
    else:
        tamper(database, change)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        with pytest.raises(Tampered) as found:
            await audit(connection)
    assert found.value.position == position


async def test_a_database_that_was_rolled_back_is_never_signed_again(
    database, ledger, submission, signer
):
    """Fewer events than were signed: stop, don't mend."""
    await ledger.append(submission(drafts=4))
    await ledger.seal(signer)
    tamper(
        database,
        "ALTER TABLE ledger.head DISABLE TRIGGER check_head;"
        "DELETE FROM ledger.event_store WHERE position = 4; UPDATE ledger.head SET size = 3",
    )
    with pytest.raises(Tampered, match="3 events, but 4 were signed"):
        await ledger.seal(signer)


async def test_a_checkpoint_that_may_vanish_is_not_published(database, ledger, submission, signer):
    """A notice at the checkpoint's commit (a cancelled replication wait) is a failure."""
    await ledger.append(submission())
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE WARNING 'canceling wait'; RETURN NULL; END$$;"
            "CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON ledger.checkpoint"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()"
        )
    with pytest.raises(NotReplicated):
        await ledger.seal(signer)
    with psycopg.connect(database) as connection:  # no commit is clean any more
        connection.execute(
            "CREATE CONSTRAINT TRIGGER warn AFTER UPDATE ON ledger.head"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()"
        )
    with pytest.raises(NotReplicated):
        await ledger.seal(signer)


async def test_the_log_key_is_made_once_and_kept_to_oneself(tmp_path):
    """The key file is private, and the same key comes back."""
    first = log_key(tmp_path / "log.key", "example.org/x")
    assert log_key(tmp_path / "log.key").vkey == first.vkey
    assert stat.S_IMODE((tmp_path / "log.key").stat().st_mode) == 0o600
