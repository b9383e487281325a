"""`SubscriptionCalls`: every call we make to Stripe about subscriptions."""

from collections.abc import Mapping, Sequence
from typing import Any

from tallystick.stripe_gateway import translate_billing, translate_discounts
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.objects_billing import Invoice, PromotionCode, Subscription
from tallystick.stripe_gateway.objects_discounts import Coupon
from tallystick.stripe_gateway.service import StripeService

__all__ = ["SubscriptionCalls"]

Json = Mapping[str, Any]


class SubscriptionCalls:
    """Subscriptions at Stripe. All methods raise the four errors of `stripe_gateway.errors`."""

    def __init__(self, stripe: StripeService, dialect: Dialect) -> None:
        self._stripe = stripe
        self.dialect = dialect

    # Reads

    async def retrieve(self, subscription_id: str, expand: Sequence[str] = ()) -> Answer[Subscription]:
        """`GET /v1/subscriptions/{id}`; one that was canceled is answered too, for ever."""
        params = {"expand": list(expand)} if expand else {}
        return await self._stripe.read(f"/v1/subscriptions/{subscription_id}", params, translate_billing.subscription)

    async def of_customer(self, customer_id: str, expand: Sequence[str] = ()) -> list[Answer[Subscription]]:
        """All subscriptions of a customer, ended ones too, newest first; each with the time and text of its page.

        `expand` names fields of one subscription.
        """
        params: dict[str, Any] = {"customer": customer_id, "status": "all", "limit": 100}
        if expand:
            params["expand"] = [f"data.{path}" for path in expand]
        found: list[Answer[Subscription]] = []
        while True:
            page = await self._stripe.list_page("/v1/subscriptions", params, translate_billing.subscription)
            found += [
                Answer(value, page.at, page.request_id, raw)
                for value, raw in zip(page.value, page.raw["data"], strict=True)
            ]
            if not page.raw.get("has_more") or not page.value:
                return found
            params["starting_after"] = page.value[-1].id

    # For commands: all these answer with the secrets of what waits for the customer

    async def retrieve_with_secrets(self, subscription_id: str) -> Answer[Subscription]:
        """`GET /v1/subscriptions/{id}`."""
        return await self.retrieve(subscription_id, self.dialect.subscription_secret_expand)

    async def create(self, params: Json, key: str) -> Answer[Subscription]:
        """`POST /v1/subscriptions`, in billing mode classic."""
        return await self._write("/v1/subscriptions", {**params, **self.dialect.billing_mode}, key)

    async def update(self, subscription_id: str, params: Json, key: str) -> Answer[Subscription]:
        """`POST /v1/subscriptions/{id}`."""
        return await self._write(f"/v1/subscriptions/{subscription_id}", params, key)

    async def cancel(self, subscription_id: str, params: Json) -> Answer[Subscription]:
        """`DELETE /v1/subscriptions/{id}`: now. It bears no idempotency key; a canceled one is missing."""
        path = f"/v1/subscriptions/{subscription_id}"
        return await self._stripe.call("delete", path, params, translate_billing.subscription)

    async def resume(self, subscription_id: str, key: str) -> Answer[Subscription]:
        """`POST /v1/subscriptions/{id}/resume`: out of the status `paused`, with a period that begins now."""
        return await self._write(f"/v1/subscriptions/{subscription_id}/resume", self.dialect.anchor("now"), key)

    async def void_invoice(self, invoice_id: str, key: str) -> Answer[Invoice]:
        """`POST /v1/invoices/{id}/void`: refused once it is paid. Of a first invoice: its subscription expires."""
        return await self._stripe.write(f"/v1/invoices/{invoice_id}/void", {}, key, translate_billing.invoice)

    async def preview_invoice(self, subscription_id: str, details: Json, more: Json) -> Answer[Invoice]:
        """The next invoice of a subscription, or the one that a change of it makes; nothing is stored.

        `details` are `items`, `proration_behavior`, `proration_date`, …; `more` is `discounts`, `preview_mode`.
        """
        return await self._preview({"subscription": subscription_id, **more}, details)

    async def preview_new(self, customer_id: str, items: Sequence[Json], more: Json) -> Answer[Invoice]:
        """The first invoice of a subscription that there is not yet, without a trial; `more` is `discounts`, …"""
        details = {"items": list(items), **self.dialect.billing_mode}
        return await self._preview({"customer": customer_id, **more}, details)

    async def _preview(self, params: Json, details: Json) -> Answer[Invoice]:
        method, path, sent = self.dialect.preview(dict(params), dict(details))
        return await self._stripe.call(method, path, sent, translate_billing.invoice)

    async def promotion_codes(self, code: str) -> list[PromotionCode]:
        """The newest 100 promotion codes that are spelt so, in whatever case, active or not."""
        params = {"code": code, "limit": 100}
        return (await self._stripe.list_page("/v1/promotion_codes", params, translate_billing.promotion_code)).value

    async def retrieve_promotion_code(self, promotion_code_id: str) -> Answer[PromotionCode]:
        """`GET /v1/promotion_codes/{id}`."""
        return await self._stripe.read(f"/v1/promotion_codes/{promotion_code_id}", {}, translate_billing.promotion_code)

    async def coupon_of(self, promotion_code_id: str) -> Coupon | None:
        """What a promotion code takes off."""
        code = (await self.retrieve_promotion_code(promotion_code_id)).raw
        coupon_id = translate_discounts.promotion_code(code).coupon
        if coupon_id is None:
            return None
        return (await self._stripe.read(f"/v1/coupons/{coupon_id}", {}, translate_discounts.coupon)).value

    async def _write(self, path: str, params: Json, key: str) -> Answer[Subscription]:
        sent = {**params, "expand": self.dialect.subscription_secret_expand}
        return await self._stripe.write(path, sent, key, translate_billing.subscription)
