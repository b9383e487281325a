"""A worker that was down for 26 hours charges nobody for it.

The API left writes behind when it was killed. Since then Stripe has forgotten their idempotency keys: sent again, each
would happen a second time, or now for the first time, when nobody waits for it any more. So each is only looked for.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from invoicing import INVOICES, customer, open_invoice
from simulation.mirror import assert_same, everything, mirror_rows, stripe_rows
from simulation.mirror_billing import stripe_subscriptions, subscription_rows
from simulation.subscription_writes import prepared as subscription_write
from simulation.world import stop_deliveries
from simulation.writes import PAYMENTS, prepared
from system import LONG, Answer, MakeDatabase, System, running_system, unique
from tallystick.attempts.service import AttemptService

METHODS = "/api/customers/me/payment-methods"
SUBSCRIPTION_WRITES = ("create", "take_up", "change", "cancel", "cancel_later", "pause", "resume")
PAYMENT_WRITES = ("create", "confirm", "capture", "refund", "cancel")


@dataclass(frozen=True)
class Left:
    """A write that the API has left behind."""

    name: str
    user: str
    key: str
    method: str
    path: str
    body: dict[str, Any] | None

    async def send(self, system: System, key: str | None = None) -> Answer:
        return await system.call(self.method, self.path, self.body, user=self.user, key=key or self.key)

    async def ended(self, system: System) -> str:
        state: str = await system.value(
            "SELECT a.state FROM attempts a JOIN idempotency_keys k ON k.id = a.idempotency_key_id WHERE k.key = $1",
            self.key,
        )
        return state


@pytest_asyncio.fixture
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """Its worker has gone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tallystick.attempts.service._POLL_S", 0.1)
        async with running_system(await make_database(), workers=0, STRIPE_TIMEOUT_S="3") as running:
            yield running


async def ready(system: System) -> list[Left]:
    """One write of every kind that is made at Stripe, ready to be sent; the worker was still there."""
    system.start_worker()
    payments = [await prepared(system, name) for name in PAYMENT_WRITES]
    subscriptions = [await subscription_write(system, name) for name in SUBSCRIPTION_WRITES]
    left = [Left(f"payment {one.name}", one.user, one.key, "POST", one.path, one.body) for one in payments]
    left += [
        Left(f"subscription {one.name}", one.user, one.key, one.method, one.path, one.body) for one in subscriptions
    ]
    others: list[tuple[str, str, Any]] = [
        ("customer create", "/api/customers", {"name": "Ann"}),
        ("setup intent", "/api/customers/me/setup-intents", None),
        ("card", METHODS, {"payment_method": "pm_card_mastercard", "default": True}),
    ]
    for name, path, body in others:
        user = unique("other")
        if name != "customer create":
            await customer(system, user, None)
        left.append(Left(name, user, unique("key"), "POST", path, body))
    user = unique("invoice")
    invoice = await open_invoice(system, await customer(system, user), 1700)
    left.append(Left("invoice pay", user, unique("key"), "POST", f"{INVOICES}/{invoice}/pay", {}))
    await system.quiet(60)
    await system.stop_workers()
    return left


async def killed(system: System, left: list[Left], where: str) -> None:
    """Send them to an API that dies before (`send`) or after (`settle`) Stripe has done it."""

    async def die(*_: Any) -> Any:
        raise RuntimeError("killed by the test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AttemptService, where, die)
        answers = await asyncio.gather(*(one.send(system) for one in left))
    assert {answer.status for answer in answers} == {500}, [
        (one.name, answer.status, answer.body) for one, answer in zip(left, answers, strict=True)
    ]
    for one in left:
        assert await one.ended(system) == "requested", one.name


async def a_day_and_two_hours_pass(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """By both clocks, and Stripe has forgotten the keys of all that was asked of it."""
    monkeypatch.setattr("tallystick.sandbox.idempotency._LIFE_S", -1)
    await system.sandbox("POST", "/_sandbox/clock/advance", {"by": "26h"})
    for table, columns in {
        "attempts": ("sent_at", "lease_until"),
        "idempotency_keys": ("created_at",),
        "users": ("customer_requested_at",),
    }.items():
        moved = ", ".join(f"{column} = {column} - interval '26 hours'" for column in columns)
        await system.fetch(f"UPDATE {table} SET {moved}")


async def silence(system: System) -> None:
    """No event reaches us any more, neither as a webhook nor by Stripe's list."""
    await stop_deliveries(system)
    await system.fault(target="api", kind="status", status=500, method="GET", path="/v1/events", times=None)


async def money_and_writes(system: System) -> tuple[dict[str, Any], int]:
    """All that was ever charged or paid back, and how many requests to do something Stripe has seen."""
    charges = {one["id"]: (one["status"], one["amount_captured"], one["amount_refunded"])
               for one in await everything(system.stripe, "charges")}  # fmt: skip
    seen = (await system.sandbox("GET", "/_sandbox/requests?limit=1000"))["data"]
    return charges, sum(1 for request in seen if request["method"] != "GET")


CASES = [("send", True), ("settle", False), ("send", False), ("settle", True)]


@pytest.mark.parametrize(("where", "told"), CASES if LONG else CASES[:2])
async def test_nobody_is_charged_for_it(
    system: System, where: str, monkeypatch: pytest.MonkeyPatch, *, told: bool
) -> None:
    left = await ready(system)
    if not told:
        await silence(system)
    await killed(system, left, where)
    await a_day_and_two_hours_pass(system, monkeypatch)
    before = await money_and_writes(system)
    system.start_worker()
    system.start_worker()
    await system.quiet(60)
    assert await money_and_writes(system) == before, "the worker has done something at Stripe"

    expected = "abandoned" if where == "send" else "succeeded"
    ended = {one.name: await one.ended(system) for one in left}
    assert {name: state for name, state in ended.items() if state != expected} == {}
    for one in left:
        answer = await one.send(system)
        if where == "send":
            assert (answer.status, answer.code) == (409, "ATTEMPT_ABANDONED"), one.name
        else:
            assert answer.status in (200, 201), (one.name, answer)
    assert await money_and_writes(system) == before, "a repeat has done something at Stripe"
    if told:
        await assert_true(system)


async def assert_true(system: System) -> None:
    await system.quiet(60)
    await system.fetch("DELETE FROM refunds WHERE status = 'abandoned'")
    await system.fetch("DELETE FROM payments WHERE status = 'abandoned'")
    assert_same(
        await mirror_rows(system.database_url), await stripe_rows(system.stripe, system.settings.installation_id)
    )
    assert_same(await subscription_rows(system.database_url), await stripe_subscriptions(system.stripe))


async def test_a_customer_whose_making_was_lost_is_found_and_not_made_again(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line broke behind the first of its two calls, and no webhook told of it."""
    user = unique("lost")
    await stop_deliveries(system)
    # The index of Stripe's search lags by a minute at most, which has passed by then.
    await system.sandbox("POST", "/_sandbox/settings", {"search_lag_s": 0})
    await system.fault(target="api", kind="cut", method="POST", path="/v1/customers", when="after", times=None)
    left = Left("customer create", user, unique("key"), "POST", "/api/customers", {"name": "Ann"})
    assert (await left.send(system)).status == 202
    await system.sandbox("DELETE", "/_sandbox/faults")
    await silence(system)
    await a_day_and_two_hours_pass(system, monkeypatch)
    system.start_worker()
    await system.quiet(60)
    assert await left.ended(system) == "abandoned"
    assert (await left.send(system, unique("another"))).status == 201
    assert (await system.pay(user=user)).status == 201
    customers = await everything(system.stripe, "customers")
    assert [one["name"] for one in customers if one["metadata"].get("tallystick_user") == user] == ["Ann"]


async def test_one_among_many_is_not_overlooked(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the worker was away the customer has paid more often than fits on a page of Stripe's list."""
    write = await prepared(system, "create")
    left = Left("payment create", write.user, write.key, "POST", PAYMENTS, write.body)
    await silence(system)
    await killed(system, [left], "settle")
    owner = await system.value("SELECT stripe_customer_id FROM users WHERE external_id = $1", write.user)
    form = {"amount": "500", "currency": "usd", "customer": owner}
    for _ in range(101):
        assert "error" not in await system.stripe("/v1/payment_intents", form)
    await a_day_and_two_hours_pass(system, monkeypatch)
    system.start_worker()
    await system.quiet(60)
    assert await left.ended(system) == "succeeded"
