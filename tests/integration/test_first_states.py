"""Rows that are not there yet cannot be locked: whoever writes the first state of an object goes alone."""

import asyncio
from datetime import UTC, datetime, timedelta

from system import MakeDatabase
from tallystick.core.clock import SystemClock
from tallystick.platform.database import Database
from tallystick.products.models import ProductFacts
from tallystick.products.repository import ProductRepository
from tallystick.products.service_record import ProductRecorder
from tallystick.stripe_gateway.objects import Product
from tallystick.stripe_gateway.ordering import Source

_WAITING = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""
AT = datetime(2026, 1, 1, tzinfo=UTC)


def renamed(name: str, age_s: int) -> list[ProductFacts]:
    value = Product(id="prod_1", name=name, active=True, metadata={}, created=AT)
    return [ProductFacts(value, Source("event", AT - timedelta(seconds=age_s), event_type="product.updated"))]


async def test_an_older_state_that_waited_for_a_newer_one_does_not_replace_it(make_database: MakeDatabase) -> None:
    repository = ProductRepository()
    recorder = ProductRecorder(SystemClock(), repository)
    database = await Database.connect(await make_database())
    try:
        async with database.connection() as connection, database.transaction() as first:
            await recorder.record(first, renamed("Newer", 0))
            second = asyncio.ensure_future(database.run(lambda tx: recorder.record(tx, renamed("Older", 5))))
            while not await connection.fetchval(_WAITING):
                assert not second.done()
                await asyncio.sleep(0.01)
        await second
        async with database.connection() as connection:
            shown = await repository.find_product(connection, "prod_1")
        assert shown is not None
        assert (shown.name, shown.revision) == ("Newer", 0)
    finally:
        await database.close()
