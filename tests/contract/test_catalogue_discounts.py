"""Coupons, promotion codes and customers' discounts, in the words of each version."""

from typing import Any

import pytest
import stripe

from contract.flows_catalogue import promotion_of
from contract.harness import VERSIONS, Box, Json, Sdk, error_of, refusal
from tallystick.sandbox.versions import NEWEST, OLDEST

CLOVER_2025 = "2025-10-29.clover"


def refused(call: Any, *arguments: Any) -> Json:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    return refusal(caught.value)


class TestCoupons:
    def test_life(self, box: Box) -> None:
        v1 = box.client(NEWEST).v1
        coupon = v1.coupons.create({"percent_off": 33.33, "id": "third", "max_redemptions": 2})
        assert (coupon.percent_off, coupon.duration, coupon.valid, coupon.times_redeemed) == (33.33, "once", True, 0)
        assert refused(v1.coupons.create, {"percent_off": 1, "id": "third"})["code"] == "resource_already_exists"
        v1.coupons.update("third", {"name": "A third"})
        assert error_of(box.post("/v1/coupons/third", "percent_off=1"), 400)["code"] == "parameter_unknown"
        assert v1.coupons.delete("third").deleted
        assert refused(v1.coupons.retrieve, "third")["code"] == "resource_missing"
        assert box.event_types() == ["coupon.created", "coupon.updated", "coupon.deleted"]

    def test_refusals(self, api: Sdk) -> None:
        create = api.v1.coupons.create
        assert "only one" in refused(create, {"percent_off": 1, "amount_off": 1, "currency": "usd"})["message"]
        assert refused(create, {})["code"] == "parameter_missing"
        assert refused(create, {"amount_off": 100})["param"] == "currency"
        assert refused(create, {"percent_off": 1, "duration": "repeating"})["param"] == "duration_in_months"
        assert refused(create, {"percent_off": 101})["param"] == "percent_off"
        assert refused(create, {"percent_off": 0})["param"] == "percent_off"
        assert refused(create, {"percent_off": 1, "redeem_by": 1000})["param"] == "redeem_by"

    def test_an_amount_for_ever_by_version(self, box: Box) -> None:
        given = {"amount_off": 100, "currency": "usd", "duration": "forever"}
        for version, taken in ((OLDEST, True), ("2025-04-30.basil", False), (CLOVER_2025, False), (NEWEST, True)):
            create = box.client(version).v1.coupons.create
            if taken:
                assert create(given).duration == "forever"
            else:
                assert refused(create, given)["param"] == "duration"

    def test_applies_to_is_printed_when_expanded(self, api: Sdk) -> None:
        product = api.v1.products.create({"name": "x"}).id
        coupon = api.v1.coupons.create({"percent_off": 1, "applies_to": {"products": [product]}})
        assert "applies_to" not in coupon.to_dict()
        found = api.v1.coupons.retrieve(coupon.id, {"expand": ["applies_to"]})
        assert list(found.applies_to.products) == [product]

    def test_redeem_by_passes(self, box: Box) -> None:
        v1 = box.client(NEWEST).v1
        soon = box.control("GET", "/clock")["now"] + 3600
        coupon = v1.coupons.create({"percent_off": 1, "redeem_by": soon}).id
        code = v1.promotion_codes.create({**promotion_of(NEWEST, coupon)})
        assert code.expires_at == soon
        box.advance("2h")
        assert not v1.coupons.retrieve(coupon).valid
        assert not v1.promotion_codes.retrieve(code.id).active
        error = refused(v1.promotion_codes.create, promotion_of(NEWEST, coupon))
        assert error["code"] == "coupon_expired"


class TestPromotionCodes:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_forms(self, box: Box, version: str) -> None:
        v1 = box.client(version).v1
        product = v1.products.create({"name": "x"}).id
        coupon = v1.coupons.create({"percent_off": 10, "applies_to": {"products": [product]}}).id
        made = v1.promotion_codes.create({**promotion_of(version, coupon), "code": "SUMMER"}).to_dict()
        if version == OLDEST:
            assert made["coupon"]["id"] == coupon
            assert "promotion" not in made
        else:
            assert made["promotion"] == {"coupon": coupon, "type": "coupon"}
        place = "coupon" if version == OLDEST else "promotion.coupon"
        expand = ["customer", f"{place}.applies_to"]
        shown = v1.promotion_codes.retrieve(made["id"], {"expand": expand}).to_dict()
        found = shown["coupon"] if version == OLDEST else shown["promotion"]["coupon"]
        assert (found["id"], "applies_to" in found) == (coupon, True)
        wrong = promotion_of(NEWEST if version == OLDEST else OLDEST, coupon)
        assert refused(v1.promotion_codes.create, wrong)["code"] == "parameter_unknown"

    def test_unique_among_active_ones(self, box: Box) -> None:
        v1 = box.client(NEWEST).v1
        coupon = promotion_of(NEWEST, v1.coupons.create({"percent_off": 10}).id)
        customer = v1.customers.create({}).id
        made = v1.promotion_codes.create({**coupon, "code": "SUMMER"})
        error = refused(v1.promotion_codes.create, {**coupon, "code": "Summer"})
        assert error["message"] == "An active promotion code with `code: Summer` already exists."
        own = v1.promotion_codes.create({**coupon, "code": "Summer", "customer": customer})
        assert [item.id for item in v1.promotion_codes.list({"code": "summer"}).data] == [own.id, made.id]
        assert [item.id for item in v1.promotion_codes.list({"customer": customer}).data] == [own.id]
        v1.promotion_codes.update(made.id, {"active": False})
        again = v1.promotion_codes.create({**coupon, "code": "summer"})
        assert refused(v1.promotion_codes.update, made.id, {"active": True})["param"] == "code"
        assert [item.id for item in v1.promotion_codes.list({"code": "SUMMER", "active": True}).data] == [
            again.id, own.id,
        ]  # fmt: skip

    def test_limits(self, box: Box) -> None:
        v1 = box.client(NEWEST).v1
        coupon = promotion_of(NEWEST, v1.coupons.create({"percent_off": 10, "max_redemptions": 1}).id)
        assert refused(v1.promotion_codes.create, {**coupon, "max_redemptions": 2})["param"] == "max_redemptions"
        assert refused(v1.promotion_codes.create, {**coupon, "expires_at": 1000})["param"] == "expires_at"
        assert refused(v1.promotion_codes.create, {**coupon, "code": "a b"})["param"] == "code"
        assert refused(v1.promotion_codes.create, promotion_of(NEWEST, "nope"))["param"] == "promotion[coupon]"


class TestCustomersDiscount:
    def test_old_parameters(self, box: Box) -> None:
        v1 = box.client(OLDEST).v1
        coupon = v1.coupons.create({"percent_off": 10, "duration": "repeating", "duration_in_months": 1})
        code = v1.promotion_codes.create({"coupon": coupon.id, "code": "X", "max_redemptions": 1})
        customer = v1.customers.create({"promotion_code": code.id})
        discount = customer.discount
        assert (discount.coupon.id, discount.promotion_code, discount.customer) == (coupon.id, code.id, customer.id)
        assert 27 * 86400 < discount.end - discount.start < 32 * 86400
        assert not v1.promotion_codes.retrieve(code.id).active
        assert v1.coupons.retrieve(coupon.id).times_redeemed == 1
        error = refused(v1.customers.update, v1.customers.create({}).id, {"promotion_code": code.id})
        assert (error["code"], error["param"]) == ("coupon_expired", "promotion_code")
        new = box.client(NEWEST).v1.customers.retrieve(customer.id).discount.to_dict()
        assert new["source"] == {"coupon": coupon.id, "type": "coupon"}
        assert "coupon" not in new
        box.advance("33d")
        assert v1.customers.retrieve(customer.id).discount is None
        assert box.event_types()[-1] == "customer.discount.deleted"

    def test_taken_off(self, box: Box) -> None:
        v1 = box.client(OLDEST).v1
        coupon = v1.coupons.create({"percent_off": 10}).id
        customer = v1.customers.create({"coupon": coupon}).id
        gone = v1.customers.delete_discount(customer)
        assert gone.deleted
        assert v1.customers.retrieve(customer).discount is None
        assert refused(v1.customers.delete_discount, customer)["code"] == "resource_missing"

    def test_a_deleted_coupon_goes_on(self, box: Box) -> None:
        v1 = box.client(OLDEST).v1
        coupon = v1.coupons.create({"percent_off": 10, "name": "Ten"}).id
        customer = v1.customers.create({"coupon": coupon}).id
        v1.coupons.delete(coupon)
        assert v1.customers.retrieve(customer).discount.coupon.name == "Ten"

    def test_unknown_since_basil(self, box: Box) -> None:
        coupon = box.client(NEWEST).v1.coupons.create({"percent_off": 10}).id
        reply = box.post("/v1/customers", f"coupon={coupon}", Stripe_Version=NEWEST)
        assert error_of(reply, 400)["code"] == "parameter_unknown"
