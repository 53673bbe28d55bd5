"""Trust policies: who counts, how many are enough, and every malformed file refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.ledger import checkpoint
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.cosignature import Ed25519Cosigner, MldsaCosigner
from stafett.ledger.note import BadNote, BadSignature, NoteSigner, Signature, Unsigned
from stafett.ledger.policy import BadPolicy, NoQuorum, parse_policy

LOG = NoteSigner("host.example/log", b"\x01" * 32)
OTHER = NoteSigner("other.example/log", b"\x02" * 32)
WITNESSES = {
    name: Ed25519Cosigner(f"{name.lower()}.example/w", bytes([n]) * 32)
    for n, name in enumerate(["X1", "X2", "X3", "Y1", "Y2"], 10)
}
OWN = Ed25519Cosigner("host.example/witness", b"\x20" * 32)
QUANTUM = MldsaCosigner("q.example/w", b"\x30" * 32)
HEAD = Checkpoint(LOG.name, 7, b"r" * 32)

EXAMPLE = "\n".join(
    [
        "# the specification's example, in small",
        f"log {LOG.vkey}",
        *(f"\twitness  {name} {w.vkey} https://{name}.example/ " for name, w in WITNESSES.items()),
        f"witness Own {OWN.vkey}",
        "",
        "group X-witnesses 2 X1 X2 X3",
        "group Y-witnesses any Y1 Y2",
        "group X-and-Y all X-witnesses Y-witnesses",
        "quorum X-and-Y",
        "",
    ]
)


def signed(*cosigners: Ed25519Cosigner | MldsaCosigner, at: int = 1000) -> str:
    """Return the checkpoint with the log's signature and these cosignatures."""
    head = checkpoint.sign(HEAD, LOG)
    return head.with_signatures(c.cosign(HEAD, at) for c in cosigners).text


def test_quorum_by_truth_table() -> None:
    """Two of the X and one of the Y: over all subsets, nothing else."""
    policy = parse_policy(EXAMPLE)
    for count in range(6):
        for names in itertools.combinations(WITNESSES, count):
            enough = sum(n[0] == "X" for n in names) >= 2 and any(n[0] == "Y" for n in names)
            verdict = policy.judge(signed(*(WITNESSES[n] for n in names)))
            assert verdict.quorum == enough
            assert set(verdict.cosigned) == set(names)
            assert set(verdict.missing) == set(WITNESSES) - set(names)


def test_missing_quorum_names_who_is_missing() -> None:
    """The refusal says who cosigned and who did not."""
    with pytest.raises(NoQuorum, match=r"X1, Y1 cosigned; missing: X2, X3, Y2"):
        parse_policy(EXAMPLE).require(signed(WITNESSES["X1"], WITNESSES["Y1"]))


def test_the_hosts_own_witness_never_counts() -> None:
    """By its name, by its key, or because the reader says so: the host proves nothing."""
    by_name = parse_policy(f"log {LOG.vkey}\nwitness W {OWN.vkey}\nquorum W\n")
    verdict = by_name.judge(signed(OWN))
    assert (verdict.quorum, verdict.not_counted, verdict.missing) == (False, ("W",), ())
    same_key = Ed25519Cosigner("elsewhere.example/w", b"\x01" * 32)
    by_key = parse_policy(f"log {LOG.vkey}\nwitness W {same_key.vkey}\nquorum W\n")
    assert not by_key.judge(signed(same_key)).quorum
    text = f"log {LOG.vkey}\nwitness W {WITNESSES['X1'].vkey}\nquorum W\n"
    assert parse_policy(text).judge(signed(WITNESSES["X1"])).quorum
    assert not parse_policy(text, own=["W"]).judge(signed(WITNESSES["X1"])).quorum
    with pytest.raises(BadPolicy, match="not in the policy"):
        parse_policy(text, own=["V"])


def test_quantum_safe_witness_counts() -> None:
    """A witness with an ML-DSA-44 key is counted like any."""
    policy = parse_policy(f"log {LOG.vkey}\nwitness Q {QUANTUM.vkey}\nquorum Q\n")
    assert policy.require(signed(QUANTUM)).cosigned == {"Q": 1000}


def test_quorum_none_asks_for_nobody() -> None:
    """The log's signature alone is then enough; without it nothing is."""
    policy = parse_policy(f"log {LOG.vkey}\nquorum none\n")
    assert policy.require(signed()).quorum
    with pytest.raises(Unsigned):
        policy.judge(checkpoint.sign(Checkpoint(OTHER.name, 7, b"r" * 32), OTHER).text)


def test_a_wrong_cosignature_of_a_known_witness_refuses_the_checkpoint() -> None:
    """A cosignature made for another tree is not overlooked."""
    other = WITNESSES["X1"].cosign(Checkpoint(LOG.name, 8, b"r" * 32), 1000)
    raw = checkpoint.sign(HEAD, LOG).with_signatures([other]).text
    with pytest.raises(BadSignature, match=r"x1\.example"):
        parse_policy(EXAMPLE).judge(raw)


def test_cosignatures_from_the_future_are_refused() -> None:
    """Where the reader gives its clock, five minutes of difference are allowed."""
    policy = parse_policy(EXAMPLE)
    raw = signed(WITNESSES["X1"], at=2000)
    assert policy.judge(raw, now=1700).cosigned == {"X1": 2000}
    with pytest.raises(BadNote, match="future"):
        policy.judge(raw, now=1699)


def test_unknown_signatures_are_ignored() -> None:
    """Lines of keys that the reader does not know change nothing."""
    stranger = Signature("stranger.example", b"abcd", b"junk")
    raw = checkpoint.sign(HEAD, LOG).with_signatures([stranger]).text
    assert parse_policy(EXAMPLE).judge(raw).cosigned == {}


def test_a_policy_reads_back() -> None:
    """Written and read again, it decides the same."""
    policy = parse_policy(EXAMPLE)
    assert parse_policy(policy.text) == policy


L, W = f"log {LOG.vkey}\n", f"witness W {WITNESSES['X1'].vkey}\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no quorum"),
        (L, "no quorum"),
        ("quorum W\n", "line 1: 'W' is not defined"),
        ("quorum none\nquorum none\n", "line 2: there is a second"),
        ("quorum none extra\n", "line 1"),
        (f"{L}{L}quorum none\n", "line 2: the key of the log .* twice"),
        (f"{W}{W}quorum W\n", "line 2: the name 'W' is taken"),
        (f"{W}{W.replace(' W ', ' V ')}quorum W\n", "line 2: the key of the witness"),
        (f"witness none {WITNESSES['X1'].vkey}\nquorum none\n", "line 1: the name 'none'"),
        (f"{W}group G any W\ngroup H any W\nquorum G\n", "line 3: 'W' is a member twice"),
        (f"{W}group G any W W\nquorum G\n", "line 2: 'W' is a member twice"),
        (f"{W}group G any none\nquorum G\n", "line 2: 'none' is not defined"),
        (f"{W}group G any G\nquorum G\n", "line 2: 'G' is not defined"),
        (f"{W}group G any\nquorum G\n", "line 2"),
        (f"{W}group G 0 W\nquorum G\n", "line 2: '0' of 1"),
        (f"{W}group G 2 W\nquorum G\n", "line 2: '2' of 1"),
        (f"{W}group G 01 W\nquorum G\n", "line 2: '01' of 1"),
        (f"{W}group G some W\nquorum G\n", "line 2: 'some' of 1"),
        (f"{W}group G ٣ W\nquorum G\n", "line 2"),
        (f"log {WITNESSES['X1'].vkey}\nquorum none\n", "line 1: .* type 0x04"),
        (f"witness W {LOG.vkey}\nquorum W\n", "line 1: .* type 0x01"),
        (f"witness W {str(LOG.vkey)[:-3]}\nquorum W\n", "line 1"),
        ("witness W\nquorum W\n", "line 1"),
        ("log\nquorum none\n", "line 1"),
        ("quorum none\r\n", "line 1 has a control"),
        ("quorum\x0bnone\n", "line 1 has a control"),
        ("frobnicate\nquorum none\n", "line 1: 'frobnicate'"),
    ],
)  # fmt: skip
def test_malformed_policies_are_refused(text: str, why: str) -> None:
    """The error names the line and what is wrong in it."""
    with pytest.raises(BadPolicy, match=why):
        parse_policy(text)


def test_names_are_octets() -> None:
    """Two spellings that Unicode would fold are two names, and need not be UTF-8."""
    key1, key2 = (str(WITNESSES[n].vkey).encode() for n in ("X1", "X2"))
    raw = b"witness K " + key1 + b"\nwitness \xe2\x84\xaa " + key2 + b"\nquorum \xe2\x84\xaa\n"
    assert parse_policy(raw).quorum == "\u212a"
    assert parse_policy(raw.replace(b"\xe2\x84\xaa", b"\xff")).quorum == "\udcff"


@given(st.binary(max_size=120) | st.text(max_size=120))
def test_parser_never_crashes(raw: bytes | str) -> None:
    """Anything is a policy or is refused with the module's own error."""
    try:
        assert parse_policy(raw).quorum
    except BadPolicy as error:
        assert str(error)
