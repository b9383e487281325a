"""The four ways in which a call to Stripe can end, beside done."""

from datetime import datetime

from tallystick.stripe_gateway.objects import PaymentIntent

__all__ = [
    "GatewayDeclined",
    "GatewayError",
    "GatewayKeyUsed",
    "GatewayOutcomeUnknown",
    "GatewayRejected",
    "GatewayUnavailable",
]


class GatewayError(Exception):
    """The root of the four; `request_id` is Stripe's `req_…` where there was an answer."""

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class GatewayDeclined(GatewayError):
    """The customer's problem: Stripe understood and the payment failed (HTTP 402).

    `code` and `decline_code` are Stripe's own. `payment_intent` is the intent as the answer shows it, `at` Stripe's
    time of that state.
    """

    def __init__(
        self,
        code: str,
        decline_code: str | None,
        *,
        charge_id: str | None = None,
        payment_intent: PaymentIntent | None = None,
        at: datetime | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(decline_code or code, request_id=request_id)
        self.code = code
        self.decline_code = decline_code
        self.charge_id = charge_id
        self.payment_intent = payment_intent
        self.at = at


class GatewayRejected(GatewayError):
    """Our bug, bad input, or a state that forbids it: Stripe did nothing and never will for this request.

    `status` is the HTTP status; `code` and `param` are Stripe's, both often absent.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        payment_intent: PaymentIntent | None = None,
        at: datetime | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.status = status
        self.code = code
        self.param = param
        self.payment_intent = payment_intent
        self.at = at

    @property
    def missing(self) -> bool:
        """Whether Stripe does not know the object."""
        return self.status == 404 or self.code == "resource_missing"


class GatewayUnavailable(GatewayError):
    """Nothing happened, for certain: Stripe was not reached, or refused before it began (429)."""


class GatewayOutcomeUnknown(GatewayError):
    """It may have happened: the line broke after sending, time ran out, or Stripe failed inside (5xx)."""


class GatewayKeyUsed(GatewayOutcomeUnknown):
    """This sending did nothing, as another request began under its key before, with other parameters.

    Stripe answers 400 with the type `idempotency_error` (docs.stripe.com/api/idempotent_requests). What that one did is
    to be looked for: a database that was restored has forgotten it, or another version wrote its parameters otherwise.
    """
