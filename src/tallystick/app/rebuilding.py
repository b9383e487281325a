"""The wiring of a rebuild: the live database, and all parts once more on a schema of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from tallystick.app.parts import build_parts
from tallystick.core.clock import clock_of
from tallystick.platform.database import Database
from tallystick.platform.migrate import migrate
from tallystick.platform.settings import Settings
from tallystick.rebuilding.models import Progress, Rebuilt, ReplayClock
from tallystick.rebuilding.service import Rebuilder, drop_schema, prepare_schema

__all__ = ["rebuild"]


async def rebuild(
    settings: Settings,
    into: str,
    progress: Progress,
    *,
    replace: bool = False,
    comparing: bool = True,
    drop: bool = False,
) -> Rebuilt:
    """Rebuild the mirror of an installation in the schema `into`, and compare; `drop` leaves nothing behind.

    Raises:
        SchemaRefused: `into` is the live schema, or one that is there (`replace` drops one of an earlier rebuild).
    """
    settings = past_the_pooler(settings)
    url = settings.direct_url
    async with _opened(settings, settings.database_schema) as live:
        await prepare_schema(live, into, replace=replace)
        await migrate(url, into)
        clock = ReplayClock()
        parts = build_parts(settings.model_copy(update={"database_schema": into}), clock, "rebuild")
        await parts.database.open()
        try:
            rebuilder = Rebuilder(
                live,
                parts.database,
                parts.registry,
                clock,
                clock_of(settings.clock_file),
                parts.billing.access.settle_ended,
            )
            result = await rebuilder.run(progress, comparing=comparing)
        finally:
            await parts.close()
        if drop:
            await drop_schema(live, into)
    return result


def past_the_pooler(settings: Settings) -> Settings:
    """For a schema of its own, cursors and copies: what needs connections that stay the same."""
    return settings.model_copy(update={"database_url": SecretStr(settings.direct_url), "database_pooling": "none"})


@asynccontextmanager
async def _opened(settings: Settings, schema: str) -> AsyncIterator[Database]:
    database = await Database.connect(
        settings.database_url.get_secret_value(), schema=schema, size=2, name="tallystick rebuild"
    )
    try:
        yield database
    finally:
        await database.close()
