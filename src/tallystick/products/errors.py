"""What can go wrong with the catalogue."""

from tallystick.core.errors import DomainError

__all__ = ["ProductRejected"]


class ProductRejected(DomainError):
    code, status = "PRODUCT_REJECTED", 422
    title = "Stripe does not accept this product or price"
    action = "Check the request; if it persists, report the request id."
