"""Checkout in subscription mode: the subscription comes into being only with its payment.

Before basil it was there, incomplete, from the first try on; `Behaviour.early_subscription` tells them apart.
"""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.shapes import Json

__all__ = ["intent_of", "paid", "session_of", "subscribe"]


def subscribe(ctx: Context, session: Json, customer: Json, method: Json | None, *, return_url: str) -> bool:
    """One try to subscribe; False while a challenge is waiting. Raises 402 for a declined card."""
    raise invalid("The sandbox cannot complete Checkout Sessions in `subscription` mode yet.")


def intent_of(ctx: Context, session: Json) -> Json | None:
    """The intent of the running try."""
    note = ctx.store.note(session["id"], "intent")
    return ctx.store.get(note) if note else None


def session_of(ctx: Context, intent: Json) -> Json | None:
    """The session whose running try an intent belongs to."""
    note = ctx.store.note(intent["id"], "checkout_session")
    return ctx.find("checkout.session", note) if note else None


def paid(ctx: Context, session: Json, intent: Json) -> bool:
    """The intent of the running try was paid after a challenge: subscribe; False if that was not all."""
    return False
