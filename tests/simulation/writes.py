"""The five writes of the API, each ready to be sent over a line that breaks, and what must be true of it at last."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from simulation.mirror import assert_same, mirror_rows, stripe_rows
from system import Answer, System, unique

__all__ = [
    "FAULTS",
    "PAY",
    "PAYMENTS",
    "WRITES",
    "Write",
    "assert_quiet_and_true",
    "assert_settled",
    "break_line",
    "ended",
    "hurry",
    "mend",
    "posts",
    "prepared",
    "repeat_until_final",
    "writes",
]

PAY = {"amount": 4200, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
PAYMENTS = "/api/payments/payment-intent"
WRITES = ("create", "confirm", "capture", "refund", "cancel")
FAULTS: dict[str, dict[str, Any]] = {
    "cut": {"kind": "cut"},
    "hang": {"kind": "hang"},
    "500": {"kind": "status", "status": 500},
    "garbage": {"kind": "garbage"},
    "429": {"kind": "status", "status": 429},
}


@dataclass(frozen=True)
class Write:
    """One write of the API, ready to be sent, and what of it must be found at Stripe once it is done."""

    name: str
    user: str
    key: str
    path: str
    body: dict[str, Any]
    stripe_path: str
    intent: str | None

    async def send(self, system: System) -> Answer:
        return await system.call("POST", self.path, self.body, user=self.user, key=self.key)

    async def effects(self, system: System) -> int:
        """How often Stripe shows that this took place."""
        if self.name == "create":
            found = (await system.stripe("/v1/payment_intents?limit=100"))["data"]
            return sum(
                1 for intent in found
                if intent["metadata"].get("tallystick_user") == self.user and intent["status"] == "succeeded"
            )  # fmt: skip
        if self.name == "refund":
            return len((await system.stripe(f"/v1/refunds?payment_intent={self.intent}"))["data"])
        if self.name == "confirm":
            return len((await system.stripe(f"/v1/charges?payment_intent={self.intent}"))["data"])
        intent = await system.stripe(f"/v1/payment_intents/{self.intent}")
        return int(intent["status"] == ("succeeded" if self.name == "capture" else "canceled"))


async def writes(system: System) -> list[Write]:
    """One of each, on payments of their own."""
    return [await prepared(system, name) for name in WRITES]


async def prepared(system: System, name: str, **changes: Any) -> Write:
    """A write that can be sent now; `changes` go into its body."""
    user = unique(name)
    if name == "create":
        # The user's customer is there already: what is broken here is the payment.
        assert (await system.call("POST", PAYMENTS, {"amount": 900, "currency": "usd"}, user=user)).status == 201
        return Write(name, user, unique("key"), PAYMENTS, PAY | changes, "/v1/payment_intents", None)
    first: dict[str, dict[str, Any]] = {
        "confirm": {"amount": 4200, "currency": "usd"},
        "capture": PAY | {"capture_method": "manual"},
        "refund": PAY,
        "cancel": {"amount": 4200, "currency": "usd"},
    }
    body: dict[str, dict[str, Any]] = {"confirm": {"payment_method": "pm_card_visa"}, "refund": {"amount": 4200}}
    made = await system.call("POST", PAYMENTS, first[name], user=user)
    assert made.status == 201, made
    intent = made.body["stripe_payment_intent_id"]
    return Write(
        name, user, unique("key"), f"{PAYMENTS}/{made.body['id']}/{name}", body.get(name, {}) | changes,
        "/v1/refunds" if name == "refund" else f"/v1/payment_intents/{intent}/{name}", intent,
    )  # fmt: skip


async def break_line(system: System, write: Write, when: str, fault: str, times: int | None = None) -> None:
    await system.fault(target="api", method="POST", path=write.stripe_path, when=when, times=times, **FAULTS[fault])


async def posts(system: System, write: Write) -> int:
    """How many POSTs of this kind and payment the sandbox has seen of late."""
    seen = (await system.sandbox("GET", "/_sandbox/requests?limit=1000"))["data"]
    return sum(1 for request in seen if request["method"] == "POST" and request["path"] == write.stripe_path)


async def ended(system: System, write: Write) -> str:
    """The state of the write's attempt."""
    state: str = await system.value(
        "SELECT a.state FROM attempts a JOIN idempotency_keys k ON k.id = a.idempotency_key_id WHERE k.key = $1",
        write.key,
    )
    return state


async def mend(system: System) -> None:
    await system.sandbox("DELETE", "/_sandbox/faults")


async def hurry(system: System) -> None:
    """Let the leases of all open attempts run out now: the worker need not wait for them."""
    await system.fetch(
        "UPDATE attempts SET lease_until = now() - interval '1 second' WHERE id IN (SELECT id FROM attempts"
        " WHERE state IN ('requested', 'unknown') FOR UPDATE SKIP LOCKED)"
    )


async def repeat_until_final(system: System, write: Write, timeout_s: float = 45) -> Answer:
    """Repeat as a client does, until the answer is neither "not known yet" nor "later"."""
    ends = time.monotonic() + timeout_s
    while True:
        answer = await write.send(system)
        if answer.status not in (202, 503) and answer.body.get("code") != "IDEMPOTENCY_KEY_IN_PROGRESS":
            return answer
        assert time.monotonic() < ends, answer
        await hurry(system)
        await asyncio.sleep(0.3)


async def assert_settled(system: System, write: Write, first: Answer) -> None:
    """Stripe shows the write once, our record is equal to it, and a repeat gets the same answer again."""
    assert first.status in (200, 201), (write.name, first)
    assert await write.effects(system) == 1, write.name
    again = await write.send(system)
    assert (again.status, again.body) == (first.status, first.body), write.name


async def assert_quiet_and_true(system: System) -> None:
    await system.quiet(60)
    # What was turned away several times is sent again in hours; nobody waits for that here.
    for event in (await system.stripe("/v1/events?delivery_success=false&limit=100"))["data"]:
        await system.sandbox("POST", f"/_sandbox/events/{event['id']}/resend", {})
    await system.quiet(60)
    assert_same(
        await mirror_rows(system.database_url), await stripe_rows(system.stripe, system.settings.installation_id)
    )
    states = await system.fetch("SELECT DISTINCT state FROM attempts WHERE state NOT IN ('succeeded', 'declined')")
    assert not states
    assert not await system.fetch("SELECT * FROM idempotency_keys WHERE state = 'in_progress'")
