"""One request moves money once, however often and from wherever it is sent at the same time."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest_asyncio

from simulation.mirror import assert_same, everything, mirror_rows, stripe_rows
from simulation.world import another_application
from system import MakeDatabase, System, running_system, token_for, unique

PAY = {"amount": 4200, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
PAYMENTS = "/api/payments/payment-intent"


@dataclass
class Pair:
    """Two API processes' worth of one installation: one database, one Stripe, two addresses."""

    one: System
    other: System

    async def at_once(self, path: str, bodies: Sequence[Any], *, user: str, keys: Sequence[str]) -> list["Raw"]:
        """All requests at the same time, to both addresses in turns."""
        doors = cycle((self.one, self.other))
        return await asyncio.gather(
            *(post(next(doors), path, body, user=user, key=key) for body, key in zip(bodies, keys, strict=True))
        )

    async def fifty(self, path: str, body: Any, *, user: str, key: str) -> "Raw":
        """Fifty times the same request; the one answer that all of them got."""
        # Long enough for all of them to arrive while the first one is at Stripe.
        await self.one.fault(target="api", kind="slow", method="POST", delay_s=0.5, times=1, path="/v1/[pr]*")
        answers = await self.at_once(path, [body] * 50, user=user, keys=[key] * 50)
        assert len(set(answers)) == 1, Counter(answer.status for answer in answers)
        return answers[0]


@dataclass(frozen=True)
class Raw:
    """An answer as it came over the wire."""

    status: int
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


async def post(system: System, path: str, body: Any, *, user: str, key: str) -> Raw:
    """One request. Its request id is fixed, as an error tells it and all else must be the same in every answer."""
    headers = {
        "Authorization": f"Bearer {token_for(user, email=f'{user}@example.com')}",
        "Idempotency-Key": key,
        "X-Request-Id": "the-same-for-all",
    }
    async with system.http.post(system.api_url + path, json=body, headers=headers) as response:
        return Raw(response.status, await response.read())


@pytest_asyncio.fixture(scope="module")
async def pair(make_database: MakeDatabase) -> AsyncIterator[Pair]:
    database = await make_database()
    async with (
        running_system(database, DATABASE_POOL_SIZE="8") as one,
        another_application(one, database, workers=1, DATABASE_POOL_SIZE="8") as other,
    ):
        yield Pair(one, other)
        await one.quiet()
        assert_same(await mirror_rows(database), await stripe_rows(one.stripe, one.settings.installation_id))


async def intents_of(pair: Pair, user: str) -> list[dict[str, Any]]:
    """The user's payment intents at Stripe."""
    intents = await everything(pair.one.stripe, "payment_intents")
    return [intent for intent in intents if intent["metadata"].get("tallystick_user") == user]


async def charges_of(pair: Pair, intent: str) -> list[dict[str, Any]]:
    charges: list[dict[str, Any]] = (await pair.one.stripe(f"/v1/charges?payment_intent={intent}"))["data"]
    return charges


async def paid(pair: Pair, user: str, **changes: Any) -> tuple[str, str]:
    """A payment: our id and Stripe's."""
    answer = await pair.one.call("POST", PAYMENTS, {**PAY, **changes}, user=user)
    assert answer.status == 201, answer
    return answer.body["id"], answer.body["stripe_payment_intent_id"]


async def test_fifty_payments_with_one_key_are_one(pair: Pair) -> None:
    user, key = unique("pay"), unique("key")
    answer = await pair.fifty(PAYMENTS, PAY, user=user, key=key)
    assert (answer.status, answer.body["status"]) == (201, "succeeded")
    (intent,) = await intents_of(pair, user)
    assert intent["id"] == answer.body["stripe_payment_intent_id"]
    assert len(await charges_of(pair, intent["id"])) == 1
    customers = [c for c in await everything(pair.one.stripe, "customers") if c["email"] == f"{user}@example.com"]
    assert [customer["id"] for customer in customers] == [intent["customer"]]
    # And long after, too.
    assert await post(pair.other, PAYMENTS, PAY, user=user, key=key) == answer


async def test_fifty_payments_that_wait_for_the_customer(pair: Pair) -> None:
    """The secret for the browser is never stored, and is in all fifty answers."""
    user, key = unique("secure"), unique("key")
    answer = await pair.fifty(PAYMENTS, PAY | {"payment_method": "pm_card_authenticationRequired"}, user=user, key=key)
    assert (answer.status, answer.body["status"]) == (201, "requires_action")
    (intent,) = await intents_of(pair, user)
    assert answer.body["client_secret"] == intent["client_secret"]
    assert answer.body["next_action"] == intent["next_action"]
    kept = await pair.one.value("SELECT body FROM idempotency_keys WHERE key = $1", key)
    assert intent["client_secret"] not in kept


async def test_fifty_declines_are_one(pair: Pair) -> None:
    user, key = unique("decline"), unique("key")
    body = PAY | {"payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"}
    answer = await pair.fifty(PAYMENTS, body, user=user, key=key)
    assert (answer.status, answer.body["code"]) == (402, "INSUFFICIENT_FUNDS")
    (intent,) = await intents_of(pair, user)
    assert [charge["status"] for charge in await charges_of(pair, intent["id"])] == ["failed"]
    await pair.one.quiet()
    found = await pair.one.fetch("SELECT business_key FROM mails WHERE recipient = $1", f"{user}@example.com")
    assert len(found) == 1
    assert await post(pair.other, PAYMENTS, body, user=user, key=key) == answer


async def test_fifty_confirms_are_one(pair: Pair) -> None:
    user = unique("confirm")
    payment, intent = await paid(pair, user, confirm=False, payment_method=None)
    body = {"payment_method": "pm_card_visa"}
    answer = await pair.fifty(f"{PAYMENTS}/{payment}/confirm", body, user=user, key=unique("key"))
    assert (answer.status, answer.body["status"]) == (200, "succeeded")
    assert len(await charges_of(pair, intent)) == 1


async def test_fifty_captures_are_one(pair: Pair) -> None:
    user = unique("capture")
    payment, intent = await paid(pair, user, capture_method="manual")
    answer = await pair.fifty(f"{PAYMENTS}/{payment}/capture", {"amount": 4000}, user=user, key=unique("key"))
    assert (answer.status, answer.body["amount_received"]) == (200, 4000)
    assert (await pair.one.stripe(f"/v1/payment_intents/{intent}"))["amount_received"] == 4000


async def test_fifty_refunds_are_one(pair: Pair) -> None:
    user = unique("refund")
    payment, intent = await paid(pair, user)
    answer = await pair.fifty(f"{PAYMENTS}/{payment}/refund", {"amount": 1000}, user=user, key=unique("key"))
    assert (answer.status, answer.body["status"], answer.body["amount"]) == (200, "succeeded", 1000)
    refunds = (await pair.one.stripe(f"/v1/refunds?payment_intent={intent}"))["data"]
    assert [refund["amount"] for refund in refunds] == [1000]


async def test_one_key_is_for_one_request(pair: Pair) -> None:
    user, key = unique("reuse"), unique("key")
    payment, _ = await paid(pair, user)
    first = await post(pair.one, PAYMENTS, PAY, user=user, key=key)
    assert first.status == 201
    for path, body in (
        (PAYMENTS, PAY | {"amount": 4300}),
        (PAYMENTS, PAY | {"description": "another"}),
        (f"{PAYMENTS}/{payment}/refund", {}),
        (f"{PAYMENTS}/{payment}/cancel", {}),
    ):
        refused = await post(pair.other, path, body, user=user, key=key)
        assert (refused.status, refused.body["code"]) == (422, "IDEMPOTENCY_KEY_REUSED"), path
    # The order of a body's fields is nothing that tells two requests apart; whose key it is does.
    assert await post(pair.one, PAYMENTS, dict(reversed(PAY.items())), user=user, key=key) == first
    assert (await post(pair.one, PAYMENTS, PAY, user=unique("other"), key=key)).body["id"] != first.body["id"]
    assert len(await intents_of(pair, user)) == 2


async def test_another_body_at_the_same_time(pair: Pair) -> None:
    """Of two different requests that race for one key, exactly one is carried out."""
    user, key = unique("race"), unique("key")
    bodies = [PAY | {"amount": 1000 + number % 2} for number in range(20)]
    answers = await pair.at_once(PAYMENTS, bodies, user=user, keys=[key] * 20)
    assert Counter(answer.status for answer in answers) == {201: 10, 422: 10}
    (intent,) = await intents_of(pair, user)
    assert {answer.body["amount"] for answer in answers if answer.status == 201} == {intent["amount"]}


async def test_one_of_twenty_operations_takes_place(pair: Pair) -> None:
    """Confirms, captures and cancels of one payment at once, each with its own key."""
    user = unique("mixed")
    payment, intent = await paid(pair, user, capture_method="manual")
    await pair.one.fault(target="api", kind="slow", method="POST", delay_s=0.3, times=1, path=f"*{intent}/*")
    actions = [("capture", {}), ("capture", {"amount": 100}), ("cancel", {}), ("confirm", {})] * 5
    doors = cycle((pair.one, pair.other))
    answers = await asyncio.gather(
        *(
            post(next(doors), f"{PAYMENTS}/{payment}/{action}", body, user=user, key=unique("key"))
            for action, body in actions
        )
    )
    done = [answer for answer in answers if answer.status == 200]
    assert len(done) == 1
    refusals = {answer.body["code"] for answer in answers if answer.status != 200}
    assert "OPERATION_IN_PROGRESS" in refusals
    assert refusals <= {
        "OPERATION_IN_PROGRESS", "PAYMENT_NOT_CONFIRMABLE", "PAYMENT_NOT_CAPTURABLE", "PAYMENT_NOT_CANCELABLE",
    }  # fmt: skip
    assert all(answer.status == 409 for answer in answers if answer.status != 200)
    at_stripe = await pair.one.stripe(f"/v1/payment_intents/{intent}")
    assert done[0].body["status"] == at_stripe["status"]
    assert done[0].body["amount_received"] == at_stripe["amount_received"]
    # A loser's key was not used up: its repeat is judged anew, by the state that the winner has left.
    again = await post(pair.one, f"{PAYMENTS}/{payment}/confirm", {}, user=user, key=unique("key"))
    assert (again.status, again.body["code"]) == (409, "PAYMENT_NOT_CONFIRMABLE")


async def test_twenty_confirms_charge_one_card(pair: Pair) -> None:
    user = unique("cards")
    payment, intent = await paid(pair, user, confirm=False, payment_method=None)
    bodies = [{"payment_method": card} for card in ("pm_card_visa", "pm_card_mastercard")] * 10
    keys = [unique("key") for _ in bodies]
    answers = await pair.at_once(f"{PAYMENTS}/{payment}/confirm", bodies, user=user, keys=keys)
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 19}
    assert [charge["status"] for charge in await charges_of(pair, intent)] == ["succeeded"]


async def test_refunds_at_once_never_exceed_what_was_captured(pair: Pair) -> None:
    user = unique("many")
    payment, intent = await paid(pair, user, amount=1000)
    keys = [unique("key") for _ in range(30)]
    answers = await pair.at_once(f"{PAYMENTS}/{payment}/refund", [{"amount": 90}] * 30, user=user, keys=keys)
    assert Counter(answer.status for answer in answers) == {200: 11, 409: 19}
    assert {answer.body["code"] for answer in answers if answer.status == 409} == {"REFUND_EXCEEDS_REMAINING"}
    rest = await pair.at_once(f"{PAYMENTS}/{payment}/refund", [{}] * 5, user=user, keys=[unique("k") for _ in range(5)])
    assert Counter(answer.status for answer in rest) == {200: 1, 409: 4}
    refunds = (await pair.one.stripe(f"/v1/refunds?payment_intent={intent}&limit=100"))["data"]
    assert sum(refund["amount"] for refund in refunds) == 1000
    # It was ours to refuse: what exceeds the rest never gets as far as Stripe.
    seen = (await pair.one.sandbox("GET", "/_sandbox/requests?limit=1000"))["data"]
    assert {
        request["status"] for request in seen if (request["method"], request["path"]) == ("POST", "/v1/refunds")
    } == {200}
    assert (await pair.one.get(payment, user=user))["amount_refunded"] == 1000


async def test_refunds_of_a_partial_capture_never_exceed_it(pair: Pair) -> None:
    user = unique("part")
    payment, intent = await paid(pair, user, capture_method="manual", amount=1000)
    captured = await post(pair.one, f"{PAYMENTS}/{payment}/capture", {"amount": 300}, user=user, key=unique("key"))
    assert captured.status == 200
    bodies = [{"amount": 200}, {"amount": 100}, {"amount": 301}, {}] * 3
    keys = [unique("key") for _ in bodies]
    answers = await pair.at_once(f"{PAYMENTS}/{payment}/refund", bodies, user=user, keys=keys)
    assert {answer.status for answer in answers} == {200, 409}
    assert sum(answer.body["amount"] for answer in answers if answer.status == 200) <= 300
    refunds = (await pair.one.stripe(f"/v1/refunds?payment_intent={intent}&limit=100"))["data"]
    # What was authorised and never captured is listed as a refund, too, but moved no money.
    assert sum(refund["amount"] for refund in refunds if refund["balance_transaction"]) <= 300
