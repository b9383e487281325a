"""Requests about invoices: whose they are, pages of them, and paying one when that cannot or may not be."""

import asyncio

from invoicing import INVOICES, customer, get, listed, mails, open_invoice, pay, post, use_card
from simulation.test_disorder import deliver
from system import System, unique


async def test_without_a_card_and_with_one_of_somebody_else(system: System) -> None:
    user, other = unique("poor"), unique("other")
    buyer = await customer(system, user, None)
    await customer(system, other, None)
    foreign = await use_card(system, other, "pm_card_visa")
    invoice = await open_invoice(system, buyer, 1400)
    await system.quiet()
    for body in ({}, {"payment_method": foreign}):
        refused = await pay(system, user, invoice, body)
        assert (refused.status, refused.code, refused.body["field"]) == (
            422, "PAYMENT_METHOD_NOT_USABLE", "payment_method",
        )  # fmt: skip
    bad = await pay(system, user, invoice, {"payment_method": "4242424242424242"})
    assert (bad.status, bad.code) == (422, "INVALID_REQUEST")
    hidden = await pay(system, other, invoice)
    assert (hidden.status, hidden.code) == (404, "NOT_FOUND")
    assert (await system.call("GET", f"{INVOICES}/{invoice}", user=other)).status == 404
    assert (await system.call("GET", f"{INVOICES}/in_missing", user=user)).status == 404


async def test_two_at_once_pay_once(system: System) -> None:
    user = unique("race")
    buyer = await customer(system, user)
    invoice = await open_invoice(system, buyer, 1500)
    await system.quiet()
    answers = await asyncio.gather(*(pay(system, user, invoice) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    await system.quiet()
    charges = await system.stripe(f"/v1/charges?customer={buyer}&limit=10")
    assert [charge["amount"] for charge in charges["data"]] == [1500]
    assert await mails(system, user) == ["invoice_receipt"]


async def test_nobody_knows_and_it_is_looked_up(system: System) -> None:
    user = unique("unknown")
    buyer = await customer(system, user)
    invoice = await open_invoice(system, buyer, 1600)
    await system.quiet()
    await system.fault(
        target="api", kind="cut", when="after", method="POST", path=f"/v1/invoices/{invoice}/pay", times=3
    )
    key = unique("key")
    first = await pay(system, user, invoice, key=key)
    assert first.status in (200, 202), first.body
    await system.quiet(60)
    again = await pay(system, user, invoice, key=key)
    assert (again.status, again.body["status"]) == (200, "paid")
    charges = await system.stripe(f"/v1/charges?customer={buyer}&limit=10")
    assert len(charges["data"]) == 1


async def test_drafts_change_and_go(system: System) -> None:
    user = unique("draft")
    buyer = await customer(system, user)
    draft = await post(system, "/v1/invoices", customer=buyer)
    await post(system, "/v1/invoiceitems", customer=buyer, invoice=draft["id"], amount=500, currency="usd")
    await system.quiet()
    shown = await get(system, user, draft["id"])
    assert (shown["status"], shown["total"], len(shown["lines"])) == ("draft", 500, 1)
    refused = await pay(system, user, draft["id"])
    assert (refused.status, refused.code) == (409, "INVOICE_NOT_PAYABLE")
    url = f"{system.sandbox_url}/v1/invoices/{draft['id']}"
    async with system.http.delete(url, headers={"Authorization": "Bearer sk_test_system"}) as response:
        assert response.status == 200
    await system.quiet()
    assert (await system.call("GET", f"{INVOICES}/{draft['id']}", user=user)).status == 404
    assert await listed(system, user) == []

    void = await open_invoice(system, buyer, 800)
    await post(system, f"/v1/invoices/{void}/void")
    await system.quiet()
    assert (await get(system, user, void))["status"] == "void"
    assert (await pay(system, user, void)).code == "INVOICE_NOT_PAYABLE"
    written_off = await open_invoice(system, buyer, 900)
    await post(system, f"/v1/invoices/{written_off}/mark_uncollectible")
    await system.quiet()
    assert (await pay(system, user, written_off)).body["status"] == "paid"


async def test_pages_filters_and_whose(system: System) -> None:
    user, other, staff = unique("pages"), unique("neighbour"), ("support",)
    buyer = await customer(system, user)
    await open_invoice(system, await customer(system, other), 2000)
    made = [await open_invoice(system, buyer, amount) for amount in (500, 600, 700)]
    await system.quiet()
    assert (await pay(system, user, made[0])).status == 200
    await system.quiet()
    assert sorted(row["total"] for row in await listed(system, user)) == [500, 600, 700]
    assert [row["total"] for row in await listed(system, user, "?status=paid")] == [500]
    assert sorted(row["total"] for row in await listed(system, user, "?status=open")) == [600, 700]

    whole = [row["id"] for row in await listed(system, user)]
    first = await system.call("GET", f"{INVOICES}?limit=2", user=user)
    assert ([row["id"] for row in first.body["data"]], first.body["has_more"]) == (whole[:2], True)
    rest = await system.call("GET", f"{INVOICES}?limit=2&starting_after={whole[1]}", user=user)
    assert ([row["id"] for row in rest.body["data"]], rest.body["has_more"]) == (whole[2:], False)
    back = await system.call("GET", f"{INVOICES}?limit=2&ending_before={whole[2]}", user=user)
    assert [row["id"] for row in back.body["data"]] == whole[:2]

    bad = await system.call("GET", f"{INVOICES}?starting_after=in_missing", user=user)
    assert (bad.status, bad.code, bad.body["field"]) == (422, "INVALID_REQUEST", "starting_after")
    assert (await system.call("GET", f"{INVOICES}?status=lost", user=user)).status == 422
    bad = await system.call("GET", f"{INVOICES}?subscription=%00", user=user)
    assert (bad.status, bad.code, bad.body["field"]) == (422, "INVALID_REQUEST", "subscription")
    assert (await system.call("GET", f"{INVOICES}?user=%00", user="staff", roles=staff)).status == 404
    assert (await system.call("GET", f"{INVOICES}?user={other}", user=user)).status == 403
    assert [row["total"] for row in await listed(system, "staff", f"?user={other}", roles=staff)] == [2000]
    shown = (await listed(system, "staff", f"?user={user}&status=paid", roles=staff))[0]
    assert shown["stripe_customer_id"] == buyer
    assert (await pay(system, user, made[1], key=None)).status == 200
    refused = await system.call("POST", f"{INVOICES}/{made[2]}/pay", {}, user="staff", roles=staff)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")


async def test_an_invoice_of_nobody_of_ours(system: System) -> None:
    stranger = (await post(system, "/v1/customers", email="stranger@example.com"))["id"]
    invoice = await open_invoice(system, stranger, 1800)
    await post(system, f"/v1/invoices/{invoice}/pay", paid_out_of_band="true")
    await system.quiet()
    shown = await get(system, "staff", invoice, roles=("admin",))
    assert (shown["status"], shown["user_id"], shown["stripe_customer_id"]) == ("paid", None, stranger)
    assert await system.value("SELECT count(*) FROM mails WHERE recipient = 'stranger@example.com'") == 0
    assert (
        await system.value("SELECT count(*) FROM outbound_facts WHERE data::text LIKE '%' || $1 || '%'", invoice) == 0
    )


async def test_staff_hear_of_an_invoice_that_cannot_be_finalized(system: System) -> None:
    buyer = await customer(system, unique("tax"))
    draft = await post(system, "/v1/invoices", customer=buyer)
    await system.quiet()
    created = next(
        event for event in (await system.stripe("/v1/events?type=invoice.created&limit=100"))["data"]
        if event["data"]["object"]["id"] == draft["id"]
    )  # fmt: skip
    for name in ("evt_finalization1", "evt_finalization2"):
        assert await deliver(system, {**created, "id": name, "type": "invoice.finalization_failed"}) == 200
        await system.quiet()
    told_of = "SELECT count(*) FROM mails WHERE business_key = $1"
    assert await system.value(told_of, f"alert.invoice_not_finalized:{draft['id']}") == 1
