"""The doctor's look at whether the two halves match: catching up, reconciling, and what always holds."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from tallystick.catch_up.service import EventCatchUp
from tallystick.core.clock import Clock
from tallystick.doctor.models import Check, Finding, fail, ok, skip, warn
from tallystick.doctor.service_database import SCHEMA
from tallystick.doctor.service_queues import since
from tallystick.invariants.checks import INVARIANTS, scope_of
from tallystick.invariants.models import Invariant
from tallystick.platform.database import Database
from tallystick.platform.settings import Settings
from tallystick.reconciliation.service import Reconciler

__all__ = ["TallyChecks"]

_GROUP, _INVARIANTS = "Tally", "What always holds"
_LOOKED_BACK = timedelta(days=1)
_LATE_S = 600.0
_RECONCILED_WITHIN = timedelta(days=2)
_NAMED = 3


class TallyChecks:
    """Our half against Stripe's, as far as it is known, and against itself."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, catch_up: EventCatchUp, reconciler: Reconciler
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._catch_up = catch_up
        self._reconciler = reconciler

    def checks(self) -> Sequence[Check]:
        return (
            Check(_GROUP, "events.catch_up", "Catching up", self._caught_up, (SCHEMA,)),
            Check(_GROUP, "reconcile.share", "Equal to Stripe", self._equal, (SCHEMA,)),
            *(
                Check(_INVARIANTS, f"invariant.{one.name}", _title(one), partial(self._holds, one), (SCHEMA,))
                for one in INVARIANTS
                if not one.quiet
            ),
        )

    async def _caught_up(self) -> Finding:
        every_s = self._settings.catch_up_every_s
        if not every_s:
            return skip("EVENT_CATCH_UP_S=0")
        state, wall = await self._catch_up.state(), self._clock.wall()
        if state is None or state.read_at is None:
            return warn("Stripe's list of events was never read to its end", "Start `tallystick worker`; it reads it.")
        text = f"read {since(state.read_at, wall)}, {state.recovered} events recovered so far"
        if wall - state.read_at > timedelta(seconds=max(_LATE_S, every_s * 3)):
            return fail(text, "See whether a worker runs, and whether it reaches Stripe (catch_up.failed in its log).")
        if state.gaps:
            return warn(
                f"{text}; {len(state.gaps)} stretches are too old to be read",
                "The worker walks the lists instead; `tallystick reconcile` shows when that is done.",
            )
        return ok(text)

    async def _equal(self) -> Finding:
        known = await self._reconciler.share()
        if known.share is None or known.equal is None or known.compared is None or known.as_of is None:
            return warn("all objects were never compared", "Run `tallystick reconcile`, or let the worker do it.")
        now = self._clock.now()
        text = f"{known.equal} of {known.compared} objects ({known.share:.4%}), as of {since(known.as_of, now)}"
        if known.equal < known.compared:
            return fail(text, "`tallystick reconcile` shows the differences with their causes, and repairs them.")
        if now - known.as_of > _RECONCILED_WITHIN:
            return warn(text, "That is old: run `tallystick reconcile`, and see whether RECONCILE_EVERY_S is 0.")
        return ok(text)

    async def _holds(self, invariant: Invariant) -> Finding:
        scope = scope_of(
            self._clock,
            _LOOKED_BACK,
            allow_multiple_subscriptions=self._settings.allow_multiple_subscriptions,
        )
        async with self._database.connection() as connection:
            found = await invariant.find(connection, scope)
        if not found:
            return ok(invariant.sentence)
        more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        return fail(f"{'; '.join(found[:_NAMED])}{more}", invariant.action)


def _title(invariant: Invariant) -> str:
    return invariant.name.replace("_", " ").capitalize()
