"""One PostgreSQL for the whole run, an empty migrated database for whoever asks, and a running system."""

import logging
import os
import sys
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
import structlog
from hypothesis import settings

import system
from simulation.report import TOLD
from system import LONG, VERSIONS, MakeDatabase, System, running_system
from tallystick.platform.embedded_postgres import EmbeddedPostgres
from tallystick.platform.migrate import migrate

_TOLD: list[str] = []

# Each run takes examples of its own, so that few in each are many in time.
settings.register_profile("default run", max_examples=30, deadline=None)
settings.register_profile("long run", max_examples=300, deadline=None)
settings.load_profile("long run" if LONG else "default run")


_LONGEST_FIRST = ("simulation", "browser", "integration", "contract")


def _rank(path: Path) -> int:
    return next((rank for rank, folder in enumerate(_LONGEST_FIRST) if folder in path.parts), len(_LONGEST_FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that no process ends long after the others; what looks back on all is last."""
    items.sort(key=lambda item: (item.path.name == "test_recorded_shapes.py", _rank(item.path)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        for name, lines in report.user_properties:
            if name == TOLD and isinstance(lines, list):
                _TOLD.extend(lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _TOLD:
        terminalreporter.section("simulation")
        for line in _TOLD:
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A test that sets up the logs of a process leaves none that write to a stream which is closed with it."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    structlog.configure(**before)
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks


@pytest.fixture(scope="session", autouse=True)
def sandbox_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where every sandbox of this run writes down what it answered; several processes may share one."""
    kept = os.environ.get("TALLYSTICK_RECORDS")
    system.RECORDS = Path(kept) if kept else tmp_path_factory.mktemp("sandbox")
    system.RECORDS.mkdir(parents=True, exist_ok=True)
    return system.RECORDS


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL that nobody else uses; without crash safety, which no test needs of it."""
    with tempfile.TemporaryDirectory(prefix="tallystick-tests-") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        yield server.ensure()
        server.stop()


@pytest_asyncio.fixture(scope="session")
async def make_database(postgres_server: str) -> MakeDatabase:
    """Makes empty databases at the newest schema, by copying one that was migrated once."""
    base, _, name = postgres_server.rpartition("/")
    await migrate(f"{base}/{name}", "public")

    async def execute(*statements: str) -> None:
        connection = await asyncpg.connect(f"{base}/postgres")
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    # Hundreds of databases would be looked at in turn, many times a second.
    await execute("ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")

    async def make() -> str:
        fresh = f"t_{uuid.uuid4().hex[:16]}"
        await execute(f'CREATE DATABASE "{fresh}" TEMPLATE "{name}" STRATEGY file_copy')
        return f"{base}/{fresh}"

    return make


@pytest_asyncio.fixture(scope="module", name="system")
async def shared_system(make_database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """A running system that the tests of a module share; each test uses users of its own."""
    api, webhooks = getattr(request, "param", VERSIONS[0])
    async with running_system(await make_database(), api_version=api, webhook_version=webhooks) as running:
        yield running
