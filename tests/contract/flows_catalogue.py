"""Drives the catalogue, Checkout and the Billing Portal once, as `flows` does with payments."""

import json
from typing import Any

from contract.harness import Box, Json, Sdk
from tallystick.sandbox.versions import OLDEST


def promotion_of(version: str, coupon: str) -> Json:
    """The parameter that names a promotion code's coupon."""
    return {"coupon": coupon} if version < "2025-09-30" else {"promotion": {"type": "coupon", "coupon": coupon}}


def coupons(api: Sdk, version: str, customer: str, product: str) -> str:
    """Coupons and promotion codes; answers the id of a promotion code for `TEN`."""
    v1 = api.v1
    coupon = v1.coupons.create({"percent_off": 10.5, "duration": "repeating", "duration_in_months": 3, "name": "Ten"})
    v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "once", "id": f"five-{version[:4]}"})
    limited = {"percent_off": 25, "applies_to": {"products": [product]}, "expand": ["applies_to", "currency_options"]}
    v1.coupons.create(limited)
    v1.coupons.update(coupon.id, {"metadata": {"a": "b"}})
    v1.coupons.list({"limit": 5})
    made = v1.promotion_codes.create({**promotion_of(version, coupon.id), "code": "TEN", "expires_at": 4_000_000_000})
    v1.promotion_codes.update(made.id, {"metadata": {"a": "b"}})
    v1.promotion_codes.create(
        {**promotion_of(version, coupon.id), "customer": customer,
         "restrictions": {"minimum_amount": 100, "minimum_amount_currency": "usd"}, "expand": ["customer"]}
    )  # fmt: skip
    v1.promotion_codes.list({"code": "ten", "active": True})
    if version == OLDEST:
        v1.customers.update(customer, {"promotion_code": made.id, "expand": ["discount.promotion_code"]})
        v1.customers.retrieve(customer)
        v1.customers.delete_discount(customer)
    gone = v1.coupons.create({"percent_off": 5}).id
    v1.coupons.delete(gone)
    code: str = made.id
    return code


def prices(api: Sdk) -> tuple[str, str, str]:
    """Products and prices; answers a product, a one-time price and a monthly one."""
    v1 = api.v1
    product = v1.products.create(
        {"name": "Plan", "description": "All of it", "images": ["https://shop.example/a.png"], "metadata": {"k": "v"},
         "default_price_data": {"currency": "usd", "unit_amount": 900}, "expand": ["default_price"]}
    )  # fmt: skip
    v1.products.update(product.id, {"name": "Plan B", "url": "https://shop.example"})
    v1.products.retrieve(product.id, {"expand": ["default_price"]})
    v1.products.list({"active": True, "ids": [product.id]})
    v1.products.search({"query": "name~'plan' AND active:'true'"})
    gone = v1.products.create({"name": "Gone"}).id
    v1.products.delete(gone)
    once = v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1500, "nickname": "Once"}).id
    recurring = {"interval": "month"}
    monthly = v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 2000, "recurring": recurring})
    tiered: dict[str, Any] = {
        "product": product.id, "currency": "usd", "recurring": recurring, "billing_scheme": "tiered",
        "tiers_mode": "graduated", "expand": ["tiers", "currency_options", "product"],
        "tiers": [{"up_to": 5, "unit_amount": 100}, {"up_to": "inf", "unit_amount_decimal": "50.5", "flat_amount": 1}],
    }  # fmt: skip
    v1.prices.create(tiered)
    v1.prices.create({"product": product.id, "currency": "usd", "custom_unit_amount": {"enabled": True}})
    packs = {"divide_by": 10, "round": "up"}
    v1.prices.create(
        {"currency": "usd", "unit_amount": 5, "transform_quantity": packs, "product_data": {"name": "Units"},
         "currency_options": {"eur": {"unit_amount": 4}}, "lookup_key": "packs", "expand": ["currency_options"]}
    )  # fmt: skip
    v1.prices.update(monthly.id, {"nickname": "Monthly", "lookup_key": "monthly", "metadata": {"a": "b"}})
    v1.prices.list({"product": product.id, "expand": ["data.tiers", "data.product"]})
    v1.prices.search({"query": "metadata['a']:'b'"})
    return product.id, once, monthly.id


def entitlements(api: Sdk, customer: str, product: str) -> None:
    """Features."""
    v1 = api.v1
    feature = v1.entitlements.features.create({"name": "Export", "lookup_key": "export"}).id
    v1.entitlements.features.update(feature, {"name": "Export all"})
    v1.entitlements.features.retrieve(feature)
    v1.entitlements.features.list({"lookup_key": "export"})
    link = v1.products.features.create(product, {"entitlement_feature": feature}).id
    v1.products.features.retrieve(product, link)
    v1.products.features.list(product)
    v1.entitlements.active_entitlements.list({"customer": customer})
    spare = v1.entitlements.features.create({"name": "Spare", "lookup_key": "spare"}).id
    extra = v1.products.features.create(product, {"entitlement_feature": spare}).id
    v1.products.features.delete(product, extra)


def complete(box: Box, url: str, **given: Any) -> Json:
    """Be the customer of a Checkout Session; answers the session, with `next_url`."""
    path = url.removeprefix(box.url) + "/complete"
    reply = box.request("POST", path, json.dumps(given), {"Content-Type": "application/json"})
    assert reply.status == 200, reply.body
    body: Json = reply.body
    return body


def checkout(box: Box, api: Sdk, customer: str, once: str, code: str) -> None:
    """Sessions that are paid, at once, late and never; and one that saves a card."""
    sessions = api.v1.checkout.sessions
    base: Json = {"mode": "payment", "success_url": "https://shop.example/ok?s={CHECKOUT_SESSION_ID}"}
    sticker = {"currency": "usd", "unit_amount": 200, "product_data": {"name": "Sticker"}}
    lines = [{"price": once, "quantity": 2}, {"price_data": sticker, "quantity": 1}]
    paid = sessions.create(
        {**base, "line_items": lines, "customer": customer, "discounts": [{"promotion_code": code}],
         "metadata": {"order": "1"}, "payment_intent_data": {"metadata": {"order": "1"}},
         "expand": ["line_items.data.price.product", "customer"]}
    )  # fmt: skip
    complete(box, paid.url)
    sessions.retrieve(paid.id, {"expand": ["payment_intent.latest_charge", "line_items"]})
    sessions.line_items.list(paid.id, {"limit": 1})
    late = sessions.create({**base, "line_items": lines, "customer_email": "late@example.com"})
    complete(box, late.url, payment_method="pm_usBankAccount_success")
    broken = sessions.create({**base, "line_items": lines, "customer_creation": "always"})
    complete(box, broken.url, payment_method="pm_usBankAccount_insufficientFunds")
    box.advance(10)
    saved = sessions.create(
        {"mode": "setup", "currency": "usd", "customer": customer, "success_url": "https://s.example"}
    )
    complete(box, saved.url)
    sessions.retrieve(saved.id, {"expand": ["setup_intent"]})
    left = sessions.create({**base, "line_items": lines, "allow_promotion_codes": True})
    sessions.update(left.id, {"metadata": {"a": "b"}})
    sessions.expire(left.id)
    sessions.list({"status": "complete", "limit": 3})


def subscribing(box: Box, api: Sdk, version: str, monthly: str, code: str) -> None:
    """Sessions that end in a subscription, paid or on trial; the product's features come with them."""
    sessions = api.v1.checkout.sessions
    base: Json = {
        "mode": "subscription",
        "success_url": "https://shop.example/ok",
        "line_items": [{"price": monthly, "quantity": 1}],
    }
    paid = sessions.create({**base, "discounts": [{"promotion_code": code}], "expand": ["line_items"]})
    complete(box, paid.url)
    expand = ["subscription.default_payment_method", "invoice", "customer", "line_items.data.price.product"]
    done = sessions.retrieve(paid.id, {"expand": expand})
    trial = sessions.create({**base, "subscription_data": {"trial_period_days": 3, "metadata": {"a": "b"}}})
    complete(box, trial.url)
    sessions.retrieve(trial.id, {"expand": ["subscription"]})
    # The SDKs of the older version did not know that it can be expanded.
    expand = [] if version == OLDEST else ["data.feature"]
    api.v1.entitlements.active_entitlements.list({"customer": done.customer.id, "expand": expand})
    late = sessions.create(base)
    complete(box, late.url, payment_method="pm_usBankAccount_success")
    page = api.v1.billing_portal.sessions.create({"customer": done.customer.id, "return_url": "https://shop.example"})
    path = page.url.removeprefix(box.url)
    for action in ("cancel", "resume"):
        form = f"subscription={done.subscription.id}"
        assert box.request("POST", f"{path}/{action}", form, {"Accept": "application/json"}).status == 200
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": done.subscription.id}}
    api.v1.billing_portal.sessions.create(
        {"customer": done.customer.id, "return_url": "https://shop.example", "flow_data": flow}
    )


def portal(api: Sdk, customer: str, product: str, monthly: str) -> None:
    """Configurations and a session."""
    billing = api.v1.billing_portal
    features = {
        "invoice_history": {"enabled": True},
        "subscription_cancel": {"enabled": True, "mode": "immediately"},
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": [{"product": product, "prices": [monthly]}],
        },
    }
    made = billing.configurations.create({"features": features, "default_return_url": "https://shop.example"})
    billing.configurations.update(made.id, {"business_profile": {"headline": "Shop"}})
    billing.configurations.retrieve(made.id)
    billing.configurations.list({"limit": 3})
    billing.sessions.create({"customer": customer, "configuration": made.id, "expand": ["configuration"]})
    flow = {"type": "payment_method_update"}
    billing.sessions.create({"customer": customer, "return_url": "https://shop.example", "flow_data": flow})


def drive(box: Box, api: Sdk, version: str, customer: str) -> None:
    """All of it."""
    product, once, monthly = prices(api)
    code = coupons(api, version, customer, product)
    entitlements(api, customer, product)
    checkout(box, api, customer, once, code)
    subscribing(box, api, version, monthly, code)
    portal(api, customer, product, monthly)
