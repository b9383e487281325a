"""A key that was forgotten here, or by the parameters that it stands for: nobody pays or is refunded by another's."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from simulation.writes import PAY, PAYMENTS, mend, posts, prepared, repeat_until_final
from system import MakeDatabase, System, running_system, unique
from tallystick.core.clock import SharedClock
from tallystick.core.points import Point, listening
from tallystick.payments.service_drafts import Drafts


@pytest_asyncio.fixture
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tallystick.attempts.service._POLL_S", 0.1)
        async with running_system(await make_database(), workers=0, STRIPE_TIMEOUT_S="1") as running:
            yield running


async def two_payments(system: System, user: str) -> tuple[dict[str, str], dict[str, str]]:
    made = [await system.call("POST", PAYMENTS, PAY, user=user) for _ in range(2)]
    assert [one.status for one in made] == [201, 201]
    return made[0].body, made[1].body


async def refunds(system: System, payment: dict[str, str]) -> list[int]:
    """The refunds of a payment at Stripe."""
    found = await system.stripe(f"/v1/refunds?payment_intent={payment['stripe_payment_intent_id']}")
    return [refund["amount"] for refund in found["data"]]


async def test_a_forgotten_key_of_a_refund_is_not_another_refunds(system: System) -> None:
    user, key = unique("forgotten"), unique("key")
    one, other = await two_payments(system, user)
    done = await system.call("POST", f"{PAYMENTS}/{one['id']}/refund", {"amount": 100}, user=user, key=key)
    assert done.status == 200
    await system.fetch("DELETE FROM idempotency_keys WHERE key = $1", key)
    refused = await system.call("POST", f"{PAYMENTS}/{other['id']}/refund", {"amount": 4200}, user=user, key=key)
    assert (refused.status, refused.code) == (409, "IDEMPOTENCY_KEY_EXPIRED"), refused.body
    assert refused.body["refund_id"] == done.body["id"]
    assert (await refunds(system, one), await refunds(system, other)) == ([100], [])


async def test_a_forgotten_key_of_a_refund_that_was_given_up(system: System) -> None:
    """Its amount belongs to a payment that has nothing to do with the one that is named now."""
    user, key = unique("given-up"), unique("key")
    one, other = await two_payments(system, user)
    await system.fault(target="api", method="POST", path="/v1/refunds", when="before", times=None, kind="cut")
    unsure = await system.call("POST", f"{PAYMENTS}/{one['id']}/refund", {"amount": 4000}, user=user, key=key)
    assert unsure.status == 202
    await mend(system)
    await system.fetch(
        "UPDATE attempts SET sent_at = sent_at - interval '15 minutes', lease_until = now() - interval '1 second'"
        " WHERE state = 'unknown'"
    )
    system.start_worker()
    await system.quiet(60)
    assert await system.value("SELECT status FROM refunds") == "abandoned"
    await system.fetch("DELETE FROM idempotency_keys WHERE key = $1", key)
    refused = await system.call("POST", f"{PAYMENTS}/{other['id']}/refund", {"amount": 100}, user=user, key=key)
    assert (refused.status, refused.code) == (409, "IDEMPOTENCY_KEY_EXPIRED"), refused.body
    assert (await refunds(system, one), await refunds(system, other)) == ([], [])


@pytest.mark.parametrize("hours_ago", [0, 20, 24 * 10])
async def test_that_stripe_knows_the_key_of_other_parameters_is_no_refusal(
    system: System, monkeypatch: pytest.MonkeyPatch, hours_ago: int
) -> None:
    """A restored database repeats, after a release or under settings that write the request otherwise."""
    write = await prepared(system, "create")
    first = await write.send(system)
    assert first.status == 201
    for table in ("attempts", "idempotency_keys", "webhook_events", "charges", "payments"):
        await system.fetch(f"DELETE FROM {table}")
    wall = SharedClock.wall
    monkeypatch.setattr(SharedClock, "wall", lambda clock: wall(clock) + timedelta(hours=hours_ago))
    monkeypatch.setattr(Drafts, "return_url", property(lambda _: "https://another.example/return"))
    assert (await write.send(system)).status == 202
    sent = await posts(system, write)
    system.start_worker()
    again = await repeat_until_final(system, write)
    assert (again.status, again.body["id"], again.body["status"]) == (201, first.body["id"], "succeeded")
    assert await write.effects(system) == 1
    assert await posts(system, write) <= sent + 1
    assert await system.value("SELECT count(*) FROM attempts WHERE state = 'succeeded'") == 1


async def test_a_customer_that_was_deleted_while_its_maker_stood_still_is_nobodys(system: System) -> None:
    user, stood = unique("slow"), False

    async def stand_still(point: Point) -> None:
        nonlocal stood
        if stood or point != "stripe.after":
            return
        stood = True
        system.start_worker()
        assert (await system.call("POST", "/api/customers", {"name": "Ann"}, user=user)).status == 201
        assert (await system.call("DELETE", "/api/customers/me", user=user)).status == 200
        await system.quiet(30)

    with listening(stand_still):
        assert (await system.call("POST", PAYMENTS, PAY, user=user)).status == 201
    await system.quiet(30)
    assert stood
    assert (await system.call("POST", PAYMENTS, PAY, user=user)).status == 201
    row = (
        await system.fetch("SELECT stripe_customer_id, customer_generation FROM users WHERE external_id = $1", user)
    )[0]
    shown = await system.stripe(f"/v1/customers/{row['stripe_customer_id']}")
    assert (shown.get("deleted"), row["customer_generation"]) == (None, 1)


async def test_a_customer_whose_key_is_too_old_is_made_all_the_same(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe was away when it was asked for first, and the user came back a day later. (Seed 91.)"""
    user = unique("late")
    await system.fault(target="api", method="POST", path="/v1/customers", when="before", times=None, kind="cut")
    assert (await system.call("POST", PAYMENTS, PAY, user=user)).status == 503
    await mend(system)
    wall = SharedClock.wall
    monkeypatch.setattr(SharedClock, "wall", lambda clock: wall(clock) + timedelta(hours=25))
    assert (await system.call("POST", PAYMENTS, PAY, user=user)).status == 201
    assert len((await system.stripe(f"/v1/customers?email={user}@example.com"))["data"]) == 1
