"""`SetupIntentCalls`: what we ask Stripe about setup intents."""

from collections.abc import Mapping
from typing import Any

from tallystick.stripe_gateway import translate_billing
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.objects_billing import SetupIntent
from tallystick.stripe_gateway.service import StripeService

__all__ = ["SetupIntentCalls"]

_PATH = "/v1/setup_intents"


class SetupIntentCalls:
    """All raise the four errors of `stripe_gateway.errors`."""

    def __init__(self, stripe: StripeService) -> None:
        self._stripe = stripe

    async def create(self, params: Mapping[str, Any], key: str) -> Answer[SetupIntent]:
        """`POST /v1/setup_intents`."""
        return await self._stripe.write(_PATH, params, key, translate_billing.setup_intent)

    async def retrieve(self, setup_intent_id: str) -> Answer[SetupIntent]:
        """`GET /v1/setup_intents/{id}`."""
        return await self._stripe.read(f"{_PATH}/{setup_intent_id}", {}, translate_billing.setup_intent)

    async def list_of_customer(self, customer_id: str, *, created_from: int) -> list[SetupIntent]:
        """The customer's setup intents made at or after `created_from` (Unix seconds), newest first."""
        params = {"customer": customer_id, "created": {"gte": created_from}}
        return await self._stripe.list_all(_PATH, params, translate_billing.setup_intent)
