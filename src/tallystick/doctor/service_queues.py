"""The doctor's look at what waits: events, work, mails, deliveries, and writes to Stripe without an end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from tallystick.core.clock import Clock
from tallystick.core.ids import first_id
from tallystick.doctor.models import Check, Finding, fail, ok, warn
from tallystick.doctor.repository import COUNT_MOST, Backlog, DoctorRepository
from tallystick.doctor.service_database import SCHEMA
from tallystick.platform.database import Database
from tallystick.platform.settings import Settings

__all__ = ["QueueChecks", "age", "since"]

_GROUP = "Queues"
_LATE_WARN, _LATE_FAIL = timedelta(minutes=1), timedelta(minutes=5)
_OPEN_WARN, _OPEN_FAIL = timedelta(minutes=15), timedelta(hours=1)
_PROCESSING_MOST = timedelta(days=14)
_DEAD_LOOKED_BACK = timedelta(days=30)

_QUEUES = {
    "events": ("Events", "`tallystick events list --state dead` shows them; replay or discard each."),
    "work": ("Due work", "The worker's log says why; look for work.dead."),
    "mails": ("Mails", "`tallystick mails list --state dead` shows them; `tallystick mails resend` sends one again."),
    "deliveries": (
        "Outbound webhooks",
        "`GET /api/webhook-endpoints/ID/deliveries` shows them; send them again there.",
    ),
}


class QueueChecks:
    """Is anybody working, and on what is nobody working any more."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._mails_are_sent = settings.smtp_url is not None
        self._repository = DoctorRepository()

    def checks(self) -> Sequence[Check]:
        return (
            Check(_GROUP, "worker.running", "Worker", self._worker, (SCHEMA,)),
            *(
                Check(_GROUP, f"queue.{queue}", title, partial(self._queue, queue), (SCHEMA,))
                for queue, (title, _) in _QUEUES.items()
            ),
            Check(_GROUP, "attempts.open", "Open writes", self._attempts, (SCHEMA,)),
            Check(_GROUP, "payments.processing", "Slow payments", self._processing, (SCHEMA,)),
        )

    async def _worker(self) -> Finding:
        async with self._database.connection() as connection:
            server = await self._repository.server(connection)
        if server.workers == 0:
            return fail("no worker is connected to the database", "Start `tallystick worker`; see its log if it ends.")
        return ok("connected")

    async def _queue(self, queue: str) -> Finding:
        wall, now = self._clock.wall(), self._clock.now()
        async with self._database.connection() as connection:
            backlog = await self._repository.backlog(connection, queue, wall, now, first_id(wall - _DEAD_LOOKED_BACK))
        if backlog.dead:
            which = "with the dead letters" if queue == "events" else "given up in the last 30 days"
            return fail(f"{_count(backlog.dead)} {which}, {_waiting(backlog)}", _QUEUES[queue][1])
        # Events are due by wall time, all else by business time.
        late = (wall if queue == "events" else now) - backlog.oldest_due_at if backlog.oldest_due_at else timedelta()
        if queue == "mails" and not self._mails_are_sent:
            return warn(_waiting(backlog), "Set SMTP_URL: mails wait for it.") if backlog.due else ok("none waits")
        if late > _LATE_WARN:
            verdict = fail if late > _LATE_FAIL else warn
            return verdict(
                f"{_waiting(backlog)}, the oldest for {age(late)}",
                "See whether a worker runs and what its log says; more workers share the work.",
            )
        return ok(_waiting(backlog))

    async def _attempts(self) -> Finding:
        wall = self._clock.wall()
        async with self._database.connection() as connection:
            count, since, one = await self._repository.open_attempts(connection, wall - _OPEN_WARN)
        if not count or since is None:
            return ok("none is older than 15 minutes")
        verdict = fail if wall - since > _OPEN_FAIL else warn
        return verdict(
            f"{count} without an end, the oldest for {age(wall - since)} ({one})",
            "The worker settles them while it reaches Stripe; its log names what keeps it (attempt.postponed).",
        )

    async def _processing(self) -> Finding:
        now = self._clock.now()
        async with self._database.connection() as connection:
            count, since = await self._repository.processing(connection, now - _PROCESSING_MOST)
        if not count or since is None:
            return ok("none is under way for more than 14 days")
        return warn(
            f"{count} are processing for more than 14 days, the oldest since {since:%Y-%m-%d}",
            "Compare them with the Stripe dashboard, or run `tallystick reconcile`.",
        )


def _count(number: int) -> str:
    return f"{number}" if number < COUNT_MOST else f"more than {COUNT_MOST}"


def _waiting(backlog: Backlog) -> str:
    text = f"{_count(backlog.due)} due" if backlog.due else "nothing is due"
    return f"{text}, {_count(backlog.waiting)} objects held up" if backlog.waiting else text


def age(span: timedelta) -> str:
    """A span in one unit, for people."""
    seconds = span.total_seconds()
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def since(moment: datetime, now: datetime) -> str:
    """How long ago."""
    return f"{age(max(now - moment, timedelta()))} ago"
