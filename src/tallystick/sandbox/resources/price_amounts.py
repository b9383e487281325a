"""What a quantity costs at a price: per unit, by packages, by tiers, in any of its currencies; exact."""

from decimal import Decimal
from fractions import Fraction

from tallystick.sandbox.context import Context
from tallystick.sandbox.shapes import Json, decode

__all__ = ["amount_of", "currency_options", "exact_amount", "option", "round_half_up", "tiers", "unit_amount"]


def tiers(ctx: Context, price: Json) -> list[Json]:
    """The tiers of a tiered price, else an empty list; the price itself prints them only when expanded."""
    found: list[Json] = decode(ctx.store.note(price["id"], "tiers") or "[]")
    return found


def currency_options(ctx: Context, price: Json) -> Json:
    """The price in each of its currencies, its own among them."""
    own: Json = {
        "custom_unit_amount": price["custom_unit_amount"],
        "tax_behavior": price["tax_behavior"],
        "unit_amount": price["unit_amount"],
        "unit_amount_decimal": price["unit_amount_decimal"],
    }
    if price["billing_scheme"] == "tiered":
        own["tiers"] = tiers(ctx, price)
    others: Json = decode(ctx.store.note(price["id"], "currency_options") or "{}")
    return {price["currency"]: own, **others}


def option(ctx: Context, price: Json, currency: str | None = None) -> Json | None:
    """The terms of a price in `currency` (its own by default); None where it has no such currency."""
    found: Json | None = currency_options(ctx, price).get(currency or price["currency"])
    return found


def unit_amount(terms: Json) -> Fraction:
    """The amount per unit of a price, of one of its currency options or of a tier; 0 where there is none."""
    return Fraction(Decimal(terms["unit_amount_decimal"])) if terms.get("unit_amount_decimal") else Fraction(0)


def amount_of(ctx: Context, price: Json, quantity: int, currency: str | None = None) -> int:
    """What `quantity` costs, in whole minor units, halves up."""
    return round_half_up(exact_amount(ctx, price, quantity, currency))


def exact_amount(ctx: Context, price: Json, quantity: int, currency: str | None = None) -> Fraction:
    """What `quantity` costs before rounding. Raises LookupError for a currency that the price has not."""
    if price["billing_scheme"] != "tiered" and currency in (None, price["currency"]):
        return _packages(price, quantity) * unit_amount(price)
    terms = option(ctx, price, currency)
    if terms is None:
        raise LookupError(f"{price['id']} has no price in {currency}")
    count = _packages(price, quantity)
    if price["billing_scheme"] != "tiered":
        return count * unit_amount(terms)
    graded = price["tiers_mode"] == "graduated"
    return _graduated(terms["tiers"], count) if graded else _volume(terms["tiers"], count)


def round_half_up(amount: Fraction) -> int:
    """To the nearest whole, halves away from zero."""
    rounded = int(abs(amount) + Fraction(1, 2))
    return rounded if amount >= 0 else -rounded


def _packages(price: Json, quantity: int) -> int:
    transform = price["transform_quantity"]
    if not transform:
        return quantity
    divide_by: int = transform["divide_by"]
    whole, rest = divmod(quantity, divide_by)
    return whole + (1 if rest and transform["round"] == "up" else 0)


def _flat(tier: Json) -> Fraction:
    return Fraction(Decimal(tier["flat_amount_decimal"])) if tier["flat_amount_decimal"] else Fraction(0)


def _graduated(steps: list[Json], quantity: int) -> Fraction:
    total, done = Fraction(0), 0
    for tier in steps:
        # The first flat fee is due even for nothing.
        if quantity <= done and done:
            break
        top = quantity if tier["up_to"] is None else min(quantity, tier["up_to"])
        total += (top - done) * unit_amount(tier) + _flat(tier)
        done = tier["up_to"] if tier["up_to"] is not None else quantity
        if tier["up_to"] is None or quantity <= done:
            break
    return total


def _volume(steps: list[Json], quantity: int) -> Fraction:
    tier = next(step for step in steps if step["up_to"] is None or quantity <= step["up_to"])
    return quantity * unit_amount(tier) + _flat(tier)
