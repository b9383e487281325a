"""Products, prices and entitlements: what can be created, found, changed and deleted."""

from typing import Any

import pytest
import stripe

from contract.harness import VERSIONS, Box, Json, Sdk, error_of, refusal
from tallystick.sandbox.versions import NEWEST, OLDEST

MONTHLY: Json = {"interval": "month"}


def make_price(api: Sdk, **more: Any) -> Any:
    given: Json = {"currency": "usd", "unit_amount": 1500, **more}
    if "product" not in given:
        given.setdefault("product_data", {"name": "Thing"})
    return api.v1.prices.create(given)


def refused(call: Any, *arguments: Any) -> Json:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    return refusal(caught.value)


class TestProducts:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_life(self, box: Box, version: str) -> None:
        v1 = box.client(version).v1
        product = v1.products.create({"name": "Pro", "id": "pro", "metadata": {"a": "1"}})
        assert (product.id, product.type, product.active) == ("pro", "service", True)
        v1.products.update("pro", {"name": "Pro 2", "active": False, "metadata": {"b": "2"}})
        event = v1.events.list({"type": "product.updated"}).data[0]
        before = event.data.previous_attributes.to_dict()
        before.pop("updated", None)
        assert before == {"active": True, "metadata": {"b": None}, "name": "Pro"}
        assert refused(v1.products.create, {"name": "x", "id": "pro"})["code"] == "resource_already_exists"
        gone = v1.products.delete("pro")
        assert gone.to_dict() == {"id": "pro", "object": "product", "deleted": True}
        error = refused(v1.products.retrieve, "pro")
        assert (error["code"], error["param"]) == ("resource_missing", "id")
        assert v1.products.create({"name": "Pro again", "id": "pro"}).name == "Pro again"
        assert box.event_types() == ["product.created", "product.updated", "product.deleted", "product.created"]

    def test_default_price_and_deletion(self, box: Box) -> None:
        v1 = box.client(NEWEST).v1
        data = {"currency": "jpy", "unit_amount": 1000, "recurring": MONTHLY}
        product = v1.products.create({"name": "Pro", "default_price_data": data})
        price = v1.prices.retrieve(product.default_price)
        assert (price.product, price.currency, price.recurring.interval_count) == (product.id, "jpy", 1)
        assert "user-created prices" in refused(v1.products.delete, product.id)["message"]
        assert "default price" in refused(v1.prices.update, price.id, {"active": False})["message"]
        other = make_price(box.client(NEWEST))
        assert refused(v1.products.update, product.id, {"default_price": "price_nope"})["param"] == "default_price"
        assert refused(v1.products.update, product.id, {"default_price": other.id})["param"] == "default_price"

    def test_lists_and_search(self, box: Box) -> None:
        box.control("POST", "/settings", {"search_lag_s": 0})
        v1 = box.client(NEWEST).v1
        one = v1.products.create({"name": "Socks", "metadata": {"shop": "1"}, "url": "https://a.example"})
        two = v1.products.create({"name": "Shoes", "active": False})
        found = v1.products.list({"ids": [one.id, two.id, "prod_nope"]})
        assert [item.id for item in found.data] == [two.id, one.id]
        assert [item.id for item in v1.products.list({"active": True}).data] == [one.id]
        assert [item.id for item in v1.products.list({"active": False}).data] == [two.id]
        assert [item.id for item in v1.products.list({"url": "https://a.example"}).data] == [one.id]
        assert list(v1.products.list({"ids": ["prod_nope"]}).data) == []
        for query in ("metadata['shop']:'1'", "name~'sock'", "name:'socks' AND active:'true'"):
            assert [item.id for item in v1.products.search({"query": query}).data] == [one.id], query
        assert [item.id for item in v1.products.search({"query": "active:'false'"}).data] == [two.id]

    def test_features_are_marketing_features(self, box: Box) -> None:
        v1 = box.client(NEWEST).v1
        product = v1.products.create({"name": "Pro", "marketing_features": [{"name": "Fast"}]})
        old = box.client(OLDEST).v1.products.retrieve(product.id).to_dict()
        assert old["features"] == [{"name": "Fast"}]
        assert "marketing_features" not in old
        body = "name=x&marketing_features[0][name]=Fast"
        assert error_of(box.post("/v1/products", body, Stripe_Version=OLDEST), 400)["code"] == "parameter_unknown"
        kept = box.post("/v1/products", "name=x&features[0][name]=Slow", Stripe_Version=OLDEST).body
        assert kept["features"] == [{"name": "Slow"}]


class TestPrices:
    def test_amounts_as_recorded(self, api: Sdk) -> None:
        whole = make_price(api, unit_amount=2000)
        assert (whole.unit_amount, str(whole.unit_amount_decimal), whole.type) == (2000, "2000", "one_time")
        thing = {"currency": "usd", "product_data": {"name": "x"}}
        part = api.v1.prices.create({**thing, "unit_amount_decimal": "123.450"})
        assert (part.unit_amount, str(part.unit_amount_decimal)) == (None, "123.45")
        custom = api.v1.prices.create({**thing, "custom_unit_amount": {"enabled": True, "preset": 500}})
        assert custom.custom_unit_amount.to_dict() == {"maximum": None, "minimum": None, "preset": 500}
        assert (custom.unit_amount, custom.unit_amount_decimal) == (None, None)

    def test_tiers_only_when_expanded(self, api: Sdk) -> None:
        steps = [{"up_to": 5, "unit_amount": 100}, {"up_to": "inf", "unit_amount_decimal": "50.5", "flat_amount": 10}]
        given = {"currency": "usd", "billing_scheme": "tiered", "tiers_mode": "volume", "tiers": steps,
                 "recurring": MONTHLY, "product_data": {"name": "x"}}  # fmt: skip
        price = api.v1.prices.create(given)
        assert "tiers" not in price.to_dict()
        assert (price.unit_amount, price.unit_amount_decimal) == (None, None)
        tiers = api.v1.prices.retrieve(price.id, {"expand": ["tiers"]}).tiers
        assert [(tier.up_to, tier.unit_amount, tier.flat_amount) for tier in tiers] == [
            (5, 100, None),
            (None, None, 10),
        ]
        assert "tiers" not in api.v1.prices.retrieve(make_price(api).id, {"expand": ["tiers"]}).to_dict()
        assert "last" in refused(api.v1.prices.create, {**given, "tiers": steps[:1]})["message"]
        assert refused(api.v1.prices.create, {**given, "tiers": []})["code"] == "parameter_missing"

    def test_currency_options(self, api: Sdk) -> None:
        price = make_price(api, currency_options={"eur": {"unit_amount": 1400}}, expand=["currency_options"])
        options = price.to_dict()["currency_options"]
        assert {code: one["unit_amount"] for code, one in options.items()} == {"usd": 1500, "eur": 1400}
        changed = api.v1.prices.update(
            price.id, {"currency_options": {"gbp": {"unit_amount": 1200}}, "expand": ["currency_options"]}
        )
        assert sorted(changed.to_dict()["currency_options"]) == ["eur", "gbp", "usd"]

    def test_what_cannot_change(self, api: Sdk, shared_box: Box) -> None:
        price = make_price(api, recurring=MONTHLY)
        for change in ("unit_amount=1", "currency=eur", "recurring[interval]=year", "product=prod_x"):
            error = error_of(shared_box.post(f"/v1/prices/{price.id}", change), 400)
            assert error["code"] == "parameter_unknown", change
        assert shared_box.request("DELETE", f"/v1/prices/{price.id}").status == 404

    def test_lookup_keys(self, api: Sdk) -> None:
        one = make_price(api, lookup_key="gold")
        error = refused(lambda: make_price(api, lookup_key="gold"))
        assert (error["message"], error["param"]) == (
            f"A price (`{one.id}`) already uses that lookup key.", "lookup_key",
        )  # fmt: skip
        two = make_price(api, lookup_key="gold", transfer_lookup_key=True)
        assert api.v1.prices.retrieve(one.id).lookup_key is None
        assert [item.id for item in api.v1.prices.list({"lookup_keys": ["gold", "silver"]}).data] == [two.id]

    def test_refusals(self, api: Sdk) -> None:
        create = api.v1.prices.create
        base: Json = {"currency": "usd", "product_data": {"name": "x"}}
        assert refused(create, {"currency": "usd", "unit_amount": 1})["message"] == (
            "You must specify either `product` or `product_data` when creating a price."
        )
        assert "unit_amount" in refused(create, base)["message"]
        assert refused(create, {**base, "unit_amount": -1})["param"] == "unit_amount"
        assert refused(create, {**base, "currency": "xxd", "unit_amount": 1})["param"] == "currency"
        assert refused(create, {"currency": "usd", "unit_amount": 1, "product": "prod_nope"})["param"] == "product"
        for interval, count in (("day", 1096), ("week", 157), ("month", 37), ("year", 4)):
            recurring = {"interval": interval, "interval_count": count}
            error = refused(create, {**base, "unit_amount": 1, "recurring": recurring})
            assert error["param"] == "recurring[interval_count]"

    def test_filters_and_events(self, box: Box) -> None:
        box.control("POST", "/settings", {"search_lag_s": 0})
        api = box.client(NEWEST)
        v1 = api.v1
        product = v1.products.create({"name": "x"}).id
        once = make_price(api, product=product)
        monthly = make_price(api, product=product, recurring=MONTHLY, metadata={"plan": "pro"})
        yearly = make_price(api, product=product, recurring={"interval": "year"}, currency="eur")
        v1.prices.update(yearly.id, {"active": False, "nickname": "Old"})

        def ids(**filters: Any) -> list[str]:
            return [item.id for item in v1.prices.list(filters).data]

        assert ids(product=product) == [yearly.id, monthly.id, once.id]
        assert ids(type="one_time") == [once.id]
        assert ids(recurring={"interval": "month"}) == [monthly.id]
        assert ids(active=False) == [yearly.id]
        assert ids(active=True, currency="usd", type="recurring") == [monthly.id]
        assert [item.id for item in v1.prices.search({"query": "metadata['plan']:'pro'"}).data] == [monthly.id]
        assert [item.id for item in v1.prices.search({"query": f"product:'{product}' AND active:'false'"}).data] == [
            yearly.id
        ]
        updated = v1.events.list({"type": "price.updated"}).data[0]
        assert updated.data.previous_attributes.to_dict() == {"active": True, "nickname": None}


class TestEntitlements:
    def test_features_of_products(self, box: Box) -> None:
        v1 = box.client(NEWEST).v1
        feature = v1.entitlements.features.create({"name": "Export", "lookup_key": "export"})
        error = refused(v1.entitlements.features.create, {"name": "Again", "lookup_key": "export"})
        assert error["code"] == "resource_already_exists"
        product = v1.products.create({"name": "Pro"}).id
        link = v1.products.features.create(product, {"entitlement_feature": feature.id})
        assert link.entitlement_feature.lookup_key == "export"
        assert [item.id for item in v1.products.features.list(product).data] == [link.id]
        assert v1.products.features.delete(product, link.id).deleted
        assert list(v1.products.features.list(product).data) == []
        v1.entitlements.features.update(feature.id, {"active": False})
        assert list(v1.entitlements.features.list({"archived": False}).data) == []
