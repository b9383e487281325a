"""Why a test card or bank account says no: codes, texts and advice, as Stripe's decline tables have them."""

from dataclasses import dataclass

from tallystick.sandbox.shapes import Json

__all__ = ["DECLINES", "Decline"]


@dataclass(frozen=True, slots=True)
class Decline:
    """One reason. `code` is the error's code; `decline_code` the issuer's reason, None for bank debits."""

    code: str
    decline_code: str | None
    message: str
    advice_code: str | None = "try_again_later"
    network_decline_code: str | None = None
    param: str | None = None
    blocked: bool = False
    """Stripe's own risk engine refused; the network was never asked."""

    def error_fields(self) -> Json:
        """The keys that an error, `last_payment_error` and `last_setup_error` share; None ones left out."""
        fields = {
            "advice_code": self.advice_code,
            "decline_code": self.decline_code,
            "network_decline_code": self.network_decline_code,
        }
        return {key: value for key, value in fields.items() if value is not None}


_DECLINED = "Your card was declined."

DECLINES: dict[str, Decline] = {
    "generic_decline": Decline("card_declined", "generic_decline", _DECLINED, network_decline_code="01"),
    "insufficient_funds": Decline(
        "card_declined", "insufficient_funds", "Your card has insufficient funds.", network_decline_code="51"
    ),
    "lost_card": Decline("card_declined", "lost_card", _DECLINED, "do_not_try_again", "41"),
    "stolen_card": Decline("card_declined", "stolen_card", _DECLINED, "do_not_try_again", "43"),
    "fraudulent": Decline("card_declined", "fraudulent", _DECLINED, "do_not_try_again", "59"),
    "card_velocity_exceeded": Decline(
        "card_declined",
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
        network_decline_code="61",
    ),
    "expired_card": Decline(
        "expired_card", "expired_card", "Your card has expired.", "do_not_try_again", "54", "exp_month"
    ),
    "incorrect_cvc": Decline(
        "incorrect_cvc",
        "incorrect_cvc",
        "Your card's security code is incorrect.",
        "confirm_card_data",
        "N7",
        "cvc",
    ),
    "processing_error": Decline(
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
        network_decline_code="96",
    ),
    "blocked": Decline("card_declined", "fraudulent", _DECLINED, "do_not_try_again", blocked=True),
    "authentication_required": Decline(
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
        None,
    ),
    # Bank debits fail long after the call; their code says all.
    "account_closed": Decline(
        "account_closed", None, "The customer's bank account has been closed.", None
    ),
    "no_account": Decline("no_account", None, "The customer's bank account could not be located.", None),
    "bank_insufficient_funds": Decline(
        "insufficient_funds", None, "The customer's account has insufficient funds to cover this payment.", None
    ),
    "debit_not_authorized": Decline(
        "debit_not_authorized", None, "The customer has notified their bank that this payment was unauthorized.",
        None,
    ),
    "bank_declined": Decline(
        "payment_method_customer_decline", None, "The bank declined this payment.", None
    ),
}  # fmt: skip
"""By the name that the test data uses."""
