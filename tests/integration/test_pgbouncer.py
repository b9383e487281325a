"""Everything behind a PgBouncer in transaction mode: two workers and an API on a handful of shared connections."""

import asyncio

import asyncpg
import pytest

from pooling import follows_statements, pgbouncer_before
from reconciling import ASKED_BY
from system import JWT_SECRET, MakeDatabase, System, running_system, unique
from tallystick.app import build_parts
from tallystick.core.clock import clock_of
from tallystick.doctor.repository import DoctorRepository
from tallystick.platform.database import Database, SearchPathWrong
from tallystick.platform.migrate import migrate, schema_is_current
from tallystick.platform.settings import SettingsError, load_settings


@pytest.mark.parametrize("statement_cache", ["0", "100"])
async def test_two_workers_and_an_api_share_a_handful_of_connections(
    make_database: MakeDatabase, statement_cache: str
) -> None:
    if statement_cache != "0" and not follows_statements():
        pytest.skip("this PgBouncer is older than 1.21 and knows of no prepared statements (PGBOUNCER names another)")
    direct = await make_database()
    async with (
        pgbouncer_before(direct, connections=4) as pooled,
        running_system(
            pooled,
            workers=2,
            DATABASE_POOLING="transaction",
            DATABASE_DIRECT_URL=direct,
            DATABASE_STATEMENT_CACHE=statement_cache,
        ) as system,
    ):
        users = [unique("pooled") for _ in range(12)]
        answers = await asyncio.gather(*(system.pay(user=user) for user in users))
        assert [answer.status for answer in answers] == [201] * len(users)
        declined = await system.pay("pm_card_visa_chargeDeclined", user=users[0])
        assert declined.code == "CARD_DECLINED"
        refund = f"/api/payments/payment-intent/{answers[0].body['id']}/refund"
        assert (await system.call("POST", refund, {"amount": 500}, user=users[0], roles=("admin",))).status == 200
        await system.quiet(timeout_s=90)
        assert {len(system.mails_to(user)) for user in users[1:]} == {1}
        assert await system.value("SELECT count(*) FROM payments WHERE status = 'succeeded'") == len(users)
        assert (await system.call("GET", "/readyz")).status == 200
        await _assert_few_connections(system)
        await _assert_equal_to_stripe(system)


async def _assert_few_connections(system: System) -> None:
    """All statements went through four connections; beside them each worker has one, on which it listens."""
    rows = await system.fetch(
        """
        SELECT application_name LIKE '%listening' AS listening, count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'tallystick %'
        GROUP BY 1
        """
    )
    found = {row["listening"]: row["count"] for row in rows}
    # The doctor sees by these that workers run.
    assert found[True] == 2
    assert (await DoctorRepository().server(system.pool)).workers >= 2  # type: ignore[arg-type]  # a pool will do
    assert found[False] <= 4


async def _assert_equal_to_stripe(system: System) -> None:
    parts = build_parts(system.settings, clock_of(system.settings.clock_file), "tests")
    await parts.database.open()
    try:
        result = await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY, dry_run=True)
        assert (result.finished, result.differences) == (True, 0)
    finally:
        await parts.close()


async def test_whoever_listens_hears_past_the_pooler_and_again_after_it_was_cut_off(
    make_database: MakeDatabase,
) -> None:
    direct = await make_database()
    async with pgbouncer_before(direct) as pooled:
        database = Database(pooled, direct_url=direct, statement_cache=0, name="ears")
        await database.open()
        admin = await asyncpg.connect(direct)
        stop, woken = asyncio.Event(), asyncio.Event()
        ears = [asyncio.create_task(database.listen(channel, woken.set, stop)) for channel in ("one", "two")]
        try:
            for channel in ("one", "two", "two"):
                # Each is woken once when it begins to listen.
                await asyncio.wait_for(woken.wait(), 30)
                woken.clear()
                async with database.transaction() as tx:
                    await tx.execute(f"NOTIFY {channel}")
                await asyncio.wait_for(woken.wait(), 30)
                woken.clear()
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ears listening'"
                )
        finally:
            stop.set()
            await asyncio.gather(*ears)
            await admin.close()
            await database.close()


async def test_a_schema_that_the_pooler_does_not_give_is_said_and_not_read(make_database: MakeDatabase) -> None:
    direct = await make_database()
    assert await migrate(direct, "elsewhere")
    async with pgbouncer_before(direct) as pooled:
        assert await schema_is_current(pooled, "elsewhere")
        database = Database(pooled, schema="elsewhere", direct_url=direct, statement_cache=0)
        await database.open()
        try:
            with pytest.raises(SearchPathWrong, match="ALTER ROLE"):
                await database.ping()
        finally:
            await database.close()


def test_a_pooler_needs_a_way_past_it() -> None:
    with pytest.raises(SettingsError, match="DATABASE_DIRECT_URL: is needed"):
        load_settings(
            {
                "DATABASE_URL": "postgresql://x@127.0.0.1:1/x",
                "DATABASE_POOLING": "transaction",
                "STRIPE_SECRET_KEY": "sk_test_x",
                "STRIPE_WEBHOOK_SECRET": "whsec_x",
                "JWT_SECRET": JWT_SECRET,
            }
        )
