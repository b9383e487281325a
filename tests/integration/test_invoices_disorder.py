"""The events of an unpaid renewal, told backwards and twice: invoices, mails, facts, access end as told in order."""

from collections.abc import Sequence
from typing import Any

import pytest

from invoicing import SLOW_CARD, customer, left_to_stripe, plan, post, subscribe, use_card
from simulation.test_disorder import deliver
from simulation.world import another_application, copy_database, stop_deliveries
from system import LONG, MakeDatabase, System, running_system, unique
from tallystick.sandbox.versions import NEWEST, OLDEST
from tallystick.stripe_gateway import translate_billing

Event = dict[str, Any]
SAME = (
    "status", "number", "billing_reason", "currency", "subtotal", "discount", "tax", "total", "amount_due",
    "amount_paid", "amount_remaining", "starting_balance", "ending_balance", "attempted", "attempt_count",
    "next_payment_attempt", "auto_advance", "collection_method", "due_date", "period_start", "period_end",
    "finalized_at", "paid_at", "voided_at", "marked_uncollectible_at", "hosted_invoice_url", "default_payment_method",
)  # fmt: skip
"""What the mirror must show as Stripe does."""


@pytest.mark.parametrize("version", [OLDEST, NEWEST] if LONG else [NEWEST])
async def test_told_backwards_and_twice(make_database: MakeDatabase, version: str) -> None:
    user = unique("backwards")
    async with running_system(await make_database(), api_version=version) as origin:
        await stop_deliveries(origin)
        buyer = await customer(origin, user)
        start = await copy_database(origin.database_url)
        first = await every_event(origin)
        events = (await live(origin, user, buyer, first))[len(first) :]
        kinds = {event["type"] for event in events}
        assert kinds >= {"invoice.payment_failed", "invoice.paid", "customer.subscription.deleted", "invoice.voided"}
        in_order = await told_to_another(origin, start, events)
        assert in_order["unpaid"] == 0
        assert in_order["access"] == [{"state": "canceled", "access": False}]
        assert sum(row["first_failed_at"] is not None for row in in_order["invoices"]) == 2
        keys = [key.split(":")[0] for key in in_order["mails"]]
        assert (keys.count("invoice_receipt"), keys.count("invoice_unpaid")) == (3, 2)
        assert in_order["shown"] == await shown_at_stripe(origin, buyer)
        backwards = [event for event in reversed(events) for _ in range(2)]
        assert await told_to_another(origin, start, backwards) == in_order
        # And as one who does not know the customer yet: what comes too early waits.
        forgetful = await copy_database(start)
        async with another_application(origin, forgetful, workers=0) as other:
            await other.fetch("DELETE FROM payment_methods")
            await other.fetch("DELETE FROM customers")
        assert await told_to_another(origin, forgetful, [*first, *events][::-1]) == in_order


async def live(origin: System, user: str, buyer: str, first: Sequence[Event]) -> list[Event]:
    """A subscription whose first renewal fails and recovers, an end, and invoices without one; all events, in order."""
    events = {event["id"]: event for event in first}

    async def advance(by: str) -> None:
        await origin.advance(by)
        # Stripe tells of events for thirty days.
        events.update({event["id"]: event for event in await every_event(origin)})

    subscription = await subscribe(origin, buyer, await plan(origin))
    good = (await origin.stripe(f"/v1/customers/{buyer}"))["invoice_settings"]["default_payment_method"]
    await use_card(origin, user, SLOW_CARD)
    await advance("20d")
    await advance("12d")
    await post(origin, f"/v1/customers/{buyer}", **{"invoice_settings[default_payment_method]": good})
    await advance("10d")
    await post(origin, f"/v1/subscriptions/{subscription['id']}", cancel_at_period_end="true")
    await advance("25d")
    await left_to_stripe(origin, buyer, 700)
    await use_card(origin, user, SLOW_CARD)
    invoice = await left_to_stripe(origin, buyer, 900)
    await post(origin, f"/v1/invoices/{invoice}/void")
    await advance("1h")
    return list(events.values())


async def shown_at_stripe(origin: System, buyer: str) -> dict[str, list[Any]]:
    """The customer's invoices as Stripe shows them now."""
    listed = (await origin.stripe(f"/v1/invoices?customer={buyer}&limit=100"))["data"]
    found = [translate_billing.invoice(invoice) for invoice in listed]
    return {invoice.id: [getattr(invoice, name) for name in SAME] for invoice in found}


async def every_event(origin: System) -> list[Event]:
    """All events of Stripe's, oldest first."""
    found: list[Event] = []
    while True:
        after = f"&starting_after={found[-1]['id']}" if found else ""
        page = await origin.stripe(f"/v1/events?limit=100{after}")
        found += page["data"]
        if not page["has_more"]:
            return found[::-1]


async def told_to_another(origin: System, start: str, events: Sequence[Event]) -> dict[str, Any]:
    """What an application knows in the end that was at `start`, and is told these events in this order."""
    async with another_application(origin, await copy_database(start), workers=2) as other:
        for event in events:
            assert await deliver(other, event) == 200
        await other.quiet(60)
        invoices = await other.fetch(
            """
            SELECT stripe_invoice_id, u.external_id, i.stripe_subscription_id, number, status, total, amount_due,
                amount_paid, amount_remaining, attempt_count, next_payment_attempt, first_failed_at, finalized_at,
                paid_at, voided_at, i.metadata, more_lines, unsure, deleted,
                (SELECT array_agg((position, stripe_line_id, amount, price_id)::text ORDER BY position)
                 FROM invoice_lines WHERE invoice_id = i.id) AS lines
            FROM invoices i LEFT JOIN users u ON u.id = user_id ORDER BY stripe_invoice_id
            """
        )
        mirrored = await other.fetch(f"SELECT stripe_invoice_id AS key, {', '.join(SAME)} FROM invoices")
        mails = await other.fetch("SELECT business_key FROM mails WHERE business_key LIKE 'invoice\\_%'")
        facts = await other.fetch("SELECT business_key FROM outbound_facts WHERE type LIKE 'invoice.%'")
        dead = await other.fetch("SELECT event_type, error_message FROM webhook_events WHERE state = 'dead'")
        assert dead == []
        return {
            "shown": {row["key"]: [row[name] for name in SAME] for row in mirrored},
            "invoices": [dict(row) for row in invoices],
            "mails": sorted(row["business_key"] for row in mails),
            "facts": sorted(row["business_key"] for row in facts),
            "unpaid": sum(row["status"] == "open" for row in invoices),
            "access": [dict(row) for row in await other.fetch("SELECT state, access FROM access_grants")],
        }
