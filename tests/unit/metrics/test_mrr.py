"""What subscriptions are worth a month, against a table of cases worked out by hand; and by property: movements always
lead from one level to the next."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.metrics.models import ALL_CURRENCIES, Change, Kind, Movement, Off, Price, Story, StoryRow, Told, Trial
from tallystick.metrics.mrr import changes_of, levels_of, monthly, movements_of, period_price, trial_of
from tallystick.metrics.stories import told_by

AT = datetime(2026, 1, 10, 12, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
MONTHLY = Price("m", "usd", "1500", "month")
YEARLY = Price("y", "usd", "60000", "year")
TIERS: list[dict[str, Any]] = [
    {"up_to": 5, "unit_amount": 700, "flat_amount": 100},
    {"up_to": None, "unit_amount_decimal": "500.5"},
]


def item(price: str, quantity: int | None = 1) -> dict[str, Any]:
    return {"price": price, "quantity": quantity, "currency": "usd", "unit_amount": 0}


def state(day: int, status: str = "active", *items: dict[str, Any], discounts: list[str] | None = None) -> Told:
    return Told(AT + timedelta(days=day), status, list(items), discounts or [])


def worth(*told: Told, prices: tuple[Price, ...] = (MONTHLY, YEARLY), offs: dict[str, Off] | None = None) -> list[int]:
    return [level.amount for level in levels_of(told, {price.id: price for price in prices}, offs or {})]


@pytest.mark.parametrize(
    ("price", "quantity", "amount"),
    [
        (MONTHLY, 1, Fraction(1500)),
        (MONTHLY, 3, Fraction(4500)),
        # Stripe's own example: 600 a year are 50 a month.
        (YEARLY, 1, Fraction(5000)),
        (Price("w", "usd", "1200", "week"), 1, Fraction(5200)),
        (Price("d", "usd", "12", "day"), 1, Fraction(365)),
        (Price("q", "usd", "3000", "month", 3), 1, Fraction(1000)),
        (Price("2w", "usd", "1200", "week", 2), 1, Fraction(2600)),
        (Price("2y", "usd", "48000", "year", 2), 1, Fraction(2000)),
        (Price("cents", "usd", "0.05", "month"), 1000, Fraction(50)),
        (Price("use", "usd", "100", "month", metered=True), 9, Fraction(0)),
        (Price("once", "usd", "100", None), 1, Fraction(0)),
        (Price("free", "usd", "0", "month"), 1, Fraction(0)),
        (Price("g", "usd", None, "month", tiers_mode="graduated", tiers=TIERS), 7, Fraction(100 + 5 * 700 + 1001)),
        (Price("v", "usd", None, "month", tiers_mode="volume", tiers=TIERS), 5, Fraction(100 + 5 * 700)),
        (Price("v", "usd", None, "month", tiers_mode="volume", tiers=TIERS), 6, Fraction(3003)),
        (Price("pack", "usd", "900", "month", divide_by=10, round_up=True), 11, Fraction(1800)),
        (Price("pack", "usd", "900", "month", divide_by=10), 19, Fraction(900)),
    ],
)
def test_a_price_a_month(price: Price, quantity: int, amount: Fraction) -> None:
    assert monthly(price, quantity) == amount


def test_a_tier_that_is_not_reached_costs_nothing() -> None:
    assert period_price(Price("g", "usd", None, "month", tiers_mode="graduated", tiers=TIERS), 1) == 800


@pytest.mark.parametrize(
    ("told", "amounts"),
    [
        ([state(0, "active", item("m"))], [1500]),
        ([state(0, "trialing", item("m")), state(14, "active", item("m"))], [0, 1500]),
        ([state(0, "incomplete", item("m")), state(0, "active", item("m"))], [1500]),
        ([state(0, "active", item("m")), state(30, "past_due", item("m")), state(37, "canceled", item("m"))],
         [1500, 0]),
        ([state(0, "active", item("m")), state(30, "unpaid", item("m"))], [1500, 0]),
        ([state(0, "active", item("m")), state(5, "paused", item("m")), state(9, "active", item("m"))],
         [1500, 0, 1500]),
        ([state(0, "active", item("m")), state(9, "active", item("y")), state(12, "active", item("m", 2))],
         [1500, 5000, 3000]),
        ([state(0, "active", item("m"), item("y", 2))], [11500]),
        # Rounded once, half to even: 1.5 and 2.5 are 2.
        ([state(0, "active", item("odd", 3), item("odd", 2))], [2]),
        ([state(0, "active", item("unknown"))], [0]),
        ([state(0, "active", item("m", 0))], [0]),
        ([state(0, "active", item("m")), state(5, "active", item("m", 0), item("y"))], [1500, 5000]),
        ([state(0, "active", item("m", None))], [1500]),
    ],
)  # fmt: skip
def test_a_subscription_a_month(told: list[Told], amounts: list[int]) -> None:
    assert worth(*told, prices=(MONTHLY, YEARLY, Price("odd", "usd", "6", "year"))) == amounts


def test_discounts_that_stand_are_taken_off() -> None:
    offs = {"di_half": Off("50"), "di_three": Off(None, 300, "usd"), "di_yen": Off(None, 300, "jpy")}
    assert worth(state(0, "active", item("m"), discounts=["di_half"]), offs=offs) == [750]
    assert worth(state(0, "active", item("m"), discounts=["di_once_unknown"]), offs=offs) == [1500]
    # An amount is taken off each invoice: of a yearly one it is a twelfth a month.
    assert worth(state(0, "active", item("y"), discounts=["di_three"]), offs=offs) == [4975]
    assert worth(state(0, "active", item("m"), discounts=["di_yen"]), offs=offs) == [1500]
    assert worth(state(0, "active", item("m"), discounts=["di_half"]), state(9, "active", item("m")), offs=offs) == [
        750, 1500,
    ]  # fmt: skip


def test_a_customers_own_discount_has_its_time() -> None:
    told = [state(0, "active", item("m"))]
    span = (AT + timedelta(days=3), AT + timedelta(days=8), Off("10"))
    levels = levels_of(told, {"m": MONTHLY}, {}, [span])
    assert [(level.at.day, level.amount) for level in levels] == [(10, 1500), (13, 1350), (18, 1500)]


def change(day: int, amount: int, subscription: UUID = ONE, currency: str = "usd") -> Change:
    return Change(AT + timedelta(days=day), currency, amount, subscription)


def moved(*changes: Change) -> list[tuple[str, int]]:
    return [(str(one.kind), one.amount) for one in movements_of(changes) if one.currency != ALL_CURRENCIES]


@pytest.mark.parametrize(
    ("changes", "movements"),
    [
        ([change(0, 1500)], [("new", 1500)]),
        ([change(0, 1500), change(5, 500)], [("new", 1500), ("expansion", 500)]),
        ([change(0, 1500), change(5, -500)], [("new", 1500), ("contraction", -500)]),
        ([change(0, 1500), change(5, -1500)], [("new", 1500), ("churn", -1500)]),
        ([change(0, 1500), change(5, -1500), change(9, 900)],
         [("new", 1500), ("churn", -1500), ("reactivation", 900)]),
        # A second subscription of a customer is expansion, and the end of one of two is contraction.
        ([change(0, 1500), change(5, 500, TWO), change(9, -1500)],
         [("new", 1500), ("expansion", 500), ("contraction", -1500)]),
        # One ends and another begins in one moment: nobody left.
        ([change(0, 1500), change(5, -1500), change(5, 2500, TWO)], [("new", 1500), ("expansion", 1000)]),
        ([change(0, 1500), change(5, -1500), change(5, 1500, TWO)], [("new", 1500)]),
    ],
)  # fmt: skip
def test_movements(changes: list[Change], movements: list[tuple[str, int]]) -> None:
    assert moved(*changes) == movements


def test_customers_are_counted_once_whatever_they_pay_in() -> None:
    found = movements_of([change(0, 1500), change(3, 900, TWO, "eur"), change(5, -1500), change(9, -900, TWO, "eur")])
    assert [(one.at.day, one.kind) for one in found if one.currency == ALL_CURRENCIES] == [
        (10, Kind.NEW), (19, Kind.CHURN),
    ]  # fmt: skip
    assert Movement(AT + timedelta(days=3), "eur", Kind.REACTIVATION, 900) in found


states = st.builds(
    state,
    st.integers(0, 40),
    st.sampled_from(["active", "trialing", "past_due", "canceled", "unpaid", "paused", "incomplete"]),
    st.builds(item, st.sampled_from(["m", "y", "eur", "unknown"]), st.integers(0, 50)),
)


@given(st.lists(st.lists(states, max_size=8), max_size=4))
def test_movements_always_sum_to_the_difference(lives: list[list[Told]]) -> None:
    prices = {"m": MONTHLY, "y": YEARLY, "eur": Price("eur", "eur", "333.3", "week")}
    all_levels = [levels_of(sorted(told, key=lambda one: one.at), prices, {}) for told in lives]
    changes = [one for index, levels in enumerate(all_levels) for one in changes_of(UUID(int=index), levels)]
    movements = movements_of(changes)
    for day in range(-1, 42):
        moment = AT + timedelta(days=day)
        for currency in ("usd", "eur"):
            shown = [[level for level in levels if level.at <= moment] for levels in all_levels]
            level = sum(levels[-1].amount for levels in shown if levels and levels[-1].currency == currency)
            assert level == sum(one.amount for one in movements if one.at <= moment and one.currency == currency)
    here = False
    for one in [one for one in movements if one.currency == ALL_CURRENCIES]:
        assert (one.kind is Kind.CHURN) is here
        here = not here


def test_trials() -> None:
    begun = [state(0, "trialing", item("m"))]
    assert trial_of(ONE, [state(0, "active", item("m"))]) is None
    assert trial_of(ONE, begun) == Trial(ONE, AT, None, converted=False)
    ended = AT + timedelta(days=14)
    # It converts though its first invoice is not paid yet.
    for status, converted in (("active", True), ("past_due", True), ("canceled", False), ("paused", False)):
        assert trial_of(ONE, [*begun, state(14, status, item("m"))]) == Trial(ONE, AT, ended, converted=converted)


def test_a_story_by_the_second() -> None:
    rows = [
        StoryRow(AT, None, {"status": "incomplete", "items": [item("m")]}),
        StoryRow(AT, {"status": "active"}, {"status": "past_due"}),
        StoryRow(AT, {"status": "incomplete"}, {"status": "active"}),
        StoryRow(AT + timedelta(days=2), {"discounts": []}, {"discounts": ["di_1"]}),
    ]
    assert told_by(Story(ONE, AT, None, rows)) == [
        state(0, "past_due", item("m")),
        state(2, "past_due", item("m"), discounts=["di_1"]),
    ]


def test_what_was_found_late_was_so_from_the_beginning() -> None:
    rows = [StoryRow(AT, None, {"status": "active", "items": [item("m")]})]
    began, trial_end = AT - timedelta(days=400), AT - timedelta(days=386)
    assert told_by(Story(ONE, began, None, rows))[0].at == began
    assert told_by(Story(ONE, began, trial_end, rows))[0].at == trial_end
