"""Erasure and export where a person is named by something of theirs only, or owes something."""

import json
from typing import Any
from uuid import UUID

import pytest

from erasing import ADMIN, Someone, erase, erased, event, everywhere, send_event, someone, user_id
from subscribers import DECLINES_LATER, make_price, subscriber
from system import System
from tallystick.app.parts import Parts, build_parts
from tallystick.core.ids import new_id
from tallystick.platform.work import Retry, WorkItem
from tallystick.privacy.service import ERASE_WORK, ErasureService


@pytest.mark.parametrize("ended", [False, True], ids=["past due", "ended"])
async def test_who_owes_an_invoice_can_be_erased(system: System, ended: bool) -> None:
    _, price = await make_price(system)
    ann = await subscriber(system)
    await ann.subscribe(price)
    await ann.use_card(DECLINES_LATER)
    await ann.fail_renewal()
    if ended:
        await ann.cancel()
    user = await system.value("SELECT id FROM users WHERE external_id = $1", ann.user)
    body = {"cancel_subscriptions": True, "dry_run": True}
    dry = await system.call("POST", f"/api/users/{ann.user}/erase", body, user="grace", roles=ADMIN)
    assert dry.body["ends"]["payments"] == [], "its intent is Stripe's to cancel"
    await erase(system, ann.user, cancel_subscriptions=True)
    await erased(system, user)
    assert await ann.status() == "canceled"
    assert (await system.stripe(f"/v1/customers/{ann.customer}")).get("deleted") is True
    refused = "SELECT count(*) FROM attempts WHERE user_id = $1 AND kind = 'payment.cancel'"
    assert await system.value(refused, user) == 0


async def test_staff_are_told_of_an_erasure_that_is_given_up(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    who = await someone(system, subscribe=False)
    user = await user_id(system, who)
    await system.stop_workers()
    parts = build_parts(system.settings, system.clock, "tests")
    await parts.database.open()
    told = "SELECT payload FROM work WHERE kind = 'alert.erasure_stuck' AND payload ->> 'user' = $1"
    try:
        await erase(system, who.user)

        async def refused(*_: Any) -> None:
            raise Retry("PAYMENT_NOT_CANCELABLE")

        with monkeypatch.context() as patched:
            patched.setattr(ErasureService, "_end_at_stripe", refused)
            for tries, alerts in ((18, 0), (19, 1)):
                item = WorkItem(new_id(), ERASE_WORK, f"{ERASE_WORK}:{user}", {"user_id": str(user)}, tries)
                with pytest.raises(Retry):
                    await parts.privacy.erasures.erase_due(item)
                assert len(await system.fetch(told, str(user))) == alerts
    finally:
        await parts.close()
        system.start_worker()
    (row,) = await system.fetch(told, str(user))
    assert json.loads(row["payload"]) == {"user": str(user), "error": "PAYMENT_NOT_CANCELABLE"}
    await erased(system, user)


def nameless(who: Someone, card: str, tag: str) -> list[dict[str, Any]]:
    """News that names a payment or a card, and no customer."""
    end = f"{tag}{who.user[-8:]}"
    return [
        event(f"evt_review{end}", "review.opened", {
            "id": f"prv_{end}", "object": "review", "payment_intent": who.intent, "charge": "ch_x",
            "billing_zip": f"99-{who.user[-6:]}", "ip_address": who.ip, "open": True, "reason": "rule",
            "ip_address_location": {"city": who.city, "country": "DE"},
        }),
        event(f"evt_mandate{end}", "mandate.updated", {
            "id": f"mandate_{end}", "object": "mandate", "payment_method": card, "status": "active",
            "customer_acceptance": {"type": "online", "online": {"ip_address": who.ip, "user_agent": who.name}},
        }),
        event(f"evt_session{end}", "checkout.session.completed", {
            "id": f"cs_{end}", "object": "checkout.session", "customer": None, "payment_intent": {"id": who.intent},
            "customer_details": {"email": who.email, "name": who.name, "phone": who.phone},
        }),
    ]  # fmt: skip


async def test_what_names_a_payment_and_no_customer_is_erased_too(system: System) -> None:
    who = await someone(system, subscribe=False)
    user = await user_id(system, who)
    card = await system.value("SELECT payment_method FROM payments WHERE stripe_payment_intent_id = $1", who.intent)
    marks = [*who.marks, f"99-{who.user[-6:]}"]
    for told in nameless(who, card, "before"):
        await send_event(system, told)
    await system.quiet()
    assert set(await everywhere(system.database_url, marks)) == {*marks}, "the test knows where to look"
    await erase(system, who.user)
    await erased(system, user)
    assert await everywhere(system.database_url, marks) == {}
    for told in nameless(who, card, "late"):
        await send_event(system, told)
    await system.quiet()
    assert await everywhere(system.database_url, marks) == {}
    kept = "SELECT count(*) FROM webhook_events WHERE stripe_event_id LIKE $1 AND payload IS NOT NULL"
    assert await system.value(kept, f"evt_%late{who.user[-8:]}") == 3


async def paid_by_hand(system: System, who: Someone) -> str:
    """An invoice with a line whose text somebody typed."""
    item = {"customer": who.customer, "amount": "500", "currency": "usd"}
    made = await system.stripe("/v1/invoiceitems", {**item, "description": f"Portrait of {who.name}, {who.street}"})
    assert "error" not in made, made
    wanted = {"customer": who.customer, "auto_advance": "false", "pending_invoice_items_behavior": "include"}
    invoice = await system.stripe("/v1/invoices", wanted)
    await system.stripe(f"/v1/invoices/{invoice['id']}/finalize", {"auto_advance": "false"})
    await system.stripe(f"/v1/invoices/{invoice['id']}/pay", {"paid_out_of_band": "true"})
    await system.quiet()
    return str(invoice["id"])


async def tell_again(system: System, parts: Parts, who: Someone, invoice: str) -> None:
    """All ways in which an invoice is told anew: late, fetched, compared."""
    obj = await system.stripe(f"/v1/invoices/{invoice}")
    assert who.name in json.dumps(obj), "Stripe still knows"
    await send_event(system, event(f"evt_late{who.user[-10:]}", "invoice.updated", obj))
    item = {"id": f"ii_{who.user[-8:]}", "object": "invoiceitem", "customer": who.customer, "description": who.name}
    await send_event(system, event(f"evt_item{who.user[-10:]}", "invoiceitem.created", item))
    await system.quiet()
    await parts.registry.fetch(invoice)
    compared = await parts.reconciling.reconciler.check([invoice], by="cli:tests")
    assert (compared.objects, compared.differences) == (1, 0), compared.found


async def test_texts_of_invoice_lines_are_masked_and_stay_so(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.privacy.service_walk._BATCH", 1)
    who = await someone(system, subscribe=False)
    user = await user_id(system, who)
    invoice = await paid_by_hand(system, who)
    assert any("invoice_lines" in place for place in (await everywhere(system.database_url, [who.name]))[who.name])
    await erase(system, who.user)
    await erased(system, user)
    assert await everywhere(system.database_url, who.marks) == {}
    parts = build_parts(system.settings, system.clock, "tests")
    await parts.database.open()
    try:
        await tell_again(system, parts, who, invoice)
    finally:
        await parts.close()
    assert await everywhere(system.database_url, who.marks) == {}
    lines = "SELECT description FROM invoice_lines JOIN invoices i ON i.id = invoice_id WHERE stripe_invoice_id = $1"
    assert await system.value(lines, invoice) == "Portrait of [erased], [erased]"


async def export(system: System, user: str | UUID) -> Any:
    path = f"/api/users/{user}/export?payloads=true"
    answer = await system.call("GET", path, user="grace", roles=ADMIN)
    assert answer.status == 200, answer.body
    assert answer.body["complete"] is True
    return answer.body


async def test_an_export_has_what_an_erasure_would_remove(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.privacy.service_export._LOOKED_AT", 50)
    who = await someone(system)
    user = await user_id(system, who)
    other = await someone(system, subscribe=False)
    card = await system.value("SELECT payment_method FROM payments WHERE stripe_payment_intent_id = $1", who.intent)
    for told in nameless(who, card, "told"):
        await send_event(system, told)
    tax_id = {"id": f"txi_{who.user[-8:]}", "object": "tax_id", "customer": who.customer, "value": who.name}
    await send_event(system, event(f"evt_tax{who.user[-8:]}", "customer.tax_id.created", tax_id))
    coupon = await system.stripe("/v1/coupons", {"percent_off": "10", "duration": "once"})
    code = await system.stripe("/v1/promotion_codes", {"coupon": coupon["id"], "customer": who.customer})
    subscription = await system.value(
        "SELECT stripe_subscription_id FROM subscriptions WHERE id = $1", UUID(who.subscription)
    )
    schedule = await system.stripe("/v1/subscription_schedules", {"from_subscription": subscription})
    await system.quiet()
    shown = await export(system, who.user)
    kinds = {told["type"] for told in shown["events"]}
    assert kinds >= {
        "customer.tax_id.created", "review.opened", "mandate.updated", "checkout.session.completed",
        "promotion_code.created", "subscription_schedule.created", "payment_intent.succeeded",
    }  # fmt: skip
    ids = [told["id"] for told in shown["events"]]
    assert len(ids) == len(set(ids))
    assert other.customer not in json.dumps(shown)
    assert [one["stripe_promotion_code_id"] for one in shown["promotion_codes"]] == [code["id"]]
    assert [one["stripe_schedule_id"] for one in shown["subscription_schedules"]] == [schedule["id"]]
    await erase(system, who.user, cancel_subscriptions=True)
    await erased(system, user)
    left = await export(system, user)
    assert {told["id"] for told in left["events"]} >= set(ids)
    assert not [mark for mark in who.marks if mark in json.dumps(left, ensure_ascii=False)]
