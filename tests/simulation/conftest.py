"""What the simulations tell goes with the reports of their tests; ../conftest.py shows it."""

from collections.abc import AsyncIterator, Generator

import pytest
import pytest_asyncio

from simulation.report import LINES, TOLD
from system import MakeDatabase, System, running_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The lines of a test go with its report, as it may have run in another process than the summary's."""
    report = yield
    if call.when == "call":
        report.user_properties.append((TOLD, list(LINES)))
        LINES.clear()
    return report


@pytest_asyncio.fixture
async def fresh_system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """A running system of this test's own, without a worker: the test starts one when it wants one."""
    async with running_system(await make_database(), workers=0, STRIPE_TIMEOUT_S="2") as running:
        yield running
