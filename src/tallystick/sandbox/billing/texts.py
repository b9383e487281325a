"""The descriptions of invoice lines, as recorded from the real API."""

from datetime import UTC, datetime
from decimal import Decimal

from tallystick.core.currencies import CURRENCIES
from tallystick.core.money import format_money

__all__ = ["charge_text", "remaining_text", "trial_text", "unused_text"]


def charge_text(
    quantity: int, name: str, unit: str | None, currency: str, interval: str, count: int, *, tier: int | None = None
) -> str:
    """`1 × Gold (at $10.00 / month)`; a tier's line says which."""
    every = interval if count == 1 else f"every {count} {interval}s"
    if unit is None:
        return f"{quantity} × {name}"
    prefix = f"Tier {tier} at" if tier is not None else "at"
    return f"{quantity} × {name} ({prefix} {_money(unit, currency)} / {every})"


def unused_text(quantity: int | None, name: str, moment: int) -> str:
    """The credit of a proration."""
    return f"Unused time on {_counted(quantity, name)} after {_date(moment)}"


def remaining_text(quantity: int | None, name: str, moment: int) -> str:
    """The debit of a proration."""
    return f"Remaining time on {_counted(quantity, name)} after {_date(moment)}"


def trial_text(quantity: int | None, name: str, *, flexible: bool) -> str:
    """The line of a trial, which costs nothing."""
    return f"Free trial for {quantity or 1} × {name}" if flexible else f"Trial period for {name}"


def _counted(quantity: int | None, name: str) -> str:
    return name if quantity in (None, 1) else f"{quantity} × {name}"


def _date(moment: int) -> str:
    day = datetime.fromtimestamp(moment, UTC)
    return f"{day.day} {day:%b %Y}"


def _money(unit: str, currency: str) -> str:
    amount = Decimal(unit)
    if amount == amount.to_integral_value():
        return format_money(int(amount), currency)
    # A price finer than the smallest coin is printed with all its decimals.
    exact = amount.scaleb(-CURRENCIES[currency].exponent).normalize()
    symbol = format_money(0, currency).rstrip("0123456789.,")
    return f"{symbol}{exact:f}"
