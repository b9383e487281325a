"""Customers and their payment methods: one customer for a user whatever races, and a mirror that follows Stripe."""

import asyncio
from typing import Any

from system import A_VERSION, Answer, System, unique

pytestmark = A_VERSION

CUSTOMERS = "/api/customers"
ME = f"{CUSTOMERS}/me"
METHODS = f"{ME}/payment-methods"
FIELDS = {
    "email": "billing@example.com",
    "name": "Ann Example",
    "phone": "+49 151 23456789",
    "address": {"line1": "1 Main Street", "city": "Berlin", "country": "DE"},
    "metadata": {"tier": "gold"},
}


async def make(system: System, user: str, body: Any = None, **more: Any) -> Any:
    answer = await system.call("POST", CUSTOMERS, body or {}, user=user, **more)
    assert answer.status == 201, answer.body
    return answer.body


async def delete_at_stripe(system: System, path: str) -> None:
    url = f"{system.sandbox_url}{path}"
    async with system.http.delete(url, headers={"Authorization": "Bearer sk_test_system"}) as response:
        assert response.status == 200, await response.text()


async def methods(system: System, user: str) -> list[Any]:
    answer = await system.call("GET", METHODS, user=user)
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


async def customers_at_stripe(system: System, user: str) -> list[Any]:
    found = []
    last = ""
    while True:
        page = await system.stripe(f"/v1/customers?limit=100{last}")
        found += [row for row in page["data"] if row["metadata"].get("tallystick_user") == user]
        if not page["has_more"]:
            return found
        last = f"&starting_after={page['data'][-1]['id']}"


async def test_the_story_of_a_customer(system: System) -> None:
    user = unique("ann")
    assert (await system.call("GET", ME, user=user)).status == 404
    made = await make(system, user, FIELDS)
    assert {name: made[name] for name in ("email", "name", "phone", "metadata")} == {
        name: FIELDS[name] for name in ("email", "name", "phone", "metadata")
    }
    assert (made["address"]["line1"], made["address"]["line2"]) == ("1 Main Street", None)
    await system.quiet()
    for reference in (made["id"], made["stripe_customer_id"], "me"):
        shown = (await system.call("GET", f"{CUSTOMERS}/{reference}", user=user)).body
        assert {**shown, "updated_at": made["updated_at"]} == made

    key = unique("key")
    body = {"name": "Ann Other", "phone": None, "metadata": {"tier": "", "plan": "b"}}
    changed = await system.call("PUT", ME, body, user=user, key=key)
    assert changed.status == 200, changed.body
    assert (changed.body["name"], changed.body["phone"], changed.body["metadata"]) == ("Ann Other", None, {"plan": "b"})
    assert changed.body["email"] == "billing@example.com"
    again = await system.call("PUT", ME, body, user=user, key=key)
    assert (again.status, again.body) == (200, changed.body)
    assert (await system.call("PUT", ME, {"name": "X"}, user=user, key=key)).code == "IDEMPOTENCY_KEY_REUSED"
    existing = await system.call("POST", CUSTOMERS, {"email": "new@example.com"}, user=user)
    assert (existing.status, existing.body["id"], existing.body["email"]) == (200, made["id"], "new@example.com")
    stripe = await system.stripe(f"/v1/customers/{made['stripe_customer_id']}")
    assert (stripe["email"], stripe["name"], stripe["phone"]) == ("new@example.com", "Ann Other", None)
    assert stripe["metadata"]["tallystick_user"] == user
    await system.quiet()
    assert (await system.call("GET", ME, user=user)).body["email"] == "new@example.com"

    key = unique("key")
    await system.call("POST", METHODS, {"payment_method": "pm_card_visa"}, user=user)
    gone = await system.call("DELETE", ME, user=user, key=key)
    assert (gone.status, gone.body["deleted"], gone.body["id"]) == (200, True, made["id"])
    await system.quiet()
    for path in (ME, f"{CUSTOMERS}/{made['id']}", METHODS):
        assert (await system.call("GET", path, user=user)).status == 404
    repeated = await system.call("DELETE", ME, user=user, key=key)
    assert (repeated.status, repeated.body) == (200, gone.body)
    row = (await system.fetch("SELECT * FROM customers WHERE id = $1::text::uuid", made["id"]))[0]
    assert [row[name] for name in ("email", "name", "phone", "address", "metadata")] == [None, None, None, None, "{}"]
    held = "SELECT count(*) FROM payment_methods WHERE stripe_customer_id = $1"
    assert await system.value(held, made["stripe_customer_id"]) == 0

    second = await make(system, user)
    assert second["id"] != made["id"]
    await system.quiet()
    assert (await system.call("GET", ME, user=user)).body["stripe_customer_id"] == second["stripe_customer_id"]


async def test_twenty_at_once_make_one_customer(system: System) -> None:
    user = unique("many")
    bodies = [{"name": f"Tab {number}"} for number in range(20)]
    answers: list[Answer] = await asyncio.gather(
        *(system.call("POST", CUSTOMERS, body, user=user, key=unique("key")) for body in bodies)
    )
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201], [answer.body for answer in answers]
    assert len({answer.body["id"] for answer in answers}) == 1
    assert len(await customers_at_stripe(system, user)) == 1
    await system.quiet()
    stripe = (await customers_at_stripe(system, user))[0]
    assert (await system.call("GET", ME, user=user)).body["name"] == stripe["name"]


async def test_a_customer_and_a_payment_at_once(system: System) -> None:
    user = unique("tabs")
    answers = await asyncio.gather(
        system.pay(user=user), system.call("POST", CUSTOMERS, FIELDS, user=user), system.pay(user=user)
    )
    assert all(answer.status in (200, 201) for answer in answers), [answer.body for answer in answers]
    assert len(await customers_at_stripe(system, user)) == 1


async def test_a_line_cut_after_the_effect_ends_in_one_customer(system: System) -> None:
    user, key = unique("cut"), unique("key")
    await system.fault(target="api", kind="cut", method="POST", path="/v1/customers", when="after", times=3)
    answer = await system.call("POST", CUSTOMERS, FIELDS, user=user, key=key)
    assert answer.status in (201, 202), answer.body
    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.quiet()
    final = await system.call("POST", CUSTOMERS, FIELDS, user=user, key=key)
    assert (final.status, final.body["name"]) == (201, "Ann Example"), final.body
    assert len(await customers_at_stripe(system, user)) == 1


async def test_a_deletion_cut_after_the_effect_is_a_deletion(system: System) -> None:
    user, key = unique("cut"), unique("key")
    made = await make(system, user)
    path = f"/v1/customers/{made['stripe_customer_id']}"
    await system.fault(target="api", kind="cut", method="DELETE", path=path, when="after", times=1)
    answer = await system.call("DELETE", ME, user=user, key=key)
    await system.sandbox("DELETE", "/_sandbox/faults")
    assert (answer.status, answer.body["deleted"]) == (200, True), answer.body


async def test_a_restored_database_finds_the_same_customer(system: System) -> None:
    user = unique("lost")
    made = await make(system, user, FIELDS)
    await system.quiet()
    await system.fetch("DELETE FROM customers WHERE id = $1::text::uuid", made["id"])
    await system.fetch(
        "UPDATE users SET stripe_customer_id = NULL, customer_requested_at = NULL WHERE external_id = $1", user
    )
    again = await system.call("POST", CUSTOMERS, {"name": "Back"}, user=user)
    assert again.status == 201
    assert again.body["stripe_customer_id"] == made["stripe_customer_id"]
    # What the repeated answer could not show is there all the same.
    assert (again.body["phone"], again.body["name"]) == (FIELDS["phone"], "Back")
    assert len(await customers_at_stripe(system, user)) == 1


async def test_a_restored_database_whose_customer_was_deleted_since(system: System) -> None:
    user = unique("lost")
    made = await make(system, user)
    await system.quiet()
    await delete_at_stripe(system, f"/v1/customers/{made['stripe_customer_id']}")
    await system.quiet()
    await system.fetch("DELETE FROM customers WHERE id = $1::text::uuid", made["id"])
    await system.fetch("UPDATE users SET customer_generation = 0 WHERE external_id = $1", user)
    paid = await system.pay(user=user)
    assert (paid.status, paid.body["status"]) == (201, "succeeded")
    await system.quiet()
    assert (await system.call("GET", ME, user=user)).body["stripe_customer_id"] != made["stripe_customer_id"]
    assert len(await customers_at_stripe(system, user)) == 1


async def test_payment_methods_by_the_api(system: System) -> None:
    user, key = unique("ann"), unique("key")
    await make(system, user)
    body = {"payment_method": "pm_card_visa", "default": True}
    first = await system.call("POST", METHODS, body, user=user, key=key)
    assert first.status == 200, first.body
    assert (first.body["default"], first.body["card"]["brand"], first.body["card"]["last4"]) == (True, "visa", "4242")
    assert (await system.call("POST", METHODS, body, user=user, key=key)).body == first.body
    card = await system.card("5555555555554444")
    second = (await system.call("POST", METHODS, {"payment_method": card}, user=user)).body
    assert (second["default"], second["stripe_payment_method_id"]) == (False, card)
    await system.quiet()
    assert [row["id"] for row in await methods(system, user)] == [first.body["id"], second["id"]]

    chosen = await system.call("POST", f"{METHODS}/{second['id']}/default", user=user)
    assert (chosen.status, chosen.body["default"]) == (200, True)
    await system.quiet()
    assert [(row["id"], row["default"]) for row in await methods(system, user)] == [
        (second["id"], True),
        (first.body["id"], False),
    ]
    key = unique("key")
    gone = await system.call("DELETE", f"{METHODS}/{card}", user=user, key=key)
    assert (gone.status, gone.body["customer"], gone.body["default"]) == (200, None, False)
    assert (await system.call("DELETE", f"{METHODS}/{card}", user=user, key=key)).body == gone.body
    await system.quiet()
    assert [row["id"] for row in await methods(system, user)] == [first.body["id"]]
    assert (await system.call("GET", ME, user=user)).body["default_payment_method"] is None
    for call in (("DELETE", f"{METHODS}/{card}"), ("POST", f"{METHODS}/{card}/default")):
        assert (await system.call(*call, user=user)).status == 404
    again = await system.call("POST", METHODS, {"payment_method": card}, user=user)
    assert (again.status, again.code) == (422, "PAYMENT_METHOD_NOT_USABLE")


async def test_a_card_that_declines_is_not_attached(system: System) -> None:
    user = unique("poor")
    await make(system, user)
    for number, code in (("4000000000000002", "CARD_DECLINED"), ("4000000000009995", "INSUFFICIENT_FUNDS")):
        answer = await system.call("POST", METHODS, {"payment_method": await system.card(number)}, user=user)
        assert (answer.status, answer.code) == (402, code)
        assert "decline_code" not in str(answer.body)
    assert await methods(system, user) == []


async def test_other_peoples_methods(system: System) -> None:
    ann, bob = unique("ann"), unique("bob")
    await make(system, ann)
    await make(system, bob)
    method = (await system.call("POST", METHODS, {"payment_method": "pm_card_visa"}, user=ann)).body
    for reference in (method["id"], method["stripe_payment_method_id"]):
        for call in (("DELETE", f"{METHODS}/{reference}"), ("POST", f"{METHODS}/{reference}/default")):
            refused = await system.call(*call, user=bob)
            assert (refused.status, refused.code) == (404, "NOT_FOUND")
    taken = {"payment_method": method["stripe_payment_method_id"]}
    refused = await system.call("POST", METHODS, taken, user=bob)
    assert (refused.status, refused.code) == (422, "PAYMENT_METHOD_NOT_USABLE")
    unknown = await system.call("POST", METHODS, {"payment_method": "pm_nope"}, user=bob)
    assert (unknown.status, unknown.code) == (422, "PAYMENT_METHOD_NOT_USABLE")
    await system.quiet()
    assert [row["id"] for row in await methods(system, ann)] == [method["id"]]


async def test_the_dashboard_with_events_doubled_and_shuffled(system: System) -> None:
    user = unique("dash")
    customer = (await make(system, user))["stripe_customer_id"]
    await system.quiet()
    await system.fault(target="webhook", kind="duplicate", times=None)
    await system.fault(target="webhook", kind="shuffle", window_s=0.5, times=None)
    kept, lost = await system.card("4242424242424242"), await system.card("5555555555554444")
    for card in (kept, lost):
        await system.stripe(f"/v1/payment_methods/{card}/attach", {"customer": customer})
    await system.stripe(f"/v1/payment_methods/{lost}/detach", {})
    await system.stripe(f"/v1/customers/{customer}", {"invoice_settings[default_payment_method]": kept})
    await system.stripe(f"/v1/payment_methods/{kept}", {"card[exp_year]": "2040"})
    for name in "abc":
        await system.stripe(f"/v1/customers/{customer}", {"name": name, f"metadata[{name}]": name})
    await system.stripe(f"/v1/customers/{customer}", {"metadata[a]": "", "address[city]": "Rome"})
    await asyncio.sleep(0.6)
    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.quiet()
    shown = await methods(system, user)
    assert [(row["stripe_payment_method_id"], row["default"]) for row in shown] == [(kept, True)]
    assert shown[0]["card"]["exp_year"] == 2040
    me = (await system.call("GET", ME, user=user)).body
    assert (me["name"], me["metadata"], me["address"]["city"]) == ("c", {"b": "b", "c": "c"}, "Rome")
    row = (await system.fetch("SELECT * FROM payment_methods WHERE stripe_payment_method_id = $1", lost))[0]
    assert (row["stripe_customer_id"], row["user_id"], row["unsure"]) == (None, None, False)
    assert await system.value("SELECT count(*) FROM customers WHERE unsure") == 0


async def test_a_customer_deleted_at_the_dashboard_and_a_payment_after_that(system: System) -> None:
    user = unique("gone")
    first = await system.pay(user=user, setup_future_usage="off_session")
    assert first.status == 201, first.body
    await system.quiet()
    old = (await system.call("GET", ME, user=user)).body["stripe_customer_id"]
    assert len(await methods(system, user)) == 1
    await delete_at_stripe(system, f"/v1/customers/{old}")
    await system.quiet()
    assert (await system.call("GET", ME, user=user)).status == 404
    assert await system.value("SELECT count(*) FROM payment_methods WHERE stripe_customer_id = $1", old) == 0
    second = await system.pay(user=user)
    assert (second.status, second.body["status"]) == (201, "succeeded")
    await system.quiet()
    new = (await system.call("GET", ME, user=user)).body["stripe_customer_id"]
    assert new != old
    # The payments of the old customer are still the user's.
    assert (await system.get(first.body["id"], user=user))["status"] == "succeeded"


async def test_a_write_on_a_customer_that_was_just_deleted_at_stripe(system: System) -> None:
    user = unique("gone")
    made = await make(system, user)
    await system.quiet()
    await system.fault(target="webhook", kind="delay", delay_s=2, times=None)
    await delete_at_stripe(system, f"/v1/customers/{made['stripe_customer_id']}")
    refused = await system.call("PUT", ME, {"name": "Too late"}, user=user)
    await system.sandbox("DELETE", "/_sandbox/faults")
    assert (refused.status, refused.code) in ((409, "CUSTOMER_DELETED"), (404, "NOT_FOUND"))
    second = await make(system, user)
    assert second["stripe_customer_id"] != made["stripe_customer_id"]


async def test_a_second_customer_made_elsewhere_is_shown_and_told_of_once(system: System) -> None:
    user = unique("twice")
    first = await make(system, user)
    await system.quiet()
    installation = (await system.stripe(f"/v1/customers/{first['stripe_customer_id']}"))["metadata"]
    data = {f"metadata[{name}]": value for name, value in installation.items()}
    other = await system.stripe("/v1/customers", {**data, "name": "Other"})
    await system.stripe(f"/v1/customers/{other['id']}", {"name": "Other again"})
    await system.quiet()
    seen = await system.call("GET", f"{CUSTOMERS}/{other['id']}", user="root", roles=("admin",))
    assert (seen.body["flagged"], seen.body["name"]) == (True, "Other again")
    assert (await system.call("GET", ME, user=user)).body["id"] == first["id"]
    told = "SELECT count(*) FROM work WHERE kind = 'alert.second_customer' AND payload->>'customer' = $1"
    assert await system.value(told, other["id"]) == 1

    nobody = await system.stripe("/v1/customers", {"name": "Nobody"})
    await system.quiet()
    assert (await system.call("GET", f"{CUSTOMERS}/{nobody['id']}", user=user)).status == 404
    shown = await system.call("GET", f"{CUSTOMERS}/{nobody['id']}", user="help", roles=("support",))
    assert (shown.status, shown.body["user_id"], shown.body["flagged"]) == (200, None, False)


async def test_a_customer_made_elsewhere_for_a_user_without_one_is_the_users(system: System) -> None:
    user = unique("import")
    data = {"metadata[tallystick_user]": user, "name": "Imported"}
    installation = system.settings.installation_id
    other = await system.stripe("/v1/customers", {**data, "metadata[tallystick_installation]": installation})
    await system.quiet()
    assert (await system.call("GET", ME, user=user)).body["stripe_customer_id"] == other["id"]
    paid = await system.pay(user=user)
    assert paid.status == 201
    assert len(await customers_at_stripe(system, user)) == 1


async def test_bad_input(system: System) -> None:
    user = unique("bad")
    await make(system, user)
    bad: list[tuple[dict[str, Any], str]] = [
        ({"email": "nobody"}, "email"),
        ({"email": "a" * 600 + "@example.com"}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"name": "4242 4242 4242 4242"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"phone": "call me"}, "phone"),
        ({"phone": "4242424242424242"}, "phone"),
        ({"phone": "+4242424242424242"}, "phone"),
        ({"address": {"country": "Germany"}}, "address.country"),
        ({"address": {"line1": "Card 4242424242424242"}}, "address.line1"),
        ({"address": "Berlin"}, "address"),
        ({"metadata": {"tallystick_user": "eve"}}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"k": "5555555555554444"}}, "metadata.k"),
        ({"metadata": {"[": "x"}}, "metadata"),
        ({"balance": -100}, "balance"),
    ]
    for body, field in bad:
        for method, path in (("PUT", ME), ("POST", CUSTOMERS)):
            answer = await system.call(method, path, body, user=user)
            assert answer.status in (400, 422), (body, answer.body)
            if answer.status == 422:
                assert answer.body["field"] == field, answer.body
    for payment_method in ("4242424242424242", "tok_visa", "", None, "pm_a/b"):
        answer = await system.call("POST", METHODS, {"payment_method": payment_method}, user=user)
        assert answer.status == 422
    for reference in ("nope", "cus_nope", "cus_a%2Fb", "00000000-0000-0000-0000-000000000000", "pi_1"):
        assert (await system.call("GET", f"{CUSTOMERS}/{reference}", user=user)).status == 404
    for reference in ("nope", "pm_nope", "pm_card_visa"):
        assert (await system.call("DELETE", f"{METHODS}/{reference}", user=user)).status == 404
    assert (await system.call("PUT", ME, {"phone": "+4915112345678"}, user=user)).status == 200


async def test_who_may_do_what(system: System) -> None:
    ann = unique("ann")
    made = await make(system, ann)
    path = f"{CUSTOMERS}/{made['id']}"
    card = (await system.call("POST", METHODS, {"payment_method": "pm_card_visa"}, user=ann)).body["id"]
    writes: list[tuple[str, str, Any]] = [
        ("PUT", path, {"name": "X"}),
        ("POST", f"{path}/payment-methods", {"payment_method": "pm_card_visa"}),
        ("POST", f"{path}/payment-methods/{card}/default", None),
        ("DELETE", f"{path}/payment-methods/{card}", None),
        ("DELETE", path, None),
    ]
    eve = unique("eve")
    for read in (path, f"{path}/payment-methods"):
        assert (await system.call("GET", read, user=eve)).status == 404
        for role in ("support", "admin"):
            assert (await system.call("GET", read, user=unique(role), roles=(role,))).status == 200
    for method, where, body in writes:
        assert (await system.call(method, where, body, user=eve)).status == 404
        refused = await system.call(method, where, body, user=unique("help"), roles=("support",))
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
    refused = await system.call("POST", CUSTOMERS, {}, user=unique("help"), roles=("support",))
    assert refused.status == 403

    host = {"Tallystick-User": ann}
    by_host = await system.call("PUT", ME, {"name": "By host"}, user="host", roles=("service",), headers=host)
    assert (by_host.status, by_host.body["id"]) == (200, made["id"])
    other = {"Tallystick-User": eve}
    for method, where, body in writes:
        answer = await system.call(method, where, body, user="host", roles=("service",), headers=other)
        assert answer.status == 404
    assert (await system.call("GET", ME, user="host", roles=("service",))).status == 422
    for method, where, body in writes:
        done = await system.call(method, where, body, user=unique("root"), roles=("admin",))
        assert done.status == 200, (method, where, done.body)
    seen = await system.call("GET", path, user=unique("root"), roles=("admin",))
    assert (seen.status, seen.body["deleted"]) == (200, True)
    assert "email" not in seen.body
    async with system.http.get(f"{system.api_url}{ME}") as response:
        assert response.status == 401
