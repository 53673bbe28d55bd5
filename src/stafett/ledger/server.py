"""The embedded PostgreSQL: one server per data folder, kept alive for as long as someone needs it.

The server is a direct child of this process (begun as `launch` says; `database` says when):

* Only a Unix socket, no TCP; peer authentication with a map, so that only the operating-system
  user who runs Stafett gets in.
* The kernel ends the server when the thread that started it dies (PR_SET_PDEATHSIG), so that
  `kill -9` leaves none behind. That thread lives exactly as long as the server should.
* A lock on the folder decides who runs the server. The server's processes inherit the lock, so it
  is free only when the last of them has gone. Other processes on the folder use the same server,
  and one of them takes over when the first goes away.
* A server that dies is started again. Ready means that a real connection succeeded; there is no
  time-out while the server recovers, for it may have much to recover.

Layout of the folder: `data/` (PGDATA), `lock`, `log`. The socket is in `data/run/` if that path is
short enough for the kernel's 107 bytes, otherwise in a folder of its own in the temporary folder.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import getpass
import hashlib
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from stafett.ledger import binaries
from stafett.ledger.launch import ServerFailed, own_name, runs_as

log = logging.getLogger(__name__)

SUPERUSER = "stafett"
DATABASE = "stafett"
SHELF = Path("/var/lib/stafett")
AGAIN_S = 1.0  # after a start that failed, of a server that has run before
LONGEST_SOCKET = 107  # sizeof(sockaddr_un.sun_path) - 1 on Linux; macOS has 103
LOG_LIMIT = 16 * 2**20

# Settings that may be overridden by the caller come first; what safety rests on comes last.
DEFAULTS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_level": "replica",
    "max_wal_senders": "8",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "password_encryption": "scram-sha-256",
}


class Server:
    """The embedded server of one folder; a context manager, or `start()` and `close()`."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.settings = {**DEFAULTS, **(settings or {})}
        self.data = self.folder / "data"
        self.pid: int | None = None  # of the postmaster, while this process runs it
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._lock = -1

    @property
    def url(self) -> str:
        """The address of the main database."""
        return self.url_of(DATABASE)

    def url_of(self, name: str) -> str:
        """Return the address of the database called `name` on this server."""
        return f"postgresql://{SUPERUSER}@/{quote(name)}?host={quote(str(self.sockets), safe='')}"

    @property
    def owned(self) -> bool:
        """Whether this process runs the server (rather than using another process's)."""
        return self.pid is not None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Return when the database can be used. Raises ServerFailed or NoBinaries."""
        self._prepare()
        self._thread = threading.Thread(target=self._supervise, name="postgres", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        self._ready.wait()
        if self._failure:
            self.close()
            raise self._failure

    def close(self) -> None:
        """Stop the server if this process runs it: fast, then at once."""
        atexit.unregister(self.close)
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def adopt(self, data: Path) -> None:
        """Make `data` (a PGDATA from a backup) the data of this folder, which must have none.

        It is given to the user that the server runs as. The server must not be running.
        """
        if self.data.exists():
            raise ServerFailed(f"{self.data} exists already: restore into a new folder")
        self._prepare()
        data.chmod(0o700)
        if os.geteuid() == 0:
            for root, folders, files in os.walk(data):
                for name in (".", *folders, *files):
                    os.chown(Path(root) / name, self.runs.uid, self.runs.gid, follow_symlinks=False)
        data.rename(self.data)

    # ---- the folder ----------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make the folder and settle who runs the server and where its socket is."""
        self.user = own_name()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.runs = runs_as(self.data)
        self.bin = binaries.runnable_by(binaries.find(), self.runs.uid, SHELF)
        longest = LONGEST_SOCKET - (4 if sys.platform == "darwin" else 0)
        run = self.data / "run"
        if len(os.fsencode(run)) + len("/.s.PGSQL.5432") > longest:
            name = hashlib.sha256(os.fsencode(self.folder.resolve())).hexdigest()[:16]
            run = Path(tempfile.gettempdir()) / f"stafett-{os.geteuid()}-{name}"
        self.sockets = run

    def _own(self, path: Path) -> None:
        """Make `path` a folder that belongs to the server's user alone."""
        path.mkdir(mode=0o700, exist_ok=True)
        state = path.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid not in (self.runs.uid, os.geteuid()):
            raise ServerFailed(f"{path}: belongs to someone else; remove it")
        if os.geteuid() == 0:
            os.chown(path, self.runs.uid, self.runs.gid, follow_symlinks=False)

    def _initialise(self) -> None:
        """Make PGDATA, whole or not at all."""
        fresh = self.folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)  # a start that was killed halfway
        self._own(fresh)
        place = self._place(fresh)
        command = [str(self.bin / "initdb"), "-D", place, "-U", SUPERUSER, "--auth=peer"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
        command += ["--no-sync"] if self.settings.get("fsync") == "off" else []
        done = subprocess.run(
            self.runs.command(fresh, command), capture_output=True, text=True, check=False
        )
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ServerFailed(
                f"{self.folder}: no database could be made here: {_fatal(done.stderr)}. "
                "Mend that and start again"
            )
        fresh.rename(self.data)

    def _check_version(self) -> None:
        ours = binaries.major_version(self.bin)
        theirs = (self.data / "PG_VERSION").read_text().strip()
        if theirs != str(ours):
            raise ServerFailed(
                f"{self.data} was made by PostgreSQL {theirs}; the programs here are {ours}. "
                f"Nothing was touched. Either run it with PostgreSQL {theirs} "
                f"(STAFETT_POSTGRES_BIN), or export it with pg_dumpall {theirs}, move the folder "
                "away, start once, and load the export"
            )

    def _clear_leftovers(self) -> None:
        """Remove the lock files of a server that was killed.

        PostgreSQL trusts a recorded process number, which another process may bear by now. We hold
        the folder's lock, so no server of ours lives; one started by hand is told by its
        working folder.
        """
        record = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            pid = int(record.read_text().split("\n", 1)[0])
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cwd").samefile(self.data):
                    raise ServerFailed(f"{self.data}: another server (process {pid}) runs there")
        record.unlink(missing_ok=True)
        for leftover in self.sockets.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)

    def _write_authentication(self) -> None:
        """Let in the operating-system user who runs Stafett, under any name, and nobody else."""
        user = self.user
        server = self.runs.name if self.runs.other else user
        for name, text in (
            ("pg_hba.conf", "local all all peer map=me\nlocal replication all peer map=copy\n"),
            # A standby's own user (who owns a copy of the files anyway) may replicate, no more.
            ("pg_ident.conf", f'me "{user}" all\ncopy "{user}" all\ncopy "{server}" all\n'),
        ):
            path = self.data / name
            path.write_text(text)
            os.chown(path, self.runs.uid, self.runs.gid)

    # ---- the process ---------------------------------------------------------------------------

    def _place(self, folder: Path) -> str:
        """How the server itself names `folder`, which is its working folder."""
        return "/proc/self/cwd" if self.runs.other else str(folder)

    def _command(self) -> list[str]:
        """Write the command line of the server."""
        place = self._place(self.data)
        sockets = str(self.sockets)
        if self.runs.other and self.sockets.parent == self.data:
            sockets = f"{place}/{self.sockets.name}"
        fixed = {
            "listen_addresses": "",
            "unix_socket_directories": sockets,
            "unix_socket_permissions": "0777" if self.runs.other else "0700",
            "port": "5432",
            "logging_collector": "off",
        }
        options = [f"-c{name}={value}" for name, value in {**self.settings, **fixed}.items()]
        return self.runs.command(self.data, [str(self.bin / "postgres"), "-D", place, *options])

    def _supervise(self) -> None:
        """Get the folder's lock, run the server, start it again when it dies; until closed."""
        try:
            while not self._stop.is_set() and self._failure is None:
                try:
                    self._turn()
                except Exception as failure:
                    if self._ready.is_set():  # it has run: a full disk may have room again
                        log.exception("the embedded database does not run; it is tried again")
                        self._stop.wait(AGAIN_S)
                    else:
                        self._failure = failure
        finally:
            self._ready.set()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def _turn(self) -> None:
        if self._take_lock():
            self._run()
        elif self._owner_lives() and self._answers():
            self._ready.set()
            self._stop.wait(0.2)
        else:
            self._stop.wait(0.05)

    def _take_lock(self) -> bool:
        if self._lock >= 0:
            return True
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        os.truncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        self._lock = lock
        # A forked child that lives on must not keep the lock.
        os.register_at_fork(after_in_child=lambda: self._forget(lock))
        return True

    def _forget(self, lock: int) -> None:
        if self._lock == lock:
            os.close(lock)
            self._lock = -1

    def _owner_lives(self) -> bool:
        """Whether the process that holds the lock is alive, not only its dying server."""
        try:
            os.kill(int((self.folder / "lock").read_text()), 0)
        except PermissionError:
            return True
        except (OSError, ValueError):
            return False
        return True

    def _run(self) -> None:
        """Run the server once, from start to end."""
        if not (self.data / "PG_VERSION").exists():
            if self.data.exists():
                raise ServerFailed(
                    f"{self.data} is no whole database: it has no PG_VERSION. Nothing was touched. "
                    "Restore a backup into a new folder: `stafett ledger restore`"
                )
            self._initialise()
        self._check_version()
        self._own(self.sockets)
        self._clear_leftovers()
        self._write_authentication()
        log_path = self.folder / "log"
        mode = "ab" if log_path.exists() and log_path.stat().st_size < LOG_LIMIT else "wb"
        with log_path.open(mode) as output:
            began = output.tell()
            self._process = process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[self._lock],
                start_new_session=True,  # Ctrl-C at the terminal is for us to handle
            )
        self.pid = process.pid
        try:
            while process.poll() is None and not self._stop.is_set():
                if self._ready.is_set():
                    self._stop.wait(0.05)
                elif self._answers():
                    self._ready.set()
                else:
                    self._stop.wait(0.01)
            if self._stop.is_set():
                self._halt(process)
        finally:
            self.pid = None
        if not self._stop.is_set():
            said = log_path.read_bytes()[began:].decode(errors="replace").strip()
            # Children of a killed server may live a moment longer; anything else at the first
            # start is for the caller to know.
            if not self._ready.is_set() and "still in use" not in said:
                raise ServerFailed(
                    f"{self.data}: the embedded PostgreSQL ended at once: {_fatal(said)}. All that "
                    f"it said is in {log_path}. If a disk is full, make room and start again; if "
                    "files are damaged, restore a backup into a new folder: "
                    "`stafett ledger restore`"
                )
            log.warning("the embedded database ended (%s); starting again", process.returncode)
            self._stop.wait(0.05)

    def _answers(self) -> bool:
        """Whether a connection succeeds; makes the main database where there is none."""
        try:
            with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
                found = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
                ).fetchone()
                if not found:
                    with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                        connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError as refusal:
            if "Peer authentication failed" in str(refusal):
                raise ServerFailed(
                    f"{self.folder}: its server belongs to another user than {getpass.getuser()}"
                ) from None
            return False
        return True

    @staticmethod
    def _halt(process: subprocess.Popen[bytes]) -> None:
        """Stop: fast (open transactions are ended), then at once, then by force."""
        for way, patience in ((signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(way)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                return


def _fatal(said: str) -> str:
    """Return what PostgreSQL says is the matter; all that it said where it names nothing."""
    grave = re.findall(r"(?:FATAL|PANIC|initdb: error): +(.+)", said)
    return "; ".join(dict.fromkeys(grave)) or said.strip()[-2000:]


def wait_until_gone(pid: int, patience_s: float = 10) -> bool:
    """Return whether process `pid` ended within `patience_s` seconds."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False
