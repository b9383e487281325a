"""`SubscriptionCheckout`: a checkout session that ends in one subscription."""

from typing import Any
from uuid import UUID

from msgspec.structs import replace

from tallystick.core.errors import Conflict, InvalidRequest, NotFound, Unavailable
from tallystick.customers.models import SetupRow
from tallystick.customers.service_setup import SetupCommands
from tallystick.pages.models import CheckoutRequest, CheckoutSession, Progress, Recurring, Started, Terms, TermsChanged
from tallystick.pages.repository import CheckoutRepository
from tallystick.payments.models import Payment
from tallystick.payments.service import StripePaymentService
from tallystick.payments.service_refresh import PaymentRefresher
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.settings import Settings
from tallystick.products.service import ProductService
from tallystick.subscriptions.models import TERMINAL, SubscriptionRow
from tallystick.subscriptions.models_requests import CreateRequest
from tallystick.subscriptions.service import StripeSubscriptionService
from tallystick.subscriptions.service_first_invoice import Waiting
from tallystick.subscriptions.service_quote import Quote
from tallystick.subscriptions.service_refresh import SubscriptionRefresher

__all__ = ["SubscriptionCheckout"]

_UNPAID = ("past_due", "unpaid")
_OVER = ("succeeded", "requires_capture", "canceled", "abandoned")


class SubscriptionCheckout:
    """Mode `subscription`. It is created when the customer first presses the button, and charges nothing by itself.

    The browser pays its first invoice, or, where nothing is due yet, saves the card that pays later. What was begun
    with the same wish and left is taken up again; a session may therefore end in a subscription that is not its own.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sessions: CheckoutRepository,
        subscriptions: StripeSubscriptionService,
        refresher: SubscriptionRefresher,
        payments: StripePaymentService,
        payment_refresher: PaymentRefresher,
        setups: SetupCommands,
        products: ProductService,
    ) -> None:
        self._settings = settings
        self._database = database
        self._sessions = sessions
        self._subscriptions = subscriptions
        self._refresher = refresher
        self._payments = payments
        self._payment_refresher = payment_refresher
        self._setups = setups
        self._products = products

    async def terms(self, actor: Actor, wanted: CheckoutRequest) -> Terms:
        if wanted.price is None:
            raise InvalidRequest("Name a recurring price of the catalogue.", field="price")
        for field in ("amount", "currency"):
            if getattr(wanted, field) is not None:
                raise InvalidRequest("With a price, the amount is the catalogue's.", field=field)
        quote = await self._subscriptions.quote(actor, _wish(wanted, wanted.price, wanted.trial_period_days))
        price, product = await self._products.find_price(wanted.price)
        if product is None:
            # Made a moment ago, and its event is still on its way.
            await self._products.refresh(price.stripe_product_id)
            _, product = await self._products.find_price(wanted.price)
        description = wanted.description or (product.name if product else None)
        return Terms(quote.due, quote.currency, description, _recurring(quote))

    def subject_id(self, session_id: UUID) -> UUID:
        return self._request(session_id).derive_id("subscription", self._settings.installation_id)

    async def start(self, session: CheckoutSession, subject: str) -> Started | None:
        actor = Actor(session.user_id, subject, frozenset())
        wish = _wish(session, str(session.price_id), session.recurring.trial_days if session.recurring else 0)
        settled = await self._subscriptions.create(actor, self._request(session.id), wish)
        if settled.status == 202:
            # Nobody knows yet whether it exists; the same request finds out.
            raise Unavailable(retry_after_s=1)
        if settled.status >= 400:
            raise Conflict(str(settled.body.get("detail", "")), reason=settled.body.get("code"))
        row = await self._subscriptions.find(actor, str(settled.body["id"]))
        waiting = await self._subscriptions.waiting(row)
        secret = waiting.payment_secret or waiting.setup_secret
        if secret is None:
            return None
        if waiting.due != session.amount:
            raise TermsChanged(await self._terms_now(actor, session, waiting), row.id)
        return Started(secret, "payment" if waiting.payment_secret else "setup", row.id)

    async def _terms_now(self, actor: Actor, session: CheckoutSession, waiting: Waiting) -> Terms:
        """What holds instead: a trial was used up elsewhere, say, or credit has come or gone."""
        quote = await self._subscriptions.quote(actor, _wish(session, str(session.price_id), None))
        recurring = _recurring(quote)
        if waiting.status != "trialing":
            charged = quote.subtotal - quote.discount + quote.tax
            recurring = replace(recurring, trial_days=0, credit=charged - waiting.due)
        return Terms(waiting.due, session.currency, session.description, recurring)

    async def progress(self, session: CheckoutSession) -> Progress:
        row = await self._find(session)
        if row is None:
            return Progress("none")
        if row.waits_for_card:
            return await self._saving(session, row)
        if await self._lacks_card(session, row):
            return Progress("open" if row.status in _UNPAID else "canceled")
        payment = await self._payment(session)
        if payment is not None and payment.status == "processing":
            # Stripe lets it begin while a debit is under way.
            return Progress("processing")
        if row.status == "incomplete" or (row.status in _UNPAID and _is_unpaid(session, payment)):
            return Progress("open", failure=_failure_of(payment))
        if row.status in TERMINAL and (row.activated_at is None or row.pending_setup_intent_id is not None):
            return Progress("canceled")
        return Progress("done", free_until=row.trial_end if row.status == "trialing" else None)

    async def _payment(self, session: CheckoutSession) -> Payment | None:
        """Its first payment, where the browser was given one to confirm."""
        if session.intent_id is None:
            return None
        async with self._database.connection() as connection:
            return (await self._payments.of_intents(connection, [session.intent_id])).get(session.intent_id)

    async def _lacks_card(self, session: CheckoutSession, row: SubscriptionRow) -> bool:
        """Whether what was free is over, and the card that pays from then on was never saved."""
        asked = session.intent_id is not None and session.intent_id.startswith("seti_")
        if not asked or row.default_payment_method is not None or row.status in ("trialing", "active"):
            return False
        setup = await self._setup(session)
        return setup is None or setup.status != "succeeded"

    async def _setup(self, session: CheckoutSession) -> SetupRow | None:
        """The saving of its card, where the browser was given one to confirm."""
        if session.intent_id is None:
            return None
        async with self._database.connection() as connection:
            return await self._setups.find(connection, session.intent_id)

    async def _saving(self, session: CheckoutSession, row: SubscriptionRow) -> Progress:
        """How far its card is; that it is saved may be known before the subscription shows it."""
        setup = await self._setup(session)
        if setup is not None and setup.status == "succeeded":
            return Progress("done", free_until=row.trial_end)
        failure = (setup.error_code, setup.decline_code) if setup and setup.error_code else None
        return Progress("open", failure=failure, free_until=row.trial_end)

    async def refresh(self, session: CheckoutSession) -> None:
        row = await self._find(session)
        if row is None:
            return
        if session.intent_id and session.intent_id.startswith("pi_"):
            await self._payment_refresher.refresh_intent(session.intent_id)
        await self._refresher.refresh(str(row.stripe_subscription_id))

    async def cancel(self, session: CheckoutSession) -> None:
        # A trial is canceled outright: its card may have been saved this second.
        await self.refresh(session)
        row = await self._find(session)
        if row is None or not (row.status == "incomplete" or (row.waits_for_card and await self._is_ours(row))):
            return
        actor = Actor(session.user_id, "system", frozenset({"admin"}))
        # A new key whenever it has moved on: what was refused then may be possible now.
        request = IdempotentRequest("system", f"checkout-expired:{session.id}:{row.revision}", "give_up", {})
        settled = await self._subscriptions.give_up(actor, str(row.id), request)
        if settled.status != 200:
            raise Conflict("The subscription could not be ended.", subscription_status=row.status)

    async def _is_ours(self, row: SubscriptionRow) -> bool:
        """Whether a session began it: what began elsewhere, and runs, is not a page's to end."""
        async with self._database.connection() as connection:
            ids = await self._sessions.ids_of(connection, row.id)
        return any(self.subject_id(session_id) == row.id for session_id in ids)

    def _request(self, session_id: UUID) -> IdempotentRequest:
        """The one request by which a session's subscription is made, however often and from wherever it is sent."""
        return IdempotentRequest(f"checkout:{session_id}", "subscription", "POST /pay/start", {})

    async def _find(self, session: CheckoutSession) -> SubscriptionRow | None:
        try:
            return await self._subscriptions.find(Actor(session.user_id, "", frozenset()), str(session.subject_id))
        except NotFound:
            return None


def _is_unpaid(session: CheckoutSession, payment: Payment | None) -> bool:
    """Whether the browser was given a payment to confirm, and it has come to nothing so far."""
    given = session.intent_id is not None and session.intent_id.startswith("pi_")
    return given and (payment is None or payment.status not in _OVER)


def _failure_of(payment: Payment | None) -> tuple[str | None, str | None] | None:
    if payment is None or payment.status != "failed" or payment.error_code is None:
        return None
    return payment.error_code, payment.decline_code


def _wish(wanted: CheckoutRequest | CheckoutSession, price: str, trial_days: int | None) -> CreateRequest:
    return CreateRequest(
        price=price,
        quantity=wanted.quantity,
        trial_period_days=trial_days,
        promotion_code=wanted.promotion_code,
        metadata=wanted.metadata,
        by_browser=True,
    )


def _recurring(quote: Quote) -> Recurring:
    shown: dict[str, Any] = {name: getattr(quote, name) for name in Recurring.__struct_fields__}
    return Recurring(**shown)
