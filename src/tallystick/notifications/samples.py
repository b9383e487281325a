"""One plausible context for each mail: for previews, for checking an operator's templates, and for tests."""

from collections.abc import Mapping
from typing import Any

__all__ = ["SAMPLES"]

_PAYMENT = "0197e4a1-5c3e-7d20-9b54-3f1c0a7d6e21"
_REFUND = "0197e4a2-0b91-7c44-8a6f-52d9b1e03c7f"

SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "payment_confirmation": {
        "payment_id": _PAYMENT,
        "amount": 123450,
        "currency": "eur",
        "description": "Annual ticket, order 1042",
        "card_brand": "visa",
        "card_last4": "4242",
        "paid_at": "2026-03-04T14:05:09Z",
    },
    "payment_failed": {
        "payment_id": _PAYMENT,
        "amount": 1050,
        "currency": "usd",
        "description": "Order 1043",
        "error_code": "INSUFFICIENT_FUNDS",
        "failed_at": "2026-03-04T14:05:09Z",
    },
    "refund": {
        "payment_id": _PAYMENT,
        "refund_id": _REFUND,
        "amount": 500,
        "currency": "jpy",
        "payment_amount": 2000,
        "description": "Order 1044",
        "refunded_at": "2026-03-09T08:30:00Z",
    },
    "refund_failed": {
        "payment_id": _PAYMENT,
        "refund_id": _REFUND,
        "amount": 5120,
        "currency": "kwd",
    },
    "staff_alert": {
        "kind": "dispute",
        "facts": {
            "dispute": "dp_1PgafmB7WZ01zgkW6dKueIc5",
            "amount": 1050,
            "currency": "usd",
            "reason": "fraudulent",
            "due_by": "2026-03-18T23:59:59Z",
            "payment_id": _PAYMENT,
        },
    },
}
