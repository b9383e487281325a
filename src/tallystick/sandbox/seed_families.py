"""Families of objects for a big account: each made once by the sandbox's own handlers, and then taken back.

A family is a customer with all that hangs on it. Its objects are as the sandbox makes them, so copies of them with
other ids and times are whole, too.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tallystick.sandbox.context import Context
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.resources import (
    customers,
    payment_intents,
    payment_methods,
    prices,
    products,
    refunds,
    setup_intents,
    subscriptions,
)
from tallystick.sandbox.shapes import Json

__all__ = ["EMAIL", "Family", "make_catalogue", "make_families"]

EMAIL = "seeded-customer@example.com"
"""Stands in every family for the address of its customer."""

_CARDS: Json = {"payment_method_types": ["card"]}
_PLANS = (("Basic", 900), ("Team", 2900), ("Business", 9900))


@dataclass(frozen=True, slots=True)
class Family:
    """The bodies (JSON) of a family's objects in the order of their making, with their ids, and all their notes.

    `current`: it holds something that goes on, so it should not be old.
    """

    bodies: list[bytes]
    ids: list[str]
    notes: list[tuple[str, str, str]]
    created: int
    current: bool


def make_catalogue(ctx: Context) -> list[str]:
    """Products with a monthly price each; the prices' ids."""
    found = []
    for name, amount in _PLANS:
        product = products.create(ctx, {"name": name})
        recurring: Json = {"interval": "month"}
        data: Json = {"product": product["id"], "currency": "usd", "unit_amount": amount, "recurring": recurring}
        found.append(str(prices.create(ctx, data)["id"]))
    return found


def make_families(engine: Engine, price_ids: list[str]) -> list[Family]:
    """One family of each sort."""
    sorts: list[tuple[Callable[[Context, str], None], bool]] = [
        (_buyer, False),
        (_waiting, False),
        (_refunded, False),
        (_saved, False),
        (_former(price_ids[0]), False),
        *((_subscriber(price), True) for price in price_ids),
    ]
    return [_take(engine, make, current=current) for make, current in sorts]


def _take(engine: Engine, make: Callable[[Context, str], None], *, current: bool) -> Family:
    """The objects that `make` makes; nothing of it stays."""
    with engine.unit() as unit:
        # All of one second: copies are to rise in time as they rise in their place, or lists by time leave some out.
        ctx = replace(unit, moment=engine.clock.unix())
        store = ctx.store
        with store.undone():
            last = store.execute("SELECT coalesce(max(seq), 0) FROM objects").fetchone()[0]
            make(ctx, str(customers.create(ctx, {"email": EMAIL, "name": "Sam Seed"})["id"]))
            ctx.follow_up()
            rows = store.execute(
                "SELECT id, body FROM objects WHERE seq > ? AND object <> 'event' AND NOT deleted ORDER BY seq", last
            ).fetchall()
            ids = [row[0] for row in rows]
            notes = [
                (object_id, name, value)
                for object_id in ids
                for name, value in store.execute("SELECT name, value FROM notes WHERE id = ?", object_id).fetchall()
            ]
            created = ctx.now
        engine.events.discard()
    return Family([row[1] for row in rows], ids, notes, created, current)


def _card(ctx: Context, customer_id: str, card: str = "pm_card_visa") -> str:
    method = str(payment_methods.attach(ctx, {"customer": customer_id}, card)["id"])
    customers.update(ctx, {"invoice_settings": {"default_payment_method": method}}, customer_id)
    return method


def _pay(ctx: Context, customer_id: str, method: str, amount: int) -> Json:
    data: Json = {"amount": amount, "currency": "usd", "customer": customer_id, "payment_method": method}
    return payment_intents.create(ctx, {**data, **_CARDS, "confirm": True, "off_session": True})


def _buyer(ctx: Context, customer_id: str) -> None:
    method = _card(ctx, customer_id)
    for amount in (2500, 4900):
        _pay(ctx, customer_id, method, amount)


def _waiting(ctx: Context, customer_id: str) -> None:
    data: Json = {"amount": 1900, "currency": "usd", "customer": customer_id}
    payment_intents.create(ctx, {**data, **_CARDS})
    _pay(ctx, customer_id, _card(ctx, customer_id), 1900)


def _refunded(ctx: Context, customer_id: str) -> None:
    intent = _pay(ctx, customer_id, _card(ctx, customer_id), 5000)
    refunds.create(ctx, {"payment_intent": intent["id"], "amount": 2000})


def _saved(ctx: Context, customer_id: str) -> None:
    method = _card(ctx, customer_id)
    data: Json = {"customer": customer_id, "payment_method": method, "confirm": True, "usage": "off_session"}
    setup_intents.create(ctx, {**data, **_CARDS})


def _subscriber(price_id: str) -> Callable[[Context, str], None]:
    def make(ctx: Context, customer_id: str) -> None:
        _card(ctx, customer_id)
        subscriptions.create(ctx, {"customer": customer_id, "items": [{"price": price_id}]})

    return make


def _former(price_id: str) -> Callable[[Context, str], None]:
    def make(ctx: Context, customer_id: str) -> None:
        _card(ctx, customer_id)
        made = subscriptions.create(ctx, {"customer": customer_id, "items": [{"price": price_id}]})
        ctx.follow_up()
        subscriptions.cancel(ctx, {}, made["id"])

    return make
