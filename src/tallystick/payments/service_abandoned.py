"""Payments on which nobody acts any more are canceled after some days, so that they cannot be paid by surprise."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError
from tallystick.payments.models_requests import CancelRequest
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.service import StripePaymentService
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.work import WorkItem

__all__ = ["ABANDON_TIMER", "AbandonedPayments"]

log = structlog.get_logger()

ABANDON_TIMER = "payments.abandon"
_BATCH = 50
_AGAIN = timedelta(days=1)
"""When to look once more at those that could not be canceled."""


class AbandonedPayments:
    """Cancels open payments older than `ABANDONED_PAYMENT_DAYS`."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        days: int,
        payments: PaymentRepository,
        service: StripePaymentService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._age = timedelta(days=days)
        self._payments = payments
        self._service = service

    async def sweep_due(self, _: WorkItem) -> datetime:
        """Sweep; answers when the next payment will be too old, as far as can be known now."""
        begun = self._clock.now()
        found, canceled = await self.sweep()
        if found == canceled == _BATCH:
            return begun
        async with self._database.connection() as connection:
            oldest = await self._payments.oldest_open(connection, begun - self._age)
        # One that is made after this look is too old only after the whole time.
        latest = begun + (self._age if found == canceled else _AGAIN)
        return min(oldest + self._age, latest) if oldest else latest

    async def sweep(self) -> tuple[int, int]:
        """Cancel what is too old, some at a time; how many were found, and how many canceled."""
        async with self._database.connection() as connection:
            stale = await self._payments.stale_open(connection, self._clock.now() - self._age, _BATCH)
        canceled = 0
        for payment in stale:
            # The system has no row among the users; what it does is marked by the key's scope.
            actor = Actor(payment.user_id or UUID(int=0), "system", frozenset({"admin"}))
            # A new key whenever the payment has moved on: what was refused then may be possible now.
            key = f"abandoned:{payment.id}:{payment.revision}"
            request = IdempotentRequest("system", key, "cancel", {"reason": "abandoned"})
            try:
                settled = await self._service.cancel(actor, str(payment.id), request, CancelRequest(reason="abandoned"))
            except DomainError as error:
                log.info("abandoned.not_canceled", payment=str(payment.id), code=error.code)
            else:
                canceled += settled.status == 200
        return len(stale), canceled
