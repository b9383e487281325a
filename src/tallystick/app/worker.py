"""Everything in the background, in one process."""

import asyncio
from datetime import timedelta

import structlog

from tallystick.app.parts import build_parts
from tallystick.attempts.service_prune import prune_keys
from tallystick.core.clock import Clock, clock_of
from tallystick.customers.service_record import EMAIL_WORK, GONE_WORK, PAYMENT_CHANGED_WORK
from tallystick.notifications.outbound_pruning import prune_deliveries, prune_fact_data
from tallystick.pages.billing.repository import prune_portal
from tallystick.pages.service import LOOK_WORK
from tallystick.payments.service_abandoned import ABANDON_TIMER
from tallystick.platform.logging import configure_logging
from tallystick.platform.pruning import Pruner, Retention, prune_done_work
from tallystick.platform.settings import Settings
from tallystick.platform.work import Handler, WorkItem, WorkRunner
from tallystick.reconciliation.service import EventPoller
from tallystick.subscriptions.service_access import ACCESS_WORK
from tallystick.subscriptions.service_cards import CARD_WORK
from tallystick.subscriptions.service_dunning import DUNNING_WORK
from tallystick.subscriptions.service_dunning_local import DUNNING_TIMER
from tallystick.subscriptions.service_invoice_failures import FAILURE_WORK
from tallystick.subscriptions.service_schedules import RELEASE_WORK
from tallystick.webhooks.processor import EventProcessor

__all__ = ["Worker", "create_worker", "retentions"]

log = structlog.get_logger()


class Worker:
    """Everything in the background: events, mails, due work, open attempts, timers. Run as many as you like."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is in hand."""
        parts = build_parts(self._settings, self._clock, "worker")
        billing = parts.billing
        await parts.database.open()

        async def fetch(item: WorkItem) -> None:
            await parts.registry.fetch(item.payload["object"])

        async def tell_failure(item: WorkItem) -> None:
            await billing.invoice_failures.due(item, billing.recorder.tell_failure)

        kinds: dict[str, Handler] = {
            "stripe.fetch": fetch,
            "alert.*": parts.notifications.alert,
            ABANDON_TIMER: parts.abandoned.sweep_due,
            EMAIL_WORK: parts.customers.send_email_address,
            PAYMENT_CHANGED_WORK: billing.access.payment_changed,
            ACCESS_WORK: billing.access.due,
            CARD_WORK: billing.cards.due,
            DUNNING_WORK: billing.local_dunning.due,
            FAILURE_WORK: tell_failure,
            DUNNING_TIMER: billing.local_dunning.take_up,
            GONE_WORK: billing.subscription_refresher.fetch_of_customer,
            RELEASE_WORK: billing.later_changes.release_done,
            LOOK_WORK: parts.pages.checkout.look_due,
        }
        work = WorkRunner(parts.database, self._clock, kinds, timers=[ABANDON_TIMER, DUNNING_TIMER])
        loops = [
            EventProcessor(parts.database, self._clock, parts.registry, self._settings).run(stop),
            parts.notifications.run(stop),
            parts.outbound.run(stop),
            parts.attempts.run(stop),
            Pruner(parts.database, self._clock, retentions(self._settings)).run(stop),
            work.run(stop),
        ]
        if self._settings.stripe_event_polling:
            loops.append(EventPoller(parts.database, self._clock, parts.stripe, parts.webhooks).run(stop))
        log.info("worker.ready")
        try:
            # One loop that ends by a bug must end the process, where a supervisor sees it, not go missing quietly.
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop)
        finally:
            await parts.close()


def retentions(settings: Settings) -> list[Retention]:
    """What is forgotten, and when. The inbox, attempts, mails and whatever tells of money are kept."""
    deliveries = timedelta(days=settings.keep_deliveries_days)
    return [
        Retention("idempotency keys", timedelta(days=settings.keep_idempotency_keys_days), prune_keys, wall=True),
        Retention("done work", timedelta(days=settings.keep_done_work_days), prune_done_work),
        Retention("deliveries", deliveries, prune_deliveries),
        Retention("told facts", deliveries, prune_fact_data),
        Retention("billing links", timedelta(days=1), prune_portal, wall=True),
    ]


def create_worker(settings: Settings, clock: Clock | None = None) -> Worker:
    """The worker of this installation."""
    configure_logging(settings.log_level, settings.log_format, "worker")
    return Worker(settings, clock or clock_of(settings.clock_file))
