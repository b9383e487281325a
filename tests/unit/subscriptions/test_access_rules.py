"""Access as a function of a subscription and its unpaid invoices: the table of rules, and what must hold of all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.invoices.models import InvoiceRow
from tallystick.subscriptions.access import Access, AccessRules, access_of, failing_invoice
from tallystick.subscriptions.dunning import DunningRules, dunning_of
from tallystick.subscriptions.models import DunningRow, SubscriptionRow

NOON = datetime(2024, 3, 30, 12, tzinfo=UTC)
GRACE = timedelta(days=3)
RULES = AccessRules(GRACE)


def subscription(status: str = "active", **fields: Any) -> SubscriptionRow:
    blank = dict.fromkeys(SubscriptionRow.__struct_fields__)
    known = {
        "id": UUID(int=1),
        "status": status,
        "items": [],
        "discounts": [],
        "metadata": {},
        "cancel_at_period_end": False,
        "current_period_start": NOON - timedelta(days=31),
        "current_period_end": NOON,
        "created_at": NOON - timedelta(days=400),
    }
    return SubscriptionRow(**{**blank, **known, **fields})


def invoice(first_failed_at: datetime | None, number: int = 1, **fields: Any) -> InvoiceRow:
    blank = dict.fromkeys(InvoiceRow.__struct_fields__)
    known = {
        "id": UUID(int=number),
        "stripe_invoice_id": f"in_{number}",
        "status": "open",
        "amount_remaining": 1500,
        "attempt_count": 1,
        "currency": "usd",
        "first_failed_at": first_failed_at,
        "created_at": (first_failed_at or NOON) - timedelta(hours=1),
    }
    return InvoiceRow(**{**blank, **known, **fields})


def access(row: SubscriptionRow, unpaid: Sequence[InvoiceRow] = (), rules: AccessRules = RULES, **more: bool) -> Access:
    return access_of(row, unpaid, rules, customer_has_method=more.get("customer_has_method", True))


class TestTheTable:
    @pytest.mark.parametrize("status", ["incomplete", "incomplete_expired", "unpaid", "paused", "canceled"])
    def test_statuses_without_access(self, status: str) -> None:
        ends = subscription(status, cancel_at=NOON, trial_end=NOON, pause_collection={"behavior": "void"})

        assert access(ends) == Access(status, access=False)

    def test_active_does_not_end_with_its_period(self) -> None:
        assert access(subscription()) == Access("active", access=True)

    def test_active_with_an_older_invoice_that_failed(self) -> None:
        assert access(subscription(), [invoice(NOON)]) == Access("active", access=True)

    @pytest.mark.parametrize("how", ["cancel", "pause"])
    def test_a_trial_without_a_method_ends(self, how: str) -> None:
        trial = subscription("trialing", trial_end=NOON, trial_without_method=how)

        assert access(trial, customer_has_method=False) == Access("trialing", True, until=NOON, ends_as="trial_over")
        assert access(trial, customer_has_method=True) == Access("trialing", True)
        assert access(replace(trial, default_payment_method="pm_1"), customer_has_method=False).until is None

    def test_a_trial_that_is_billed_without_a_method_goes_on(self) -> None:
        trial = subscription("trialing", trial_end=NOON, trial_without_method="create_invoice")

        assert access(trial, customer_has_method=False) == Access("trialing", True)

    def test_past_due_keeps_access_for_the_days_of_grace(self) -> None:
        ends = NOON + GRACE

        assert access(subscription("past_due"), [invoice(NOON)]) == Access("grace", True, ends, ends, "grace_over")

    def test_newer_invoices_and_retries_do_not_lengthen_grace(self) -> None:
        unpaid = [invoice(NOON + timedelta(days=30), 2), replace(invoice(NOON), attempt_count=4)]

        assert access(subscription("past_due"), unpaid).until == NOON + GRACE

    def test_no_grace_means_none(self) -> None:
        assert access(subscription("past_due"), [invoice(NOON)], AccessRules(timedelta())).access is False

    def test_past_due_with_nothing_unpaid_waits_for_news(self) -> None:
        assert access(subscription("past_due")) == Access("past_due", access=True)

    def test_an_invoice_of_which_the_failure_was_not_told(self) -> None:
        sent = invoice(None, due_date=NOON, finalized_at=NOON - timedelta(days=30))
        charged = invoice(None, finalized_at=NOON)

        assert access(subscription("past_due"), [sent]).until == NOON + GRACE
        assert access(subscription("past_due"), [charged]).until == NOON + GRACE

    def test_a_scheduled_end(self) -> None:
        later = NOON + timedelta(days=40)

        assert access(subscription(cancel_at=later)) == Access("active", True, until=later, ends_as="canceled")
        assert access(subscription(cancel_at_period_end=True)).until == NOON
        owing = access(subscription("past_due", cancel_at=later), [invoice(NOON)])
        assert (owing.until, owing.ends_as) == (NOON + GRACE, "grace_over")
        owing = access(subscription("past_due", cancel_at=NOON), [invoice(NOON)])
        assert (owing.until, owing.ends_as, owing.grace_until) == (NOON, "canceled", NOON + GRACE)

    def test_paused_collection(self) -> None:
        row = subscription(pause_collection={"behavior": "void", "resumes_at": None})

        assert access(row) == Access("paused", access=False)
        assert access(row, rules=AccessRules(GRACE, paused_keep=True)) == Access("active", access=True)

    @pytest.mark.parametrize(
        ("failed", "ends"),
        [
            # Clocks are put forward and back in these nights where many customers live; a day is 24 hours all the same.
            ("2024-03-30T23:30:00+00:00", "2024-04-02T23:30:00+00:00"),
            ("2024-10-26T23:30:00+00:00", "2024-10-29T23:30:00+00:00"),
            ("2024-02-28T00:00:00+00:00", "2024-03-02T00:00:00+00:00"),
            ("2023-12-31T23:59:59+00:00", "2024-01-03T23:59:59+00:00"),
        ],
    )
    def test_nights_and_month_ends(self, failed: str, ends: str) -> None:
        found = access(subscription("past_due"), [invoice(datetime.fromisoformat(failed))])

        assert found.until == datetime.fromisoformat(ends)


MOMENTS = st.integers(0, 4 * 365 * 86400).map(lambda s: datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
INVOICES = st.lists(st.tuples(st.none() | MOMENTS, MOMENTS), max_size=5).map(
    lambda drawn: [invoice(failed, n, created_at=created) for n, (failed, created) in enumerate(drawn)]
)
SUBSCRIPTIONS = st.builds(
    subscription,
    st.sampled_from(
        ["incomplete", "incomplete_expired", "trialing", "active", "past_due", "unpaid", "paused", "canceled"]
    ),
    trial_end=st.none() | MOMENTS,
    trial_without_method=st.none() | st.sampled_from(["cancel", "pause", "create_invoice"]),
    cancel_at=st.none() | MOMENTS,
    cancel_at_period_end=st.booleans(),
    default_payment_method=st.none() | st.just("pm_1"),
    pause_collection=st.none() | st.just({"behavior": "void"}),
)
GRACES = st.integers(0, 90).map(lambda days: timedelta(days=days))


def lasts(found: Access, at: datetime) -> bool:
    return found.access and (found.until is None or at < found.until)


class TestWhatMustHold:
    @given(SUBSCRIPTIONS, INVOICES, GRACES, GRACES, st.booleans(), MOMENTS)
    def test_more_grace_never_takes_access_away(
        self, row: SubscriptionRow, unpaid: list[InvoiceRow], one: timedelta, two: timedelta, method: bool, at: datetime
    ) -> None:
        less, more = sorted([one, two])
        if lasts(access(row, unpaid, AccessRules(less), customer_has_method=method), at):
            assert lasts(access(row, unpaid, AccessRules(more), customer_has_method=method), at)

    @given(SUBSCRIPTIONS, INVOICES, st.randoms(use_true_random=False))
    def test_the_order_of_invoices_does_not_matter(
        self, row: SubscriptionRow, unpaid: list[InvoiceRow], dice: Any
    ) -> None:
        shuffled = list(unpaid)
        dice.shuffle(shuffled)

        assert access(row, shuffled) == access(row, unpaid)
        assert failing_invoice(shuffled) == failing_invoice(unpaid)

    @given(INVOICES, MOMENTS)
    def test_another_invoice_never_lengthens_grace(self, unpaid: list[InvoiceRow], failed: datetime) -> None:
        row = subscription("past_due")
        before, after = access(row, unpaid), access(row, [*unpaid, invoice(failed, 99)])

        assert after.until is not None
        assert before.until is None or after.until <= before.until

    @given(INVOICES)
    def test_recovery_restores_everything(self, unpaid: list[InvoiceRow]) -> None:
        assert access(subscription("active"), unpaid) == access(subscription("active")) == Access("active", True)

    @given(SUBSCRIPTIONS, INVOICES, st.booleans())
    def test_what_ends_says_how_it_ends(self, row: SubscriptionRow, unpaid: list[InvoiceRow], method: bool) -> None:
        found = access(row, unpaid, customer_has_method=method)

        assert (found.until is None) == (found.ends_as is None)
        assert found.access or found.until is None

    @given(SUBSCRIPTIONS, INVOICES, MOMENTS)
    def test_the_period_ends_nothing(self, row: SubscriptionRow, unpaid: list[InvoiceRow], end: datetime) -> None:
        row = replace(row, cancel_at_period_end=False)

        assert access(replace(row, current_period_end=end), unpaid) == access(row, unpaid)


DAYS = [3, 5, 7]


def run(step: int, next_at: datetime | None, attempts: int) -> DunningRow:
    return DunningRow("in_1", UUID(int=1), step, attempts, next_at, "pm_1", "pm_1", NOON)


class TestCalendar:
    STRIPE, LOCAL = DunningRules("stripe", DAYS, GRACE), DunningRules("local", DAYS, GRACE)

    def test_a_failure_that_was_not_told_shows_in_what_it_has_led_to(self) -> None:
        found = dunning_of(subscription("past_due"), [invoice(None, attempted=True, finalized_at=NOON)], {}, self.LOCAL)

        assert found is not None
        assert found.first_failed_at == NOON

    def test_none_where_nothing_failed(self) -> None:
        assert dunning_of(subscription("past_due"), [invoice(None)], {}, self.STRIPE) is None
        assert dunning_of(subscription("incomplete"), [invoice(NOON)], {}, self.STRIPE) is None
        assert dunning_of(subscription("canceled"), [invoice(NOON)], {}, self.STRIPE) is None

    @pytest.mark.parametrize(("attempts", "left"), [(1, 3), (2, 2), (3, 1), (9, 1)])
    def test_stripes_own(self, attempts: int, left: int) -> None:
        upcoming = NOON + timedelta(days=5)
        failed = invoice(NOON, attempt_count=attempts, next_payment_attempt=upcoming)
        found = dunning_of(subscription("past_due"), [failed], {}, self.STRIPE)

        assert found is not None
        assert (found.attempts, found.attempts_left, found.next_payment_attempt) == (attempts, left, upcoming)
        assert (found.first_failed_at, found.access_until) == (NOON, NOON + GRACE)

    def test_stripe_has_given_up(self) -> None:
        found = dunning_of(subscription("past_due"), [invoice(NOON, attempt_count=4)], {}, self.STRIPE)

        assert found is not None
        assert (found.attempts, found.attempts_left, found.next_payment_attempt) == (4, 0, None)

    def test_ours(self) -> None:
        row, failed = subscription("past_due"), [invoice(NOON)]
        begun = dunning_of(row, failed, {}, self.LOCAL)
        once = dunning_of(row, failed, {"in_1": run(1, NOON + timedelta(days=8), 2)}, self.LOCAL)
        ended = dunning_of(row, failed, {"in_1": run(3, NOON + timedelta(days=15), 4)}, self.LOCAL)

        assert begun is not None
        assert once is not None
        assert ended is not None
        assert (begun.attempts, begun.attempts_left, begun.next_payment_attempt) == (1, 3, NOON + timedelta(days=3))
        assert (once.attempts, once.attempts_left, once.next_payment_attempt) == (2, 2, NOON + timedelta(days=8))
        assert (ended.attempts, ended.attempts_left, ended.next_payment_attempt) == (4, 0, None)

    def test_while_stripe_tries_we_do_not(self) -> None:
        upcoming = NOON + timedelta(days=1)
        found = dunning_of(subscription("past_due"), [invoice(NOON, next_payment_attempt=upcoming)], {}, self.LOCAL)

        assert found is not None
        assert found.next_payment_attempt == upcoming
