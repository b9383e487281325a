"""What tests of imports share: running one, and comparing all that is stored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from simulation.mirror import assert_same, mirror_rows, stripe_rows
from simulation.mirror_billing import invoice_rows, stripe_invoices, stripe_subscriptions, subscription_rows
from system import System
from tallystick.app.parts import Parts, build_parts
from tallystick.importing.models import ImportOptions, Summary

__all__ = ["assert_mirror_is_stripe", "everything_stored", "imported", "importer"]

_OF_THE_RUN = frozenset(
    {"imports", "import_ranges", "stripe_calls", "stripe_slowdown", "leases", "telemetry_minutes", "webhook_secrets"}
)
"""Tables that say how often and when something ran."""


@asynccontextmanager
async def importer(system: System) -> AsyncIterator[Parts]:
    """The parts of a process that imports."""
    settings = system.settings.model_copy(update={"stripe_background_rate": 1000, "stripe_rate_limit": 10_000})
    parts = build_parts(settings, system.clock, "import")
    await parts.database.open()
    try:
        yield parts
    finally:
        await parts.close()


async def imported(system: System, options: ImportOptions | None = None, **more: Any) -> Summary:
    """A whole import, by a process of its own."""
    async with importer(system) as parts:
        return await parts.reconciling.imports.run(options or ImportOptions(), **more)


async def assert_mirror_is_stripe(system: System) -> None:
    """Every table beside what Stripe's lists say."""
    ours = await mirror_rows(system.database_url) | await subscription_rows(system.database_url)
    theirs = await stripe_rows(system.stripe, system.settings.installation_id)
    theirs |= await stripe_subscriptions(system.stripe)
    assert_same(ours | await invoice_rows(system.database_url), theirs | await stripe_invoices(system.stripe))


async def everything_stored(system: System) -> dict[str, list[str]]:
    """All rows of all tables, but for those that count runs."""
    tables = await system.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return {
        name: [row[0] for row in await system.fetch(f"SELECT t::text FROM {name} t ORDER BY 1")]
        for (name,) in tables
        if name not in _OF_THE_RUN
    }
