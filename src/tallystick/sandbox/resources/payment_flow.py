"""What confirming a PaymentIntent does: approval, decline, 3D Secure, bank debits, capture and release.

Functions that can fail for the customer's reasons *answer* an `ApiError` instead of raising it, because the
same failure is an exception for an API call and a plain outcome for a challenge page or a due moment.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tallystick.sandbox import banks, cards
from tallystick.sandbox.cards import ThreeDs
from tallystick.sandbox.context import Context
from tallystick.sandbox.declines import DECLINES, Decline
from tallystick.sandbox.errors import ApiError, card_error, doc_url
from tallystick.sandbox.resources import charges, disputes, payment_methods, refunds
from tallystick.sandbox.shapes import Json

__all__ = [
    "FOLLOWERS", "JOBS", "Attempt", "attempt", "authenticate", "capture", "challenge_action", "needs_challenge",
    "release",
]  # fmt: skip

_SLOW_BANK_S = 180

FOLLOWERS: list[Callable[[Context, Json], None]] = []
"""Told of a PaymentIntent that succeeded, failed, waits for the customer or for the bank: invoices, for one."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The options of one confirmation."""

    off_session: bool = False
    error_on_requires_action: bool = False
    return_url: str | None = None
    use_stripe_sdk: bool = False
    keep_challenge: bool = False
    """Off session, wait for the customer instead of declining: how invoices are collected."""


def attempt(ctx: Context, intent: Json, method: Json, options: Attempt) -> ApiError | None:
    """Try to pay `intent` with `method`; the intent is stored in whichever state that leaves it."""
    intent["payment_method"] = method["id"]
    intent["last_payment_error"] = None
    intent["next_action"] = None
    source = payment_methods.instrument(method)
    if isinstance(source, banks.BankAccount):
        _debit(ctx, intent, method, source)
        return None
    if source.three_ds is ThreeDs.LOOKUP_ERROR:
        return _decline(ctx, intent, method, DECLINES["generic_decline"])
    asked = _asked_for_3ds(intent)
    if asked and source.three_ds is ThreeDs.OPTIONAL_ERROR:
        return _decline(ctx, intent, method, DECLINES["processing_error"])
    authenticated = ctx.store.note(intent["id"], "authenticated") == method["id"]
    if not authenticated and needs_challenge(ctx, method, source, off_session=options.off_session, asked=asked):
        refused = options.off_session and not options.keep_challenge
        if refused or options.error_on_requires_action:
            return _refuse_challenge(ctx, intent, method, off_session=options.off_session)
        intent["status"] = "requires_action"
        intent["next_action"] = challenge_action(ctx, intent, options)
        ctx.save(intent)
        ctx.save(method)
        ctx.emit("payment_intent.requires_action", intent)
        _tell(ctx, intent)
        return None
    return _charge_card(ctx, intent, method, source, authenticated=authenticated)


def needs_challenge(ctx: Context, method: Json, card: cards.Card, *, off_session: bool, asked: bool = False) -> bool:
    """Whether the issuer wants the customer to authenticate."""
    exempt = off_session and ctx.store.note(method["id"], "set_up") is not None
    if card.three_ds in (ThreeDs.UNLESS_SET_UP, ThreeDs.REQUIRED):
        return not exempt
    if card.three_ds is ThreeDs.ON_SESSION:
        return not off_session
    if card.three_ds is ThreeDs.OPTIONAL:
        return asked
    return card.three_ds is ThreeDs.ALWAYS


def challenge_action(ctx: Context, intent: Json, options: Attempt) -> Json:
    """`next_action`: a redirect when there is a return_url, else what Stripe.js handles; one page for both."""
    url = f"{ctx.base_url}/_sandbox/authenticate/{intent['id']}?client_secret={intent['client_secret']}"
    # The page that leads back needs it longer than the intent prints it.
    ctx.store.set_note(intent["id"], "return_url", options.return_url or "")
    if options.return_url and not options.use_stripe_sdk:
        return {"redirect_to_url": {"return_url": options.return_url, "url": url}, "type": "redirect_to_url"}
    return {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {
            "source": ctx.ids.long("src_"),
            "stripe_js": url,
            "type": "three_d_secure_redirect",
        },
    }


def authenticate(ctx: Context, intent: Json, *, success: bool) -> ApiError | None:
    """The customer completed or failed the challenge of an intent in `requires_action`."""
    method = ctx.require("payment_method", intent["payment_method"], param="payment_method")
    intent["next_action"] = None
    if not success:
        return _fail(
            ctx,
            intent,
            method,
            _authentication_failure(),
            "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new "
            "PaymentMethod to attempt to fulfill this PaymentIntent again.",
            error_type="invalid_request_error",
        )
    ctx.store.set_note(intent["id"], "authenticated", method["id"])
    if intent["confirmation_method"] == "manual":
        intent["status"] = "requires_confirmation"
        ctx.save(intent)
        return None
    source = payment_methods.instrument(method)
    if isinstance(source, banks.BankAccount):
        return None
    return _charge_card(ctx, intent, method, source, authenticated=True)


def capture(ctx: Context, intent: Json, charge: Json, amount: int) -> None:
    """Take `amount` of what is authorised and release the rest."""
    before = ctx.store.stored(charge["id"])
    charge["captured"] = True
    charge["amount_captured"] = amount
    charges.book(ctx, charge, at_once=_at_once(charge))
    rest = charge["amount"] - amount
    if rest and ctx.behaviour.release_makes_refund:
        refunds.record_release(ctx, charge, rest, None)
    ctx.save(charge)
    intent["status"] = "succeeded"
    intent["amount_capturable"] = 0
    intent["amount_received"] = amount
    ctx.save(intent)
    ctx.emit("charge.captured", charge, before)
    if charge["amount_refunded"]:
        ctx.emit("charge.refunded", charge, before)
    ctx.emit("payment_intent.succeeded", intent)
    _plan_effect(ctx, charge)


def release(ctx: Context, intent: Json, *, reason: str | None) -> None:
    """Cancel an intent; an authorisation is given back, an unsettled debit fails."""
    charge = ctx.find("charge", intent["latest_charge"]) if intent["latest_charge"] else None
    if charge is not None and intent["status"] == "requires_capture":
        before = ctx.store.stored(charge["id"])
        expired = reason == "expired"
        if ctx.behaviour.release_makes_refund:
            why = "expired_uncaptured_charge" if expired else None
            refunds.record_release(ctx, charge, charge["amount"], why)
            ctx.save(charge)
            if not expired:
                ctx.emit("charge.refunded", charge, before)
        if expired:
            ctx.emit("charge.expired", charge, before)
    elif charge is not None and charge["status"] == "pending":
        charge["status"] = "failed"
        ctx.save(charge)
        ctx.emit("charge.failed", charge)
    intent["status"] = "canceled"
    intent["canceled_at"] = ctx.now
    intent["cancellation_reason"] = reason
    intent["amount_capturable"] = 0
    intent["next_action"] = None
    ctx.save(intent)
    ctx.emit("payment_intent.canceled", intent)


def _asked_for_3ds(intent: Json) -> bool:
    card = (intent["payment_method_options"] or {}).get("card") or {}
    return card.get("request_three_d_secure") in ("any", "challenge")


def _refuse_challenge(ctx: Context, intent: Json, method: Json, *, off_session: bool) -> ApiError:
    required = DECLINES["authentication_required"]
    if off_session:
        return _fail(ctx, intent, method, required, required.message)
    declined = Decline("card_declined", "authentication_required", required.message, None)
    return _fail(ctx, intent, method, declined, declined.message)


def _authentication_failure() -> Decline:
    return Decline("payment_intent_authentication_failure", None, "", None)


def _charge_card(ctx: Context, intent: Json, method: Json, card: cards.Card, *, authenticated: bool) -> ApiError | None:
    payment_methods.mark_checked(method)
    decline = card.decline
    if decline == "incorrect_cvc" and method["card"]["checks"]["cvc_check"] is None:
        decline = None
    if decline is not None:
        return _decline(ctx, intent, method, DECLINES[decline], authenticated=authenticated)
    charge = charges.build(ctx, intent, method, status="succeeded", decline=None, authenticated=authenticated)
    if intent["capture_method"] == "automatic":
        charges.book(ctx, charge, at_once=_at_once(charge))
    ctx.save(charge)
    _approved(ctx, intent, method, charge, authenticated=authenticated)
    return None


def _approved(ctx: Context, intent: Json, method: Json, charge: Json, *, authenticated: bool) -> None:
    manual = intent["capture_method"] == "manual"
    intent["latest_charge"] = charge["id"]
    intent["status"] = "requires_capture" if manual else "succeeded"
    intent["amount_capturable"] = intent["amount"] if manual else 0
    intent["amount_received"] = 0 if manual else intent["amount"]
    ctx.save(intent)
    ctx.emit("charge.succeeded", charge)
    ctx.emit("payment_intent.amount_capturable_updated" if manual else "payment_intent.succeeded", intent)
    _keep_method(ctx, intent, method, authenticated=authenticated)
    _tell(ctx, intent)
    if manual:
        ctx.later(charges.AUTHORIZATION_S, "authorization_expires", intent["id"])
        return
    if intent["capture_method"] == "automatic_async" and charge["balance_transaction"] is None:
        ctx.later(ctx.settings.async_capture_s, "capture_settles", charge["id"])
    _plan_effect(ctx, charge)


def _keep_method(ctx: Context, intent: Json, method: Json, *, authenticated: bool) -> None:
    """Attach what is to be used again; a method used without that is spent."""
    future = intent["setup_future_usage"]
    if future and intent["customer"] and method["customer"] is None:
        payment_methods.attach_to(ctx, method, intent["customer"], check=False)
    else:
        ctx.save(method)
    if future == "off_session" and authenticated:
        ctx.store.set_note(method["id"], "set_up", "yes")
    if method["customer"] is None:
        ctx.store.set_note(method["id"], "spent", "used")


def _decline(ctx: Context, intent: Json, method: Json, decline: Decline, *, authenticated: bool = False) -> ApiError:
    payment_methods.mark_checked(method)
    charge = charges.build(ctx, intent, method, status="failed", decline=decline, authenticated=authenticated)
    ctx.save(charge)
    ctx.emit("charge.failed", charge)
    return _fail(ctx, intent, method, decline, decline.message, charge=charge)


def _fail(
    ctx: Context,
    intent: Json,
    method: Json,
    decline: Decline,
    message: str,
    *,
    charge: Json | None = None,
    error_type: str = "card_error",
) -> ApiError:
    """Back to `requires_payment_method`; answers the error as the API call gets it."""
    ctx.save(method)
    fields = decline.error_fields()
    error: Json = {
        "code": decline.code,
        "doc_url": doc_url(decline.code),
        "message": message,
        "payment_method": method,
        "payment_method_type": method["type"],
        "type": error_type,
        **fields,
    }
    details: Json = {**fields, "payment_method": method}
    if charge is not None:
        error["charge"] = details["charge"] = charge["id"]
        intent["latest_charge"] = charge["id"]
    if decline.param:
        error["param"] = decline.param
    intent["status"] = "requires_payment_method"
    intent["payment_method"] = None
    intent["next_action"] = None
    intent["last_payment_error"] = error
    ctx.save(intent)
    ctx.emit("payment_intent.payment_failed", intent)
    _tell(ctx, intent)
    return card_error(message, code=decline.code, param=decline.param, details={"payment_intent": intent, **details})


def _debit(ctx: Context, intent: Json, method: Json, account: banks.BankAccount) -> None:
    charge = charges.build(ctx, intent, method, status="pending", decline=None, authenticated=False)
    ctx.save(charge)
    intent["status"] = "processing"
    intent["latest_charge"] = charge["id"]
    ctx.save(intent)
    ctx.emit("charge.pending", charge)
    ctx.emit("payment_intent.processing", intent)
    _keep_method(ctx, intent, method, authenticated=False)
    _tell(ctx, intent)
    if not account.stays:
        delay = _SLOW_BANK_S if account.slow else ctx.settings.delayed_settlement_s
        ctx.later(delay, "debit_settles", intent["id"])


def _debit_settles(ctx: Context, intent_id: str, _data: Json) -> None:
    intent = ctx.find("payment_intent", intent_id)
    if intent is None or intent["status"] != "processing":
        return
    charge = charges.charge_of(ctx, intent)
    method = ctx.require("payment_method", charge["payment_method"], param="payment_method")
    account = payment_methods.instrument(method)
    if account.decline is not None:
        decline = DECLINES[account.decline]
        charge["status"] = "failed"
        charge["failure_code"], charge["failure_message"] = decline.code, decline.message
        ctx.save(charge)
        ctx.emit("charge.failed", charge)
        _fail(ctx, intent, method, decline, decline.message, charge=charge, error_type="invalid_request_error")
        return
    charge["status"] = "succeeded"
    charge["paid"] = charge["captured"] = True
    charge["amount_captured"] = charge["amount"]
    charge["outcome"] = charges.succeeded_outcome()
    charge["receipt_url"] = f"https://pay.stripe.com/receipts/payment/{charge['id']}"
    charges.book(ctx, charge)
    ctx.save(charge)
    intent["status"] = "succeeded"
    intent["amount_received"] = intent["amount"]
    ctx.save(intent)
    ctx.emit("charge.succeeded", charge)
    ctx.emit("payment_intent.succeeded", intent)
    _tell(ctx, intent)
    _plan_effect(ctx, charge)


def _tell(ctx: Context, intent: Json) -> None:
    for follow in FOLLOWERS:
        follow(ctx, intent)


def _capture_settles(ctx: Context, charge_id: str, _data: Json) -> None:
    """The balance transaction of an asynchronous capture arrives."""
    charge = ctx.find("charge", charge_id)
    if charge is None or charge["balance_transaction"] is not None:
        return
    charges.book(ctx, charge, at_once=_at_once(charge))
    ctx.save_updated("charge.updated", charge)


def _authorization_expires(ctx: Context, intent_id: str, _data: Json) -> None:
    intent = ctx.find("payment_intent", intent_id)
    if intent is not None and intent["status"] == "requires_capture":
        release(ctx, intent, reason="expired")


def _effect_of(charge: Json) -> str | None:
    details = charge["payment_method_details"]
    kind = details["type"]
    if kind == "card":
        return cards.by_fingerprint(details["card"]["fingerprint"]).effect
    if kind in (banks.US, banks.SEPA):
        return banks.by_fingerprint(details[kind]["fingerprint"]).effect
    return None


def _at_once(charge: Json) -> bool:
    return _effect_of(charge) == "available_now"


def _plan_effect(ctx: Context, charge: Json) -> None:
    effect = _effect_of(charge)
    if effect in disputes.EFFECTS:
        ctx.later(ctx.settings.dispute_delay_s, "charge_disputed", charge["id"], effect=effect)


JOBS = {
    "authorization_expires": _authorization_expires,
    "capture_settles": _capture_settles,
    "debit_settles": _debit_settles,
}
