"""What can go wrong with an invoice: stable codes, words for the customer, and what to do next."""

from tallystick.core.declines import PaymentDeclined, PaymentMethodNotUsable, decline_of
from tallystick.core.errors import Conflict, DomainError, GatewayConfigError, NotFound
from tallystick.stripe_gateway.errors import GatewayDeclined, GatewayRejected

__all__ = ["NEEDS_CUSTOMER", "InvoiceNotPayable", "no_invoice", "refused"]

NEEDS_CUSTOMER = "AUTHENTICATION_REQUIRED"
"""The code of a payment that the customer has to confirm with the bank."""


class InvoiceNotPayable(Conflict):
    code = "INVOICE_NOT_PAYABLE"
    title = "This invoice cannot be paid in its present state"
    action = "Look at the invoice's status: only an open or an uncollectible one can be paid."


def no_invoice(field: str = "id") -> NotFound:
    return NotFound("There is no such invoice.", field=field)


def refused(refusal: GatewayDeclined | GatewayRejected) -> DomainError:
    """The error that answers a refused payment of an invoice; Stripe's own message is never passed on."""
    if isinstance(refusal, GatewayDeclined):
        return PaymentDeclined(decline_of(refusal.code, refusal.decline_code))
    if refusal.status in (401, 403):
        return GatewayConfigError()
    if refusal.param == "payment_method" or (refusal.code or "").startswith("payment_method_"):
        return PaymentMethodNotUsable(field="payment_method")
    if refusal.status == 404:
        return no_invoice()
    if refusal.code == "resource_missing":
        return PaymentMethodNotUsable("There is no payment method to pay it with.", field="payment_method")
    return InvoiceNotPayable()
