"""Prorations, to the cent and the letter, as recorded from the real API and as its documentation works them out."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from contract.billing_flows import DAY, Clock, items, lines_of, price
from contract.harness import VERSIONS, Box, Sdk, refusal

START = 1_790_021_304
"""21 Sep 2026 20:08:24, when the recording was made; the period has 2,592,000 s."""
END = START + 2_592_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def flexible(**more: Any) -> Any:
    return {"billing_mode": {"type": "flexible"}, **more}


def classic(**more: Any) -> Any:
    return {"billing_mode": {"type": "classic"}, **more}


@pytest.fixture
def clock(shared_box: Box, api: Sdk) -> Clock:
    return Clock(shared_box, api, START)


class TestRecorded:
    """The table of recorded changes: all in flexible mode, with a `proration_date` in the future."""

    @pytest.mark.parametrize(
        ("first", "second", "left", "credit", "debit"),
        [
            (1000, 1800, 6_480, -3, 4),
            (2000, 1000, 864_000, -667, 333),
            (2000, 60000, 864_000, -667, 20000),
        ],
    )
    def test_price(self, clock: Clock, first: int, second: int, left: int, credit: int, debit: int) -> None:
        old, new = (price(clock.api, amount, name="s01 proration") for amount in (first, second))
        made = clock.subscribe(old, **flexible())
        change = {
            "items": [{"id": items(made)[0].id, "price": new}], "proration_behavior": "always_invoice",
            "proration_date": END - left,
        }  # fmt: skip
        changed = clock.api.v1.subscriptions.update(made.id, change)
        invoice = clock.api.v1.invoices.retrieve(changed.latest_invoice)
        assert invoice.billing_reason == "subscription_update"
        assert invoice.status == "paid"
        assert (invoice.period_start, invoice.period_end) == (START, START)
        day = f"{datetime.fromtimestamp(END - left, UTC).day} Oct 2026"
        assert lines_of(invoice) == [
            (f"Unused time on s01 proration after {day}", credit),
            (f"Remaining time on s01 proration after {day}", debit),
        ]
        unused, remaining = invoice.lines.data
        assert unused.discountable is False
        assert unused.period.to_dict() == {"start": END - left, "end": END}
        assert unused.pricing.price_details.price == old
        assert unused.pricing.unit_amount_decimal is None
        assert remaining.pricing.price_details.price == new
        first_lines = clock.api.v1.invoices.retrieve(made.latest_invoice).lines.data
        details = unused.parent.subscription_item_details
        assert details.proration is True
        assert details.proration_details.credited_items.to_dict() == {
            "invoice": made.latest_invoice, "invoice_line_items": [first_lines[0].id],
        }  # fmt: skip
        assert remaining.parent.subscription_item_details.proration_details.credited_items is None

    def test_quantity(self, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api, name="s01 proration"), **flexible())
        change = {
            "items": [{"id": items(made)[0].id, "quantity": 3}], "proration_behavior": "always_invoice",
            "proration_date": END - 6_480,
        }  # fmt: skip
        changed = clock.api.v1.subscriptions.update(made.id, change)
        invoice = clock.api.v1.invoices.retrieve(changed.latest_invoice)
        assert lines_of(invoice) == [
            ("Unused time on s01 proration after 21 Oct 2026", -3),
            ("Remaining time on 3 × s01 proration after 21 Oct 2026", 7),
        ]
        # Below the smallest charge: owed with the next invoice.
        assert (invoice.status, invoice.amount_due, invoice.attempt_count) == ("paid", 0, 0)
        assert (invoice.attempted, invoice.starting_balance, invoice.ending_balance) == (True, 0, 4)
        assert clock.api.v1.customers.retrieve(clock.customer).balance == 4

    def test_a_negative_total_is_credit(self, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api, 2000), **flexible())
        change = {
            "items": [{"id": items(made)[0].id, "price": price(clock.api)}], "proration_behavior": "always_invoice",
            "proration_date": END - 864_000,
        }  # fmt: skip
        changed = clock.api.v1.subscriptions.update(made.id, change)
        invoice = clock.api.v1.invoices.retrieve(changed.latest_invoice)
        assert (invoice.total, invoice.amount_due, invoice.ending_balance) == (-334, 0, -334)
        moved = clock.api.v1.customers.balance_transactions.list(clock.customer).data
        assert [(one.type, one.amount, one.ending_balance, one.invoice) for one in moved] == [
            ("applied_to_invoice", -334, -334, invoice.id)
        ]
        clock.to(END + DAY)
        renewal = clock.invoices()[-1]
        assert (renewal.total, renewal.starting_balance, renewal.amount_paid) == (1000, -334, 666)

    @pytest.mark.parametrize("seconds", [2, 8])
    def test_cancel_after_seconds(self, clock: Clock, seconds: int) -> None:
        made = clock.subscribe(price(clock.api), **flexible())
        clock.by(seconds)
        clock.api.v1.subscriptions.cancel(made.id, {"prorate": True})
        (credit,) = clock.pending()
        assert credit.amount == -1000
        assert credit.parent is None
        assert "proration_details" not in credit

    def test_cancel_credits_what_was_debited(self, clock: Clock) -> None:
        cheap, dear = price(clock.api), price(clock.api, 1800)
        made = clock.subscribe(cheap, **flexible())
        clock.api.v1.subscriptions.update(
            made.id, {"items": [{"id": items(made)[0].id, "price": dear}], "proration_behavior": "none"}
        )
        assert clock.pending() == []
        clock.by(2)
        clock.api.v1.subscriptions.cancel(made.id, {"prorate": True, "invoice_now": True})
        invoice = clock.invoices()[-1]
        assert (invoice.status, invoice.billing_reason, invoice.total) == ("draft", "subscription_cycle", -1000)
        assert (invoice.amount_due, invoice.number, invoice.auto_advance) == (0, None, True)
        assert invoice.automatically_finalizes_at == invoice.created + 3601
        assert invoice.next_payment_attempt == invoice.created + 3600
        assert invoice.lines.data[0].pricing.price_details.price == cheap

    def test_create_prorations_wait(self, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api), **flexible())
        changed = clock.api.v1.subscriptions.update(
            made.id,
            {"items": [{"id": items(made)[0].id, "price": price(clock.api, 1800)}], "proration_date": END - 6_480},
        )
        assert changed.latest_invoice == made.latest_invoice
        credit, debit = clock.pending()
        assert (credit.amount, debit.amount) == (-3, 4)
        assert credit.date == debit.date == END - 6_480
        assert credit.proration_details.credited_items.type == "invoice_line_items"
        assert credit.frozen_fields == ["pricing", "quantity", "discounts"]

    def test_a_new_anchor_makes_no_invoice_in_flexible_mode(self, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api), **flexible())
        clock.by(DAY)
        changed = clock.api.v1.subscriptions.update(made.id, {"billing_cycle_anchor": {"type": "now"}})
        assert changed.latest_invoice == made.latest_invoice
        assert changed.billing_cycle_anchor == items(changed)[0].current_period_start == START + DAY
        again = clock.api.v1.subscriptions.update(made.id, {"billing_cycle_anchor": {"type": "unchanged"}})
        assert again.billing_cycle_anchor == START + DAY


class TestPublished:
    """Examples of the documentation."""

    def test_the_worked_example(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, 1767225600)
        made = clock.subscribe(price(api), **classic())
        api.v1.subscriptions.update(
            made.id, {"items": [{"id": items(made)[0].id, "quantity": 3}], "proration_behavior": "none"}
        )
        api.v1.subscriptions.update(
            made.id,
            {"items": [{"id": items(made)[0].id, "price": price(api, 2500), "quantity": 3}],
             "proration_date": 1768987815},
        )  # fmt: skip
        assert [one.amount for one in clock.pending()] == [-1026, 2565]
        clock.to(1769904000 + DAY)
        assert clock.invoices()[-1].total == 9039

    def test_twice_as_much_half_way(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, at("2026-01-01"))
        made = clock.subscribe(price(api))
        clock.to(at("2026-01-16T12:00:00"))
        api.v1.subscriptions.update(made.id, {"items": [{"id": items(made)[0].id, "price": price(api, 2000)}]})
        assert [one.amount for one in clock.pending()] == [-500, 1000]

    @pytest.mark.parametrize(("mode", "expected"), [("classic", [-667, 333]), ("flexible", [-333, 333])])
    def test_down_again_after_an_upgrade_that_was_not_billed(
        self, shared_box: Box, api: Sdk, mode: str, expected: list[int]
    ) -> None:
        clock = Clock(shared_box, api, at("2026-06-01"))
        ten, twenty = price(api), price(api, 2000)
        made = clock.subscribe(ten, billing_mode={"type": mode})
        item = items(made)[0].id
        api.v1.subscriptions.update(made.id, {"items": [{"id": item, "price": twenty}], "proration_behavior": "none"})
        clock.to(at("2026-06-21"))
        api.v1.subscriptions.update(made.id, {"items": [{"id": item, "price": ten}]})
        assert [one.amount for one in clock.pending()] == expected

    @pytest.mark.parametrize(("mode", "expected"), [("classic", -250), ("flexible", -417)])
    def test_a_discount_in_both_modes(self, shared_box: Box, api: Sdk, mode: str, expected: int) -> None:
        clock = Clock(shared_box, api, at("2026-06-01"))
        coupon = api.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "forever"}).id
        made = clock.subscribe(
            price(api), price(api, 2000), billing_mode={"type": mode}, discounts=[{"coupon": coupon}]
        )
        assert [line.discount_amounts[0].amount for line in clock.invoices()[0].lines.data] == [334, 166]
        clock.to(at("2026-06-16"))
        api.v1.subscriptions.update(made.id, {"items": [{"id": items(made)[0].id, "deleted": True}]})
        (credit,) = clock.pending()
        assert credit.amount == expected

    def test_an_end_within_the_period_and_a_later_one(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, at("2025-01-01"))
        yearly = price(api, 12000, recurring={"interval": "year"})
        made = clock.subscribe(yearly)
        api.v1.subscriptions.update(made.id, {"cancel_at": at("2025-07-01")})
        first = clock.pending()
        assert [one.amount for one in first] == [-round(12000 * 184 / 365)]
        api.v1.subscriptions.update(made.id, {"cancel_at": at("2025-10-01")})
        assert clock.pending()[0].amount == round(12000 * 92 / 365)

    def test_a_year_from_the_leap_day(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, at("2024-02-29T08:00:00"))
        yearly, dear = (price(api, amount, recurring={"interval": "year"}) for amount in (36600, 73200))
        made = clock.subscribe(yearly)
        assert items(made)[0].current_period_end == at("2025-02-28T08:00:00")
        api.v1.subscriptions.update(
            made.id,
            {"items": [{"id": items(made)[0].id, "price": dear}], "proration_date": at("2024-08-30T08:00:00")},
        )
        assert [one.amount for one in clock.pending()] == [-18250, 36500]


class TestOtherAmounts:
    @pytest.mark.parametrize(("currency", "amount", "expected"), [("jpy", 999, [-500, 1000]), ("kwd", 5050, None)])
    def test_currencies(
        self, shared_box: Box, api: Sdk, currency: str, amount: int, expected: list[int] | None
    ) -> None:
        clock = Clock(shared_box, api, at("2026-06-01"))
        made = clock.subscribe(price(api, amount, currency=currency))
        clock.to(at("2026-06-16"))
        api.v1.subscriptions.update(
            made.id, {"items": [{"id": items(made)[0].id, "price": price(api, 2000, currency=currency)}]}
        )
        amounts = [one.amount for one in clock.pending()]
        assert amounts == expected if expected else all(value % 10 == 0 for value in amounts)

    def test_quantities(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        cent = price(api, 1)
        made = clock.subscribe(cent)
        item = items(made)[0].id
        v1 = api.v1
        v1.subscriptions.update(made.id, {"items": [{"id": item, "quantity": 10_000_000}], "proration_date": START})
        assert [one.amount for one in clock.pending()] == [-1, 10_000_000]
        v1.subscriptions.update(made.id, {"items": [{"id": item, "quantity": 0}], "proration_date": START})
        assert sum(one.amount for one in clock.pending()) == -1
        clock.to(END + DAY)
        assert clock.invoices()[-1].lines.data[-1].description == "0 × Gold (at $0.01 / month)"

    def test_tiers(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        tiers = [{"up_to": 5, "unit_amount": 500}, {"up_to": "inf", "unit_amount": 400}]
        graded = {"billing_scheme": "tiered", "tiers": tiers, "recurring": {"interval": "month"}, "currency": "usd",
                  "product_data": {"name": "Seats"}}  # fmt: skip
        graduated = api.v1.prices.create({**graded, "tiers_mode": "graduated"}).id
        volume = api.v1.prices.create({**graded, "tiers_mode": "volume"}).id
        made = api.v1.subscriptions.create({"customer": clock.customer, "items": [{"price": graduated, "quantity": 7}]})
        assert lines_of(clock.invoices()[0]) == [
            ("5 × Seats (Tier 1 at $5.00 / month)", 2500), ("2 × Seats (Tier 2 at $4.00 / month)", 800),
        ]  # fmt: skip
        api.v1.subscriptions.update(
            made.id,
            {"items": [{"id": items(made)[0].id, "price": volume, "quantity": 7}], "proration_date": START},
        )
        assert sum(one.amount for one in clock.pending() if one.amount < 0) == -3300
        assert [one.amount for one in clock.pending() if one.amount > 0] == [2800]

    def test_a_date_outside_of_the_period(self, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api))
        with pytest.raises(stripe.InvalidRequestError) as caught:
            clock.api.v1.subscriptions.update(
                made.id, {"items": [{"id": items(made)[0].id, "quantity": 2}], "proration_date": END}
            )
        assert refusal(caught.value)["param"] == "proration_date"


@pytest.mark.parametrize("version", VERSIONS)
class TestClassic:
    def test_another_interval_starts_a_cycle_and_bills_at_once(self, shared_box: Box, version: str) -> None:
        clock = Clock(shared_box, shared_box.client(version), at("2026-06-01"))
        made = clock.subscribe(price(clock.api), **({} if version == VERSIONS[0] else classic()))
        clock.to(at("2026-06-16"))
        yearly = price(clock.api, 10000, recurring={"interval": "year"})
        changed = clock.api.v1.subscriptions.update(made.id, {"items": [{"id": items(made)[0].id, "price": yearly}]})
        assert changed.billing_cycle_anchor == at("2026-06-16")
        invoice = clock.invoices()[-1]
        assert invoice.id == changed.latest_invoice
        assert lines_of(invoice) == [
            ("Unused time on Gold after 16 Jun 2026", -500), ("1 × Gold (at $100.00 / year)", 10000),
        ]  # fmt: skip
        assert (invoice.status, invoice.amount_paid) == ("paid", 9500)

    def test_free_becomes_paid(self, shared_box: Box, version: str) -> None:
        clock = Clock(shared_box, shared_box.client(version), at("2026-06-01"))
        made = clock.subscribe(price(clock.api, 0), **({} if version == VERSIONS[0] else classic()))
        clock.to(at("2026-06-16"))
        changed = clock.api.v1.subscriptions.update(
            made.id, {"items": [{"id": items(made)[0].id, "price": price(clock.api)}]}
        )
        assert changed.billing_cycle_anchor == at("2026-06-16")
        assert clock.invoices()[-1].amount_paid == 1000
