"""What the rows of customers, payment methods and setup intents must show."""

from tallystick.reconciliation.compare_rules import Expected, Mirrored, printed
from tallystick.stripe_gateway.objects import Customer, PaymentMethod
from tallystick.stripe_gateway.objects_billing import SetupIntent

__all__ = ["CUSTOMER", "PAYMENT_METHOD", "SETUP_INTENT"]


def _customer(customer: Customer, installation: str) -> Expected:
    if customer.deleted:
        # Nothing personal is left of it, here or there.
        gone = dict.fromkeys(("email", "name", "phone", "address", "default_payment_method"))
        return {**gone, "metadata": {}, "deleted": True}
    return printed(
        {
            "email": customer.email,
            "name": customer.name,
            "phone": customer.phone,
            "address": customer.address,
            "default_payment_method": customer.default_payment_method,
            "metadata": customer.metadata,
            "deleted": False,
            **({"created_at": customer.created} if customer.created else {}),
        }
    )


def _payment_method(method: PaymentMethod, installation: str) -> Expected:
    return printed(
        {
            "stripe_customer_id": method.customer,
            "type": method.type,
            "card_brand": method.card_brand,
            "card_last4": method.card_last4,
            "card_exp_month": method.card_exp_month,
            "card_exp_year": method.card_exp_year,
            "card_funding": method.card_funding,
            "card_country": method.card_country,
            "card_fingerprint": method.card_fingerprint,
            "created_at": method.created,
        }
    )


def _setup_intent(intent: SetupIntent, installation: str) -> Expected:
    return printed(
        {
            "stripe_customer_id": intent.customer,
            "payment_method": intent.payment_method,
            "status": intent.status,
            "usage": intent.usage,
            "error_code": intent.error_code,
            "decline_code": intent.decline_code,
            "metadata": intent.metadata,
            "created_at": intent.created,
        }
    )


CUSTOMER = Mirrored(_customer, own=frozenset({"flagged"}))
# The mirror hears of a method when it is attached; before that, and for most that never are, there is no row.
PAYMENT_METHOD = Mirrored(_payment_method, kept=lambda method: isinstance(method.customer, str))
SETUP_INTENT = Mirrored(_setup_intent)
