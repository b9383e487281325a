"""Which facts about subscriptions the host application hears of, and under which key, so that each is told once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from tallystick.customers.service import StripeCustomerService
from tallystick.notifications.outbound import OutboundService
from tallystick.notifications.outbound_models import FactType, NewFact
from tallystick.platform.database import Transaction
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.views import subscription_view

__all__ = ["SUBSCRIPTION_FACT_TYPES", "SubscriptionTeller", "Told"]


class Told(Struct, frozen=True):
    """A fact before the subscription's owner is known; `part` joins the subscription in its data."""

    row: SubscriptionRow
    type: str
    key: str
    at: datetime
    part: Mapping[str, Any] = {}


class SubscriptionTeller:
    """Hands facts about subscriptions of our users to the outbox."""

    def __init__(self, customers: StripeCustomerService, outbound: OutboundService) -> None:
        self._customers = customers
        self._outbound = outbound

    async def tell(self, tx: Transaction, told: Sequence[Told]) -> None:
        """Tell facts; the caller has their subscriptions locked."""
        told = [fact for fact in told if fact.row.user_id]
        if not told:
            return
        users = await self._customers.find_many(tx, list({fact.row.user_id for fact in told if fact.row.user_id}))
        facts = []
        for fact in told:
            user = users.get(fact.row.user_id) if fact.row.user_id else None
            data = {
                "user": user.external_id if user else None,
                "subscription": subscription_view(fact.row),
                **fact.part,
            }
            facts.append(NewFact(fact.type, f"{fact.type}:{fact.key}", str(fact.row.id), fact.at, data))
        await self._outbound.record_facts(tx, facts)


_ITEM: dict[str, Any] = {
    "id": "si_AbCdEfGhIjKlMn",
    "price": "price_1NXaXXLkdIwHu7ixAAAAAAAA",
    "product": "prod_AbCdEfGhIjKlMn",
    "quantity": 3,
    "unit_amount": 2900,
    "unit_amount_decimal": "2900",
    "currency": "eur",
    "interval": "month",
    "interval_count": 1,
}
_SUBSCRIPTION: dict[str, Any] = {
    "id": "0193f0c2-8a5d-7c3e-9f10-a1b2c3d4e5f7",
    "object": "subscription",
    "stripe_subscription_id": "sub_1NXaXXLkdIwHu7ixAAAAAAAA",
    "status": "active",
    "price": _ITEM["price"],
    "product": _ITEM["product"],
    "quantity": 3,
    "currency": "eur",
    "items": [_ITEM],
    "discounts": [],
    "current_period_start": "2026-01-31T12:00:00Z",
    "current_period_end": "2026-02-28T12:00:00Z",
    "trial_start": None,
    "trial_end": None,
    "cancel_at_period_end": False,
    "cancel_at": None,
    "canceled_at": None,
    "ended_at": None,
    "cancellation": {"reason": None, "feedback": None, "comment": None},
    "pause_collection": None,
    "pending_update": None,
    "default_payment_method": "pm_1NXaXXLkdIwHu7ixAAAAAAAA",
    "latest_invoice_id": "in_1NXaXXLkdIwHu7ixAAAAAAAA",
    "metadata": {},
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:01Z",
}
_TRIAL = {"status": "trialing", "trial_start": "2026-01-31T12:00:00Z", "trial_end": "2026-02-14T12:00:00Z"}
_END = {"status": "canceled", "canceled_at": "2026-02-03T09:00:00Z", "ended_at": "2026-02-28T12:00:00Z"}


def _example(changed: Mapping[str, Any], **part: Any) -> dict[str, Any]:
    return {"user": "user-42", "subscription": {**_SUBSCRIPTION, **changed}, **part}


SUBSCRIPTION_FACT_TYPES = (
    FactType("subscription.created", "A user subscribed; see its status.", _example({"status": "incomplete"})),
    FactType("subscription.activated", "A subscription is active or trialing for the first time.", _example(_TRIAL)),
    FactType(
        "subscription.updated",
        "A subscription changed: `change` says what, before and after.",
        _example({}, change={"action": "past_due", "old": {"status": "active"}, "new": {"status": "past_due"}}),
    ),
    FactType("subscription.trial_ending", "A trial ends in three days.", _example(_TRIAL)),
    FactType("subscription.canceled", "A subscription has ended.", _example(_END)),
    FactType(
        "subscription.paused",
        "A subscription is paused: nothing is billed.",
        _example({"pause_collection": {"behavior": "void", "resumes_at": None}}),
    ),
    FactType("subscription.resumed", "A subscription goes on after a pause.", _example({})),
)
