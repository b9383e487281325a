"""Migrations: the columns of the design document, any schema, two at once, and the head that file names promise."""

import asyncio
from types import SimpleNamespace

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from structlog.testing import CapturingLogger

import tallystick.migrations
import tallystick.platform.migrate
from former import schema_at
from system import MakeDatabase, until
from tallystick.platform.database import WEATHER, Database
from tallystick.platform.migrate import (
    SchemaState,
    SchemaTooNew,
    _upgrade,
    head_revision,
    migrate,
    schema_is_current,
    schema_state,
)

DESIGN_DOCUMENT = {
    "users": "id email stripe_customer_id created_at updated_at",
    "payments": "id stripe_payment_intent_id user_id stripe_customer_id amount currency status payment_method "
    "description metadata created_at updated_at",
    "subscriptions": "id stripe_subscription_id user_id stripe_customer_id product_id price_id status "
    "current_period_start current_period_end trial_start trial_end cancel_at_period_end canceled_at quantity metadata "
    "created_at updated_at",
    "webhook_events": "id stripe_event_id event_type processed processed_at payload error_message retry_count "
    "created_at updated_at",
    "subscription_history": "id subscription_id action old_values new_values performed_by performed_at",
}
UNIQUE = {
    ("users", "stripe_customer_id"),
    ("users", "external_id"),
    ("payments", "stripe_payment_intent_id"),
    ("subscriptions", "stripe_subscription_id"),
    ("webhook_events", "stripe_event_id"),
}


def test_the_head_is_what_file_names_say() -> None:
    config = Config()
    config.set_main_option("script_location", str(next(iter(tallystick.migrations.__path__))))
    assert ScriptDirectory.from_config(config).get_current_head() == head_revision()


async def test_the_tables_of_the_design_document(make_database: MakeDatabase) -> None:
    connection = await asyncpg.connect(await make_database())
    try:
        rows = await connection.fetch(
            "SELECT table_name, column_name, data_type, numeric_scale FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
        columns = {(row["table_name"], row["column_name"]): row for row in rows}
        for table, names in DESIGN_DOCUMENT.items():
            for name in names.split():
                assert (table, name) in columns, (table, name)
        amount = columns["payments", "amount"]
        assert (amount["data_type"], amount["numeric_scale"]) == ("numeric", 0)
        unique = await connection.fetch(
            """
            SELECT i.indrelid::regclass::text AS name, a.attname FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indisunique AND i.indnatts = 1 AND i.indpred IS NULL
            """
        )
        assert {(row["name"], row["attname"]) for row in unique} >= UNIQUE
    finally:
        await connection.close()


async def test_a_schema_of_ones_own_and_two_migrators_at_once(make_database: MakeDatabase) -> None:
    url = await make_database()
    assert not await schema_is_current(url, "pay")
    applied = await asyncio.gather(migrate(url, "pay"), migrate(url, "pay"))
    assert sorted(map(len, applied))[0] == 0
    assert await schema_is_current(url, "pay")
    assert await migrate(url, "pay") == []


_SHAPE = """
    SELECT c.table_name, c.column_name, c.data_type, c.is_nullable, c.column_default, c.numeric_precision
    FROM information_schema.columns c WHERE c.table_schema = $1
    UNION ALL
    SELECT tablename, indexname, indexdef, '', '', 0 FROM pg_indexes WHERE schemaname = $1
    UNION ALL
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', 0
    FROM pg_constraint WHERE connamespace = $1::regnamespace
"""


async def test_the_short_way_and_alembics_way_make_the_same_schema(make_database: MakeDatabase) -> None:
    url = await make_database()
    assert await migrate(url, "short") == await _upgrade(url, "alembic")
    assert await migrate(url, "alembic") == []  # but for what is built concurrently
    connection = await asyncpg.connect(url)
    try:
        shapes = []
        for schema in ("short", "alembic"):
            rows = await connection.fetch(_SHAPE, schema)
            shapes.append(sorted(tuple(str(value).replace(f"{schema}.", "") for value in row) for row in rows))
    finally:
        await connection.close()
    assert len(shapes[0]) > 200
    assert shapes[0] == shapes[1]


async def test_a_table_that_traffic_holds_is_tried_again_and_nobody_waits_long(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = CapturingLogger()
    monkeypatch.setattr(tallystick.platform.migrate, "log", logged)
    url = await make_database()
    await schema_at(url, "0014")
    holder, other = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        held = holder.transaction()
        await held.start()
        await holder.execute("LOCK TABLE work IN ACCESS SHARE MODE")
        migrating = asyncio.create_task(migrate(url, "public"))
        await until(lambda: bool(logged.calls) or migrating.done(), "it tries again", 60)
        assert [call.args for call in logged.calls][:1] == [("migrate.locked",)]
        # Behind the migration's lock, a request waits for half a second at most.
        await other.execute("SET statement_timeout = '30s'")
        await other.fetchval("SELECT count(*) FROM work")
        await held.rollback()
        assert (await migrating)[-1] == head_revision()
        assert await schema_is_current(url, "public")
    finally:
        await holder.close()
        await other.close()


async def test_a_newer_schema_serves_unless_it_says_that_it_does_not(make_database: MakeDatabase) -> None:
    url = await make_database()
    connection = await asyncpg.connect(url)
    try:
        comment = await connection.fetchval("SELECT obj_description('alembic_version'::regclass)")
        assert comment == "serves from 0001"
        await connection.execute("UPDATE alembic_version SET version_num = '9000'")
        assert await schema_state(connection, "public") is SchemaState.AHEAD
        assert await migrate(url, "public") == []
        await connection.execute("COMMENT ON TABLE alembic_version IS 'serves from 8000'")
        assert await schema_state(connection, "public") is SchemaState.BEYOND
        with pytest.raises(SchemaTooNew, match="newer than this program"):
            await migrate(url, "public")
        await connection.execute("UPDATE alembic_version SET version_num = '0014'")
        assert await schema_state(connection, "public") is SchemaState.BEHIND
        assert await schema_state(connection, "elsewhere") is SchemaState.MISSING
    finally:
        await connection.close()


async def test_a_statement_prepared_before_a_migration_fails_once_and_counts_as_the_weather(
    make_database: MakeDatabase,
) -> None:
    url = await make_database()
    database, other = await Database.connect(url, size=1), await asyncpg.connect(url)

    async def read() -> None:
        async with database.transaction() as tx:
            await tx.fetch("SELECT * FROM work")

    try:
        await read()
        await other.execute("ALTER TABLE work ADD COLUMN of_a_later_version text")
        with pytest.raises(WEATHER):
            await read()
        await read()
    finally:
        await other.close()
        await database.close()


async def test_an_index_is_built_while_rows_are_written_and_anew_if_that_broke_off(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await make_database()
    versions = tallystick.platform.migrate._versions()
    later = SimpleNamespace(
        revision="9999", CONCURRENT=["CREATE UNIQUE INDEX CONCURRENTLY users_of_one_address ON users (email)"]
    )
    monkeypatch.setattr(tallystick.platform.migrate, "_versions", lambda: [*versions, later])
    connection = await asyncpg.connect(url)
    add = """
        INSERT INTO users (id, external_id, email, created_at, updated_at)
        VALUES (gen_random_uuid(), gen_random_uuid()::text, $1, now(), now())
    """
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('users_of_one_address')"
    try:
        for email in ("ada@example.com", "ada@example.com"):
            await connection.execute(add, email)
        with pytest.raises(asyncpg.UniqueViolationError):
            await migrate(url, "public")
        assert await connection.fetchval(valid) is False
        await connection.execute("DELETE FROM users")
        async with connection.transaction():
            # A writer that was there first is waited for, and is not held up itself.
            await connection.execute(add, "bob@example.com")
            building = [asyncio.create_task(migrate(url, "public")) for _ in range(2)]
            await asyncio.sleep(0.5)
            assert not any(task.done() for task in building)
            await connection.execute(add, "eve@example.com")
        await asyncio.gather(*building)
        assert await connection.fetchval(valid) is True
    finally:
        await connection.close()
