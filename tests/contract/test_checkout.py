"""Checkout Sessions: what can be sold, the page, the call that completes them, and how they end."""

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe

from contract.flows_catalogue import complete, promotion_of
from contract.harness import VERSIONS, Box, Json, Reply, Sdk, error_of, refusal
from tallystick.sandbox.versions import NEWEST, OLDEST

SHOP: Json = {
    "success_url": "https://shop.example/ok?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "https://shop.example",
}
CARD = "action=pay&email=a@example.com&name=A&expiry=12/34&cvc=123&number="
CHALLENGED, DECLINED, GOOD = "4000002500003155", "4000000000000002", "4242424242424242"


def refused(call: Any, *arguments: Any) -> Json:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    return refusal(caught.value)


def line(amount: int = 2000, quantity: int = 1, **more: Any) -> Json:
    data = {"currency": "usd", "unit_amount": amount, "product_data": {"name": "Socks"}, **more}
    return {"price_data": data, "quantity": quantity}


def session(api: Sdk, **more: Any) -> Any:
    """A session in payment mode, if not otherwise said."""
    given = {"mode": "payment", "line_items": [line()], **SHOP, **more}
    return api.v1.checkout.sessions.create({key: item for key, item in given.items() if item is not None})


def submit(box: Box, url: str, form: str) -> Reply:
    """Send the page's form."""
    return box.request("POST", url.removeprefix(box.url), form)


class TestCreating:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_fresh_one(self, box: Box, version: str) -> None:
        api = box.client(version)
        made = session(api, line_items=[line(quantity=3), line(50)], client_reference_id="42", expand=["line_items"])
        assert (made.status, made.payment_status, made.amount_total, made.currency) == ("open", "unpaid", 6050, "usd")
        assert (made.payment_intent, made.customer, made.client_reference_id) == (None, None, "42")
        assert made.url == f"{box.url}/_sandbox/checkout/{made.id}"
        assert made.ui_mode == ("hosted" if version == OLDEST else "hosted_page")
        assert made.expires_at - made.created == 86400
        items = made.to_dict()["line_items"]["data"]
        assert [(item["description"], item["quantity"], item["amount_total"]) for item in items] == [
            ("Socks", 3, 6000), ("Socks", 1, 50),
        ]  # fmt: skip
        assert not items[0]["price"]["active"]
        assert ("discounts" in made.to_dict()) == (version == NEWEST)

    def test_ui_modes(self, box: Box) -> None:
        new = box.client(NEWEST)
        embedded = session(
            new, ui_mode="embedded_page", success_url=None, cancel_url=None, return_url="https://shop.example"
        )
        assert embedded.url is None
        assert embedded.client_secret.startswith(embedded.id)
        old = box.client(OLDEST).v1.checkout.sessions.retrieve(embedded.id)
        assert old.ui_mode == "embedded"
        assert refused(lambda: session(new, ui_mode="hosted"))["param"] == "ui_mode"
        assert refused(lambda: session(box.client(OLDEST), ui_mode="hosted_page"))["param"] == "ui_mode"

    def test_refusals(self, api: Sdk) -> None:
        now = int(time.time())
        monthly = line(recurring={"interval": "month"})
        archived = api.v1.prices.create({"currency": "usd", "unit_amount": 1, "product_data": {"name": "x"}}).id
        api.v1.prices.update(archived, {"active": False})
        customer = api.v1.customers.create({}).id
        cases: list[tuple[Json, str | None]] = [
            ({"mode": None}, "mode"),
            ({"success_url": None}, "success_url"),
            ({"line_items": None}, "line_items"),
            ({"line_items": [monthly]}, "line_items[0][price]"),
            ({"line_items": [line()], "mode": "subscription"}, "line_items"),
            ({"line_items": [{"price": "price_nope", "quantity": 1}]}, "line_items[0][price]"),
            ({"line_items": [{"price": archived, "quantity": 1}]}, "line_items[0][price]"),
            ({"line_items": [{"price_data": line()["price_data"]}]}, "line_items[0][quantity]"),
            ({"line_items": [line(quantity=0)]}, "line_items[0][quantity]"),
            ({"line_items": [line(), line(currency="eur")]}, "line_items[1][price]"),
            ({"line_items": [line(10)]}, None),
            ({"expires_at": now + 600}, "expires_at"),
            ({"expires_at": now + 90000}, "expires_at"),
            ({"subscription_data": {"trial_period_days": 3}}, "subscription_data"),
            ({"customer": "cus_nope"}, "customer"),
            ({"customer": customer, "customer_email": "a@example.com"}, None),
            ({"allow_promotion_codes": True, "discounts": [{"coupon": "x"}]}, None),
            ({"discounts": [{"coupon": "nope"}]}, "discounts[0][coupon]"),
            ({"customer": customer, "customer_creation": "always"}, "customer_creation"),
            ({"success_url": "shop"}, "success_url"),
        ]
        for change, param in cases:
            assert refused(lambda change=change: session(api, **change)).get("param") == param, change

    def test_two_intervals_do_not_fit(self, api: Sdk) -> None:
        lines = [line(recurring={"interval": "month"}), line(recurring={"interval": "year"})]
        assert (
            "different billing intervals"
            in refused(lambda: session(api, mode="subscription", line_items=lines))["message"]
        )


PACKS: Json = {"unit_amount": 700, "transform_quantity": {"divide_by": 10, "round": "up"}}
STEPS: Json = {
    "billing_scheme": "tiered",
    "tiers": [
        {"up_to": 5, "unit_amount": 100, "flat_amount": 300},
        {"up_to": 10, "unit_amount": 80},
        {"up_to": "inf", "unit_amount_decimal": "50.5", "flat_amount": 1000},
    ],
}


class TestAmounts:
    """What a quantity costs, whatever the price is made of."""

    @pytest.mark.parametrize(
        ("terms", "quantity", "amount"),
        [
            ({"unit_amount_decimal": "33.35"}, 10, 334),  # 333.5
            ({"unit_amount_decimal": "0.0005"}, 1_000_000, 500),
            (PACKS, 10, 700),
            (PACKS, 11, 1400),
            ({**PACKS, "transform_quantity": {"divide_by": 10, "round": "down"}}, 19, 700),
            ({**STEPS, "tiers_mode": "graduated"}, 5, 800),
            ({**STEPS, "tiers_mode": "graduated"}, 6, 880),
            ({**STEPS, "tiers_mode": "graduated"}, 13, 2352),  # 500+300, 400, 151.5+1000
            ({**STEPS, "tiers_mode": "volume"}, 5, 800),
            ({**STEPS, "tiers_mode": "volume"}, 6, 480),
            ({**STEPS, "tiers_mode": "volume"}, 11, 1556),  # 555.5 + 1000
            ({"custom_unit_amount": {"enabled": True, "preset": 1234}}, 1, 1234),
        ],
    )
    def test_of_a_quantity(self, api: Sdk, terms: Json, quantity: int, amount: int) -> None:
        price = api.v1.prices.create({"currency": "usd", "product_data": {"name": "x"}, **terms}).id
        assert session(api, line_items=[{"price": price, "quantity": quantity}]).amount_total == amount

    def test_in_another_currency(self, api: Sdk) -> None:
        options = {"jpy": {"unit_amount": 900}}
        price = api.v1.prices.create(
            {"currency": "usd", "unit_amount": 700, "product_data": {"name": "x"}, "currency_options": options}
        ).id
        made = session(api, line_items=[{"price": price, "quantity": 2}], currency="jpy")
        assert (made.currency, made.amount_total) == ("jpy", 1800)
        lines = [{"price": price, "quantity": 2}]
        assert refused(lambda: session(api, line_items=lines, currency="eur"))["param"] == "line_items[0][price]"


class TestPaying:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_without_a_browser(self, box: Box, version: str) -> None:
        api = box.client(version)
        made = session(
            api, metadata={"order": "7"}, payment_intent_data={"metadata": {"order": "8"}, "description": "Order"},
            customer_creation="always",
        )  # fmt: skip
        done = complete(box, made.url, email="buyer@example.com", name="Buyer")
        assert (done["status"], done["payment_status"], done["url"]) == ("complete", "paid", None)
        assert done["next_url"] == f"https://shop.example/ok?session={made.id}"
        found = api.v1.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent", "customer"]})
        assert found.payment_intent.metadata.to_dict() == {"order": "8"}
        assert (found.payment_intent.status, found.payment_intent.amount) == ("succeeded", 2000)
        assert (found.customer.email, found.customer_details.name) == ("buyer@example.com", "Buyer")
        assert [
            item.id for item in api.v1.checkout.sessions.list({"payment_intent": found.payment_intent.id}).data
        ] == [made.id]
        assert box.event_types() == [
            "product.created", "price.created", "customer.created", "payment_intent.created", "charge.succeeded",
            "payment_intent.succeeded", "checkout.session.completed",
            *(["charge.updated"] if version == NEWEST and "charge.updated" in box.event_types() else []),
        ]  # fmt: skip
        assert complete_again(box, made.id)["message"].startswith("This Checkout Session is not open")

    def test_declines_leave_it_open(self, box: Box) -> None:
        api = box.client(NEWEST)
        made = session(api)
        reply = box.request(
            "POST", made.url.removeprefix(box.url) + "/complete",
            json.dumps({"payment_method": "pm_card_visa_chargeDeclined"}), {"Content-Type": "application/json"},
        )  # fmt: skip
        assert error_of(reply, 402)["code"] == "card_declined"
        again = api.v1.checkout.sessions.retrieve(made.id)
        assert again.status == "open"
        intent = complete(box, made.url, card={"number": GOOD, "exp_month": 12, "exp_year": 2034})["payment_intent"]
        assert intent == again.payment_intent
        assert box.event_types().count("payment_intent.created") == 1

    def test_delayed_methods(self, box: Box) -> None:
        api = box.client(NEWEST)
        good, bad = session(api), session(api)
        assert complete(box, good.url, payment_method="pm_usBankAccount_success")["payment_status"] == "unpaid"
        complete(box, bad.url, payment_method="pm_usBankAccount_insufficientFunds")
        box.advance(10)
        assert api.v1.checkout.sessions.retrieve(good.id).payment_status == "paid"
        assert api.v1.checkout.sessions.retrieve(bad.id).payment_status == "unpaid"
        types = box.event_types()
        assert types.count("checkout.session.async_payment_succeeded") == 1
        assert types.count("checkout.session.async_payment_failed") == 1

    def test_manual_capture(self, box: Box) -> None:
        api = box.client(NEWEST)
        made = session(api, payment_intent_data={"capture_method": "manual"})
        done = complete(box, made.url)
        assert (done["status"], done["payment_status"]) == ("complete", "unpaid")
        api.v1.payment_intents.capture(done["payment_intent"])
        assert api.v1.checkout.sessions.retrieve(made.id).payment_status == "paid"
        assert "checkout.session.async_payment_succeeded" not in box.event_types()

    def test_saving_the_card(self, box: Box) -> None:
        api = box.client(NEWEST)
        customer = api.v1.customers.create({"email": "own@example.com"}).id
        made = session(api, customer=customer, payment_intent_data={"setup_future_usage": "off_session"})
        assert made.customer_details.email == "own@example.com"
        complete(box, made.url, email="other@example.com")
        assert api.v1.checkout.sessions.retrieve(made.id).customer_details.email == "own@example.com"
        assert len(api.v1.customers.payment_methods.list(customer).data) == 1

    def test_discounts(self, box: Box) -> None:
        api = box.client(NEWEST)
        coupon = api.v1.coupons.create({"amount_off": 500, "currency": "usd"}).id
        made = session(api, line_items=[line(1000), line(2000)], discounts=[{"coupon": coupon}], expand=["line_items"])
        assert (made.amount_subtotal, made.amount_total, made.total_details.amount_discount) == (3000, 2500, 500)
        # Stripe's published example of a split.
        assert [item.amount_discount for item in made.line_items.data] == [166, 334]
        assert api.v1.coupons.retrieve(coupon).times_redeemed == 0
        complete(box, made.url)
        assert api.v1.coupons.retrieve(coupon).times_redeemed == 1
        free = api.v1.coupons.create({"percent_off": 100}).id
        done = complete(box, session(api, discounts=[{"coupon": free}]).url)
        assert (done["payment_status"], done["payment_intent"]) == ("no_payment_required", None)


def complete_again(box: Box, session_id: str) -> Json:
    reply = box.request("POST", f"/_sandbox/checkout/{session_id}/complete", "", {"Accept": "application/json"})
    return error_of(reply, 400)


class TestSettingUp:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_saves_a_card(self, box: Box, version: str) -> None:
        api = box.client(version)
        customer = api.v1.customers.create({"email": "a@example.com"}).id
        made = session(
            api, mode="setup", currency="usd", line_items=None, customer=customer,
            setup_intent_data={"metadata": {"why": "later"}},
        )  # fmt: skip
        assert (made.amount_total, made.payment_status) == (None, "no_payment_required")
        done = complete(box, made.url)
        assert (done["status"], done["setup_intent"]) == ("complete", made.setup_intent)
        intent = api.v1.setup_intents.retrieve(made.setup_intent)
        assert (intent.status, intent.metadata.to_dict()) == ("succeeded", {"why": "later"})
        assert [item.id for item in api.v1.customers.payment_methods.list(customer).data] == [intent.payment_method]


class TestThePage:
    def test_it_is_shown(self, box: Box) -> None:
        made = session(box.client(NEWEST), line_items=[line(1999, 2)], allow_promotion_codes=True)
        reply = box.request("GET", made.url.removeprefix(box.url))
        text = reply.body.decode()
        assert (reply.status, "Pay $39.98" in text, 'href="https://shop.example"' in text) == (200, True, True)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self' https://shop.example" in policy
        assert "<script" not in text
        assert "style=" not in text
        assert box.request("GET", "/_sandbox/checkout/cs_test_nope").status == 404

    def test_paying_there(self, box: Box) -> None:
        made = session(box.client(NEWEST))
        for card, words in ((DECLINED, "declined"), ("4242424242424241", "number is incorrect"), ("4111", "incorrect")):
            reply = submit(box, made.url, CARD + card)
            assert (reply.status, words in reply.body.decode()) == (402, True), card
            assert card not in reply.body.decode()
        assert submit(box, made.url, CARD.replace("12/34", "soon") + GOOD).status == 402
        assert submit(box, made.url, CARD.replace("a@example.com", "") + GOOD).status == 400
        reply = submit(box, made.url, CARD + GOOD)
        assert (reply.status, reply.headers["location"]) == (303, f"https://shop.example/ok?session={made.id}")
        page = box.request("GET", made.url.removeprefix(box.url))
        assert (page.status, b"complete" in page.body) == (200, True)

    @pytest.mark.parametrize("mode", ["payment", "setup"])
    @pytest.mark.parametrize("outcome", ["complete", "fail"])
    def test_3d_secure(self, box: Box, mode: str, outcome: str) -> None:
        api = box.client(NEWEST)
        only = {"line_items": None, "currency": "usd"} if mode == "setup" else {}
        made = session(api, mode=mode, **only)
        challenge = submit(box, made.url, CARD + CHALLENGED).headers["location"]
        assert api.v1.checkout.sessions.retrieve(made.id).status == "open"
        parts = urlsplit(challenge)
        secret = parse_qs(parts.query)["client_secret"][0]
        back = box.request("POST", f"{parts.path}/{outcome}", f"client_secret={secret}").headers["location"]
        reply = box.request("GET", back.removeprefix(box.url))
        status = api.v1.checkout.sessions.retrieve(made.id).status
        if outcome == "complete":
            assert (status, reply.status) == ("complete", 200)
            assert f"url=https://shop.example/ok?session={made.id}" in reply.body.decode()
        else:
            assert (status, reply.status, b"authentication" in reply.body) == ("open", 402, True)
            assert submit(box, made.url, CARD + GOOD).status == 303

    def test_promotion_codes(self, box: Box) -> None:
        api = box.client(NEWEST)
        coupon = api.v1.coupons.create({"percent_off": 12.5, "max_redemptions": 1}).id
        code = api.v1.promotion_codes.create({**promotion_of(NEWEST, coupon), "code": "TEN"})
        made = session(api, line_items=[line(1004)], allow_promotion_codes=True)
        wrong = submit(box, made.url, "action=code&code=NOPE")
        assert (wrong.status, b"This code is invalid." in wrong.body) == (400, True)
        assert submit(box, made.url, "action=code&code=ten").status == 303
        found = api.v1.checkout.sessions.retrieve(made.id)
        # 125.5 is taken off as 126.
        assert (found.amount_total, found.total_details.amount_discount) == (878, 126)
        assert found.discounts[0].promotion_code == code.id
        assert submit(box, made.url, CARD + GOOD).status == 303
        late = session(api, allow_promotion_codes=True)
        assert submit(box, late.url, "action=code&code=TEN").status == 400
        plain = session(api)
        assert submit(box, plain.url, "action=code&code=TEN").status == 400

    def test_least_amount_and_first_purchase(self, box: Box) -> None:
        api = box.client(NEWEST)
        coupon = promotion_of(NEWEST, api.v1.coupons.create({"percent_off": 10}).id)
        rules = {"minimum_amount": 5000, "minimum_amount_currency": "usd", "first_time_transaction": True}
        code = api.v1.promotion_codes.create({**coupon, "restrictions": rules}).id
        discounts = [{"promotion_code": code}]
        assert "minimum" in refused(lambda: session(api, discounts=discounts))["message"]
        customer = api.v1.customers.create({"email": "a@example.com"}).id
        big = {"line_items": [line(6000)], "customer": customer, "discounts": discounts}
        complete(box, session(api, **big).url)
        assert "prior transactions" in refused(lambda: session(api, **big))["message"]


class TestEnding:
    def test_expire(self, box: Box) -> None:
        api = box.client(NEWEST)
        made = session(api)
        submit(box, made.url, CARD + DECLINED)
        gone = api.v1.checkout.sessions.expire(made.id)
        assert (gone.status, gone.url) == ("expired", None)
        assert api.v1.payment_intents.retrieve(gone.payment_intent).status == "canceled"
        page = box.request("GET", made.url.removeprefix(box.url))
        assert (page.status, b"expired" in page.body) == (410, True)
        assert "can be expired" in refused(api.v1.checkout.sessions.expire, made.id)["message"]
        assert submit(box, made.url, CARD + GOOD).status == 410

    def test_by_the_clock(self, box: Box) -> None:
        api = box.client(NEWEST)
        now = box.control("GET", "/clock")["now"]
        made, paid = session(api, expires_at=now + 1900), session(api)
        complete(box, paid.url)
        box.advance("25h")
        assert api.v1.checkout.sessions.retrieve(made.id).status == "expired"
        assert api.v1.checkout.sessions.retrieve(paid.id).status == "complete"
        event = api.v1.events.list({"type": "checkout.session.expired"}).data
        assert [item.data.object["id"] for item in event] == [made.id]
        assert event[0].created - now == pytest.approx(1900, abs=2)

    def test_lists(self, box: Box) -> None:
        api = box.client(NEWEST)
        one, two = session(api, customer_email="one@example.com"), session(api)
        sessions = api.v1.checkout.sessions
        assert [item.id for item in sessions.list().data] == [two.id, one.id]
        assert [item.id for item in sessions.list({"customer_details": {"email": "one@example.com"}}).data] == [one.id]
        sessions.expire(one.id)
        assert [item.id for item in sessions.list({"status": "open"}).data] == [two.id]
        assert sessions.update(two.id, {"metadata": {"a": "b"}}).metadata.to_dict() == {"a": "b"}
        many = session(api, line_items=[line(100 + number) for number in range(12)])
        first = sessions.line_items.list(many.id)
        assert (len(first.data), first.has_more) == (10, True)
        rest = sessions.line_items.list(many.id, {"starting_after": first.data[-1].id})
        assert [item.amount_total for item in rest.data] == [110, 111]
