"""What several of the integration tests share."""

from collections.abc import Iterator

import pytest

from running_dev import RunningDev, running_dev_in


@pytest.fixture(scope="session")
def running_dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDev]:
    """A whole `tallystick dev` for the rest of the run; whoever changes its ways (faults) takes that back."""
    with running_dev_in(tmp_path_factory.mktemp("running") / "data") as running:
        yield running
