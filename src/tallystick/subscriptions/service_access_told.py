"""What the host application and the customer are told of access that begins or ends."""

from collections.abc import Sequence
from typing import Any

from tallystick.customers.service import StripeCustomerService
from tallystick.entitlements.models import Grant
from tallystick.entitlements.service import EntitlementService
from tallystick.invoices.models import InvoiceRow
from tallystick.notifications.outbound import OutboundService
from tallystick.notifications.outbound_models import FactType, NewFact
from tallystick.platform.database import Transaction
from tallystick.subscriptions.access import failing_invoice
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.service_mails import Draft, SubscriptionMails

__all__ = ["ACCESS_FACT_TYPES", "ACCESS_LOST_MAIL", "AccessTeller", "mail_reason"]

ACCESS_LOST_MAIL = "subscription_access_lost"


class AccessTeller:
    """Hands changes of access to the outboxes, in the transaction that stores them."""

    def __init__(
        self,
        customers: StripeCustomerService,
        entitlements: EntitlementService,
        mails: SubscriptionMails,
        outbound: OutboundService,
    ) -> None:
        self._customers = customers
        self._entitlements = entitlements
        self._mails = mails
        self._outbound = outbound

    async def tell(
        self,
        tx: Transaction,
        row: SubscriptionRow,
        old: Sequence[Grant],
        new: Sequence[Grant],
        unpaid: list[InvoiceRow],
    ) -> None:
        """Tell what of `new` differs from `old`, once: the caller has the subscription locked, and stores `new`."""
        before = {grant.stripe_product_id for grant in old if grant.access}
        changed = [grant for grant in new if grant.access != (grant.stripe_product_id in before)]
        if not changed or row.user_id is None:
            return
        user = (await self._customers.find_many(tx, [row.user_id]))[row.user_id]
        features = await self._entitlements.features_of(tx, [grant.stripe_product_id for grant in changed])
        facts = []
        # What ends is told first: of a plan that was changed, the new one's features stay.
        for grant in sorted(changed, key=lambda grant: grant.access):
            type_ = "access.granted" if grant.access else "access.lost"
            key = f"access:{row.id}:{grant.stripe_product_id}:{grant.changes}"
            given = {feature.key: feature.value for feature in features.get(grant.stripe_product_id, ())}
            data = {"user": user.external_id, "access": _access_view(row, grant, given)}
            facts.append(NewFact(type_, key, str(row.id), grant.since, data))
        await self._outbound.record_facts(tx, facts)
        lost = [grant for grant in changed if not grant.access]
        if lost and not any(grant.access for grant in new) and (reason := mail_reason(row, lost[0])):
            key = f"{ACCESS_LOST_MAIL}:{row.id}:{lost[0].stripe_product_id}:{lost[0].changes}"
            context = _lost_context(lost[0], reason, unpaid)
            await self._mails.queue(tx, [Draft(row, key, ACCESS_LOST_MAIL, context, lost[0].since)])


def mail_reason(row: SubscriptionRow, lost: Grant) -> str | None:
    """Why access was lost, as the customer is told; None where another mail tells it, or nobody need be told."""
    if lost.state in ("grace_over", "unpaid"):
        return lost.state
    if lost.state == "paused" and row.pause_collection is None:
        return "trial_over" if row.trial_end is not None and row.trial_end <= lost.since else "paused"
    if lost.state == "trial_over" and row.trial_without_method == "pause":
        return "trial_over"
    return None


def _lost_context(lost: Grant, reason: str, unpaid: Sequence[InvoiceRow]) -> dict[str, Any]:
    invoice = failing_invoice(unpaid)
    return {
        "reason": reason,
        "lost_at": lost.since.isoformat().replace("+00:00", "Z"),
        "pay_url": invoice.hosted_invoice_url if invoice else None,
        "amount_due": invoice.amount_remaining if invoice else None,
    }


def _access_view(row: SubscriptionRow, grant: Grant, features: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "access",
        "product": grant.stripe_product_id,
        "price": grant.price_id,
        "quantity": grant.quantity,
        "features": features,
        "subscription": row.id,
        "stripe_subscription_id": row.stripe_subscription_id,
        "access": grant.access,
        "state": grant.state,
        "until": grant.access_until if grant.access else None,
        "since": grant.since,
    }


_EXAMPLE: dict[str, Any] = {
    "object": "access",
    "product": "prod_NXaXXLkdIwHu7i",
    "price": "price_1NXaXXLkdIwHu7ixCCCCCCCC",
    "quantity": 3,
    "features": {"seats": 10, "sso": True},
    "subscription": "0193f0c2-8a5d-7c3e-9f10-a1b2c3d4e5f6",
    "stripe_subscription_id": "sub_1NXaXXLkdIwHu7ixDDDDDDDD",
    "access": True,
    "state": "active",
    "until": None,
    "since": "2026-01-31T12:00:00Z",
}

ACCESS_FACT_TYPES = (
    FactType(
        "access.granted",
        "A user may use a product: a subscription began, recovered or was resumed, or changed to it.",
        {"user": "user-42", "access": _EXAMPLE},
    ),
    FactType(
        "access.lost",
        "A user may not use a product any more: see its state for why.",
        {"user": "user-42", "access": {**_EXAMPLE, "access": False, "state": "grace_over"}},
    ),
)
