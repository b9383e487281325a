"""A year of one customer's subscription, in eleven chapters. Each is a function of the story so far."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from rich.text import Text

from tallystick.cli.demo_client import given
from tallystick.cli.demo_news import day, granted, history, invoice, lost, mail
from tallystick.cli.demo_story import check, usd
from tallystick.cli.demo_year import BASIC, PRO, Use, Year
from tallystick.client.api.invoices import list_invoices, pay_invoice
from tallystick.client.api.subscriptions import (
    cancel_subscription,
    create_subscription,
    get_subscription,
    pause_subscription,
    resume_subscription,
)
from tallystick.client.models import (
    CancelSubscription,
    CreateSubscription,
    DunningView,
    PauseSubscription,
    ResumeSubscription,
    SubscriptionDetails,
)
from tallystick.client.types import UNSET

__all__ = ["CHAPTERS", "YearChapter"]

Tell: TypeAlias = Callable[[Year], Awaitable[None]]

FIRST_CARD = "4242 4242 4242 4242"
NO_GOOD_LATER = "4000 0000 0000 0341"
NEW_CARD = "5555 5555 5555 4444"
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class YearChapter:
    """A chapter: its heading, what it is about, and how it goes."""

    title: str
    prose: str
    tell: Tell


async def _after_renewal(year: Year) -> datetime:
    """An invoice stays a draft for an hour before it is collected."""
    return given((await year.details()).current_period_end, "the period's end") + 2 * _HOUR


def _dunning(found: SubscriptionDetails) -> DunningView:
    return given(found.dunning, "the calendar of what is unpaid")


async def _renewed(year: Year, amount: int, use: Use | None) -> None:
    """The next renewal, paid as it should be."""
    await year.move(await _after_renewal(year))
    await year.expect(
        history("renewed", "by Stripe"), invoice("paid", amount), mail("invoice_receipt", amount), use=use
    )
    year.months.append("●")


async def trial(year: Year) -> None:
    wanted = CreateSubscription(year.price_of(BASIC), quantity=UNSET, trial_period_days=14)
    made = await year.ask(create_subscription.asyncio_detailed(client=year.ann, body=wanted), 201)
    year.subscription, ends = str(made.id), given(made.trial_end, "the trial's end")
    await year.settle()
    await year.expect(
        history("created", "by Ann"),
        invoice("paid", 0),
        mail("subscription_welcome"),
        granted("Basic"),
        use=Use(BASIC, 1, "trialing", until=ends),
    )
    await year.conclude(f"On trial. Without a card it would end on {day(ends)}, and Ann may use it until then.")
    await year.move(3 * _DAY)
    await year.confirm_card(given(made.setup_client_secret, "a secret to keep a card with"), FIRST_CARD)
    await year.settle()
    await year.expect(history("payment_method_changed", "at Stripe"), use=Use(BASIC, 1, "trialing"))
    await year.conclude("There is a card now, so the trial's end ends nothing. The card never touched Tallystick.")


async def conversion(year: Year) -> None:
    ends = given((await year.details()).trial_end, "the trial's end")
    await year.move(ends - 2 * _DAY)
    await year.expect(mail("trial_ending"), use=Use(BASIC, 1, "trialing"))
    await year.move(ends + 2 * _HOUR)
    await year.expect(
        history("trial_ended", "by Stripe"),
        invoice("paid", 1500),
        mail("invoice_receipt", 1500),
        use=Use(BASIC, 1, "active"),
    )
    year.months.append("●")
    await year.conclude("Told three days before, charged once, and never without access in between.")


async def renewal(year: Year) -> None:
    await _renewed(year, 1500, Use(BASIC, 1, "active"))
    await year.conclude("Stripe renews by itself. Tallystick hears of it, and writes it down.")


async def upgrade(year: Year) -> None:
    await year.move(15 * _DAY)
    shown = await year.preview(price=year.price_of(PRO))
    now = given(shown.due_now, "what is due now").amount
    await year.update(preview_token=given(shown.preview_token, "a token"))
    await year.settle()
    await year.expect(
        history("plan_changed", "by Ann"),
        invoice("paid", now),
        mail("invoice_receipt", now),
        lost("Basic"),
        granted("Pro"),
        use=Use(PRO, 1, "active"),
    )
    await year.billed_as(shown)
    await year.conclude(f"Billed exactly as shown, line by line: {usd(now)}. Pro is there at once.")
    then = given(shown.due_at_renewal, "what is due at the renewal")
    await _renewed(year, then.amount, Use(PRO, 1, "active"))
    await year.conclude(f"And {usd(then.amount)} on {day(given(then.at, 'its date'))}, as shown with it.")


async def seats(year: Year) -> None:
    await year.move(10 * _DAY)
    shown = await year.preview(quantity=3)
    then = given(shown.due_at_renewal, "what is due at the renewal").amount
    check(shown.due_now is None, "nothing should be due now", shown.due_now)
    await year.update(preview_token=given(shown.preview_token, "a token"))
    await year.settle()
    await year.expect(history("quantity_changed", "by Ann"), use=Use(PRO, 3, "active"))
    await _renewed(year, then, Use(PRO, 3, "active"))
    await year.billed_as(shown)
    await year.conclude(f"Two seats more at once, and billed with the renewal as shown: {usd(then)}.")


async def failure(year: Year) -> None:
    await year.move(12 * _DAY)
    await year.update(payment_method=await year.keep_card(NO_GOOD_LATER))
    await year.settle()
    await year.expect(history("payment_method_changed", "by Ann"), use=Use(PRO, 3, "active"))
    await year.move(await _after_renewal(year))
    told = _dunning(await year.details())
    ends = told.access_until
    await year.expect(
        history("renewed", "by Stripe"),
        history("past_due", "by Stripe"),
        invoice("open", 13500),
        mail("invoice_payment_failed", 13500),
        use=Use(PRO, 3, "grace", until=ends),
    )
    year.months.append("◐")
    await _calendar(year)
    await _follow_the_link(year, given(told.pay_url, "a link to pay by"))
    await year.conclude(f"Declined, told at once, and not locked out: Ann has until {day(ends)} to pay.")


async def _calendar(year: Year) -> DunningView:
    """What the API says of the unpaid renewal, for the shop to show."""
    plan = _dunning(await year.ask(get_subscription.asyncio_detailed(year.subscription, client=year.ann)))
    following = day(given(plan.next_payment_attempt, "a next attempt"))
    tries = f"{plan.attempts} made, {plan.attempts_left} left, the next on {following}"
    await year.line("app", f"  due          {usd(plan.amount_due)}", style="dim")
    await year.line("app", f"  attempts     {tries}", style="dim")
    await year.line("app", f"  access until {day(plan.access_until)}", style="dim")
    return plan


async def _follow_the_link(year: Year, url: str) -> None:
    """The mail bears the link, and the link leads to the invoice."""
    newest = (await year.world.mails())[-1]
    check(url in newest["text"] and url in newest["html"], f"the mail should bear the link {url}")
    reply = await year.world.visit("GET", url)
    there = reply.status == 200 and b"$135.00" in reply.content
    check(there, "the link should lead to an invoice of $135.00", f"it answers {reply.status}")
    await year.line("browser", Text("→ GET the mail's link", "bold"), "to Stripe")
    await year.line("browser", "← 200 · the invoice, $135.00 to pay")


async def lock_out(year: Year) -> None:
    told = _dunning(await year.details())
    ends, attempt = told.access_until, given(told.next_payment_attempt, "a next attempt")
    await year.move(max(ends, attempt) + _HOUR)
    await year.expect(
        invoice("open", 13500),
        mail("invoice_payment_failed", 13500),
        mail("subscription_access_lost"),
        lost("Pro"),
        use=None,
    )
    when = {item.fact[1]: item.at for item in year.came[-4:]}
    for what, found, wanted in (
        ("access should end", when["lost"], ends),
        ("it should be tried again", when["invoice_payment_failed"], attempt),
    ):
        check(abs(found - wanted) < _SLACK, f"{what} at {wanted}, as the calendar says", f"it was at {found}")
    plan = await _calendar(year)
    check(plan.attempts == 2, "two attempts should have been made", f"it says {plan.attempts}")
    await year.conclude("Tried again on the day that was told; grace was over on the day that was told.")


async def recovery(year: Year) -> None:
    await year.move(2 * _DAY)
    await year.update(payment_method=await year.keep_card(NEW_CARD))
    await year.settle()
    await year.expect(history("payment_method_changed", "by Ann"), use=None)
    unpaid = list_invoices.asyncio_detailed(client=year.ann, limit=UNSET, status="open")
    (owed,) = (await year.ask(unpaid)).data
    await year.ask(pay_invoice.asyncio_detailed(str(owed.id), client=year.ann))
    await year.settle()
    await year.expect(
        history("recovered", "by Ann"),
        invoice("paid", 13500),
        mail("invoice_receipt", 13500),
        granted("Pro"),
        use=Use(PRO, 3, "active"),
    )
    year.months[-1] = "●"
    check((await year.details()).dunning is None, "the calendar should be gone", "it is still there")
    await year.conclude("Paid, and everything is back at once. Stripe makes no further attempt.")


async def month_off(year: Year) -> None:
    await _renewed(year, 13500, Use(PRO, 3, "active"))
    await year.move(20 * _DAY)
    off = PauseSubscription(reason="A month off")
    await year.ask(pause_subscription.asyncio_detailed(year.subscription, client=year.ann, body=off))
    await year.settle()
    await year.expect(history("paused", "by Ann"), mail("subscription_paused"), lost("Pro"), use=None)
    await year.move(await _after_renewal(year))
    await year.expect(history("renewed", "by Stripe"), invoice("void", 13500), use=None)
    year.months.append("–")
    await year.move(8 * _DAY)
    back = ResumeSubscription(reason="Back again")
    await year.ask(resume_subscription.asyncio_detailed(year.subscription, client=year.ann, body=back))
    await year.settle()
    await year.expect(
        history("resumed", "by Ann"), mail("subscription_resumed"), granted("Pro"), use=Use(PRO, 3, "active")
    )
    await year.conclude("One month was not billed (its invoice is void), and not used.")


async def quiet_months(year: Year) -> None:
    for _ in range(5):
        await _renewed(year, 13500, Use(PRO, 3, "active"))
    await year.conclude("Five renewals, five receipts, and nobody had to do anything.")


async def farewell(year: Year) -> None:
    await year.move(10 * _DAY)
    why = CancelSubscription(when=UNSET, reason="switched_service", comment="The team has moved on")
    left = await year.ask(cancel_subscription.asyncio_detailed(year.subscription, client=year.ann, body=why))
    ends = given(left.cancel_at or left.current_period_end, "its end")
    await year.settle()
    await year.expect(
        history("cancel_scheduled", "by Ann"),
        mail("subscription_cancel_scheduled"),
        use=Use(PRO, 3, "active", until=ends),
    )
    kept = (await year.details()).cancellation
    check(kept.feedback == why.reason, "the reason should be kept", f"it is {kept.feedback}")
    await year.conclude(f"Nothing more is billed, and what is paid can be used until {day(ends)}.")
    await year.move(ends + 2 * _HOUR)
    await year.expect(history("canceled", "by Stripe"), mail("subscription_canceled"), lost("Pro"), use=None)
    await year.conclude("It ended on its day, by itself.")


CHAPTERS = (
    YearChapter(
        "Two weeks to try it",
        "Ann takes Basic on trial. She has given no card yet; three days later she does, in her browser.",
        trial,
    ),
    YearChapter("The trial ends", "A mail says so beforehand. Then comes the first invoice.", conversion),
    YearChapter("A month later", "The first renewal.", renewal),
    YearChapter(
        "A bigger plan, in mid-month",
        "Ann sees what Pro would cost her today, and takes it for just that.",
        upgrade,
    ),
    YearChapter(
        "Three seats instead of one",
        "Two colleagues join. This time the difference is billed with the renewal.",
        seats,
    ),
    YearChapter(
        "A renewal fails",
        "Ann has a new card. It can be kept, but when the renewal comes, its bank declines.",
        failure,
    ),
    YearChapter(
        "Grace is over",
        "Nobody pays. Stripe tries again as planned; three days after the first failure access ends.",
        lock_out,
    ),
    YearChapter("Paid with another card", "Two days later Ann is back, with a card that works.", recovery),
    YearChapter("A month off", "Ann pauses. The renewal in the pause is voided, and access rests, too.", month_off),
    YearChapter("Quiet months", "Most of a subscription's life is this.", quiet_months),
    YearChapter("Ann leaves", "She cancels for the end of the month that is paid, and says why.", farewell),
)
