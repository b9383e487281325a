"""Checkout sessions as the API shows them."""

from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from msgspec import to_builtins

from tallystick.pages.models import CheckoutSession, Look

__all__ = ["next_url", "session_view"]


def session_view(session: CheckoutSession, *, begun: bool = False) -> dict[str, Any]:
    """A session; amounts in minor units. `begun`: its payment or subscription exists, and may be named."""
    subject = session.subject_id if begun else None
    return {
        "id": session.id,
        "object": "checkout_session",
        "mode": session.mode,
        "status": session.status,
        "amount": session.amount,
        "currency": session.currency,
        "description": session.description,
        "price": session.price_id,
        "quantity": session.quantity,
        "promotion_code": session.promotion_code,
        "recurring": to_builtins(session.recurring),
        "payment_id": subject if session.mode == "payment" else None,
        "subscription_id": subject if session.mode == "subscription" else None,
        "success_url": session.success_url,
        "cancel_url": session.cancel_url,
        "locale": session.locale,
        "metadata": session.metadata,
        "expires_at": session.expires_at,
        "completed_at": session.completed_at,
        "created_at": session.created_at,
        "updated_at": session.updated_at,
    }


def next_url(look: Look) -> str | None:
    """Where a customer who has paid goes: `success_url` with our ids, which are no secrets. None: nowhere."""
    session = look.session
    if session.status != "complete" or session.success_url is None:
        return None
    ids = {"checkout_session_id": session.id, f"{session.mode}_id": session.subject_id}
    parts = urlsplit(session.success_url)
    query = "&".join(part for part in (parts.query, urlencode(ids)) if part)
    return urlunsplit(parts._replace(query=query))
