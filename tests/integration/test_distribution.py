"""What docs/scale.md says of spreading the data over several servers is so: whole installations, not single rows."""

import re
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from system import LONG, MakeDatabase, running_system
from tallystick.platform.migrate import migrate

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text()
CELL = "cell"


@pytest_asyncio.fixture(scope="module", name="database")
async def in_a_schema_of_its_own(make_database: MakeDatabase) -> str:
    url = await make_database()
    await migrate(url, CELL)
    return url


async def rows(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(sql, CELL)
        return found
    finally:
        await connection.close()


async def test_a_schema_needs_nothing_of_any_other(database: str) -> None:
    """So it can be given to another server whole, by Citus (sharding by schema) or by hand."""
    crossing = await rows(
        database,
        """
        SELECT d.classid::regclass AS of, pg_describe_object(d.classid, d.objid, d.objsubid) AS what,
               pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) AS needs
        FROM pg_depend d,
             LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS mine,
             LATERAL pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) AS other
        WHERE d.refobjid >= 16384 AND mine.schema = $1 AND other.schema <> $1
          AND other.schema NOT IN ('pg_catalog', 'pg_toast')
        """,
    )
    assert [dict(row) for row in crossing] == []
    functions = await rows(
        database,
        "SELECT p.proname, p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1",
    )
    assert functions, "the triggers' functions are among them"
    assert [row["proname"] for row in functions if re.search(r"\bpublic\.", row["prosrc"])] == []
    extensions = await rows(database, "SELECT extname FROM pg_extension WHERE $1 <> '' AND extname <> 'plpgsql'")
    assert [row["extname"] for row in extensions] == []


@pytest.mark.skipif(not LONG, reason="two whole systems: TALLYSTICK_LONG=1")
async def test_two_installations_share_a_server_and_nothing_else(make_database: MakeDatabase) -> None:
    url = await make_database()
    async with AsyncExitStack() as stack:
        systems = []
        for cell in ("here", "there"):
            await migrate(url, cell)
            made = running_system(url, DATABASE_SCHEMA=cell, INSTALLATION_ID=cell)
            systems.append(await stack.enter_async_context(made))
        for count, system in enumerate(systems, 1):
            assert {(await system.pay(amount=1000)).status for _ in range(count)} == {201}
        for count, system in enumerate(systems, 1):
            await system.quiet(timeout_s=90)
            assert await system.value("SELECT count(*) FROM payments WHERE status = 'succeeded'") == count
            assert len(system.mails_to("ann")) == count
        assert await systems[0].value("SELECT count(*) FROM public.webhook_events") == 0


def test_no_statement_names_a_schema() -> None:
    """Whose tables are meant is said by the search path alone."""
    names = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE|ON)\s+\"?([a-z_]+)\"?\.\"?[a-z_]+\"?(?!\s*(?:=|<|>|\())")
    found = []
    for path in (ROOT / "src" / "tallystick").rglob("*.py"):
        if "sandbox" in path.parts or "simulation" in path.parts:
            continue
        for statement in re.findall(r'"""(.*?)"""', path.read_text(), flags=re.DOTALL):
            found += [
                f"{path.name}: {match[0]}"
                for match in names.finditer(statement)
                if match[1] not in ("pg_catalog", "information_schema")
                and not re.search(rf"\b{match[1]}\b(?!\.)", statement.replace(match[0], ""))
            ]
    assert found == []


async def test_which_tables_could_not_be_spread_by_rows_is_what_the_page_says(database: str) -> None:
    """Of such a table no column is in all unique keys, so none says on which server a row is."""
    keys: dict[str, list[set[str]]] = {}
    for row in await rows(
        database,
        """
        SELECT c.relname, array_agg(a.attname::text) AS columns
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE n.nspname = $1 AND i.indisunique AND c.relispartition IS FALSE
        GROUP BY i.indexrelid, c.relname
        """,
    ):
        keys.setdefault(row["relname"], []).append(set(row["columns"]))
    together = {table for table, of_it in keys.items() if not set.intersection(*of_it)}
    said = re.search(r"<!-- tables of one server -->\n(.*?)\n\n", PAGE, flags=re.DOTALL)
    assert said
    assert set(re.findall(r"`(\w+)`", said[1])) == together
