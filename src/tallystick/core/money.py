"""Amounts: integers in the minor unit, always beside their currency; never floats."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tallystick.core.currencies import CURRENCIES, MAX_AMOUNT, find_currency

__all__ = ["AmountProblem", "Money", "check_amount", "format_money", "parse_money"]

_WRITTEN = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?", re.ASCII)


class AmountProblem(StrEnum):
    """Why an amount cannot be charged."""

    UNKNOWN_CURRENCY = "unknown_currency"
    NOT_POSITIVE = "not_positive"
    NOT_A_STEP = "not_a_step"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Money:
    """`amount` minor units of `currency` (lower case)."""

    amount: int
    currency: str

    def major(self) -> Decimal:
        """The amount in the currency's main unit, exact: 1050 usd is 10.50."""
        return Decimal(self.amount).scaleb(-CURRENCIES[self.currency].exponent)


def check_amount(amount: int, currency: str, *, minimum: int = 0, maximum: int = MAX_AMOUNT) -> AmountProblem | None:
    """Whether Stripe takes a charge of this amount; `minimum` and `maximum` narrow Stripe's own bounds."""
    known = find_currency(currency)
    if known is None:
        return AmountProblem.UNKNOWN_CURRENCY
    if amount <= 0:
        return AmountProblem.NOT_POSITIVE
    if amount < max(minimum, known.minimum):
        return AmountProblem.TOO_SMALL
    if amount > min(maximum, MAX_AMOUNT):
        return AmountProblem.TOO_LARGE
    if amount % known.step:
        return AmountProblem.NOT_A_STEP
    return None


def parse_money(text: str, currency: str) -> Money:
    """An amount as an operator writes it in the main unit, `10.50`, exactly as `Money.major` shows it.

    Raises:
        ValueError: it has a sign, a separator of thousands, a comma, or more decimals than the currency; says so.
    """
    exponent = CURRENCIES[currency].exponent
    found = _WRITTEN.fullmatch(text.strip())
    decimals = (found[2] or "") if found else ""
    if found is None or len(decimals) > exponent:
        example = Money(1050, currency).major()
        raise ValueError(f"An amount in {currency.upper()} is written with digits and a point only, as {example}.")
    return Money(int(found[1] + decimals.ljust(exponent, "0")), currency)


def format_money(amount: int, currency: str, locale: str = "en") -> str:
    """The amount as people of `locale` write it: `$10.50`, `1.234,50 €`, `¥500`.

    CLDR gives some currencies fewer decimals than Stripe charges (RSD, LBP), which would round cents away;
    the decimals are therefore Stripe's, unless the currency never has a fraction in life (ISK, UGX).
    """
    # Babel loads its locale data on first use; keep that out of start-up.
    from babel.core import Locale
    from babel.numbers import parse_pattern

    known = CURRENCIES[currency]
    digits = 0 if known.step == 100 else known.exponent
    language = locale.replace("-", "_")
    pattern = parse_pattern(Locale.parse(language).currency_formats["standard"].pattern)
    pattern.frac_prec = (digits, digits)
    text = pattern.apply(
        Money(amount, currency).major(),
        locale=language,
        currency=currency.upper(),
        currency_digits=False,
    )
    # CLDR puts a space between a symbol that ends in a letter and the digits ("KWD 1.234"); Babel does not.
    return re.sub(r"(?<=[^\W\d_])(?=\d)", "\xa0", str(text))
