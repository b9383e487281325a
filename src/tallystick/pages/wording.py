"""What a subscription costs, in words: what is due now, and what then."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tallystick.notifications.formats import Formats
from tallystick.pages.models import CheckoutSession, Look, Recurring

__all__ = ["section_of", "subscription_words"]


def section_of(look: Look) -> str:
    """Which texts tell the state of a session that is not open."""
    status = look.session.status
    if status == "complete" and look.progress.held:
        return "authorized"
    if look.session.mode == "subscription" and status == "complete":
        return "trial_begun" if look.progress.free_until else "subscribed"
    if look.session.mode == "subscription" and status == "canceled":
        return "subscription_canceled"
    return status


def subscription_words(
    look: Look, now: datetime, t: Callable[..., str], formats: Formats, per: Callable[..., str]
) -> dict[str, Any]:
    """`large` is said first, `then` after it; `lines` are a bill whose sum is due now; `button` begins it.

    `per(interval, count, amount)` writes a price; `now` is business time.
    """
    session, plan = look.session, look.session.recurring
    if plan is None:
        return {}
    due = formats.money(session.amount, session.currency)
    days = t("subscribe.day" if plan.trial_days == 1 else "subscribe.days", count=plan.trial_days)
    free = t("subscribe.free", days=days)
    button = t("subscribe.pay", amount=due) if session.amount else t("subscribe.button")
    return {
        "large": free if plan.trial_days else due,
        "then": _then(look, plan, now, t, formats, per),
        "lines": _lines(session, plan, free, t, formats),
        "due": due,
        "button": t("subscribe.start") if plan.trial_days else button,
    }


def _then(
    look: Look, plan: Recurring, now: datetime, t: Callable[..., str], formats: Formats, per: Callable[..., str]
) -> str:
    def money(amount: int) -> str:
        return formats.money(amount, look.session.currency)

    def price(amount: int) -> str:
        return per(plan.interval, plan.interval_count, money(amount))

    kind = "trial" if plan.trial_days else "now"
    until = look.progress.free_until or now + timedelta(days=plan.trial_days)
    date = formats.date(until.isoformat())
    if plan.metered:
        return t(f"subscribe.{kind}_by_use", date=date)
    first, later = plan.subtotal - plan.discount + plan.tax, plan.subtotal + plan.tax
    if plan.discount_duration == "repeating" and plan.discount:
        months = t("subscribe.month" if plan.discount_months == 1 else "subscribe.months", count=plan.discount_months)
        return t(f"subscribe.{kind}_while", date=date, first=price(first), price=price(later), months=months)
    if plan.discount_duration == "once" and plan.discount:
        return t(f"subscribe.{kind}_once", date=date, first=money(first), price=price(later))
    return t(f"subscribe.{kind}", date=date, price=price(first))


def _lines(
    session: CheckoutSession, plan: Recurring, free: str, t: Callable[..., str], formats: Formats
) -> list[tuple[str, str]]:
    def money(amount: int) -> str:
        return formats.money(amount, session.currency)

    lines = []
    if plan.discount:
        lines.append((t("subscribe.discount", code=session.promotion_code or ""), money(-plan.discount)))
    if plan.tax:
        lines.append((t("subscribe.tax"), money(plan.tax)))
    if plan.trial_days:
        lines.append((free, money(-(plan.subtotal - plan.discount + plan.tax))))
    if plan.credit:
        lines.append((t("subscribe.credit" if plan.credit > 0 else "subscribe.debt"), money(-plan.credit)))
    return lines
