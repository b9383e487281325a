"""The catalogue, served from the mirror: whatever is changed at Stripe shows here."""

from typing import Any

from system import A_VERSION, System, unique

pytestmark = A_VERSION


async def make_product(system: System, **fields: str) -> Any:
    return await system.stripe("/v1/products", {"name": unique("Plan"), **fields})


async def test_products_and_prices_of_every_kind_are_shown_truly_and_to_everybody(system: System) -> None:
    product = await make_product(system, description="For teams", unit_label="seat")
    base = {"product": product["id"], "currency": "usd"}
    monthly = await system.stripe("/v1/prices", {**base, "unit_amount": "1500", "recurring[interval]": "month"})
    once = await system.stripe("/v1/prices", {**base, "unit_amount": "9900"})
    cents = await system.stripe("/v1/prices", {**base, "unit_amount_decimal": "0.5", "recurring[interval]": "month"})
    tiered = await system.stripe(
        "/v1/prices",
        {
            **base,
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "recurring[interval]": "month",
            "tiers[0][up_to]": "10",
            "tiers[0][unit_amount]": "1000",
            "tiers[1][up_to]": "inf",
            "tiers[1][unit_amount]": "800",
        },
    )
    await system.quiet()
    async with system.http.get(f"{system.api_url}/api/products/{product['id']}") as response:
        assert response.status == 200
        shown = await response.json()
    assert (shown["description"], shown["unit_label"]) == ("For teams", "seat")
    prices = {price["stripe_price_id"]: price for price in shown["prices"]}
    assert prices[monthly["id"]]["recurring"]["interval"] == "month"
    assert (prices[once["id"]]["type"], prices[once["id"]]["unit_amount"]) == ("one_time", 9900)
    assert (prices[cents["id"]]["unit_amount"], prices[cents["id"]]["unit_amount_decimal"]) == (None, "0.5")
    assert [tier["unit_amount"] for tier in prices[tiered["id"]]["tiers"]] == [1000, 800]
    by_our_id = await system.call("GET", f"/api/products/{shown['id']}/prices")
    assert by_our_id.body["data"] == shown["prices"]


async def test_changes_at_stripe_show_and_archived_things_do_not(system: System) -> None:
    product = await make_product(system)
    price = await system.stripe(
        "/v1/prices", {"product": product["id"], "currency": "eur", "unit_amount": "500", "nickname": "a"}
    )
    for nickname in "bcd":
        await system.stripe(f"/v1/prices/{price['id']}", {"nickname": nickname})
    await system.stripe(f"/v1/products/{product['id']}", {"name": "Renamed"})
    await system.quiet()
    shown = (await system.call("GET", f"/api/products/{product['id']}")).body
    assert (shown["name"], shown["prices"][0]["nickname"]) == ("Renamed", "d")

    await system.stripe(f"/v1/prices/{price['id']}", {"active": "false"})
    await system.stripe(f"/v1/products/{product['id']}", {"active": "false"})
    await system.quiet()
    assert (await system.call("GET", f"/api/products/{product['id']}")).body["prices"] == []
    listed = (await system.call("GET", "/api/products?limit=100")).body["data"]
    assert product["id"] not in [row["stripe_product_id"] for row in listed]


async def test_a_deleted_product_is_gone(system: System) -> None:
    product = await make_product(system)
    url = f"{system.sandbox_url}/v1/products/{product['id']}"
    async with system.http.delete(url, headers={"Authorization": "Bearer sk_test_system"}) as response:
        assert response.status == 200
    await system.quiet()
    answer = await system.call("GET", f"/api/products/{product['id']}")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_pages_and_etags(system: System) -> None:
    made = [(await make_product(system))["id"] for _ in range(3)]
    await system.quiet()
    first = await system.call("GET", "/api/products?limit=2")
    ids = [row["stripe_product_id"] for row in first.body["data"]]
    assert len(ids) == 2
    assert first.body["has_more"]
    second = await system.call("GET", f"/api/products?limit=100&starting_after={ids[-1]}")
    together = ids + [row["stripe_product_id"] for row in second.body["data"]]
    assert len(together) == len(set(together))
    assert set(made) <= set(together)
    same = await system.http.get(
        f"{system.api_url}/api/products?limit=2", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (same.status, await same.read()) == (304, b"")
    await make_product(system)
    await system.quiet()
    other = await system.http.get(
        f"{system.api_url}/api/products?limit=2", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert other.status == 200
    for path in ("/api/products/nope", "/api/products?starting_after=nope", "/api/products?limit=0"):
        assert (await system.call("GET", path)).status in (404, 422)


BODY = {
    "name": "Team",
    "description": "For teams",
    "prices": [
        {"unit_amount": 1500, "currency": "usd", "recurring": {"interval": "month"}},
        {"unit_amount": 15000, "currency": "usd", "recurring": {"interval": "year"}, "nickname": "yearly"},
        {"unit_amount": 9900, "currency": "jpy"},
    ],
}


async def test_an_administrator_makes_a_product_with_its_prices_once(system: System) -> None:
    root, key = unique("root"), unique("key")
    made = await system.call("POST", "/api/products", BODY, user=root, roles=("admin",), key=key)
    assert made.status == 201, made.body
    assert sorted(price["unit_amount"] for price in made.body["prices"]) == [1500, 9900, 15000]
    again = await system.call("POST", "/api/products", BODY, user=root, roles=("admin",), key=key)
    assert (again.status, again.body) == (201, made.body)
    stripe = await system.stripe(f"/v1/prices?product={made.body['stripe_product_id']}")
    assert len(stripe["data"]) == 3
    await system.quiet()
    shown = (await system.call("GET", f"/api/products/{made.body['id']}")).body
    assert {price["id"] for price in shown["prices"]} == {price["id"] for price in made.body["prices"]}


async def test_a_line_cut_between_product_and_prices_ends_in_one_whole_product(system: System) -> None:
    root, key = unique("root"), unique("key")
    for path, when in (("/v1/products", "after"), ("/v1/prices", "after"), ("/v1/prices", "before")):
        await system.fault(target="api", kind="cut", method="POST", path=path, when=when, times=3)
    answer = await system.call("POST", "/api/products", BODY, user=root, roles=("admin",), key=key)
    assert answer.status in (201, 202), answer.body
    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.quiet()
    final = await system.call("POST", "/api/products", BODY, user=root, roles=("admin",), key=key)
    assert (final.status, len(final.body["prices"])) == (201, 3)
    stripe = await system.stripe(f"/v1/prices?product={final.body['stripe_product_id']}")
    assert len(stripe["data"]) == 3


async def test_only_administrators_and_only_what_can_be(system: System) -> None:
    for roles in ((), ("support",)):
        refused = await system.call("POST", "/api/products", BODY, user=unique("ann"), roles=roles)
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
    bad: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "name"),
        ({"name": "x", "extra": 1}, "extra"),
        ({"name": "x", "prices": [{"unit_amount": -1, "currency": "usd"}]}, "prices.0.unit_amount"),
        ({"name": "x", "prices": [{"unit_amount": 1.5, "currency": "usd"}]}, "prices.0.unit_amount"),
        ({"name": "x", "prices": [{"unit_amount": 100, "currency": "xxx"}]}, "prices.0.currency"),
        ({"name": "x", "prices": [{"unit_amount": 1005, "currency": "kwd"}]}, "prices.0.unit_amount"),
    ]
    for body, field in bad:
        answer = await system.call("POST", "/api/products", body, user=unique("root"), roles=("admin",))
        assert (answer.status, answer.body.get("field")) == (422, field), answer.body


async def test_a_product_whose_price_stripe_refuses_is_not_on_offer(system: System) -> None:
    root = unique("root")
    price = {"unit_amount": 100, "currency": "usd", "lookup_key": unique("key")}
    body = {"name": unique("Taken"), "prices": [price]}
    assert (await system.call("POST", "/api/products", body, user=root, roles=("admin",))).status == 201
    twice = await system.call("POST", "/api/products", body, user=root, roles=("admin",))
    assert (twice.status, twice.code) == (422, "PRODUCT_REJECTED")
    await system.quiet()
    listed = (await system.call("GET", "/api/products?limit=100")).body["data"]
    assert [row["name"] for row in listed].count(body["name"]) == 1


async def test_a_refused_product_that_cannot_be_archived_at_once_is_archived_later(system: System) -> None:
    root, key = unique("root"), unique("key")
    price = {"unit_amount": 100, "currency": "usd", "lookup_key": unique("key")}
    body = {"name": unique("Taken"), "prices": [price]}
    assert (await system.call("POST", "/api/products", body, user=root, roles=("admin",))).status == 201
    # A limit says that nothing was done, of the archiving; the product was made.
    await system.fault(target="api", kind="status", method="POST", path="/v1/products/*", status=429, times=5)
    twice = await system.call("POST", "/api/products", body, user=root, roles=("admin",), key=key)
    assert twice.status == 202, twice.body
    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.quiet()
    final = await system.call("POST", "/api/products", body, user=root, roles=("admin",), key=key)
    assert (final.status, final.code) == (422, "PRODUCT_REJECTED")
    listed = (await system.call("GET", "/api/products?limit=100")).body["data"]
    assert [row["name"] for row in listed].count(body["name"]) == 1
