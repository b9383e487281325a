"""`FirstInvoices`: what the first invoice of a subscription asks, of one that there is not yet and of one just begun.

Stripe counts: tiers, discounts, taxes and credit are its business, and a preview stores nothing.
"""

from typing import Any

from msgspec import Struct

from tallystick.core.errors import Unavailable
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.errors import PriceNotUsable
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.service_refresh import SubscriptionRefresher
from tallystick.subscriptions.service_terms import Wish, is_metered

__all__ = ["FirstInvoices", "Waiting"]

_UNPAID = ("incomplete", "past_due", "unpaid")


class Waiting(Struct, frozen=True):
    """What a new subscription waits for: to be paid what is `due`, or for a card. Without a secret, for nothing."""

    status: str
    due: int
    payment_secret: str | None
    setup_secret: str | None


class FirstInvoices:
    """Asks Stripe what would be due, and what is."""

    def __init__(self, calls: SubscriptionCalls, refresher: SubscriptionRefresher) -> None:
        self._calls = calls
        self._refresher = refresher

    async def preview(self, wish: Wish) -> Invoice:
        """The first invoice of a new subscription, without a trial; raises `PriceNotUsable`, `Unavailable`."""
        item: dict[str, Any] = {"price": wish.price.stripe_price_id}
        if not is_metered(wish.price):
            item["quantity"] = wish.wanted.quantity
        more = {"discounts": self._calls.dialect.discounts(wish.code)} if wish.code else {}
        try:
            return (await self._calls.preview_new(wish.customer, [item], more)).value
        except GatewayRejected as error:
            raise PriceNotUsable(field="price") from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error

    async def due(self, days: int, begun: SubscriptionRow | None, preview: Invoice) -> int:
        """What is due at once, in minor units: nothing in a trial of `days`.

        Of what was `begun` and would be taken up, its own invoice says it, which is older than the `preview`: credit
        that came since is not taken off. Raises `Unavailable`.
        """
        if days:
            return 0
        if begun is not None and begun.status == "incomplete":
            waiting = await self.waiting(begun)
            if waiting.payment_secret:
                return waiting.due
        return preview.amount_due

    async def waiting(self, row: SubscriptionRow) -> Waiting:
        """What a subscription that was just begun waits for; raises `Unavailable`."""
        try:
            shown = (await self._calls.retrieve_with_secrets(str(row.stripe_subscription_id))).value
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
        if shown.status != row.status:
            await self._refresher.refresh(shown.id)
        invoice = shown.expanded_invoice
        if shown.status in _UNPAID and invoice is not None and invoice.status == "open":
            return Waiting(shown.status, invoice.amount_remaining, shown.client_secret, None)
        free = shown.status in ("trialing", "active") and shown.default_payment_method is None
        return Waiting(shown.status, 0, None, shown.setup_secret if free else None)
