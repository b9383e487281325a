"""What tests of reconcile share: a system in which there is some of everything, and a reconciler beside its worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from subscribers import stripe
from subscribing import delete, promotion_code
from system import System, unique
from tallystick.app.parts import Parts, build_parts

__all__ = ["ASKED_BY", "attached", "new_customer", "populate", "reconciling_parts", "without_webhooks"]

ASKED_BY = "a test"


@asynccontextmanager
async def reconciling_parts(system: System, **changes: Any) -> AsyncIterator[Parts]:
    """Parts of a process of its own, beside the worker's; `changes` are settings."""
    settings = system.settings.model_copy(update=changes)
    parts = build_parts(settings, system.clock, "reconcile")
    await parts.database.open()
    try:
        yield parts
    finally:
        await parts.close()


@asynccontextmanager
async def without_webhooks(system: System) -> AsyncIterator[None]:
    """No webhook arrives that is sent meanwhile."""
    await system.fault(target="webhook", kind="drop", times=None)
    try:
        yield
        await system.sandbox("POST", "/_sandbox/quiet")
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")


async def populate(system: System) -> None:
    """Some of everything, made through our API and in the dashboard, and a renewal of it; all of it mirrored."""
    await _catalogue(system)
    await _payments(system)
    await _subscriptions(system)
    await system.advance("33d")
    await _leavings(system)
    await system.quiet()


async def new_customer(system: System, **form: Any) -> str:
    """A customer made in the dashboard."""
    name = unique("buyer")
    made = await stripe(system, "/v1/customers", email=f"{name}@example.com", name=name, **form)
    return str(made["id"])


async def attached(system: System, customer: str, card: str = "pm_card_visa") -> str:
    """A customer's payment method, its default one."""
    method = (await stripe(system, f"/v1/payment_methods/{card}/attach", customer=customer))["id"]
    await stripe(system, f"/v1/customers/{customer}", invoice_settings__default_payment_method=method)
    return str(method)


async def _catalogue(system: System) -> None:
    product = await stripe(system, "/v1/products", name="Tiered", description="By volume", metadata__shelf="7")
    tiers = {
        "tiers[0][up_to]": "10",
        "tiers[0][unit_amount]": "500",
        "tiers[1][up_to]": "inf",
        "tiers[1][unit_amount]": "300",
    }
    price = {"product": product["id"], "currency": "usd", "billing_scheme": "tiered", "tiers_mode": "volume", **tiers}
    await system.stripe("/v1/prices", {**price, "recurring[interval]": "month"})
    await stripe(system, "/v1/prices", product=product["id"], currency="eur", unit_amount=990, nickname="Once")
    gone = await stripe(system, "/v1/products", name="Short-lived")
    await delete(system, f"/v1/products/{gone['id']}")


async def _payments(system: System) -> None:
    for user, card, amounts in (("ann", "pm_card_visa", (300, 450)), ("bob", "pm_card_refundFail", (500,))):
        paid = await system.pay(card, user=user, amount=2500)
        path = f"/api/payments/payment-intent/{paid.body['id']}/refund"
        for amount in amounts:
            made = await system.call("POST", path, {"amount": amount}, user=user)
            assert made.status == 200, made.body
    await system.pay("pm_card_chargeDeclined", user="ann", amount=700)
    await system.pay("pm_card_createDispute", user="ann", amount=800)
    held = await system.pay(user="bob", amount=5000, capture_method="manual")
    path = f"/api/payments/payment-intent/{held.body['id']}"
    assert (await system.call("POST", f"{path}/capture", {"amount": 4000}, user="bob")).status == 200
    await system.call("POST", "/api/payments/payment-intent", {"amount": 900, "currency": "usd"}, user="bob")
    customer = await new_customer(system, metadata__tier="gold", phone="+15550100")
    method = await attached(system, customer)
    form = {"amount": 1234, "currency": "usd", "customer": customer, "description": "By phone", "confirm": "true"}
    own = {"payment_method": method, "off_session": "true"}
    charged = await stripe(system, "/v1/payment_intents", **form, **own)
    await stripe(system, "/v1/refunds", payment_intent=charged["id"], amount=234, reason="duplicate")
    await stripe(system, "/v1/setup_intents", customer=customer, payment_method=method, confirm="true",
                 return_url="https://shop.test/")  # fmt: skip
    await stripe(system, "/v1/setup_intents", customer=customer)


async def _subscriptions(system: System) -> None:
    product = await stripe(system, "/v1/products", name="Gold")
    recurring = {"product": product["id"], "currency": "usd", "recurring__interval": "month"}
    monthly = (await stripe(system, "/v1/prices", **recurring, unit_amount=1000))["id"]
    seats = (await stripe(system, "/v1/prices", **recurring, unit_amount=400))["id"]
    await system.quiet()
    body = {"price": monthly, "payment_method": "pm_card_visa", "trial_period_days": 0}
    ours = await system.call("POST", "/api/subscriptions", body, user="cleo")
    assert ours.status == 201, ours.body
    trial = await system.call("POST", "/api/subscriptions", {**body, "trial_period_days": 60}, user="dora")
    assert trial.status == 201, trial.body
    customer = await new_customer(system)
    await attached(system, customer)
    code = await promotion_code(system, "QUARTER")
    subscribe = {"customer": customer, "items__0__price": monthly, "items__1__price": seats, "items__1__quantity": 3}
    await stripe(system, "/v1/subscriptions", **subscribe, discounts__0__promotion_code=code)
    later = await stripe(system, "/v1/subscriptions", customer=customer, items__0__price=seats)
    await stripe(system, "/v1/subscription_schedules", from_subscription=later["id"])
    ended = await stripe(system, "/v1/subscriptions", customer=customer, items__0__price=monthly)
    await delete(system, f"/v1/subscriptions/{ended['id']}")


async def _leavings(system: System) -> None:
    """What came and went."""
    customer = await new_customer(system)
    method = await attached(system, customer, "pm_card_amex")
    await stripe(system, f"/v1/payment_methods/{method}/detach")
    deleted = await new_customer(system)
    await attached(system, deleted)
    await delete(system, f"/v1/customers/{deleted}")
    await stripe(system, "/v1/invoiceitems", customer=customer, amount=4200, currency="usd", description="Work")
    await stripe(system, "/v1/invoiceitems", customer=customer, amount=-200, currency="usd", description="Thanks")
    form = {"customer": customer, "pending_invoice_items_behavior": "include", "auto_advance": "false"}
    await stripe(system, "/v1/invoices", **form)
