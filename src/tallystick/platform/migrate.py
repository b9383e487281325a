"""Bring a schema up to date; Alembic is loaded only when there is something to do."""

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

import tallystick.migrations

__all__ = ["head_revision", "migrate", "schema_is_current"]

_FOLDER = Path(tallystick.migrations.__file__).parent
_LOCK = 0x7A11757C


@cache
def head_revision() -> str:
    """The newest revision, read off the file names (`0001_….py`), which a test holds against Alembic's own view.

    Read once: a process that was upgraded on disk under its feet is still of the version that it has loaded.
    """
    return max(found[1] for path in (_FOLDER / "versions").glob("*.py") if (found := re.match(r"(\d{4})_", path.name)))


async def schema_is_current(url: str, schema: str) -> bool:
    """Whether `schema` is at the newest revision."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await _current(connection, schema) == head_revision()
    finally:
        await connection.close()


async def _current(connection: Any, schema: str) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", f'"{schema}".alembic_version') is None:
        return None
    revision: str | None = await connection.fetchval(f'SELECT version_num FROM "{schema}".alembic_version')
    return revision


async def migrate(url: str, schema: str) -> list[str]:
    """Apply what is missing and return the revisions applied, oldest first; two callers take turns.

    A schema that has nothing yet gets the revisions' SQL directly: loading Alembic takes longer than the work.
    """
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        current = await _current(connection, schema)
        if current == head_revision():
            return []
        if current is None:
            return await _create(connection, schema)
        return await _upgrade(url, schema)
    finally:
        await connection.close()


async def _create(connection: "asyncpg.Connection[Any]", schema: str) -> list[str]:
    versions = [
        importlib.import_module(f"tallystick.migrations.versions.{path.stem}")
        for path in sorted((_FOLDER / "versions").glob("[0-9]*.py"))
    ]
    async with connection.transaction():
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"; SET LOCAL search_path TO "{schema}"')
        for version in versions:
            await connection.execute(version.SQL)
        # The table as Alembic makes it, so that Alembic goes on from here.
        await connection.execute(
            "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)"
        )
        await connection.execute("INSERT INTO alembic_version VALUES ($1)", head_revision())
    return [version.revision for version in versions]


async def _upgrade(url: str, schema: str) -> list[str]:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    applied: list[str] = []
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
