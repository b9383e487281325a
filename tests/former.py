"""The version before this one: the newest commit whose schema is older, as a source tree beside this one."""

import importlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

import tallystick.migrations.versions as versions
from tallystick.platform.migrate import head_revision

__all__ = ["Former", "command", "former_version", "schema_at"]

ROOT = Path(__file__).resolve().parents[1]
_VERSIONS = "src/tallystick/migrations/versions"
_DEEP = 200


@dataclass(frozen=True)
class Former:
    """A commit, the head of its schema, and the folder of its source.

    `ready_path` is how it is asked whether it serves: `/readyz`, but for versions whose readiness knew no schema but
    their own.
    """

    commit: str
    head: str
    source: Path
    ready_path: str


def former_version(folder: Path) -> Former:
    """Unpack it into `folder`; skips the test where there is no history."""
    log = _git("log", f"-{_DEEP}", "--first-parent", "--format=%H")
    if log is None:
        pytest.skip("this is no git repository: there is no former version to run beside this one")
    for commit in log.split():
        head = _head_of(commit)
        if head is not None and head < head_revision():
            archive = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True)
            subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
            migrate = (folder / "src" / "tallystick" / "platform" / "migrate.py").read_text()
            return Former(commit, head, folder / "src", "/readyz" if "SchemaState" in migrate else "/healthz")
    pytest.skip("the history holds no version with an older schema (a shallow clone?)")


def _head_of(commit: str) -> str | None:
    listed = _git("ls-tree", "--name-only", commit, f"{_VERSIONS}/")
    names = [Path(line).name[:4] for line in (listed or "").split() if Path(line).name[:4].isdigit()]
    return max(names, default=None)


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def command(*arguments: str) -> list[str]:
    """How a command of ours is called, whichever source is first on the path."""
    return [sys.executable, "-m", "tallystick.cli.main", *arguments]


async def schema_at(url: str, revision: str) -> None:
    """Put an empty schema at an older revision in the place of what is there, made from the migrations up to it."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        for path in sorted(Path(next(iter(versions.__path__))).glob("[0-9]*.py")):
            if path.name[:4] <= revision:
                await connection.execute(importlib.import_module(f"{versions.__name__}.{path.stem}").SQL)
        await connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        await connection.execute("INSERT INTO alembic_version VALUES ($1)", revision)
    finally:
        await connection.close()
