"""What users may use: features of products, and access by trials, cancellations, pauses and several subscriptions."""

from datetime import datetime, timedelta
from typing import Any

from subscribers import Subscriber, make_price, set_features, stripe, subscriber
from system import EVERY_VERSION, System, unique


async def features_of(who: Subscriber) -> dict[str, Any]:
    return {entry["feature"]: entry["value"] for entry in (await who.entitlements())["data"]}


async def check(who: Subscriber, key: str) -> Any:
    answer = await who.system.call("GET", f"/api/entitlements/{key}", user=who.user)
    assert answer.status == 200, answer.body
    return answer.body


@EVERY_VERSION
async def test_a_product_gives_its_features_at_once_and_its_end_takes_them(system: System) -> None:
    seats = unique("seats")
    product, price = await make_price(system, features={seats: 5})
    ann = await subscriber(system)
    assert (await ann.entitlements())["products"] == []
    assert (await check(ann, seats))["entitled"] is False

    await ann.subscribe(price, items__0__quantity=3)
    shown = await ann.entitlements()
    assert (shown["user"], shown["data"][0]["value"], shown["data"][0]["until"]) == (ann.user, 5, None)
    assert [(entry["product"], entry["quantity"], entry["state"]) for entry in shown["products"]] == [
        (product, 3, "active")
    ]
    assert (await check(ann, seats))["entitled"] is True

    await set_features(system, product, {seats: 8})
    assert await features_of(ann) == {seats: 8}

    await ann.cancel()
    assert (await ann.entitlements())["products"] == []
    assert await ann.told() == ["granted", "lost"]


async def test_of_several_subscriptions_the_best_counts(system: System) -> None:
    number, switch, level = unique("number"), unique("switch"), unique("level")
    _, small = await make_price(system, features={number: 5, switch: True, level: "silver"})
    _, large = await make_price(system, features={number: 50, switch: False, level: "gold"})
    ann = await subscriber(system)
    await ann.subscribe(large)
    await system.advance("1h")
    await ann.subscribe(small)

    assert await features_of(ann) == {number: 50, switch: True, level: "silver"}
    assert len((await ann.entitlements())["products"]) == 2
    await ann.cancel()
    assert await features_of(ann) == {number: 50, switch: False, level: "gold"}
    assert (await check(ann, switch))["entitled"] is False


async def test_one_feature_alone_is_what_it_is_in_the_list(system: System) -> None:
    level = unique("level")
    _, silver = await make_price(system, features={level: "silver"})
    _, gold = await make_price(system, features={level: "gold"})
    ann = await subscriber(system)
    await ann.subscribe(silver)
    await system.advance("1h")
    await ann.subscribe(gold)
    listed = next(entry for entry in (await ann.entitlements())["data"] if entry["feature"] == level)
    alone = await check(ann, level)
    assert (listed["value"], alone["value"]) == ("gold", "gold")


async def test_several_items_give_each_their_product(system: System) -> None:
    one, first = await make_price(system)
    two, second = await make_price(system, 300)
    more = await stripe(system, "/v1/prices", product=two, currency="usd", unit_amount=700, recurring__interval="month")
    ann = await subscriber(system)
    await ann.subscribe(
        first,
        items__1__price=second,
        items__1__quantity=4,
        items__2__price=more["id"],
        items__2__quantity=2,
    )

    products = (await ann.entitlements())["products"]
    assert sorted((entry["product"], entry["quantity"]) for entry in products) == sorted([(one, 1), (two, 6)])
    assert sorted(await ann.told_of_products()) == sorted([("granted", one), ("granted", two)])
    await ann.cancel()
    assert (await ann.entitlements())["products"] == []
    assert len(await ann.told()) == 4


async def test_a_change_of_plan_moves_access_and_tells_both_ends(system: System) -> None:
    one, cheap = await make_price(system)
    two, dear = await make_price(system, 5000)
    ann = await subscriber(system)
    made = await ann.subscribe(cheap)
    await ann.change(items__0__id=made["items"]["data"][0]["id"], items__0__price=dear)

    assert [entry["product"] for entry in (await ann.entitlements())["products"]] == [two]
    assert await ann.told_of_products() == [("granted", one), ("lost", one), ("granted", two)]


@EVERY_VERSION
async def test_a_trial_without_a_card_ends_and_with_one_goes_on(system: System) -> None:
    _, price = await make_price(system)
    bob, eve = await subscriber(system, card=None), await subscriber(system, card=None)
    for who in (bob, eve):
        trial = await who.subscribe(
            price, trial_period_days=10, trial_settings__end_behavior__missing_payment_method="pause"
        )
        ends = datetime.fromtimestamp(trial["trial_end"], tz=system.now().tzinfo)
        assert await who.access() == ("trialing", ends)
    await eve.use_card("pm_card_visa")
    await system.quiet()
    assert await eve.access() == ("trialing", None)

    await system.advance("10d")
    await system.advance("2h")
    assert (await bob.access(), await bob.status()) == (None, "paused")
    assert await eve.access() == ("active", None)
    assert [mail["reason"] for mail in await bob.mails("subscription_access_lost")] == ["trial_over"]
    assert await bob.told() == ["granted", "lost"]
    assert await eve.told() == ["granted"]


async def test_a_cancellation_is_for_its_date_and_can_be_undone(system: System) -> None:
    _, price = await make_price(system)
    ann = await subscriber(system)
    await ann.subscribe(price)
    await ann.change(cancel_at_period_end="true")
    assert await ann.access() == ("active", ann.renews_at)
    await ann.change(cancel_at_period_end="false")
    assert await ann.access() == ("active", None)
    await ann.change(cancel_at_period_end="true")

    await system.advance("32d")
    assert await ann.access() is None
    assert await ann.told() == ["granted", "lost"]
    assert await ann.mails("subscription_access_lost") == []


async def test_a_renewal_that_is_still_a_draft_takes_nothing_away(system: System) -> None:
    _, price = await make_price(system)
    ann = await subscriber(system)
    await ann.subscribe(price)
    await system.advance(to=ann.renews_at + timedelta(minutes=10))

    assert (await ann.invoices())[0]["status"] == "draft"
    assert await ann.access() == ("active", None)
    await system.advance("2h")
    assert await ann.access() == ("active", None)
    assert await ann.told() == ["granted"]


async def test_a_pause_takes_access_and_its_end_gives_it_back(system: System) -> None:
    _, price = await make_price(system)
    ann = await subscriber(system)
    await ann.subscribe(price)
    resumes = int((system.now() + timedelta(days=5)).timestamp())
    await ann.change(pause_collection__behavior="void", pause_collection__resumes_at=resumes)
    assert await ann.access() is None

    await system.advance("6d")
    assert await ann.access() == ("active", None)
    assert await ann.told() == ["granted", "lost", "granted"]


async def test_an_incomplete_subscription_gives_nothing(system: System) -> None:
    _, price = await make_price(system)
    ann = await subscriber(system, card=None)
    await ann.subscribe(price, payment_behavior="default_incomplete")

    assert await ann.access() is None
    assert await ann.told() == []


async def test_who_may_ask_for_whom(system: System) -> None:
    ann, bob = await subscriber(system), await subscriber(system)
    path = f"/api/entitlements?user={ann.user}"

    assert (await system.call("GET", path, user="root", roles=("support",))).body["user"] == ann.user
    assert (await system.call("GET", path, user=ann.user)).status == 200
    assert (await system.call("GET", path, user=bob.user)).code == "FORBIDDEN"
    assert (await system.call("GET", "/api/entitlements?user=nobody", roles=("admin",))).code == "NOT_FOUND"
    named = {"Tallystick-User": ann.user}
    host = await system.call("GET", "/api/entitlements", user="host", roles=("service",), headers=named)
    assert host.body["user"] == ann.user
    assert (await system.call("GET", "/api/entitlements/no-such-feature")).code == "NOT_FOUND"


async def test_features_are_made_named_used_and_deleted(system: System) -> None:
    key = unique("feature")
    admin: Any = {"roles": ("admin",)}
    assert (await system.call("PUT", f"/api/features/{key}", {"name": "One"})).code == "FORBIDDEN"
    assert (await system.call("PUT", f"/api/features/{key}", {"name": "One"}, **admin)).status == 201
    renamed = await system.call("PUT", f"/api/features/{key}", {"name": "Two"}, **admin)
    assert (renamed.status, renamed.body["name"]) == (200, "Two")
    assert key in [row["key"] for row in (await system.call("GET", "/api/features")).body["data"]]

    product, _ = await make_price(system)
    path = f"/api/products/{product}/features"
    for value in (None, True, 12, "gold"):
        answer = await system.call("PUT", path, {"features": [{"key": key, "value": value}]}, **admin)
        assert answer.body["data"] == [{"key": key, "name": "Two", "value": value}]
    assert (await system.call("GET", path)).body["data"][0]["value"] == "gold"
    used = await system.call("DELETE", f"/api/features/{key}", **admin)
    assert (used.code, used.body["products"]) == ("FEATURE_IN_USE", [product])
    await system.call("PUT", path, {"features": []}, **admin)
    assert (await system.call("DELETE", f"/api/features/{key}", **admin)).body["deleted"] is True
    assert (await system.call("GET", f"/api/features/{key}")).code == "NOT_FOUND"


async def test_bad_features_say_what_is_wrong(system: System) -> None:
    product, _ = await make_price(system)
    key = unique("known")
    await system.call("PUT", f"/api/features/{key}", {"name": "Known"}, roles=("admin",))
    path = f"/api/products/{product}/features"

    async def field(body: Any, where: str = path) -> Any:
        answer = await system.call("PUT", where, body, roles=("admin",))
        assert answer.status == 422, answer.body
        return answer.body["field"]

    assert await field({"features": [{"key": key}, {"key": "unknown"}]}) == "features.1.key"
    assert await field({"features": [{"key": key}, {"key": key}]}) == "features.1.key"
    assert str(await field({"features": [{"key": key, "value": 1.5}]})).startswith("features.0.value")
    assert str(await field({"features": [{"key": key, "value": 2**60}]})).startswith("features.0.value")
    assert await field({"name": "x"}, "/api/features/UPPER") == "key"
    assert (
        await system.call("PUT", "/api/products/prod_none/features", {"features": []}, roles=("admin",))
    ).status == 404
    assert (await system.call("GET", path)).body["data"] == []
