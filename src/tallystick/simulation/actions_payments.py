"""What users do with payments."""

from tallystick.simulation.acting import Acting, Action
from tallystick.simulation.book import Order

__all__ = ["PAYMENT_ACTIONS"]

_PAYMENTS = "/api/payments/payment-intent"
_GOOD = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex")
_DECLINED = (
    "pm_card_visa_chargeDeclined",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclinedProcessingError",
)
_SECURE = "pm_card_authenticationRequired"
_NOTHING = "nothing to do it with"


async def _create(it: Acting, card: str | None, **more: object) -> str:
    body = {
        "amount": it.rng.randint(100, 90_000),
        "currency": it.rng.choice(("usd", "usd", "eur", "jpy")),
        "metadata": {"step": it.token},
        **({"payment_method": card, "confirm": True} if card else {}),
        **more,
    }
    return await it.order("pay", "POST", _PAYMENTS, body, token=it.token)


async def _pay(it: Acting) -> str:
    return await _create(it, it.rng.choice(_GOOD))


async def _be_declined(it: Acting) -> str:
    return await _create(it, it.rng.choice(_DECLINED))


async def _begin(it: Acting) -> str:
    return await _create(it, None)


async def _pay_by_3d_secure(it: Acting) -> str:
    return await _create(it, _SECURE)


async def _authorise(it: Acting) -> str:
    return await _create(it, it.rng.choice(_GOOD), capture_method="manual")


async def _pay_and_dispute(it: Acting) -> str:
    return await _create(it, it.rng.choice(("pm_card_createDispute", "pm_card_createDisputeInquiry")))


async def _pay_badly_refundable(it: Acting) -> str:
    return await _create(it, it.rng.choice(("pm_card_refundFail", "pm_card_pendingRefund")))


async def _choose(it: Acting, *statuses: str) -> Order | None:
    """One of the newest payments that is in one of these states at Stripe: the user's own, else anybody's."""
    known = [one for one in it.world.book.of("pay") if one.payment.get("stripe_payment_intent_id")]
    found = []
    for one in known[-30:]:
        intent = await it.world.stripe(f"/v1/payment_intents/{one.payment['stripe_payment_intent_id']}")
        if intent["status"] in statuses:
            found.append(one)
    own = [one for one in found if one.user == it.user]
    return it.rng.choice(own or found) if found else None


def _of(order: Order, action: str) -> str:
    return f"{_PAYMENTS}/{order.payment['id']}/{action}"


async def _confirm(it: Acting) -> str:
    order = await _choose(it, "requires_payment_method")
    if order is None:
        return _NOTHING
    card = it.rng.choice((*_GOOD, *_GOOD, _SECURE, _DECLINED[0]))
    return await it.order("confirm", "POST", _of(order, "confirm"), {"payment_method": card}, of=order)


async def _authenticate(it: Acting) -> str:
    order = await _choose(it, "requires_action")
    if order is None:
        return _NOTHING
    intent, how = order.payment["stripe_payment_intent_id"], it.rng.choice(("complete", "complete", "fail"))
    url = f"{it.world.settings.stripe_api_base}/_sandbox/authenticate/{intent}/{how}"
    async with it.world.http.post(url, headers={"Accept": "application/json"}) as response:
        await response.read()
    return f"3D Secure of order {order.number}: {how}, {response.status}"


async def _capture(it: Acting) -> str:
    order = await _choose(it, "requires_capture")
    if order is None:
        return _NOTHING
    body = {"amount": max(order.body["amount"] // 2, 1)} if it.rng.random() < 0.5 else {}
    return await it.order("capture", "POST", _of(order, "capture"), body, of=order)


async def _cancel(it: Acting) -> str:
    order = await _choose(it, "requires_payment_method", "requires_action", "requires_capture")
    return await it.order("cancel", "POST", _of(order, "cancel"), of=order) if order else _NOTHING


async def _refund(it: Acting) -> str:
    order = await _choose(it, "succeeded")
    if order is None:
        return _NOTHING
    body: dict[str, object] = {"metadata": {"step": it.token}}
    if it.rng.random() < 0.8:
        body["amount"] = max(order.body["amount"] // it.rng.choice((1, 2, 3)), 1)
    return await it.order("refund", "POST", _of(order, "refund"), body, of=order, token=it.token)


async def _refund_in_the_dashboard(it: Acting) -> str:
    order = await _choose(it, "succeeded")
    if order is None:
        return _NOTHING
    form = {"payment_intent": order.payment["stripe_payment_intent_id"], "amount": max(order.body["amount"] // 4, 1)}
    found = await it.world.stripe("/v1/refunds", form)
    return f"refund of order {order.number} in the dashboard: {found.get('status') or found['error']['message']}"


async def _answer_a_dispute(it: Acting) -> str:
    found = (await it.world.stripe("/v1/disputes?limit=100"))["data"]
    waiting = [one for one in found if one["status"] in ("needs_response", "warning_needs_response")]
    if not waiting:
        return _NOTHING
    one, word = it.rng.choice(waiting), it.rng.choice(("winning_evidence", "losing_evidence"))
    done = await it.world.stripe(f"/v1/disputes/{one['id']}", {"evidence[uncategorized_text]": word})
    return f"dispute {one['id']}, {word}: {done.get('status')}"


PAYMENT_ACTIONS = {
    "pay": Action(10, _pay),
    "be declined": Action(4, _be_declined),
    "begin a payment": Action(2, _begin),
    "pay by 3D Secure": Action(4, _pay_by_3d_secure),
    "authenticate": Action(5, _authenticate),
    "pay later": Action(4, _authorise),
    "capture": Action(5, _capture),
    "pay and dispute": Action(2, _pay_and_dispute),
    "answer a dispute": Action(1, _answer_a_dispute),
    "pay what cannot be refunded": Action(1, _pay_badly_refundable),
    "confirm": Action(4, _confirm),
    "cancel a payment": Action(4, _cancel),
    "refund": Action(8, _refund),
    "refund in the dashboard": Action(2, _refund_in_the_dashboard),
}
