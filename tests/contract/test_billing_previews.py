"""Previews equal the invoice that follows: by hand, and over random lives of subscriptions."""

from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from contract.billing_flows import DAY, Clock, customer, is_old, items, lines_of, preview, price
from contract.harness import VERSIONS, Box, Json, Sdk
from contract.test_billing_subscriptions import error
from system import LONG
from tallystick.sandbox.versions import NEWEST

START = 1_767_225_600
FEBRUARY = START + 31 * DAY


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def shown(invoice: Any) -> Json:
    """What a preview promises."""
    data = invoice.to_dict()
    lines = [
        (line["description"], line["amount"], line["quantity"], line["period"], line["discountable"],
         sum(taken["amount"] for taken in line["discount_amounts"]))
        for line in data["lines"]["data"]
    ]  # fmt: skip
    keys = ("currency", "subtotal", "total", "amount_due", "starting_balance", "period_start", "period_end", "created")
    return {key: data[key] for key in keys} | {"lines": lines}


class TestByHand:
    def test_the_renewal(self, shared_box: Box, version: str) -> None:
        clock = Clock(shared_box, shared_box.client(version), START)
        made = clock.subscribe(price(clock.api))
        seen = preview(clock.api, version, made.id)
        assert (seen["billing_reason"], seen["status"]) == ("upcoming", "draft")
        assert seen["next_payment_attempt"] == FEBRUARY + 3600
        assert ("id" in seen) is not is_old(version)
        clock.to(FEBRUARY)
        assert shown(clock.invoices()[-1]) == shown(seen)

    def test_a_change_that_waits(self, shared_box: Box, version: str) -> None:
        clock = Clock(shared_box, shared_box.client(version), START)
        made = clock.subscribe(price(clock.api))
        clock.by(10 * DAY)
        change = [{"id": items(made)[0].id, "price": price(clock.api, 1800), "quantity": 2}]
        before = clock.api.v1.subscriptions.retrieve(made.id).to_dict()
        seen = preview(clock.api, version, made.id, items=change, proration_date=clock.now)
        # Nothing was done.
        assert clock.api.v1.subscriptions.retrieve(made.id).to_dict() == before
        assert clock.pending() == []
        clock.api.v1.subscriptions.update(made.id, {"items": change, "proration_date": clock.now})
        assert shown(preview(clock.api, version, made.id)) == shown(seen)
        clock.to(FEBRUARY)
        assert shown(clock.invoices()[-1]) == shown(seen)

    def test_a_change_that_is_billed_at_once(self, shared_box: Box, version: str) -> None:
        clock = Clock(shared_box, shared_box.client(version), START)
        made = clock.subscribe(price(clock.api))
        clock.by(10 * DAY + 4321)
        change: Json = {
            "items": [{"id": items(made)[0].id, "price": price(clock.api, 1800)}],
            "proration_behavior": "always_invoice",
        }
        seen = preview(clock.api, version, made.id, **change)
        clock.api.v1.subscriptions.update(made.id, change)
        assert shown(clock.invoices()[-1]) == shown(seen)

    def test_the_end(self, shared_box: Box, version: str) -> None:
        clock = Clock(shared_box, shared_box.client(version), START)
        made = clock.subscribe(price(clock.api))
        clock.by(10 * DAY)
        seen = preview(clock.api, version, made.id, cancel_now=True)
        clock.api.v1.subscriptions.cancel(made.id, {"prorate": True, "invoice_now": True})
        assert shown(clock.invoices()[-1]) == shown(seen)
        found = error(preview, clock.api, version, made.id)
        assert (found["status"], found["code"]) == (404, "invoice_upcoming_none")

    def test_one_that_is_not_there_yet(self, shared_box: Box, api: Sdk) -> None:
        buyer, gold = customer(api), price(api)
        coupon = api.v1.coupons.create({"percent_off": 20, "duration": "once"}).id
        seen = api.v1.invoices.create_preview(
            {"customer": buyer, "discounts": [{"coupon": coupon}],
             "subscription_details": {"items": [{"price": gold, "quantity": 3}]}}
        )  # fmt: skip
        assert (seen.total, lines_of(seen)) == (2400, [("3 × Gold (at $10.00 / month)", 3000)])
        assert api.v1.subscriptions.list({"customer": buyer}).data == []
        assert api.v1.coupons.retrieve(coupon).times_redeemed == 0

    def test_recurring_leaves_out_what_is_for_once(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        made = clock.subscribe(price(api))
        api.v1.invoice_items.create({"customer": clock.customer, "amount": 777, "currency": "usd"})
        change = {"items": [{"id": items(made)[0].id, "quantity": 3}]}
        params = {"subscription": made.id, "subscription_details": change}
        assert api.v1.invoices.create_preview({**params, "preview_mode": "recurring"}).total == 3000
        assert api.v1.invoices.create_preview(params).total == 3000 + 2000 + 777

    def test_further_items(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        made = clock.subscribe(price(api))
        seen = api.v1.invoices.create_preview(
            {"subscription": made.id, "invoice_items": [{"amount": 500, "currency": "usd", "description": "Set-up"}]}
        )
        assert lines_of(seen)[0] == ("Set-up", 500)
        assert clock.pending() == []

    def test_each_call_belongs_to_its_versions(self, shared_box: Box) -> None:
        old, new = (shared_box.client(one) for one in VERSIONS)
        buyer = customer(new)
        assert "create_preview" in error(old.v1.invoices.create_preview, {"customer": buyer})["message"]
        found = error(new.raw_request, "get", f"/v1/invoices/upcoming?customer={buyer}")
        assert (found["status"], found["message"]) == (404, "No such invoice: 'upcoming'")
        made = new.v1.subscriptions.create({"customer": buyer, "items": [{"price": price(new)}]})
        answer = old.raw_request("get", f"/v1/invoices/upcoming/lines?subscription={made.id}")
        assert answer.data["data"][0]["amount"] == 1000


# A life: how far the clock moves, and what is done then.
CHANGES = st.one_of(
    st.tuples(st.just("price"), st.integers(0, 3), st.integers(1, 4)),
    st.tuples(st.just("quantity"), st.just(0), st.integers(0, 7)),
    st.tuples(st.just("add"), st.integers(0, 3), st.integers(1, 3)),
    st.tuples(st.just("remove"), st.just(0), st.just(1)),
    st.tuples(st.just("anchor"), st.just(0), st.just(1)),
    st.tuples(st.just("trial"), st.just(0), st.integers(1, 20)),
    st.tuples(st.just("item"), st.integers(1, 900), st.just(1)),
    st.tuples(st.just("balance"), st.integers(-900, 900), st.just(1)),
)
STEPS = st.lists(
    st.tuples(
        st.integers(1, 35 * DAY), CHANGES, st.sampled_from(["create_prorations", "always_invoice", "none"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip
AMOUNTS = (1000, 1799, 333, 25)
COUPONS: list[Json | None] = [
    None,
    {"percent_off": 15, "duration": "forever"},
    {"amount_off": 450, "currency": "usd", "duration": "once"},
]


class _Life:
    """One subscription and what happens to it."""

    def __init__(self, box: Box, mode: str, coupon: Json | None) -> None:
        self.clock = Clock(box, box.client(NEWEST), START)
        self.api = self.clock.api
        self.prices = [price(self.api, amount, name=f"P{amount}") for amount in AMOUNTS]
        more: Json = {"billing_mode": {"type": mode}}
        if coupon is not None:
            more["discounts"] = [{"coupon": self.api.v1.coupons.create(coupon).id}]
        self.id = self.clock.subscribe(self.prices[0], **more).id

    def change(self, kind: str, which: int, number: int) -> Json | None:
        """The parameters of an update; None for what is done beside it."""
        current = items(self.api.v1.subscriptions.retrieve(self.id))
        used = {item.price.id for item in current}
        wanted = self.prices[which] if kind in ("price", "add") else ""
        if kind == "price" and wanted not in used:
            return {"items": [{"id": current[0].id, "price": wanted, "quantity": number}]}
        if kind == "add" and wanted not in used:
            return {"items": [{"price": wanted, "quantity": number}]}
        if kind == "remove" and len(current) > 1:
            return {"items": [{"id": current[0].id, "deleted": True}]}
        if kind == "quantity":
            return {"items": [{"id": current[-1].id, "quantity": number}]}
        if kind == "anchor":
            return {"billing_cycle_anchor": {"type": "now"}}
        if kind == "trial":
            return {"trial_end": self.clock.now + number * DAY}
        if kind == "item":
            self.api.v1.invoice_items.create({"customer": self.clock.customer, "amount": which, "currency": "usd"})
        if kind == "balance":
            self.api.v1.customers.balance_transactions.create(self.clock.customer, {"amount": which, "currency": "usd"})
        return None

    def look(self, change: Json | None) -> Json:
        params: Json = {"subscription": self.id}
        if change is not None:
            params["subscription_details"] = change
        return shown(self.api.v1.invoices.create_preview(params))

    def settle(self) -> None:
        """A draft still moves the customer's balance when its hour is over."""
        if self.newest().status == "draft":
            self.clock.by(2 * 3600)

    def newest(self) -> Any:
        return self.clock.invoices()[-1]


@pytest.mark.parametrize("mode", ["classic", "flexible"])
@pytest.mark.parametrize("coupon", COUPONS)
# Without shrinking: an example is a life over HTTP, and its steps read well as they are.
@settings(max_examples=10 if LONG else 4, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(steps=STEPS)
def test_a_preview_is_the_invoice_that_follows(
    shared_box: Box, mode: str, coupon: Json | None, steps: list[tuple[int, tuple[str, int, int], str, bool]]
) -> None:
    life = _Life(shared_box, mode, coupon)
    for wait, (kind, which, number), behavior, to_the_end in steps:
        life.clock.by(wait)
        life.settle()
        change = life.change(kind, which, number)
        if change is not None:
            change["proration_behavior"] = behavior
            seen = life.look(change)
            known = life.newest().id
            life.api.v1.subscriptions.update(life.id, change)
            if life.newest().id != known:
                assert shown(life.newest()) == seen
                continue
            # Nothing is billed now, so the preview was of the renewal: as one without a change is from now on.
            assert life.look(None) == seen
        if to_the_end:
            life.settle()
            seen = life.look(None)
            life.clock.to(seen["created"])
            assert shown(life.newest()) == seen
