"""The witness: the specification's MUSTs one by one, and the wiles of a dishonest log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.ledger import checkpoint, cosignature, merkle, note
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.cosignature import Ed25519Cosigner, MldsaCosigner
from stafett.ledger.merkle import Frontier
from stafett.ledger.note import NoteSigner
from stafett.ledger.witness import (
    Answer,
    BadRequest,
    Request,
    State,
    add_checkpoint,
    parse_request,
)

LOG = NoteSigner("host.example/log", b"\x01" * 32)
STRANGER = NoteSigner("stranger.example/log", b"\x02" * 32)
COSIGNERS = [Ed25519Cosigner("w.example", b"\x03" * 32), MldsaCosigner("w.example", b"\x04" * 32)]
LOGS = {LOG.name: [note.note_verifier(LOG.vkey)]}


class Tree:
    """One history of a log: what it would show a witness."""

    def __init__(self, label: str = "", count: int = 40) -> None:
        self.hashes: dict[tuple[int, int], bytes] = {}
        leaves = (merkle.leaf_hash(f"{label}{n}".encode()) for n in range(count))
        Frontier().append(leaves, lambda lv, i, h: self.hashes.update({(lv, i): h}))

    def at(self, level: int, index: int) -> bytes:
        """Return a stored hash."""
        return self.hashes[level, index]

    def head(self, size: int, signer: NoteSigner = LOG) -> str:
        """Return the signed checkpoint at `size`."""
        return checkpoint.sign(
            Checkpoint(signer.name, size, merkle.root_at(size, self.at)), signer
        ).text

    def request(self, old: int, size: int) -> str:
        """Return the honest request from `old` to `size`."""
        proof = merkle.consistency_proof(old, size, self.at)
        return Request(old, tuple(proof), self.head(size)).text


TREE, OTHER = Tree(), Tree("other ")


def ask(state: State, body: str | bytes, now: int = 1000) -> Answer:
    """Ask the witness once."""
    return add_checkpoint(state, body, logs=LOGS, cosigners=COSIGNERS, now=lambda: now)


def after(size: int) -> State:
    """Return the state of a witness that cosigned TREE at `size`."""
    answer = ask(State(), TREE.request(0, size))
    assert answer.status == 200
    return answer.state


def refused(answer: Answer, status: int, state: State) -> None:
    """Check a refusal: the status, no cosignature, nothing learnt."""
    assert answer.status == status
    assert "—" not in answer.body
    assert answer.state.latest == state.latest


def test_first_checkpoint_is_cosigned_with_every_key() -> None:
    """200, with the witness's own lines only; they verify on the checkpoint."""
    answer = ask(State(), TREE.request(0, 5))
    assert answer.status == 200
    lines = note.parse(f"x\n\n{answer.body}").signatures
    assert len(lines) == 2
    text = note.parse(TREE.head(5)).text
    for line, cosigner in zip(lines, COSIGNERS, strict=True):
        assert cosignature.verifier(cosigner.vkey).verify(text, line.value)
        assert cosignature.timestamp_of(line.value) == 1000


def test_growth_is_cosigned_step_by_step() -> None:
    """Each honest next checkpoint is cosigned, and remembered."""
    state = State()
    for old, size in [(0, 1), (1, 2), (2, 7), (7, 7), (7, 32), (32, 40)]:
        answer = ask(state, TREE.request(old, size))
        assert answer.status == 200
        state = answer.state
        assert state.latest[LOG.name].size == size
        assert state.latest[LOG.name].signed == TREE.head(size) + answer.body  # with its own lines


def test_same_checkpoint_again_gets_a_fresh_time() -> None:
    """Old size equal to the size, same root: cosigned again."""
    answer = ask(after(7), TREE.request(7, 7), now=2000)
    assert answer.status == 200
    line = note.parse(f"x\n\n{answer.body}").signatures[0]
    assert cosignature.timestamp_of(line.value) == 2000


def test_unknown_origin_is_404() -> None:
    """A log that the witness was not told to know."""
    refused(ask(State(), Request(0, (), TREE.head(5, STRANGER)).text), 404, State())


def test_no_trusted_signature_is_403() -> None:
    """The origin is known, another key signed, or the signature is wrong."""
    head = note.parse(TREE.head(5))
    forged = note.Note(head.text, (STRANGER.sign(head.text),))
    refused(ask(State(), Request(0, (), str(forged)).text), 403, State())
    value = bytes(64)
    broken = note.Note(head.text, (note.Signature(LOG.name, LOG.vkey.key_id, value),))
    refused(ask(State(), Request(0, (), str(broken)).text), 403, State())


def test_signatures_of_unknown_keys_are_ignored() -> None:
    """Further lines do no harm."""
    head = note.parse(TREE.head(5))
    more = note.Note(head.text, (STRANGER.sign(head.text), *head.signatures))
    assert ask(State(), Request(0, (), str(more)).text).status == 200


def test_old_size_above_the_checkpoint_is_400() -> None:
    """A request that goes backwards by its own account."""
    state = after(7)
    refused(ask(state, Request(7, (), TREE.head(5)).text), 400, state)


def test_other_old_size_is_409_with_the_size() -> None:
    """The answer says the last size cosigned, as text/x.tlog.size."""
    state = after(7)
    for old in (0, 3, 8):
        answer = ask(state, TREE.request(old, 9))
        refused(answer, 409, state)
        assert (answer.body, answer.media_type) == ("7\n", "text/x.tlog.size")
    assert ask(State(), TREE.request(3, 9)).body == "0\n"


def test_wrong_proof_is_422() -> None:
    """No proof, a garbled one, one of another history: no cosignature, but a note of it."""
    state = after(7)
    good = merkle.consistency_proof(7, 20, TREE.at)
    for proof in ([], good[:-1], [*good, b"x" * 32], [b"x" * 32, *good[1:]]):
        answer = ask(state, Request(7, tuple(proof), TREE.head(20)).text)
        refused(answer, 422, state)
        assert [e.kind for e in answer.state.evidence] == ["unproven"]
    # It proves nothing against the log: the right proof is still welcome.
    assert ask(answer.state, TREE.request(7, 20)).status == 200


def test_proof_with_old_size_zero_must_be_empty() -> None:
    """From nothing, nothing needs proof: a proof there is 422."""
    refused(ask(State(), Request(0, (b"x" * 32,), TREE.head(5)).text), 422, State())


def test_empty_tree_with_a_root_is_422() -> None:
    """Size 0 has the root of nothing."""
    wrong = checkpoint.sign(Checkpoint(LOG.name, 0, b"r" * 32), LOG).text
    refused(ask(State(), Request(0, (), wrong).text), 422, State())
    right = checkpoint.sign(Checkpoint(LOG.name, 0, merkle.EMPTY_ROOT), LOG).text
    assert ask(State(), Request(0, (), right).text).status == 200


def test_fork_at_one_size_is_kept_as_evidence_for_good() -> None:
    """Two signed roots at one size: 422, both notes kept, and the log is trusted no more."""
    state = after(7)
    answer = ask(state, Request(7, (), OTHER.head(7)).text)
    refused(answer, 422, state)
    proof = answer.state.forked(LOG.name)
    assert proof is not None
    # The evidence convinces anyone who has the log's key.
    heads = [
        checkpoint.open_checkpoint(signed, LOGS[LOG.name]).checkpoint for signed in proof.signed
    ]
    assert heads[0].size == heads[1].size and heads[0].root != heads[1].root
    for body in (TREE.request(7, 20), TREE.request(7, 7), OTHER.request(7, 20)):
        refused(ask(answer.state, body), 403, state)


def test_fork_is_seen_whatever_old_size_is_claimed() -> None:
    """A second root at the cosigned size is proof even in a request that fails otherwise."""
    answer = ask(after(7), Request(3, (), OTHER.head(7)).text)
    assert answer.status == 409 and answer.state.forked(LOG.name) is not None


def test_fork_that_grew_is_refused() -> None:
    """A larger tree of another history never gets a cosignature."""
    state = after(7)
    refused(ask(state, OTHER.request(7, 20)), 422, state)


def test_rollback_is_refused() -> None:
    """A smaller tree, though honest once, gets 409 with what was cosigned."""
    state = after(20)
    answer = ask(state, TREE.request(5, 7))
    refused(answer, 409, state)
    assert answer.body == "20\n"


def test_unproven_complaints_are_bounded() -> None:
    """A stranger who replays a true checkpoint with false proofs cannot fill the disk."""
    state = after(7)
    for n in range(40):
        body = Request(7, (bytes([n]) * 32,), TREE.head(20)).text
        state = ask(state, body).state
    assert len(state.evidence) == 16


HASH = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="


@pytest.mark.parametrize(
    "body",
    ["", "old 0\n", "old 0\n\n", "old\n\n" + TREE.head(1), "old 00\n\n" + TREE.head(1),
     "old -1\n\n" + TREE.head(1), "old +1\n\n" + TREE.head(1), "old 9223372036854775808\n\n"
     + TREE.head(1), "new 0\n\n" + TREE.head(1), "old 0\n" + TREE.head(1),
     "old 0\nAAAA\n\n" + TREE.head(1), "old 0\n!!\n\n" + TREE.head(1),
     "old 1\n" + (HASH + "\n") * 64 + "\n" + TREE.head(2), b"old 0\n\n\xff\n",
     "old 0\n\n" + note.sign_note("not a checkpoint\n", LOG), "old 0\n\n" + TREE.head(1)[:-1],
     "x" * 2_000_000],
)  # fmt: skip
def test_malformed_requests_are_400(body: str | bytes) -> None:
    """What is no request is refused before anything is believed."""
    refused(ask(State(), body), 400, State())


def test_specification_example_is_parsed() -> None:
    """The example request of the specification has its parts."""
    lines = ["old 20852014", HASH, HASH]
    parsed = parse_request("\n".join([*lines, "", TREE.head(1)]))
    assert (parsed.old, len(parsed.proof)) == (20852014, 2)
    assert parse_request(parsed.text) == parsed


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_no_request_crashes_the_witness(body: str | bytes) -> None:
    """Any body gets an answer with a status of the specification."""
    prefix = "old 0\n\n"
    for candidate in (body, prefix + body if isinstance(body, str) else prefix.encode() + body):
        try:
            parse_request(candidate)
        except BadRequest as error:
            assert str(error)
        assert ask(State(), candidate).status == 400


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 12)), max_size=12))
def test_what_is_cosigned_is_always_one_history(calls: list[tuple[bool, int, int]]) -> None:
    """Whatever a log with two histories tries, all cosigned trees continue one another."""
    state, cosigned = State(), []
    for honest, old, size in calls:
        tree = TREE if honest else OTHER
        proof = merkle.consistency_proof(old, size, tree.at) if old <= size else []
        answer = ask(state, Request(old, tuple(proof), tree.head(size)).text)
        if answer.status == 200:
            cosigned.append((size, merkle.root_at(size, tree.at)))
        state = answer.state
    assert [size for size, _ in cosigned] == sorted(size for size, _ in cosigned)
    for history in (TREE, OTHER):
        if all(root == merkle.root_at(size, history.at) for size, root in cosigned):
            return
    pytest.fail(f"cosigned two histories: {cosigned}")
