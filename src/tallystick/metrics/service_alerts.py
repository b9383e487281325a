"""`AlertKeeper`: evaluates the alerts for those without Prometheus, and tells staff once when one fires and once when
it is over: by mail, and to the channels of ALERT_URLS.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.metrics.alerts import RULES, Rule
from tallystick.metrics.repository_alerts import Alert, AlertRepository
from tallystick.metrics.repository_health import HealthRepository
from tallystick.metrics.service_minutes import counted_since
from tallystick.metrics.signals import Signals
from tallystick.notifications.alerts import queue_alert
from tallystick.platform.database import WEATHER, Database, Transaction
from tallystick.platform.leases import Lease
from tallystick.platform.settings import Settings
from tallystick.platform.work import Retry, WorkItem, enqueue, pause

__all__ = ["NOTIFY_WORK", "AlertKeeper", "IncidentNotifier", "channel_name", "list_alerts"]

log = structlog.get_logger()

NOTIFY_WORK = "notify.incident"
_EVERY_S = 30.0
_HOUR, _TEN_MINUTES = timedelta(hours=1), timedelta(minutes=10)
_DUNNING = ("invoice_payment_failed", "invoice_action_required", "trial_ending", "subscription_access_lost")
_CHANNEL_TIMEOUT_S = 20


class AlertKeeper:
    """Looks every half minute; one process at a time does."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, *, rules: Sequence[Rule] = RULES) -> None:
        self._database = database
        self._clock = clock
        self._channels = [channel_name(url.get_secret_value()) for url in settings.alert_urls]
        self._rules = rules
        self._lease = Lease(database, clock, "alerts", for_s=_EVERY_S * 2.5)
        self._alerts = AlertRepository()
        self._health = HealthRepository()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                if await self._lease.take():
                    await self.evaluate()
            except WEATHER as error:
                log.warning("alerts.weather", error=type(error).__name__)
            await pause(_EVERY_S, stop, wake)

    async def evaluate(self) -> Mapping[str, Alert]:
        """Look once; all alerts as they are then."""
        signals = await self.signals()
        wall = self._clock.wall()
        async with self._database.transaction() as tx:
            known = dict(await self._alerts.lock_all(tx))
            for rule in self._rules:
                await self._settle(tx, rule, known.get(rule.name), rule.holds(signals), wall)
            return await self._alerts.lock_all(tx)

    async def signals(self) -> Signals:
        """What the alerts look at."""
        now, wall = self._clock.now(), self._clock.wall()
        async with self._database.connection() as connection:
            return Signals(
                health=await self._health.health(connection, now=now, wall=wall),
                hour=await self._health.window(connection, now=now, wall=wall, span=_HOUR, dunning=_DUNNING),
                minutes=await counted_since(connection, wall - _TEN_MINUTES),
            )

    async def _settle(
        self, tx: Transaction, rule: Rule, was: Alert | None, value: float | None, wall: datetime
    ) -> None:
        """One rule: pending, firing after its time, over; each fact is told in the transaction that makes it one."""
        if value is None:
            if was is not None and was.state == "pending":
                await self._alerts.delete(tx, rule.name)
            elif was is not None and was.state == "firing":
                await self._alerts.save(tx, replace(was, state="over", over_at=wall))
                await self._tell(tx, rule, replace(was, state="over"))
            return
        if was is None or was.state == "over":
            was = Alert(rule.name, "pending", wall, value, None, None, None)
        if was.state == "pending" and (wall - was.since).total_seconds() >= rule.for_s:
            was = replace(was, state="firing", incident=new_id(), told_at=wall)
            await self._tell(tx, rule, replace(was, value=value))
        await self._alerts.save(tx, replace(was, value=value))

    async def _tell(self, tx: Transaction, rule: Rule, alert: Alert) -> None:
        log.warning("alert", name=rule.name, state=alert.state, value=alert.value, severity=rule.severity)
        about = f"{alert.incident}:{alert.state}"
        facts = {"alert": rule.name, "what": rule.summary, "severity": rule.severity, "todo": rule.todo}
        if alert.value is not None:
            facts["value"] = f"{alert.value:.4g}"
        kind = "incident" if alert.state == "firing" else "incident_over"
        await queue_alert(tx, kind, about, facts, due_at=self._clock.now())
        for channel in self._channels:
            payload = facts | {"state": alert.state, "channel": channel}
            await enqueue(tx, NOTIFY_WORK, f"{NOTIFY_WORK}:{about}:{channel}", payload, due_at=self._clock.now())


async def list_alerts(database: Database) -> Sequence[Alert]:
    """All alerts that hold, or held once; those that fire first."""
    async with database.connection() as connection:
        return await AlertRepository().listed(connection)


def channel_name(url: str) -> str:
    """What stands for a channel in the database: its address holds a secret."""
    return hashlib.sha256(url.encode()).hexdigest()[:12]


class IncidentNotifier:
    """Sends incidents to Slack, webhooks and whatever else apprise knows (the extra `alerts`)."""

    def __init__(self, settings: Settings) -> None:
        urls = [url.get_secret_value() for url in settings.alert_urls]
        self._urls = {channel_name(url): url for url in urls}

    async def send(self, item: WorkItem) -> None:
        """Tell one channel (due work `notify.incident`); raises `Retry` where it did not take it."""
        facts = item.payload
        url = self._urls.get(facts["channel"])
        if url is None:
            log.warning("alerts.channel_gone", hint="it is no longer one of ALERT_URLS")
            return
        over = facts["state"] == "over"
        title = f"{'Over' if over else facts['severity'].capitalize()}: {facts['alert']}"
        body = facts["what"] if over else f"{facts['what']}\n{facts['todo']}"
        try:
            async with asyncio.timeout(_CHANNEL_TIMEOUT_S):
                took = await asyncio.to_thread(_notify, url, title, body, over=over)
        except TimeoutError:
            took = False
        except ImportError:
            log.warning("alerts.no_apprise", hint="pip install 'tallystick[alerts]', or leave ALERT_URLS empty")
            return
        if not took:
            raise Retry("the channel did not take it", after=timedelta(minutes=1))


def _notify(url: str, title: str, body: str, *, over: bool) -> bool:
    """Tell a channel, in a thread: the library takes a second to import, and waits for the channel."""
    import apprise

    sender = apprise.Apprise()
    if not sender.add(url):
        log.error("alerts.url_unknown", hint="ALERT_URLS: see the list of services of apprise")
        return True
    kind = apprise.NotifyType.SUCCESS if over else apprise.NotifyType.WARNING
    return bool(sender.notify(title=title, body=body, notify_type=kind))
