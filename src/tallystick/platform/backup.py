"""A schema as one file, by PostgreSQL's own `pg_dump`, and back by `pg_restore`.

Beside the file lies its manifest (`FILE.json`): what it holds, of when, and its SHA-256. Both appear under their names
only when they are whole and on disk. The file is not encrypted: it is as secret as the database.
"""

import asyncio
import hashlib
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from tallystick.platform.migrate import current_revision, head_revision
from tallystick.platform.postgres_binaries import candidates

__all__ = ["BackupError", "Manifest", "back_up", "manifest_of", "read_manifest", "restore", "verify"]

_FORMAT = 1
_CHUNK = 1 << 20
_COUNTED_MOST = 5_000_000


class BackupError(Exception):
    """It cannot be backed up or restored; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `rows` are the counts of its tables, but for those of more than five million."""

    format: int
    tallystick: str
    taken_at: str
    schema: str
    revision: str
    server_version: int
    bytes: int
    sha256: str
    rows: Mapping[str, int]

    @property
    def time(self) -> datetime:
        """When it was begun: it holds what was committed then."""
        return datetime.fromisoformat(self.taken_at)


async def back_up(url: str, schema: str, to: Path) -> Manifest:
    """Write a backup of `schema` to the file `to`, under the traffic that there is.

    Raises:
        BackupError: no program fits, the schema is not there, the file is there already, or `pg_dump` fails.
    """
    _refuse_place(to)
    connection = await _connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # It waits for as long as `pg_dump` reads.
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            revision = await current_revision(connection, schema)
            if revision is None:
                raise BackupError(f"The schema {schema!r} holds no Tallystick: see DATABASE_URL and DATABASE_SCHEMA.")
            server = await _server_version(connection)
            program = await _program("pg_dump", server // 10_000)
            taken_at = datetime.now(UTC)
            # The counts and the file are of one moment.
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            rows = await _counts(connection, schema, await _counted(connection, schema))
            fresh = to.with_name(f".{to.name}.{os.getpid()}")
            try:
                size, digest = await _dump(program, url, schema, snapshot, fresh)
                manifest = Manifest(
                    _FORMAT, version("tallystick"), taken_at.isoformat(), schema, revision, server, size, digest, rows
                )
                _publish(fresh, to, manifest)
            finally:
                fresh.unlink(missing_ok=True)
    finally:
        await connection.close()
    return manifest


async def restore(url: str, file: Path) -> Manifest:
    """Bring a backup into a database whose schema of that name is empty: all of it, or nothing.

    Raises:
        BackupError: the file is not what its manifest says, the database is not empty or too old, this version of
            Tallystick is older than the backup, or `pg_restore` fails.
    """
    manifest = await asyncio.to_thread(verify, file)
    if manifest.revision > head_revision():
        raise BackupError(
            f"{file} is of Tallystick {manifest.tallystick} (schema {manifest.revision}), newer than this program "
            f"({head_revision()}). Install that version, or a newer one."
        )
    connection = await _connect(url)
    try:
        server = await _server_version(connection)
        if server // 10_000 < manifest.server_version // 10_000:
            raise BackupError(
                f"The backup is of PostgreSQL {manifest.server_version // 10_000}, this server is {server // 10_000}. "
                "Restore into that version or a newer one."
            )
        if there := await _tables(connection, manifest.schema):
            raise BackupError(
                f"The schema {manifest.schema!r} is not empty ({', '.join(there[:3])} …). Nothing was changed. Restore "
                "into a new database, and point DATABASE_URL at it."
            )
        program = await _program("pg_restore", max(server, manifest.server_version) // 10_000)
        await _load(program, url, manifest.schema, file)
        await _free_claims(connection, manifest.schema)
        # Nobody has looked at the tables yet, and the first queries should not be planned blindly.
        await connection.execute("ANALYZE")
        counted = await _counts(connection, manifest.schema, await _tables(connection, manifest.schema, "r"))
        if wrong := {name for name, count in manifest.rows.items() if counted.get(name) != count}:
            raise BackupError(f"After the restore, {', '.join(sorted(wrong))} do not have the rows of the backup.")
    finally:
        await connection.close()
    return manifest


def manifest_of(file: Path) -> Path:
    """Where the manifest of a backup is."""
    return file.with_name(f"{file.name}.json")


def read_manifest(file: Path) -> Manifest:
    """The manifest beside a backup. Raises BackupError."""
    path = manifest_of(file)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(**found)
        if manifest.format != _FORMAT:
            raise BackupError(f"{path} has the form {manifest.format}, which this version does not know.")
        return manifest
    except FileNotFoundError as error:
        raise BackupError(f"{path} is missing: a backup is its file and this manifest.") from error
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(f"{path} cannot be read: {error}") from error


def verify(file: Path) -> Manifest:
    """The manifest of a backup whose file is what the manifest says. Raises BackupError."""
    manifest = read_manifest(file)
    digest = hashlib.sha256()
    try:
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}.") from error
    if digest.hexdigest() != manifest.sha256:
        raise BackupError(f"{file} is not the file of its manifest (SHA-256 differs): it is damaged or another one.")
    return manifest


def _refuse_place(to: Path) -> None:
    if to.exists() or manifest_of(to).exists():
        raise BackupError(f"{to} is there already; a backup is never written over another.")
    if not to.parent.is_dir():
        raise BackupError(f"There is no folder {to.parent}.")


# PostgreSQL's programs


async def _dump(program: Path, url: str, schema: str, snapshot: str, to: Path) -> tuple[int, str]:
    command = ["--format=custom", "--no-owner", "--no-privileges", "--no-password", f"--schema={schema}"]
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        async with _running(program, url, *command, f"--snapshot={snapshot}") as stdout:
            while chunk := await stdout.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


async def _load(program: Path, url: str, schema: str, file: Path) -> None:
    # The schema itself is there in every database if it is `public`, and is made here if it is another one.
    contents = await _contents(program, file)
    listed = [line for line in contents if not re.search(rf" SCHEMA - {re.escape(schema)} ", line)]
    connection = await _connect(url)
    try:
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    finally:
        await connection.close()
    chosen = file.with_name(f".{file.name}.{os.getpid()}.list")
    try:
        chosen.write_text("\n".join(listed) + "\n", encoding="utf-8")
        options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password")
        async with _running(program, url, *options, f"--use-list={chosen}", str(file)) as stdout:
            await stdout.read()
    finally:
        chosen.unlink(missing_ok=True)


async def _contents(program: Path, file: Path) -> Sequence[str]:
    process = await asyncio.create_subprocess_exec(
        str(program), "--list", str(file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, problem = await process.communicate()
    if process.returncode:
        raise BackupError(f"{file} cannot be read: {problem.decode(errors='replace').strip()}")
    return said.decode().splitlines()


@asynccontextmanager
async def _running(program: Path, url: str, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """One of PostgreSQL's programs on a database; a failure raises BackupError with what it said."""
    # Every user of the machine can read a command's arguments, so the password is not among them.
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = (parts.username or "") + ("@" if parts.username else "")
    place = urlunsplit(parts._replace(scheme="postgresql", netloc=user + host))
    environment = {**os.environ, "PGAPPNAME": program.name}
    if parts.password is not None:
        environment["PGPASSWORD"] = unquote(parts.password)
    process = await asyncio.create_subprocess_exec(
        str(program),
        f"--dbname={place}",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_CHUNK,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = asyncio.create_task(process.stderr.read())
    try:
        yield process.stdout
        if await process.wait():
            raise BackupError(f"{program.name} failed: {(await said).decode(errors='replace').strip()}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await said


async def _program(name: str, at_least: int) -> Path:
    """The first of PostgreSQL's programs of this name that is not older than the server."""
    tried = []
    for _, folder in candidates(name):
        path = folder / name
        if not path.exists():
            continue
        major = await asyncio.to_thread(_major, path)
        if major is not None and major >= at_least:
            return path
        tried.append(f"{path} ({'cannot be run' if major is None else major})")
    found = f" Found: {', '.join(tried)}." if tried else ""
    raise BackupError(
        f"No {name} of PostgreSQL {at_least} or later was found.{found} Install that version's client programs "
        f"(Debian: postgresql-client-{at_least}), or set TALLYSTICK_PG_BIN to their folder."
    )


def _major(program: Path) -> int | None:
    try:
        said = subprocess.run(  # noqa: S603
            [str(program), "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else None


# The database


async def _connect(url: str) -> "asyncpg.Connection[Any]":
    try:
        return await asyncpg.connect(url, timeout=10, server_settings={"application_name": "tallystick backup"})
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The message of some of them quotes the address, and with it the password.
        raise BackupError(f"The database cannot be reached ({type(error).__name__}): check DATABASE_URL.") from error


async def _server_version(connection: "asyncpg.Connection[Any]") -> int:
    return int(await connection.fetchval("SELECT current_setting('server_version_num')"))


async def _tables(connection: "asyncpg.Connection[Any]", schema: str, kinds: str = "rpvmS") -> Sequence[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind::text = ANY ($2)"
        " ORDER BY relname",
        f'"{schema}"',
        list(kinds),
    )
    return [row[0] for row in rows]


async def _free_claims(connection: "asyncpg.Connection[Any]", schema: str) -> None:
    """Whoever held a lease when the backup was made is not there: what was in hand need not wait for it to run out."""
    columns = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = $1 AND column_name IN ('leased_until', 'lease_until')",
        schema,
    )
    for table, column in columns:
        await connection.execute(f'UPDATE "{schema}"."{table}" SET {column} = now() WHERE {column} > now()')


async def _counted(connection: "asyncpg.Connection[Any]", schema: str) -> Sequence[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r' AND reltuples <= $2"
        " ORDER BY relname",
        f'"{schema}"',
        float(_COUNTED_MOST),
    )
    return [row[0] for row in rows]


async def _counts(connection: "asyncpg.Connection[Any]", schema: str, tables: Iterable[str]) -> Mapping[str, int]:
    return {name: await connection.fetchval(f'SELECT count(*) FROM "{schema}"."{name}"') for name in tables}


def _publish(fresh: Path, to: Path, manifest: Manifest) -> None:
    beside = manifest_of(to)
    written = beside.with_name(f".{beside.name}.{os.getpid()}")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(to)
    written.rename(beside)
    folder = os.open(to.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
