"""Amounts by Stripe's own table of currencies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.currencies import CURRENCIES, MAX_AMOUNT
from tallystick.core.money import AmountProblem, Money, check_amount, format_money, parse_money


@pytest.mark.parametrize(
    ("amount", "currency", "problem"),
    [
        (50, "usd", None),
        (49, "usd", AmountProblem.TOO_SMALL),
        (30, "gbp", None),
        (50, "jpy", None),
        (49, "jpy", AmountProblem.TOO_SMALL),
        (1230, "kwd", None),
        (1234, "kwd", AmountProblem.NOT_A_STEP),
        (500, "isk", None),
        (550, "ugx", AmountProblem.NOT_A_STEP),
        (17500, "huf", None),
        (17499, "huf", AmountProblem.TOO_SMALL),
        (0, "usd", AmountProblem.NOT_POSITIVE),
        (-5, "usd", AmountProblem.NOT_POSITIVE),
        (MAX_AMOUNT, "usd", None),
        (MAX_AMOUNT + 1, "usd", AmountProblem.TOO_LARGE),
        (1000, "xxx", AmountProblem.UNKNOWN_CURRENCY),
        (1000, "USD", AmountProblem.UNKNOWN_CURRENCY),
    ],
)
def test_what_stripe_charges(amount: int, currency: str, problem: AmountProblem | None) -> None:
    assert check_amount(amount, currency) is problem


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        (1050, "usd", "en", "$10.50"),
        (500, "jpy", "ja", "￥500"),
        (1234, "kwd", "en", "KWD 1.234"),
        (199950, "rsd", "en", "RSD 1,999.50"),
        (500, "ugx", "en", "UGX 5"),
        (123450, "eur", "de", "1.234,50 €"),
        (-1050, "usd", "en", "-$10.50"),
        (999, "eur", "pt-BR", "€ 9,99"),
    ],
)
def test_amounts_as_people_write_them(amount: int, currency: str, locale: str, text: str) -> None:
    assert format_money(amount, currency, locale).replace("\xa0", " ") == text


@given(st.integers(1, MAX_AMOUNT), st.sampled_from(sorted(CURRENCIES)))
def test_nothing_is_rounded_away(amount: int, currency: str) -> None:
    exponent = CURRENCIES[currency].exponent
    assert Money(amount, currency).major() * 10**exponent == amount
    if check_amount(amount, currency) is None:
        digits = "".join(character for character in format_money(amount, currency) if character.isdecimal())
        assert int(digits) == (amount // 100 if CURRENCIES[currency].step == 100 else amount)


def test_the_table_is_stripes() -> None:
    assert len(CURRENCIES) == 140
    assert {code for code, known in CURRENCIES.items() if known.exponent == 3} == {"bhd", "jod", "kwd", "omr", "tnd"}
    assert all(known.minimum >= known.step >= 1 for known in CURRENCIES.values())


@given(amount=st.integers(0, MAX_AMOUNT), currency=st.sampled_from(sorted(CURRENCIES)))
def test_what_is_shown_can_be_written(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    assert parse_money(f" {money.major()} ", currency) == money


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("", "usd"), ("1,000", "usd"), ("1,50", "usd"), ("-1", "usd"), ("+1", "usd"), ("1e3", "usd"), ("1.005", "usd"),
        (".5", "usd"), ("1.", "usd"), ("5.0", "jpy"), ("١٢", "usd"), ("9" * 13, "usd"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match="is written with digits and a point only"):
        parse_money(text, currency)
