"""Amounts, dates and cards as people of one locale write them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from tallystick.core.money import format_money

__all__ = ["Formats"]

_BRANDS = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "Eftpos",
    "jcb": "JCB",
    "link": "Link",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}


@dataclass(frozen=True, slots=True)
class Formats:
    """`locale` is a language with or without a region (`de`, `de-AT`)."""

    locale: str

    def money(self, amount: int, currency: str) -> str:
        """Minor units of a currency, for example `1.234,50 €`."""
        return format_money(amount, currency.lower(), self._known())

    def date(self, at: str) -> str:
        """The day (UTC) of an RFC 3339 time, for example `4. März 2026`."""
        from babel.dates import format_date

        return format_date(_utc(at).date(), "long", locale=self._known())

    def moment(self, at: str) -> str:
        """Day, hour and minute of an RFC 3339 time, for example `4. März 2026, 14:05 UTC`."""
        from babel.core import Locale
        from babel.dates import format_time

        locale = self._known()
        pattern = str(Locale.parse(locale).datetime_formats["medium"])
        clock = format_time(_utc(at).time(), "short", locale=locale)
        return pattern.replace("{1}", self.date(at)).replace("{0}", clock) + " UTC"

    def period(self, start: str | None, end: str | None) -> str | None:
        """The days (UTC) from one RFC 3339 time to another, for example `4. März – 4. Apr. 2026`; None if not known."""
        from babel.dates import format_interval

        if not start or not end:
            return None
        first, last = _utc(start).date(), _utc(end).date()
        return format_interval(first, last, "yMMMd", locale=self._known())

    def month(self, year: int, month: int) -> str:
        """A month, for example `März 2026`."""
        from babel.dates import format_skeleton

        return format_skeleton("yMMMM", datetime(year, month, 1, tzinfo=UTC), locale=self._known())

    def card(self, brand: str | None, last4: str | None) -> str | None:
        """`Visa •••• 4242`, or None when too little is known."""
        if not last4:
            return None
        name = _BRANDS.get(brand or "", (brand or "").replace("_", " ").title())
        return f"{name} •••• {last4}".strip()

    def _known(self) -> str:
        """The locale as Babel writes it; without the region where it has no such locale."""
        from babel.core import Locale, UnknownLocaleError

        for candidate in (self.locale.replace("-", "_"), self.locale.partition("-")[0]):
            try:
                return str(Locale.parse(candidate))
            except (UnknownLocaleError, ValueError):
                continue
        return "en"


def _utc(at: str) -> datetime:
    parsed = datetime.fromisoformat(at)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
