"""Which mail a fact about a subscription causes, and under which key, so that each is queued once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from tallystick.core.clock import Clock
from tallystick.customers.service import StripeCustomerService
from tallystick.notifications.models import MailRequest
from tallystick.notifications.service import NotificationService, StillHolds
from tallystick.platform.database import Database, Transaction
from tallystick.products.models import PriceRow
from tallystick.products.service import ProductService
from tallystick.subscriptions.models import TERMINAL, SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.states import text_of

__all__ = ["Draft", "SubscriptionMailChecks", "SubscriptionMails", "plan_context"]


class Draft(Struct, frozen=True):
    """A mail before its recipient is known; the fields of the plan join its context.

    `at` is when that happened which it tells, None for what is to come.
    """

    row: SubscriptionRow
    business_key: str
    template: str
    context: Mapping[str, Any]
    at: datetime | None


class SubscriptionMails:
    """Addresses drafts to the owners of their subscriptions and queues them."""

    def __init__(
        self,
        clock: Clock,
        customers: StripeCustomerService,
        products: ProductService,
        notifications: NotificationService,
        manage_url: str | None = None,
    ) -> None:
        self._clock = clock
        self._customers = customers
        self._products = products
        self._notifications = notifications
        self._manage_url = manage_url

    async def queue(self, tx: Transaction, drafts: Sequence[Draft]) -> None:
        """Queue the drafts about subscriptions of our users; an owner without an address gets none."""
        drafts = [draft for draft in drafts if draft.row.user_id]
        if not drafts:
            return
        users = await self._customers.find_many(tx, list({draft.row.user_id for draft in drafts if draft.row.user_id}))
        names = await self._products.names(tx, list({name for draft in drafts for name in _products(draft.row)}))
        prices = await self._products.prices(tx, list({item["price"] for draft in drafts for item in draft.row.items}))
        requests = []
        for draft in drafts:
            user = users.get(draft.row.user_id) if draft.row.user_id else None
            if user is None or not user.email:
                continue
            context = {**plan_context(draft.row, names, prices, self._manage_url), **draft.context}
            if draft.template == "trial_ending":
                method = draft.row.default_payment_method
                brand, last4 = await self._customers.card_of(tx, draft.row.stripe_customer_id, method)
                context |= {"card_brand": brand, "card_last4": last4}
            requests.append(
                MailRequest(
                    business_key=draft.business_key,
                    template=draft.template,
                    recipient=user.email,
                    locale=user.locale,
                    context=context,
                    user_id=user.id,
                    due_at=self._clock.now(),
                    happened_at=draft.at,
                )
            )
        await self._notifications.queue_mails(tx, requests)


def plan_context(
    row: SubscriptionRow, product_names: Mapping[str, str], prices: Mapping[str, PriceRow], manage_url: str | None
) -> dict[str, Any]:
    """What every mail about a subscription says of its plan; `SubscriptionMails.queue` adds it to each draft.

    `amount` is the cost of one period in minor units before discounts and taxes, None where it depends on the use, or
    on tiers; `quantity` is None where there are several items.
    """
    names = [product_names[product] for product in _products(row) if product in product_names]
    first = row.items[0] if row.items else {}
    return {
        "subscription_id": str(row.id),
        "plan_name": ", ".join(names) or None,
        "quantity": row.quantity if len(row.items) == 1 else None,
        "amount": _cost(row.items, prices),
        "currency": row.currency,
        "interval": first.get("interval"),
        "interval_count": first.get("interval_count"),
        "manage_url": manage_url,
    }


def _products(row: SubscriptionRow) -> list[str]:
    return list(dict.fromkeys(item["product"] for item in row.items))


def _cost(items: Sequence[Mapping[str, Any]], prices: Mapping[str, PriceRow]) -> int | None:
    total = 0
    for item in items:
        if item["unit_amount"] is None or item["quantity"] is None or item["billing_scheme"] != "per_unit":
            return None
        price = prices.get(item["price"])
        total += item["unit_amount"] * (price.charged(item["quantity"]) if price else item["quantity"])
    return total if items else None


class SubscriptionMailChecks:
    """Whether what a mail says is still so when it is sent."""

    def __init__(self, database: Database, subscriptions: SubscriptionRepository) -> None:
        self._database = database
        self._subscriptions = subscriptions
        self.checks: Mapping[str, StillHolds] = {
            "subscription_welcome": self._not_over,
            "trial_ending": self._still_trialing,
            "subscription_cancel_scheduled": self._still_ends,
            "subscription_paused": self._still_paused,
        }

    async def _find(self, context: Mapping[str, Any]) -> SubscriptionRow | None:
        async with self._database.connection() as connection:
            return await self._subscriptions.find(connection, UUID(context["subscription_id"]))

    async def _not_over(self, context: Mapping[str, Any]) -> bool:
        row = await self._find(context)
        return row is not None and row.status not in TERMINAL

    async def _still_trialing(self, context: Mapping[str, Any]) -> bool:
        """Not where it was ended, or ends with its trial: that is no news."""
        row = await self._find(context)
        if row is None or row.status != "trialing" or text_of(row.trial_end) != context["trial_end"]:
            return False
        ends_at = row.cancel_at or (row.current_period_end if row.cancel_at_period_end else None)
        return ends_at is None or row.trial_end is None or ends_at > row.trial_end

    async def _still_ends(self, context: Mapping[str, Any]) -> bool:
        row = await self._find(context)
        if row is None or row.status in TERMINAL:
            return False
        return text_of(row.cancel_at) == context["ends_at"] or row.cancel_at_period_end

    async def _still_paused(self, context: Mapping[str, Any]) -> bool:
        row = await self._find(context)
        return row is not None and row.status not in TERMINAL and row.pause_collection is not None
