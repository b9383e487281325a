"""What can go wrong with a customer."""

from tallystick.core.errors import Conflict, DomainError

__all__ = ["CustomerDeleted", "CustomerRejected"]


class CustomerDeleted(Conflict):
    code = "CUSTOMER_DELETED"
    title = "This customer was deleted at Stripe"
    action = "Create the customer again with a new Idempotency-Key."


class CustomerRejected(DomainError):
    code, status = "CUSTOMER_REJECTED", 422
    title = "Stripe does not accept this request"
    action = "Check the request; if it persists, report the request id."
