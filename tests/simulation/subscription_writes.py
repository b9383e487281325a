"""The writes on subscriptions, each ready to be sent over a line that breaks, and what must be true of it at last."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from simulation.mirror import assert_same
from simulation.mirror_billing import stripe_subscriptions, subscription_rows
from simulation.writes import hurry
from subscribing import SLOW_CARD, SUBSCRIPTIONS, at_stripe, create, plan, post, subscribed
from system import Answer, System, unique

__all__ = ["WRITES", "Write", "assert_quiet_and_true", "prepared", "repeat_until_final"]

WRITES = ("create", "take_up", "change", "cancel", "cancel_later", "pause", "unpause", "resume")


@dataclass(frozen=True)
class Write:
    """One write of the API, ready to be sent; `stripe_path` is where it takes effect."""

    name: str
    user: str
    key: str
    method: str
    path: str
    body: dict[str, Any] | None
    stripe_method: str
    stripe_path: str

    async def send(self, system: System, key: str | None = None) -> Answer:
        return await system.call(self.method, self.path, self.body, user=self.user, key=key or self.key)

    async def effects(self, system: System) -> int:
        """How often Stripe shows that this took place."""
        found = await at_stripe(system, self.user)
        if self.name == "create":
            return len(found)
        (there,) = found
        shown = {
            "take_up": there["status"] == "active",
            "change": there["items"]["data"][0]["quantity"] == 5,
            "cancel": there["status"] == "canceled",
            "cancel_later": there["cancel_at_period_end"],
            "pause": there["pause_collection"] is not None,
            "unpause": there["pause_collection"] is None,
            "resume": there["status"] == "active",
        }
        invoices = (await system.stripe(f"/v1/invoices?subscription={there['id']}&status=paid"))["data"]
        paid = sum(1 for invoice in invoices if invoice["amount_paid"])
        assert paid <= (2 if self.name == "change" else 1), "paid twice"
        return int(shown[self.name])

    async def ended(self, system: System) -> str:
        """The state of its attempt."""
        state: str = await system.value(
            "SELECT a.state FROM attempts a JOIN idempotency_keys k ON k.id = a.idempotency_key_id WHERE k.key = $1",
            self.key,
        )
        return state

    async def break_line(self, system: System, when: str) -> None:
        await system.fault(
            target="api", kind="cut", method=self.stripe_method, path=self.stripe_path, when=when, times=None
        )

    async def sent(self, system: System) -> int:
        """How many requests of this kind the sandbox has seen of late."""
        seen = (await system.sandbox("GET", "/_sandbox/requests?limit=1000"))["data"]
        where = (self.stripe_method, self.stripe_path)
        return sum(1 for request in seen if (request["method"], request["path"]) == where)


async def prepared(system: System, name: str) -> Write:
    """A write that can be sent now."""
    user, price = unique(name), await plan(system)
    if name == "create":
        assert (await system.call("POST", "/api/customers", {}, user=user)).status == 201
        body = {"price": price, "payment_method": "pm_card_visa", "trial_period_days": 0}
        return Write(name, user, unique("key"), "POST", SUBSCRIPTIONS, body, "POST", "/v1/subscriptions")
    if name == "take_up":
        left = await create(system, user, price, payment_method=SLOW_CARD)
        invoice = left.body["subscription"]["latest_invoice_id"]
        intents = (await system.stripe("/v1/payment_intents?limit=100"))["data"]
        (there,) = await at_stripe(system, user)
        intent = next(item["id"] for item in intents if item["customer"] == there["customer"])
        assert invoice
        body = {"price": price, "payment_method": "pm_card_visa", "trial_period_days": 0}
        path = f"/v1/payment_intents/{intent}/confirm"
        return Write(name, user, unique("key"), "POST", SUBSCRIPTIONS, body, "POST", path)
    made = await _running(system, name, user, price)
    url, path = f"{SUBSCRIPTIONS}/{made['id']}", f"/v1/subscriptions/{made['stripe_subscription_id']}"
    change = {"quantity": 5, "proration_behavior": "always_invoice", "metadata": {"size": "five"}}
    calls: dict[str, tuple[str, str, dict[str, Any] | None, str, str]] = {
        "change": ("PUT", url, change, "POST", path),
        "cancel": ("DELETE", url, {"when": "now"}, "DELETE", path),
        "cancel_later": ("DELETE", url, None, "POST", path),
        "pause": ("POST", f"{url}/pause", None, "POST", path),
        "unpause": ("POST", f"{url}/resume", None, "POST", path),
        "resume": ("POST", f"{url}/resume", None, "POST", f"{path}/resume"),
    }
    return Write(name, user, unique("key"), *calls[name])


async def _running(system: System, name: str, user: str, price: str) -> Any:
    if name != "resume":
        made = await subscribed(system, user, price)
        if name == "unpause":
            paused = await system.call("POST", f"{SUBSCRIPTIONS}/{made['id']}/pause", user=user)
            assert paused.status == 200, paused.body
        return made
    made = (await create(system, user, price, trial_period_days=10)).body
    path = f"/v1/subscriptions/{made['stripe_subscription_id']}"
    await post(system, path, **{"trial_settings[end_behavior][missing_payment_method]": "pause"})
    await post(system, path, trial_end="now")
    body = {"payment_method": "pm_card_visa", "default": True}
    assert (await system.call("POST", "/api/customers/me/payment-methods", body, user=user)).status == 200
    # Asked by the API itself, as no worker may run yet.
    assert (await system.call("GET", f"{SUBSCRIPTIONS}/{made['id']}/upcoming-invoice", user=user)).status == 409
    return made


async def repeat_until_final(system: System, write: Write, timeout_s: float = 45) -> Answer:
    """Repeat as a client does, until the answer is neither "not known yet" nor "later"."""
    ends = time.monotonic() + timeout_s
    while True:
        answer = await write.send(system)
        if answer.status not in (202, 500, 503) and answer.body.get("code") != "IDEMPOTENCY_KEY_IN_PROGRESS":
            return answer
        assert time.monotonic() < ends, answer
        await hurry(system)
        await asyncio.sleep(0.3)


async def assert_quiet_and_true(system: System) -> None:
    """All is settled, and our subscriptions are Stripe's."""
    await system.quiet(60)
    assert_same(await subscription_rows(system.database_url), await stripe_subscriptions(system.stripe))
    assert not await system.fetch("SELECT * FROM idempotency_keys WHERE state = 'in_progress'")
