"""The arithmetic of billing, without a store: periods, rounding, discounts, totals, retries, texts."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.sandbox.billing import texts
from tallystick.sandbox.billing.calendar import Cycle, Period, configured_anchor
from tallystick.sandbox.billing.discounts import Discountable, Reduction, reduce_lines, single
from tallystick.sandbox.billing.money import rounded, share
from tallystick.sandbox.billing.prorations import Billed, credit_of, debit_of
from tallystick.sandbox.billing.retries import next_attempt
from tallystick.sandbox.billing.totals import due


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def days(cycle: Cycle, count: int) -> list[str]:
    return [f"{datetime.fromtimestamp(cycle.boundary(n), UTC):%Y-%m-%d %H:%M:%S}" for n in range(count)]


class TestCalendar:
    def test_the_last_of_january(self) -> None:
        found = days(Cycle(at("2026-01-31T10:20:30"), "month"), 6)
        assert [day[:10] for day in found] == [
            "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30",
        ]  # fmt: skip
        assert {day[11:] for day in found} == {"10:20:30"}

    def test_a_leap_day(self) -> None:
        assert [day[:10] for day in days(Cycle(at("2024-01-31T00:00:00"), "month"), 3)][1] == "2024-02-29"
        assert [day[:10] for day in days(Cycle(at("2024-02-29T00:00:00"), "year"), 5)] == [
            "2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("interval", "count", "second"),
        [("day", 10, "2026-03-25"), ("week", 2, "2026-03-29"), ("month", 3, "2026-06-15"), ("year", 1, "2027-03-15")],
    )
    def test_interval_counts(self, interval: str, count: int, second: str) -> None:
        assert days(Cycle(at("2026-03-15T00:00:00"), interval, count), 2)[1][:10] == second

    def test_the_last_day_of_every_month(self) -> None:
        cycle = Cycle(at("2026-02-28T00:00:00"), "month", day=31)
        assert [day[:10] for day in days(cycle, 4)] == ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]

    def test_configured_anchor(self) -> None:
        created = at("2026-02-10T12:00:00")
        assert configured_anchor(created, {"day_of_month": 31}) == at("2026-02-28T12:00:00")
        assert configured_anchor(created, {"day_of_month": 5, "hour": 3}) == at("2026-03-05T03:00:00")
        assert configured_anchor(created, {"day_of_month": 1, "month": 1}) == at("2027-01-01T12:00:00")

    def test_a_night_of_summer_time_has_24_hours(self) -> None:
        period = Cycle(at("2026-03-28T01:30:00"), "day").period_at(at("2026-03-29T00:00:00"))
        assert period.end - period.start == 86400

    @given(
        st.integers(0, 2**32),
        st.sampled_from(["day", "week", "month", "year"]),
        st.integers(1, 12),
        st.integers(0, 2**32),
    )
    def test_every_moment_is_in_its_period(self, anchor: int, interval: str, count: int, moment: int) -> None:
        period = Cycle(anchor, interval, count).period_at(moment)
        assert period.start <= moment < period.end


# Recorded from the real API: period of 2,592,000 s; seconds left, amount, result.
RECORDED = [
    (6_480, -1000, -3), (6_480, 1800, 4), (6_480, 3000, 7), (864_000, -2000, -667), (864_000, 1000, 333),
    (864_000, 60000, 20000), (2_591_998, -1000, -1000), (2_591_992, -1000, -1000),
]  # fmt: skip


class TestMoney:
    @pytest.mark.parametrize(("left", "amount", "result"), RECORDED)
    def test_recorded_prorations(self, left: int, amount: int, result: int) -> None:
        start = at("2026-09-21T20:08:24")
        end = start + 2_592_000
        assert rounded(share(amount, start, end, end - left), "usd") == result

    @pytest.mark.parametrize(
        ("amount", "result"), [("-2.5", -3), ("4.5", 4), ("7.5", 7), ("4.7", 5), ("-2.3", -2), ("0.5", 0)]
    )
    def test_halves_go_down(self, amount: str, result: int) -> None:
        assert rounded(Fraction(amount), "usd") == result

    def test_steps_of_a_currency(self) -> None:
        assert rounded(Fraction(1234), "kwd") == 1230
        assert rounded(Fraction(1236), "kwd") == 1240
        assert rounded(Fraction("123.6"), "jpy") == 124

    def test_the_worked_example_to_the_second(self) -> None:
        period = Period(1767225600, 1769904000)
        moment = 1768987815
        old = Billed(3000, period.start, period.end, "price_a", 3)
        assert credit_of(old, moment, "usd").amount == -1026
        assert debit_of(7500, period, moment, "usd") == 2565

    def test_half_of_january(self) -> None:
        period = Period(at("2026-01-01T00:00:00"), at("2026-02-01T00:00:00"))
        assert share(1000, period.start, period.end, at("2026-01-16T12:00:00")) == 500

    def test_what_is_over_is_worth_nothing(self) -> None:
        assert share(1000, 0, 10, 10) == 0
        assert share(1000, 0, 10, -5) == 1000


class TestDiscounts:
    def test_a_split_rounds_down_and_the_largest_line_takes_the_rest(self) -> None:
        lines = [Discountable(1000, "a"), Discountable(2000, "b")]
        assert reduce_lines(lines, [Reduction("d", amount=500)], "usd") == [[("d", 166)], [("d", 334)]]
        assert reduce_lines(lines[::-1], [Reduction("d", amount=500)], "usd") == [[("d", 334)], [("d", 166)]]

    def test_classic_prorations_take_it_whole(self) -> None:
        off = [Reduction("d", amount=500)]
        period = Period(0, 100)
        assert -debit_of(single(1000, off, "a", "usd"), period, 50, "usd") == -250
        # Flexible: what the item was debited.
        assert credit_of(Billed(1000 - 166, 0, 100, "a", 1), 50, "usd").amount == -417

    def test_own_ones_first_then_in_order(self) -> None:
        lines = [Discountable(1000, "a", own=[Reduction("own", percent=Fraction(50))]), Discountable(-300, "a", False)]
        whole = [Reduction("ten", percent=Fraction(10)), Reduction("all", amount=9999)]
        assert reduce_lines(lines, whole, "usd") == [[("own", 500), ("ten", 50), ("all", 450)], []]

    def test_products(self) -> None:
        lines = [Discountable(1000, "a"), Discountable(1000, "b")]
        only = Reduction("d", percent=Fraction("25.5"), products=frozenset({"b"}))
        assert reduce_lines(lines, [only], "usd") == [[], [("d", 255)]]

    @given(st.lists(st.integers(-5000, 5000), max_size=6), st.integers(1, 100), st.integers(0, 9000))
    def test_never_more_than_there_is(self, amounts: list[int], percent: int, amount: int) -> None:
        lines = [Discountable(value, "a", value >= 0) for value in amounts]
        whole = [Reduction("p", percent=Fraction(percent)), Reduction("a", amount=amount)]
        for line, taken in zip(lines, reduce_lines(lines, whole, "usd"), strict=True):
            off = sum(part for _, part in taken)
            assert 0 <= off <= max(line.amount, 0)


class TestTotals:
    @pytest.mark.parametrize(
        ("total", "balance", "amount", "ending"),
        [
            (1, 0, 0, 1), (4, 0, 0, 4), (-334, 0, 0, -334), (19333, 0, 19333, 0), (1000, -300, 700, 0),
            (1000, -1500, 0, -500), (1000, 40, 1040, 0), (1000, -980, 0, 20), (0, 0, 0, 0),
        ],
    )  # fmt: skip
    def test_due(self, total: int, balance: int, amount: int, ending: int) -> None:
        assert due(total, balance, "usd") == due(total, balance, "usd")
        found = due(total, balance, "usd")
        assert (found.amount, found.ending_balance) == (amount, ending)


def test_retries() -> None:
    assert [next_attempt(n, 0, [3, 5, 7]) for n in (1, 2, 3, 4)] == [3 * 86400, 5 * 86400, 7 * 86400, None]
    assert next_attempt(1, 0, []) is None


class TestTexts:
    def test_recorded(self) -> None:
        moment = at("2026-10-21T01:02:03")
        assert texts.charge_text(1, "Gold", "1000", "usd", "month", 1) == "1 × Gold (at $10.00 / month)"
        assert texts.unused_text(1, "Gold", moment) == "Unused time on Gold after 21 Oct 2026"
        assert texts.remaining_text(3, "Gold", at("2026-03-05T00:00:00")) == (
            "Remaining time on 3 × Gold after 5 Mar 2026"
        )

    def test_other_forms(self) -> None:
        assert texts.charge_text(2, "Gold", "500", "jpy", "month", 3) == "2 × Gold (at ¥500 / every 3 months)"
        assert texts.charge_text(2, "Gold", "0.5", "usd", "month", 1) == "2 × Gold (at $0.005 / month)"
        assert texts.charge_text(5, "Gold", "400", "usd", "month", 1, tier=2) == ("5 × Gold (Tier 2 at $4.00 / month)")
        assert texts.trial_text(None, "Gold", flexible=True) == "Free trial for 1 × Gold"
