"""Shows what the simulations measured, and with which seeds."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from simulation.report import LINES
from system import MakeDatabase, System, running_system


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LINES:
        terminalreporter.section("simulation")
        for line in LINES:
            terminalreporter.write_line(line)


@pytest_asyncio.fixture
async def fresh_system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """A running system of this test's own, without a worker: the test starts one when it wants one."""
    async with running_system(await make_database(), workers=0, STRIPE_TIMEOUT_S="2") as running:
        yield running
