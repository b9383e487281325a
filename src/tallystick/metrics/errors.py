"""What can be wrong about a question for figures."""

from tallystick.core.errors import DomainError

__all__ = ["RateInvalid", "RateOfBase", "SpanInvalid", "UnknownCurrency"]


class SpanInvalid(DomainError):
    code, status = "SPAN_INVALID", 422
    title = "These days cannot be reported"
    action = (
        "Ask for a start that is not after the end, at most ten years and 1,200 periods; by week or month for more."
    )


class UnknownCurrency(DomainError):
    code, status = "CURRENCY_UNKNOWN", 422
    title = "There is no such currency"
    action = "Use the lower-case ISO code of a currency that Stripe takes, such as usd."


class RateInvalid(DomainError):
    code, status = "RATE_INVALID", 422
    title = "This is no exchange rate"
    action = (
        'Send a decimal above 0 as text, such as "1.0842": what one main unit of the currency is worth in the base.'
    )


class RateOfBase(DomainError):
    code, status = "RATE_OF_BASE", 422
    title = "The base currency has no rate"
    action = "Leave it out: it is what the others are converted to (METRICS_CURRENCY)."
