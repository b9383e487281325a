"""Events that come before what they hang on: they wait, and nothing that could end their wait waits behind them."""

from collections.abc import Sequence
from typing import Any

from integration.webhooks.inbox_kit import Inbox, apply_facts, make_event, make_settings, to_facts
from tallystick.platform.database import Transaction
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.models import StoredEvent

CHARGED, REFUNDED, FAILED = "charge.succeeded", "charge.refunded", "payment_intent.payment_failed"
PARENTS = {"charge": "payment_intent", "invoice": "subscription", "subscription": "customer"}


def hang_together(inbox: Inbox) -> None:
    """Recorders that want the parent of a charge, of an invoice, of a subscription to be here."""

    def translate(event: StoredEvent) -> Sequence[Any]:
        parent = event.object.get(PARENTS.get(event.object["object"], ""))
        return [{**fact, "parent": parent} for fact in to_facts(event)]

    async def record(tx: Transaction, facts: Sequence[Any]) -> None:
        for fact in facts:
            if fact["parent"] and not await is_here(tx, fact["parent"]):
                raise ParentMissing(fact["parent"])
            await apply_facts(tx, [fact])

    async def is_here(tx: Transaction, object_id: str) -> bool:
        return bool(await tx.fetchval("SELECT 1 FROM applied WHERE object_id = $1 LIMIT 1", object_id))

    for kind in (CHARGED, REFUNDED, "customer.created", "customer.subscription.created", "invoice.created"):
        inbox.registry.register(kind, translate, record)


def charge(kind: str = CHARGED, charge_id: str = "ch_1") -> dict[str, Any]:
    return make_event(kind, charge_id, payment_intent="pi_1")


async def drain(inbox: Inbox) -> list[str]:
    await inbox.processor().drain()
    return await inbox.applied()


async def test_what_a_charge_waits_for_passes_it_and_what_follows_it_does_not(inbox: Inbox) -> None:
    hang_together(inbox)
    first, second, other = charge(), charge(REFUNDED), charge(charge_id="ch_2")
    await inbox.deliver(first)
    assert await drain(inbox) == []
    intent = make_event(object_id="pi_1")
    await inbox.deliver(second, other, intent)
    assert await drain(inbox) == [intent["id"]]
    inbox.clock.advance(seconds=1)
    assert await drain(inbox) == [event["id"] for event in (intent, first, second, other)]
    assert await inbox.parked() == []
    assert await inbox.work() == []


async def test_they_pass_in_one_batch_that_somebody_else_spoils(inbox: Inbox) -> None:
    hang_together(inbox)
    inbox.registry.register(FAILED, lambda event: [event.object["nowhere"]], apply_facts)
    bad = make_event(FAILED, "pi_0")
    lane = (await stored(inbox, bad))["lane"]
    first, second, intent = charge(), charge(REFUNDED), make_event(object_id="pi_1")
    await inbox.deliver(first, second, intent)
    # As if the hash had it so.
    await inbox.execute("UPDATE webhook_events SET lane = $1", lane)
    assert await drain(inbox) == [intent["id"]]
    inbox.clock.advance(seconds=1)
    assert await drain(inbox) == [intent["id"], first["id"], second["id"]]


async def stored(inbox: Inbox, event: dict[str, Any]) -> dict[str, Any]:
    await inbox.deliver(event)
    return await inbox.event(event["id"])


async def test_a_parent_that_fails_holds_up_its_own_events_and_its_children(inbox: Inbox) -> None:
    hang_together(inbox)
    healed = False

    async def record(tx: Transaction, facts: Sequence[Any]) -> None:
        if not healed:
            raise RuntimeError("no")
        await apply_facts(tx, facts)

    inbox.registry.register(FAILED, to_facts, record)
    child, failing, later = charge(), make_event(FAILED, "pi_1"), make_event(object_id="pi_1")
    await inbox.deliver(child)
    assert await drain(inbox) == []
    await inbox.deliver(failing)
    assert await drain(inbox) == []
    await inbox.deliver(later)
    assert await drain(inbox) == []
    inbox.clock.advance(seconds=0.5)
    assert await drain(inbox) == [], "the child is due, and changes nothing"
    healed = True
    inbox.clock.advance(seconds=60)
    assert await drain(inbox) == [event["id"] for event in (failing, later, child)]
    assert await inbox.parked() == []


async def test_a_parent_whose_event_dies_goes_on_and_so_do_its_children(inbox: Inbox) -> None:
    inbox.settings = make_settings(WEBHOOK_MAX_RETRIES="1")
    hang_together(inbox)
    inbox.registry.register(FAILED, lambda event: [event.object["nowhere"]], apply_facts)
    child, dying, later = charge(), make_event(FAILED, "pi_1"), make_event(object_id="pi_1")
    await inbox.deliver(child)
    assert await drain(inbox) == []
    await inbox.deliver(dying, later)
    assert await drain(inbox) == []
    inbox.clock.advance(seconds=30)
    assert await drain(inbox) == [later["id"], child["id"]]
    assert (await inbox.event(dying["id"]))["state"] == "dead"
    assert await inbox.parked() == []


async def test_an_invoice_before_its_subscription_before_its_customer(inbox: Inbox) -> None:
    hang_together(inbox)
    invoice = make_event("invoice.created", "in_1", object="invoice", subscription="sub_1", customer="cus_1")
    subscription = make_event("customer.subscription.created", "sub_1", object="subscription", customer="cus_1")
    customer = make_event("customer.created", "cus_1", object="customer")
    for event in (invoice, subscription):
        await inbox.deliver(event, event)
        assert await drain(inbox) == []
    await inbox.deliver(customer)
    assert await drain(inbox) == [customer["id"]]
    for _ in range(2):
        inbox.clock.advance(seconds=0.5)
        await drain(inbox)
    assert await inbox.applied() == [event["id"] for event in (customer, subscription, invoice)]
    assert await inbox.work() == []
