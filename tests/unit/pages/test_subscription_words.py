"""What a subscription costs can be said in every language, for every plan, and the bill adds up."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tallystick.notifications.formats import Formats
from tallystick.pages.models import CheckoutSession, Look, Progress, Recurring
from tallystick.pages.rendering import PageRenderer, brand_of
from tallystick.pages.wording import section_of, subscription_words
from tallystick.platform.settings import load_settings

NOW = datetime(2026, 11, 26, tzinfo=UTC)
SETTINGS = load_settings(
    {
        "DATABASE_URL": "postgresql://localhost/x",
        "STRIPE_SECRET_KEY": "sk_test_1",
        "STRIPE_WEBHOOK_SECRET": "whsec_1",
        "JWT_SECRET": "x" * 32,
    }
)
PAGES = PageRenderer(SETTINGS, brand_of(SETTINGS))


@st.composite
def looks(draw: st.DrawFn) -> Look:
    """A session as its terms may be."""
    subtotal = draw(st.integers(0, 10**7))
    discount = draw(st.integers(0, subtotal))
    days = draw(st.sampled_from([0, 0, 1, 14, 730]))
    tax, credit = draw(st.integers(0, 10**5)), draw(st.integers(-(10**5), 10**5))
    charged = subtotal - discount + tax
    credit = 0 if days else min(credit, charged)
    plan = Recurring(
        interval=draw(st.sampled_from(["day", "week", "month", "year"])),
        interval_count=draw(st.integers(1, 12)),
        trial_days=days,
        metered=draw(st.booleans()),
        subtotal=subtotal,
        discount=discount,
        tax=tax,
        credit=credit,
        discount_duration=draw(st.sampled_from([None, "once", "repeating", "forever"])),
        discount_months=draw(st.integers(1, 36)),
    )
    session = CheckoutSession(
        id=UUID(int=1),
        user_id=UUID(int=2),
        mode="subscription",
        status="open",
        amount=0 if days else charged - credit,
        currency="usd",
        description=None,
        price_id="price_1",
        quantity=1,
        promotion_code="TEA",
        recurring=plan,
        success_url=None,
        cancel_url=None,
        locale=None,
        metadata={},
        subject_id=UUID(int=3),
        intent_id=None,
        started_at=None,
        expires_at=NOW,
        completed_at=None,
        created_at=NOW,
        updated_at=NOW,
    )
    return Look(session, Progress("none"))


def cents(text: str) -> int:
    """The minor units of an amount as it is written in English."""
    digits = int(re.sub(r"[^0-9]", "", text))
    return -digits if text.startswith(("-", "\u2212")) else digits


def words(look: Look, locale: str) -> dict[str, Any]:
    return subscription_words(look, NOW, PAGES.words("checkout", locale), Formats(locale), PAGES.per(locale))


@given(looks(), st.sampled_from(["en", "de", "ja"]))
def test_every_plan_can_be_told(look: Look, locale: str) -> None:
    said = words(look, locale)
    assert all(said[name] for name in ("large", "then", "due", "button"))
    assert section_of(look) == "open"


@given(looks())
def test_the_bill_adds_up(look: Look) -> None:
    said = words(look, "en")
    plan = look.session.recurring
    assert plan is not None
    assert plan.subtotal + sum(cents(amount) for _, amount in said["lines"]) == cents(said["due"])
