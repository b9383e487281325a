"""What a simulation replaces in the program for as long as it runs: waits that would pass in real time, and the bugs
that it plants to see whether they are found.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tallystick.platform import rate_budget

__all__ = ["IMPATIENT", "patched"]

# Nobody waits longer for these in a simulation; how long they are decides nothing.
IMPATIENT: Mapping[str, Any] = {
    "tallystick.stripe_gateway.service:_FIRST_WAIT_S": 0.005,
    "tallystick.attempts.service:_WAIT_S": 0.3,
    "tallystick.attempts.service:_WAIT_POLL_S": 0.03,
    "tallystick.attempts.service:_INSIST_S": 1.0,
    "tallystick.attempts.service:_INSIST_POLL_S": 0.02,
    "tallystick.webhooks.processor:_TROUBLE_S": 0.02,
    "tallystick.notifications.outbound_sender:_TIMEOUT_S": 0.5,
    # After a 429 the background pauses by the seconds of the database's clock.
    "tallystick.platform.rate_budget:_SLOW": rate_budget._SLOW.replace("1 second", "20 milliseconds"),  # noqa: SLF001
    "tallystick.platform.rate_budget:_GRANT": rate_budget._GRANT.replace("1 second", "20 milliseconds"),  # noqa: SLF001
}


@contextmanager
def patched(replacements: Mapping[str, Any]) -> Iterator[None]:
    """Have other values under these names (`module:name` or `module:Class.name`) for as long as the block lasts.

    Raises AttributeError where there is no such name: it has moved.
    """
    undo = []
    try:
        for place, value in replacements.items():
            module, _, path = place.partition(":")
            owner: Any = importlib.import_module(module)
            *outer, name = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            undo.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(undo):
            setattr(owner, name, value)
