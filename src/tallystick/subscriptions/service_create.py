"""`SubscriptionCreation`: a user's slot, then a subscription in it. One is live at a time, whoever races whom."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from tallystick.attempts.models import Attempt, Settled
from tallystick.attempts.service import AttemptService, Prepare
from tallystick.core.checks import check_metadata
from tallystick.core.errors import DomainError, Unavailable
from tallystick.customers.service import StripeCustomerService
from tallystick.platform.auth import Actor
from tallystick.platform.database import Connection, Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.settings import Settings
from tallystick.products.models import PriceRow
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.errors import PreviewStale, SubscriptionExists
from tallystick.subscriptions.models import LIVE, SubscriptionRow
from tallystick.subscriptions.models_requests import CreateRequest
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_first_invoice import FirstInvoices
from tallystick.subscriptions.service_operations import CREATE, TAKE_UP
from tallystick.subscriptions.service_record import META_INSTALLATION, META_SUBSCRIPTION, META_USER
from tallystick.subscriptions.service_refresh import SubscriptionRefresher
from tallystick.subscriptions.service_terms import Terms, Wish, check_quantity, is_metered, wrong_currency

__all__ = ["SubscriptionCreation", "execute"]

META_PROMOTION_CODE = "tallystick_promotion_code"
"""The promotion code that a subscription was created with: Stripe tells only the discount that it became."""


class SubscriptionCreation:
    """Creates subscriptions, and takes up again what was left before its first payment."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        calls: SubscriptionCalls,
        customers: StripeCustomerService,
        terms: Terms,
        repository: SubscriptionRepository,
        refresher: SubscriptionRefresher,
        first_invoices: FirstInvoices,
        attempts: AttemptService,
    ) -> None:
        self._settings = settings
        self._database = database
        self._calls = calls
        self._customers = customers
        self._terms = terms
        self._repository = repository
        self._refresher = refresher
        self._first_invoices = first_invoices
        self._attempts = attempts

    async def create(self, actor: Actor, request: IdempotentRequest, wanted: CreateRequest) -> Settled:
        """Subscribe the actor. A trial is given once to a user; who had one pays at once.

        What is `incomplete` of the same price, quantity and code is taken up again, and paid with the method that is
        named now; what is of others is ended first. Stripe is asked before what the customer has: this database may
        be a restored one, and the dashboard makes subscriptions too.

        Raises:
            InvalidRequest, PriceNotUsable, PromotionCodeNotUsable, PaymentMethodNotUsable: bad input.
            SubscriptionExists, OperationInProgress: the slot is taken; nothing was sent.
            PreviewStale: something else than was `shown` would be charged; nothing was sent.
            Unavailable: nothing happened.
        """
        actor.require_write()
        check_metadata(wanted.metadata)
        return await execute(self._attempts, request, lambda: self._build(actor, request, wanted))

    async def _build(self, actor: Actor, request: IdempotentRequest, wanted: CreateRequest) -> Prepare:
        wish = await self.wish(actor, wanted, request.derive_id("subscription", self._settings.installation_id))
        await self._refresher.refresh_customer(wish.customer)
        if wanted.shown is not None:
            await self._check_shown(actor, wish, wanted.shown)

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            kind, subject, stored = await self._decide(tx, actor, wish)
            return await self._attempts.store(
                tx,
                request,
                key_id,
                kind,
                {"actor": actor.name, "reason": None, **stored},
                user_id=actor.user_id,
                subject_id=subject,
                lock_key=f"subscription:create:{actor.user_id}",
            )

        return prepare

    async def _check_shown(self, actor: Actor, wish: Wish, shown: tuple[int, int]) -> None:
        """Raise `PreviewStale` unless what would be charged is what the customer saw."""
        async with self._database.connection() as connection:
            if await self._repository.find(connection, wish.our_id):
                # It was made by this very request, which a restored database knows nothing of.
                return
            rows = await self._repository.open_of(connection, actor.user_id)
            days, left = await self._begun(connection, actor, wish, rows)
        self._check_slot([row for row in rows if row is not left], wish.price)
        due = await self._first_invoices.due(days, left, await self._first_invoices.preview(wish))
        if (due, days) != shown:
            raise PreviewStale

    async def wish(self, actor: Actor, wanted: CreateRequest, our_id: UUID) -> Wish:
        """What is wanted, checked; raises as `create`."""
        price = await self._terms.price(wanted.price)
        check_quantity(price, wanted.quantity)
        customer = await self._customer(actor)
        code = await self._terms.promotion_code(wanted.promotion_code, customer) if wanted.promotion_code else None
        method, attach = None, False
        if wanted.payment_method:
            method, attach = await self._terms.method(wanted.payment_method, customer)
        return Wish(wanted, price, customer, code, method, attach, our_id)

    async def _decide(self, tx: Transaction, actor: Actor, wish: Wish) -> tuple[str, UUID, dict[str, Any]]:
        """Under the user's lock: the kind of attempt, the subscription it is about, and what it needs."""
        await self._customers.lock(tx, actor.user_id)
        needed = {"customer": wish.customer, "payment_method": wish.method, "attach": wish.attach}
        own = await self._repository.find(tx, wish.our_id)
        rows = [] if own else await self._repository.open_of(tx, actor.user_id)
        days, left = await self._begun(tx, actor, wish, rows)
        self._check_slot([row for row in rows if row is not left], wish.price)
        if own is None and wish.wanted.shown is not None and wish.wanted.shown[1] != days:
            # The one trial was given meanwhile, to another request.
            raise PreviewStale
        if left is not None:
            return TAKE_UP, left.id, {**needed, "subscription": left.stripe_subscription_id, "revision": left.revision}
        charged = wish.method or (
            not wish.wanted.by_browser and await self._customers.default_methods(tx, [wish.customer])
        )
        params = {
            **self._params(actor, wish, days),
            "payment_behavior": "allow_incomplete" if charged else "default_incomplete",
        }
        known = {"subscription": own.stripe_subscription_id if own else None, "revision": own.revision if own else 0}
        return CREATE, wish.our_id, {**needed, **known, "params": params, "void": self._others(rows)}

    def _check_slot(self, rows: Sequence[SubscriptionRow], price: PriceRow) -> None:
        for row in rows:
            if row.status not in LIVE:
                continue
            if not self._settings.allow_multiple_subscriptions:
                raise SubscriptionExists(subscription_id=row.id, stripe_subscription_id=row.stripe_subscription_id)
            if row.currency is not None and row.currency != price.currency:
                raise wrong_currency(price, row.currency)

    async def trial(self, connection: Connection, actor: Actor, wish: Wish) -> tuple[int, SubscriptionRow | None]:
        """The days of the trial that would be given, and what would be taken up again in place of a new one."""
        return await self._begun(connection, actor, wish, await self._repository.open_of(connection, actor.user_id))

    async def _begun(
        self, connection: Connection, actor: Actor, wish: Wish, rows: Sequence[SubscriptionRow]
    ) -> tuple[int, SubscriptionRow | None]:
        days = wish.wanted.trial_period_days
        days = self._settings.default_trial_days if days is None else days
        if days and await self._repository.had_trial(connection, actor.user_id):
            days = 0
        return days, None if days else _left(rows, wish)

    def _others(self, rows: Sequence[SubscriptionRow]) -> list[tuple[str | None, str]]:
        """What is left of other wishes, with the invoice to void; where several may be live, it goes by itself."""
        if self._settings.allow_multiple_subscriptions:
            return []
        return [
            (row.stripe_subscription_id, row.latest_invoice_id)
            for row in rows
            if row.status == "incomplete" and row.latest_invoice_id
        ]

    def _params(self, actor: Actor, wish: Wish, days: int) -> dict[str, Any]:
        """The parameters of `POST /v1/subscriptions`."""
        item: dict[str, Any] = {"price": wish.price.stripe_price_id}
        if not is_metered(wish.price):
            item["quantity"] = wish.wanted.quantity
        params: dict[str, Any] = {
            "customer": wish.customer,
            "items": [item],
            "payment_settings": {"save_default_payment_method": "on_subscription"},
            "trial_settings": {"end_behavior": {"missing_payment_method": self._settings.trial_end_without_card}},
            "metadata": {
                **wish.wanted.metadata,
                META_INSTALLATION: self._settings.installation_id,
                META_SUBSCRIPTION: str(wish.our_id),
                META_USER: actor.subject,
            },
        }
        if wish.code:
            params["metadata"][META_PROMOTION_CODE] = wish.code
            params |= self._calls.dialect.promotion_code(wish.code)
        if wish.method:
            params["default_payment_method"] = wish.method
        if days:
            params["trial_period_days"] = days
        return params

    async def _customer(self, actor: Actor) -> str:
        try:
            return await self._customers.ensure_customer(actor.user_id)
        except GatewayError as error:
            # The customer's key makes a repeat safe, so nothing of the subscription has begun.
            raise Unavailable(retry_after_s=1) from error


def _left(rows: Sequence[SubscriptionRow], wish: Wish) -> SubscriptionRow | None:
    """What was begun with the same wish, and not paid; where a browser is there, also what waits for its card."""
    items = [(wish.price.stripe_price_id, None if is_metered(wish.price) else wish.wanted.quantity)]
    for row in rows:
        begun = row.status == "incomplete" or (wish.wanted.by_browser and row.waits_for_card)
        same = [(item["price"], item.get("quantity")) for item in row.items] == items
        if begun and same and row.metadata.get(META_PROMOTION_CODE) == wish.code:
            return row
    return None


async def execute(
    attempts: AttemptService, request: IdempotentRequest, build: Callable[[], Awaitable[Prepare]]
) -> Settled:
    """Do a write once: its repeat gets the first answer even where what it needs is gone, or away, by now."""
    try:
        prepare = await build()
    except DomainError as error:
        refusal = error

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            raise refusal

    return await attempts.execute(request, prepare)
