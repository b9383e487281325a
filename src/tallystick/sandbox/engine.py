"""The sandbox without HTTP: state, clock and due moments, and the transaction around every request."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tallystick.core.clock import OffsetFile
from tallystick.sandbox import idempotency
from tallystick.sandbox.catalog import FOLLOW_UPS, INDEXED, JOBS
from tallystick.sandbox.clock import SandboxClock
from tallystick.sandbox.context import Context
from tallystick.sandbox.events import STRIPE_ITSELF, Cause, Delivery, EventLog
from tallystick.sandbox.faults import Faults
from tallystick.sandbox.ids import IdMaker
from tallystick.sandbox.recording import Recorder
from tallystick.sandbox.settings import SandboxConfig, Settings
from tallystick.sandbox.shapes import decode, encode
from tallystick.sandbox.store import Store

__all__ = ["Engine", "generated_key"]

_log = logging.getLogger(__name__)
_PRUNE_EVERY = 2000


class Engine:
    """Everything that one sandbox is. Not safe for threads: one event loop drives it."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.store = Store(config.database, INDEXED)
        self.faults = Faults()
        self.recorder = Recorder(config.record) if config.record else None
        self.commits = 0
        """How many transactions there were: what is the same before and after, between which nothing happened."""
        self._offset_file = OffsetFile(config.clock_file) if config.clock_file else None
        self._open_account()

    def _open_account(self) -> None:
        store = self.store
        account = store.meta("account")
        if account is None:
            account = IdMaker.new_account()
            store.set_meta("account", account)
        kept = store.meta("settings")
        self.settings = (
            msgspec.convert(decode(kept), Settings) if kept else Settings(api_version=self.config.api_version)
        )
        self.clock = SandboxClock(float(store.meta("clock_offset_s") or 0), self.config.wall)
        self._tell_offset()
        self.ids = IdMaker(account, self.clock)
        self.events = EventLog(store, self.clock, self.ids, lambda: self.settings, self.faults)

    @contextmanager
    def unit(
        self,
        *,
        version: str | None = None,
        cause: Cause = STRIPE_ITSELF,
        base_url: str | None = None,
        publishable: bool = False,
    ) -> Iterator[Context]:
        """One transaction: all of it is stored, events and deliveries included, or nothing."""
        try:
            with self.store.transaction():
                ctx = Context(
                    store=self.store,
                    clock=self.clock,
                    ids=self.ids,
                    settings=self.settings,
                    events=self.events,
                    cause=cause,
                    version=version or self.settings.api_version,
                    base_url=base_url or self.config.public_url,
                    publishable=publishable,
                    follow_ups=FOLLOW_UPS,
                )
                yield ctx
                ctx.follow_up()
        except BaseException:
            self.events.discard()
            raise
        self.commits += 1
        if self.commits % _PRUNE_EVERY == 0:
            idempotency.prune(self.store, int(self.clock.wall_unix()))

    def take_fresh(self) -> list[Delivery]:
        """Deliveries committed since the last call."""
        return self.events.take_fresh()

    def change_settings(self, changes: dict[str, object]) -> Settings:
        """Raises msgspec.ValidationError for an unknown setting or a wrong value."""
        merged = msgspec.to_builtins(self.settings) | changes
        self.settings = msgspec.convert(merged, Settings)
        self.store.set_meta("settings", encode(self.settings).decode())
        return self.settings

    def move_clock(self, to: float) -> None:
        """Move business time forward, here and for all who share it, and remember the offset."""
        self.clock.move_to(to)
        self.store.set_meta("clock_offset_s", repr(self.clock.offset.total_seconds()))
        self._tell_offset()

    def _tell_offset(self) -> None:
        if self._offset_file is not None:
            self._offset_file.write(self.clock.offset)

    def next_job_at(self) -> float | None:
        """When the next due moment is."""
        row = self.store.execute("SELECT due_at FROM jobs ORDER BY due_at, id LIMIT 1").fetchone()
        return row[0] if row else None

    def run_due_job(self) -> bool:
        """Let one due moment happen; False when none is due."""
        row = self.store.execute(
            "SELECT id, kind, ref, data FROM jobs WHERE due_at <= ? ORDER BY due_at, id LIMIT 1",
            self.clock.exact(),
        ).fetchone()
        if row is None:
            return False
        try:
            with self.unit() as ctx:
                self.store.execute("DELETE FROM jobs WHERE id = ?", row[0])
                JOBS[row[1]](ctx, row[2], decode(row[3]))
        except Exception:
            # One that cannot happen must not keep all later ones from happening.
            _log.exception("due moment failed: %s of %s", row[1], row[2])
            self.store.execute("DELETE FROM jobs WHERE id = ?", row[0])
        return True

    def reset(self) -> None:
        """A new, empty account; settings and clock start over, faults are lifted."""
        self.store.reset()
        self.faults.remove()
        self._open_account()

    def close(self) -> None:
        self.store.close()


def generated_key() -> str:
    """The key that Stripe notes for a POST that was sent without one."""
    return str(uuid.uuid4())
