"""The witness as a service: over HTTP, on its disk, beside a log that asks, and by its command."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from stafett.cli.witness import witness as command
from stafett.ledger import checkpoint, cosignature, merkle, note, tiles
from stafett.ledger.canonical import canonical
from stafett.ledger.checkpoint import Checkpoint, Signed
from stafett.ledger.merkle import Frontier
from stafett.ledger.note import NoteSigner
from stafett.ledger.policy import Party, parse_policy
from stafett.ledger.witness import Request, State
from stafett.ledger.witness_app import Witness, witness_app
from stafett.ledger.witness_client import Outcome, OverHttp, RolledBack, ask, round_of
from stafett.ledger.witness_store import BadFolder, WitnessFolder

LOG = NoteSigner("host.example/log", b"\x01" * 32)
_HASHES: dict[tuple[int, int], bytes] = {}
ENTRIES = [
    canonical({
        "audience": ["a"], "author": {"organisation": "a", "person": None}, "body": {"n": n},
        "kind": "noted", "leaf": 1, "occurred_at": "2026-11-25T09:00:00+00:00",
        "recorded_at": "2026-11-25T09:00:00.000000Z", "salt": "0" * 32, "stream": "j",
        "version": n + 1,
    })
    for n in range(40)
]  # fmt: skip
Frontier().append(map(merkle.leaf_hash, ENTRIES), lambda lv, i, h: _HASHES.update({(lv, i): h}))


def at(level: int, index: int) -> bytes:
    """Return a stored hash of the log."""
    return _HASHES[level, index]


def prover(size: int) -> Callable[[int], list[bytes]]:
    """Return what proves that the log's tree of `size` continues an older one."""
    return lambda old: merkle.consistency_proof(old, size, at)


def signed(size: int) -> Signed:
    """Return the log's checkpoint."""
    return checkpoint.sign(Checkpoint(LOG.name, size, merkle.root_at(size, at)), LOG)


def request(old: int, size: int) -> str:
    """Return an honest request."""
    proof = merkle.consistency_proof(old, size, at)
    return Request(old, tuple(proof), signed(size).text).text


@pytest.fixture
def folder(tmp_path: Path) -> WitnessFolder:
    """A new witness's folder that trusts the log."""
    made = WitnessFolder.create(tmp_path / "w", "w.example/w")
    made.trust(LOG.vkey)
    return made


def test_over_http(folder: WitnessFolder) -> None:
    """Status, type and body are the specification's; the page shows what was seen."""
    client = TestClient(witness_app(Witness(folder)))
    answer = client.post("/add-checkpoint", content=request(0, 5))
    assert (answer.status_code, answer.text[:13]) == (200, "— w.example/w")
    answer = client.post("/add-checkpoint", content=request(3, 9))
    assert (answer.status_code, answer.text) == (409, "5\n")
    assert answer.headers["content-type"] == "text/x.tlog.size"
    assert client.get("/").json()["logs"][LOG.name]["size"] == 5
    assert client.get("/add-checkpoint").status_code == 405
    where = f"/{hashlib.sha256(LOG.name.encode()).hexdigest()}/checkpoint"
    seen = client.get(where)  # for monitors: a log cannot show them another one
    assert seen.headers["content-type"] == "text/plain; charset=utf-8"
    trusted = [cosignature.verifier(key) for key in (LOG.vkey, folder.cosigner().vkey)]
    opened = note.open_note(seen.text, trusted)
    assert len(opened.verified) == 2 and opened.unverified == ()
    assert client.get(f"/{'0' * 64}/checkpoint").status_code == 404
    assert client.post("/add-checkpoint", content=b"x" * 2_000_000).status_code == 413


def test_what_strangers_added_to_a_checkpoint_is_not_kept(folder: WitnessFolder) -> None:
    """Signatures of unknown keys are ignored: none is served as if the witness had seen it."""
    stranger = NoteSigner("stranger.example/x", b"\x07" * 32)
    text = signed(5).with_signatures([stranger.sign(signed(5).checkpoint.text)]).text
    witness = Witness(folder)
    assert witness.add(Request(0, (), text).text.encode()).status == 200
    assert "stranger" not in witness.state.latest[LOG.name].signed
    assert "stranger" not in WitnessFolder(folder.path).load().latest[LOG.name].signed


def test_an_answer_without_end_is_cut(folder: WitnessFolder) -> None:
    """No witness fills the log's memory."""
    sent = []

    def endless() -> Iterator[bytes]:
        while len(sent) < 100_000:
            sent.append(1)
            yield b"x" * 65_536

    post = OverHttp()
    post._client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=endless()))
    )
    status, body = post("https://w.example/add-checkpoint", "x")
    assert status == 200 and len(body) == note.LONGEST
    assert len(sent) < 100
    assert post.get("https://w.example/", 1000) == b""


def test_state_is_on_disk_before_the_answer(folder: WitnessFolder) -> None:
    """A witness killed after its answer remembers what it cosigned."""
    assert Witness(folder).add(request(0, 5).encode()).status == 200
    again = Witness(WitnessFolder(folder.path))
    assert again.state.latest[LOG.name].size == 5
    assert again.add(request(0, 9).encode()).status == 409


def test_no_answer_when_the_state_cannot_be_stored(
    folder: WitnessFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk gives no cosignature, and the next call starts from the old state."""
    running = Witness(folder)

    def full(state: State) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(folder, "save", full)
        with pytest.raises(OSError, match="No space"):
            running.add(request(0, 5).encode())
    assert running.state == State()
    assert running.add(request(0, 7).encode()).status == 200


def test_fork_evidence_survives_a_restart(folder: WitnessFolder) -> None:
    """The proof is stored word for word, and the log stays refused."""
    running = Witness(folder)
    own = running.add(request(0, 5).encode()).body
    forked = checkpoint.sign(Checkpoint(LOG.name, 5, b"r" * 32), LOG)
    assert running.add(Request(5, (), forked.text).text.encode()).status == 422
    again = Witness(WitnessFolder(folder.path))
    assert again.add(request(5, 9).encode()).status == 403
    client = TestClient(witness_app(again))
    assert client.get("/").json()["logs"][LOG.name]["forked"] is True
    assert client.get("/evidence").json()[0]["signed"] == [signed(5).text + own, forked.text]
    shown = CliRunner().invoke(command, ["status", "--folder", str(folder.path)])
    assert shown.exit_code == 1 and "FORKED" in shown.output


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.unlink(),
        lambda p: p.write_text("{"),
        lambda p: p.write_text('{"format": 2, "latest": {}, "evidence": []}'),
        lambda p: p.write_text('{"format": 1, "latest": {"o": {"signed": "x", "at": 1}}, '
                               '"evidence": []}'),
    ],
    ids=["lost", "cut", "newer format", "garbage inside"],
)  # fmt: skip
def test_lost_memory_is_never_begun_anew(
    folder: WitnessFolder, damage: Callable[[Path], None]
) -> None:
    """A witness without its memory stops: it could else cosign a second history."""
    damage(folder.path / "state.json")
    with pytest.raises(BadFolder):
        Witness(folder)


def test_two_processes_cannot_share_a_memory(folder: WitnessFolder) -> None:
    """The second one is told to stop the first."""
    second = WitnessFolder(folder.path).opened()
    with folder.opened(), pytest.raises(BadFolder, match="another witness"):
        second.__enter__()


def test_key_is_private_and_is_never_replaced(folder: WitnessFolder) -> None:
    """The key file is for its owner only; making a new witness in its place is refused."""
    assert (folder.path / "key").stat().st_mode & 0o077 == 0
    with pytest.raises(BadFolder, match="keeps its key"):
        WitnessFolder.create(folder.path, "w.example/w")


def party(folder: WitnessFolder, name: str = "W") -> Party:
    """Return the witness as a log's policy lists it."""
    return Party(name, folder.cosigner().vkey, "https://w.example/")


def poster(folder: WitnessFolder) -> Callable[[str, str], tuple[int, str]]:
    """Return a way to post to this witness without a network."""
    client = TestClient(witness_app(Witness(folder)))

    def post(url: str, body: str) -> tuple[int, str]:
        answer = client.post("/" + url.rsplit("/", 1)[1], content=body.encode())
        return answer.status_code, answer.text

    return post


def test_log_gets_its_cosignature_and_catches_up(folder: WitnessFolder) -> None:
    """A log that forgot where a witness stands learns it by a 409 and goes on."""
    post, listed = poster(folder), party(folder)
    for size, old in ((5, 0), (5, 0), (23, 0), (40, 23)):
        outcome = ask(listed, signed(size), prover(size), post, old)
        assert outcome.signature is not None, outcome.why
        policy = parse_policy(f"log {LOG.vkey}\nwitness W {listed.vkey}\nquorum W\n")
        assert policy.require(signed(size).with_signatures([outcome.signature]).text).quorum


def test_log_that_lost_entries_is_stopped(folder: WitnessFolder) -> None:
    """A witness that remembers a larger tree means that our store was rolled back."""
    post, listed = poster(folder), party(folder)
    assert ask(listed, signed(23), prover(23), post).signature is not None
    with pytest.raises(RolledBack, match="23 entries, we hold 9"):
        ask(listed, signed(9), prover(9), post)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, "oops", "status 500: oops"),
        (409, "x", "without a size"),
        (409, "3\n", "another size each time"),
        (200, "", "no cosignature"),
        (200, "— w.example/w AAAAAAAA\n", "no cosignature"),
        (200, LOG.sign("x\n").line, "no cosignature"),
    ],
)
def test_a_strange_answer_is_only_a_missing_cosignature(
    folder: WitnessFolder, status: int, body: str, why: str
) -> None:
    """Whatever a witness answers, the log goes on without it and says why."""
    outcome = ask(party(folder), signed(5), prover(5), lambda url, text: (status, body))
    assert outcome.signature is None and why in outcome.why


def test_round_of_all_witnesses(tmp_path: Path) -> None:
    """Those that answer are counted, the one that is away is named, sizes are remembered."""
    folders = {n: WitnessFolder.create(tmp_path / n, f"{n}.example") for n in ("a", "b")}
    for made in folders.values():
        made.trust(LOG.vkey)
    posts = {n: poster(made) for n, made in folders.items()}
    listed = [Party(n, f.cosigner().vkey, f"https://{n}.example") for n, f in folders.items()]
    listed += [Party("away", listed[0].vkey, "https://away.example"), Party("none", listed[0].vkey)]

    def post(url: str, body: str) -> tuple[int, str]:
        name = url.split("/")[2].split(".")[0]
        if name == "away":
            raise httpx.ConnectError("no route")
        return posts[name](url, body)

    known: dict[str, int] = {}
    outcomes = round_of(listed, signed(7), prover(7), post=post, known=known)
    assert [o.witness for o in outcomes if o.signature] == ["a", "b"] == list(known)
    assert outcomes[2] == Outcome("away", None, "not reached: no route")
    assert "no address" in outcomes[3].why
    again = round_of(listed[:2], signed(9), prover(9), post=post, known=known)
    assert all(o.signature for o in again) and known == {"a": 9, "b": 9}


def test_join_prints_the_policy_line_and_keeps_the_key(tmp_path: Path) -> None:
    """Joining twice gives the same key; the printed line is a line of a trust policy."""
    runner, where = CliRunner(), str(tmp_path / "w")
    args = ["join", "region.example/w", "--log", str(LOG.vkey), "--folder", where]
    first = runner.invoke(command, [*args, "--url", "https://region.example/"])
    line = next(x for x in first.stdout.splitlines() if x.startswith("witness "))
    name = line.split()[1]
    assert parse_policy(f"{line}\nquorum {name}\n").witnesses[0].url == "https://region.example/"
    second = runner.invoke(command, args)
    assert line.rsplit(" ", 1)[0] in second.stdout
    other = runner.invoke(command, ["join", "other.example", "--log", "junk", "--folder", where])
    assert other.exit_code == 2 and "no verifier key" in other.stderr
    foreign = runner.invoke(command, ["join", "other.example", *args[2:]])
    assert foreign.exit_code == 2 and "another folder" in foreign.stderr
    shown = runner.invoke(command, ["status", "--json", "--folder", where])
    assert json.loads(shown.stdout)["logs"][LOG.name] == {"size": 0, "at": None, "forked": False}


def test_join_with_a_quantum_safe_key(tmp_path: Path) -> None:
    """The same, with ML-DSA-44."""
    args = [
        "join",
        "q.example",
        "--ml-dsa",
        "--log",
        str(LOG.vkey),
        "--folder",
        str(tmp_path / "w"),
    ]
    assert CliRunner().invoke(command, args).exit_code == 0
    assert Witness(WitnessFolder(tmp_path / "w")).add(request(0, 5).encode()).status == 200


def test_run_serves_and_survives_kill(folder: WitnessFolder) -> None:
    """The real process: it serves, is killed at once after its answer, and still remembers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["witness", "run", "--port", str(port), "--folder", str(folder.path)]

    def start() -> subprocess.Popen[bytes]:
        code = f"from stafett.cli.main import main; main({arguments!r})"
        return subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ | {"no_proxy": "*"},
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def post(body: str) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=20) as client:
            for _ in range(200):
                try:
                    return client.post(
                        f"http://127.0.0.1:{port}/add-checkpoint", content=body.encode()
                    )
                except httpx.ConnectError:
                    time.sleep(0.1)
        raise AssertionError("the witness never came up")

    for old, size in ((0, 5), (5, 9)):
        process = start()
        try:
            assert post(request(old, size)).status_code == 200
        finally:
            process.kill()
            process.wait()
    assert folder.load().latest[LOG.name].size == 9


def test_audit_and_mirror_commands(tmp_path: Path) -> None:
    """A folder is audited by command: 0 when sound, 1 with the entry named, 2 without policy."""
    root = tmp_path / "log"
    for tile in tiles.tiles_of(40):
        path = root / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        assert tile.level == 0
        path.write_bytes(tiles.encode_hashes([at(0, i) for i in range(40)]))
    bundle = root / tiles.Tile(None, 0, 40).path
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(tiles.encode_bundle(ENTRIES))
    (root / "checkpoint").write_text(signed(40).text)
    policy = tmp_path / "policy"
    policy.write_text(f"log {LOG.vkey}\nquorum none\n")
    runner = CliRunner()
    sound = runner.invoke(command, ["audit", str(root), "--policy", str(policy)])
    assert sound.exit_code == 0 and "40 entries" in sound.output
    bundle.write_bytes(tiles.encode_bundle([*ENTRIES[:9], b"forged", *ENTRIES[10:]]))
    tampered = runner.invoke(command, ["audit", str(root), "--policy", str(policy)])
    assert tampered.exit_code == 1 and "position 10: the entry was changed" in tampered.output
    policy.write_text("quorum\n")
    assert runner.invoke(command, ["audit", str(root), "--policy", str(policy)]).exit_code == 2
    policy.write_text(f"log {LOG.vkey}\nquorum none\n")
    away = ["mirror", "http://127.0.0.1:9/", "--policy", str(policy), "--copy", str(tmp_path / "m")]
    assert runner.invoke(command, away).exit_code == 2
    key = tmp_path / "key"
    key.write_bytes(b"\xff\xfe no key")  # what cannot be read is no proof against the log
    assert runner.invoke(command, [*away, "--cosign", str(key)]).exit_code == 2


@pytest.mark.parametrize("name", ["key", "state.json", "logs"])
def test_a_folder_that_cannot_be_read_is_said_with_status_2(
    folder: WitnessFolder, name: str
) -> None:
    """Status 1 says that there is proof of a fork; a disk that lost a file is none."""
    (folder.path / name).write_bytes(b"\xff\xfe\x00")
    for arguments in (["status"], ["run", "--port", "0"]):
        told = CliRunner().invoke(command, [*arguments, "--folder", str(folder.path)])
        assert told.exit_code == 2 and name in told.stderr, told.output


def test_a_key_that_others_can_read_is_told(folder: WitnessFolder) -> None:
    """Whoever reads it cosigns in this witness's name."""
    assert not folder.exposed
    (folder.path / "key").chmod(0o644)
    assert folder.exposed


def test_note_key_of_a_witness_is_not_a_log(folder: WitnessFolder) -> None:
    """A witness cannot be told to trust a witness as a log."""
    (folder.path / "logs").write_text(f"# comment\n\n{folder.cosigner().vkey}\n")
    with pytest.raises(BadFolder, match="line 3"):
        folder.logs()
    (folder.path / "key").write_text(note.NoteSigner("w", b"\x01" * 32).to_text())
    with pytest.raises(BadFolder, match="restore it"):
        folder.cosigner()
