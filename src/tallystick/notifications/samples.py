"""One plausible context for each mail: for previews, for checking an operator's templates, and for tests."""

from collections.abc import Mapping
from typing import Any

__all__ = ["SAMPLES"]

_PAYMENT = "0197e4a1-5c3e-7d20-9b54-3f1c0a7d6e21"
_REFUND = "0197e4a2-0b91-7c44-8a6f-52d9b1e03c7f"
_PLAN: Mapping[str, Any] = {
    "subscription_id": "0197e4b0-7a11-7e02-b7c9-8d2f6f0c1a55",
    "plan_name": "Team",
    "quantity": 3,
    "amount": 8700,
    "currency": "eur",
    "interval": "month",
    "interval_count": 1,
    "manage_url": "https://shop.example/billing",
}
_CARD: Mapping[str, Any] = {"card_brand": "visa", "card_last4": "4242"}
_UNPAID: Mapping[str, Any] = {
    "invoice_id": "0197e4b0-9c3d-7f50-8e11-4b7a90d2c6e8",
    "number": "A1B2C3D4-0007",
    "amount_due": 10353,
    "failed_at": "2026-03-04T14:05:09Z",
    "attempt": 1,
    "next_attempt_at": "2026-03-07T14:05:00Z",
    "access_until": "2026-03-11T14:05:09Z",
    "access_gone": False,
    "pay_url": "https://shop.example/billing/pay/0197e4b0-9c3d",
}

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
    "subscription_welcome": {
        **_PLAN,
        "status": "active",
        "trial_end": None,
        "next_payment_at": "2026-04-04T14:05:09Z",
    },
    "trial_ending": {**_PLAN, **_CARD, "trial_end": "2026-03-18T14:05:09Z", "without_card": "cancel"},
    "invoice_receipt": {
        **_PLAN,
        **_CARD,
        "invoice_id": "0197e4b0-9c3d-7f50-8e11-4b7a90d2c6e8",
        "number": "A1B2C3D4-0006",
        "subtotal": 10200,
        "discount": 1020,
        "tax": 1744,
        "total": 10924,
        "amount_paid": 10424,
        "credit": 500,
        "lines": [
            {
                "description": "Team, monthly",
                "quantity": 3,
                "amount": 8700,
                "period_start": "2026-03-04T14:05:09Z",
                "period_end": "2026-04-04T14:05:09Z",
            },
            {
                "description": "Unused time on Starter after March 4, 2026",
                "quantity": 1,
                "amount": -1000,
                "period_start": "2026-03-04T14:05:09Z",
                "period_end": "2026-03-20T09:00:00Z",
            },
            {
                "description": "Setup by phone",
                "quantity": None,
                "amount": 2500,
                "period_start": None,
                "period_end": None,
            },
        ],
        "more_lines": 0,
        "paid_at": "2026-03-04T14:05:09Z",
        "invoice_url": "https://shop.example/billing/invoices/A1B2C3D4-0006",
        "recovered": False,
    },
    "invoice_payment_failed": {**_PLAN, **_UNPAID, "error_code": "INSUFFICIENT_FUNDS"},
    "invoice_action_required": {**_PLAN, **_UNPAID},
    "subscription_access_lost": {
        **_PLAN,
        "reason": "grace_over",
        "lost_at": "2026-03-11T14:05:09Z",
        "pay_url": "https://shop.example/billing/pay/0197e4b0-9c3d",
        "amount_due": 10353,
    },
    "subscription_cancel_scheduled": {
        **_PLAN,
        "ends_at": "2026-04-04T14:05:09Z",
        "requested_at": "2026-03-20T09:00:00Z",
    },
    "subscription_canceled": {**_PLAN, "ended_at": "2026-04-04T14:05:09Z", "reason": "requested"},
    "subscription_paused": {
        **_PLAN,
        "paused_at": "2026-03-20T09:00:00Z",
        "resumes_at": "2026-05-01T00:00:00Z",
        "access": False,
    },
    "subscription_resumed": {**_PLAN, "resumed_at": "2026-05-01T00:00:00Z"},
    "card_expiring": {**_PLAN, **_CARD, "exp_month": 4, "exp_year": 2026},
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
