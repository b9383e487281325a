"""Bring a schema up to date; Alembic is loaded only when there is something to do."""

import asyncio
import importlib
import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import structlog

import tallystick.migrations
from tallystick.platform.backfill import Backfill, declared, fill, fill_for, note_filled

__all__ = [
    "SchemaState",
    "SchemaTooNew",
    "current_revision",
    "head_revision",
    "migrate",
    "schema_is_current",
    "schema_state",
]

log = structlog.get_logger()

_FOLDER = Path(tallystick.migrations.__file__).parent
_LOCK = 0x7A11757C
_LOCK_TRIES = 20
_LOCK_PAUSE_S = 0.25
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (\w+) ON ")


@cache
def head_revision() -> str:
    """The newest revision, read off the file names (`0001_….py`), which a test holds against Alembic's own view.

    Read once: a process that was upgraded on disk under its feet is still of the version that it has loaded.
    """
    return max(found[1] for path in (_FOLDER / "versions").glob("*.py") if (found := re.match(r"(\d{4})_", path.name)))


class SchemaState(StrEnum):
    """How a schema stands to this program. It serves one that is AHEAD: a migration comes before the program."""

    MISSING = "missing"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"
    BEYOND = "beyond"

    @property
    def serves(self) -> bool:
        """Whether this program can work on it."""
        return self in (SchemaState.CURRENT, SchemaState.AHEAD)


class SchemaTooNew(Exception):
    """The schema has taken away what this program needs; the message says what to install."""


async def schema_is_current(url: str, schema: str) -> bool:
    """Whether `schema` is at the newest revision."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await schema_state(connection, schema) is SchemaState.CURRENT
    finally:
        await connection.close()


async def schema_state(connection: Any, schema: str) -> SchemaState:
    """How `schema` stands to this program; where it is newer, it says itself from which revision on it serves."""
    revision, head = await current_revision(connection, schema), head_revision()
    if revision is None:
        return SchemaState.MISSING
    if revision <= head:
        return SchemaState.CURRENT if revision == head else SchemaState.BEHIND
    said = await connection.fetchval(
        "SELECT obj_description(to_regclass($1), 'pg_class')", f'"{schema}".alembic_version'
    )
    found = re.search(r"serves from (\d{4})", said or "")
    return SchemaState.BEYOND if found and head < found[1] else SchemaState.AHEAD


async def current_revision(connection: Any, schema: str) -> str | None:
    """The revision of a schema; None where it holds nothing of ours."""
    if await connection.fetchval("SELECT to_regclass($1)", f'"{schema}".alembic_version') is None:
        return None
    revision: str | None = await connection.fetchval(f'SELECT version_num FROM "{schema}".alembic_version')
    return revision


async def migrate(url: str, schema: str) -> list[str]:
    """Apply what is missing and return the revisions applied, oldest first; two callers take turns.

    A schema that has nothing yet gets the revisions' SQL directly: loading Alembic takes longer than the work.

    Raises:
        SchemaTooNew: the schema does not serve this program.
        NotFilled: a revision takes away what a back-fill was to read first, or one cannot be run beside traffic.
    """
    versions = _versions()
    backfills = declared(versions)
    connection = await asyncpg.connect(url, timeout=10)
    try:
        # Asked again and again: whoever waited inside a statement would hold up an index that is built concurrently.
        while True:
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                break
            await asyncio.sleep(_LOCK_PAUSE_S)
        state = await schema_state(connection, schema)
        if state is SchemaState.BEYOND:
            raise SchemaTooNew(
                f"The schema {schema!r} is newer than this program, and does not serve it: install the "
                "version of Tallystick that made it, or a newer one."
            )
        if state is SchemaState.AHEAD:
            return []
        applied: list[str] = []
        if not state.serves:
            if state is SchemaState.MISSING:
                applied = await _create(connection, schema, versions, backfills)
            else:
                there = await current_revision(connection, schema) or ""
                await fill_for(connection, schema, [one for one in versions if one.revision > there], backfills)
                applied = await _upgrade_patiently(url, schema)
            await _tell_whom_it_serves(connection, schema)
        await _build_indexes(connection, schema)
        await fill(connection, schema, backfills)
        return applied
    finally:
        await connection.close()


def _versions() -> "list[Any]":
    return [
        importlib.import_module(f"tallystick.migrations.versions.{path.stem}")
        for path in sorted((_FOLDER / "versions").glob("[0-9]*.py"))
    ]


async def _tell_whom_it_serves(connection: "asyncpg.Connection[Any]", schema: str) -> None:
    """Older programs read this: a migration that takes something away names in `serves_from` the first without it."""
    first = max(str(getattr(version, "serves_from", "0001")) for version in _versions())
    await connection.execute(f"COMMENT ON TABLE \"{schema}\".alembic_version IS 'serves from {first}'")


async def _build_indexes(connection: "asyncpg.Connection[Any]", schema: str) -> None:
    """Indexes of tables that may be filled (`CONCURRENT` of a version), each in a statement of its own: writes go on.

    A process that dies over one leaves it invalid, and so does a unique one that finds two rows alike; the next
    migration builds it anew.
    """
    for version in _versions():
        for statement in getattr(version, "CONCURRENT", ()):
            found = _INDEX.match(statement)
            if found is None:
                raise ValueError(f"{version.revision}: each of CONCURRENT builds one index, concurrently, by its name")
            name = f'"{schema}".{found[1]}'
            valid = await connection.fetchval(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", name
            )
            if valid:
                continue
            if valid is False:
                await connection.execute(f"DROP INDEX CONCURRENTLY {name}")
            log.info("migrate.index", name=found[1], revision=version.revision)
            await connection.execute(f'SET search_path TO "{schema}"')
            await connection.execute(statement)


async def _create(
    connection: "asyncpg.Connection[Any]", schema: str, versions: Sequence[Any], backfills: Sequence[Backfill]
) -> list[str]:
    async with connection.transaction():
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"; SET LOCAL search_path TO "{schema}"')
        for version in versions:
            await connection.execute(version.SQL)
        # The table as Alembic makes it, so that Alembic goes on from here.
        await connection.execute(
            "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)"
        )
        await connection.execute("INSERT INTO alembic_version VALUES ($1)", head_revision())
        await note_filled(connection, schema, backfills)
    return [version.revision for version in versions]


async def _upgrade_patiently(url: str, schema: str) -> list[str]:
    """What traffic keeps from its lock is tried again: each try holds up others for half a second at most."""
    applied: list[str] = []
    for tries in range(1, _LOCK_TRIES + 1):
        try:
            return await _upgrade(url, schema, applied)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if tries == _LOCK_TRIES:
                raise
            log.warning("migrate.locked", tries=tries, hint="somebody holds a table; trying again")
            await asyncio.sleep(min(_LOCK_PAUSE_S * 2 ** (tries - 1), 10))
    return applied


async def _upgrade(url: str, schema: str, applied: list[str] | None = None) -> list[str]:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    applied = [] if applied is None else applied
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes.update(schema=schema, applied=applied)

    def upgrade(connection: Any) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    engine = create_async_engine(re.sub(r"^postgres(ql)?://", "postgresql+asyncpg://", url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
            await connection.execute(text(f'SET search_path TO "{schema}"'))
            await connection.commit()
            await connection.run_sync(upgrade)
            await connection.commit()
    finally:
        await engine.dispose()
    return applied
