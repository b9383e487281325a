"""`fetching`: around a fetch that nobody waits for and that the queue of work repeats."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from tallystick.core.errors import Unavailable
from tallystick.platform.work import Retry
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.service import StripeService

__all__ = ["fetching"]

log = structlog.get_logger()


@asynccontextmanager
async def fetching(stripe: StripeService, object_id: str) -> AsyncIterator[None]:
    """Calls inside leave live traffic its share of the rate budget.

    What Stripe does not know ends the block: there is nothing to be equal to, and reconcile decides what that means.

    Raises:
        Retry: Stripe is away, or refuses; the second uses up an attempt.
    """
    try:
        async with stripe.background():
            yield
    except GatewayRejected as error:
        if not error.missing:
            raise Retry("Stripe refuses", counted=True) from error
        log.warning("fetch.missing_at_stripe", object=object_id)
    except (GatewayError, Unavailable) as error:
        raise Retry(type(error).__name__, counted=False) from error
