"""One sandbox for the tests that only add to it; a fresh one for those that bend it."""

from collections.abc import Iterator

import pytest

from contract.harness import Box, Receiver, Sdk, running_box, running_receiver
from tallystick.sandbox.versions import NEWEST


@pytest.fixture(scope="session")
def shared_box() -> Iterator[Box]:
    with running_box() as box:
        yield box


@pytest.fixture
def box() -> Iterator[Box]:
    with running_box() as box:
        yield box


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def api(shared_box: Box) -> Sdk:
    """The SDK at the version that it pins."""
    return shared_box.client(NEWEST)
