"""The mails of subscriptions and invoices: each says what it must in each case, and nothing that is not so."""

import re
from html import unescape
from itertools import product
from typing import Any

import pytest

from tallystick.notifications.locales import Catalogue
from tallystick.notifications.models import RenderedMail
from tallystick.notifications.rendering import Renderer
from tallystick.notifications.samples import SAMPLES

LOCALES = ("en", "de", "ja")
RENDERER = Renderer("Example", Catalogue())
UNKNOWN_PLAN: dict[str, Any] = {"plan_name": None, "quantity": None, "amount": None, "interval": None}
SUBSCRIPTION_MAILS = [name for name, sample in SAMPLES.items() if "subscription_id" in sample]


def mail(template: str, locale: str = "en", **changes: Any) -> RenderedMail:
    return RENDERER.render(template, locale, {**SAMPLES[template], **changes})


def plain(text: str) -> str:
    return " ".join(unescape(text).split())


def line(description: str | None = "Team", amount: int = 100, quantity: int | None = 1) -> dict[str, Any]:
    return {
        "description": description,
        "quantity": quantity,
        "amount": amount,
        "period_start": None,
        "period_end": None,
    }


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    ("template", "cases"),
    [
        ("subscription_welcome", {"status": ("active", "trialing")}),
        ("trial_ending", {"without_card": ("cancel", "pause", "create_invoice"), "card_last4": (None,)}),
        ("trial_ending", {"amount": (8700, 0, None)}),
        ("invoice_receipt", {"amount_paid": (0, 100), "recovered": (True, False)}),
        ("invoice_payment_failed", {"attempt": (1, 2), "access_until": (None, "2026-03-11T14:05:09Z")}),
        ("invoice_payment_failed", {"access_until": (None,), "access_gone": (True, False)}),
        (
            "invoice_payment_failed",
            {"next_attempt_at": (None, "2026-03-11T14:05:09Z"), "pay_url": (None, "https://x.y")},
        ),
        ("invoice_action_required", {"attempt": (1, 2), "pay_url": (None, "https://x.y")}),
        ("subscription_access_lost", {"reason": ("grace_over", "unpaid", "paused", "trial_over")}),
        ("subscription_canceled", {"reason": ("requested", "payment_failed", "dispute", "trial_over", "other")}),
        ("subscription_paused", {"access": (True, False), "resumes_at": (None, "2026-05-01T00:00:00Z")}),
    ],
)
def test_each_case_is_told_in_its_own_words(template: str, cases: dict[str, tuple[Any, ...]], locale: str) -> None:
    chosen = [dict(zip(cases, values, strict=True)) for values in product(*cases.values())]
    told = [mail(template, locale, **case) for case in chosen]
    assert len({shown.text for shown in told}) == len(told)
    assert len({shown.html for shown in told}) == len(told)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", SUBSCRIPTION_MAILS)
def test_a_plan_that_is_not_known_is_not_named(template: str, locale: str) -> None:
    shown = mail(template, locale, **UNKNOWN_PLAN, interval_count=None, manage_url=None)
    assert "None" not in shown.text + shown.html + shown.subject
    assert "Team" not in shown.text.replace("Team, monthly", "")
    assert "https://shop.example/billing\n" not in shown.text


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", ["invoice_receipt", "invoice_payment_failed", "invoice_action_required"])
def test_an_invoice_of_no_subscription_speaks_of_none(template: str, locale: str) -> None:
    alone: dict[str, Any] = {**UNKNOWN_PLAN, "subscription_id": None, "interval_count": None, "manage_url": None}
    shown = mail(template, locale, **alone, access_until=None, lines=[line(None)])
    without_number = mail(template, locale, **alone, access_until=None, lines=[line(None)], number=None)
    subscription = {"en": ("ubscription", "ccess"), "de": ("bonnement", "Zugang"), "ja": ("契約", "ご利用を停止")}[
        locale
    ]
    for text in (shown.text, without_number.text, shown.subject):
        assert not any(word in text for word in subscription)
    assert SAMPLES[template]["number"] in shown.text.split("\n\n")[1]
    assert "None" not in without_number.text


def test_a_subscription_that_ends_by_itself_is_not_said_to_renew() -> None:
    for status in ("active", "trialing"):
        shown = mail("subscription_welcome", status=status, next_payment_at=None)
        assert "renews" not in shown.text
        assert "goes on" not in shown.text + shown.html


def test_a_card_may_expire_that_pays_for_nothing() -> None:
    shown = mail("card_expiring", **UNKNOWN_PLAN, subscription_id=None, currency=None, interval_count=None)
    assert "Visa •••• 4242, with which you pay at Example, can be used until the end of April 2026" in shown.text
    assert "Subscription ID" not in shown.text
    assert "April 2026" not in mail("card_expiring", "de", exp_month=12).text
    assert "2026年12月" in mail("card_expiring", "ja", exp_month=12).text


@pytest.mark.parametrize(
    ("locale", "amount", "currency", "interval", "count", "shown"),
    [
        ("en", 1000, "usd", "month", 1, "$10.00 per month"),
        ("en", 1000, "usd", "month", None, "$10.00 per month"),
        ("en", 0, "usd", "year", 1, "$0.00 per year"),
        ("en", 1000, "jpy", "week", 2, "¥1,000 every 2 weeks"),
        ("en", 5120, "kwd", "day", 10, "KWD 5.120 every 10 days"),
        ("en", 1000, "usd", None, None, "Price: $10.00"),
        ("de", 123450, "eur", "month", 3, "1.234,50 € alle 3 Monate"),
        ("de", 5120, "kwd", "year", 1, "5,120 KWD pro Jahr"),
        ("ja", 1000, "jpy", "month", 1, "月額 ￥1,000"),
        ("ja", 1000, "jpy", "month", 6, "6 か月ごとに ￥1,000"),
    ],
)
def test_a_price_is_written_as_people_write_it(
    locale: str, amount: int, currency: str, interval: str | None, count: int | None, shown: str
) -> None:
    plan = {"amount": amount, "currency": currency, "interval": interval, "interval_count": count}
    welcome = mail("subscription_welcome", locale, **plan)
    assert shown in plain(welcome.text)
    assert shown.removeprefix("Price: ") in plain(welcome.html)


def test_a_trial_that_ends_says_when_and_what_follows() -> None:
    with_card = plain(mail("trial_ending").text)
    assert "ends on March 18, 2026. After that it costs €87.00 per month." in with_card
    assert "taken from your card Visa •••• 4242" in with_card
    assert "payment method" not in with_card
    without = plain(mail("trial_ending", card_brand=None, card_last4=None).text)
    assert "Add a payment method: https://shop.example/billing" in without
    assert "ends with the trial" in without
    assert "€0.00" not in mail("trial_ending", amount=0).text.partition("Price:")[0]


def test_a_receipt_lists_its_lines_and_adds_up() -> None:
    shown = mail("invoice_receipt")
    text = plain(shown.text)
    assert "- Team, monthly × 3 Mar 4 – Apr 4, 2026: €87.00" in text
    assert "- Setup by phone €25.00" in text
    assert (
        "Subtotal: €102.00 Discount: -€10.20 Tax: €17.44 Total: €109.24 From your balance: -€5.00 Paid: €104.24" in text
    )
    assert "-€10.00" in shown.html
    assert "× 1" not in shown.text
    assert "Further lines" not in text
    assert "not shown here: 12" in mail("invoice_receipt", more_lines=12).text
    assert "Not all lines are shown here" in mail("invoice_receipt", more_lines=None).text


def test_a_receipt_of_a_downgrade_says_what_went_to_the_balance() -> None:
    shown = plain(
        mail(
            "invoice_receipt", lines=[line(amount=-900)], total=-900, amount_paid=0, credit=-900, discount=0, tax=0
        ).text
    )
    assert "Total: -€9.00 To your balance: €9.00 Paid: €0.00" in shown
    assert "nothing to pay" in shown


def test_a_receipt_that_a_coupon_made_free() -> None:
    changes: dict[str, Any] = {"discount": 100, "tax": 0, "subtotal": 100, "total": 0, "amount_paid": 0, "credit": 0}
    shown = mail("invoice_receipt", lines=[line()], **changes)
    assert "Subtotal: €1.00\nDiscount: -€1.00\nTotal: €0.00\nPaid: €0.00" in shown.text
    assert shown.subject == "Receipt from Example: €0.00"
    assert "balance" not in shown.text


def test_tax_that_is_included_is_not_added() -> None:
    text = mail("invoice_receipt", subtotal=119, discount=0, tax=19, total=119, amount_paid=119, credit=0).text
    assert "Total: €1.19\nOf which tax: €0.19\nPaid: €1.19" in text
    assert "Subtotal" not in text


@pytest.mark.parametrize(
    ("locale", "currency", "shown"), [("de", "jpy", "-1.000 ¥"), ("ja", "jpy", "-￥1,000"), ("en", "kwd", "-KWD 1.000")]
)
def test_negative_lines_have_the_decimals_of_their_currency(locale: str, currency: str, shown: str) -> None:
    receipt = mail("invoice_receipt", locale, currency=currency, lines=[line(amount=-1000)])
    assert shown in plain(receipt.text)
    assert shown in plain(receipt.html)


def test_a_line_without_words_bears_the_name_of_the_plan() -> None:
    assert "- Team × 3\n" in mail("invoice_receipt", lines=[line(None)]).text
    assert "- your subscription\n" in mail("invoice_receipt", lines=[line(None)], plan_name=None).text


def test_names_are_only_text() -> None:
    nasty = '<b onclick="x">Plan</b>\nTotal: €0.00'
    shown = mail("invoice_receipt", plan_name=nasty, lines=[line(nasty)])
    assert "<b " not in shown.html
    assert "\nTotal: €0.00" not in shown.text
    assert mail("subscription_welcome", plan_name="Team 🚀 " + "x" * 900).text.count("x" * 600) == 0


def test_a_name_from_right_to_left_does_not_turn_the_words_around_it() -> None:
    shown = mail("invoice_receipt", plan_name="خطة الفريق", quantity=2, lines=[line("خطة")])
    assert "“\u2068خطة الفريق\u2069”" in shown.text
    assert "\u2068خطة الفريق\u2069 × 2" in shown.html
    assert "- \u2068خطة\u2069\n" in shown.text
    assert not re.search("[\u2066-\u2069]", shown.subject + mail("invoice_receipt").text)


def test_a_failure_says_until_when_there_is_access_and_what_happens_next() -> None:
    first = plain(mail("invoice_payment_failed").text)
    assert "access continues until March 11, 2026" in first
    assert "again on March 7, 2026" in first
    assert "did not have enough funds" in first
    assert "Pay now: https://shop.example/billing/pay/0197e4b0-9c3d" in first
    last = mail("invoice_payment_failed", attempt=4, next_attempt_at=None, access_until=None, access_gone=True)
    assert last.subject == "Reminder: €103.53 to Example is still unpaid"
    assert "attempt number 4" in last.text
    assert "access is suspended" in last.text
    assert "will not try" in last.text
    older = mail("invoice_payment_failed", access_until=None)
    assert "access" not in (older.text + older.html).lower()
    waiting = mail("invoice_payment_failed", error_code="PROCESSING_ERROR", next_attempt_at=None).text
    assert "wait for the next attempt" not in waiting


@pytest.mark.parametrize("locale", LOCALES)
def test_each_code_of_a_payment_has_its_reason_here_too(locale: str) -> None:
    codes = ("CARD_DECLINED", "INSUFFICIENT_FUNDS", "AMOUNT_ERROR", "AUTHENTICATION_FAILED", None)
    told = [mail("invoice_payment_failed", locale, error_code=code).text for code in codes]
    assert len(set(told)) == len(codes)
    assert told[-1] == mail("invoice_payment_failed", locale, error_code="SOMETHING_NEW").text


@pytest.mark.parametrize("bad", ["javascript:alert(1)", "https://x.y/a b", 'https://x.y/"><script>\n', ""])
def test_only_web_addresses_are_linked(bad: str) -> None:
    shown = mail("invoice_receipt", invoice_url=bad)
    assert "href" not in shown.html
    assert "View the invoice" not in shown.text


def test_a_long_link_stays_whole() -> None:
    link = "https://pay.example/i/" + "a" * 1500
    shown = mail("invoice_receipt", invoice_url=link)
    assert f"\n{link}\n" in shown.text
    assert f'href="{link}"' in shown.html
