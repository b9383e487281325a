"""Monthly recurring revenue: what a subscription is worth a month, and the movements between two moments. Pure.

As Stripe defines it (its Billing analytics glossary; docs/metrics.md has the definitions): active and past due
subscriptions count, by the second in which they become so; trials, metered prices and what is charged once do not.
Stripe publishes no factor for weeks and days: here a year has 52 weeks and 365 days.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from itertools import groupby
from typing import Any
from uuid import UUID

from tallystick.metrics.models import ALL_CURRENCIES, Change, Kind, Level, Movement, Off, Price, Told, Trial

__all__ = ["changes_of", "levels_of", "monthly", "movements_of", "period_price", "trial_of"]

_COUNTS = frozenset({"active", "past_due"})
_A_MONTH = {
    "day": Fraction(365, 12),
    "week": Fraction(52, 12),
    "month": Fraction(1),
    "year": Fraction(1, 12),
}


def period_price(price: Price, quantity: int) -> Fraction:
    """What a price charges for one period of `quantity`, in minor units."""
    if price.divide_by:
        whole, rest = divmod(quantity, price.divide_by)
        quantity = whole + (1 if rest and price.round_up else 0)
    if price.tiers is not None:
        return _graduated(price.tiers, quantity) if price.tiers_mode == "graduated" else _volume(price.tiers, quantity)
    return Fraction(price.unit_amount or 0) * quantity


def monthly(price: Price, quantity: int) -> Fraction:
    """What a price is worth a month; 0 where that depends on use, or where it is charged once."""
    if price.metered or price.interval is None:
        return Fraction(0)
    return period_price(price, quantity) * _A_MONTH[price.interval] / price.interval_count


def _graduated(tiers: Sequence[Mapping[str, object]], quantity: int) -> Fraction:
    total, start = Fraction(0), 0
    for tier in tiers:
        end = tier["up_to"]
        within = quantity - start if end is None else min(quantity, int(str(end))) - start
        if within <= 0:
            break
        total += _tier(tier, within)
        start += within
    return total


def _volume(tiers: Sequence[Mapping[str, object]], quantity: int) -> Fraction:
    for tier in tiers:
        if tier["up_to"] is None or quantity <= int(str(tier["up_to"])):
            return _tier(tier, quantity)
    return Fraction(0)


def _tier(tier: Mapping[str, object], quantity: int) -> Fraction:
    unit = tier.get("unit_amount_decimal") or tier.get("unit_amount") or 0
    flat = tier.get("flat_amount_decimal") or tier.get("flat_amount") or 0
    return Fraction(str(unit)) * quantity + Fraction(str(flat))


def levels_of(
    story: Iterable[Told],
    prices: Mapping[str, Price],
    offs: Mapping[str, Off],
    standing: Sequence[tuple[datetime, datetime | None, Off]] = (),
) -> list[Level]:
    """What a subscription was worth a month, each time that it changed.

    `offs` are the discounts that count, by Stripe's id; `standing` are the customer's own, each from when until when.
    The sum is rounded once, half to even, so that movements add up in whole minor units.
    """
    told = list(story)
    moments = {state.at for state in told}
    if told:
        bounds = {moment for start, end, _ in standing for moment in (start, end) if moment is not None}
        moments |= {moment for moment in bounds if moment > told[0].at}
    levels: list[Level] = []
    for at in sorted(moments):
        state = next(state for state in reversed(told) if state.at <= at)
        own = [off for start, end, off in standing if start <= at and (end is None or at < end)]
        taken = [*own, *(offs[id_] for id_ in state.discounts if id_ in offs)]
        level = _level(state, at, prices, taken, levels[-1].currency if levels else None)
        if level is not None and (not levels or (level.currency, level.amount) != _shown(levels[-1])):
            levels.append(level)
    return levels


def _shown(level: Level) -> tuple[str, int]:
    return level.currency, level.amount


def _level(
    state: Told, at: datetime, prices: Mapping[str, Price], offs: Sequence[Off], last: str | None
) -> Level | None:
    known = [(prices.get(item["price"]) or _remembered(item), _quantity(item)) for item in state.items]
    currency = known[0][0].currency if known else last
    if currency is None:
        return None
    if state.status not in _COUNTS:
        return Level(at, currency, 0)
    total = sum((monthly(price, quantity) for price, quantity in known), Fraction(0))
    for off in offs:
        if off.percent is not None:
            total *= 1 - Fraction(off.percent) / 100
        elif off.currency in (None, currency) and known:
            total -= monthly(_once_a_period(known[0][0], off.amount), 1)
    return Level(at, currency, max(round(total), 0))


def _quantity(item: Mapping[str, Any]) -> int:
    """How many of an item; metered ones have none."""
    quantity: int | None = item["quantity"]
    return 1 if quantity is None else quantity


def _remembered(item: Mapping[str, Any]) -> Price:
    """What the history itself remembers of a price that is not in the mirror."""
    amount = item.get("unit_amount")
    return Price(
        item["price"],
        item["currency"],
        None if amount is None else str(amount),
        item.get("interval"),
        item.get("interval_count") or 1,
    )


def _once_a_period(price: Price, amount: int) -> Price:
    return Price(price.id, price.currency, str(amount), price.interval, price.interval_count)


def changes_of(subscription_id: UUID, levels: Sequence[Level]) -> list[Change]:
    """The steps between the levels of one subscription."""
    changes: list[Change] = []
    before: Level | None = None
    for level in levels:
        if before is not None and before.currency != level.currency:
            changes.append(Change(level.at, before.currency, -before.amount, subscription_id))
            before = None
        changes.append(
            Change(level.at, level.currency, level.amount - (before.amount if before else 0), subscription_id)
        )
        before = level
    return [change for change in changes if change.amount]


def movements_of(changes: Iterable[Change]) -> list[Movement]:
    """The movements of one customer, of all its subscriptions together."""
    worth: dict[str, int] = {}
    ever = False
    movements: list[Movement] = []
    ordered = sorted(changes, key=lambda change: change.at)
    for at, moment in groupby(ordered, key=lambda change: change.at):
        steps: dict[str, int] = {}
        for change in moment:
            steps[change.currency] = steps.get(change.currency, 0) + change.amount
        was_worth = any(worth.values())
        for currency in sorted(steps):
            if step := steps[currency]:
                movements.append(Movement(at, currency, _kind(worth.get(currency, 0), step, ever=ever), step))
            worth[currency] = worth.get(currency, 0) + step
        if any(worth.values()) != was_worth:
            kind = Kind.CHURN if was_worth else Kind.REACTIVATION if ever else Kind.NEW
            movements.append(Movement(at, ALL_CURRENCIES, kind, 0))
        ever = ever or any(worth.values())
    return movements


def _kind(before: int, step: int, *, ever: bool) -> Kind:
    if before == 0:
        return Kind.REACTIVATION if ever else Kind.NEW
    if before + step == 0:
        return Kind.CHURN
    return Kind.EXPANSION if step > 0 else Kind.CONTRACTION


def trial_of(subscription_id: UUID, story: Sequence[Told]) -> Trial | None:
    """The trial of a subscription, if it had one; a second one (Stripe allows it) is part of the first."""
    started = next((state.at for state in story if state.status == "trialing"), None)
    if started is None:
        return None
    last = max(index for index, state in enumerate(story) if state.status == "trialing")
    after = story[last + 1] if last + 1 < len(story) else None
    if after is None:
        return Trial(subscription_id, started, None, converted=False)
    return Trial(subscription_id, started, after.at, converted=after.status in _COUNTS)
