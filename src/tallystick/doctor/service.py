"""`Doctor`: looks at everything that can be wrong with an installation, and says what to do. Changes nothing.

Every check has its time, and none can spoil another: what a check cannot find out is a finding of its own.
"""

import asyncio
import time
from collections.abc import Container, Mapping, Sequence

from tallystick.catch_up.service import EventCatchUp
from tallystick.core.clock import Clock
from tallystick.doctor.models import Check, Finding, Report, Result, Status, fail, skip
from tallystick.doctor.service_database import DatabaseChecks
from tallystick.doctor.service_queues import QueueChecks
from tallystick.doctor.service_settings import SettingsChecks
from tallystick.doctor.service_stripe import StripeChecks
from tallystick.doctor.service_tally import TallyChecks
from tallystick.platform.database import Database, is_weather
from tallystick.platform.logging import scrub
from tallystick.platform.settings import Settings
from tallystick.reconciliation.service import Reconciler
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.service_endpoints import InstalledEndpoints

__all__ = ["Doctor", "unusable"]

_TIMEOUT_S = 12.0
_AT_ONCE = 4


class Doctor:
    """All checks of one installation."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        stripe: StripeService,
        endpoints: InstalledEndpoints,
        catch_up: EventCatchUp,
        reconciler: Reconciler,
        *,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._timeout_s = timeout_s
        parts = (
            SettingsChecks(settings),
            DatabaseChecks(database, clock, settings),
            StripeChecks(database, clock, settings, stripe, endpoints),
            QueueChecks(database, clock, settings),
            TallyChecks(database, clock, settings, catch_up, reconciler),
        )
        self._checks: Sequence[Check] = [check for part in parts for check in part.checks()]

    async def examine(self, only: Container[str] | None = None, more: Sequence[Check] = ()) -> Report:
        """Make all checks (or `only` those of these names, and `more`), a few at once, each after those it needs."""
        checks = [*(check for check in self._checks if only is None or check.name in only), *more]
        done: dict[str, asyncio.Future[Result]] = {
            check.name: asyncio.get_running_loop().create_future() for check in checks
        }
        room = asyncio.Semaphore(_AT_ONCE)

        async def make(check: Check) -> None:
            missing = [
                name
                for name in check.needs
                if name in done and (await done[name]).status in (Status.FAIL, Status.SKIPPED)
            ]
            async with room:
                done[check.name].set_result(await self._make(check, missing, done))

        await asyncio.gather(*(make(check) for check in checks))
        return Report(tuple(done[check.name].result() for check in checks))

    async def _make(self, check: Check, missing: Sequence[str], done: Mapping[str, "asyncio.Future[Result]"]) -> Result:
        began = time.monotonic()
        if missing:
            finding = skip(f"needs: {', '.join(done[name].result().title.lower() for name in missing)}")
        else:
            finding = await self._look(check)
        took_ms = int((time.monotonic() - began) * 1000)
        return Result(check.group, check.name, check.title, finding.status, scrub(finding.found), finding.todo, took_ms)

    async def _look(self, check: Check) -> Finding:
        timeout_s = check.timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await check.look()
        except TimeoutError:
            return fail(f"no answer within {timeout_s:.0f} seconds", "Find out what keeps it, and look again.")
        except GatewayError as error:
            return fail(f"Stripe does not answer this: {error}", "See https://status.stripe.com, and the key's rights.")
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            if is_weather(error):
                return fail(what, "The database went away meanwhile; look again.")
            return fail(what, "The check itself has failed: please report it with this message.")


def unusable(problem: str) -> Report:
    """The report where the settings cannot even be read: there is nothing else to look at."""
    todo = "Correct these variables; docs/ has a page about each group of them."
    return Report((Result("Settings", "settings.usable", "Usable", Status.FAIL, problem, todo, 0),))
