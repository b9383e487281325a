"""Customers are told once of a card that expires, and only where a renewal comes after."""

from datetime import UTC, datetime, timedelta

from subscribers import Subscriber, make_price, stripe, subscriber
from system import System

CARD = "card_expiring"


def expiry(system: System, days: int) -> datetime:
    """The first moment of the month that begins at least so many days from now: until then a card of before holds."""
    month = system.now() + timedelta(days=days + 31)
    return datetime(month.year, month.month, 1, tzinfo=UTC)


async def with_card(system: System, price: str, ends: datetime, *, subscriptions: int = 1) -> Subscriber:
    ann = await subscriber(system, card=None)
    last_month = ends - timedelta(days=1)
    await ann.use_card_until(last_month.month, last_month.year)
    for _ in range(subscriptions):
        await ann.subscribe(price)
    return ann


async def test_one_mail_for_each_card_thirty_days_before(system: System) -> None:
    _, price = await make_price(system)
    ends = expiry(system, 60)
    ann = await with_card(system, price, ends, subscriptions=2)
    await system.advance(to=ends - timedelta(days=30, minutes=1))
    assert await ann.mails(CARD) == []

    await system.advance("2m")
    (mail,) = await ann.mails(CARD)
    last_month = ends - timedelta(days=1)
    assert (mail["state"], mail["exp_month"], mail["exp_year"]) == ("sent", last_month.month, last_month.year)
    assert (mail["card_brand"], mail["card_last4"]) == ("visa", "4242")

    await system.advance(to=ends)
    assert len(await ann.mails(CARD)) == 1


async def test_none_where_the_card_is_replaced_or_renewed_or_the_subscription_ends(system: System) -> None:
    _, price = await make_price(system)
    ends = expiry(system, 60)
    ann, bob, eve = [await with_card(system, price, ends) for _ in range(3)]
    await ann.use_card("pm_card_visa")
    method = await system.stripe(f"/v1/customers/{bob.customer}")
    default = method["invoice_settings"]["default_payment_method"]
    await stripe(system, f"/v1/payment_methods/{default}", card__exp_year=ends.year + 4)
    await eve.change(cancel_at=int((ends - timedelta(days=2)).timestamp()))
    await system.advance(to=ends - timedelta(days=29))

    assert [await who.mails(CARD) for who in (ann, bob, eve)] == [[], [], []]


async def test_a_card_that_comes_late_is_told_of(system: System) -> None:
    _, price = await make_price(system)
    ends = expiry(system, 0)
    ann = await subscriber(system)
    await ann.subscribe(price)
    last_month = ends - timedelta(days=1)
    await system.advance(to=ends - timedelta(days=20))
    await ann.use_card_until(last_month.month, last_month.year)
    await system.quiet()

    assert [mail["exp_month"] for mail in await ann.mails(CARD)] == [last_month.month]


async def test_a_look_that_comes_too_early_is_put_off(system: System) -> None:
    _, price = await make_price(system)
    ends = expiry(system, 60)
    ann = await with_card(system, price, ends)
    own = "kind = 'card.expiring' AND payload ->> 'subscription' = (SELECT id::text FROM subscriptions WHERE {})"
    mine = own.format("stripe_subscription_id = $1")
    await system.fetch(f"UPDATE work SET due_at = $2 WHERE state = 'queued' AND {mine}", ann.id, system.now())
    await system.quiet()

    rows = await system.fetch(f"SELECT due_at FROM work WHERE state = 'queued' AND {mine}", ann.id)
    assert [row["due_at"] for row in rows] == [ends - timedelta(days=30)]
    assert await ann.mails(CARD) == []
