"""The embedded PostgreSQL: one server per data folder, kept alive for as long as someone needs it.

`database(folder)` gives a database to whoever asks; where `STAFETT_DATABASE_URL` is set it is that
one and nothing is started. Otherwise the server is a direct child of this process:

* Only a Unix socket, no TCP; peer authentication with a map, so that only the operating-system
  user who runs Stafett gets in.
* Root is given up before `postgres` starts (PostgreSQL refuses root): the data folder's owner, a
  user named `stafett`, or else `nobody`. Paths below closed folders still work, because the server
  names its data folder `/proc/self/cwd` and never has to walk there from the top.
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
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from stafett.ledger import binaries
from stafett.ledger.unfit import Unfit

log = logging.getLogger(__name__)

SUPERUSER = "stafett"
DATABASE = "stafett"
SHELF = Path("/var/lib/stafett")
AGAIN_S = 1.0  # after a start that failed, of a server that has run before
# libpq: what was sent has no acknowledgement for so long, or nothing has come and nobody answers.
VANISHED = {
    "tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 2,
    "keepalives_count": 3,
}  # fmt: skip
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

# Runs between fork and exec in a process of its own: nothing runs after a fork in a threaded
# parent. The signal is set after the change of user, which would clear it.
LAUNCHER = """
import ctypes, os, signal, sys
uid, gid, parent, folder, *argv = sys.argv[1:]
os.chdir(folder)
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
if os.getppid() != int(parent):
    sys.exit(70)
os.umask(0o077)
os.execv(argv[0], argv)
"""


class ServerFailed(Unfit):
    """The embedded server can't run here; the message says what to do."""


class Database(Protocol):
    """Something with the address of a database."""

    @property
    def url(self) -> str:
        """The address, as libpq understands it."""
        ...


def lasting(url: str) -> str:
    """Return the address with what makes a machine that has vanished be noticed, unless it says.

    A machine that loses its power ends no connection: whoever waits for an answer waits for as long
    as the system tries to reach it, a quarter of an hour and more, and whoever only listens for two
    hours. Neither makes a difference where the server is on this machine.
    """
    said = conninfo_to_dict(url)
    more = [f"{name}={value}" for name, value in VANISHED.items() if name not in said]
    if not url.startswith(("postgresql://", "postgres://")):
        return " ".join([url, *more])
    return url + ("&" if "?" in url else "?") + "&".join(more) if more else url


class Configured:
    """The database that STAFETT_DATABASE_URL names; someone else runs it."""

    def __init__(self, url: str) -> None:
        self.url = lasting(url)


@contextlib.contextmanager
def database(
    folder: Path, settings: Mapping[str, str] | None = None, *, existing: bool = False
) -> Iterator[Database]:
    """Yield the database of `folder`: the configured one, or an embedded server's.

    Raises ServerFailed or binaries.NoBinaries with what to do. `settings` are PostgreSQL settings
    for the embedded server. With `existing` none is made where there is none.
    """
    configured = os.environ.get("STAFETT_DATABASE_URL")
    if configured:
        yield Configured(configured)
        return
    if existing and not (folder / "data" / "PG_VERSION").exists():
        raise ServerFailed(
            f"{folder.parent} holds no record: name the folder of the control tower with --folder"
        )
    with Server(folder, settings) as server:
        yield server


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

    def may_write(self, folder: Path) -> bool:
        """Tell whether the user that the server runs as may write in `folder`."""
        return self._may('test -d "$0" && test -w "$0" && test -x "$0"', folder)

    def may_read(self, folder: Path) -> bool:
        """Tell whether the user that the server runs as may read every file in `folder`."""
        every = 'for f in "$0"/*; do test -r "$f" || exit 1; done'
        return self._may(f'test -r "$0" && test -x "$0" && {every}', folder)

    def _may(self, test: str, folder: Path) -> bool:
        self._prepare()
        ask = self._launcher(self.folder, ["/bin/sh", "-c", test, str(folder.resolve())])
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0

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
                    os.chown(Path(root) / name, self.uid, self.gid, follow_symlinks=False)
        data.rename(self.data)

    # ---- the folder ----------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make the folder and settle who runs the server and where its socket is."""
        self.user = _own_name()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.uid, self.gid = _server_user(self.data)
        self.bin = binaries.runnable_by(binaries.find(), self.uid, SHELF)
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
        if not stat.S_ISDIR(state.st_mode) or state.st_uid not in (self.uid, os.geteuid()):
            raise ServerFailed(f"{path}: belongs to someone else; remove it")
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

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
            self._launcher(fresh, command), capture_output=True, text=True, check=False
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
        server = pwd.getpwuid(self.uid).pw_name if self.uid != os.geteuid() else user
        for name, text in (
            ("pg_hba.conf", "local all all peer map=me\nlocal replication all peer map=copy\n"),
            # A standby's own user (who owns a copy of the files anyway) may replicate, no more.
            ("pg_ident.conf", f'me "{user}" all\ncopy "{user}" all\ncopy "{server}" all\n'),
        ):
            path = self.data / name
            path.write_text(text)
            os.chown(path, self.uid, self.gid)

    # ---- the process ---------------------------------------------------------------------------

    def _place(self, folder: Path) -> str:
        """How the server itself names `folder`, which is its working folder."""
        return str(folder) if self.uid == os.geteuid() else "/proc/self/cwd"

    def _launcher(self, folder: Path, command: list[str]) -> list[str]:
        who = [str(self.uid), str(self.gid), str(os.getpid()), str(folder)]
        return [sys.executable, "-I", "-S", "-c", LAUNCHER, *who, *command]

    def _command(self) -> list[str]:
        """Write the command line of the server."""
        place = self._place(self.data)
        sockets = str(self.sockets)
        if self.uid != os.geteuid() and self.sockets.parent == self.data:
            sockets = f"{place}/{self.sockets.name}"
        fixed = {
            "listen_addresses": "",
            "unix_socket_directories": sockets,
            "unix_socket_permissions": "0700" if self.uid == os.geteuid() else "0777",
            "port": "5432",
            "logging_collector": "off",
        }
        options = [f"-c{name}={value}" for name, value in {**self.settings, **fixed}.items()]
        return self._launcher(self.data, [str(self.bin / "postgres"), "-D", place, *options])

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


def _own_name() -> str:
    """Return the name of the user who runs us, which PostgreSQL asks for."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise ServerFailed(
            f"user number {os.geteuid()} has no name in /etc/passwd, which PostgreSQL needs; "
            "add one, or set STAFETT_DATABASE_URL"
        ) from None


def _fatal(said: str) -> str:
    """Return what PostgreSQL says is the matter; all that it said where it names nothing."""
    grave = re.findall(r"(?:FATAL|PANIC|initdb: error): +(.+)", said)
    return "; ".join(dict.fromkeys(grave)) or said.strip()[-2000:]


def _server_user(data: Path) -> tuple[int, int]:
    """Return the user and group numbers to run the server as."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    with contextlib.suppress(FileNotFoundError):
        owner = data.stat()
        if owner.st_uid != 0:
            return owner.st_uid, owner.st_gid
    for name in ("stafett", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise ServerFailed(
        "PostgreSQL does not run as root and there is no user named stafett or nobody: "
        "add one (useradd --system stafett), or set STAFETT_DATABASE_URL"
    )


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
