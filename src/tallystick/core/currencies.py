"""Stripe's presentment currencies: decimals, smallest charge, and the oddities.

ISO 4217 and CLDR disagree with Stripe on several of these, so the table is Stripe's own
(docs.stripe.com/currencies). `exponent` is the number of decimals of the integer that the API takes.
"""

from dataclasses import dataclass

__all__ = ["CURRENCIES", "MAX_AMOUNT", "Currency", "find_currency"]

MAX_AMOUNT = 99_999_999
"""Largest amount of one charge in minor units (Stripe: eight digits)."""


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency as Stripe charges it.

    `minimum` is the smallest charge in minor units; `step` is what every amount must be a multiple of.
    """

    code: str
    exponent: int
    minimum: int
    step: int


_ZERO_DECIMAL = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THREE_DECIMAL = "bhd jod kwd omr tnd"
# Without decimals in life, sent with two: 5 UGX is 500.
_WHOLE_UNITS_IN_TWO_DECIMALS = "isk ugx"
_TWO_DECIMAL = (
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf "
    "cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr "
    "jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio "
    "nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs "
    "top try ttd twd tzs uah uyu uzs wst xcd xcg yer zar zmw"
)

_MINIMUM = {
    50: "usd ars aud brl cad chf cop eur idr ils inr nzd php rub sgd zar jpy krw",
    30: "gbp",
    200: "aed myr pln ron",
    250: "dkk",
    300: "nok sek",
    400: "hkd",
    1000: "mxn thb",
    1500: "czk",
    17500: "huf",
}


def _table() -> dict[str, Currency]:
    minimum = {code: amount for amount, codes in _MINIMUM.items() for code in codes.split()}
    table: dict[str, Currency] = {}
    for codes, exponent, step in (
        (_ZERO_DECIMAL, 0, 1),
        (_TWO_DECIMAL, 2, 1),
        (_THREE_DECIMAL, 3, 10),
        (_WHOLE_UNITS_IN_TWO_DECIMALS, 2, 100),
    ):
        for code in codes.split():
            # Stripe publishes no minimum for the rest; the smallest amount it can express is the bound.
            table[code] = Currency(code, exponent, max(minimum.get(code, step), step), step)
    return table


CURRENCIES: dict[str, Currency] = _table()


def find_currency(code: str) -> Currency | None:
    """The currency of a lower-case ISO code, or None when Stripe does not take it."""
    return CURRENCIES.get(code)
