"""`EventTraces`: a span for each event while it is applied, in the trace of the request that led to it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from tallystick.platform.database import Transaction
from tallystick.platform.tracing import Span, Value, begin, caused_by, span, tracing
from tallystick.webhooks.models import ClaimedEvent

__all__ = ["EventTraces", "Origins"]

Origins = Callable[[Transaction, Collection[str]], Awaitable[Mapping[str, bytes]]]
"""What led to the requests at Stripe that bore these idempotency keys, as marks; asked once a batch."""


class EventTraces:
    """Follows events that are applied together. Without `origins` each is the beginning of a trace."""

    def __init__(self, origins: Origins | None) -> None:
        self._origins = origins

    @asynccontextmanager
    async def applying(self, tx: Transaction, events: Sequence[ClaimedEvent]) -> AsyncIterator[None]:
        """Around their effects. Several have a span of the batch beside their own, which point to it.

        Of a batch that fails nothing is told of its events: they are applied again, one by one.
        """
        if not tracing():
            yield
            return
        keys = {key for event in events if (key := event.request_idempotency_key)}
        origins = await self._origins(tx, keys) if self._origins and keys else {}
        if len(events) == 1:
            begun = [_begin(events[0], origins, None)]
            try:
                with caused_by(_marks(events, begun)):
                    yield
            except Exception as error:
                begun[0].failed(type(error).__name__)
                raise
            finally:
                begun[0].end()
            return
        with span("inbox batch", "consumer", {"messaging.batch.message_count": len(events)}, alone=True) as batch:
            begun = [_begin(event, origins, batch.mark) for event in events]
            with caused_by(_marks(events, begun)):
                yield
            for one in begun:
                one.end()


def _begin(event: ClaimedEvent, origins: Mapping[str, bytes], batch: bytes | None) -> Span:
    attributes: Mapping[str, Value] = {
        "messaging.system": "tallystick",
        "messaging.destination.name": "inbox",
        "messaging.operation.type": "process",
        "messaging.message.id": event.stripe_event_id,
        "tallystick.event.type": event.type,
        "tallystick.event.source": event.source,
        "tallystick.event.retries": event.retry_count,
    }
    origin = origins.get(event.request_idempotency_key or "")
    return begin(f"event {event.type}", "consumer", attributes, parent=origin, links=[batch])


def _marks(events: Sequence[ClaimedEvent], begun: Sequence[Span]) -> Mapping[str, bytes]:
    pairs = zip(events, begun, strict=True)
    return {event.stripe_event_id: mark for event, one in pairs if (mark := one.mark)}
