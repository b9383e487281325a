"""Invoices: mirrored with their lines, paid, and told of; with the mails and facts that go with it."""

from invoicing import (
    SLOW_CARD,
    context,
    customer,
    get,
    left_to_stripe,
    listed,
    mails,
    open_invoice,
    pay,
    pay_when_here,
    plan,
    post,
    promotion,
    subscribe,
    told,
    use_card,
)
from system import EVERY_VERSION, System, unique
from tallystick.invoices.schemas import InvoiceView
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_invoices import InvoiceCalls

pytestmark = EVERY_VERSION


async def test_an_invoice_made_by_hand(system: System) -> None:
    user = unique("hand")
    buyer = await customer(system, user)
    invoice = await open_invoice(system, buyer, 700, 900)
    await system.quiet()
    shown = await get(system, user, invoice)
    assert (shown["status"], shown["amount_due"], shown["amount_remaining"], shown["attempt_count"]) == (
        "open", 1600, 1600, 0,
    )  # fmt: skip
    assert [line["amount"] for line in shown["lines"]] == [900, 700]
    assert shown["hosted_invoice_url"].startswith(system.sandbox_url)
    assert shown["stripe_subscription_id"] is None
    assert await get(system, user, shown["id"]) == shown
    InvoiceView.model_validate(shown, extra="forbid")

    key = unique("key")
    paid = await pay(system, user, shown["id"], key=key)
    assert (paid.status, paid.body["status"], paid.body["amount_paid"]) == (200, "paid", 1600)
    again = await pay(system, user, shown["id"], key=key)
    assert (again.status, again.body) == (200, paid.body)
    twice = await pay(system, user, invoice)
    assert (twice.status, twice.code, twice.body["invoice_status"]) == (409, "INVOICE_NOT_PAYABLE", "paid")
    await system.quiet()
    assert (await get(system, user, invoice))["paid_at"] == paid.body["paid_at"]
    # The money of an invoice is a payment that we did not make: the receipt is the only mail about it.
    assert await mails(system, user) == ["invoice_receipt"]
    said = await context(system, user, "invoice_receipt")
    assert (said["amount_paid"], said["subscription_id"], said["recovered"]) == (1600, None, False)
    assert (said["card_brand"], said["card_last4"]) == ("visa", "4242")
    assert await told(system, user) == ["invoice.paid"]


async def test_declined_and_paid_with_another_card(system: System) -> None:
    user = unique("declined")
    buyer = await customer(system, user, SLOW_CARD)
    invoice = await left_to_stripe(system, buyer, 1200)
    failed = await get(system, user, invoice)
    assert (failed["status"], failed["attempt_count"]) == ("open", 1)
    assert failed["first_failed_at"] is not None
    # The payment of an invoice is none that we made: it causes no mail of its own.
    assert await mails(system, user) == ["invoice_payment_failed"]
    said = await context(system, user, "invoice_payment_failed")
    assert (said["amount_due"], said["attempt"], said["error_code"]) == (1200, 1, "CARD_DECLINED")
    assert (said["next_attempt_at"], said["access_until"]) == (failed["next_payment_attempt"], None)

    # Who tries it himself is told by the answer, and by no mail.
    refused = await pay(system, user, invoice)
    assert (refused.status, refused.code) == (402, "CARD_DECLINED")
    assert (refused.body["invoice"]["stripe_invoice_id"], refused.body["invoice"]["status"]) == (invoice, "open")
    other = await use_card(system, user, "pm_card_mastercard")
    paid = await pay(system, user, invoice, {"payment_method": other})
    assert (paid.status, paid.body["status"]) == (200, "paid")
    await system.quiet()
    assert await mails(system, user) == ["invoice_payment_failed", "invoice_receipt"]
    assert (await context(system, user, "invoice_receipt"))["card_brand"] == "mastercard"
    # Why it failed is looked up first, so that may be told after what came next.
    assert sorted(await told(system, user)) == ["invoice.paid", "invoice.payment_failed", "invoice.payment_failed"]
    assert (await get(system, user, invoice))["first_failed_at"] == failed["first_failed_at"]


async def test_a_payment_that_the_customer_confirms(system: System) -> None:
    user = unique("bank")
    buyer = await customer(system, user, "pm_card_authenticationRequired")
    invoice = await left_to_stripe(system, buyer, 1300)
    # One attempt that waits for the customer is one mail, however Stripe tells of it.
    assert await mails(system, user) == ["invoice_action_required"]
    key = unique("key")
    asked = await pay(system, user, invoice, key=key)
    assert (asked.status, asked.code) == (402, "AUTHENTICATION_REQUIRED")
    secret = asked.body["client_secret"]
    intent = secret.split("_secret_")[0]
    assert (await pay(system, user, invoice, key=key)).body["client_secret"] == secret
    await system.quiet()
    assert (await get(system, user, invoice))["status"] == "open"
    for table, column in (("webhook_events", "payload"), ("idempotency_keys", "body"), ("attempts", "request")):
        kept = f"SELECT count(*) FROM {table} WHERE {column}::text LIKE '%\\_secret\\_%'"
        assert await system.value(kept) == 0, table

    assert await system.authenticate(intent) == "succeeded"
    await system.quiet()
    shown = await get(system, user, invoice, roles=("support",))
    assert (shown["status"], shown["stripe_payment_intent_id"]) == ("paid", intent)
    assert await mails(system, user) == ["invoice_action_required", "invoice_receipt"]


async def test_why_it_failed_is_told_at_every_version(system: System) -> None:
    user = unique("reason")
    buyer = await customer(system, user, "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds")
    invoice = await open_invoice(system, buyer, 1100)
    await system.quiet()
    asked = await pay(system, user, invoice)
    assert (asked.status, asked.code) == (402, "AUTHENTICATION_REQUIRED")
    await system.advance("2m")
    assert await system.authenticate(asked.body["client_secret"].split("_secret_")[0]) == "requires_payment_method"
    await system.quiet()
    assert await mails(system, user) == ["invoice_payment_failed"]
    assert (await context(system, user, "invoice_payment_failed"))["error_code"] == "INSUFFICIENT_FUNDS"
    codes = await system.fetch(
        "SELECT data->'failure'->>'code' AS code FROM outbound_facts WHERE data->>'user' = $1 "
        "AND type = 'invoice.payment_failed' ORDER BY created_at, id",
        user,
    )
    assert [row["code"] for row in codes][-1] == "INSUFFICIENT_FUNDS"


async def test_other_currencies_and_credit(system: System) -> None:
    user = unique("credit")
    buyer = await customer(system, user)
    await post(system, f"/v1/customers/{buyer}", balance=-1000)
    part = await open_invoice(system, buyer, 1600)
    assert (await pay_when_here(system, user, part)).body["amount_paid"] == 600
    shown = await get(system, user, part)
    assert (shown["total"], shown["starting_balance"], shown["ending_balance"]) == (1600, -1000, 0)
    await system.quiet()
    said = await context(system, user, "invoice_receipt")
    assert (said["total"], said["credit"], said["amount_paid"]) == (1600, 1000, 600)

    for currency, amount in (("jpy", 1000), ("kwd", 10_500)):
        user = unique(currency)
        buyer = await customer(system, user)
        invoice = await open_invoice(system, buyer, amount, currency=currency)
        paid = await pay_when_here(system, user, invoice)
        assert (paid.body["currency"], paid.body["amount_paid"]) == (currency, amount)
        await system.quiet()
        assert [mail.subject for mail in system.mails_to(user)][-1].count("1,000" if currency == "jpy" else "10.500")


async def test_more_lines_than_stripe_prints(system: System) -> None:
    user = unique("long")
    buyer = await customer(system, user)
    amounts = [100 + number for number in range(15)]
    invoice = await open_invoice(system, buyer, *amounts)
    await system.quiet()
    shown = await get(system, user, invoice)
    assert [line["amount"] for line in shown["lines"]] == amounts[::-1]
    assert shown["more_lines"] is False
    # Its next event shows ten of them again, and takes none away.
    await pay_when_here(system, user, invoice)
    await system.quiet()
    assert len((await get(system, user, invoice))["lines"]) == 15
    said = await context(system, user, "invoice_receipt")
    assert (len(said["lines"]), said["more_lines"]) == (15, 0)


async def test_a_mail_tells_the_cost_of_packs(system: System) -> None:
    """Ten dollars for each five, rounded up or down."""
    product = await post(system, "/v1/products", name="Packs")
    for rounding, cost in (("up", 3000), ("down", 2000)):
        user = unique("packs")
        buyer = await customer(system, user)
        form = {"product": product["id"], "currency": "usd", "unit_amount": 1000, "recurring[interval]": "month"}
        packs = {"transform_quantity[divide_by]": 5, "transform_quantity[round]": rounding}
        price = (await post(system, "/v1/prices", **form, **packs))["id"]
        await system.quiet()
        form = {"items[0][price]": price, "items[0][quantity]": 12}
        await post(system, "/v1/subscriptions", customer=buyer, **form)
        await system.quiet()
        for template in ("subscription_welcome", "invoice_receipt"):
            assert (await context(system, user, template))["amount"] == cost
        assert (await context(system, user, "invoice_receipt"))["amount_paid"] == cost


async def test_a_receipt_before_all_lines_are_here_says_that_there_are_more(system: System) -> None:
    """The first that is heard of an invoice is that it is paid, and the event shows ten of its lines."""
    user = unique("long")
    buyer = await customer(system, user)
    await system.quiet()
    await system.stop_workers()
    invoice = await open_invoice(system, buyer, *range(100, 115))
    await post(system, f"/v1/invoices/{invoice}/pay")
    await system.sandbox("POST", "/_sandbox/quiet?timeout_s=20")
    await system.fetch("DELETE FROM webhook_events WHERE state = 'pending' AND event_type <> 'invoice.paid'")
    await system.fetch(
        """
        UPDATE webhook_events SET payload = jsonb_set(
            jsonb_set(payload, '{data,object,lines,has_more}', 'true'), '{data,object,lines,data}',
            jsonb_path_query_array(payload, '$.data.object.lines.data[0 to 9]')
        ) WHERE state = 'pending'
        """
    )
    system.start_worker()
    await system.quiet()
    said = await context(system, user, "invoice_receipt")
    assert (len(said["lines"]), said["more_lines"]) == (10, None)
    assert len((await get(system, user, invoice))["lines"]) == 15


async def test_a_renewal_that_fails_and_recovers(system: System) -> None:
    user = unique("renewal")
    buyer = await customer(system, user)
    subscription = await subscribe(system, buyer, await plan(system))
    await system.quiet()
    assert [row["billing_reason"] for row in await listed(system, user)] == ["subscription_create"]
    await use_card(system, user, SLOW_CARD)
    await system.advance("32d")
    await system.quiet()
    found = await listed(system, user, f"?subscription={subscription['id']}&status=open")
    owed = found[0]
    assert (len(found), owed["amount_remaining"], owed["attempt_count"]) == (1, 1000, 1)
    assert owed["next_payment_attempt"] is not None
    assert owed["lines"][0]["period_end"] > owed["period_end"]
    ours = await system.value(
        "SELECT id::text FROM subscriptions WHERE stripe_subscription_id = $1", subscription["id"]
    )
    assert [row["id"] for row in await listed(system, user, f"?subscription={ours}&status=open")] == [owed["id"]]
    said = await context(system, user, "invoice_payment_failed")
    assert (said["subscription_id"], said["plan_name"], said["next_attempt_at"]) == (
        ours, "Gold", owed["next_payment_attempt"],
    )  # fmt: skip
    assert said["access_until"] is not None
    assert said["pay_url"] == owed["hosted_invoice_url"]
    await use_card(system, user, "pm_card_visa")
    assert (await pay(system, user, owed["id"])).status == 200
    await system.quiet()
    sent = [name for name in await mails(system, user) if name.startswith("invoice_")]
    assert sent == ["invoice_receipt", "invoice_payment_failed", "invoice_receipt"]
    assert (await context(system, user, "invoice_receipt"))["recovered"] is True
    assert await told(system, user) == ["invoice.paid", "invoice.upcoming", "invoice.payment_failed", "invoice.paid"]
    last = "SELECT action, actor, cause FROM subscription_history WHERE subscription_id = $1::text::uuid "
    rows = await system.fetch(f"{last} ORDER BY performed_at DESC, id DESC LIMIT 1", ours)
    assert tuple(rows[0]) == ("recovered", f"user:{user}", "api")


async def test_a_receipt_never_names_a_card_that_did_not_pay(system: System) -> None:
    user = unique("card")
    buyer = await customer(system, user, SLOW_CARD)
    invoice = await left_to_stripe(system, buyer, 1200)
    other = await use_card(system, user, "pm_card_mastercard")
    await system.quiet()
    # The news of the payment comes after that of the invoice.
    for kind in ("charge.*", "payment_intent.*"):
        await system.fault(target="webhook", kind="delay", type=kind, delay_s=3600, times=None)
    assert (await pay(system, user, invoice, {"payment_method": other})).status == 200
    await system.quiet()
    await system.sandbox("DELETE", "/_sandbox/faults")
    assert (await context(system, user, "invoice_receipt"))["card_last4"] == "4444"
    await system.advance("2h")


async def test_receipts_are_for_what_was_billed(system: System) -> None:
    trial, free = unique("trial"), unique("free")
    buyer, lucky = await customer(system, trial), await customer(system, free)
    price = await plan(system)
    await subscribe(system, buyer, price, trial_period_days=5)
    coupon = await post(system, "/v1/coupons", percent_off=100, duration="forever")
    code = await post(system, "/v1/promotion_codes", **promotion(system, coupon["id"]))
    discount = {"discounts[0][promotion_code]": code["id"]}
    if system.settings.stripe_api_version.startswith("2023"):
        discount = {"promotion_code": code["id"]}
    await subscribe(system, lucky, price, **discount)
    await system.quiet()
    assert [row["total"] for row in await listed(system, trial)] == [0]
    assert "invoice_receipt" not in await mails(system, trial)
    assert (await mails(system, free)).count("invoice_receipt") == 1
    said = await context(system, free, "invoice_receipt")
    assert (said["subtotal"], said["discount"], said["total"]) == (1000, 1000, 0)
    assert "invoice.paid" in await told(system, trial)


async def test_a_failure_that_is_told_too_late_asks_for_nothing(system: System) -> None:
    user = unique("late")
    buyer = await customer(system, user, SLOW_CARD)
    await system.fault(target="webhook", kind="delay", type="invoice.payment_failed", delay_s=10_800, times=None)
    invoice = await left_to_stripe(system, buyer, 1200)
    other = await use_card(system, user, "pm_card_visa")
    assert (await pay(system, user, invoice, {"payment_method": other})).status == 200
    await system.sandbox("DELETE", "/_sandbox/faults")
    assert (await get(system, user, invoice))["first_failed_at"] is None
    await system.advance("4h")
    await system.quiet()
    shown = await get(system, user, invoice)
    assert (shown["status"], shown["first_failed_at"]) == ("paid", shown["finalized_at"])
    rows = await system.fetch(
        "SELECT template, state FROM mails WHERE recipient = $1 ORDER BY created_at", f"{user}@example.com"
    )
    assert [tuple(row) for row in rows] == [("invoice_receipt", "sent"), ("invoice_payment_failed", "superseded")]
    assert await told(system, user) == ["invoice.paid", "invoice.payment_failed"]


async def test_what_the_gateway_reads(system: System) -> None:
    user = unique("calls")
    buyer = await customer(system, user)
    invoice = await open_invoice(system, buyer, *range(100, 113))
    stripe = StripeService(system.settings)
    calls = InvoiceCalls(stripe, Dialect(system.settings.stripe_api_version))
    try:
        whole = (await calls.retrieve(invoice)).value
        assert (len(whole.lines), whole.more_lines, whole.status) == (13, False, "open")
        secret = await calls.client_secret(invoice)
        assert str(secret).startswith(f"{whole.payment_intent}_secret_")
    finally:
        await stripe.close()
