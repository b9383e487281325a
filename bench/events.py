"""Events as Stripe sends them: about the payments of `bench.rows`, signed, and as requests."""

import json
import time
from collections.abc import Sequence
from typing import Any

from bench.rows import cus, digest, our_id, pi, user
from bench.system import SECRET
from tallystick.stripe_gateway.signatures import sign

__all__ = ["EVENT_BYTES", "as_request", "payment_event", "requests"]

EVENT_BYTES = 3400
_NULLS = (
    "application application_fee_amount automatic_payment_methods canceled_at cancellation_reason invoice "
    "last_payment_error next_action on_behalf_of payment_method_configuration_details processing receipt_email "
    "review setup_future_usage shipping source statement_descriptor statement_descriptor_suffix transfer_data "
    "transfer_group"
)


def payment_event(number: int, users: int, *, story: str = "", created: int | None = None) -> dict[str, Any]:
    """`payment_intent.succeeded` of the payment of this number, about `EVENT_BYTES` long when printed.

    Events of another `story` are others, about the same payments.
    """
    intent_id, owner = pi(number), 1 + number % users
    at = int(time.time()) if created is None else created
    card = {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    ours = {
        "tallystick_installation": "default",
        "tallystick_payment": str(our_id(number)),
        "tallystick_user": user(owner),
        "order": str(number),
    }
    intent: dict[str, Any] = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": 1050,
        "amount_details": {"tip": {}},
        "amount_received": 1050,
        "amount_capturable": 0,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{digest('secret', number)}",
        "created": at - 2,
        "currency": "usd",
        "customer": cus(owner),
        "description": "An order of three things",
        "latest_charge": f"ch_3{number:023d}",
        "metadata": {**ours, **{f"key_{part}": digest(number, part) + "01234567" for part in range(24)}},
        "payment_method": "pm_1OPougJN5vQBdWEx8s2Dj0YR",
        "payment_method_options": {"card": card, "link": {"persistent_token": None}},
        "payment_method_types": ["card", "link"],
        "status": "succeeded",
        **dict.fromkeys(_NULLS.split()),
    }
    return {
        "id": f"evt_{digest('event', story, number)}",
        "object": "event",
        "api_version": "2023-10-16",
        "created": at,
        "data": {"object": intent},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_bench", "idempotency_key": digest("key", story, number)},
        "type": "payment_intent.succeeded",
    }


def as_request(body: bytes, at: int) -> bytes:
    """A webhook as it goes over the wire, signed at `at`."""
    head = (
        "POST /api/webhooks/stripe HTTP/1.1\r\nHost: bench\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs)\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Stripe-Signature: {sign(body, SECRET, at)}\r\n\r\n"
    )
    return head.encode() + body


def requests(numbers: Sequence[int], users: int, story: str) -> list[bytes]:
    """Webhooks about these payments."""
    at = int(time.time())
    return [
        as_request(json.dumps(payment_event(number, users, story=story, created=at), indent=2).encode(), at)
        for number in numbers
    ]
