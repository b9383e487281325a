"""`ObjectReader`: one object of the mirror with all that belongs on its page, as the template draws it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from tallystick.console.models import Act, Detail, Table, Visitor
from tallystick.console.repository_objects import ObjectRepository
from tallystick.core.declines import decline_of
from tallystick.core.ids import parse_uuid
from tallystick.core.money import Money, format_money
from tallystick.customers.service_commands import CustomerCommands
from tallystick.entitlements.models import Entitlement, GrantedFeature
from tallystick.entitlements.service import EntitlementService
from tallystick.invoices.service import InvoiceService
from tallystick.payments.models import Payment
from tallystick.payments.service import StripePaymentService
from tallystick.platform.auth import Actor, Identity
from tallystick.platform.database import Database
from tallystick.subscriptions.service import StripeSubscriptionService
from tallystick.timeline.errors import NothingKnown
from tallystick.timeline.models import Entry
from tallystick.timeline.service import TimelineService, cursor_of

__all__ = ["Actors", "ObjectReader"]

_CAPTURABLE = "requires_capture"
_ENDED = frozenset({"canceled", "incomplete_expired"})


class Actors(Protocol):
    """Finds the actor behind an identity."""

    async def actor(self, identity: Identity, on_behalf_of: str | None, email: str | None = None) -> Actor: ...


class ObjectReader:
    """Reads objects by our id or Stripe's. Raises NotFound."""

    def __init__(
        self,
        database: Database,
        actors: Actors,
        payments: StripePaymentService,
        customers: CustomerCommands,
        subscriptions: StripeSubscriptionService,
        invoices: InvoiceService,
        entitlements: EntitlementService,
        timeline: TimelineService,
    ) -> None:
        self._database = database
        self._actors = actors
        self._payments = payments
        self._customers = customers
        self._subscriptions = subscriptions
        self._invoices = invoices
        self._entitlements = entitlements
        self._timeline = timeline
        self._repository = ObjectRepository()

    async def actor(self, who: Visitor) -> Actor:
        """The member of staff as the services know them."""
        return await self._actors.actor(who.identity, None)

    async def find(self, text: str) -> str | None:
        """The page of what somebody typed: an id of ours or Stripe's, an e-mail, a user's id; None: nothing is so."""
        async with self._database.connection() as connection:
            return await self._repository.find(connection, text.strip()[:320], parse_uuid(text.strip()))

    async def payment(self, who: Visitor, payment_id: str, before: str | None) -> Detail:
        """A payment: why it failed if it did, its charges, refunds and disputes, and its story."""
        payment, charges, refunds, disputes = await self._payments.get_whole(await self.actor(who), payment_id)
        story, more = await self._story(payment.stripe_payment_intent_id or str(payment.id), before)
        return Detail(
            name="payment",
            title=format_money(payment.amount, payment.currency),
            state=payment.status,
            back="payments",
            said=_why(payment),
            facts=[
                ("Payment intent", payment.stripe_payment_intent_id),
                ("Customer", _link(payment.stripe_customer_id, "customers", payment.stripe_customer_id)),
                ("Description", payment.description),
                ("Captured", format_money(payment.amount_received, payment.currency)),
                ("Refunded", format_money(payment.amount_refunded, payment.currency)),
                ("Payment method", payment.payment_method),
                ("Created", payment.created_at),
                ("Our id", str(payment.id)),
            ],
            tables=[
                Table(
                    "Charges",
                    ("Charge", "Amount", "Status", "Card", "Why not", "When"),
                    [
                        (one.stripe_charge_id, format_money(one.amount, one.currency), one.status,
                         f"{one.card_brand or ''} {one.card_last4 or ''}".strip() or "–",
                         one.decline_code or one.error_code or "–", one.created_at)
                        for one in charges
                    ],
                    "No card was charged.",
                ),
                Table(
                    "Refunds",
                    ("Refund", "Amount", "Status", "Reason", "When"),
                    [
                        (one.stripe_refund_id or "on its way", format_money(one.amount, one.currency), one.status,
                         one.failure_reason or one.reason or "–", one.created_at)
                        for one in refunds
                    ],
                    "Nothing was refunded.",
                ),
                *([Table(
                    "Disputes",
                    ("Dispute", "Amount", "Status", "Reason", "Evidence due"),
                    [
                        (one.stripe_dispute_id, format_money(one.amount, one.currency), one.status, one.reason,
                         one.evidence_due_at)
                        for one in disputes
                    ],
                    "",
                )] if disputes else []),
            ],
            acts=_payment_acts(payment) if who.admin else (),
            story=story,
            story_next=more,
        )  # fmt: skip

    async def customer(self, who: Visitor, customer_id: str, before: str | None) -> Detail:
        """A customer: how they pay, what they have, and the story of all of it."""
        actor = await self.actor(who)
        row, methods = await self._customers.methods(actor, customer_id)
        async with self._database.connection() as connection:
            owned = await self._repository.of_customer(connection, row.stripe_customer_id)
            user = await self._repository.external_id(connection, row.user_id) if row.user_id else None
        entitled = (await self._entitlements.of(actor, user))[1] if user else None
        story, more = await self._story(f"user:{user}" if user else row.stripe_customer_id, before)
        return Detail(
            name="customer",
            title=row.email or row.name or row.stripe_customer_id,
            state="deleted" if row.deleted else "customer",
            back="customers",
            said="This user has another customer, too: somebody made this one elsewhere." if row.flagged else None,
            facts=[
                ("Name", row.name), ("E-mail", row.email), ("Phone", row.phone), ("User", user),
                ("Customer", row.stripe_customer_id), ("Created", row.created_at),
            ],
            tables=[
                Table(
                    "Payment methods",
                    ("Method", "Card", "Expires", "Default"),
                    [
                        (one.stripe_payment_method_id, f"{one.card_brand or one.type} {one.card_last4 or ''}".strip(),
                         f"{one.card_exp_month:02d}/{one.card_exp_year}" if one.card_exp_year else "–",
                         "default" if one.stripe_payment_method_id == row.default_payment_method else "")
                        for one in methods.data
                    ],
                    "No way to pay is saved.",
                ),
                *([_entitled(entitled)] if entitled else []),
                *(_owned(title, page, rows, row.stripe_customer_id) for title, page, rows in owned),
            ],
            story=story,
            story_next=more,
        )  # fmt: skip

    async def subscription(self, who: Visitor, subscription_id: str, before: str | None) -> Detail:
        """A subscription: its plan, its dunning, its history, what it gives."""
        row, grants, dunning = await self._subscriptions.get(await self.actor(who), subscription_id)
        scheduled = await self._subscriptions.scheduled(row)
        prices = [str(item["price"]) for item in row.items]
        async with self._database.connection() as connection:
            plans = await self._repository.plans(connection, prices)
        story, more = await self._story(row.stripe_subscription_id or str(row.id), before)
        said = None
        if dunning is not None:
            due = format_money(dunning.amount_due, dunning.currency)
            next_ = (
                f"tried again on {dunning.next_payment_attempt:%Y-%m-%d}"
                if dunning.next_payment_attempt
                else ("not tried again by itself")
            )
            said = (
                f"{due} is unpaid since {dunning.first_failed_at:%Y-%m-%d}, after {dunning.attempts} attempts; it is "
                f"{next_}. Access is kept until {dunning.access_until:%Y-%m-%d}."
            )
        elif scheduled is not None:
            said = f"It changes on {scheduled.at:%Y-%m-%d} to " + ", ".join(
                f"{quantity} × {price}" for price, quantity in scheduled.items
            )
        return Detail(
            name="subscription",
            title=", ".join(_plan(item, plans) for item in row.items) or "Subscription",
            state=row.status,
            back="subscriptions",
            said=said,
            facts=[
                ("Subscription", row.stripe_subscription_id),
                ("Price", ", ".join(prices)),
                ("Customer", _link(row.stripe_customer_id, "customers", row.stripe_customer_id)),
                ("Period", f"{_day(row.current_period_start)} to {_day(row.current_period_end)}"),
                ("Trial ends", row.trial_end), ("Cancels", row.cancel_at), ("Ended", row.ended_at),
                ("Collection", "paused" if row.pause_collection else row.collection_method),
                ("Latest invoice", _link(row.latest_invoice_id, "invoices", row.latest_invoice_id)),
                ("Gives", ", ".join(f"{plans.get(one.price_id or '', one.stripe_product_id)}: {one.state}"
                                    for one in grants) or "nothing"),
                ("Created", row.created_at), ("Our id", str(row.id)),
            ],
            acts=[
                act
                for act in _subscription_acts(
                    row.status, ends=row.cancel_at is not None, paused=bool(row.pause_collection)
                )
                if who.admin or act.name == "preview"
            ],
            story=story,
            story_next=more,
        )  # fmt: skip

    async def invoice(self, who: Visitor, invoice_id: str, before: str | None) -> Detail:
        """An invoice with its lines."""
        row, lines = await self._invoices.get(await self.actor(who), invoice_id)
        story, more = await self._story(row.stripe_invoice_id, before)

        def money(amount: int) -> str:
            return format_money(amount, row.currency)

        return Detail(
            name="invoice",
            title=row.number or row.stripe_invoice_id,
            state=row.status or "draft",
            back="invoices",
            facts=[
                ("Total", money(row.total)), ("Due", money(row.amount_due)), ("Paid", money(row.amount_paid)),
                ("Remaining", money(row.amount_remaining)), ("Why", row.billing_reason),
                ("Attempts", row.attempt_count), ("Next attempt", row.next_payment_attempt),
                ("First failed", row.first_failed_at),
                ("Customer", _link(row.stripe_customer_id, "customers", row.stripe_customer_id)),
                ("Subscription", _link(row.stripe_subscription_id, "subscriptions", row.stripe_subscription_id)),
                ("Payment", _link(row.payment_intent_id, "payments", row.payment_intent_id)),
                ("Invoice", row.stripe_invoice_id), ("Created", row.created_at),
            ],
            tables=[
                Table(
                    "Lines",
                    ("What", "Quantity", "Amount", "From", "Until"),
                    [(line.description or line.price_id or "–", line.quantity or 1, money(line.amount),
                      _day(line.period_start), _day(line.period_end)) for line in lines],
                    "It has no lines.",
                )
            ],
            story=story,
            story_next=more,
        )  # fmt: skip

    async def _story(self, reference: str, before: str | None) -> tuple[Sequence[Entry], str | None]:
        try:
            found = await self._timeline.tell(reference, before=before, limit=30)
        except NothingKnown:
            return [], None
        return found.entries, cursor_of(found.next) if found.next else None


def _why(payment: Payment) -> str | None:
    if payment.error_code is None or payment.status == "succeeded":
        return None
    decline = decline_of(payment.error_code, payment.decline_code)
    code = payment.decline_code or payment.error_code
    return f"{decline.message} {decline.action or ''} (Stripe: {code})".replace("  ", " ")


def _payment_acts(payment: Payment) -> list[Act]:
    acts = []
    left = payment.amount_received - payment.amount_refunded
    if payment.status == "succeeded" and left > 0:
        most = format_money(left, payment.currency)
        acts.append(
            Act("refund", "Refund", f"At most {most} goes back to the customer. It cannot be undone.",
                [("amount", f"Amount in {payment.currency.upper()}", "amount",
                  str(Money(left, payment.currency).major())),
                 ("reason", "Reason", "requested_by_customer|duplicate|fraudulent", "")], bad=True)
        )  # fmt: skip
    if payment.stripe_status == _CAPTURABLE:
        acts.append(
            Act("capture", "Capture", "The authorised amount is charged; a part releases the rest.",
                [("amount", f"Amount in {payment.currency.upper()}", "amount",
                  str(Money(payment.amount_capturable, payment.currency).major()))])
        )  # fmt: skip
    if payment.stripe_status not in ("succeeded", "canceled"):
        acts.append(Act("cancel", "Cancel", "Nothing more can be charged with it.", bad=True))
    return acts


def _subscription_acts(status: str, *, ends: bool, paused: bool) -> list[Act]:
    if status in _ENDED:
        return []
    acts = [
        Act("preview", "Preview a change", "Shows what a change would bill, and when. Nothing is changed.",
            [("price", "Price (empty: as it is)", "text", ""), ("quantity", "Quantity", "number", "")])
    ]  # fmt: skip
    if paused or status == "paused":
        acts.append(Act("resume", "Resume", "It is collected again."))
    else:
        acts.append(Act("pause", "Pause", "No invoice is collected until somebody resumes it."))
    if ends:
        acts.append(Act("keep", "Take the cancellation back", "It goes on after its period."))
    acts.append(
        Act("cancel", "Cancel", "At the end of its period, or now; now cannot be undone.",
            [("when", "When", "period_end|now", "")], bad=True)
    )  # fmt: skip
    return acts


def _owned(title: str, page: str, rows: Sequence[Mapping[str, Any]], customer_id: str) -> Table:
    shown = [(_link(_name(row), page, str(row["id"])), row["state"], row["at"]) for row in rows]
    more = f"/console/{page}?customer={customer_id}"
    return Table(title, ("", "State", "When"), shown, f"No {title.lower()}.", more)


def _name(row: Mapping[str, Any]) -> str:
    return format_money(int(row["amount"]), row["currency"]) if row["amount"] is not None else row["name"]


def _entitled(found: Entitlement) -> Table:
    features = [(one.feature, _level(one), one.by.name or one.by.product, one.by.until) for one in found.features]
    products = [(one.name or one.product, one.state, "", one.until) for one in found.products]
    return Table("May use", ("Feature or product", "Value", "By", "Until"), [*features, *products], "Nothing.")


def _level(feature: GrantedFeature) -> str:
    return "yes" if feature.value in (None, True) else str(feature.value)


def _plan(item: Mapping[str, Any], plans: Mapping[str, str]) -> str:
    name = plans.get(str(item["price"]), str(item["price"]))
    return name if item["quantity"] in (None, 1) else f"{item['quantity']} × {name}"


def _link(text: str | None, page: str, reference: str | None) -> tuple[str, str] | None:
    return (text, f"/console/{page}/{reference}") if text and reference else None


def _day(at: datetime | None) -> str:
    return "–" if at is None else f"{at:%Y-%m-%d}"
