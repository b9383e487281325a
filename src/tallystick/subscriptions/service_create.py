"""`SubscriptionCreation`: a user's slot, then a subscription in it. One is live at a time, whoever races whom."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from tallystick.attempts.models import Attempt, Settled
from tallystick.attempts.service import AttemptService, Prepare
from tallystick.core.checks import check_metadata
from tallystick.core.errors import DomainError, Unavailable
from tallystick.customers.service import StripeCustomerService
from tallystick.platform.auth import Actor
from tallystick.platform.database import Transaction
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.settings import Settings
from tallystick.products.models import PriceRow
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.errors import SubscriptionExists
from tallystick.subscriptions.models import LIVE, SubscriptionRow
from tallystick.subscriptions.models_requests import CreateRequest
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_operations import CREATE, TAKE_UP
from tallystick.subscriptions.service_record import META_INSTALLATION, META_SUBSCRIPTION, META_USER
from tallystick.subscriptions.service_refresh import SubscriptionRefresher
from tallystick.subscriptions.service_terms import Terms, check_quantity, is_metered, wrong_currency

__all__ = ["SubscriptionCreation", "actor_name", "execute"]

META_PROMOTION_CODE = "tallystick_promotion_code"
"""The promotion code that a subscription was created with: Stripe tells only the discount that it became."""


class SubscriptionCreation:
    """Creates subscriptions, and takes up again what was left before its first payment."""

    def __init__(
        self,
        settings: Settings,
        calls: SubscriptionCalls,
        customers: StripeCustomerService,
        terms: Terms,
        repository: SubscriptionRepository,
        refresher: SubscriptionRefresher,
        attempts: AttemptService,
    ) -> None:
        self._settings = settings
        self._calls = calls
        self._customers = customers
        self._terms = terms
        self._repository = repository
        self._refresher = refresher
        self._attempts = attempts

    async def create(self, actor: Actor, request: IdempotentRequest, wanted: CreateRequest) -> Settled:
        """Subscribe the actor. A trial is given once to a user; who had one pays at once.

        What is `incomplete` of the same price, quantity and code is taken up again, and paid with the method that is
        named now; what is of others is ended first. Stripe is asked before what the customer has: this database may
        be a restored one, and the dashboard makes subscriptions too.

        Raises:
            InvalidRequest, PriceNotUsable, PromotionCodeNotUsable, PaymentMethodNotUsable: bad input.
            SubscriptionExists, OperationInProgress: the slot is taken; nothing was sent.
            Unavailable: nothing happened.
        """
        actor.require_write()
        check_metadata(wanted.metadata)
        return await execute(self._attempts, request, lambda: self._build(actor, request, wanted))

    async def _build(self, actor: Actor, request: IdempotentRequest, wanted: CreateRequest) -> Prepare:
        price = await self._terms.price(wanted.price)
        check_quantity(price, wanted.quantity)
        customer = await self._customer(actor)
        code = await self._terms.promotion_code(wanted.promotion_code, customer) if wanted.promotion_code else None
        method, attach = None, False
        if wanted.payment_method:
            method, attach = await self._terms.method(wanted.payment_method, customer)
        await self._refresher.refresh_customer(customer)
        subscription_id = request.derive_id("subscription", self._settings.installation_id)
        stored: dict[str, Any] = {
            "actor": actor_name(actor),
            "reason": None,
            "customer": customer,
            "payment_method": method,
            "attach": attach,
        }

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            await self._customers.lock(tx, actor.user_id)
            own = await self._repository.find(tx, subscription_id)
            rows = [] if own else await self._repository.open_of(tx, actor.user_id)
            self._check_slot(rows, price)
            days = await self._trial_days(tx, actor, wanted)
            left = None if days else _left(rows, price, wanted.quantity, code)
            if left is not None:
                kind, found = TAKE_UP, left.id
                more = {"subscription": left.stripe_subscription_id, "revision": left.revision}
            else:
                kind, found = CREATE, subscription_id
                params = self._params(actor, wanted, price, {**stored, "code": code, "id": str(found), "days": days})
                if method or await self._customers.default_methods(tx, [customer]):
                    params["payment_behavior"] = "allow_incomplete"
                known = own.stripe_subscription_id if own else None
                more = {"params": params, "subscription": known, "void": self._others(rows)}
            return await self._attempts.store(
                tx,
                request,
                key_id,
                kind,
                {**stored, **more},
                user_id=actor.user_id,
                subject_id=found,
                lock_key=f"subscription:create:{actor.user_id}",
            )

        return prepare

    def _check_slot(self, rows: Sequence[SubscriptionRow], price: PriceRow) -> None:
        for row in rows:
            if row.status not in LIVE:
                continue
            if not self._settings.allow_multiple_subscriptions:
                raise SubscriptionExists(subscription_id=row.id, stripe_subscription_id=row.stripe_subscription_id)
            if row.currency is not None and row.currency != price.currency:
                raise wrong_currency(price, row.currency)

    async def _trial_days(self, tx: Transaction, actor: Actor, wanted: CreateRequest) -> int:
        days = self._settings.default_trial_days if wanted.trial_period_days is None else wanted.trial_period_days
        return 0 if days and await self._repository.had_trial(tx, actor.user_id) else days

    def _others(self, rows: Sequence[SubscriptionRow]) -> list[tuple[str | None, str]]:
        """What is left of other wishes, with the invoice to void; where several may be live, it goes by itself."""
        if self._settings.allow_multiple_subscriptions:
            return []
        return [
            (row.stripe_subscription_id, row.latest_invoice_id)
            for row in rows
            if row.status == "incomplete" and row.latest_invoice_id
        ]

    def _params(
        self, actor: Actor, wanted: CreateRequest, price: PriceRow, known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The parameters of `POST /v1/subscriptions`."""
        item: dict[str, Any] = {"price": price.stripe_price_id}
        if not is_metered(price):
            item["quantity"] = wanted.quantity
        params: dict[str, Any] = {
            "customer": known["customer"],
            "items": [item],
            "payment_behavior": "default_incomplete",
            "payment_settings": {"save_default_payment_method": "on_subscription"},
            "trial_settings": {"end_behavior": {"missing_payment_method": self._settings.trial_end_without_card}},
            "metadata": {
                **wanted.metadata,
                META_INSTALLATION: self._settings.installation_id,
                META_SUBSCRIPTION: known["id"],
                META_USER: actor.subject,
            },
        }
        if known["code"]:
            params["metadata"][META_PROMOTION_CODE] = known["code"]
            params |= self._calls.dialect.promotion_code(known["code"])
        if known["payment_method"]:
            params["default_payment_method"] = known["payment_method"]
        if known["days"]:
            params["trial_period_days"] = known["days"]
        return params

    async def _customer(self, actor: Actor) -> str:
        try:
            return await self._customers.ensure_customer(actor.user_id)
        except GatewayError as error:
            # The customer's key makes a repeat safe, so nothing of the subscription has begun.
            raise Unavailable(retry_after_s=1) from error


def _left(
    rows: Sequence[SubscriptionRow], price: PriceRow, quantity: int, code: str | None
) -> SubscriptionRow | None:
    """What was begun with the same wish, and not paid."""
    wish = [(price.stripe_price_id, None if is_metered(price) else quantity)]
    for row in rows:
        same = [(item["price"], item.get("quantity")) for item in row.items] == wish
        if row.status == "incomplete" and same and row.metadata.get(META_PROMOTION_CODE) == code:
            return row
    return None


async def execute(attempts: AttemptService, request: IdempotentRequest, build: Callable[[], Awaitable[Prepare]]) -> Settled:
    """Do a write once: its repeat gets the first answer even where what it needs is gone, or away, by now."""
    try:
        prepare = await build()
    except DomainError as error:
        refusal = error

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            raise refusal

    return await attempts.execute(request, prepare)


def actor_name(actor: Actor) -> str:
    """Who acts, as the history tells: `admin:…`, `service:…` for the user it acts for, or `user:…`."""
    role = next((role for role in ("admin", "service") if role in actor.roles), "user")
    return f"{role}:{actor.subject}"
