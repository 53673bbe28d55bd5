"""As whom the embedded PostgreSQL runs, and how its programs are begun.

Root is given up before `postgres` starts (PostgreSQL refuses root): the data folder's owner, a user
named `stafett`, or else `nobody`. Paths below closed folders still work, because a program is begun
in the folder that it is about and calls it `/proc/self/cwd`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stafett.ledger.unfit import Unfit

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


@dataclass(frozen=True, slots=True)
class RunsAs:
    """The user and the group that the server's programs run as."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """The user's name, or number where it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def other(self) -> bool:
        """Whether it is somebody else than we are."""
        return self.uid != os.geteuid()

    def command(self, folder: Path, command: list[str]) -> list[str]:
        """Return the command that begins `command` in `folder`, as this user."""
        who = [str(self.uid), str(self.gid), str(os.getpid()), str(folder)]
        return [sys.executable, "-I", "-S", "-c", LAUNCHER, *who, *command]

    def may_write(self, folder: Path) -> bool:
        """Tell whether this user may write in `folder`."""
        return self._may('test -d "$0" && test -w "$0" && test -x "$0"', folder)

    def may_read(self, folder: Path) -> bool:
        """Tell whether this user may read every file in `folder`."""
        every = 'for f in "$0"/*; do test -r "$f" || exit 1; done'
        return self._may(f'test -r "$0" && test -x "$0" && {every}', folder)

    def _may(self, test: str, folder: Path) -> bool:
        ask = self.command(Path("/"), ["/bin/sh", "-c", test, str(folder.resolve())])
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0


def own_name() -> str:
    """Return the name of the user who runs us, which PostgreSQL asks for."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise ServerFailed(
            f"user number {os.geteuid()} has no name in /etc/passwd, which PostgreSQL needs; "
            "add one, or set STAFETT_DATABASE_URL"
        ) from None


def runs_as(data: Path) -> RunsAs:
    """Return whom to run the server of the data folder `data` as."""
    if os.geteuid() != 0:
        return RunsAs(os.geteuid(), os.getegid())
    with contextlib.suppress(FileNotFoundError):
        owner = data.stat()
        if owner.st_uid != 0:
            return RunsAs(owner.st_uid, owner.st_gid)
    for name in ("stafett", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return RunsAs(user.pw_uid, user.pw_gid)
    raise ServerFailed(
        "PostgreSQL does not run as root and there is no user named stafett or nobody: "
        "add one (useradd --system stafett), or set STAFETT_DATABASE_URL"
    )
