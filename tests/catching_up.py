"""Outages: what happens at Stripe while no webhook comes, and whether all of it is here afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from simulation.mirror import assert_same, everything, mirror_rows, stripe_rows
from simulation.mirror_billing import invoice_rows, stripe_invoices, stripe_subscriptions, subscription_rows
from subscribers import stripe
from system import System
from tallystick.app import Parts, build_parts

__all__ = ["assert_equal_to_stripe", "changes", "events_of", "forward", "parts_of", "unknown_events"]


@asynccontextmanager
async def parts_of(system: System, **changes: Any) -> AsyncIterator[Parts]:
    """A process of the application without its loops."""
    parts = build_parts(system.settings.model_copy(update=changes), system.clock, "test")
    await parts.database.open()
    try:
        yield parts
    finally:
        await parts.close()


async def forward(system: System, by: str) -> None:
    """Move business time while the application is down."""
    await system.sandbox("PUT", "/_sandbox/application", {"url": None})
    await system.sandbox("POST", "/_sandbox/clock/advance", {"by": by})


async def events_of(system: System) -> list[dict[str, Any]]:
    """All events that Stripe lists, newest first."""
    return await everything(system.stripe, "events")


async def unknown_events(system: System) -> set[str]:
    """The events that Stripe lists and the inbox does not have."""
    rows = await system.fetch("SELECT stripe_event_id FROM webhook_events")
    return {event["id"] for event in await events_of(system)} - {row["stripe_event_id"] for row in rows}


async def changes(system: System, customers: list[str], price: str, count: int) -> None:
    """`count` things that somebody does in the dashboard, of six kinds in turn."""
    room = asyncio.Semaphore(8)

    async def one(number: int) -> None:
        customer, kind = customers[number % len(customers)], number // len(customers) % 6
        async with room:
            if kind == 0:
                await stripe(system, f"/v1/customers/{customer}", name=f"Name {number}")
            elif kind == 1:
                await stripe(system, "/v1/subscriptions", customer=customer, items__0__price=price)
            elif kind == 2:
                listed = (await system.stripe(f"/v1/subscriptions?customer={customer}&limit=1"))["data"]
                if listed:
                    await stripe(system, f"/v1/subscriptions/{listed[0]['id']}", metadata__number=number)
            else:
                paid = await stripe(
                    system,
                    "/v1/payment_intents",
                    customer=customer,
                    amount=1000 + number,
                    currency="usd",
                    payment_method="pm_card_visa",
                    confirm="true",
                    automatic_payment_methods__enabled="true",
                    automatic_payment_methods__allow_redirects="never",
                )
                if kind == 4:
                    await stripe(system, "/v1/refunds", payment_intent=paid["id"], amount=500)

    await asyncio.gather(*(one(number) for number in range(count)))


async def assert_equal_to_stripe(system: System) -> None:
    """Every table beside Stripe's lists, field by field."""
    url, get = system.database_url, system.stripe
    assert_same(await mirror_rows(url), await stripe_rows(get, system.settings.installation_id))
    assert_same(await invoice_rows(url), await stripe_invoices(get))
    assert_same(await subscription_rows(url), await stripe_subscriptions(get))
