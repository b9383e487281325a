"""`ScheduleCalls`: every call we make to Stripe about subscription schedules."""

from collections.abc import Mapping
from typing import Any

from tallystick.stripe_gateway import translate_schedules
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.objects_schedules import Schedule
from tallystick.stripe_gateway.service import StripeService

__all__ = ["ScheduleCalls"]

_PATH = "/v1/subscription_schedules"


class ScheduleCalls:
    """Subscription schedules at Stripe. All methods raise the four errors of `stripe_gateway.errors`."""

    def __init__(self, stripe: StripeService) -> None:
        self._stripe = stripe

    async def retrieve(self, schedule_id: str) -> Answer[Schedule]:
        """`GET /v1/subscription_schedules/{id}`."""
        return await self._stripe.read(f"{_PATH}/{schedule_id}", {}, translate_schedules.schedule)

    async def create_from(self, subscription_id: str, key: str) -> Answer[Schedule]:
        """`POST /v1/subscription_schedules`: the running period is its first phase. Takes no other parameter."""
        params = {"from_subscription": subscription_id}
        return await self._stripe.write(_PATH, params, key, translate_schedules.schedule)

    async def update(self, schedule_id: str, params: Mapping[str, Any], key: str) -> Answer[Schedule]:
        """`POST /v1/subscription_schedules/{id}`."""
        return await self._stripe.write(f"{_PATH}/{schedule_id}", params, key, translate_schedules.schedule)

    async def release(self, schedule_id: str, key: str) -> Answer[Schedule]:
        """`POST /v1/subscription_schedules/{id}/release`: the subscription stays as it is."""
        return await self._stripe.write(f"{_PATH}/{schedule_id}/release", {}, key, translate_schedules.schedule)
