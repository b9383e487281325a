"""Keeping a payment method for later: the API makes the setup intent, the browser confirms it, the mirror follows."""

import pytest

from system import A_VERSION, System, unique

pytestmark = A_VERSION


async def confirm(system: System, setup: dict[str, str], method: str) -> dict[str, str]:
    """What Stripe.js does with the client secret."""
    form = {"client_secret": setup["client_secret"], "payment_method": method}
    auth = {"Authorization": "Bearer pk_test_system"}
    url = f"{system.sandbox_url}/v1/setup_intents/{setup['stripe_setup_intent_id']}/confirm"
    async with system.http.post(url, data=form, headers=auth) as response:
        found: dict[str, str] = await response.json()
        return found


async def test_a_card_is_kept_and_made_the_default(system: System) -> None:
    user = unique("setup")
    made = await system.call("POST", "/api/customers/me/setup-intents", user=user)
    assert made.status == 201, made.body
    assert made.body["status"] == "requires_payment_method"
    method = await system.card("4242424242424242")
    assert (await confirm(system, made.body, method))["status"] == "succeeded"
    await system.quiet()
    row = await system.fetch("SELECT * FROM setup_intents WHERE id = $1::text::uuid", made.body["id"])
    assert (row[0]["status"], row[0]["payment_method"], row[0]["unsure"]) == ("succeeded", method, False)
    assert row[0]["user_id"] == await system.value("SELECT id FROM users WHERE external_id = $1", user)
    methods = (await system.call("GET", "/api/customers/me/payment-methods", user=user)).body["data"]
    assert [found["stripe_payment_method_id"] for found in methods] == [method]
    made_default = await system.call("POST", f"/api/customers/me/payment-methods/{method}/default", user=user)
    assert made_default.body["default"] is True


async def test_a_repeat_gets_the_same_intent_and_its_secret(system: System) -> None:
    user, key = unique("setup"), unique("key")
    first = await system.call("POST", "/api/customers/me/setup-intents", user=user, key=key)
    second = await system.call("POST", "/api/customers/me/setup-intents", user=user, key=key)
    assert first.body == second.body
    assert first.body["client_secret"].startswith(first.body["stripe_setup_intent_id"])
    stored = await system.value("SELECT body FROM idempotency_keys WHERE key = $1", key)
    assert "client_secret" not in stored.replace("_secret_of", "")
    listed = await system.stripe(f"/v1/setup_intents?customer={await customer_of(system, user)}")
    assert len(listed["data"]) == 1


async def test_a_refused_card_is_told(system: System) -> None:
    user = unique("setup")
    made = (await system.call("POST", "/api/customers/me/setup-intents", user=user)).body
    answer = await confirm(system, made, await system.card("4000000000000002"))
    assert "error" in answer
    await system.quiet()
    row = (await system.fetch("SELECT * FROM setup_intents WHERE id = $1::text::uuid", made["id"]))[0]
    assert (row["status"], row["error_code"]) == ("requires_payment_method", "card_declined")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_line_that_is_cut_makes_one_intent(system: System, when: str) -> None:
    user, key = unique("setup"), unique("key")
    await system.call("POST", "/api/customers", {}, user=user)
    await system.fault(target="api", kind="cut", method="POST", path="/v1/setup_intents", when=when, times=2)
    first = await system.call("POST", "/api/customers/me/setup-intents", user=user, key=key)
    assert first.status == 201, first.body
    again = await system.call("POST", "/api/customers/me/setup-intents", user=user, key=key)
    assert again.body == first.body
    listed = await system.stripe(f"/v1/setup_intents?customer={await customer_of(system, user)}")
    assert [found["id"] for found in listed["data"]] == [first.body["stripe_setup_intent_id"]]


async def test_a_restored_database_repeats_the_request(system: System) -> None:
    """Stripe knows the key, and answers as the first time only where the parameters are the same."""
    user, key = unique("setup"), unique("key")
    first = await system.call("POST", "/api/customers/me/setup-intents", user=user, key=key)
    assert first.status == 201
    await system.quiet()
    for table in ("attempts", "idempotency_keys"):
        await system.fetch(f"DELETE FROM {table}")
    again = await system.call("POST", "/api/customers/me/setup-intents", user=user, key=key)
    assert (again.status, again.body) == (201, first.body)
    listed = await system.stripe(f"/v1/setup_intents?customer={await customer_of(system, user)}")
    assert [found["id"] for found in listed["data"]] == [first.body["stripe_setup_intent_id"]]


async def customer_of(system: System, user: str) -> str:
    found: str = await system.value("SELECT stripe_customer_id FROM users WHERE external_id = $1", user)
    return found


async def test_others_and_bad_input(system: System) -> None:
    owner, other = unique("setup"), unique("other")
    await system.call("POST", "/api/customers", {}, user=owner)
    theirs = await customer_of(system, owner)
    path = f"/api/customers/{theirs}/setup-intents"
    assert (await system.call("POST", path, user=other)).status == 404
    assert (await system.call("POST", path, user=owner)).status == 201
    assert (await system.call("POST", "/api/customers/cus_nobody/setup-intents", user=owner)).status == 404
    assert (await system.call("POST", path, user=unique("s"), roles=("support",))).status == 403
