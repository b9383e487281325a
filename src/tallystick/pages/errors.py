"""What can go wrong with a checkout session."""

from tallystick.core.errors import Conflict, InvalidRequest

__all__ = ["CheckoutNotOpen", "ReturnUrlRefused"]


class ReturnUrlRefused(InvalidRequest):
    code = "RETURN_URL_REFUSED"
    title = "Customers are not sent to that address"
    action = "Use an address of your application, and list its origin in CHECKOUT_RETURN_URLS."


class CheckoutNotOpen(Conflict):
    code = "CHECKOUT_SESSION_NOT_OPEN"
    title = "This checkout session is not open any more"
