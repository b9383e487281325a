"""What happens to subscriptions elsewhere (in the dashboard, by time) is mirrored here, with its history."""

import json
from typing import Any

from simulation.mirror import assert_same
from simulation.mirror_billing import stripe_subscriptions, subscription_rows
from system import EVERY_VERSION, System, unique

pytestmark = EVERY_VERSION

DECLINES_LATER = "pm_card_chargeCustomerFail"


async def dashboard(system: System, path: str, **form: Any) -> Any:
    """A request to Stripe that is not ours and must not fail; `items[0][price]` is written `items__0__price`."""
    data = {}
    for name, value in form.items():
        first, *rest = name.split("__")
        data[first + "".join(f"[{part}]" for part in rest)] = str(value)
    body = await system.stripe(path, data)
    assert "error" not in body, body
    return body


async def remove(system: System, path: str) -> None:
    headers = {"Authorization": "Bearer sk_test_system"}
    async with system.http.delete(system.sandbox_url + path, headers=headers) as response:
        assert response.status == 200, await response.text()


async def price(system: System, amount: int = 1000, name: str = "Gold") -> str:
    product = await dashboard(system, "/v1/products", name=name)
    form = {"product": product["id"], "currency": "usd", "unit_amount": amount, "recurring__interval": "month"}
    return str((await dashboard(system, "/v1/prices", **form))["id"])


async def customer(system: System, user: str, card: str = "pm_card_visa") -> str:
    made = await system.call("POST", "/api/customers", {}, user=user)
    await use_card(system, made.body["stripe_customer_id"], card)
    return str(made.body["stripe_customer_id"])


async def use_card(system: System, customer_id: str, card: str) -> str:
    method = await dashboard(system, f"/v1/payment_methods/{card}/attach", customer=customer_id)
    await dashboard(system, f"/v1/customers/{customer_id}", invoice_settings__default_payment_method=method["id"])
    return str(method["id"])


async def subscribe(system: System, customer_id: str, price_id: str, **form: Any) -> Any:
    return await dashboard(system, "/v1/subscriptions", customer=customer_id, items__0__price=price_id, **form)


async def history(system: System, stripe_id: str) -> list[Any]:
    """The changes of a subscription, oldest first."""
    rows = await system.fetch(
        """
        SELECT h.* FROM subscription_history h JOIN subscriptions s ON s.id = h.subscription_id
        WHERE s.stripe_subscription_id = $1 ORDER BY performed_at, h.id
        """,
        stripe_id,
    )
    return [
        {**row, **{name: json.loads(row[name]) if row[name] else None for name in ("old_values", "new_values")}}
        for row in rows
    ]


async def mails(system: System, user: str) -> list[str]:
    rows = await system.fetch(
        "SELECT template FROM mails JOIN users u ON u.id = user_id WHERE external_id = $1 ORDER BY mails.created_at",
        user,
    )
    return [row["template"] for row in rows if row["template"].startswith(("subscription", "trial"))]


async def told(system: System, stripe_id: str) -> list[str]:
    """The types of the facts told about a subscription, in their order."""
    rows = await system.fetch(
        """
        SELECT type FROM outbound_facts
        WHERE type LIKE 'subscription.%' AND data #>> '{subscription,stripe_subscription_id}' = $1
        ORDER BY occurred_at, created_at
        """,
        stripe_id,
    )
    return [row["type"].removeprefix("subscription.") for row in rows]


async def row_of(system: System, stripe_id: str) -> Any:
    rows = await system.fetch(
        """
        SELECT s.*, u.external_id FROM subscriptions s LEFT JOIN users u ON u.id = s.user_id
        WHERE stripe_subscription_id = $1
        """,
        stripe_id,
    )
    return rows[0] if rows else None


async def same_as_stripe(system: System) -> None:
    assert_same(await subscription_rows(system.database_url), await stripe_subscriptions(system.stripe))


async def test_a_life_in_the_dashboard(system: System) -> None:
    user = unique("ann")
    silver, gold = await price(system, 500, "Silver"), await price(system)
    buyer = await customer(system, user)
    made = await subscribe(system, buyer, silver, trial_period_days=5)
    path, item = f"/v1/subscriptions/{made['id']}", made["items"]["data"][0]["id"]
    await system.quiet()
    await same_as_stripe(system)
    assert await mails(system, user) == ["subscription_welcome"]
    await system.advance("6d")
    await dashboard(system, path, items__0__id=item, items__0__price=gold)
    await dashboard(system, path, items__0__id=item, items__0__quantity=3)
    await dashboard(system, path, pause_collection__behavior="void")
    await dashboard(system, path, pause_collection="")
    await system.quiet()
    await same_as_stripe(system)
    await use_card(system, buyer, DECLINES_LATER)
    await system.advance("33d")
    await use_card(system, buyer, "pm_card_visa")
    await system.advance("5d")
    await dashboard(system, path, cancel_at_period_end="true")
    await dashboard(system, path, cancel_at_period_end="false")
    await remove(system, path)
    await system.quiet()
    await same_as_stripe(system)
    rows = await history(system, made["id"])
    causes = sorted((row["action"], row["cause"]) for row in rows)
    assert causes == sorted(
        [("renewed", "stripe"), ("trial_ended", "stripe"), ("past_due", "stripe"), ("recovered", "stripe")]
        + [(action, "dashboard") for action in ("created", "plan_changed", "quantity_changed", "paused", "resumed")]
        + [(action, "dashboard") for action in ("cancel_scheduled", "cancel_undone", "canceled")]
    )
    assert not any(row["provisional"] for row in rows)
    renewed = next(row for row in rows if row["action"] == "renewed")
    assert renewed["old_values"].keys() == renewed["new_values"].keys() == {"period"}
    assert renewed["old_values"]["period"]["end"] == renewed["new_values"]["period"]["start"]
    assert sorted(await mails(system, user)) == [
        "subscription_cancel_scheduled", "subscription_canceled", "subscription_paused", "subscription_resumed",
        "subscription_welcome", "trial_ending",
    ]  # fmt: skip
    facts = await told(system, made["id"])
    assert {kind: facts.count(kind) for kind in facts} == {
        "created": 1, "activated": 1, "trial_ending": 1, "updated": 10, "paused": 1, "resumed": 1, "canceled": 1,
    }  # fmt: skip
    found = await row_of(system, made["id"])
    assert (found["external_id"], found["claimed"], found["flagged"]) == (user, False, False)
    assert found["activated_at"] == found["created_at"]


async def test_a_first_payment_that_waits_is_no_welcome(system: System) -> None:
    user = unique("bob")
    buyer = await customer(system, user)
    made = await subscribe(system, buyer, await price(system), payment_behavior="default_incomplete")
    await system.quiet()
    assert (await row_of(system, made["id"]))["activated_at"] is None
    assert await mails(system, user) == []
    invoice = await system.stripe(f"/v1/invoices/{made['latest_invoice']}")
    assert "error" not in await system.stripe(f"/v1/invoices/{invoice['id']}/pay", {})
    await system.quiet()
    await same_as_stripe(system)
    assert await mails(system, user) == ["subscription_welcome"]
    assert [row["action"] for row in await history(system, made["id"])] == ["created", "activated"]
    assert (await told(system, made["id"]))[:2] == ["created", "activated"]


async def test_one_that_is_never_paid_ends_without_a_word(system: System) -> None:
    user = unique("cid")
    buyer = await customer(system, user)
    made = await subscribe(system, buyer, await price(system), payment_behavior="default_incomplete")
    await system.advance("25h")
    await same_as_stripe(system)
    assert (await row_of(system, made["id"]))["status"] == "incomplete_expired"
    assert [row["action"] for row in await history(system, made["id"])] == ["created", "expired"]
    assert await mails(system, user) == []


async def test_a_second_one_made_elsewhere_is_flagged_and_told_to_staff_once(system: System) -> None:
    user = unique("dan")
    buyer = await customer(system, user)
    first = await subscribe(system, buyer, await price(system))
    await system.quiet()
    second = await subscribe(system, buyer, await price(system, 500, "Silver"))
    await system.quiet()
    await dashboard(system, f"/v1/subscriptions/{second['id']}", metadata__note="again")
    await system.quiet()
    await same_as_stripe(system)
    assert not (await row_of(system, first["id"]))["flagged"]
    assert (await row_of(system, second["id"]))["flagged"]
    alerts = await system.fetch(
        "SELECT context FROM mails WHERE business_key LIKE 'alert.second_subscription:%' AND context::text LIKE $1",
        f"%{second['id']}%",
    )
    assert len(alerts) == 1
    facts = json.loads(alerts[0]["context"])["facts"]
    assert facts == {"user": user, "subscription": second["id"], "other_subscription": first["id"]}


async def test_one_after_another_is_no_second(system: System) -> None:
    buyer = await customer(system, unique("eva"))
    first = await subscribe(system, buyer, await price(system))
    await remove(system, f"/v1/subscriptions/{first['id']}")
    second = await subscribe(system, buyer, await price(system))
    await system.quiet()
    assert not (await row_of(system, second["id"]))["flagged"]


async def test_a_subscription_of_nobody_we_know(system: System) -> None:
    stranger = await dashboard(system, "/v1/customers", email="stranger@example.com")
    await use_card(system, stranger["id"], "pm_card_visa")
    before = await system.value("SELECT count(*) FROM mails")
    made = await subscribe(system, stranger["id"], await price(system))
    await remove(system, f"/v1/subscriptions/{made['id']}")
    await system.quiet()
    await same_as_stripe(system)
    found = await row_of(system, made["id"])
    assert (found["user_id"], found["claimed"]) == (None, False)
    # All within a second, which orders nothing.
    assert {row["action"] for row in await history(system, made["id"])} == {"created", "activated", "canceled"}
    assert await system.value("SELECT count(*) FROM mails") == before
    assert await told(system, made["id"]) == []


async def test_events_that_come_before_their_customer(system: System) -> None:
    """A customer made in the dashboard with our user's name in its metadata; its own event comes much later."""
    user = unique("fay")
    metadata = {"metadata__tallystick_installation": "default", "metadata__tallystick_user": user}
    await system.fault(target="webhook", kind="delay", type="customer.created", delay_s=1.0)
    buyer = await dashboard(system, "/v1/customers", email=f"{user}@example.com", **metadata)
    await use_card(system, buyer["id"], "pm_card_visa")
    made = await subscribe(system, buyer["id"], await price(system))
    await system.quiet()
    await same_as_stripe(system)
    assert (await row_of(system, made["id"]))["external_id"] == user


async def test_a_customer_that_is_deleted_takes_access_along_though_its_events_are_lost(system: System) -> None:
    user = unique("gil")
    buyer = await customer(system, user)
    made = await subscribe(system, buyer, await price(system))
    await system.quiet()
    assert await system.value("SELECT access FROM access_grants g JOIN users u ON u.id = g.user_id "
                              "WHERE external_id = $1", user)  # fmt: skip
    await system.fault(target="webhook", kind="drop", type="customer.subscription.deleted")
    await remove(system, f"/v1/customers/{buyer}")
    await system.quiet()
    await same_as_stripe(system)
    assert not await system.value("SELECT access FROM access_grants g JOIN users u ON u.id = g.user_id "
                                  "WHERE external_id = $1", user)  # fmt: skip
    last = (await history(system, made["id"]))[-1]
    assert (last["action"], last["cause"], last["provisional"]) == ("canceled", "repair", True)
    assert (await mails(system, user))[-1] == "subscription_canceled"


async def test_one_that_stripe_does_not_know_any_more_stays_as_it_is(system: System) -> None:
    buyer = await customer(system, unique("hal"))
    made = await subscribe(system, buyer, await price(system))
    await system.quiet()
    await system.pool.execute(
        "UPDATE subscriptions SET stripe_subscription_id = 'sub_of_another_account' WHERE stripe_subscription_id = $1",
        made["id"],
    )
    await system.pool.execute(
        "INSERT INTO work (id, kind, business_key, payload, due_at) VALUES "
        "(gen_random_uuid(), 'stripe.fetch', 'stripe.fetch:gone', $1, now())",
        json.dumps({"object": "sub_of_another_account"}),
    )
    await system.quiet()
    assert (await row_of(system, "sub_of_another_account"))["status"] == "active"
    await system.pool.execute(
        "UPDATE subscriptions SET stripe_subscription_id = $1 WHERE stripe_subscription_id = 'sub_of_another_account'",
        made["id"],
    )


async def test_what_a_request_of_ours_does_to_another_subscription_is_its_doing(system: System) -> None:
    """A left-over first payment is voided on the way to another subscription: by a call with a key of its own."""
    user, body = unique("ida"), {"quantity": 1, "trial_period_days": 0}
    prices = await price(system), await price(system, 500, "Silver")
    left = await system.call("POST", "/api/subscriptions", {**body, "price": prices[0]}, user=user)
    assert (left.status, left.body["status"]) == (201, "incomplete"), left.body
    after = await system.call("POST", "/api/subscriptions", {**body, "price": prices[1]}, user=user)
    assert after.status == 201, after.body
    await system.quiet()
    rows = await history(system, left.body["stripe_subscription_id"])
    assert [(row["action"], row["cause"], row["actor"]) for row in rows] == [
        ("created", "api", f"user:{user}"),
        ("expired", "api", f"user:{user}"),
    ]
