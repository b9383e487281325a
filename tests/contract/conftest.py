"""One sandbox for the tests that only add to it; a fresh one for those that bend it."""

import uuid
from collections.abc import Iterator

import pytest

from contract.harness import Box, Receiver, ReceiverHub, Sdk, running_box, running_hub
from tallystick.sandbox.versions import NEWEST


@pytest.fixture(scope="session")
def shared_box() -> Iterator[Box]:
    with running_box() as box:
        yield box


@pytest.fixture(scope="session")
def second_box() -> Iterator[Box]:
    with running_box() as box:
        yield box


@pytest.fixture
def box(second_box: Box) -> Box:
    """A sandbox as good as new."""
    second_box.control("POST", "/reset")
    return second_box


@pytest.fixture(scope="session")
def hub() -> Iterator[ReceiverHub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def receiver(hub: ReceiverHub) -> Iterator[Receiver]:
    path = f"/hook/{uuid.uuid4()}"
    yield hub.add(path)
    del hub.receivers[path]


@pytest.fixture(scope="session")
def api(shared_box: Box) -> Sdk:
    """The SDK at the version that it pins."""
    return shared_box.client(NEWEST)
