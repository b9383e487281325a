"""`PaymentCheckout`: a checkout session that ends in one payment."""

from typing import Literal
from uuid import UUID

from tallystick.core.errors import Conflict, InvalidRequest, NotFound, Unavailable
from tallystick.pages.models import CheckoutRequest, CheckoutSession, Progress, Started, Terms
from tallystick.payments.checks import check_amount_allowed
from tallystick.payments.errors import AmountError
from tallystick.payments.models import Payment
from tallystick.payments.models_requests import CancelRequest, PaymentRequest
from tallystick.payments.service import StripePaymentService
from tallystick.payments.service_refresh import PaymentRefresher
from tallystick.platform.auth import Actor
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.settings import Settings
from tallystick.products.service import ProductService

__all__ = ["PaymentCheckout"]

_STATES: dict[str, Literal["done", "processing", "canceled"]] = {
    "succeeded": "done",
    "requires_capture": "done",
    "processing": "processing",
    "canceled": "canceled",
    "abandoned": "canceled",
}


class PaymentCheckout:
    """Mode `payment`. The session's one payment is created when the customer first presses the button."""

    def __init__(
        self, settings: Settings, payments: StripePaymentService, refresher: PaymentRefresher, products: ProductService
    ) -> None:
        self._settings = settings
        self._payments = payments
        self._refresher = refresher
        self._products = products

    async def terms(self, actor: Actor, wanted: CheckoutRequest) -> Terms:
        for field in ("promotion_code", "trial_period_days"):
            if getattr(wanted, field) is not None:
                raise InvalidRequest("This goes with mode subscription.", field=field)
        terms = await self._terms(wanted)
        check_amount_allowed(terms.amount, terms.currency, self._settings)
        return terms

    async def _terms(self, wanted: CheckoutRequest) -> Terms:
        if wanted.price is None:
            if wanted.amount is None:
                raise AmountError("Name an amount, or a price of the catalogue.", field="amount")
            if wanted.quantity != 1:
                raise InvalidRequest("A quantity goes with a price.", field="quantity")
            return Terms(wanted.amount, wanted.currency or self._settings.default_currency, wanted.description)
        if wanted.amount is not None or wanted.currency is not None:
            raise InvalidRequest("With a price, the amount is the catalogue's.", field="amount")
        price, product = await self._products.find_price(wanted.price)
        offered = price.active and not price.deleted and (product is None or product.active)
        if not offered or price.type != "one_time" or price.unit_amount is None:
            raise InvalidRequest("This price is not on offer as a single payment.", field="price")
        return Terms(
            price.unit_amount * price.charged(wanted.quantity),
            price.currency,
            wanted.description or (product.name if product else None),
        )

    def subject_id(self, session_id: UUID) -> UUID:
        return self._request(session_id).derive_id("payment", self._settings.installation_id)

    async def start(self, session: CheckoutSession, subject: str) -> Started:
        actor = Actor(session.user_id, subject, frozenset())
        wanted = PaymentRequest(
            amount=session.amount,
            currency=session.currency,
            description=session.description,
            metadata=session.metadata,
        )
        settled = await self._payments.create(actor, self._request(session.id), wanted)
        body = await self._payments.reveal(settled)
        if settled.status == 202:
            # Nobody knows yet whether it exists; the same request finds out.
            raise Unavailable(retry_after_s=1)
        if settled.status >= 400:
            raise Conflict(str(body.get("detail", "")), reason=body.get("code"))
        return Started(body["client_secret"], "payment", session.subject_id)

    async def progress(self, session: CheckoutSession) -> Progress:
        payment = await self._find(session)
        if payment is None:
            return Progress("none")
        failed = payment.status == "failed" and payment.error_code is not None
        failure = (payment.error_code, payment.decline_code) if failed else None
        return Progress(_STATES.get(payment.status, "open"), payment.status == "requires_capture", failure)

    async def refresh(self, session: CheckoutSession) -> None:
        payment = await self._find(session)
        if payment is not None and payment.stripe_payment_intent_id is not None:
            await self._refresher.refresh_intent(payment.stripe_payment_intent_id)

    async def cancel(self, session: CheckoutSession) -> None:
        payment = await self._find(session)
        if payment is None or payment.status in _STATES:
            return
        actor = Actor(session.user_id, "system", frozenset({"admin"}))
        # A new key whenever the payment has moved on: what was refused then may be possible now.
        key = f"checkout-expired:{session.id}:{payment.revision}"
        request = IdempotentRequest("system", key, "cancel", {"reason": "abandoned"})
        settled = await self._payments.cancel(actor, str(payment.id), request, CancelRequest(reason="abandoned"))
        if settled.status != 200:
            raise Conflict("The payment could not be canceled.", payment_status=payment.status)

    def _request(self, session_id: UUID) -> IdempotentRequest:
        """The one request by which a session's payment is made, however often and from wherever it is sent."""
        return IdempotentRequest(f"checkout:{session_id}", "payment", "POST /pay/start", {})

    async def _find(self, session: CheckoutSession) -> Payment | None:
        try:
            return await self._payments.get(Actor(session.user_id, "", frozenset()), str(session.subject_id))
        except NotFound:
            return None
