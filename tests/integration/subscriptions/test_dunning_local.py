"""DUNNING_MODE=local: we pay the open invoice again and again, and end it; Stripe makes no attempts of its own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from subscribers import DECLINES_LATER, Subscriber, make_price, subscriber
from system import LONG, VERSIONS, MakeDatabase, System, running_system
from tallystick.platform.settings import Settings

LOCAL: dict[str, Any] = {
    "DUNNING_MODE": "local",
    "DUNNING_RETRY_DAYS": "3,5,7",
    "MAX_RETRY_ATTEMPTS": "3",
    "GRACE_PERIOD_DAYS": "10",
}
FAILED, NEEDS_ACTION = "invoice_payment_failed", "invoice_action_required"
NO_RETRIES = {"retry_days": [], "after_last_retry": "past_due"}


BOTH_VERSIONS = pytest.mark.parametrize(
    "system", VERSIONS[:2] if LONG else VERSIONS[1:2], indirect=True, scope="module", ids=lambda pair: pair[0][:4]
)


@pytest_asyncio.fixture(scope="module", name="system")
async def local_system(make_database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """A system that collects for itself, before a Stripe that does not."""
    api, webhooks = getattr(request, "param", VERSIONS[0])
    database = await make_database()
    async with running_system(database, api_version=api, webhook_version=webhooks, **LOCAL) as running:
        await running.sandbox("POST", "/_sandbox/settings", NO_RETRIES)
        yield running


async def failing(system: System, card: str = DECLINES_LATER) -> Subscriber:
    """A subscriber whose first renewal has just failed."""
    _, price = await make_price(system)
    ann = await subscriber(system)
    await ann.subscribe(price)
    await ann.use_card(card)
    await ann.fail_renewal()
    return ann


async def attempts(ann: Subscriber) -> list[str]:
    """How our attempts on this subscriber's invoices ended, oldest first."""
    rows = await ann.system.fetch(
        """
        SELECT a.state FROM attempts a JOIN invoices i ON i.id = a.subject_id
        WHERE a.kind = 'invoice.pay' AND i.stripe_subscription_id = $1 ORDER BY a.created_at
        """,
        ann.id,
    )
    return [row["state"] for row in rows]


async def charges(ann: Subscriber) -> list[str]:
    """The charges of this customer at Stripe, oldest first, the first payment left out."""
    found = await ann.system.stripe(f"/v1/charges?customer={ann.customer}&limit=100")
    return [charge["status"] for charge in reversed(found["data"])][1:]


async def calendar(ann: Subscriber) -> Any:
    return (await ann.system.call("GET", f"/api/subscriptions/{ann.id}", user=ann.user)).body["dunning"]


@BOTH_VERSIONS
async def test_the_whole_way_to_the_end(system: System) -> None:
    ann = await failing(system)
    (first,) = await ann.mails(FAILED)
    failed = datetime.fromisoformat(first["failed_at"])
    assert (first["attempt"], datetime.fromisoformat(first["next_attempt_at"])) == (1, failed + timedelta(days=3))
    shown = await calendar(ann)
    assert (shown["attempts"], shown["attempts_left"]) == (1, 3)
    assert shown["next_payment_attempt"] == first["next_attempt_at"]
    assert shown["access_until"] == first["access_until"]

    await system.advance("3d")
    assert await attempts(ann) == ["declined"]
    shown = await calendar(ann)
    assert (shown["attempts"], shown["attempts_left"]) == (2, 2)

    await system.advance("5d")
    await system.advance("8d")
    assert await attempts(ann) == ["declined"] * 3
    assert await charges(ann) == ["failed"] * 4
    assert (await ann.status(), await ann.access()) == ("canceled", None)
    mails = await ann.mails(FAILED)
    assert [mail["attempt"] for mail in mails] == [1, 2, 3, 4]
    assert [bool(mail["next_attempt_at"]) for mail in mails] == [True, True, True, False]
    assert [mail["reason"] for mail in await ann.mails("subscription_canceled")] == ["payment_failed"]
    last = await system.fetch(
        """
        SELECT action, actor, cause, reason FROM subscription_history h JOIN subscriptions s ON s.id = subscription_id
        WHERE stripe_subscription_id = $1 ORDER BY performed_at DESC, h.id DESC LIMIT 1
        """,
        ann.id,
    )
    assert tuple(last[0]) == ("canceled", "tallystick", "api", "payment_failed")


async def test_money_that_comes_with_a_retry_restores_everything(system: System) -> None:
    ann = await failing(system)
    newest = (await ann.invoices())[0]
    await ann.use_card("pm_card_visa")
    await system.quiet()

    assert await attempts(ann) == ["succeeded"], "a new card is tried at once"
    assert (await ann.invoices())[0]["status"] == "paid"
    assert (await ann.invoices())[0]["id"] == newest["id"]
    assert await ann.access() == ("active", None)
    await system.advance("20d")
    assert await attempts(ann) == ["succeeded"]


async def test_a_payment_by_the_customer_ends_it(system: System) -> None:
    ann = await failing(system)
    newest = (await ann.invoices())[0]
    card = await system.card("4242424242424242")
    await system.stripe(f"/v1/payment_methods/{card}/attach", {"customer": ann.customer})
    await system.stripe(f"/v1/invoices/{newest['id']}/pay", {"payment_method": card})
    await system.quiet()
    await system.advance("20d")

    assert await attempts(ann) == []
    assert (await ann.status(), await ann.access()) == ("active", ("active", None))


@BOTH_VERSIONS
async def test_a_payment_of_which_there_is_no_hope_is_not_tried_again(system: System) -> None:
    ann = await failing(system, "pm_card_authenticationRequired")
    await system.advance("9d")
    assert await attempts(ann) == []
    assert [(mail["template"], mail["attempt"]) for mail in await ann.mails(FAILED, NEEDS_ACTION)] == [
        (NEEDS_ACTION, 1)
    ]

    await ann.use_card("pm_card_visa")
    await system.quiet()
    assert await attempts(ann) == ["succeeded"]
    assert await ann.access() == ("active", None)


async def test_paused_it_waits_and_resumed_it_goes_on(system: System) -> None:
    ann = await failing(system)
    await ann.change(pause_collection__behavior="void")
    await system.advance("4d")
    assert await attempts(ann) == []

    await ann.change(pause_collection="")
    assert await attempts(ann) == ["declined"]


async def test_canceled_it_is_over(system: System) -> None:
    ann = await failing(system)
    await ann.cancel()
    await system.advance("20d")

    assert await attempts(ann) == []


async def test_a_worker_that_was_away_makes_up_for_it_once(system: System) -> None:
    ann = await failing(system)
    await system.advance("71h")
    await system.stop_workers()
    earlier = "= {0} - interval '26 hours'"
    await system.fetch(f"UPDATE work SET due_at {earlier.format('due_at')} WHERE kind = 'dunning.retry'")
    await system.fetch(f"UPDATE dunning_runs SET next_at {earlier.format('next_at')}")
    system.start_worker()
    system.start_worker()
    await system.quiet()

    assert await attempts(ann) == ["declined"]
    shown = await calendar(ann)
    assert (shown["attempts"], shown["attempts_left"]) == (2, 2)


async def test_an_answer_that_is_lost_is_not_charged_twice(system: System) -> None:
    ann = await failing(system)
    path = "/v1/invoices/*/pay"
    await system.fault(target="api", kind="cut", method="POST", path=path, when="after", times=1)
    await system.advance("3d", timeout_s=60)

    assert await attempts(ann) == ["declined"]
    assert await charges(ann) == ["failed"] * 2


async def test_where_stripe_has_a_next_attempt_we_stand_aside(system: System) -> None:
    await system.sandbox("POST", "/_sandbox/settings", {"retry_days": [4, 4]})
    try:
        ann = await failing(system)
        query = "SELECT min(first_failed_at) FROM invoices WHERE stripe_subscription_id = $1"
        failed = await system.value(query, ann.id)
        await system.advance(to=failed + timedelta(days=8, minutes=30))
    finally:
        await system.sandbox("POST", "/_sandbox/settings", NO_RETRIES)

    assert await charges(ann) == ["failed"] * 3
    assert await attempts(ann) == []
    await system.advance("1d")
    assert await attempts(ann) == ["declined"], "Stripe has given up, now it is our turn"


async def test_what_is_neither_paid_nor_declined_is_told_to_staff_and_goes_on(system: System) -> None:
    ann = await failing(system)
    await system.fault(target="api", kind="status", method="POST", path="/v1/invoices/*/pay", status=400, times=1)
    await system.advance("3d")
    assert await attempts(ann) == ["rejected"]
    invoice = (await ann.invoices())[0]["id"]
    told = (
        "SELECT count(*) FROM mails WHERE template = 'staff_alert' AND business_key LIKE 'alert.dunning_stuck:%' || $1"
    )
    assert await system.value(told + " || ':0'", invoice) == 1

    await system.advance("5d")
    assert await attempts(ann) == ["rejected", "declined"]


async def money_comes_unheard(ann: Subscriber) -> None:
    """The customer's account has money again; nobody tells us, so it is no new card to try at once."""
    for kind in ("customer.updated", "payment_method.attached"):
        await ann.system.fault(target="webhook", kind="drop", type=kind, times=None)
    await ann.use_card("pm_card_visa")


async def test_the_end_waits_while_nobody_knows_of_the_last_retry(system: System) -> None:
    ann = await failing(system)
    await system.advance("8d")
    await money_comes_unheard(ann)
    # Each try of the call, so the attempt is unknown; its repeat goes through.
    cut = {"target": "api", "kind": "cut", "method": "POST", "path": "/v1/invoices/*/pay", "times": 3}
    await system.fault(when="before", **cut)
    try:
        await system.advance("8d", timeout_s=60)
        await system.quiet(60)
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")

    assert await attempts(ann) == ["declined", "declined", "succeeded"]
    assert (await ann.invoices())[0]["status"] == "paid"
    assert await ann.status() == "active"
    assert await ann.mails("subscription_canceled") == []


async def test_a_last_retry_that_was_not_made_comes_before_the_end(system: System) -> None:
    """Stripe is away for that request, longer than until the end is due."""
    ann = await failing(system)
    await system.advance("8d")
    await money_comes_unheard(ann)
    full = {"target": "api", "kind": "status", "status": 429, "method": "POST", "times": None}
    await system.fault(path="/v1/invoices/*/pay", **full)
    move = {"by": "8d", "timeout_s": 2}
    async with system.http.post(f"{system.sandbox_url}/_sandbox/clock/advance", json=move) as response:
        assert "dunning.retry" in await response.text()
    invoice = (await ann.invoices())[0]["id"]
    earlier = "SET {0} = {0} - interval '3 days' WHERE"
    await system.fetch(f"UPDATE dunning_runs {earlier.format('next_at')} stripe_invoice_id = $1", invoice)
    await system.fetch(
        f"UPDATE work {earlier.format('due_at')} kind = 'dunning.retry' AND payload ->> 'invoice' = $1", invoice
    )
    await asyncio.sleep(1)
    assert await attempts(ann) == ["declined", "declined"]
    assert await ann.status() == "past_due"

    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.quiet()
    assert await attempts(ann) == ["declined", "declined", "succeeded"]
    assert await ann.status() == "active"


async def test_the_end_leaves_an_hour_after_the_last_retry(system: System) -> None:
    ann = await failing(system)
    query = "SELECT min(first_failed_at) FROM invoices WHERE stripe_subscription_id = $1"
    last = await system.value(query, ann.id) + timedelta(days=15)
    await system.advance(to=last + timedelta(minutes=50))
    assert await attempts(ann) == ["declined"] * 3
    assert await ann.status() == "past_due"
    await system.advance("1h")
    assert await ann.status() == "canceled"


@BOTH_VERSIONS
@pytest.mark.parametrize(
    ("account", "invoice", "status"),
    [
        ("pm_usBankAccount_success", "paid", "active"),
        ("pm_usBankAccount_insufficientFunds", "open", "canceled"),
    ],
)
async def test_the_end_waits_for_a_bank_debit(system: System, account: str, invoice: str, status: str) -> None:
    """It takes days, cannot be called back, and would pay for what was ended."""
    ann = await failing(system)
    await system.advance("14d")
    assert await attempts(ann) == ["declined"] * 2
    await system.sandbox("POST", "/_sandbox/settings", {"delayed_settlement_s": timedelta(days=4).total_seconds()})
    try:
        await ann.use_card(account)
        await system.quiet()
    finally:
        await system.sandbox("POST", "/_sandbox/settings", {"delayed_settlement_s": 5})
    tried = await attempts(ann)
    assert await charges(ann) == ["failed"] * 3 + ["pending"]
    await system.advance("3d")
    assert (await ann.status(), (await ann.invoices())[0]["status"]) == ("past_due", "open")
    query = "SELECT next_at FROM dunning_runs WHERE stripe_invoice_id = $1"
    next_at = await system.value(query, (await ann.invoices())[0]["id"])
    assert timedelta() < next_at - system.now() <= timedelta(hours=1)

    await system.advance("1d")
    await system.advance("2h")
    assert (await ann.status(), (await ann.invoices())[0]["status"]) == (status, invoice)
    assert await attempts(ann) == tried
    reasons = [mail["reason"] for mail in await ann.mails("subscription_canceled")]
    assert reasons == (["payment_failed"] if status == "canceled" else [])


async def restart_worker(system: System, **changes: Any) -> None:
    await system.stop_workers()
    system.settings = Settings.model_construct(**{**dict(system.settings), **changes})
    system.start_worker()


async def test_it_can_be_left_past_due_at_the_end(system: System) -> None:
    ann = await failing(system)
    await restart_worker(system, dunning_end="leave")
    try:
        await system.advance("20d")
    finally:
        await restart_worker(system, dunning_end="cancel")

    assert (await ann.status(), await ann.access()) == ("past_due", None)
    assert await attempts(ann) == ["declined"] * 3
    assert await ann.mails("subscription_canceled") == []


async def test_switching_the_mode_takes_up_what_is_past_due(system: System) -> None:
    ann = await failing(system)
    await restart_worker(system, dunning_mode="stripe")
    await system.advance("4d")
    assert await attempts(ann) == []

    await restart_worker(system, dunning_mode="local")
    async with asyncio.timeout(20):
        while not await attempts(ann):
            await asyncio.sleep(0.05)
    await system.quiet()
    assert await attempts(ann) == ["declined"]
