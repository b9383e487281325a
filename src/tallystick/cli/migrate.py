"""`tallystick migrate`: the database schema."""

import asyncio
import os
from typing import Annotated

from cyclopts import Parameter

from tallystick.cli.configured import database_given
from tallystick.cli.errors import Problem

__all__ = ["migrate", "preload", "run"]


def migrate(*, check: Annotated[bool, Parameter(negative=())] = False, database_url: str | None = None) -> None:
    """Bring the schema DATABASE_SCHEMA of DATABASE_URL up to date; safe to run from several places at once.

    Parameters
    ----------
    check
        Change nothing; exit with 1 if the schema does not serve this version.
    database_url
        Another database than that of DATABASE_DIRECT_URL, or else of DATABASE_URL.
    """
    url = database_url or database_given()
    if not url:
        raise Problem("DATABASE_URL is not set: postgresql://user:password@host:port/database", 2)
    schema = os.environ.get("DATABASE_SCHEMA") or "public"
    # Imported here, as everything that takes time is.
    import asyncpg

    from tallystick.platform.backfill import NotFilled
    from tallystick.platform.migrate import SchemaTooNew

    try:
        asyncio.run(_check(url, schema) if check else _migrate(url, schema))
    except (NotFilled, SchemaTooNew) as error:
        raise Problem(str(error)) from None
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresConnectionError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InterfaceError,
    ) as error:
        raise Problem(f"The database cannot be reached: {error}") from error


def preload() -> None:
    """Import all that migrating needs (a second), before the database is known."""
    import alembic.command
    import sqlalchemy.ext.asyncio

    import tallystick.platform.migrate

    del alembic.command, sqlalchemy.ext.asyncio, tallystick.platform.migrate


def run() -> None:
    """Migrate as the environment says."""
    migrate()


async def _check(url: str, schema: str) -> None:
    import asyncpg

    from tallystick.platform.migrate import SchemaState, schema_state

    connection = await asyncpg.connect(url, timeout=10)
    try:
        state = await schema_state(connection, schema)
    finally:
        await connection.close()
    if state is SchemaState.BEYOND:
        raise Problem(f"The schema {schema!r} is newer than this program, and does not serve it: upgrade.")
    if not state.serves:
        raise Problem(f"The schema {schema!r} is behind: run `tallystick migrate`.")
    ahead = ", of a newer version, and serves this one" if state is SchemaState.AHEAD else ""
    print(f"The schema {schema!r} is up to date{ahead}.")


async def _migrate(url: str, schema: str) -> None:
    from tallystick.platform.migrate import migrate as apply

    applied = await apply(url, schema)
    for revision in applied:
        print(f"applied {revision}")
    print(f"The schema {schema!r} is up to date.")
