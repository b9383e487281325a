"""The calendar of unpaid renewals, and the runs by which we collect them ourselves (DUNNING_MODE=local).

Each invoice that failed has a run: a step of it is planned DUNNING_RETRY_DAYS after the failure before.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from tallystick.core.clock import Clock, to_unix
from tallystick.customers.service import StripeCustomerService
from tallystick.invoices.models import InvoiceRow
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.settings import Settings
from tallystick.platform.work import enqueue
from tallystick.subscriptions.access import failing_since
from tallystick.subscriptions.dunning import Dunning, DunningRules, dunning_of, has_failed
from tallystick.subscriptions.models import DunningRow, SubscriptionRow
from tallystick.subscriptions.repository_dunning import DunningRepository

__all__ = ["DUNNING_WORK", "DunningKeeper", "is_ours"]

DUNNING_WORK = "dunning.retry"
# Longer than an attempt is repeated and looked for, until it is given up.
_LAST_SETTLES = timedelta(hours=1)


class DunningKeeper:
    """Keeps the runs in step with subscriptions and invoices, in the transactions that change those."""

    def __init__(
        self, clock: Clock, settings: Settings, runs: DunningRepository, customers: StripeCustomerService
    ) -> None:
        self._clock = clock
        self._runs = runs
        self._customers = customers
        grace = timedelta(days=settings.grace_period_days)
        self.rules = DunningRules(settings.dunning_mode, settings.retry_schedule, grace)

    async def calendar(self, tx: Connection, row: SubscriptionRow, unpaid: Sequence[InvoiceRow]) -> Dunning | None:
        """What is done about a subscription's unpaid invoices, and when; None where no payment has failed."""
        runs: Mapping[str, DunningRow] = {}
        if unpaid and self.rules.mode == "local":
            runs = await self._runs.runs_of(tx, [invoice.stripe_invoice_id for invoice in unpaid])
        return dunning_of(row, unpaid, runs, self.rules)

    async def tries(self, tx: Connection, stripe_invoice_ids: Sequence[str]) -> dict[str, int]:
        """How often those of these invoices that we collect ourselves were tried, also after the end of it."""
        runs = await self._runs.runs_of(tx, stripe_invoice_ids) if self.rules.mode == "local" else {}
        return {stripe_id: run.attempts for stripe_id, run in runs.items()}

    async def plan(
        self, tx: Transaction, row: SubscriptionRow, unpaid: Sequence[InvoiceRow], *, resume: bool = False
    ) -> None:
        """Plan a step for each invoice that has none yet; the caller has the subscription locked.

        A default payment method that was not there before is tried at once. `resume` queues planned steps anew, whose
        work may have come due while the mode was another one.
        """
        failed = [invoice for invoice in unpaid if is_ours(row, invoice)]
        if not failed or self.rules.mode != "local":
            return
        runs = await self._runs.runs_of(tx, [invoice.stripe_invoice_id for invoice in failed])
        method = await self.method_of(tx, row)
        for invoice in failed:
            run = runs.get(invoice.stripe_invoice_id)
            if run is None:
                await self._begin(tx, row, invoice, method)
                continue
            if method is not None and method not in (run.seen_method, run.tried_method):
                run = replace(run, seen_method=method)
                await self.save(tx, run)
                await self.queue(tx, run, self._clock.now(), method=method)
            if run.next_at is None and run.step <= len(self.rules.days):
                run = replace(run, next_at=self._clock.now())  # held while it was not ours to collect
                await self.save(tx, run)
            elif not resume:
                continue
            if run.next_at is not None:
                await self.queue(tx, run, run.next_at)

    async def _begin(self, tx: Transaction, row: SubscriptionRow, invoice: InvoiceRow, method: str | None) -> None:
        since = failing_since([invoice])
        assert since is not None
        run = DunningRow(
            stripe_invoice_id=invoice.stripe_invoice_id,
            subscription_id=row.id,
            step=0,
            attempts=max(1, invoice.attempt_count),
            next_at=self.next_at(0, since, since),
            tried_method=method,
            seen_method=method,
            updated_at=self._clock.now(),
        )
        await self.save(tx, run)
        if run.next_at is not None:
            await self.queue(tx, run, run.next_at)

    async def save(self, tx: Transaction, run: DunningRow) -> None:
        await self._runs.save(tx, replace(run, updated_at=self._clock.now()))

    async def queue(self, tx: Transaction, run: DunningRow, due_at: datetime, *, method: str | None = None) -> None:
        """Queue a run's step; with `method`, a try of that one beside the plan."""
        payload = {"invoice": run.stripe_invoice_id, "subscription": str(run.subscription_id), "step": run.step}
        what = f"{run.step}:{to_unix(due_at)}"
        if method is not None:
            payload, what = {**payload, "method": method}, method
        await enqueue(tx, DUNNING_WORK, f"{DUNNING_WORK}:{run.stripe_invoice_id}:{what}", payload, due_at=due_at)

    async def method_of(self, tx: Connection, row: SubscriptionRow) -> str | None:
        """The payment method that a subscription's invoices are charged to."""
        if row.default_payment_method or not row.stripe_customer_id:
            return row.default_payment_method
        methods = await self._customers.default_methods(tx, [row.stripe_customer_id])
        return methods.get(row.stripe_customer_id)

    def next_at(self, step: int, failed_at: datetime, first_failed_at: datetime) -> datetime:
        """When a step is due: a retry, or the end (the step after the last).

        The end never comes before grace is over, nor before it is known what became of the last retry.
        """
        if step < len(self.rules.days):
            return failed_at + timedelta(days=self.rules.days[step])
        return max(failed_at + _LAST_SETTLES, first_failed_at + self.rules.grace)


def is_ours(row: SubscriptionRow, invoice: InvoiceRow) -> bool:
    """Whether we are to collect this invoice: a failed renewal of one of our users, that nobody has stopped."""
    return (
        row.user_id is not None
        and row.status == "past_due"
        and row.pause_collection is None
        and has_failed(row, invoice)
        and invoice.collection_method != "send_invoice"
    )
