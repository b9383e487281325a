"""Everything that may happen, by name."""

from datetime import timedelta

import aiohttp

from tallystick.simulation.acting import Acting, Action
from tallystick.simulation.actions_payments import PAYMENT_ACTIONS
from tallystick.simulation.actions_subscriptions import SUBSCRIPTION_ACTIONS

__all__ = ["ACTIONS"]

_METHODS = "/api/customers/me/payment-methods"
_SPANS = {
    "a minute": timedelta(minutes=1),
    "an hour": timedelta(hours=1),
    "a day": timedelta(hours=25),
    "five days": timedelta(days=5),
    "a month": timedelta(days=32),
    "a quarter": timedelta(days=95),
}
_CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_chargeCustomerFail")


async def _attach(it: Acting) -> str:
    body = {"payment_method": it.rng.choice(_CARDS), "default": it.rng.random() < 0.6}
    return await it.order("attach", "POST", _METHODS, body)


async def _methods(it: Acting) -> list[str]:
    try:
        found = await it.world.call("GET", _METHODS, user=it.user)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return []
    return [one["id"] for one in found.body["data"]] if found.status == 200 else []


async def _detach(it: Acting) -> str:
    known = await _methods(it)
    return await it.order("detach", "DELETE", f"{_METHODS}/{it.rng.choice(known)}") if known else "no card"


async def _make_default(it: Acting) -> str:
    known = await _methods(it)
    return await it.order("default", "POST", f"{_METHODS}/{it.rng.choice(known)}/default") if known else "no card"


async def _name(it: Acting) -> str:
    return await it.order("name", "POST", "/api/customers", {"name": f"{it.user.title()} the {it.rng.randint(1, 9)}th"})


async def _delete(it: Acting) -> str:
    return await it.order("delete customer", "DELETE", "/api/customers/me")


async def _look(it: Acting) -> str:
    path = it.rng.choice(("/api/payments/history", "/api/subscriptions", "/api/invoices", "/api/customers/me"))
    try:
        found = await it.world.call("GET", path, user=it.user)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return f"GET {path}: no answer"
    return f"GET {path}: {found.status}"


async def _pass_time(it: Acting) -> str:
    name = it.rng.choices(list(_SPANS), (3, 3, 4, 3, 3, 1))[0]
    punctual = it.rng.random() < 0.3
    moments = await it.world.pass_time(_SPANS[name], punctual=punctual)
    return f"{name} passes{' in order' if punctual else ''}, with {moments} moments at Stripe"


ACTIONS: dict[str, Action] = {
    **PAYMENT_ACTIONS,
    **SUBSCRIPTION_ACTIONS,
    "attach a card": Action(4, _attach),
    "detach a card": Action(2, _detach),
    "make a card the default": Action(2, _make_default),
    "tell the name": Action(2, _name),
    "delete the customer": Action(1, _delete),
    "look": Action(3, _look),
    "time passes": Action(9, _pass_time, alone=True),
}
