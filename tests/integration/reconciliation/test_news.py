"""What is to be told is told, whoever brings the mirror up to date before the event: reconcile, an import, a fetch.

Each takes the business keys of what it records. In silence that is for good.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from importing import imported
from reconciling import ASKED_BY, attached, new_customer, reconciling_parts
from subscribers import make_price, stripe
from subscribing import delete
from system import MakeDatabase, System, running_system, unique
from tallystick.reconciliation.models import Result
from tallystick.reconciliation.service_ask import StripeReader

RETURN = "https://shop.test/"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database(), EVENT_CATCH_UP_S="0", RECONCILE_EVERY_S="0") as running:
        yield running


async def opened(system: System, user: str) -> str:
    """The payment intent of a payment that nobody has paid yet."""
    made = await system.call("POST", "/api/payments/payment-intent", {"amount": 900, "currency": "usd"}, user=user)
    await system.quiet()
    return str(made.body["stripe_payment_intent_id"])


async def confirm(system: System, intent: str) -> None:
    """The customer pays in the browser."""
    await stripe(
        system, f"/v1/payment_intents/{intent}/confirm", payment_method="pm_card_visa", return_url=RETURN
    )  # fmt: skip


async def subscriber(system: System, user: str) -> tuple[str, str]:
    """The customer of a user of ours, with a card, and a price."""
    await system.pay(user=user)
    _, price = await make_price(system)
    await system.quiet()
    customer = str(await system.value("SELECT stripe_customer_id FROM users WHERE external_id = $1", user))
    await attached(system, customer)
    await system.quiet()
    return customer, price


async def mails_of(system: System, user: str) -> dict[str, str]:
    """The state of each mail to a user, by its template."""
    rows = await system.fetch("SELECT template, state FROM mails WHERE recipient = $1", f"{user}@example.com")
    assert len({row[0] for row in rows}) == len(rows), "each is told once"
    return {row[0]: row[1] for row in rows}


async def delivered(system: System, user: str) -> list[str]:
    """The types of the facts about a user."""
    rows = await system.fetch("SELECT type FROM outbound_facts WHERE data ->> 'user' = $1 ORDER BY 1", user)
    return [row[0] for row in rows]


def causes(found: Result, object_id: str) -> set[str]:
    return {cause for one in found.found if one.stripe_id == object_id for cause in one.causes.values()}


async def stuck(system: System) -> None:
    """What waits in the inbox has waited for twenty minutes."""
    await system.sandbox("POST", "/_sandbox/quiet")
    older = "UPDATE webhook_events SET created_at = created_at - interval '20 minutes' WHERE state = 'pending'"
    await system.fetch(older)


@pytest.mark.parametrize("state", ["pending", "dead"])
async def test_reconcile_repairs_what_waits_in_the_inbox(system: System, state: str) -> None:
    """Workers are away, and `serve` takes what comes; or an event is a dead letter until somebody has it applied."""
    user = unique("outage")
    intent = await opened(system, user)
    await system.stop_workers()
    await confirm(system, intent)
    await stuck(system)
    await system.fetch("UPDATE webhook_events SET state = $1 WHERE state = 'pending'", state)
    async with reconciling_parts(system) as parts:
        found = await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY)
    assert causes(found, intent) == {"ours"}
    await system.fetch("UPDATE webhook_events SET state = 'pending' WHERE state = 'dead'")
    system.start_worker()
    await system.quiet()
    assert await mails_of(system, user) == {"payment_confirmation": "sent"}
    assert await delivered(system, user) == ["payment.succeeded"]


async def test_reconcile_brings_a_parent_that_waits_in_the_inbox(system: System) -> None:
    user = unique("parent")
    customer, price = await subscriber(system, user)
    await system.stop_workers()
    made = await stripe(system, "/v1/subscriptions", customer=customer, items__0__price=price)
    await delete(system, f"/v1/subscriptions/{made['id']}")
    await stuck(system)
    async with reconciling_parts(system) as parts:
        found = await parts.reconciling.reconciler.check([made["latest_invoice"]], by=ASKED_BY)
    assert found.repaired == 1
    assert await system.value("SELECT status FROM subscriptions WHERE stripe_subscription_id = $1", made["id"])
    system.start_worker()
    await system.quiet()
    mails = await mails_of(system, user)
    assert (mails["subscription_canceled"], mails["invoice_receipt"]) == ("sent", "sent")
    assert "silent" not in mails.values()


@pytest.mark.parametrize("after_another", [False, True])
async def test_reconcile_looks_while_somebody_pays(
    system: System, monkeypatch: pytest.MonkeyPatch, *, after_another: bool
) -> None:
    """Also where the run has read Stripe's log before, for another object."""
    user = unique("late")
    intent, customer = await opened(system, user), await new_customer(system)
    await system.quiet()
    # What a hand did there, and nothing told of: its cause asks for the whole log.
    await system.fault(target="event", kind="late", type="customer.updated", delay_s=10**9)
    await system.fault(target="webhook", kind="drop", times=None)
    await stripe(system, f"/v1/customers/{customer}", name="Renamed")
    retrieve = StripeReader.retrieve
    paid: list[str] = []

    async def meanwhile(self: StripeReader, kind: Any, object_id: str) -> Any:
        if object_id == intent and not paid:
            paid.append(intent)
            await confirm(system, intent)
        return await retrieve(self, kind, object_id)

    monkeypatch.setattr(StripeReader, "retrieve", meanwhile)
    async with reconciling_parts(system) as parts:
        ids = [customer, intent] if after_another else [intent]
        found = await parts.reconciling.reconciler.check(ids, by=ASKED_BY)
        assert causes(found, intent) == {"in_flight"}
        assert causes(found, customer) == ({"dashboard"} if after_another else set())
        await system.sandbox("DELETE", "/_sandbox/faults")
        # The event comes a moment later.
        await system.advance("1m")
        await parts.reconciling.catch_up.catch_up()
    await system.quiet()
    assert await mails_of(system, user) == {"payment_confirmation": "sent"}


@pytest.mark.parametrize("where", ["in the inbox", "on its way"])
async def test_an_import_lists_what_an_event_is_to_tell(system: System, where: str) -> None:
    user = unique("import")
    customer, price = await subscriber(system, user)
    await system.stop_workers()
    if where == "on its way":
        await system.fault(target="webhook", kind="drop", times=None)
    made = await stripe(system, "/v1/subscriptions", customer=customer, items__0__price=price)
    await delete(system, f"/v1/subscriptions/{made['id']}")
    await system.sandbox("POST", "/_sandbox/quiet")
    summary = await imported(system)
    counts = next(kind.counts for kind in summary.kinds if kind.object == "subscription")
    assert (counts.added, counts.changed, counts.left_out) == (0, 1, 0)
    known = "SELECT count(*) FROM subscriptions WHERE stripe_subscription_id = $1"
    assert await system.value(known, made["id"]) == 0
    system.start_worker()
    await system.quiet()
    assert await system.value(known, made["id"]) == 1, "fetched"
    if where == "on its way":
        await system.sandbox("DELETE", "/_sandbox/faults")
        await system.advance("1m")
        async with reconciling_parts(system) as parts:
            await parts.reconciling.catch_up.catch_up()
        await system.quiet()
    mails = await mails_of(system, user)
    assert (mails["subscription_canceled"], mails["invoice_receipt"]) == ("sent", "sent")
    assert "silent" not in mails.values()
    assert "subscription.canceled" in await delivered(system, user)


async def test_something_changes_while_an_answer_is_on_its_way(system: System) -> None:
    """A fetch shows the state before, and its answer leaves Stripe after the change: the event is the newer one."""
    customer = await new_customer(system)
    await system.quiet()
    await system.stop_workers()
    slow = {"target": "api", "kind": "slow", "delay_s": 2.5, "when": "after", "method": "GET"}
    await system.fault(**slow, path=f"/v1/customers/{customer}", times=1)
    async with reconciling_parts(system) as parts:
        fetch = asyncio.create_task(parts.registry.fetch(customer))
        await asyncio.sleep(0.3)
        await stripe(system, f"/v1/customers/{customer}", name="Newer")
        await fetch
    name = "SELECT name FROM customers WHERE stripe_customer_id = $1"
    assert await system.value(name, customer) != "Newer"
    system.start_worker()
    await system.quiet()
    assert await system.value(name, customer) == "Newer"
