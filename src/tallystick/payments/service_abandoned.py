"""Payments on which nobody acts any more are canceled after some days, so that they cannot be paid by surprise."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog

from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError
from tallystick.payments.models_requests import CancelRequest
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.service import StripePaymentService
from tallystick.platform.auth import Actor
from tallystick.platform.database import WEATHER, Database
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.work import pause

__all__ = ["AbandonedPayments"]

log = structlog.get_logger()

_EVERY_S = 600.0
_BATCH = 50


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

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep every ten minutes until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                await self.sweep()
            except WEATHER as error:
                log.warning("abandoned.weather", error=type(error).__name__)
            await pause(_EVERY_S, stop, wake)

    async def sweep(self) -> int:
        """Cancel what is too old, some at a time; how many were canceled."""
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
        return canceled
