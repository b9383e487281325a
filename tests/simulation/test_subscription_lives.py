"""Random lives of subscriptions, through the API and the dashboard, with failing cards, leaps of the clock, and
webhooks doubled and shuffled: in the end the mirror is Stripe, and the history leads to what it shows.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from simulation.mirror import assert_same, mirror_rows, stripe_rows
from simulation.mirror_billing import (
    history_leads_to_the_rows,
    invoice_rows,
    stripe_invoices,
    stripe_subscriptions,
    subscription_rows,
)
from simulation.report import LONG, tell
from subscribing import SLOW_CARD, SUBSCRIPTIONS, at_stripe, plan
from system import VERSIONS, Answer, MakeDatabase, System, running_system

USERS = ("ann", "bob", "cid", "dan") if LONG else ("ann", "bob", "cid")
ROUNDS = 40 if LONG else 9
SEEDS = [7, None] if LONG else [None]
CARDS = ("pm_card_visa", "pm_card_mastercard", SLOW_CARD, SLOW_CARD, "pm_card_authenticationRequired")
LEAPS = ("5m", "2h", "25h", "4d", "9d", "32d", "32d", "70d")
FINE = (200, 201, 202, 402, 404, 409, 422)


@pytest_asyncio.fixture(
    scope="module", params=VERSIONS[2:] if LONG else VERSIONS[3:], ids=lambda pair: f"api-{pair[0][:4]}"
)
async def world(request: pytest.FixtureRequest, make_database: MakeDatabase) -> AsyncIterator[System]:
    """The oldest and the newest API version, with webhooks of the other one, and two workers."""
    api, webhooks = request.param
    async with running_system(
        await make_database(), workers=2, api_version=api, webhook_version=webhooks, GRACE_PERIOD_DAYS="5"
    ) as system:
        yield system


@dataclass
class Lives:
    """Some users who change their minds, and what each of them did."""

    system: System
    rng: random.Random
    prices: list[str]
    steps: list[str] = field(default_factory=list)

    async def weather(self, *, shuffled: bool) -> None:
        """How webhooks come from now on."""
        await self.system.sandbox("DELETE", "/_sandbox/faults")
        seed = self.rng.randrange(2**32)
        await self.system.fault(target="webhook", kind="duplicate", times=None, probability=0.5, seed=seed)
        # Not of payments: a charge that comes before its payment waits a minute, until that is fetched.
        for kind in ("customer.*", "invoice*") if shuffled else ():
            await self.system.fault(
                target="webhook", kind="shuffle", type=kind, window_s=0.3, times=None, probability=0.7, seed=seed
            )

    async def step(self, user: str) -> None:
        """Something happens to a user."""
        found = [
            one for one in await at_stripe(self.system, user) if one["status"] not in ("canceled", "incomplete_expired")
        ]
        actions: list[Callable[[str, Any], Awaitable[str]]] = [
            self.through_the_api,
            self.in_the_dashboard,
            self.another_card,
        ]
        if not found:
            actions = [self.subscribe, self.subscribe, self.subscribe_in_the_dashboard]
        elif self.rng.random() < 0.1:
            actions = [self.subscribe_in_the_dashboard]
        action = self.rng.choice(actions)
        done = await action(user, self.rng.choice(found) if found else None)
        self.steps.append(f"{user}: {done}")

    async def subscribe(self, user: str, _: Any) -> str:
        card = self.rng.choice(["pm_card_visa", "pm_card_visa", SLOW_CARD, "pm_card_authenticationRequired"])
        body: dict[str, Any] = {"price": self.rng.choice(self.prices), "quantity": self.rng.randint(1, 3)}
        if self.rng.random() < 0.7:
            body["payment_method"] = card
        if self.rng.random() < 0.5:
            body["trial_period_days"] = self.rng.choice([0, 0, 2, 10])
        return self.fine(f"POST {body}", await self.system.call("POST", SUBSCRIPTIONS, body, user=user))

    async def through_the_api(self, user: str, there: Any) -> str:
        price, quantity = self.rng.choice(self.prices), self.rng.randint(1, 5)
        method, path, body = self.rng.choice(
            [
                ("PUT", "", {"quantity": quantity}),
                ("PUT", "", {"price": price, "proration_behavior": "always_invoice"}),
                ("PUT", "", {"price": price, "proration_behavior": "always_invoice", "only_if_paid": False}),
                ("PUT", "", {"price": price, "quantity": quantity, "when": "period_end"}),
                ("PUT", "", {"cancel_at_period_end": False}),
                ("PUT", "", {"metadata": {"wish": str(quantity)}}),
                ("DELETE", "", {"when": "period_end"}),
                ("DELETE", "", {"when": "now", "reason": "unused"}),
                ("POST", "/pause", {}),
                ("POST", "/resume", {}),
                ("POST", "/resume", {}),
            ]
        )
        address = f"{SUBSCRIPTIONS}/{there['id']}{path}"
        return self.fine(f"{method} {path} {body}", await self.system.call(method, address, body, user=user))

    async def in_the_dashboard(self, _user: str, there: Any) -> str:
        path, item = f"/v1/subscriptions/{there['id']}", there["items"]["data"][0]["id"]
        price, soon = self.rng.choice(self.prices), str(int(self.system.now().timestamp()) + 40 * 3600)
        address, form = self.rng.choice(
            [
                (path, {"items[0][id]": item, "items[0][quantity]": str(self.rng.randint(1, 5))}),
                (path, {"items[0][id]": item, "items[0][price]": price, "proration_behavior": "always_invoice"}),
                (path, {"items[0][price]": price}),
                (path, {"pause_collection[behavior]": "void", "pause_collection[resumes_at]": soon}),
                (path, {"pause_collection[behavior]": "mark_uncollectible"}),
                (path, {"pause_collection": ""}),
                (path, {"cancel_at_period_end": "true", "metadata[by]": "hand"}),
                (path, {"cancel_at": soon}),
                (path, {"cancel_at": ""}),
                (path, {"trial_end": soon}),
                (path, {"trial_end": "now"}),
                (path, {"billing_cycle_anchor": "now"}),
                (f"/v1/invoices/{there['latest_invoice']}/pay", {}),
                (f"/v1/invoices/{there['latest_invoice']}/void", {}),
                (f"{path}/resume", {}),
            ]
        )
        body = await self.system.stripe(address, form)
        return f"dashboard {address} {form}: {body.get('error', {}).get('message', 'done')}"

    async def subscribe_in_the_dashboard(self, user: str, _: Any) -> str:
        customer = await self.customer(user)
        form = {"customer": customer, "items[0][price]": self.rng.choice(self.prices)}
        if self.rng.random() < 0.5:
            form |= {"trial_period_days": "3", "trial_settings[end_behavior][missing_payment_method]": "pause"}
        body = await self.system.stripe("/v1/subscriptions", form)
        return f"dashboard subscribes: {body.get('error', {}).get('message', body.get('status'))}"

    async def another_card(self, user: str, _: Any) -> str:
        customer, card = await self.customer(user), self.rng.choice(CARDS)
        method = await self.system.stripe(f"/v1/payment_methods/{card}/attach", {"customer": customer})
        form = {"invoice_settings[default_payment_method]": method["id"]}
        await self.system.stripe(f"/v1/customers/{customer}", form)
        return f"card {card}"

    async def customer(self, user: str) -> str:
        answer = await self.system.call("POST", "/api/customers", {}, user=user)
        return str(answer.body["stripe_customer_id"])

    def fine(self, what: str, answer: Answer) -> str:
        """A refusal is no failure, but none that is nobody's fault."""
        assert answer.status in FINE, (what, answer.status, answer.body)
        return f"{what}: {answer.status} {answer.body.get('code', answer.body.get('status'))}"


@pytest.mark.timeout(900 if LONG else 180)
@pytest.mark.parametrize("seed", SEEDS)
async def test_lives_end_with_the_mirror_of_stripe(world: System, seed: int | None) -> None:
    chosen = secrets.randbelow(2**32) if seed is None else seed
    tell(f"lives at {world.settings.stripe_api_version}: seed {chosen}")
    lives = Lives(world, random.Random(chosen), [await plan(world, amount) for amount in (500, 1000, 9000)])
    users = [f"{name}-{chosen}-{secrets.token_hex(3)}" for name in USERS]
    try:
        for _ in range(ROUNDS):
            await lives.weather(shuffled=True)
            await asyncio.gather(*(lives.step(user) for user in users))
            if lives.rng.random() < 0.7:
                # The clock moves on when all has settled, so nothing may be held back for a later moment.
                await lives.weather(shuffled=False)
                await world.quiet(60)
                leap = lives.rng.choice(LEAPS)
                lives.steps.append(f"clock: {leap}")
                await world.advance(leap)
        await world.sandbox("DELETE", "/_sandbox/faults")
        await world.advance("10m")
        await world.quiet(60)
        await same_as_stripe(world)
    except BaseException:
        tell("\n".join(lives.steps))
        raise


async def same_as_stripe(system: System) -> None:
    """What must hold whenever all is at rest."""
    assert_same(await subscription_rows(system.database_url), await stripe_subscriptions(system.stripe))
    assert_same(await invoice_rows(system.database_url), await stripe_invoices(system.stripe))
    mirror, stripe = await mirror_rows(system.database_url), await stripe_rows(system.stripe, "default")
    assert_same(mirror, stripe)
    await history_leads_to_the_rows(system.database_url)
    dead = await system.fetch(
        "SELECT event_type, error_message FROM webhook_events WHERE state NOT IN ('processed', 'unhandled')"
    )
    assert dead == []
    assert await system.fetch("SELECT business_key, new_values FROM subscription_history WHERE provisional") == []
