"""Everything in the background, in one process."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

import structlog

from tallystick.app.parts import Parts, build_parts
from tallystick.attempts.service_prune import prune_keys
from tallystick.audit.repository import prune_audit
from tallystick.catch_up.service import CATCH_UP_TIMER
from tallystick.console.repository import prune_sessions
from tallystick.core.clock import Clock, clock_of
from tallystick.customers.service_record import EMAIL_WORK, GONE_WORK, PAYMENT_CHANGED_WORK
from tallystick.installation.errors import WrongInstallation
from tallystick.metrics.exposition_server import serve_metrics
from tallystick.metrics.service_alerts import NOTIFY_WORK, IncidentNotifier
from tallystick.metrics.service_minutes import MinuteKeeper, prune_minutes
from tallystick.metrics.service_refresh import MetricsRefresher
from tallystick.notifications.outbound_pruning import prune_deliveries, prune_fact_data
from tallystick.notifications.silence import silent
from tallystick.pages.billing.repository import prune_portal
from tallystick.pages.service import LOOK_WORK
from tallystick.payments.service_abandoned import ABANDON_TIMER
from tallystick.platform.database import WEATHER
from tallystick.platform.logging import configure_logging
from tallystick.platform.migrate import SchemaState, SchemaTooNew, schema_state
from tallystick.platform.pruning import Pruner, Retention, prune_done_work
from tallystick.platform.sealing import KeyMissing
from tallystick.platform.settings import Settings
from tallystick.platform.tracing import configure_tracing, flush_traces
from tallystick.platform.work import Handler, WorkItem, WorkRunner, pause
from tallystick.subscriptions.service_access import ACCESS_WORK
from tallystick.subscriptions.service_cards import CARD_WORK
from tallystick.subscriptions.service_dunning import DUNNING_WORK
from tallystick.subscriptions.service_dunning_local import DUNNING_TIMER
from tallystick.subscriptions.service_invoice_failures import FAILURE_WORK
from tallystick.subscriptions.service_schedules import RELEASE_WORK
from tallystick.webhooks.processor import BeforeMark, EventProcessor
from tallystick.webhooks.repository_endpoint_writes import prune_endpoint_writes
from tallystick.webhooks.service_archive import PayloadArchiver

__all__ = ["Worker", "create_worker", "retentions"]

log = structlog.get_logger()

_SCHEMA_POLL_S = 1.0


class Worker:
    """Everything in the background: events, mails, due work, open attempts, timers. Run as many as you like."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.parts: Parts | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is in hand, in STOP_GRACE_S at most; claims are given back."""
        configure_tracing(self._settings, "worker")
        parts = self.parts = build_parts(self._settings, self._clock, "worker")
        await parts.database.open()
        try:
            await parts.reconciling.installation.admit()
            await self._wait_for_schema(parts, stop)
            await _seal_anew(parts)
            log.info("worker.ready")
            # One loop that ends by a bug must end the process, where a supervisor sees it, not go missing quietly.
            async with asyncio.TaskGroup() as group:
                loops = [group.create_task(loop) for loop in self._loops(parts, stop)]
                group.create_task(self._end_in_time(stop, loops))
        except ExceptionGroup as group_error:
            if wrong := group_error.subgroup(WrongInstallation):
                raise wrong.exceptions[0] from None
            raise
        finally:
            await parts.close()
            await asyncio.to_thread(flush_traces)

    async def _wait_for_schema(self, parts: Parts, stop: asyncio.Event) -> None:
        """Until the schema serves this version: what runs against an older one would only fail."""
        while not stop.is_set():
            try:
                async with parts.database.connection() as connection:
                    state = await schema_state(connection, self._settings.database_schema)
            except WEATHER as error:
                log.warning("worker.weather", error=type(error).__name__)
            else:
                if state is SchemaState.BEYOND:
                    raise SchemaTooNew("The schema is newer than this program, and does not serve it: upgrade.")
                if state.serves:
                    return
                log.warning("worker.waits", schema=state.value, hint="run `tallystick migrate`")
            await pause(_SCHEMA_POLL_S, stop, asyncio.Event())

    async def _end_in_time(self, stop: asyncio.Event, loops: Sequence["asyncio.Task[None]"]) -> None:
        await stop.wait()
        _, late = await asyncio.wait(loops, timeout=self._settings.stop_grace_s)
        for loop in late:
            log.warning("worker.late", doing=getattr(loop.get_coro(), "__qualname__", ""))
            loop.cancel()

    def _loops(self, parts: Parts, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        settings, database, clock = self._settings, parts.database, self._clock
        catch_up = parts.reconciling.catch_up if settings.catch_up_every_s else None
        kinds, timers = _kinds(parts), [ABANDON_TIMER, DUNNING_TIMER]
        if catch_up:
            kinds[CATCH_UP_TIMER] = catch_up.due
            timers.append(CATCH_UP_TIMER)
        before_mark = BeforeMark(parts.reconciling.installation.mark, silent)
        origins = parts.attempts.traces
        return [
            EventProcessor(database, clock, parts.registry, settings, before_mark=before_mark, origins=origins).run(
                stop
            ),
            parts.notifications.run(stop),
            parts.outbound.run(stop),
            parts.attempts.run(stop),
            Pruner(database, clock, retentions(settings)).run(stop),
            PayloadArchiver(database, clock, settings).run(stop),
            WorkRunner(database, clock, kinds, timers=timers).run(stop),
            MetricsRefresher(database, settings).run(stop),
            MinuteKeeper(database, clock).run(stop),
            *([parts.alerts.run(stop)] if settings.alerts_built_in else ()),
            *([serve_metrics(parts.exposition, settings, stop)] if settings.metrics_port else ()),
            parts.reconciling.reconcile_timer.run(stop),
            parts.reconciling.invariants.run(stop),
            *(
                [catch_up.run(stop), parts.reconciling.gaps.run(stop), parts.endpoint_watch.run(stop)]
                if catch_up
                else ()
            ),
        ]


def _kinds(parts: Parts) -> dict[str, Handler]:
    """Who does which kind of due work."""
    billing = parts.billing

    async def fetch(item: WorkItem) -> None:
        await parts.registry.fetch(item.payload["object"])

    async def tell_failure(item: WorkItem) -> None:
        await billing.invoice_failures.due(item, billing.recorder.tell_failure)

    return {
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
        NOTIFY_WORK: IncidentNotifier(parts.settings).send,
        **parts.privacy.work,
    }


def retentions(settings: Settings) -> list[Retention]:
    """What is forgotten, and when. The inbox, attempts, mails and whatever tells of money are kept."""
    deliveries = timedelta(days=settings.keep_deliveries_days)
    return [
        Retention("idempotency keys", timedelta(days=settings.keep_idempotency_keys_days), prune_keys, wall=True),
        Retention("done work", timedelta(days=settings.keep_done_work_days), prune_done_work),
        Retention("deliveries", deliveries, prune_deliveries),
        Retention("told facts", deliveries, prune_fact_data),
        Retention("audit log", timedelta(days=settings.keep_audit_days), prune_audit, wall=True),
        Retention("counted minutes", timedelta(days=2), prune_minutes, wall=True),
        Retention("console sessions", timedelta(days=1), prune_sessions, wall=True),
        Retention("billing links", timedelta(days=1), prune_portal, wall=True),
        Retention("writes to webhook endpoints", timedelta(days=7), prune_endpoint_writes, wall=True),
    ]


async def _seal_anew(parts: Parts) -> None:
    """Seal by the newest key what is stored under another one, or none."""
    try:
        if count := await parts.endpoints.seal_anew():
            log.info("worker.sealed", endpoints=count)
    except (KeyMissing, *WEATHER) as error:
        log.warning("worker.not_sealed", reason=str(error) or type(error).__name__)


def create_worker(settings: Settings, clock: Clock | None = None, *, logs: bool = True) -> Worker:
    """The worker of this installation; `logs=False` leaves the logging of whoever runs it as it is."""
    if logs:
        configure_logging(settings.log_level, settings.log_format, "worker")
    return Worker(settings, clock or clock_of(settings.clock_file))
