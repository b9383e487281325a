"""What always holds: each invariant with a name, a sentence and a check that finds what offends it.

The worker looks every hour at what is new, `tallystick doctor` at the last day, the simulator and the chaos runs at
all there is. None of them locks anything or waits for Stripe. What Stripe alone can tell (that the mirror is equal to
it, and that it has delivered nothing we do not have) is for reconcile and for `tallystick doctor`.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tallystick.core.clock import Clock
from tallystick.core.ids import first_id
from tallystick.invariants.checks_events import EVENT_INVARIANTS
from tallystick.invariants.checks_history import HISTORY_INVARIANTS
from tallystick.invariants.checks_money import MONEY_INVARIANTS
from tallystick.invariants.models import Invariant, Scope, Violation
from tallystick.platform.database import Connection

__all__ = ["ALWAYS", "EVERYTHING", "INVARIANTS", "check", "scope_of"]

INVARIANTS: tuple[Invariant, ...] = tuple(
    sorted((*EVENT_INVARIANTS, *MONEY_INVARIANTS, *HISTORY_INVARIANTS), key=lambda one: one.number)
)
"""Every invariant, in the order of the design."""

ALWAYS: tuple[str, ...] = tuple(one.name for one in INVARIANTS if not one.quiet)
"""Those that hold at every moment, while events arrive and requests are made; the others hold when all is quiet."""

EVERYTHING = Scope(UUID(int=0), datetime(1, 1, 1, tzinfo=UTC))
"""All rows there are: for databases that are small, or taken out of service."""


def scope_of(clock: Clock, newer_than: timedelta, *, allow_multiple_subscriptions: bool = False) -> Scope:
    """What is newer than that: a check then costs what has happened since, however much the tables hold."""
    return Scope(first_id(clock.wall() - newer_than), clock.now() - newer_than, allow_multiple_subscriptions)


async def check(
    connection: Connection, names: Collection[str] | None = None, scope: Scope = EVERYTHING
) -> list[Violation]:
    """The invariants of these names (None: all, so all has to be quiet) that do not hold, with what offends them.

    Raises KeyError for a name that there is not.
    """
    if unknown := set(names or ()) - {one.name for one in INVARIANTS}:
        raise KeyError(f"no such invariant: {', '.join(sorted(unknown))}")
    violations = []
    for invariant in INVARIANTS:
        if names is None or invariant.name in names:
            found = await invariant.find(connection, scope)
            if found:
                violations.append(Violation(invariant, tuple(found)))
    return violations
