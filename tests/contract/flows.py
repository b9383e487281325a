"""Drives every endpoint and flow of the sandbox once, with the official SDK, sync or async."""

from collections.abc import Awaitable, Callable
from typing import Any

import stripe

from contract import flows_catalogue
from contract.harness import NO_REDIRECTS, Box, Json, Sdk

CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}


def pay(api: Sdk, method: str = "pm_card_visa", **more: Any) -> Any:
    params = {"amount": 4000, "currency": "usd", "payment_method": method, "confirm": True,
              "automatic_payment_methods": NO_REDIRECTS, "description": "Socks", **more}  # fmt: skip
    return api.v1.payment_intents.create(params)


def refused(call: Callable[..., Any], *arguments: Any) -> None:
    """The call is answered with an error, which is recorded like any answer."""
    try:
        call(*arguments)
    except stripe.StripeError:
        return
    raise AssertionError("expected a refusal")


def customers(api: Sdk) -> str:
    """Customers and payment methods; answers a customer with a default method."""
    v1 = api.v1
    address = {"line1": "1 Main St", "city": "Paris", "country": "FR", "postal_code": "75001"}
    customer: str = v1.customers.create(
        {"email": "a@example.com", "name": "A", "address": address, "metadata": {"k": "v"},
         "shipping": {"name": "A", "address": address}, "preferred_locales": ["fr"]}
    ).id  # fmt: skip
    method = v1.payment_methods.create({"type": "card", "card": CARD, "billing_details": {"address": address}}).id
    v1.payment_methods.attach(method, {"customer": customer})
    v1.payment_methods.update(method, {"billing_details": {"name": "B"}, "card": {"exp_month": 11}})
    v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method}, "phone": "1"})
    v1.customers.retrieve(customer, {"expand": ["invoice_settings.default_payment_method", "sources", "tax_ids"]})
    v1.customers.payment_methods.list(customer)
    v1.customers.payment_methods.retrieve(customer, method)
    v1.customers.list({"limit": 2})
    v1.customers.search({"query": "metadata['k']:'v'"})
    v1.payment_methods.list({"customer": customer})
    v1.payment_methods.create({"type": "klarna"})
    spare = v1.payment_methods.attach("pm_card_amex", {"customer": customer}).id
    v1.payment_methods.detach(spare)
    for token in ("pm_usBankAccount_success", "pm_sepaDebit_success_de", "pm_card_jcb"):
        v1.payment_methods.retrieve(token)
    gone = v1.customers.create({}).id
    v1.customers.delete(gone)
    v1.customers.retrieve(gone)
    refused(v1.payment_methods.attach, "pm_card_visa_chargeDeclined", {"customer": customer})
    return customer


def payments(box: Box, api: Sdk, customer: str) -> None:
    """Intents and charges in all their states."""
    v1 = api.v1
    paid = pay(api, customer=customer, setup_future_usage="off_session", receipt_email="a@example.com")
    v1.payment_intents.retrieve(
        paid.id, {"expand": ["latest_charge.balance_transaction", "customer", "payment_method"]}
    )
    v1.payment_intents.update(paid.id, {"metadata": {"a": "b"}})
    v1.charges.update(paid.latest_charge, {"description": "Shoes"})
    v1.payment_intents.list({"customer": customer})
    v1.payment_intents.search({"query": "metadata['a']:'b'"})
    v1.charges.list({"payment_intent": paid.id, "expand": ["data.refunds"]})
    v1.charges.search({"query": "metadata['a']:'b'"})
    for card in ("visa_chargeDeclined", "chargeDeclinedExpiredCard", "radarBlock"):
        refused(pay, api, f"pm_card_{card}")
    refused(lambda: pay(api, "pm_card_authenticationRequired", off_session=True))
    for outcome in ("complete", "fail"):
        box.authenticate(pay(api, "pm_card_authenticationRequired").id, outcome)
    pay(api, "pm_card_authenticationRequired", return_url="https://shop.example/done")
    held = pay(api, capture_method="manual")
    refused(v1.payment_intents.capture, held.id, {"amount_to_capture": 9999})
    v1.payment_intents.capture(held.id, {"amount_to_capture": 3000})
    v1.payment_intents.cancel(pay(api, capture_method="manual").id)
    pay(api, capture_method="manual")
    fresh = v1.payment_intents.create({"amount": 999, "currency": "eur"}).id
    refused(v1.payment_intents.confirm, fresh)
    v1.payment_intents.update(fresh, {"payment_method": "pm_card_visa"})
    v1.payment_intents.confirm(fresh, {"return_url": "https://shop.example"})
    pay(api, "pm_usBankAccount_success")
    pay(api, "pm_usBankAccount_insufficientFunds")
    pay(api, "pm_sepaDebit_success_de", currency="eur")
    refused(v1.payment_intents.create, {"amount": 0, "currency": "usd"})
    refused(v1.payment_intents.retrieve, "pi_nope")


def setups(box: Box, api: Sdk, customer: str) -> None:
    """SetupIntents."""
    v1 = api.v1
    base: Json = {"customer": customer, "automatic_payment_methods": NO_REDIRECTS, "confirm": True}
    saved = v1.setup_intents.create({**base, "payment_method": "pm_card_mastercard"})
    v1.setup_intents.retrieve(saved.id, {"expand": ["latest_attempt", "payment_method", "customer"]})
    v1.setup_attempts.list({"setup_intent": saved.id})
    for outcome in ("complete", "fail"):
        asked = v1.setup_intents.create({**base, "payment_method": "pm_card_authenticationRequiredOnSetup"})
        box.authenticate(asked.id, outcome)
        v1.setup_intents.retrieve(asked.id, {"expand": ["latest_attempt"]})
    refused(v1.setup_intents.create, {**base, "payment_method": "pm_card_visa_chargeDeclined"})
    fresh = v1.setup_intents.create({"usage": "on_session"}).id
    v1.setup_intents.update(fresh, {"description": "d"})
    v1.setup_intents.cancel(fresh)
    v1.setup_intents.list({"customer": customer})


def aftermath(box: Box, api: Sdk) -> None:
    """Refunds and disputes."""
    v1 = api.v1
    for card in ("visa", "refundFail", "pendingRefund"):
        paid = pay(api, f"pm_card_{card}")
        refund = v1.refunds.create({"payment_intent": paid.id, "amount": 500, "reason": "duplicate"}).id
        v1.refunds.update(refund, {"metadata": {"a": "b"}})
    debit = pay(api, "pm_usBankAccount_success")
    disputes = [
        pay(api, f"pm_card_{card}").latest_charge
        for card in (
            "createDispute", "createDisputeProductNotReceived", "createDisputeInquiry", "createIssuerFraudRecord",
        )
    ]  # fmt: skip
    box.advance(8)
    v1.refunds.create({"payment_intent": debit.id})
    v1.refunds.list({"charge": paid.latest_charge})
    v1.refunds.retrieve(refund, {"expand": ["charge", "balance_transaction", "payment_intent"]})
    v1.charges.retrieve(paid.latest_charge, {"expand": ["refunds", "balance_transaction"]})
    refused(v1.refunds.create, {"charge": disputes[0]})
    found = [v1.disputes.list({"charge": charge}).data for charge in disputes[:3]]
    v1.disputes.update(found[0][0].id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    v1.disputes.update(found[2][0].id, {"evidence": {"uncategorized_text": "why"}})
    v1.disputes.close(found[1][0].id)
    warnings = v1.radar.early_fraud_warnings.list({"charge": disputes[3]}).data
    v1.radar.early_fraud_warnings.retrieve(warnings[0].id, {"expand": ["charge"]})
    box.advance(10)
    v1.disputes.retrieve(found[0][0].id, {"expand": ["charge", "payment_intent"]})
    v1.balance_transactions.list({"limit": 100, "expand": ["data.source"]})
    v1.balance.retrieve()


def account(box: Box, api: Sdk) -> None:
    """The account, webhook endpoints, tokens, events."""
    v1 = api.v1
    v1.accounts.retrieve_current()
    endpoint = v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/x", "enabled_events": ["charge.failed"]}).id
    v1.webhook_endpoints.update(endpoint, {"description": "d"})
    v1.webhook_endpoints.list()
    v1.webhook_endpoints.delete(endpoint)
    v1.tokens.create({"card": CARD})
    form = "&".join(f"payment_method_data[card][{key}]={value}" for key, value in CARD.items())
    browser = {"Authorization": "Bearer pk_test_1"}
    made = box.request("POST", "/v1/confirmation_tokens", f"payment_method_data[type]=card&{form}", browser)
    v1.confirmation_tokens.retrieve(made.body["id"])
    box.advance("8d")
    for event in v1.events.list({"limit": 100}).auto_paging_iter():
        v1.events.retrieve(event.id)


def drive(box: Box, api: Sdk, version: str) -> None:
    """All of it."""
    customer = customers(api)
    flows_catalogue.drive(box, api, version, customer)
    payments(box, api, customer)
    setups(box, api, customer)
    aftermath(box, api)
    account(box, api)


async def drive_async(api: Sdk) -> None:
    """The paths that the product calls, over the async SDK."""
    v1 = api.v1
    customer = (await v1.customers.create_async({"email": "async@example.com"})).id
    method = (await v1.payment_methods.attach_async("pm_card_visa", {"customer": customer})).id
    params = {"amount": 4000, "currency": "usd", "customer": customer, "payment_method": method, "confirm": True,
              "off_session": True}  # fmt: skip
    paid = await v1.payment_intents.create_async(params)
    assert paid.status == "succeeded"
    calls: list[Awaitable[Any]] = [v1.payment_intents.create_async(params) for _ in range(5)]
    for call in calls:
        await call
    refund = await v1.refunds.create_async({"payment_intent": paid.id})
    assert refund.status == "succeeded"
    events = await v1.events.list_async({"type": "charge.refunded"})
    assert len(events.data) == 1
