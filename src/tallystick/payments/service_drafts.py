"""What a request becomes: the parameters that are sent to Stripe, and the row that is stored before.

The parameters must be the same bytes for every repeat of a request, whatever database remembers it: Stripe answers a
repeat with the first result only then. Nothing random and nothing local goes into them.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.payments.models import Payment, RefundRow
from tallystick.payments.models_requests import PaymentRequest, RefundRequest
from tallystick.payments.service_record import META_INSTALLATION, META_PAYMENT, META_REFUND, META_USER
from tallystick.platform.auth import Actor
from tallystick.platform.settings import Settings

__all__ = ["EXPAND", "Drafts"]

EXPAND = ["latest_charge"]
"""The charge says which card was used, which the receipt tells."""


class Drafts:
    """Drafts payments and refunds under the settings of this installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def return_url(self) -> str:
        """Where a customer comes back to after 3D Secure when the request names no page."""
        base = (self._settings.public_url or "http://localhost:8000").rstrip("/")
        return self._settings.payment_return_url or f"{base}/payments/return"

    def create_params(self, actor: Actor, wanted: PaymentRequest, customer: str, payment_id: UUID) -> dict[str, Any]:
        """`POST /v1/payment_intents`."""
        params: dict[str, Any] = {
            "amount": wanted.amount,
            "currency": wanted.currency,
            "customer": customer,
            "capture_method": self._capture_method(wanted),
            "automatic_payment_methods": {"enabled": True},
            "expand": EXPAND,
            "metadata": {
                **wanted.metadata,
                META_INSTALLATION: self._settings.installation_id,
                META_PAYMENT: str(payment_id),
                META_USER: actor.subject,
            },
        }
        for name in ("description", "payment_method", "setup_future_usage"):
            if (value := getattr(wanted, name)) is not None:
                params[name] = value
        if wanted.confirm:
            params |= {"confirm": True, "return_url": wanted.return_url or self.return_url}
        if wanted.off_session:
            params["off_session"] = True
        return params

    def refund_params(self, payment: Payment, refund_id: UUID, amount: int, wanted: RefundRequest) -> dict[str, Any]:
        """`POST /v1/refunds`."""
        params: dict[str, Any] = {
            "payment_intent": payment.stripe_payment_intent_id,
            "amount": amount,
            "metadata": {
                **wanted.metadata,
                META_INSTALLATION: self._settings.installation_id,
                META_REFUND: str(refund_id),
            },
        }
        return params | ({"reason": wanted.reason} if wanted.reason else {})

    def payment(self, actor: Actor, wanted: PaymentRequest, customer: str, payment_id: UUID, now: datetime) -> Payment:
        """The row of a payment that Stripe does not know yet."""
        return Payment(
            id=payment_id,
            stripe_payment_intent_id=None,
            user_id=actor.user_id,
            stripe_customer_id=customer,
            amount=wanted.amount,
            currency=wanted.currency,
            status="requested",
            stripe_status=None,
            payment_method=None,
            description=wanted.description,
            metadata=wanted.metadata,
            capture_method=self._capture_method(wanted),
            setup_future_usage=wanted.setup_future_usage,
            amount_capturable=0,
            amount_received=0,
            amount_refunded=0,
            latest_charge_id=None,
            error_code=None,
            decline_code=None,
            cancellation_reason=None,
            canceled_at=None,
            claimed=True,
            revision=0,
            state_at=None,
            unsure=False,
            created_at=now,
            updated_at=now,
        )

    def refund(self, payment: Payment, refund_id: UUID, amount: int, wanted: RefundRequest, now: datetime) -> RefundRow:
        """The row that reserves a refund's amount before Stripe knows of it."""
        return RefundRow(
            id=refund_id,
            stripe_refund_id=None,
            payment_id=payment.id,
            amount=amount,
            currency=payment.currency,
            status="requested",
            release=False,
            reason=wanted.reason,
            failure_reason=None,
            metadata=wanted.metadata,
            revision=0,
            state_at=None,
            unsure=False,
            created_at=now,
            updated_at=now,
        )

    def _capture_method(self, wanted: PaymentRequest) -> str:
        return wanted.capture_method or ("automatic" if self._settings.auto_capture_payments else "manual")
